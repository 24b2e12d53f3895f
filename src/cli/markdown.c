/* markdown: docs/commands.md, made from the same tables as --help. */
#include <string.h>

#include "base/own.h"
#include "cli/help.h"
#include "doctor/doctor.h"

/* Text for a cell of a table: bars would end it. */
static void add_cell(struct str *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            str_add(out, "\\");
        str_add_char(out, *p, 1);
    }
}

static void add_row(struct str *out, const char *names, const char *value, bool maybe,
                    const char *help)
{
    own(own_str) struct str left = {0};
    help_names(names, value, maybe, &left);
    str_add(out, "| `");
    add_cell(out, left.data ? left.data : "");
    str_add(out, "` | ");
    add_cell(out, help);
    str_add(out, " |\n");
}

static void add_options(struct str *out, unsigned scopes)
{
    size_t n, before = out->len;
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (!(o[i].scope & scopes))
            continue;
        if (out->len == before)
            str_add(out, "\n| option | meaning |\n|---|---|\n");
        add_row(out, o[i].names, o[i].value, o[i].kind == OPTION_MAYBE, o[i].help);
    }
}

static void add_command(struct str *out, const struct command *c)
{
    str_addf(out, "\n## dualgpuopt %s%s%s\n\n%c%s.\n\n```\n%s\n```\n", c->words,
             *c->arguments ? " " : "", c->arguments, c->help[0] & ~0x20, c->help + 1, c->example);
    if (*c->more)
        str_addf(out, "\n%s\n", c->more);
    add_options(out, c->scopes);
}

static void add_settings(struct str *out)
{
    size_t n;
    const struct flag *f = flag_table(&n);
    str_add(out, "\n## Settings of the engine\n\n`plan` takes them under llama.cpp's own names.\n\n"
                 "| setting | variable | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (f[i].id == FLAG_HARMLESS)
            continue;
        own(own_str) struct str names = {0};
        help_names(f[i].names,
                   f[i].value == VALUE_NONE     ? ""
                   : f[i].value == VALUE_NUMBER ? "N"
                                                : "VALUE",
                   false, &names);
        str_addf(out, "| `%s` | %s%s%s | ", names.data ? names.data : "",
                 f[i].variable[0] ? "`" : "", f[i].variable, f[i].variable[0] ? "`" : "");
        add_cell(out, f[i].help);
        str_add(out, " |\n");
    }
}

static void add_variables(struct str *out)
{
    size_t n;
    const struct variable *v = variable_table(&n);
    str_add(out, "\n## Environment\n\n| variable | default | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++)
        str_addf(out, "| `%s` | %s%s%s | %s |\n", v[i].name, v[i].normal,
                 *v[i].unit && *v[i].normal ? " " : "", *v[i].normal ? v[i].unit : "", v[i].help);
}

static void add_topics(struct str *out)
{
    size_t n;
    const struct topic *t = topic_table(&n);
    for (size_t i = 0; i < n; i++)
        if (t[i].text)
            str_addf(out, "\n## %s: %s\n\n```\n%s```\n", t[i].name, t[i].line, t[i].text);
}

static void add_checks(struct str *out)
{
    size_t n;
    const struct doctor_row *rows = doctor_table(&n);
    str_add(out, "\n## Checks of doctor\n\nN is the number of a GPU.\n\n"
                 "| id | what it looks at |\n|---|---|\n");
    for (size_t i = 0; i < n; i++)
        str_addf(out, "| `%s` | %s |\n", rows[i].id, rows[i].help);
}

static void add_errors(struct str *out)
{
    const enum err_code *codes;
    size_t n = err_codes(&codes);
    str_add(out, "\n## Errors\n\n| code | exit | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++)
        str_addf(out, "| DGO%04d | %d | %s |\n", codes[i], err_exit_code(codes[i]),
                 err_help(codes[i]));
}

void help_markdown(struct str *out)
{
    size_t n;
    const struct command *c = command_table(&n);
    str_add(out, "# Commands\n\n<!-- Made by `dualgpuopt help --markdown`; a test compares. -->\n");
    for (size_t i = 0; i < n; i++)
        add_command(out, &c[i]);
    str_add(out, "\n## Everywhere\n\nBefore or after any command.\n");
    add_options(out, SCOPE_ALL);
    add_settings(out);
    add_variables(out);
    add_topics(out);
    add_checks(out);
    add_errors(out);
}
