/* trace_scale: how values become whole numbers in a trace. */
#ifndef TELEMETRY_TRACE_SCALE_H
#define TELEMETRY_TRACE_SCALE_H

#include "telemetry/metric.h"

static inline double trace_scale(enum metric m)
{
    switch (metric_info[m].unit) {
    case UNIT_BYTES:
    case UNIT_BYTES_PER_SECOND:
    case UNIT_COUNT:
    case UNIT_BITS:
        return 1;
    default:
        return 1000;
    }
}

#endif
