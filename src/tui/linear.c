/* linear: sentences about what is, and about what changed. */
#include "tui/linear.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GIB 1073741824.0

enum { LARGEST = 3 };

/* Followed values; step of the power is a share of its limit. */
static const struct {
    enum metric metric;
    const char *name;
    double step;
} followed[LINEAR_VALUES] = {
    {METRIC_MEMORY_USED, "memory used", 0.5 * GIB},
    {METRIC_UTILIZATION, "in use",      25       },
    {METRIC_TEMPERATURE, "temperature", 5        },
    {METRIC_POWER,       "power",       0.2      },
};

static void begin(struct str *out, const struct top_model *m, const struct gpu_view *g)
{
    char clock[16];
    str_addf(out, "%s GPU %" PRIu32 ": ", top_clock_text(m, clock, sizeof(clock)), g->info.index);
}

static void add_value(struct str *out, const struct gpu_view *g, enum metric m, const char *after)
{
    char text[METRIC_TEXT_MAX];
    double v = top_value(g, m);
    if (!isnan(v))
        str_addf(out, " %s%s", metric_text(m, v, text), after);
}

static void add_processes(struct str *out, const struct process_table *t)
{
    char text[METRIC_TEXT_MAX];
    for (int i = 0; i < t->n && i < LARGEST; i++) {
        const struct process *p = &t->process[i];
        str_addf(out, "%s %s", i ? "," : " Held by", p->name);
        if (p->memory_bytes != UINT64_MAX)
            str_addf(out, " %s", metric_text(METRIC_MEMORY_USED, (double)p->memory_bytes, text));
    }
    if (t->n > LARGEST)
        str_addf(out, " and %d more", t->n - LARGEST);
    if (t->n)
        str_add(out, ".");
}

void linear_status(const struct top_model *m, struct str *out)
{
    char text[TOP_SENTENCE_MAX];
    for (uint32_t i = 0; i < m->n; i++) {
        const struct gpu_view *g = &m->gpu[i];
        double used = top_value(g, METRIC_MEMORY_USED), total = top_value(g, METRIC_MEMORY_TOTAL);
        str_addf(out, "GPU %" PRIu32 " %s:", g->info.index, gpu_short_name(g->info.name));
        if (!isnan(used) && !isnan(total))
            str_addf(out, " %.1f of %.1f GiB used.", used / GIB, total / GIB);
        add_processes(out, &g->processes);
        add_value(out, g, METRIC_MEMORY_FREE, " free.");
        add_value(out, g, METRIC_UTILIZATION, " in use.");
        add_value(out, g, METRIC_TEMPERATURE, ".");
        add_value(out, g, METRIC_POWER, ".");
        str_addf(out, " State %s.", gpu_word(g));
        str_addf(out, top_sentence(g, text)[0] ? " It %s.\n" : "%s\n", text);
    }
}

static double step_of(const struct gpu_view *g, int i)
{
    double limit = top_value(g, METRIC_POWER_LIMIT);
    if (followed[i].metric == METRIC_POWER)
        return limit > 0 ? followed[i].step * limit : 50;
    return followed[i].step;
}

static void say_values(struct linear *last, const struct top_model *m, uint32_t gpu,
                       struct str *out)
{
    const struct gpu_view *g = &m->gpu[gpu];
    char now[METRIC_TEXT_MAX], then[METRIC_TEXT_MAX];
    for (int i = 0; i < LINEAR_VALUES; i++) {
        double v = top_value(g, followed[i].metric), *before = &last->gpu[gpu].value[i];
        if (isnan(v) || (last->started && !isnan(*before) && fabs(v - *before) < step_of(g, i)))
            continue;
        if (last->started && !isnan(*before)) {
            begin(out, m, g);
            str_addf(out, "%s %s, was %s\n", metric_text(followed[i].metric, v, now),
                     followed[i].name, metric_text(followed[i].metric, *before, then));
        }
        *before = v;
    }
}

static uint64_t throttle_of(const struct gpu_view *g)
{
    double v = top_value(g, METRIC_THROTTLE);
    return v > 0 && v < 9e18 ? (uint64_t)v & THROTTLE_COSTS : 0;
}

static void say_state(struct linear *last, const struct top_model *m, uint32_t gpu, struct str *out)
{
    const struct gpu_view *g = &m->gpu[gpu];
    char text[TOP_SENTENCE_MAX];
    uint64_t throttle = throttle_of(g);
    if (last->started && g->health.state != last->gpu[gpu].state) {
        begin(out, m, g);
        str_addf(out, "%s", gpu_state_name[g->health.state]);
        str_addf(out, top_sentence(g, text)[0] ? ": it %s\n" : "%s\n", text);
    } else if (last->started && throttle != last->gpu[gpu].throttle) {
        begin(out, m, g);
        throttle_text(throttle, text, sizeof(text));
        str_addf(out, "%s%s\n", throttle ? "throttled: " : "no longer throttled", text);
    }
    if (last->started && g->level.level != last->gpu[gpu].level) {
        begin(out, m, g);
        str_addf(out, "level %s%s%s\n", level_name[g->level.level], g->level.reasons[0] ? ", " : "",
                 g->level.reasons);
    }
    last->gpu[gpu].state = g->health.state;
    last->gpu[gpu].level = g->level.level;
    last->gpu[gpu].throttle = throttle;
}

static bool among(const uint32_t *pids, int n, uint32_t pid)
{
    for (int i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

static void say_processes(struct linear *last, const struct top_model *m, uint32_t gpu,
                          struct str *out)
{
    const struct gpu_view *g = &m->gpu[gpu];
    const struct process_table *t = &g->processes;
    char text[METRIC_TEXT_MAX];
    uint32_t now[PROCESSES_MAX];
    for (int i = 0; i < t->n; i++) {
        const struct process *p = &t->process[i];
        now[i] = p->pid;
        if (!last->started || among(last->gpu[gpu].pid, last->gpu[gpu].n, p->pid))
            continue;
        begin(out, m, g);
        str_addf(out, "%s (%" PRIu32 ") has come", p->name, p->local_pid ? p->local_pid : p->pid);
        if (p->memory_bytes != UINT64_MAX)
            str_addf(out, ", %s", metric_text(METRIC_MEMORY_USED, (double)p->memory_bytes, text));
        str_add(out, "\n");
    }
    for (int i = 0; last->started && i < last->gpu[gpu].n; i++) {
        if (among(now, t->n, last->gpu[gpu].pid[i]))
            continue;
        begin(out, m, g);
        str_addf(out, "process %" PRIu32 " has gone\n", last->gpu[gpu].pid[i]);
    }
    memcpy(last->gpu[gpu].pid, now, t->n * sizeof(now[0]));
    last->gpu[gpu].n = t->n;
}

void linear_changes(struct linear *last, const struct top_model *m, struct str *out)
{
    if (!last->started) {
        for (uint32_t g = 0; g < TELEMETRY_MAX_GPUS; g++)
            for (int i = 0; i < LINEAR_VALUES; i++)
                last->gpu[g].value[i] = (double)NAN;
        linear_status(m, out);
    }
    for (uint32_t g = 0; g < m->n; g++) {
        say_state(last, m, g, out);
        say_values(last, m, g, out);
        say_processes(last, m, g, out);
    }
    last->started = true;
}
