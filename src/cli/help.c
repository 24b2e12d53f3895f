/* help: what people read with --help and `help`: all of it made from the tables. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "tui/state.h"

enum { WIDTH = 80, NAMES_MOST = 23 };

static const struct topic topics[] = {
#define TOPIC(name, line, text) {name, line, text},
#include "cli/topics.def"
};

const struct topic *topic_table(size_t *n)
{
    *n = sizeof(topics) / sizeof(topics[0]);
    return topics;
}

/* "-o, --output FORM" from "-o --output" */
void help_names(const char *names, const char *value, bool maybe, struct str *out)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (p != names)
            str_add(out, ", ");
        str_add_n(out, p, n);
        p += n + (p[n] == ' ');
    }
    if (maybe)
        str_addf(out, "[=%s]", value);
    else if (*value)
        str_addf(out, " %s", value);
}

/* Names, and what they mean beside them; below them when they are long. */
static void add_entry(const char *names, const char *value, bool maybe, const char *help,
                      struct str *out)
{
    own(own_str) struct str first = {0};
    str_add(&first, "  ");
    help_names(names, value, maybe, &first);
    if (first.len + 2 > NAMES_MOST) {
        str_addf(out, "%s\n", first.data ? first.data : "");
        text_wrap(out, "", NAMES_MOST, help, WIDTH);
    } else {
        text_wrap(out, first.data ? first.data : "", NAMES_MOST, help, WIDTH);
    }
}

static void add_options(unsigned scopes, const char *heading, struct str *out)
{
    size_t n, before = out->len;
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (!(o[i].scope & scopes))
            continue;
        if (out->len == before)
            str_addf(out, "\n%s\n", heading);
        add_entry(o[i].names, o[i].value, o[i].kind == OPTION_MAYBE, o[i].help, out);
    }
}

static const char *value_word(const struct flag *f)
{
    return f->value == VALUE_NONE ? "" : f->value == VALUE_NUMBER ? "N" : "VALUE";
}

/* Their names alone. */
static void add_vllm(unsigned scopes, struct str *out)
{
    size_t n;
    const struct option *o = option_table(&n);
    str_add(out, scopes & SCOPE_VLLM ? "; vLLM's:" : "");
    for (size_t i = 0; i < n; i++)
        if (o[i].scope & scopes & SCOPE_VLLM)
            str_addf(out, " %.*s", (int)strcspn(o[i].names, " "), o[i].names);
}

/* The engine's most used settings, then the names of the others: each has a line in `help
 * settings`. */
static void add_settings(unsigned scopes, struct str *out)
{
    static const enum flag_id most_used[] = {FLAG_CTX, FLAG_PARALLEL, FLAG_GPU_LAYERS,
                                             FLAG_TENSOR_SPLIT, FLAG_N_CPU_MOE};
    own(own_str) struct str all = {0};
    size_t n;
    const struct flag *f = flag_table(&n);
    str_add(out, "\nThe engine's own settings, kept to the letter (all of them: help settings)\n");
    for (size_t i = 0; i < n; i++) {
        bool used = false;
        for (size_t k = 0; k < sizeof(most_used) / sizeof(most_used[0]); k++)
            used = used || f[i].id == most_used[k];
        if (used)
            add_entry(f[i].names, value_word(&f[i]), false, f[i].help, out);
        else if (f[i].id != FLAG_HARMLESS)
            str_addf(&all, "%s%.*s", all.len ? " " : "", (int)strcspn(f[i].names, " "), f[i].names);
    }
    add_vllm(scopes, &all);
    text_wrap(out, "  ", 2, all.data ? all.data : "", WIDTH);
}

/* What goes with every command is explained once, in the overview. */
static void add_everywhere(struct str *out)
{
    own(own_str) struct str all = {0};
    size_t n;
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (o[i].scope != SCOPE_ALL)
            continue;
        str_addf(&all, "%s%.*s", all.len ? " " : "", (int)strcspn(o[i].names, " "), o[i].names);
        if (o[i].kind == OPTION_VALUE)
            str_addf(&all, " %s", o[i].value);
    }
    str_add(out, "\nEverywhere (see: dualgpuopt --help)\n");
    text_wrap(out, "  ", 2, all.data ? all.data : "", WIDTH);
}

bool help_command(const struct command *cmd, struct str *out)
{
    str_addf(out, "Example: %s\n\nUsage: dualgpuopt %s", cmd->example, cmd->words);
    if (*cmd->arguments)
        str_addf(out, " %s", cmd->arguments);
    str_add(out, " [OPTIONS]\n");
    char *line = NULL;
    if (asprintf(&line, "%c%s.", toupper((unsigned char)cmd->help[0]), cmd->help + 1) > 0)
        text_wrap(out, "", 0, line, WIDTH);
    free(line);
    if (*cmd->more) {
        str_add(out, "\n");
        text_wrap(out, "", 0, cmd->more, WIDTH);
    }
    add_options(cmd->scopes & ~(unsigned)SCOPE_VLLM, "Options", out);
    if (cmd->scopes & SCOPE_ENGINE)
        add_settings(cmd->scopes, out);
    add_everywhere(out);
    return true;
}

void help_overview(struct str *out)
{
    size_t n;
    const struct command *c = command_table(&n);
    str_add(out,
            "Example: dualgpuopt plan llama-3.3-70b:Q4_K_M --gpus rtx5090,rtx4090\n\n"
            "Usage: dualgpuopt COMMAND [OPTIONS]\n"
            "Plans language models over GPUs to the byte before they are loaded, and watches\n"
            "the GPUs.\n"
            "\nCommands\n");
    for (size_t i = 0; i < n; i++) {
        char first[64];
        snprintf(first, sizeof(first), "  %s ", c[i].words);
        text_wrap(out, first, 16, c[i].help, WIDTH);
    }
    own(own_str) struct str names = {0};
    const struct topic *t = topic_table(&n);
    for (size_t i = 0; i < n; i++)
        str_addf(&names, "%s%s", i ? ", " : "", t[i].name);
    str_add(out, "\n");
    text_wrap(out, "Topics (help TOPIC): ", 2, names.data ? names.data : "", WIDTH);
    add_options(SCOPE_ALL, "Everywhere", out);
    str_add(out,
            "\nWithout a command: status (--cli too); --model M [--ctx-size N] [--quant Q]\n"
            "[--export FILE] plans; --check-deps, --install-deps: what this program uses.\n");
}

void help_settings(struct str *out)
{
    size_t n;
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n; i++) {
        own(own_str) struct str names = {0};
        if (f[i].id == FLAG_HARMLESS)
            continue;
        help_names(f[i].names, value_word(&f[i]), false, &names);
        if (f[i].variable[0])
            str_addf(&names, "  (%s)", f[i].variable);
        text_wrap(out, "", 2, names.data ? names.data : "", WIDTH);
        text_wrap(out, "      ", 6, f[i].help, WIDTH);
    }
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        own(own_str) struct str names = {0};
        if (!(o[i].scope & SCOPE_VLLM))
            continue;
        help_names(o[i].names, o[i].value, false, &names);
        text_wrap(out, "", 2, names.data ? names.data : "", WIDTH);
        text_wrap(out, "      ", 6, o[i].help, WIDTH);
    }
}

void help_environment(struct str *out)
{
    size_t n;
    const struct variable *v = variable_table(&n);
    for (size_t i = 0; i < n; i++) {
        own(own_str) struct str text = {0};
        str_add(&text, v[i].help);
        if (*v[i].normal)
            str_addf(&text, " [%s%s%s]", v[i].normal,
                     *v[i].unit && v[i].kind != VARIABLE_SHARE ? " " : "",
                     v[i].kind != VARIABLE_SHARE ? v[i].unit : "");
        str_addf(out, "%s\n", v[i].name);
        text_wrap(out, "      ", 6, text.data ? text.data : "", WIDTH);
    }
    str_add(out,
            "\nA flag counts more than a variable. After `plan --` the engine's own LLAMA_ARG_*\n"
            "variables count too, as they would for the engine.\n");
}

void help_keys(struct str *out)
{
    own(own_str) struct str fields = {0};
    for (int a = 0; a < ACTION_NONE; a++)
        if (key_info[a].listed)
            str_addf(out, "%-12s %s\n", key_info[a].shown, key_info[a].help);
    str_add(out, "\nSettings (F2), kept in dualgpuopt/top.yaml of the configuration folder\n");
    for (int i = 0; i < SETTING_COUNT; i++) {
        str_addf(out, "%-12s %s\n", setting_info[i].key, setting_info[i].help);
        text_wrap(out, "", 13, setting_info[i].words, WIDTH);
    }
    for (size_t i = 0; filter_field(i); i++)
        str_addf(&fields, "%s%s", i ? " " : "", filter_field(i));
    str_add(out, "\nFilters: FIELD>VALUE with > >= < <= = !=, joined by & | ! ( ), and plain words\n");
    text_wrap(out, "fields", 13, fields.data ? fields.data : "", WIDTH);
    text_wrap(out, "", 13, "and every metric of `gpu show` by its name", WIDTH);
}

void help_errors(struct str *out)
{
    const enum err_code *codes;
    size_t n = err_codes(&codes);
    for (size_t i = 0; i < n; i++) {
        char first[32];
        snprintf(first, sizeof(first), "DGO%04d  ", codes[i]);
        text_wrap(out, first, 9, err_help(codes[i]), WIDTH);
    }
    str_add(out, "\nThe codes are stable. dualgpuopt help DGO2110 says more about one of them.\n");
}

static bool help_code(const char *word, struct str *out, struct err *err)
{
    int64_t n;
    const char *sentence = NULL;
    if (str_parse_i64(word + 3, 0, 9999, false, &n))
        sentence = err_help((enum err_code)n);
    if (!sentence) {
        err_set(err, ERR_9004, "there is no error code \"%s\"", word);
        return err_fix(err, "dualgpuopt help errors", "see all of them");
    }
    str_addf(out, "DGO%04lld, exit code %d\n", (long long)n, err_exit_code((enum err_code)n));
    text_wrap(out, "", 0, sentence, WIDTH);
    return true;
}

static bool help_topic(const struct topic *t, struct str *out)
{
    if (t->text)
        str_add(out, t->text);
    else if (strcmp(t->name, "settings") == 0)
        help_settings(out);
    else if (strcmp(t->name, "environment") == 0)
        help_environment(out);
    else if (strcmp(t->name, "keys") == 0)
        help_keys(out);
    else if (strcmp(t->name, "checks") == 0)
        help_checks(out);
    else
        help_errors(out);
    return true;
}

/* "gpu": the commands that begin with it. */
static bool help_group(const char *word, struct str *out)
{
    size_t n, len = strlen(word), before = out->len;
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(c[i].words, word, len) == 0 && c[i].words[len] == ' ')
            str_addf(out, "dualgpuopt %s%s%s\n  %s\n  Example: %s\n", c[i].words,
                     *c[i].arguments ? " " : "", c[i].arguments, c[i].help, c[i].example);
    }
    return out->len > before;
}

static bool unknown_topic(const char *word, struct err *err)
{
    const char *names[64];
    char command[96];
    size_t n, n_topics;
    const struct command *c = command_table(&n);
    const struct topic *t = topic_table(&n_topics);
    for (size_t i = 0; i < n; i++)
        names[i] = c[i].words;
    for (size_t i = 0; i < n_topics; i++)
        names[n + i] = t[i].name;
    const char *near = str_nearest(word, names, n + n_topics);
    err_set(err, ERR_9004, "there is no help on \"%s\"", word);
    snprintf(command, sizeof(command), "dualgpuopt help %s", near ? near : "");
    if (near)
        return err_fix(err, command, "did you mean \"%s\"?", near);
    return err_fix(err, "dualgpuopt --help", "see commands and topics");
}

bool cmd_help(struct cli *c, struct err *err)
{
    char word[128];
    size_t n;
    if (given(c, OPTION_MARKDOWN)) {
        help_markdown(&c->out);
        return true;
    }
    if (c->words.n_words == 0) {
        help_overview(&c->out);
        return true;
    }
    snprintf(word, sizeof(word), "%s%s%s", c->words.word[0], c->words.n_words > 1 ? " " : "",
             c->words.n_words > 1 ? c->words.word[1] : "");
    if (strncasecmp(word, "DGO", 3) == 0)
        return help_code(word, &c->out, err);
    const struct command *cmd = command_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(cmd[i].words, word) == 0)
            return help_command(&cmd[i], &c->out);
    const struct topic *t = topic_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, word) == 0)
            return help_topic(&t[i], &c->out);
    return help_group(word, &c->out) || unknown_topic(word, err);
}

bool cmd_version(struct cli *c, struct err *err)
{
    const struct law_version *law = law_version_for(0);
    struct json j;
    if (c->look.json) {
        cli_json_start(c, &j, "version");
        json_key_str(&j, "version", DUALGPUOPT_VERSION);
        json_key_str(&j, "engine", law->engine);
        json_key_str(&j, "law", law->title);
        return cli_json_finish(c, &j, err);
    }
    str_addf(&c->out, "dualgpuopt %s\n", DUALGPUOPT_VERSION);
    if (!c->look.quiet)
        str_addf(&c->out, "memory law of %s\n", law->title);
    return true;
}
