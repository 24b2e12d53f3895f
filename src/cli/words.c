/* words: takes a command line apart by the tables; what it does not know it names, with the nearest
 * known word. */
#include <stdio.h>
#include <string.h>

#include "cli/words.h"

enum { NAME_MOST = 40 };

static bool has_name(const char *names, const char *name, size_t len)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (n == len && memcmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

const struct option *words_option(const char *name, size_t len)
{
    size_t n;
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (has_name(o[i].names, name, len))
            return &o[i];
    return NULL;
}

const struct flag *words_setting(const char *name, size_t len)
{
    size_t n;
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n; i++)
        if (has_name(f[i].names, name, len))
            return &f[i];
    return NULL;
}

static const struct command *command_find(const char *words)
{
    size_t n;
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(c[i].words, words) == 0)
            return &c[i];
    return NULL;
}

size_t words_name_length(const char *word)
{
    return strcspn(word, "=");
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* True if the option at word takes the next one as its value. */
static bool takes_next(const char *word)
{
    size_t len = words_name_length(word);
    const struct option *o = words_option(word, len);
    const struct flag *f = o ? NULL : words_setting(word, len);
    if (word[len] == '=')
        return false;
    return (o && o->kind == OPTION_VALUE) || (f && f->value != VALUE_NONE);
}

static bool is_group(const char *word)
{
    size_t n, len = strlen(word);
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strncmp(c[i].words, word, len) == 0 && c[i].words[len] == ' ')
            return true;
    return false;
}

/* An option in front of any command: it stands for the command that seeds' scripts mean by it. */
static const struct command *command_of_option(const char *word)
{
    size_t len = words_name_length(word);
    const struct option *o = words_option(word, len);
    if (o && (o->scope & SCOPE_DOCTOR))
        return command_find("doctor");
    if (o && o->id == OPTION_CLI)
        return command_find("status");
    bool plans =
        o ? (o->scope & (SCOPE_PLAN | SCOPE_MODEL | SCOPE_VLLM)) != 0 : words_setting(word, len) != NULL;
    return plans ? command_find("plan") : NULL;
}

/* Finds the command; skip[i] marks its words. */
static bool find_command(int argc, char *const *argv, struct words *out, bool *skip,
                         struct err *err)
{
    int first = -1;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        if (!is_option(word) && first < 0) {
            first = i;
            skip[i] = true;
            out->command = command_find(word);
            if (out->command)
                return true;
            if (!is_group(word))
                return words_unknown("", word, err);
        } else if (!is_option(word)) {
            char both[2 * NAME_MOST + 2];
            snprintf(both, sizeof(both), "%.*s %.*s", NAME_MOST, argv[first], NAME_MOST, word);
            skip[i] = true;
            out->command = command_find(both);
            return out->command || words_unknown(argv[first], word, err);
        } else if (first < 0 && (out->command = command_of_option(word))) {
            return true;
        } else if (takes_next(word)) {
            i++;
        }
    }
    return first < 0 || words_unknown(argv[first], NULL, err);
}

static bool lacks_value(const char *word, const char *value, const char *help, struct err *err)
{
    err_set(err, ERR_9002, "%s lacks its value", word);
    return err_why(err, "%s %s: %s", word, *value ? value : "VALUE", help);
}

/* The value in word itself, or the next word unless that is an option; *used counts words. */
static const char *value_of(const char *word, const char *next, int *used)
{
    size_t len = words_name_length(word);
    if (word[len] == '=')
        return word + len + 1;
    if (!next || strcmp(next, "--") == 0)
        return NULL;
    size_t n = words_name_length(next);
    if (is_option(next) && (words_option(next, n) || words_setting(next, n)))
        return NULL;
    *used = 2;
    return next;
}

static bool take_option(struct words *w, const struct option *o, const char *word, const char *next,
                        int *used, struct err *err)
{
    size_t len = words_name_length(word);
    bool glued = word[len] == '=';
    if (o->kind == OPTION_SWITCH && glued) {
        err_set(err, ERR_9002, "%.*s takes no value", (int)len, word);
        return err_fix(err, NULL, "write %.*s alone", (int)len, word);
    }
    if (o->kind == OPTION_VALUE) {
        const char *v = value_of(word, next, used);
        if (!v || !*v)
            return lacks_value(word, o->value, o->help, err);
        w->value[o->id] = v;
        return true;
    }
    w->value[o->id] = glued ? word + len + 1 : "";
    return true;
}

static bool take_setting(struct words *w, const struct flag *f, const char *word, const char *next,
                         int *used, struct err *err)
{
    const char *v = NULL;
    if (f->value != VALUE_NONE) {
        v = value_of(word, next, used);
        if (!v || !*v)
            return lacks_value(word, "", f->help, err);
    } else if (word[words_name_length(word)] == '=') {
        return err_set(err, ERR_9002, "%s: this switch takes no value", word);
    }
    if (w->n_settings == CLI_MAX_SETTINGS)
        return err_set(err, ERR_9002, "more than %d settings", CLI_MAX_SETTINGS);
    w->setting[w->n_settings].flag = f;
    w->setting[w->n_settings].word = word;
    w->setting[w->n_settings].value = v;
    w->n_settings++;
    return true;
}

static bool in_scope(const struct words *w, const struct option *o)
{
    return o->scope & (SCOPE_ALL | (w->command ? w->command->scopes : 0));
}

static bool take_word(struct words *w, const char *word, struct err *err)
{
    const struct command *c = w->command;
    int most = c ? c->most : 0;
    if (w->n_words < most && w->n_words < CLI_MAX_WORDS) {
        w->word[w->n_words++] = word;
        return true;
    }
    if (most == 0)
        err_set(err, ERR_9001, "%s takes no further word: \"%s\"", c ? c->words : "dualgpuopt",
                word);
    else
        err_set(err, ERR_9001, "%s takes %d word%s, \"%s\" is one too many", c->words, most,
                most > 1 ? "s" : "", word);
    return err_why(err, "dualgpuopt %s %s", c ? c->words : "", c ? c->arguments : "");
}

static bool enough_words(const struct words *w, struct err *err)
{
    const struct command *c = w->command;
    if (!c || w->value[OPTION_HELP] || w->n_words >= c->least)
        return true;
    err_set(err, ERR_9003, "%s needs %s", c->words, c->arguments);
    return err_fix(err, c->example, "for example");
}

bool words_parse(int argc, char *const *argv, struct words *out, struct err *err)
{
    bool skip[CLI_MAX_SETTINGS * 2] = {false};
    *out = (struct words){.argc = argc, .argv = argv};
    if (argc > CLI_MAX_SETTINGS * 2)
        return err_set(err, ERR_9002, "more than %d words", CLI_MAX_SETTINGS * 2);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            out->value[OPTION_HELP] = "";
        if (strcmp(argv[i], "--json") == 0 || str_starts(argv[i], "--json="))
            out->value[OPTION_JSON] = "";
    }
    if (!find_command(argc, argv, out, skip, err))
        return false;
    if (!out->command && !out->value[OPTION_HELP]) {
        out->command = command_find("status");
        out->bare = true;
    }
    for (int i = 1, used; i < argc; i += used) {
        used = 1;
        if (strcmp(argv[i], "--") == 0) {
            out->dashes = true;
            out->rest = argv + i + 1;
            out->n_rest = argc - i - 1;
            break;
        }
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (skip[i])
            continue;
        if (!is_option(argv[i])) {
            if (!take_word(out, argv[i], err))
                return false;
            continue;
        }
        size_t len = words_name_length(argv[i]);
        const struct option *o = words_option(argv[i], len);
        const struct flag *f = o ? NULL : words_setting(argv[i], len);
        bool settings = out->command && (out->command->scopes & SCOPE_ENGINE);
        bool ok;
        if (o && in_scope(out, o))
            ok = take_option(out, o, argv[i], next, &used, err);
        else if (f && f->id != FLAG_HARMLESS && settings)
            ok = take_setting(out, f, argv[i], next, &used, err);
        else
            ok = words_unknown_option(out, argv[i], err);
        if (!ok)
            return false;
    }
    if (out->dashes && !(out->command && (out->command->scopes & SCOPE_ENGINE)))
        return err_set(err, ERR_9001, "only plan takes a command after --");
    return enough_words(out, err);
}
