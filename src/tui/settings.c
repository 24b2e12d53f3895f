/* settings: reads and writes the YAML of `top`. */
#include "tui/settings.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

const struct setting_info setting_info[SETTING_COUNT] = {
#define SETTING(id, key_, words_, normal_, help_) \
    [SETTING_##id] = {.key = key_, .words = words_, .normal = normal_, .help = help_},
#include "tui/settings.def"
#undef SETTING
};

#define KEY_FILTER "filter"

/* The nth word of blank separated words and its length; NULL beyond the last. */
static const char *nth_word(const char *words, int n, size_t *len)
{
    if (n < 0)
        return NULL;
    for (; *words; words += *len + (words[*len] == ' '), n--) {
        *len = strcspn(words, " ");
        if (n == 0)
            return words;
    }
    return NULL;
}

char *setting_word(enum setting s, int value, char out[SETTING_WORD_MAX])
{
    size_t len = 0;
    const char *word = nth_word(setting_info[s].words, value, &len);
    snprintf(out, SETTING_WORD_MAX, "%.*s", word ? (int)len : 0, word ? word : "");
    return out;
}

int setting_words(enum setting s)
{
    size_t len;
    int n = 0;
    while (nth_word(setting_info[s].words, n, &len))
        n++;
    return n;
}

bool setting_find(enum setting s, const char *word, int *out)
{
    char one[SETTING_WORD_MAX];
    for (int i = 0; i < setting_words(s); i++) {
        if (strcmp(setting_word(s, i, one), word) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

void settings_default(struct settings *out)
{
    *out = (struct settings){0};
    for (int i = 0; i < SETTING_COUNT; i++)
        out->value[i] = setting_info[i].normal;
}

struct reader {
    const char *name;
    yaml_parser_t *yaml;
    struct settings *out;
    uint64_t seen; /* bit per setting, the filter behind them */
    struct err *err;
};

static bool refuse(struct reader *r, yaml_mark_t at, const char *what)
{
    err_set(r->err, ERR_9006, "%s: line %zu, column %zu: %s", r->name, at.line + 1, at.column + 1,
            what);
    return err_fix(r->err, NULL,
                   "mend the line, or delete the file: then everything is as it comes");
}

static bool is_text(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT &&
           e->data.scalar.length == strlen((const char *)e->data.scalar.value);
}

static bool set_value(struct reader *r, int key, const yaml_event_t *value)
{
    char what[200];
    const char *word = (const char *)value->data.scalar.value;
    struct err why = {0};
    if (key == SETTING_COUNT) {
        if (filter_parse(word, &r->out->filter, &why))
            return true;
        return refuse(r, value->start_mark, why.title);
    }
    if (setting_find((enum setting)key, word, &r->out->value[key]))
        return true;
    snprintf(what, sizeof(what), "%s is one of: %s", setting_info[key].key,
             setting_info[key].words);
    return refuse(r, value->start_mark, what);
}

static bool read_pair(struct reader *r, const yaml_event_t *key)
{
    yaml_event_t value;
    char what[96], shown[48];
    if (!is_text(key))
        return refuse(r, key->start_mark, "a key is one word");
    const char *word = (const char *)key->data.scalar.value;
    int i = 0;
    while (i < SETTING_COUNT && strcmp(setting_info[i].key, word) != 0)
        i++;
    if (i == SETTING_COUNT && strcmp(word, KEY_FILTER) != 0) {
        str_printable(word, strlen(word), shown, sizeof(shown));
        snprintf(what, sizeof(what), "%s is no setting of top", shown);
        return refuse(r, key->start_mark, what);
    }
    if (r->seen >> i & 1)
        return refuse(r, key->start_mark, "this key was given before");
    r->seen |= UINT64_C(1) << i;
    if (!yaml_parser_parse(r->yaml, &value))
        return refuse(r, r->yaml->problem_mark,
                      r->yaml->problem ? r->yaml->problem : "not readable as YAML");
    bool ok = is_text(&value) ? set_value(r, i, &value)
                              : refuse(r, value.start_mark, "a single value belongs here");
    yaml_event_delete(&value);
    return ok;
}

/* Keys at depth 1; an empty document is fine. */
static bool read_events(struct reader *r)
{
    bool inside = false;
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(r->yaml, &e))
            return refuse(r, r->yaml->problem_mark,
                          r->yaml->problem ? r->yaml->problem : "not readable as YAML");
        yaml_event_type_t type = e.type;
        bool ok = true;
        if (inside && type != YAML_MAPPING_END_EVENT)
            ok = read_pair(r, &e);
        else if (type == YAML_MAPPING_START_EVENT)
            inside = true;
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_ALIAS_EVENT)
            ok = refuse(r, e.start_mark, "lines of \"key: value\" belong here");
        yaml_event_delete(&e);
        if (!ok)
            return false;
        if (type == YAML_MAPPING_END_EVENT || type == YAML_STREAM_END_EVENT)
            return true;
    }
}

bool settings_parse(const char *name, const char *text, size_t len, struct settings *out,
                    struct err *err)
{
    struct settings s;
    yaml_parser_t yaml;
    if (len > SETTINGS_TEXT_MAX) {
        err_set(err, ERR_9006, "%s: %zu bytes are too many for settings, at most %d", name, len,
                SETTINGS_TEXT_MAX);
        return err_fix(err, NULL, "delete the file: then everything is as it comes");
    }
    if (!yaml_parser_initialize(&yaml))
        return err_set(err, ERR_1201, "no memory to read %s", name);
    yaml_parser_set_input_string(&yaml, (const unsigned char *)text, len);
    settings_default(&s);
    struct reader r = {.name = name, .yaml = &yaml, .out = &s, .err = err};
    bool ok = read_events(&r);
    yaml_parser_delete(&yaml);
    if (ok)
        *out = s;
    return ok;
}

void settings_write(const struct settings *s, struct str *out)
{
    char word[SETTING_WORD_MAX];
    str_add(out, "# written by dualgpuopt top\n");
    for (int i = 0; i < SETTING_COUNT; i++)
        str_addf(out, "%s: \"%s\"\n", setting_info[i].key,
                 setting_word((enum setting)i, s->value[i], word));
    if (!s->filter.text[0])
        return;
    str_add(out, KEY_FILTER ": '");
    for (const char *c = s->filter.text; *c; c++)
        str_add_char(out, *c, *c == '\'' ? 2 : 1);
    str_add(out, "'\n");
}
