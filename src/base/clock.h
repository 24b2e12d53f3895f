/* clock: the time that only goes forward, and the time of day. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_S ((int64_t)1000000000)

/* Nanoseconds since some moment in the past; never goes back (CLOCK_MONOTONIC). */
uint64_t clock_mono_ns(void);

/* Nanoseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ns(void);

/* RFC 3339 in UTC, "2026-01-31T12:34:56.789Z", into out[CLOCK_TEXT_MAX]; returns out. */
#define CLOCK_TEXT_MAX 40
char *clock_rfc3339(int64_t wall_ns, char *out);

#endif
