/* process: another process held by a descriptor, so that a number that was given away again never
 * hits a stranger. */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor of the process that has this number now (own_fd); -1 with ERR_1110 when there is
 * none. Whoever knows more about it looks again after this: it may be another one than a list said.
 */
int process_hold(uint32_t pid, struct err *err);

/* This process, or one that it descends from: ending it would end us. */
bool process_is_above_us(uint32_t pid);

/* SIGTERM, then wait for its end, at most so long. ERR_1109 it is somebody else's, ERR_1110 it did
 * not end. */
bool process_end(int held, int timeout_ms, struct err *err);

#endif
