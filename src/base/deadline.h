/* deadline: work that may never come back, such as a call into a driver, on a thread that can be
 * left behind. */
#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum deadline_end { DEADLINE_DONE, DEADLINE_LATE, DEADLINE_NO_THREAD };

/* Calls run(ctx) on a thread of its own and waits for it, at most so long. DONE, NO_THREAD (run was
 * not called): ctx is the caller's. LATE: ctx is the thread's, which calls drop(ctx) if run ever
 * returns. */
enum deadline_end deadline_run(void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx,
                               uint64_t timeout_ns);

/* Around the life of any other thread that may stand inside of a driver when the process ends. */
void deadline_enter(void);
void deadline_leave(void);

/* A thread was left behind and has not come back, or another one may stand inside of a driver: end the process by
 * _exit, for what exit() calls may wait for it, or take away what it stands on. */
bool deadline_left_behind(void);

#endif
