/* level: how serious a sample is, by thresholds per GPU; a reading, not an alert. */
#ifndef TELEMETRY_LEVEL_H
#define TELEMETRY_LEVEL_H

#include "telemetry/sample.h"

enum level { LEVEL_NORMAL, LEVEL_WARNING, LEVEL_CRITICAL, LEVEL_EMERGENCY, LEVEL_COUNT };
extern const char *const level_name[LEVEL_COUNT]; /* "NORMAL", ... */

/* Bounds are inclusive; 0 turns one off. Percent of memory, °C, percent of the power limit. */
struct level_table {
    double memory[LEVEL_COUNT], temperature[LEVEL_COUNT], power[LEVEL_COUNT];
};

/* 75/90/95 % of memory, 70/80/90 °C, 90/98 % of the power limit (power is never an emergency). */
extern const struct level_table level_table_default;

struct level_reading {
    enum level level;
    enum level memory, temperature, power;
    char reasons[160]; /* "memory 95.2 % >= 95 %; temperature 83 C >= 80 C", the worst first; "" when normal */
};

/* A level that does not flap: it rises at once, and falls when the reading has been lower for LEVEL_HOLD_S without
 * a break, by a margin of one point of memory and two of temperature and power. Zeroed is a valid start. */
enum { LEVEL_HOLD_S = 5 };
struct level_hold {
    enum level level;
    uint64_t lower_since_ns; /* 0: it is not lower */
};
enum level level_steady(struct level_hold *h, const struct sample *s, const struct level_table *t);

/* The highest of the levels of what is known; what is unknown says nothing. */
void level_read(const struct sample *s, const struct level_table *t, struct level_reading *out);

#endif
