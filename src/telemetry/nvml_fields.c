/* nvml_fields: many readings in one call, and rates from counters. */
#include <string.h>

#include "base/clock.h"
#include "telemetry/nvml_card.h"

enum { SLOW_MS = 1000, ALL_LINKS = -1 };

/* Field ids of nvml.h 13.3; every one may be missing on a card. */
struct field {
    uint32_t id, scope;
    bool slow; /* asked once a second */
    enum metric metric;
    double scale;
    int rate; /* number of its rate, or -1: the value itself */
};

static const struct field fields[] = {
    {186, 0, false, METRIC_POWER, 1e-3, -1},
    {83, 0, false, METRIC_ENERGY, 1e-3, -1},
    {82, 0, false, METRIC_MEMORY_TEMPERATURE, 1, -1},
    {198, 0, false, METRIC_PCIE_RX, 1, 0},
    {197, 0, false, METRIC_PCIE_TX, 1, 1},
    {190, 0, true, METRIC_POWER_LIMIT, 1e-3, -1},
    {139, (uint32_t)ALL_LINKS, true, METRIC_NVLINK_RX, 1024, 2},
    {138, (uint32_t)ALL_LINKS, true, METRIC_NVLINK_TX, 1024, 3},
    {3, 0, true, METRIC_ECC_CORRECTED, 1, -1},
    {4, 0, true, METRIC_ECC_UNCORRECTED, 1, -1},
    {142, 0, true, METRIC_ROWS_REMAPPED, 1, -1},
    {143, 0, true, METRIC_ROWS_REMAPPED, 1, -1}, /* corrected and uncorrected ones are added */
    {144, 0, true, METRIC_ROWS_PENDING, 1, -1},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static bool value_of(const struct nv_field *f, double *out)
{
    switch (f->type) {
    case 0: *out = f->value.d; break;
    case 1: *out = f->value.u; break;
    case 2:
    case 3: *out = (double)f->value.ull; break;
    case 4: *out = (double)f->value.ll; break;
    case 5: *out = f->value.i; break;
    case 6: *out = f->value.us; break;
    default: return false;
    }
    return *out >= -1e3 && *out <= 1e19; /* also false for NaN */
}

/* Bytes per second since the last reading. A counter of 32 bits wraps within a fraction of a second on a fast link, so
 * that only short spans of it mean something. */
static bool rate_of(struct nvml_rate *r, const struct nv_field *f, double counter, uint64_t now_ns, double *out)
{
    struct nvml_rate before = *r;
    *r = (struct nvml_rate){.counter = counter, .at_ns = now_ns};
    if (!before.at_ns || now_ns <= before.at_ns)
        return false;
    double seconds = (double)(now_ns - before.at_ns) / (double)CLOCK_NS_PER_S, delta = counter - before.counter;
    bool narrow = f->type == 1 || f->type == 6;
    if (delta < 0 && narrow)
        delta += 4294967296.0;
    if (delta < 0 || (narrow && seconds > 0.06))
        return false;
    *out = delta / seconds;
    return true;
}

static bool believable(enum metric m, double value)
{
    switch (m) {
    case METRIC_POWER:
    case METRIC_POWER_LIMIT:
        return value >= 0 && value < 1e4;
    case METRIC_MEMORY_TEMPERATURE:
        return value > -60 && value < 200;
    case METRIC_PCIE_RX:
    case METRIC_PCIE_TX:
    case METRIC_NVLINK_RX:
    case METRIC_NVLINK_TX:
        return value < 1e13;
    default:
        return value >= 0;
    }
}

static void take(struct source_gpu *g, struct nvml_card *c, const struct field *def, const struct nv_field *f,
                 uint64_t now_ns, struct sample *s)
{
    double value = 0;
    c->field_gives[def->metric] = f->code == NV_OK;
    if (f->code != NV_OK || !value_of(f, &value)) {
        if (f->code != NV_OK && !nvml_lacks(f->code) && sample_has(s, def->metric))
            source_note(g, metric_info[def->metric].name, nv_text(nvml_driver_calls(c->driver), f->code));
        sample_clear(s, def->metric);
        return;
    }
    value *= def->scale;
    if (def->rate >= 0 && !rate_of(&c->rate[def->rate], f, value, now_ns, &value)) {
        sample_clear(s, def->metric);
        return;
    }
    if (def->id == 143 && sample_has(s, METRIC_ROWS_REMAPPED))
        value += s->value[METRIC_ROWS_REMAPPED];
    if (believable(def->metric, value))
        sample_set(s, def->metric, value);
    else
        sample_clear(s, def->metric);
}

void nvml_read_fields(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick, struct sample *s)
{
    struct nv_field asked[FIELDS];
    const struct field *of[FIELDS];
    int n = 0;
    bool slow = !c->slow_fields_ns || (tick->now_ns - c->slow_fields_ns) / 1000000 + 10 >= SLOW_MS;
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].slow && !slow)
            continue;
        of[n] = &fields[i];
        asked[n++] = (struct nv_field){.id = fields[i].id, .scope = fields[i].scope, .code = NV_NOT_SUPPORTED};
    }
    int code = NVML_ASK(g, c, fields, c->dev, n, asked);
    if (slow)
        c->slow_fields_ns = tick->now_ns;
    uint64_t now_ns = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        if (code != NV_OK)
            asked[i].code = code;
        take(g, c, of[i], &asked[i], now_ns, s);
    }
}
