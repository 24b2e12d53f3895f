/* cmd_sim: the commands `sim start|stop|ls|show|inject|clear`: a simulated driver, and what it is
 * put through. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/cli.h"
#include "sim/sim.h"

enum { WORLDS_MOST = 64, PROCESSES_MAX_OF_CARD = WORLD_CHILDREN_MAX + SIM_PROCESSES_MAX };

static const char *time_text(int64_t ns, struct arena *a)
{
    int64_t s = ns / 1000000000;
    return s < 60     ? arena_printf(a, "%" PRId64 " s", s)
           : s < 3600 ? arena_printf(a, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60)
                      : arena_printf(a, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
}

/* What other programs must be told to see it too. */
static void say_how(struct cli *c)
{
    char library[WORLD_PATH_MAX];
    struct err ignored = {0};
    if (!sim_library(library, &ignored) || c->look.quiet)
        return;
    char *slash = strrchr(library, '/');
    if (slash)
        *slash = 0;
    str_addf(&c->out, "Other programs see it too:  LD_LIBRARY_PATH=%s nvtop\n", library);
}

bool cmd_sim_start(struct cli *c, struct err *err)
{
    struct sim_options o = {.scenario = c->words.word[0], .scale = 1, .seed = 1};
    const char *scale = c->words.value[OPTION_SIM_SCALE], *seed = c->words.value[OPTION_SIM_SEED];
    const char *at = c->words.value[OPTION_SIM_AT];
    int64_t number;
    if (scale && (!str_parse_f64(scale, 0, 3600, &o.scale) || (o.scale > 0 && o.scale < 1))) {
        err_set(err, ERR_9002, "--scale cannot be \"%s\"", scale);
        return err_fix(err, NULL, "1 to 3600 simulated seconds per second, or 0 to stand still");
    }
    if (seed && !str_parse_i64(seed, 1, INT64_MAX, false, &number)) {
        err_set(err, ERR_9002, "--seed cannot be \"%s\"", seed);
        return err_fix(err, NULL, "a whole number from 1");
    }
    if (seed)
        o.seed = (uint64_t)number;
    if (at && !scenario_time(at, &o.at_ns)) {
        err_set(err, ERR_9002, "--at cannot be \"%s\"", at);
        return err_fix(err, NULL, "a time like 90s, 10m or 2h");
    }
    if (!sim_start(&o, err))
        return false;
    str_addf(&c->out,
             "Simulated driver \"%s\" is on, %gx. Answers say \"simulated\" until  dualgpuopt sim "
             "stop\n",
             o.scenario, o.scale);
    say_how(c);
    return true;
}

bool cmd_sim_stop(struct cli *c, struct err *err)
{
    if (!sim_stop(NULL, err))
        return false;
    if (!c->look.quiet)
        str_add(&c->out, "The simulated driver is off.\n");
    return true;
}

/* ---- ls ---- */

static void scenarios_json(struct json *j, struct sim_scenario *s, const struct sim_entry *worlds,
                           size_t n)
{
    struct err ignored = {0};
    json_key(j, "scenarios");
    json_open_array(j);
    for (size_t i = 0; sim_shipped(i, s, &ignored); i++) {
        json_open_object(j);
        json_key_str(j, "name", s->name);
        json_key_str(j, "about", s->about);
        json_key_u64(j, "gpus", s->n_gpus);
        json_key_u64(j, "processes", s->n_processes);
        json_close_object(j);
    }
    json_close_array(j);
    json_key(j, "running");
    json_open_array(j);
    for (size_t i = 0; i < n; i++) {
        json_open_object(j);
        json_key_str(j, "scenario", worlds[i].scenario);
        json_key_str(j, "path", worlds[i].path);
        json_key_f64(j, "scale", worlds[i].scale);
        json_key_f64(j, "time_s", (double)worlds[i].now_ns * 1e-9);
        json_key_bool(j, "started", worlds[i].started);
        json_close_object(j);
    }
    json_close_array(j);
}

bool cmd_sim_ls(struct cli *c, struct err *err)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width,
                                .plain = c->look.plain,
                                .ascii = c->look.ascii,
                                .no_heading = c->look.quiet};
    struct sim_entry *worlds = arena_array(&c->arena, struct sim_entry, WORLDS_MOST);
    struct sim_scenario *s = arena_new(&c->arena, struct sim_scenario);
    struct err ignored = {0};
    struct json j;
    size_t n;
    if (!worlds || !s)
        return err_set(err, ERR_1201, "no memory for a list of scenarios");
    if (!sim_list(worlds, WORLDS_MOST, &n, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "scenarios");
        scenarios_json(&j, s, worlds, n);
        return cli_json_finish(c, &j, err);
    }
    table_column(&t, "SCENARIO", TABLE_LEFT);
    table_column(&t, "GPUS", TABLE_RIGHT);
    table_column(&t, "ABOUT", TABLE_LEFT);
    for (size_t i = 0; sim_shipped(i, s, &ignored); i++) {
        table_cell(&t, s->name);
        table_cellf(&t, "%u", s->n_gpus);
        table_cell(&t, s->about);
    }
    table_write(&t, &style, &c->out);
    for (size_t i = 0; i < n && !c->look.plain; i++)
        str_addf(&c->out, "%s%s runs at %gx since %s%s\n", i ? "" : "\n", worlds[i].scenario,
                 worlds[i].scale, time_text(worlds[i].now_ns, &c->arena),
                 worlds[i].started ? "" : " (by --sim)");
    return true;
}

/* ---- show ---- */

struct view {
    struct world *world;
    const struct sim_scenario *scenario;
    struct world_clock clock;
    struct reading gpu[SIM_GPUS_MAX];
    uint32_t n_faults;
    struct sim_fault fault[2 * SIM_FAULTS_MAX];
    struct world_process process[PROCESSES_MAX_OF_CARD];
};

static const char *limits(uint64_t bits)
{
    return bits & REASON_HW_SLOWDOWN  ? "heat (hardware)"
           : bits & REASON_SW_THERMAL ? "heat"
           : bits & REASON_POWER_CAP  ? "power"
                                      : "";
}

static const char *short_name(const char *name)
{
    name += str_starts(name, "NVIDIA ") ? strlen("NVIDIA ") : 0;
    return name + (str_starts(name, "GeForce ") ? strlen("GeForce ") : 0);
}

static void show_cards(struct cli *c, const struct view *v, const struct table_style *style)
{
    own(own_table) struct table t = {0};
    char a[32];
    static const char *const headings[] = {"UTIL %",   "TEMP C", "POWER W",
                                           "USED GiB", "OF",     "SM MHz"};
    table_column(&t, "GPU", TABLE_LEFT);
    for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
        table_column(&t, headings[i], TABLE_RIGHT);
    table_column(&t, "HELD BY", TABLE_LEFT);
    for (uint32_t i = 0; i < v->scenario->n_gpus; i++) {
        const struct reading *r = &v->gpu[i];
        table_cellf(&t, "%u %s", i, short_name(v->scenario->gpu[i].name));
        table_cellf(&t, "%" PRIu64, r->util);
        table_cellf(&t, "%" PRIu64, r->temperature);
        table_cellf(&t, "%" PRIu64, r->power_mw / 1000);
        table_cell(&t, str_gib(r->used_bytes, 1, a));
        table_cell(&t, str_gib(r->total_bytes, 1, a));
        table_cellf(&t, "%" PRIu64, r->sm_mhz);
        table_cell(&t, limits(r->reasons));
    }
    table_write(&t, style, &c->out);
}

static void show_processes(struct cli *c, struct view *v, const struct table_style *style)
{
    own(own_table) struct table t = {0};
    char a[32];
    table_column(&t, "PID", TABLE_RIGHT);
    table_column(&t, "GPU", TABLE_RIGHT);
    table_column(&t, "GiB", TABLE_RIGHT);
    table_column(&t, "PROCESS", TABLE_LEFT);
    for (uint32_t i = 0; i < v->scenario->n_gpus; i++) {
        uint32_t n =
            world_processes(v->world, i, -1, v->clock.now_ns, v->process, PROCESSES_MAX_OF_CARD);
        for (uint32_t k = 0; k < n; k++) {
            table_cellf(&t, "%u", v->process[k].pid);
            table_cellf(&t, "%u", i);
            table_cell(&t, str_gib(v->process[k].bytes, 1, a));
            table_cell(&t, v->process[k].name ? v->process[k].name : "(a real process)");
        }
    }
    str_add(&c->out, c->look.plain ? "" : "\n");
    table_write(&t, style, &c->out);
}

static void show_faults(struct cli *c, const struct view *v)
{
    for (uint32_t i = 0; i < v->n_faults; i++) {
        const struct sim_fault *f = &v->fault[i];
        str_addf(&c->out, "%sfault %u: %s", i ? "" : "\n", f->id, fault_name(f->kind));
        if (f->gpu != SIM_ALL_GPUS)
            str_addf(&c->out, " on GPU %d", f->gpu);
        if (f->call[0])
            str_addf(&c->out, " in %s", f->call);
        if (f->until_ns != SIM_NEVER)
            str_addf(&c->out, ", %s more", time_text(f->until_ns - v->clock.now_ns, &c->arena));
        str_add(&c->out, "\n");
    }
}

static void show_people(struct cli *c, struct view *v)
{
    struct table_style style = {.width = c->look.width,
                                .plain = c->look.plain,
                                .ascii = c->look.ascii,
                                .no_heading = c->look.quiet};
    if (!c->look.plain)
        str_addf(&c->out, "simulated: %s at %gx since %s\n%s\n\n", v->scenario->name,
                 v->clock.scale, time_text(v->clock.now_ns, &c->arena), v->scenario->about);
    show_cards(c, v, &style);
    show_processes(c, v, &style);
    if (!c->look.plain)
        show_faults(c, v);
}

static void card_json(struct json *j, struct view *v, uint32_t i)
{
    const struct reading *r = &v->gpu[i];
    const struct sim_gpu *g = &v->scenario->gpu[i];
    json_open_object(j);
    json_key_u64(j, "index", i);
    json_key_str(j, "name", g->name);
    json_key_str(j, "uuid", g->uuid);
    json_key_u64(j, "total_bytes", r->total_bytes);
    json_key_u64(j, "used_bytes", r->used_bytes);
    json_key_u64(j, "reserved_bytes", r->reserved_bytes);
    json_key_u64(j, "free_bytes", r->free_bytes);
    json_key_u64(j, "utilization_percent", r->util);
    json_key_u64(j, "temperature_c", r->temperature);
    json_key_f64(j, "power_w", (double)r->power_mw / 1000);
    json_key_f64(j, "power_limit_w", (double)r->limit_mw / 1000);
    json_key_f64(j, "energy_j", (double)r->energy_mj / 1000);
    json_key_u64(j, "sm_clock_mhz", r->sm_mhz);
    json_key_u64(j, "throttle_reasons", r->reasons);
    json_key(j, "processes");
    json_open_array(j);
    uint32_t n =
        world_processes(v->world, i, -1, v->clock.now_ns, v->process, PROCESSES_MAX_OF_CARD);
    for (uint32_t k = 0; k < n; k++) {
        json_open_object(j);
        json_key_u64(j, "pid", v->process[k].pid);
        json_key_str(j, "name", v->process[k].name);
        json_key_u64(j, "bytes", v->process[k].bytes);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
}

static void show_json(struct json *j, struct view *v)
{
    json_key_bool(j, "simulated", true);
    json_key_str(j, "scenario", v->scenario->name);
    json_key_str(j, "about", v->scenario->about);
    json_key_str(j, "path", world_path(v->world));
    json_key_f64(j, "scale", v->clock.scale);
    json_key_u64(j, "seed", v->clock.seed);
    json_key_f64(j, "time_s", (double)v->clock.now_ns * 1e-9);
    json_key(j, "gpus");
    json_open_array(j);
    for (uint32_t i = 0; i < v->scenario->n_gpus; i++)
        card_json(j, v, i);
    json_close_array(j);
    json_key(j, "faults");
    json_open_array(j);
    for (uint32_t i = 0; i < v->n_faults; i++) {
        const struct sim_fault *f = &v->fault[i];
        json_open_object(j);
        json_key_u64(j, "id", f->id);
        json_key_str(j, "fault", fault_name(f->kind));
        json_key(j, "gpu");
        f->gpu == SIM_ALL_GPUS ? json_add_null(j) : json_add_i64(j, f->gpu);
        json_key_str(j, "call", f->call[0] ? f->call : NULL);
        json_close_object(j);
    }
    json_close_array(j);
}

bool cmd_sim_show(struct cli *c, struct err *err)
{
    own(own_world) struct world *world = NULL;
    struct view *v = arena_new(&c->arena, struct view);
    struct json j;
    if (!v)
        return err_set(err, ERR_1201, "no memory to show a driver");
    if (!sim_present(&world, err))
        return false;
    v->world = world;
    v->scenario = world_scenario(world);
    v->clock = world_clock(world);
    v->n_faults = world_faults(world, v->clock.now_ns, v->fault);
    for (uint32_t i = 0; i < v->scenario->n_gpus; i++)
        world_read(world, i, v->clock.now_ns, &v->gpu[i]);
    if (c->look.json) {
        cli_json_start(c, &j, "sim");
        show_json(&j, v);
        return cli_json_finish(c, &j, err);
    }
    show_people(c, v);
    return true;
}

/* ---- faults ---- */

bool cmd_sim_inject(struct cli *c, struct err *err)
{
    own(own_str) struct str all = {0};
    uint32_t id;
    for (int i = 0; i < c->words.n_words; i++)
        str_addf(&all, "%s%s", i ? " " : "", c->words.word[i]);
    if (all.failed || !sim_inject(NULL, all.data ? all.data : "", &id, err)) {
        err_fix(err, "dualgpuopt sim inject lost gpu=1 for=20s",
                "see how faults are written: sim inject --help");
        return false;
    }
    str_addf(&c->out, "fault %u is on; off again: dualgpuopt sim clear %u\n", id, id);
    return true;
}

bool cmd_sim_clear(struct cli *c, struct err *err)
{
    const char *word = c->words.n_words ? c->words.word[0] : NULL;
    int64_t id = 0;
    if (word && !str_parse_i64(word, 1, UINT32_MAX, false, &id))
        return err_set(err, ERR_9002, "\"%s\" is no fault's number", word);
    return sim_clear(NULL, (uint32_t)id, err);
}
