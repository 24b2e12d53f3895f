/* tables: the rows of commands, options and variables as arrays, and reading a variable. */
#include <stdlib.h>
#include <string.h>

#include "api/planner.h"
#include "base/own.h"
#include "cli/cli.h"

static const struct command commands[] = {
#define COMMAND(id, words, arguments, least, most, scopes, run, help, example, more) \
    {words, arguments, least, most, scopes, run, help, example, more},
#include "cli/commands.def"
};

const struct command *command_table(size_t *n)
{
    *n = sizeof(commands) / sizeof(commands[0]);
    return commands;
}

static const struct option options[] = {
#define OPTION(id, scope, kind, names, value, help) \
    {OPTION_##id, scope, OPTION_##kind, names, value, help},
#include "cli/options.def"
};

const struct option *option_table(size_t *n)
{
    *n = sizeof(options) / sizeof(options[0]);
    return options;
}

static const struct variable variables[] = {
#define VARIABLE(id, name, kind, least, most, normal, unit, help) \
    {name, VARIABLE_##kind, least, most, normal, unit, help},
#include "cli/variables.def"
};

const struct variable *variable_table(size_t *n)
{
    *n = sizeof(variables) / sizeof(variables[0]);
    return variables;
}

static bool is_auto(const struct variable *v, const char *text)
{
    return strcmp(v->normal, "auto") == 0 && str_eq_fold(text, "auto");
}

bool variable_read(enum variable_id id, bool *set, double *out, struct err *err)
{
    const struct variable *v = &variables[id];
    const char *text = getenv(v->name);
    uint64_t bytes;
    int64_t whole;
    bool ok = true;
    *set = text && *text && !is_auto(v, text);
    if (!*set)
        return true;
    if (v->kind == VARIABLE_SIZE) {
        ok = str_parse_size(text, &bytes) && (double)bytes <= v->most;
        *out = ok ? (double)bytes : 0;
    } else if (v->kind == VARIABLE_SHARE) {
        ok = str_parse_f64(text, v->least, v->most, out);
    } else if (v->kind != VARIABLE_TEXT) {
        ok = str_parse_i64(text, (int64_t)v->least, (int64_t)v->most, false, &whole);
        *out = ok ? (double)whole : 0;
    }
    if (ok)
        return true;
    err_set(err, ERR_9002, "%s cannot be \"%s\"", v->name, text);
    if (v->kind == VARIABLE_SIZE)
        err_why(err, "it is a size like 2048 (MiB) or 2GiB; without it: %s %s", v->normal, v->unit);
    else
        err_why(err, "it is a number from %g to %g; without it: %s", v->least, v->most, v->normal);
    own(own_str) struct str command = {0};
    str_addf(&command, "unset %s", v->name);
    return err_fix(err, command.data, "correct it, or do without it");
}

struct planner *cli_planner(struct err *err)
{
    static struct planner *planner;
    double entries = 64, seconds = 30, v;
    bool set;
    if (planner)
        return planner;
    if (!variable_read(VARIABLE_ID_PROFILE_CACHE, &set, &v, err))
        return NULL;
    entries = set ? v : entries;
    if (!variable_read(VARIABLE_ID_OPT_CACHE_TIMEOUT, &set, &v, err))
        return NULL;
    seconds = set ? v : seconds;
    /* 0 s asks for every plan anew; the cache's 0 would mean for ever */
    planner = planner_new((size_t)entries, seconds > 0 ? (uint64_t)(seconds * 1e9) : 1);
    if (!planner)
        err_set(err, ERR_1201, "no memory for the caches");
    return planner;
}
