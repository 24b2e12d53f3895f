/* settings: what a person may choose, as a table, and its YAML. */
#ifndef TUI_SETTINGS_H
#define TUI_SETTINGS_H

#include "base/err.h"
#include "base/str.h"
#include "tui/filter.h"

enum setting {
#define SETTING(id, key, words, normal, help) SETTING_##id,
#include "tui/settings.def"
#undef SETTING
    SETTING_COUNT
};

struct setting_info {
    const char *key, *words, *help; /* words: blank separated */
    int normal;
};
extern const struct setting_info setting_info[SETTING_COUNT];

enum { SETTING_WORD_MAX = 32, SETTINGS_TEXT_MAX = 16384 };

/* The word number `value` of a setting into out; "" beyond the last. Returns out. */
char *setting_word(enum setting s, int value, char out[SETTING_WORD_MAX]);
int setting_words(enum setting s); /* how many */

/* The number of a word; false if it is none. */
bool setting_find(enum setting s, const char *word, int *out);

struct settings {
    int value[SETTING_COUNT];
    struct filter filter;
};

void settings_default(struct settings *out);

/* A YAML mapping of keys to words over the defaults; name is for errors, which give line and column
 * (ERR_9006). At most SETTINGS_TEXT_MAX bytes. */
bool settings_parse(const char *name, const char *text, size_t len, struct settings *out,
                    struct err *err);
void settings_write(const struct settings *s, struct str *out);

#endif
