/* metric: the table of everything that is measured on a GPU. */
#ifndef TELEMETRY_METRIC_H
#define TELEMETRY_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric {
#define METRIC(id, name, unit, kind, heading, help) METRIC_##id,
#include "telemetry/metrics.def"
#undef METRIC
    METRIC_COUNT
};

enum unit {
    UNIT_PERCENT, UNIT_BYTES, UNIT_BYTES_PER_SECOND, UNIT_CELSIUS, UNIT_WATTS, UNIT_JOULES, UNIT_MEGAHERTZ,
    UNIT_COUNT, UNIT_BITS,
};

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_FIXED };

struct metric_info {
    const char *name; /* "memory_used": of series, JSON and rules */
    enum unit unit;
    enum metric_kind kind;
    const char *heading; /* of a column */
    const char *help;    /* one sentence, no full stop */
};

extern const struct metric_info metric_info[METRIC_COUNT];

/* The metric of that name; false if there is none. */
bool metric_find(const char *name, enum metric *out);

/* The value with its unit for people: "30.1 GiB", "64 C", "262 W", "2.6 GHz", "957.1 MiB/s". Returns out. */
enum { METRIC_TEXT_MAX = 64 };
char *metric_text(enum metric m, double value, char out[METRIC_TEXT_MAX]);

#endif
