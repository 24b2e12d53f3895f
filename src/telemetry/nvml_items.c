/* nvml_items: readings that have a call of their own, a few of them a tick. */
#include <string.h>

#include "base/clock.h"
#include "telemetry/nvml_card.h"

enum { RETRY_S = 60 };

struct item {
    enum metric metric;
    double every_s;   /* how often it is worth a call; 0: every tick, where no field value tells it */
    double scale;     /* to the metric's unit */
    double least, most; /* anything outside is a wild value and not shown */
};

static const struct item items[NVML_ITEMS] = {
    [NVML_CLOCK_SM] = {METRIC_CLOCK_SM, 1, 1, 0, 1e5},
    [NVML_THROTTLE] = {METRIC_THROTTLE, 1, 1, 0, 9e15},
    [NVML_CLOCK_MEMORY] = {METRIC_CLOCK_MEMORY, 5, 1, 0, 1e5},
    [NVML_CLOCK_VIDEO] = {METRIC_CLOCK_VIDEO, 10, 1, 0, 1e5},
    [NVML_FAN] = {METRIC_FAN, 4, 1, 0, 200},
    [NVML_ENCODER] = {METRIC_ENCODER, 4, 1, 0, 100},
    [NVML_DECODER] = {METRIC_DECODER, 4, 1, 0, 100},
    [NVML_PCIE_GEN] = {METRIC_PCIE_GEN, 4, 1, 1, 16},
    [NVML_PCIE_WIDTH] = {METRIC_PCIE_WIDTH, 4, 1, 1, 64},
    [NVML_PSTATE] = {METRIC_PSTATE, 10, 1, 0, 15},
    [NVML_POWER_LIMIT] = {METRIC_POWER_LIMIT, 5, 1e-3, 1e-3, 1e4},
    [NVML_POWER] = {METRIC_POWER, 0, 1e-3, 0, 1e4},
    [NVML_ENERGY] = {METRIC_ENERGY, 0, 1e-3, 0, 1e15},
};

static int ask(struct source_gpu *g, struct nvml_card *c, enum nvml_item item, double *out)
{
    uint32_t u = 0, period = 0;
    uint64_t big = 0;
    int code = NV_FUNCTION_NOT_FOUND;
    switch (item) {
    case NVML_CLOCK_SM: code = NVML_ASK(g, c, clock, c->dev, 1, &u); break;
    case NVML_CLOCK_MEMORY: code = NVML_ASK(g, c, clock, c->dev, 2, &u); break;
    case NVML_CLOCK_VIDEO: code = NVML_ASK(g, c, clock, c->dev, 3, &u); break;
    case NVML_THROTTLE: code = NVML_ASK(g, c, throttle, c->dev, &big); break;
    case NVML_FAN: code = NVML_ASK(g, c, fan, c->dev, &u); break;
    case NVML_ENCODER: code = NVML_ASK(g, c, encoder, c->dev, &u, &period); break;
    case NVML_DECODER: code = NVML_ASK(g, c, decoder, c->dev, &u, &period); break;
    case NVML_PCIE_GEN: code = NVML_ASK(g, c, pcie_gen, c->dev, &u); break;
    case NVML_PCIE_WIDTH: code = NVML_ASK(g, c, pcie_width, c->dev, &u); break;
    case NVML_PSTATE: code = NVML_ASK(g, c, pstate, c->dev, &u); break;
    case NVML_POWER_LIMIT: code = NVML_ASK(g, c, power_limit, c->dev, &u); break;
    case NVML_POWER: code = NVML_ASK(g, c, power, c->dev, &u); break;
    case NVML_ENERGY: code = NVML_ASK(g, c, energy, c->dev, &big); break;
    case NVML_ITEMS: break;
    }
    *out = item == NVML_THROTTLE || item == NVML_ENERGY ? (double)big : (double)u;
    return code;
}

static void read_item(struct source_gpu *g, struct nvml_card *c, enum nvml_item i, uint64_t now_ns, struct sample *s)
{
    double value = 0;
    int code = ask(g, c, i, &value);
    c->item_ns[i] = now_ns;
    value *= items[i].scale;
    if (code == NV_OK && value >= items[i].least && value <= items[i].most) {
        sample_set(s, items[i].metric, value);
        return;
    }
    if (nvml_lacks(code))
        c->refused_ns[i] = now_ns;
    else if (code != NV_OK && sample_has(s, items[i].metric))
        source_note(g, metric_info[items[i].metric].name, nv_text(nvml_driver_calls(c->driver), code));
    sample_clear(s, items[i].metric);
}

/* How overdue: 1 and more is due; 0 never. */
static double urgency(const struct nvml_card *c, enum nvml_item i, const struct source_tick *tick)
{
    if (c->field_gives[items[i].metric])
        return 0;
    if (c->refused_ns[i] && tick->now_ns - c->refused_ns[i] < RETRY_S * (uint64_t)CLOCK_NS_PER_S)
        return 0;
    if (items[i].every_s <= 0 || !c->item_ns[i])
        return 1e9;
    /* a tick that comes a little early still counts */
    double since_s = (double)(tick->now_ns - c->item_ns[i]) / (double)CLOCK_NS_PER_S + 0.25 / tick->hz;
    return since_s / items[i].every_s;
}

void nvml_read_items(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick, int calls,
                     struct sample *s)
{
    bool done[NVML_ITEMS] = {false};
    for (; calls > 0; calls--) {
        int best = -1;
        double most = 1 - 1e-9;
        for (int i = 0; i < NVML_ITEMS; i++) {
            double u = done[i] ? 0 : urgency(c, (enum nvml_item)i, tick);
            if (u > most) {
                most = u;
                best = i;
            }
        }
        if (best < 0)
            return;
        read_item(g, c, (enum nvml_item)best, tick->now_ns, s);
        done[best] = true;
    }
}
