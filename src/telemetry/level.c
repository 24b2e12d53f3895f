/* level: thresholds against a sample, and the reasons in words. */
#include "telemetry/level.h"

#include <stdio.h>
#include <string.h>

const char *const level_name[LEVEL_COUNT] = {
    [LEVEL_NORMAL] = "NORMAL",
    [LEVEL_WARNING] = "WARNING",
    [LEVEL_CRITICAL] = "CRITICAL",
    [LEVEL_EMERGENCY] = "EMERGENCY",
};

const struct level_table level_table_default = {
    .memory = {[LEVEL_WARNING] = 75, [LEVEL_CRITICAL] = 90, [LEVEL_EMERGENCY] = 95},
    .temperature = {[LEVEL_WARNING] = 70, [LEVEL_CRITICAL] = 80, [LEVEL_EMERGENCY] = 90},
    .power = {[LEVEL_WARNING] = 90, [LEVEL_CRITICAL] = 98},
};

static enum level reached(const double bounds[LEVEL_COUNT], double value)
{
    for (int l = LEVEL_EMERGENCY; l > LEVEL_NORMAL; l--)
        if (bounds[l] > 0 && value >= bounds[l])
            return (enum level)l;
    return LEVEL_NORMAL;
}

struct reason {
    const char *name, *unit, *bound_unit;
    int decimals;
    enum level level;
    double value, bound;
};

static void say(struct level_reading *out, const struct reason *r)
{
    size_t n = strlen(out->reasons);
    char one[64];
    snprintf(one, sizeof(one), "%s %.*f%s >= %.4g%s", r->name, r->decimals, r->value, r->unit, r->bound,
             r->bound_unit);
    if (n + strlen(one) + 3 < sizeof(out->reasons))
        snprintf(out->reasons + n, sizeof(out->reasons) - n, "%s%s", n ? "; " : "", one);
}

void level_read(const struct sample *s, const struct level_table *t, struct level_reading *out)
{
    *out = (struct level_reading){.level = LEVEL_NORMAL};
    struct reason reasons[3] = {{.name = "memory", .unit = " %", .bound_unit = " %", .decimals = 1},
                                {.name = "temperature", .unit = " C", .bound_unit = " C"},
                                {.name = "power", .unit = " % of its limit", .bound_unit = " %", .decimals = 1}};
    const double *bounds[3] = {t->memory, t->temperature, t->power};
    double memory = sample_memory_percent(s);
    double limit = sample_has(s, METRIC_POWER_LIMIT) ? s->value[METRIC_POWER_LIMIT] : 0;
    reasons[0].value = memory;
    reasons[1].value = sample_has(s, METRIC_TEMPERATURE) ? s->value[METRIC_TEMPERATURE] : -1;
    reasons[2].value = limit > 0 && sample_has(s, METRIC_POWER) ? 100 * s->value[METRIC_POWER] / limit : -1;

    for (int i = 0; i < 3; i++) {
        reasons[i].level = reached(bounds[i], reasons[i].value);
        reasons[i].bound = bounds[i][reasons[i].level];
        if (reasons[i].level > out->level)
            out->level = reasons[i].level;
    }
    out->memory = reasons[0].level;
    out->temperature = reasons[1].level;
    out->power = reasons[2].level;
    for (int l = LEVEL_EMERGENCY; l > LEVEL_NORMAL; l--)
        for (int i = 0; i < 3; i++)
            if (reasons[i].level == (enum level)l)
                say(out, &reasons[i]);
}

static const double margin_memory = 1, margin_temperature = 2, margin_power = 2;

/* The same table with every bound lower by its margin: what must be left for a level to end. */
static struct level_table lower_by_margin(const struct level_table *t)
{
    struct level_table low = *t;
    for (int l = LEVEL_WARNING; l < LEVEL_COUNT; l++) {
        low.memory[l] -= low.memory[l] > margin_memory ? margin_memory : 0;
        low.temperature[l] -= low.temperature[l] > margin_temperature ? margin_temperature : 0;
        low.power[l] -= low.power[l] > margin_power ? margin_power : 0;
    }
    return low;
}

enum level level_steady(struct level_hold *h, const struct sample *s, const struct level_table *t)
{
    struct level_table low = lower_by_margin(t);
    struct level_reading now, held;
    level_read(s, t, &now);
    level_read(s, &low, &held);
    if (now.level > h->level)
        h->level = now.level;
    if (held.level >= h->level) {
        h->lower_since_ns = 0;
        return h->level;
    }
    if (!h->lower_since_ns)
        h->lower_since_ns = s->mono_ns;
    if (s->mono_ns - h->lower_since_ns >= LEVEL_HOLD_S * UINT64_C(1000000000)) {
        h->level = held.level;
        h->lower_since_ns = 0;
    }
    return h->level;
}
