/* sample: what follows from one sample's values. */
#include "telemetry/sample.h"

#include <stdio.h>
#include <string.h>

const char *const gpu_state_name[GPU_STATE_COUNT] = {
    [GPU_OK] = "ok",         [GPU_DEGRADED] = "degraded", [GPU_STALE] = "stale", [GPU_SUSPENDED] = "suspended",
    [GPU_DENIED] = "denied", [GPU_HUNG] = "hung",         [GPU_LOST] = "lost",
};

double sample_memory_percent(const struct sample *s)
{
    if (!sample_has(s, METRIC_MEMORY_USED) || !sample_has(s, METRIC_MEMORY_TOTAL) ||
        s->value[METRIC_MEMORY_TOTAL] <= 0)
        return -1;
    double reserved = sample_has(s, METRIC_MEMORY_RESERVED) ? s->value[METRIC_MEMORY_RESERVED] : 0;
    double percent = 100 * (s->value[METRIC_MEMORY_USED] + reserved) / s->value[METRIC_MEMORY_TOTAL];
    return percent > 100 ? 100 : percent;
}

static const double mib = 1048576;

char *sample_memory_text(const struct sample *s, char *out, size_t size)
{
    double percent = sample_memory_percent(s);
    if (percent < 0) {
        snprintf(out, size, "n/a");
        return out;
    }
    double total = s->value[METRIC_MEMORY_TOTAL];
    snprintf(out, size, "%.0f/%.0f MB (%.1f%%)", percent / 100 * total / mib, total / mib, percent);
    return out;
}

char *sample_pcie_text(const struct sample *s, char *out, size_t size)
{
    bool tx = sample_has(s, METRIC_PCIE_TX), rx = sample_has(s, METRIC_PCIE_RX);
    size_t n = 0;
    if (size)
        out[0] = 0;
    if (tx)
        n = (size_t)snprintf(out, size, "TX: %.1f MB/s%s", s->value[METRIC_PCIE_TX] / mib, rx ? ", " : "");
    if (rx && n < size)
        snprintf(out + n, size - n, "RX: %.1f MB/s", s->value[METRIC_PCIE_RX] / mib);
    return out;
}

char *throttle_text(uint64_t bits, char *out, size_t size)
{
    static const struct {
        uint64_t bit;
        const char *word;
    } words[] = {
        {THROTTLE_HARDWARE_THERMAL, "heat (hardware)"},
        {THROTTLE_THERMAL, "heat"},
        {THROTTLE_POWER_BRAKE, "power brake"},
        {THROTTLE_POWER_CAP, "power cap"},
        {THROTTLE_HARDWARE, "hardware slowdown"},
        {THROTTLE_SYNC_BOOST, "sync boost"},
        {THROTTLE_APPLICATION_CLOCKS, "application clocks"},
        {THROTTLE_DISPLAY_CLOCKS, "display clocks"},
    };
    size_t n = 0;
    if (size)
        out[0] = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!(bits & words[i].bit) || n + 1 >= size)
            continue;
        int more = snprintf(out + n, size - n, "%s%s", n ? ", " : "", words[i].word);
        n = more < 0 || (size_t)more >= size - n ? size - 1 : n + (size_t)more;
    }
    return out;
}
