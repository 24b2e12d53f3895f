/* json: writes JSON into a text as it is told, with an optional choice of top-level keys. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define JSON_DEPTH_MAX  32
#define JSON_FIELDS_MAX 64

/* Use: json_init, then one value (usually an object), then json_end. In an object every value
 * follows its json_key. Wrong nesting is a mistake of the program and ends it (abort). */
struct json {
    struct str *out;
    const char *fields; /* "a,b": only these keys of the outermost object are written; NULL: all */
    uint64_t used;      /* bit i: fields[i] came up */
    bool pretty;        /* two blanks per level, one member per line */
    bool muted;         /* inside of a member that was not asked for */
    bool has_key;
    int depth;
    struct {
        bool array, filled;
    } level[JSON_DEPTH_MAX + 1];
};

/* fields is kept, not copied; blanks around its names do not count. */
void json_init(struct json *j, struct str *out, bool pretty, const char *fields);

/* After the last value: a newline when pretty. True if all was closed and nothing failed. */
bool json_end(struct json *j);

/* The first name in fields that no key of the outermost object had (for a message), NULL if each
 * came up. *len is its length in bytes. Names after the first JSON_FIELDS_MAX are not looked at. */
const char *json_unused_field(const struct json *j, size_t *len);

void json_open_object(struct json *j);
void json_close_object(struct json *j);
void json_open_array(struct json *j);
void json_close_array(struct json *j);
void json_key(struct json *j, const char *key);

/* Invalid UTF-8 is written as U+FFFD, one per byte. A NULL text is null. */
void json_add_str(struct json *j, const char *text);
void json_add_str_n(struct json *j, const char *text, size_t len);
void json_add_strf(struct json *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void json_add_u64(struct json *j, uint64_t n);
void json_add_i64(struct json *j, int64_t n);
/* fewest digits that read back the same; NaN and Inf: null */
void json_add_f64(struct json *j, double n);
void json_add_bool(struct json *j, bool b);
void json_add_null(struct json *j);

/* key and value at once */
void json_key_str(struct json *j, const char *key, const char *text);
void json_key_u64(struct json *j, const char *key, uint64_t n);
void json_key_i64(struct json *j, const char *key, int64_t n);
void json_key_f64(struct json *j, const char *key, double n);
void json_key_bool(struct json *j, const char *key, bool b);
void json_key_null(struct json *j, const char *key);

#endif
