/* replay: reads a trace's GPUs first, then plays its samples at their pace. */
#include "api/replay.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "telemetry/trace.h"

struct replay {
    struct sampler_sink sink;
    double speed;
    void *data;
    size_t size;
    struct trace_reader *reader;
    uint32_t n;
    struct gpu_info info[TELEMETRY_MAX_GPUS];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, ended, truncated;
};

static bool read_file(struct replay *r, const char *path, struct err *err)
{
    struct file *f = NULL;
    uint64_t size = 0;
    if (!file_open(path, path, 0, &f, &size, err))
        return false;
    if (size > REPLAY_BYTES_MAX) {
        file_close(f);
        err_set(err, ERR_1301, "%s is %.1f GiB large; traces are read up to %d GiB", path, (double)size / (1 << 30),
                REPLAY_BYTES_MAX >> 30);
        return err_fix(err, NULL, "record a shorter time, or fewer samples a second");
    }
    r->data = malloc(size ? size : 1);
    r->size = size;
    bool ok = r->data || err_set(err, ERR_1201, "no memory for a trace of %zu bytes", r->size);
    ok = ok && file_read_at(f, 0, r->data, r->size, err);
    file_close(f);
    return ok;
}

/* The GPUs of the trace: those that are described, and their number. A damaged end does not hide the beginning. */
static bool read_gpus(struct replay *r, const char *path, struct err *err)
{
    enum trace_record record;
    struct err damage = {0};
    if (!trace_open(r->reader, r->data, r->size, err))
        return err_prefix(err, "%s", path);
    while (trace_next(r->reader, &record, &damage) && record != TRACE_END) {
        if (record != TRACE_GPU)
            continue;
        r->info[r->reader->info.index] = r->reader->info;
        if (r->reader->info.index >= r->n)
            r->n = r->reader->info.index + 1u;
    }
    if (r->n == 0) {
        err_set(err, ERR_1301, "%s holds no GPU", path);
        return err_fix(err, "dualgpuopt record FILE", "record again");
    }
    return trace_open(r->reader, r->data, r->size, err);
}

/* Sleep until due_ns; false to stop. */
static bool sleep_until(struct replay *r, uint64_t due_ns)
{
    struct timespec at = {.tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S), .tv_nsec = (long)(due_ns % CLOCK_NS_PER_S)};
    pthread_mutex_lock(&r->lock);
    while (!r->stop && clock_mono_ns() < due_ns && pthread_cond_timedwait(&r->wake, &r->lock, &at) != ETIMEDOUT)
        ;
    bool go_on = !r->stop;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

/* Longer pauses than an hour of the trace are a wild time, and are left out. */
static uint64_t due(const struct replay *r, uint64_t *last_ns, uint64_t mono_ns, uint64_t before_ns)
{
    const uint64_t most_ns = 3600 * (uint64_t)CLOCK_NS_PER_S;
    uint64_t step_ns = *last_ns && mono_ns > *last_ns ? mono_ns - *last_ns : 0;
    *last_ns = mono_ns;
    return before_ns + (step_ns > most_ns ? 0 : (uint64_t)((double)step_ns / r->speed));
}

static void *play(void *arg)
{
    struct replay *r = arg;
    struct trace_reader *t = r->reader;
    enum trace_record record = TRACE_END;
    struct err damage = {0};
    uint64_t due_ns = clock_mono_ns(), last_ns = 0;
    while (trace_next(t, &record, &damage) && record != TRACE_END) {
        if (record == TRACE_GPU)
            continue;
        bool sample = record == TRACE_SAMPLE;
        due_ns = due(r, &last_ns, sample ? t->sample.mono_ns : t->processes.mono_ns, due_ns);
        if (!sleep_until(r, due_ns))
            break;
        t->sample.mono_ns = t->processes.mono_ns = due_ns;
        if (sample && t->sample.gpu < r->n)
            r->sink.sample(r->sink.to, &t->sample);
        if (!sample && t->processes.gpu < r->n)
            r->sink.processes(r->sink.to, &t->processes);
    }
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    r->truncated = t->truncated || damage.code != ERR_NONE;
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void free_replay(struct replay *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r->reader);
    free(r->data);
    free(r);
}

bool replay_start(struct replay **out, const char *path, double speed, const struct sampler_sink *sink, struct err *err)
{
    struct replay *r = calloc(1, sizeof(*r));
    pthread_condattr_t attr;
    if (!r)
        return err_set(err, ERR_1201, "no memory for a replay");
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    r->sink = *sink;
    r->speed = speed;
    r->reader = malloc(sizeof(*r->reader));
    bool ok = r->reader || err_set(err, ERR_1201, "no memory for a replay");
    ok = ok && read_file(r, path, err) && read_gpus(r, path, err);
    if (ok && pthread_create(&r->thread, NULL, play, r) != 0)
        ok = err_set(err, ERR_1201, "no thread for a replay");
    if (!ok) {
        free_replay(r);
        return false;
    }
    *out = r;
    return true;
}

void replay_stop(struct replay *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    free_replay(r);
}

uint32_t replay_count(const struct replay *r)
{
    return r->n;
}

const struct gpu_info *replay_info(const struct replay *r, uint32_t gpu)
{
    return &r->info[gpu];
}

static bool flag(struct replay *r, const bool *which)
{
    pthread_mutex_lock(&r->lock);
    bool value = *which;
    pthread_mutex_unlock(&r->lock);
    return value;
}

bool replay_ended(struct replay *r)
{
    return flag(r, &r->ended);
}

bool replay_truncated(struct replay *r)
{
    return flag(r, &r->truncated);
}
