/* cmd_engine: the commands `engine ls` and `engine probe`: which engines are there and what they
 * know. */
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/cli.h"
#include "engine/probe.h"

static const char *const programs[] = {"llama-server", "llama-cli", "llama-completion",
                                       "llama-bench", "llama-fit-params"};

static void add_json(struct json *j, const char *program, const struct engine_probe *p)
{
    json_open_object(j);
    json_key_str(j, "program", program);
    json_key_str(j, "path", p->path);
    json_key_str(j, "version", p->version);
    json_key(j, "build");
    p->build ? json_add_u64(j, p->build) : json_add_null(j);
    json_close_object(j);
}

bool cmd_engine_ls(struct cli *c, struct err *err)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width,
                                .plain = c->look.plain,
                                .ascii = c->look.ascii,
                                .no_heading = c->look.quiet};
    struct json j;
    size_t found = 0;
    if (c->look.json) {
        cli_json_start(c, &j, "engines");
        json_key(&j, "engines");
        json_open_array(&j);
    }
    table_column(&t, "PROGRAM", TABLE_LEFT);
    table_column(&t, "VERSION", TABLE_LEFT);
    table_column(&t, "PATH", TABLE_LEFT);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        struct engine_probe p = {0};
        struct err why = {0};
        const char *path;
        if (!probe_find(programs[i], &c->arena, &path, &why))
            continue;
        if (!probe_engine(programs[i], &c->arena, &p, &why)) {
            p.path = path;
            str_addf(&c->notes, "%s: %s\n", programs[i], why.title);
        }
        found++;
        if (c->look.json)
            add_json(&j, programs[i], &p);
        table_cell(&t, programs[i]);
        table_cell(&t, p.version);
        table_cell(&t, p.path);
    }
    if (c->look.json) {
        json_close_array(&j);
        return cli_json_finish(c, &j, err);
    }
    if (found)
        table_write(&t, &style, &c->out);
    else if (!c->look.quiet)
        str_add(&c->notes, "no llama.cpp program on PATH; plans need none\n");
    return true;
}

static void write_known(struct cli *c, const struct engine_probe *p)
{
    own(own_str) struct str missing = {0};
    size_t n, known = 0, all = 0;
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        if (f[i].id == FLAG_HARMLESS)
            continue;
        all++;
        flag_main_name(f[i].id, name);
        bool knows = probe_knows(p, name);
        known += knows;
        if (!knows)
            str_addf(&missing, "%s%s", missing.len ? " " : "", name);
    }
    str_addf(&c->out, "%s\n  version  %s\n  settings it knows: %zu of %zu\n", p->path,
             p->version ? p->version : "unknown", known, all);
    if (missing.len)
        text_wrap(&c->out, "  not known: ", 13, missing.data, c->look.width);
}

static void write_known_json(struct json *j, const char *program, const struct engine_probe *p)
{
    size_t n;
    const struct flag *f = flag_table(&n);
    json_key_str(j, "program", program);
    json_key_str(j, "path", p->path);
    json_key_str(j, "version", p->version);
    json_key(j, "build");
    p->build ? json_add_u64(j, p->build) : json_add_null(j);
    json_key(j, "settings");
    json_open_object(j);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        if (f[i].id == FLAG_HARMLESS)
            continue;
        flag_main_name(f[i].id, name);
        json_key_bool(j, name, probe_knows(p, name));
    }
    json_close_object(j);
}

bool cmd_engine_probe(struct cli *c, struct err *err)
{
    const char *program = c->words.n_words ? c->words.word[0] : programs[0];
    struct engine_probe p = {0};
    struct json j;
    if (!probe_engine(program, &c->arena, &p, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "engine");
        write_known_json(&j, program, &p);
        return cli_json_finish(c, &j, err);
    }
    write_known(c, &p);
    return true;
}
