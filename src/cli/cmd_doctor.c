/* cmd_doctor: checks of this machine: driver, cards, engine, memory, libraries; each with what
 * mends it. */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "api/doctor_json.h"
#include "base/own.h"
#include "cli/cli.h"
#include "engine/probe.h"
#include "machine/machine.h"
#include "nvml/nvml.h"

enum { CHECKS_MOST = 64, CACHES_MOST = 16, INDENT = 25 };

struct doctor {
    struct cli *c;
    size_t n;
    struct check check[CHECKS_MOST];
};

static struct check *add(struct doctor *d, const char *id, enum check_level level, const char *text)
{
    struct check *k = &d->check[d->n < CHECKS_MOST ? d->n++ : CHECKS_MOST - 1];
    *k = (struct check){.id = id, .level = level, .text = text ? text : "no memory for a text"};
    return k;
}

/* An error as a finding: its title and reason, its first way out. */
static void add_error(struct doctor *d, const char *id, enum check_level level, const struct err *e)
{
    struct arena *a = &d->c->arena;
    struct check *k =
        add(d, id, level,
            e->n_why ? arena_printf(a, "%s: %s", e->title, e->why[0]) : arena_strdup(a, e->title));
    if (!e->n_fix)
        return;
    k->fix = arena_strdup(a, e->fix[0].text);
    k->command = e->fix[0].command[0] ? arena_strdup(a, e->fix[0].command) : NULL;
}

static void check_driver(struct doctor *d)
{
    struct arena *a = &d->c->arena;
    struct nvml_inventory inv = {0};
    struct err err = {0};
    if (!nvml_read_inventory(a, &inv, &err)) {
        add_error(d, "driver.nvml", CHECK_FAIL, &err);
        return;
    }
    add(d, "driver.nvml", CHECK_OK,
        arena_printf(a, "NVML %s, %u GPU%s%s", inv.driver_version ? inv.driver_version : "?",
                     inv.n_cards, inv.n_cards == 1 ? "" : "s", inv.simulated ? ", simulated" : ""));
    for (uint32_t i = 0; i < inv.n_cards; i++)
        if (inv.cards[i].trouble)
            add(d, arena_printf(a, "gpu.%u", inv.cards[i].index), CHECK_WARN, inv.cards[i].trouble);
}

static void check_engine(struct doctor *d)
{
    struct arena *a = &d->c->arena;
    struct engine_probe probe = {0};
    struct err err = {0};
    if (probe_engine("llama-server", a, &probe, &err)) {
        add(d, "engine.llamacpp", CHECK_OK,
            arena_printf(a, "%s %s", probe.path,
                         probe.version ? probe.version : "of unknown version"));
        return;
    }
    struct check *k = add(d, "engine.llamacpp", CHECK_WARN, arena_strdup(a, err.title));
    k->fix =
        err.n_fix ? arena_strdup(a, err.fix[0].text) : "plans need no engine, running a model does";
}

static void check_memory(struct doctor *d)
{
    struct host host = {0};
    struct err err = {0};
    char total[32], free_now[32];
    double least = 2048.0 * (1 << 20);
    bool set;
    if (!machine_read_host("", &host, &err)) {
        add_error(d, "memory.host", CHECK_FAIL, &err);
        return;
    }
    variable_read(VARIABLE_ID_SYSTEM_OVERHEAD, &set, &least, &err);
    bool low = (double)host.free_bytes < least;
    struct check *k = add(d, "memory.host", low ? CHECK_WARN : CHECK_OK,
                          arena_printf(&d->c->arena, "%s GiB, %s available, %u cores",
                                       str_gib(host.total_bytes, 1, total),
                                       str_gib(host.free_bytes, 1, free_now), host.cores));
    if (low)
        k->fix = "less is free than DUALGPUOPT_SYSTEM_OVERHEAD keeps for the system";
}

static const char *version_of(void *symbol)
{
    return ((const char *(*)(void))symbol)();
}

/* Libraries by the version they tell; those that are loaded only when they are needed are loaded
 * for it. */
static void check_libraries(struct doctor *d)
{
    static const struct {
        const char *id, *need, *package, *file, *symbol, *without;
    } libs[] = {
        {"dep.libyaml", "core",     "libyaml-0-2", "libyaml-0.so.2", "yaml_get_version_string",
         "no YAML of hyper-parameters"},
        {"dep.libcurl", "optional", "libcurl4",    "libcurl.so.4",   "curl_version",
         "no headers over http(s)"    },
    };
    struct arena *a = &d->c->arena;
    struct check *k =
        add(d, "dep.libc", CHECK_OK, arena_printf(a, "glibc %s", gnu_get_libc_version()));
    k->need = "required";
    k->package = "libc6";
    for (size_t i = 0; i < sizeof(libs) / sizeof(libs[0]); i++) {
        void *lib = dlopen(libs[i].file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
        void *symbol = lib ? dlsym(lib, libs[i].symbol) : NULL;
        const char *text = symbol ? version_of(symbol) : "";
        if (symbol)
            k = add(d, libs[i].id, CHECK_OK, arena_strndup(a, text, strcspn(text, " ")));
        else
            k = add(d, libs[i].id, CHECK_WARN, arena_printf(a, "not there: %s", libs[i].without));
        k->need = libs[i].need;
        k->package = libs[i].package;
        if (!symbol)
            k->command = arena_printf(a, "apt install %s", libs[i].package);
        if (lib)
            dlclose(lib);
    }
}

static void check_optional(struct doctor *d)
{
    struct arena *a = &d->c->arena;
    struct err err = {0};
    const char *path;
    struct nvml_inventory inv;
    bool nvml = nvml_read_inventory(a, &inv, &err) || err.code != ERR_1101;
    struct check *k = add(d, "dep.nvml", nvml ? CHECK_OK : CHECK_SKIP,
                          nvml ? "the NVIDIA driver's library is there"
                               : "not there: plans for imagined cards only");
    k->need = "optional";
    k->package = "libnvidia-ml1";
    bool engine = probe_find("llama-server", a, &path, &err);
    k = add(d, "dep.llama-server", engine ? CHECK_OK : CHECK_SKIP,
            engine ? path : "not on PATH: plans work, running a model does not");
    k->need = "optional";
    k->package = "llama.cpp";
}

static const char *const words[] = {"ok", "WARN", "FAIL", "skip"};

static void write_line(struct cli *c, const struct check *k)
{
    static const char *const colors[] = {"32", "33", "1;31", "2"};
    own(own_str) struct str first = {0}, text = {0}, line = {0};
    size_t word = strlen(words[k->level]);
    str_addf(&first, "%-5s %-18s ", words[k->level], k->id);
    str_add(&text, k->text);
    if (k->need)
        str_addf(&text, " (%s: package %s)", k->need, k->package);
    text_wrap(&line, first.data ? first.data : "", INDENT, text.data ? text.data : "",
              c->look.width);
    if (c->look.color && line.len > word)
        str_addf(&c->out, "\x1b[%sm%s\x1b[0m%s", colors[k->level], words[k->level],
                 line.data + word);
    else
        str_add(&c->out, line.data ? line.data : "");
    if (k->fix)
        text_wrap(&c->out, "      fix                ", INDENT, k->fix, c->look.width);
    if (k->command)
        str_addf(&c->out, "%*s%s\n", INDENT, "", k->command);
}

static void write_lines(struct cli *c, const struct doctor *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (!c->look.quiet || d->check[i].level == CHECK_WARN || d->check[i].level == CHECK_FAIL)
            write_line(c, &d->check[i]);
}

static void write_plain(struct cli *c, const struct doctor *d)
{
    for (size_t i = 0; i < d->n; i++)
        str_addf(&c->out, "%s\t%s\t%s\t%s\n", check_level_name(d->check[i].level), d->check[i].id,
                 d->check[i].text, d->check[i].fix ? d->check[i].fix : "");
}

static void write_sum(struct cli *c, const size_t *count)
{
    str_addf(&c->out, "%zu ok, %zu warning%s, %zu failure%s\n", count[CHECK_OK], count[CHECK_WARN],
             count[CHECK_WARN] == 1 ? "" : "s", count[CHECK_FAIL],
             count[CHECK_FAIL] == 1 ? "" : "s");
}

bool cmd_doctor(struct cli *c, struct err *err)
{
    struct doctor *d = arena_new(&c->arena, struct doctor);
    struct cache_stats caches[CACHES_MOST];
    size_t count[4] = {0};
    struct json j;
    if (!d || !cli_planner(err))
        return d ? false : err_set(err, ERR_1201, "no memory for the checks");
    d->c = c;
    if (!given(c, OPTION_CHECK_DEPS)) {
        check_driver(d);
        check_engine(d);
        check_memory(d);
    }
    check_libraries(d);
    check_optional(d);
    for (size_t i = 0; i < d->n; i++)
        count[d->check[i].level]++;
    c->exit_code = count[CHECK_FAIL] ? 7 : 0;
    if (c->look.json) {
        size_t n = cache_list(caches, CACHES_MOST);
        cli_json_start(c, &j, "doctor");
        doctor_json(&j, d->check, d->n, caches, n < CACHES_MOST ? n : CACHES_MOST);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain)
        write_plain(c, d);
    else
        write_lines(c, d);
    if (!c->look.plain && !c->look.quiet)
        write_sum(c, count);
    return true;
}
