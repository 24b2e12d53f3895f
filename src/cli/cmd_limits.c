/* cmd_limits: `gpu limits`: what a GPU may draw, how hot it may get, how fast it may run; --power
 * sets its power limit. */
#include <stdio.h>

#include "api/gpu_docs_json.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/gpus.h"
#include "nvml/limits.h"

enum { WATTS_MOST = 4000 };

struct change {
    uint32_t from_w, to_w; /* 0: unknown; no change */
};

static uint32_t watts_of(const struct gpu_view *v, enum metric m)
{
    return sample_has(&v->sample, m) ? (uint32_t)(v->sample.value[m] + 0.5) : 0;
}

static const char *again(struct cli *c, const struct gpu_view *v, uint32_t watts,
                         const char *before, const char *behind)
{
    const char *text = arena_printf(&c->arena, "%sdualgpuopt gpu limits %u --power %u%s", before,
                                    v->info.index, watts, behind);
    return text ? text : "";
}

static bool check_range(struct cli *c, const struct gpu_view *v, uint32_t watts, struct err *err)
{
    const struct gpu_info *i = &v->info;
    if (!i->power_max_w || (watts >= i->power_min_w && watts <= i->power_max_w))
        return true;
    err_set(err, ERR_1107, "GPU %u %s cannot be limited to %u W", i->index, gpu_short_name(i->name),
            watts);
    err_why(err, "it takes %u to %u W, %u W by default", i->power_min_w, i->power_max_w,
            i->power_default_w);
    return err_fix(err,
                   again(c, v, watts < i->power_min_w ? i->power_min_w : i->power_max_w, "", ""),
                   "the nearest that it takes");
}

static bool set_power(struct cli *c, const struct gpu_view *v, struct change *change,
                      struct err *err)
{
    const char *text = c->words.value[OPTION_POWER];
    int64_t watts;
    uint32_t now_w = 0;
    char question[160];
    if (!str_parse_i64(text, 1, WATTS_MOST, false, &watts)) {
        err_set(err, ERR_9002, "--power cannot be \"%s\"", text);
        return err_fix(err, NULL, "whole watts, 1 to %d", WATTS_MOST);
    }
    if (v->info.source != SOURCE_NVML || !v->info.uuid[0]) {
        err_set(err, ERR_1108, "power limits are set through NVIDIA's driver only");
        return err_fix(err, NULL, "this card's own tool may set one");
    }
    if (!check_range(c, v, (uint32_t)watts, err))
        return false;
    change->from_w = watts_of(v, METRIC_POWER_LIMIT);
    snprintf(question, sizeof(question), "Set the power limit of GPU %u %.48s%s from %u to %u W?",
             v->info.index, gpu_short_name(v->info.name), v->info.simulated ? " (simulated)" : "",
             change->from_w, (uint32_t)watts);
    if (!ask_yes(c, question, again(c, v, (uint32_t)watts, "", " --yes"), err))
        return false;
    if (!nvml_set_power_limit(v->info.uuid, (uint32_t)watts, &now_w, err)) {
        if (err->code == ERR_1104)
            err_fix(err, again(c, v, (uint32_t)watts, "sudo ", " --yes"), "set it as root");
        return false;
    }
    change->to_w = now_w;
    if (now_w != (uint32_t)watts)
        str_addf(&c->notes, "asked for %u W: the driver took %u W\n", (uint32_t)watts, now_w);
    return true;
}

static void line(struct cli *c, const char *name, const char *text)
{
    if (text)
        str_addf(&c->out, c->look.plain ? "%s\t%s\n" : "  %-20s %s\n", name, text);
}

static void number(struct cli *c, const char *name, const char *unit, uint32_t n)
{
    if (n)
        line(c, name,
             arena_printf(&c->arena, "%u%s%s", n, c->look.plain ? "" : " ",
                          c->look.plain ? "" : unit));
}

static void write_limits(struct cli *c, const struct gpu_view *v)
{
    const struct gpu_info *i = &v->info;
    number(c, "power limit", "W", watts_of(v, METRIC_POWER_LIMIT));
    number(c, "power limit default", "W", i->power_default_w);
    number(c, "power limit least", "W", i->power_min_w);
    number(c, "power limit most", "W", i->power_max_w);
    number(c, "power now", "W", watts_of(v, METRIC_POWER));
    number(c, "slows down at", "C", i->slowdown_c);
    number(c, "turns off at", "C", i->shutdown_c);
    number(c, "temperature now", "C", watts_of(v, METRIC_TEMPERATURE));
    number(c, "SM clock most", "MHz", i->sm_clock_max_mhz);
    number(c, "SM clock now", "MHz", watts_of(v, METRIC_CLOCK_SM));
    number(c, "memory clock most", "MHz", i->memory_clock_max_mhz);
    number(c, "memory clock now", "MHz", watts_of(v, METRIC_CLOCK_MEMORY));
}

static void write_people(struct cli *c, const struct gpu_view *v, const struct change *change)
{
    if (!c->look.quiet)
        str_addf(&c->out, "GPU %u %s%s\n", v->info.index, gpu_short_name(v->info.name),
                 v->info.simulated ? "   SIMULATED" : "");
    if (change->to_w) {
        str_addf(&c->out, "  power limit: %u W before, %u W now, as the driver says\n",
                 change->from_w, change->to_w);
        if (!c->look.quiet)
            str_add(&c->out, "  It lasts until the driver is unloaded or the machine restarts.\n");
        return;
    }
    write_limits(c, v);
    if (!c->look.quiet && v->info.power_max_w)
        str_addf(&c->out, "\nSet the power limit: dualgpuopt gpu limits %u --power %u\n",
                 v->info.index,
                 v->info.power_default_w ? v->info.power_default_w : v->info.power_max_w);
}

bool cmd_gpu_limits(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    struct change change = {0};
    struct gpu_view v;
    struct json j;
    uint32_t gpu = 0;
    if (!cli_watch(c, 2, false, NULL, &w, err) || !cli_find_gpu(w, c->words.word[0], &gpu, err))
        return false;
    watch_view(w, gpu, &v);
    if (!v.has_sample) {
        char sentence[GPU_SENTENCE_MAX];
        err_set(err, ERR_1105, "GPU %u cannot be read: it %s", gpu, gpu_sentence(&v, sentence));
        return err_fix(err, "dualgpuopt status", "see how the others are");
    }
    if (given(c, OPTION_POWER) && !set_power(c, &v, &change, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "limits");
        limits_json(&j, &v, change.from_w, change.to_w);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain && change.to_w)
        str_addf(&c->out, "power limit before\t%u\npower limit\t%u\n", change.from_w, change.to_w);
    else if (c->look.plain)
        write_limits(c, &v);
    else
        write_people(c, &v, &change);
    return true;
}
