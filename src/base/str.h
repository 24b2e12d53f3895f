/* str: a growing text, sizes and numbers for people, and what else every room does to text. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is a valid empty text. data is always NUL terminated once something was added, else NULL.
 * A failed growth sets `failed` and makes every later call a no-op, so that writers check once. */
struct str {
    char *data;
    size_t len, cap;
    bool failed;
};

void str_finish(struct str *s);
void str_add(struct str *s, const char *text);
void str_add_n(struct str *s, const char *text, size_t len);
void str_add_char(struct str *s, char c, int count); /* count copies; count <= 0 adds nothing */
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
char *str_take(struct str *s); /* ownership to the caller (free); "" when empty, NULL when failed */
static inline void own_str(struct str *s)
{
    str_finish(s);
}

/* "1,234,567" into out (at least 28 bytes); returns out. */
char *str_grouped(uint64_t n, char *out);

/* Bytes as GiB with `decimals` digits, no unit: 39.6. Returns out (at least 32 bytes). */
char *str_gib(uint64_t bytes, int decimals, char *out);

/* SIZE of the contract: "24GiB", "800 MiB", "24GB" (decimal), "1.5GiB", "512KiB", "123B"; a bare
 * number is MiB. Case and spaces are free. False on anything else, on negative, and above 2^60
 * bytes. */
bool str_parse_size(const char *text, uint64_t *out_bytes);

/* Whole decimal number in [min, max], nothing before or after it. "k"/"K" after it multiplies by
 * 1024 when allow_k. */
bool str_parse_i64(const char *text, int64_t min, int64_t max, bool allow_k, int64_t *out);
bool str_parse_f64(const char *text, double min, double max, double *out);

bool str_eq_fold(const char *a, const char *b); /* ASCII case folded */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* The word of words[n] nearest to `word` by edit distance, or NULL if none is near (more than a
 * third of its length away). */
const char *str_nearest(const char *word, const char *const *words, size_t n);

/* Copy of text with control bytes, DEL and invalid UTF-8 shown as \xNN; len bytes are read, NULs
 * included. Written to out[cap], cut if need be. Returns out. */
char *str_printable(const char *text, size_t len, char *out, size_t cap);

void str_add_printable(struct str *s, const char *text, size_t len); /* the same without a cut */

/* First character of text[len]: its code point in *out and its bytes (1-4) as result; 0 when the
 * bytes are not valid UTF-8 or len is 0. */
size_t str_utf8(const char *text, size_t len, uint32_t *out);

/* Display columns of a UTF-8 text (ASCII and block glyphs count 1). */
size_t str_columns(const char *text);

/* POSIX shell quoting: 'it'\''s'; words of safe characters stay bare. */
void str_add_shell(struct str *s, const char *word);

uint64_t str_hash(const void *data, size_t len); /* FNV-1a, 64 bit, for tables in memory only */

#endif
