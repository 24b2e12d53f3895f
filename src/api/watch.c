/* watch: samples of this machine or of a trace fill the history; views are made when they are asked for. */
#include "api/watch.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/replay.h"
#include "base/clock.h"

struct watch {
    struct sampler *sampler; /* one of the two */
    struct replay *replay;
    struct history *history;
    struct sampler_sink also;
    double hz;
    struct level_hold hold[TELEMETRY_MAX_GPUS]; /* each of the thread of its GPU */
    atomic_int level[TELEMETRY_MAX_GPUS];       /* what it says, for everybody */
};

static void keep_sample(void *to, const struct sample *s)
{
    struct watch *w = to;
    if (s->gpu < TELEMETRY_MAX_GPUS)
        atomic_store(&w->level[s->gpu], (int)level_steady(&w->hold[s->gpu], s, &level_table_default));
    history_push(w->history, s);
    if (w->also.sample)
        w->also.sample(w->also.to, s);
}

static void keep_processes(void *to, const struct process_table *t)
{
    struct watch *w = to;
    history_push_processes(w->history, t);
    if (w->also.processes)
        w->also.processes(w->also.to, t);
}

static struct watch *new_watch(const struct watch_options *o, double hz, struct err *err)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w) {
        err_set(err, ERR_1201, "no memory to watch GPUs");
        return NULL;
    }
    w->hz = hz;
    if (o->also)
        w->also = *o->also;
    if (!history_new(&w->history, TELEMETRY_MAX_GPUS, hz, o->seconds > 0 ? o->seconds : 60, err)) {
        free(w);
        return NULL;
    }
    return w;
}

static void free_watch(struct watch *w)
{
    history_free(w->history);
    free(w);
}

/* A thread per GPU would get a heap of its own each; what they allocate is little, and long before they are busy. */
static void share_heap(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
#endif
}

bool watch_start(struct watch **out, const struct watch_options *options, struct err *err)
{
    share_heap();
    double hz = options->hz > 0 ? options->hz : 1;
    struct watch *w = new_watch(options, hz, err);
    if (!w)
        return false;
    struct sampler_options o = {.hz = hz, .process_s = options->process_s, .gpu_limit = options->gpu_limit,
                                .sysfs_root = options->sysfs_root, .proc_root = options->proc_root};
    struct sampler_sink sink = {.to = w, .sample = keep_sample, .processes = keep_processes};
    if (!sampler_start(&w->sampler, &o, &sink, err)) {
        free_watch(w);
        return false;
    }
    *out = w;
    return true;
}

bool watch_replay(struct watch **out, const char *path, double speed, const struct watch_options *options,
                  struct err *err)
{
    /* how dense a trace is shows only as it is played: room for the densest that is recorded by default */
    struct watch *w = new_watch(options, speed > 5 ? 50 : 10, err);
    if (!w)
        return false;
    struct sampler_sink sink = {.to = w, .sample = keep_sample, .processes = keep_processes};
    if (!replay_start(&w->replay, path, speed, &sink, err)) {
        free_watch(w);
        return false;
    }
    *out = w;
    return true;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    replay_stop(w->replay);
    sampler_stop(w->sampler);
    free_watch(w);
}

/* A replay's first samples come at once. */
static void settle_replay(struct watch *w)
{
    struct sample s;
    for (int i = 0; i < 200; i++) {
        bool all = true;
        for (uint32_t g = 0; g < watch_count(w); g++)
            all = all && history_newest(w->history, g, &s);
        if (all || replay_ended(w->replay))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

void watch_settle(struct watch *w)
{
    if (w->replay)
        settle_replay(w);
    else
        sampler_wait_first(w->sampler, 2 * (uint64_t)CLOCK_NS_PER_S);
}

uint32_t watch_count(const struct watch *w)
{
    return w->replay ? replay_count(w->replay) : sampler_count(w->sampler);
}

static void read_info(struct watch *w, uint32_t gpu, struct gpu_info *out)
{
    if (w->replay)
        *out = *replay_info(w->replay, gpu);
    else
        sampler_info(w->sampler, gpu, out);
}

/* A trace says what state its GPU was in, not why. */
static void replay_health(const struct gpu_view *v, struct gpu_health *out)
{
    *out = (struct gpu_health){.state = v->has_sample ? (enum gpu_state)v->sample.state : GPU_STALE,
                               .age_ns = v->has_sample ? clock_mono_ns() - v->sample.mono_ns : UINT64_MAX};
}

/* A level that just ended is still shown for a while, and says so. */
static void keep_level(struct watch *w, uint32_t gpu, struct level_reading *r)
{
    enum level steady = gpu < TELEMETRY_MAX_GPUS ? (enum level)atomic_load(&w->level[gpu]) : r->level;
    if (steady <= r->level)
        return;
    r->level = steady;
    size_t n = strlen(r->reasons);
    snprintf(r->reasons + n, sizeof(r->reasons) - n, "%sit was %s within the last %d s", n ? "; " : "",
             level_name[steady], LEVEL_HOLD_S);
}

void watch_view(struct watch *w, uint32_t gpu, struct gpu_view *out)
{
    read_info(w, gpu, &out->info);
    out->has_sample = history_newest(w->history, gpu, &out->sample);
    if (!out->has_sample)
        out->sample = (struct sample){.gpu = (uint16_t)gpu};
    if (w->replay)
        replay_health(out, &out->health);
    else
        sampler_health(w->sampler, gpu, &out->health);
    level_read(&out->sample, &level_table_default, &out->level);
    keep_level(w, gpu, &out->level);
    out->has_processes = history_processes(w->history, gpu, &out->processes);
    if (!out->has_processes) {
        out->processes.gpu = (uint16_t)gpu;
        out->processes.n = out->processes.left_out = 0;
        out->processes.known = false;
        out->processes.unattributed_bytes = UINT64_MAX;
    }
}

struct gpu_view *watch_views(struct watch *w, struct err *err)
{
    struct gpu_view *views = calloc(watch_count(w) ? watch_count(w) : 1, sizeof(*views));
    for (uint32_t i = 0; views && i < watch_count(w); i++)
        watch_view(w, i, &views[i]);
    if (!views)
        err_set(err, ERR_1201, "no memory for the views of %u GPUs", watch_count(w));
    return views;
}

bool watch_simulated(struct watch *w)
{
    struct gpu_info info;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        read_info(w, i, &info);
        if (info.simulated)
            return true;
    }
    return false;
}

bool watch_ended(struct watch *w)
{
    return w->replay && replay_ended(w->replay);
}

bool watch_truncated(struct watch *w)
{
    return w->replay && replay_truncated(w->replay);
}

struct history *watch_history(struct watch *w)
{
    return w->history;
}

void watch_set_rate(struct watch *w, double hz)
{
    /* the history was made for one rate: a faster one would make it shorter */
    if (w->sampler)
        sampler_set_rate(w->sampler, hz > w->hz ? w->hz : hz);
}

bool gpu_view_free(const struct gpu_view *v, uint64_t *out)
{
    if (!sample_has(&v->sample, METRIC_MEMORY_FREE))
        return false;
    *out = (uint64_t)v->sample.value[METRIC_MEMORY_FREE];
    return true;
}
