/* metric: the table, looked up by name, and values in words. */
#include "telemetry/metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct metric_info metric_info[METRIC_COUNT] = {
#define METRIC(id, name_, unit_, kind_, heading_, help_) \
    [METRIC_##id] = {.name = name_, .unit = UNIT_##unit_, .kind = METRIC_##kind_, .heading = heading_, .help = help_},
#include "telemetry/metrics.def"
#undef METRIC
};
_Static_assert(METRIC_COUNT <= 64, "struct sample keeps one bit per metric");

bool metric_find(const char *name, enum metric *out)
{
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (strcmp(metric_info[m].name, name) == 0) {
            *out = (enum metric)m;
            return true;
        }
    }
    return false;
}

/* Binary prefixes from KiB on; one decimal, so that a column of them can be compared. */
static char *bytes_text(double value, const char *per, char *out)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (fabs(value) >= 1024 && i < 4) {
        value /= 1024;
        i++;
    }
    snprintf(out, METRIC_TEXT_MAX, i ? "%.1f %s%s" : "%.0f %s%s", value, unit[i], per);
    return out;
}

static char *joules_text(double joules, char *out)
{
    if (joules < 36e3)
        snprintf(out, METRIC_TEXT_MAX, "%.1f J", joules);
    else
        snprintf(out, METRIC_TEXT_MAX, "%.3f kWh", joules / 3.6e6);
    return out;
}

char *metric_text(enum metric m, double value, char out[METRIC_TEXT_MAX])
{
    switch (metric_info[m].unit) {
    case UNIT_PERCENT:
        snprintf(out, METRIC_TEXT_MAX, "%.0f%%", value);
        return out;
    case UNIT_BYTES:
        return bytes_text(value, "", out);
    case UNIT_BYTES_PER_SECOND:
        return bytes_text(value, "/s", out);
    case UNIT_CELSIUS:
        snprintf(out, METRIC_TEXT_MAX, "%.0f C", value);
        return out;
    case UNIT_WATTS:
        snprintf(out, METRIC_TEXT_MAX, "%.0f W", value);
        return out;
    case UNIT_JOULES:
        return joules_text(value, out);
    case UNIT_MEGAHERTZ:
        snprintf(out, METRIC_TEXT_MAX, value < 1000 ? "%.0f MHz" : "%.2f GHz", value < 1000 ? value : value / 1000);
        return out;
    case UNIT_BITS:
        snprintf(out, METRIC_TEXT_MAX, "0x%llx", (unsigned long long)value);
        return out;
    case UNIT_COUNT:
        break;
    }
    snprintf(out, METRIC_TEXT_MAX, "%.0f", value);
    return out;
}
