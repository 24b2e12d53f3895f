/* deadline: a thread, and a note of who owns the work when its time is over. */
#include "base/deadline.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

struct job {
    void (*run)(void *ctx);
    void (*drop)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished, abandoned;
};

static atomic_int left_behind;

static void free_job(struct job *j)
{
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->done);
    free(j);
}

static void *work(void *arg)
{
    struct job *j = arg;
    j->run(j->ctx);
    pthread_mutex_lock(&j->lock);
    j->finished = true;
    bool abandoned = j->abandoned;
    pthread_cond_signal(&j->done);
    pthread_mutex_unlock(&j->lock);
    if (abandoned) {
        j->drop(j->ctx);
        free_job(j);
        atomic_fetch_sub(&left_behind, 1);
    }
    return NULL;
}

static struct job *start(void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx,
                         pthread_t *thread)
{
    struct job *j = calloc(1, sizeof(*j));
    pthread_condattr_t attr;
    if (!j)
        return NULL;
    j->run = run;
    j->drop = drop;
    j->ctx = ctx;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->done, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(thread, NULL, work, j) == 0)
        return j;
    free_job(j);
    return NULL;
}

enum deadline_end deadline_run(void (*run)(void *ctx), void (*drop)(void *ctx), void *ctx,
                               uint64_t timeout_ns)
{
    pthread_t thread;
    struct job *j = start(run, drop, ctx, &thread);
    if (!j)
        return DEADLINE_NO_THREAD;
    uint64_t until_ns = clock_mono_ns() + timeout_ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / (uint64_t)CLOCK_NS_PER_S),
                             .tv_nsec = (long)(until_ns % (uint64_t)CLOCK_NS_PER_S)};
    pthread_mutex_lock(&j->lock);
    while (!j->finished && pthread_cond_timedwait(&j->done, &j->lock, &until) != ETIMEDOUT)
        ;
    bool finished = j->finished;
    j->abandoned = !finished;
    if (!finished)
        atomic_fetch_add(&left_behind, 1);
    pthread_mutex_unlock(&j->lock);
    if (!finished) {
        pthread_detach(thread);
        return DEADLINE_LATE;
    }
    pthread_join(thread, NULL);
    free_job(j);
    return DEADLINE_DONE;
}

void deadline_enter(void)
{
    atomic_fetch_add(&left_behind, 1);
}

void deadline_leave(void)
{
    atomic_fetch_sub(&left_behind, 1);
}

bool deadline_left_behind(void)
{
    return atomic_load(&left_behind) > 0;
}
