/* sampler: one thread per GPU, a tick at a time, and what is known of each while its thread may be stuck. */
#include "telemetry/sampler.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "nvml/library.h"
#include "telemetry/source.h"

static const uint64_t second_ns = (uint64_t)CLOCK_NS_PER_S;
static const uint64_t hung_after_ns = (uint64_t)CLOCK_NS_PER_S; /* the slowest call measured takes 40 ms */
enum { STOP_TIMEOUT_MS = 300, STACK_BYTES = 512 * 1024, DEFAULT_PROCESS_S = 4 };

struct lane {
    struct sampler *sampler;
    struct source_gpu gpu;
    bool started;

    pthread_mutex_t sinking; /* held while the sink is called */
    bool gagged;             /* the sink is not ours any more */

    /* The thread's own. */
    struct sample sample;
    struct process_table table;
    uint64_t processes_ns;

    pthread_mutex_t lock; /* of what follows; never held across a call into the driver */
    struct gpu_info info;
    enum source_answer answer;
    bool read_once, delivered, ended;
    char trouble[96];
    uint64_t since_ns, newest_ns; /* when its state began; its newest sample, 0: none */
    enum gpu_state state;
};

struct sampler {
    struct sampler_sink sink;
    double process_s;
    char *proc_root;
    atomic_uint holders; /* threads that run, and the caller until sampler_stop; the last one frees it */
    pthread_mutex_t lock;
    pthread_cond_t wake, read; /* stop or another rate; a GPU was read for the first time */
    double hz;
    bool stop;
    uint32_t n;
    struct lane lane[TELEMETRY_MAX_GPUS];
};

static struct timespec timespec_of(uint64_t mono_ns)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ns / second_ns), .tv_nsec = (long)(mono_ns % second_ns)};
}

static bool usable_rate(double hz)
{
    return hz >= 0.01 && hz <= 50;
}

/* ---- one tick ---- */

/* What was not read again has grown older. */
static void grow_older(struct sample *s, uint64_t now_ns)
{
    uint64_t more_ms = s->mono_ns ? (now_ns - s->mono_ns + 500000) / 1000000 : 0;
    for (int m = 0; m < METRIC_COUNT; m++) {
        uint64_t age = s->age_ms[m] + more_ms;
        s->age_ms[m] = (uint16_t)(age > SAMPLE_AGE_MAX_MS ? SAMPLE_AGE_MAX_MS : age);
    }
}

static enum gpu_state state_of(enum source_answer answer, const char *trouble)
{
    switch (answer) {
    case SOURCE_LOST: return GPU_LOST;
    case SOURCE_DENIED: return GPU_DENIED;
    case SOURCE_SUSPENDED: return GPU_SUSPENDED;
    case SOURCE_READ: break;
    }
    return trouble[0] ? GPU_DEGRADED : GPU_OK;
}

static void note_state(struct lane *l, enum source_answer answer, enum gpu_state state, uint64_t now_ns)
{
    pthread_mutex_lock(&l->lock);
    if (!l->read_once || state != l->state)
        l->since_ns = now_ns;
    l->state = state;
    l->answer = answer;
    l->newest_ns = now_ns;
    l->read_once = true;
    l->info = l->gpu.info;
    memcpy(l->trouble, l->gpu.trouble, sizeof(l->trouble));
    pthread_mutex_unlock(&l->lock);
}

/* A thread that comes back out of the driver after sampler_stop must not touch what the caller had. */
static void hand_on(struct lane *l, bool listed)
{
    const struct sampler_sink *sink = &l->sampler->sink;
    pthread_mutex_lock(&l->sinking);
    if (!l->gagged && sink->sample)
        sink->sample(sink->to, &l->sample);
    if (!l->gagged && listed && sink->processes)
        sink->processes(sink->to, &l->table);
    pthread_mutex_unlock(&l->sinking);
}

static void tick(struct lane *l, double hz, bool first)
{
    struct sampler *s = l->sampler;
    uint64_t now_ns = clock_mono_ns();
    double process_s = s->process_s;
    bool processes = process_s > 0 && (!l->processes_ns || (double)(now_ns - l->processes_ns) / 1e9 + 0.25 / hz >= process_s);
    struct source_tick t = {
        .now_ns = now_ns, .hz = hz, .first = first, .processes = processes, .proc_root = s->proc_root};
    grow_older(&l->sample, now_ns);
    enum source_answer answer = l->gpu.read(&l->gpu, &t, &l->sample, &l->table);
    enum gpu_state state = state_of(answer, l->gpu.trouble);
    now_ns = clock_mono_ns(); /* a read that hung for a while is as new as its end */
    if (answer != SOURCE_READ)
        l->sample.present = 0; /* what a card measured before it was lost is not what it measures */
    l->sample.mono_ns = now_ns;
    l->sample.wall_ns = clock_wall_ns();
    l->sample.gpu = l->gpu.info.index;
    l->sample.source = l->gpu.info.source;
    l->sample.simulated = l->gpu.info.simulated;
    l->sample.state = (uint8_t)state;
    l->table.gpu = l->gpu.info.index;
    l->table.mono_ns = now_ns;
    note_state(l, answer, state, now_ns);
    bool listed = processes && answer == SOURCE_READ;
    if (listed)
        l->processes_ns = now_ns;
    hand_on(l, listed);
    if (first) {
        pthread_mutex_lock(&l->lock);
        l->delivered = true;
        pthread_mutex_unlock(&l->lock);
    }
}

/* ---- threads ---- */

/* Sleep until due_ns or until the rate changes; false to stop. *hz is the rate from then on. */
static bool sleep_until(struct sampler *s, uint64_t due_ns, double *hz)
{
    struct timespec at = timespec_of(due_ns);
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->hz == *hz && pthread_cond_timedwait(&s->wake, &s->lock, &at) != ETIMEDOUT)
        ;
    *hz = s->hz;
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void drop_sampler(struct sampler *s)
{
    if (atomic_fetch_sub(&s->holders, 1) != 1)
        return;
    for (uint32_t i = 0; i < s->n; i++) {
        pthread_mutex_destroy(&s->lane[i].lock);
        pthread_mutex_destroy(&s->lane[i].sinking);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->read);
    free(s->proc_root);
    free(s);
}

static void *run(void *arg)
{
    struct lane *l = arg;
    struct sampler *s = l->sampler;
    pthread_mutex_lock(&s->lock);
    double hz = s->hz;
    pthread_mutex_unlock(&s->lock);
    uint64_t due_ns = clock_mono_ns();
    for (bool first = true;; first = false) {
        tick(l, hz, first);
        if (first) {
            pthread_mutex_lock(&s->lock);
            pthread_cond_broadcast(&s->read);
            pthread_mutex_unlock(&s->lock);
        }
        uint64_t period_ns = (uint64_t)(1e9 / hz), now_ns = clock_mono_ns();
        due_ns += period_ns;
        if (due_ns <= now_ns) /* late: leave out what was missed, keep the beat */
            due_ns += (now_ns - due_ns) / period_ns * period_ns + period_ns;
        double before = hz;
        if (!sleep_until(s, due_ns, &hz))
            break;
        if (hz != before)
            due_ns = clock_mono_ns();
    }
    l->gpu.close(&l->gpu);
    pthread_mutex_lock(&l->lock);
    l->ended = true;
    pthread_mutex_unlock(&l->lock);
    drop_sampler(s);
    deadline_leave();
    return NULL;
}

static bool start_lane(struct sampler *s, uint32_t i, const struct source_gpu *gpu)
{
    struct lane *l = &s->lane[i];
    pthread_attr_t attr;
    pthread_t thread;
    l->sampler = s;
    l->gpu.info = gpu->info;
    l->gpu.at = gpu->at;
    l->gpu.read = gpu->read;
    l->gpu.close = gpu->close;
    l->gpu.info.index = (uint16_t)i;
    l->info = l->gpu.info;
    l->since_ns = clock_mono_ns();
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->sinking, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&s->holders, 1);
    deadline_enter();
    l->started = pthread_create(&thread, &attr, run, l) == 0;
    pthread_attr_destroy(&attr);
    if (!l->started) {
        deadline_leave();
        atomic_fetch_sub(&s->holders, 1);
        l->gpu.close(&l->gpu);
    }
    return l->started;
}

/* ---- finding ---- */

struct search {
    char *sysfs_root, *proc_root;
    struct source_gpu found[TELEMETRY_MAX_GPUS];
    uint32_t n;
    struct err err;
    bool ok;
};

static void free_search(struct search *f)
{
    free(f->sysfs_root);
    free(f->proc_root);
    free(f);
}

/* NVIDIA's cards first, then the others; without any, the reason is that of the NVIDIA driver. */
static void search(void *ctx)
{
    struct search *f = ctx;
    bool nvml = source_nvml_find(f->sysfs_root, f->found, &f->n, &f->err);
    struct err none = {0};
    uint32_t n = f->n;
    if (source_drm_find(f->sysfs_root, f->proc_root, f->found, &n, &none))
        f->n = n;
    f->ok = nvml || f->n > 0;
}

static void drop_search(void *ctx)
{
    struct search *f = ctx;
    for (uint32_t i = 0; i < f->n; i++)
        f->found[i].close(&f->found[i]);
    free_search(f);
}

static char *copy_root(const char *root)
{
    return strdup(root ? root : "");
}

/* A driver that is wedged never answers: then its thread is left to itself. */
static struct search *find_gpus(const struct sampler_options *o, struct err *err)
{
    struct search *f = calloc(1, sizeof(*f));
    if (f) {
        f->sysfs_root = copy_root(o->sysfs_root);
        f->proc_root = copy_root(o->proc_root);
    }
    if (!f || !f->sysfs_root || !f->proc_root) {
        if (f)
            free_search(f);
        err_set(err, ERR_1201, "no memory to look for GPUs");
        return NULL;
    }
    enum deadline_end end = deadline_run(search, drop_search, f, NVML_START_S * second_ns);
    if (end == DEADLINE_DONE)
        return f;
    if (end == DEADLINE_NO_THREAD) {
        free_search(f);
        err_set(err, ERR_1201, "no thread to look for GPUs: %s", strerror(errno));
    } else {
        nvml_silent(NVML_START_S, err);
    }
    return NULL;
}

/* ---- the sampler ---- */

static struct sampler *new_sampler(const struct sampler_options *o, const struct sampler_sink *sink)
{
    struct sampler *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;
    if (!s || !(s->proc_root = copy_root(o->proc_root))) {
        free(s);
        return NULL;
    }
    s->sink = *sink;
    atomic_init(&s->holders, 1);
    s->hz = usable_rate(o->hz) ? o->hz : 1;
    s->process_s = o->process_s < 0 ? 0 : o->process_s > 0 ? o->process_s : DEFAULT_PROCESS_S;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, &attr);
    pthread_cond_init(&s->read, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

static bool start_lanes(struct sampler *s, struct search *f, uint32_t limit, struct err *err)
{
    uint32_t n = limit && limit < f->n ? limit : f->n;
    for (uint32_t i = n; i < f->n; i++)
        f->found[i].close(&f->found[i]);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        if (!ok) {
            f->found[i].close(&f->found[i]);
            continue;
        }
        s->n = i + 1;
        ok = start_lane(s, i, &f->found[i]) || err_set(err, ERR_1201, "no thread for GPU %u: %s", i, strerror(errno));
    }
    return ok;
}

bool sampler_start(struct sampler **out, const struct sampler_options *options, const struct sampler_sink *sink,
                   struct err *err)
{
    struct search *f = find_gpus(options, err);
    if (!f)
        return false;
    if (!f->ok && err)
        *err = f->err;
    struct sampler *s = f->ok ? new_sampler(options, sink) : NULL;
    bool ok = f->ok;
    if (ok && !s)
        ok = err_set(err, ERR_1201, "no memory to watch %u GPUs", f->n);
    ok = ok && start_lanes(s, f, options->gpu_limit, err);
    free_search(f);
    if (ok)
        *out = s;
    else if (s)
        sampler_stop(s);
    return ok;
}

static bool has_ended(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    bool ended = l->ended;
    pthread_mutex_unlock(&l->lock);
    return ended;
}

static void gag(struct lane *l)
{
    pthread_mutex_lock(&l->sinking);
    l->gagged = true;
    pthread_mutex_unlock(&l->sinking);
}

bool sampler_stop(struct sampler *s)
{
    if (!s)
        return true;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    uint64_t until_ns = clock_mono_ns() + STOP_TIMEOUT_MS * UINT64_C(1000000);
    bool all = true;
    for (uint32_t i = 0; i < s->n; i++) {
        struct lane *l = &s->lane[i];
        while (l->started && !has_ended(l) && clock_mono_ns() < until_ns)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        all = all && (!l->started || has_ended(l));
        gag(l);
    }
    drop_sampler(s);
    return all;
}

uint32_t sampler_count(const struct sampler *s)
{
    return s->n;
}

void sampler_info(struct sampler *s, uint32_t gpu, struct gpu_info *out)
{
    struct lane *l = &s->lane[gpu];
    pthread_mutex_lock(&l->lock);
    *out = l->info;
    pthread_mutex_unlock(&l->lock);
}

static void say_hung(const char *call, struct gpu_health *out)
{
    out->state = GPU_HUNG;
    snprintf(out->detail, sizeof(out->detail), "the driver's call \"%.40s\" has not returned", call);
}

void sampler_health(struct sampler *s, uint32_t gpu, struct gpu_health *out)
{
    struct lane *l = &s->lane[gpu];
    uint64_t now_ns = clock_mono_ns(), called_ns = 0;
    pthread_mutex_lock(&s->lock);
    uint64_t period_ns = (uint64_t)(1e9 / s->hz);
    pthread_mutex_unlock(&s->lock);
    const char *call = atomic_load_explicit(&l->gpu.watch.call, memory_order_acquire);
    if (call)
        called_ns = atomic_load_explicit(&l->gpu.watch.since_ns, memory_order_relaxed);

    pthread_mutex_lock(&l->lock);
    *out = (struct gpu_health){.state = l->state, .since_ns = now_ns - l->since_ns,
                               .age_ns = l->newest_ns ? now_ns - l->newest_ns : UINT64_MAX};
    memcpy(out->detail, l->trouble, sizeof(out->detail));
    pthread_mutex_unlock(&l->lock);

    uint64_t late_ns = 2 * period_ns > second_ns ? 2 * period_ns + second_ns / 4 : second_ns;
    if (call && now_ns > called_ns && now_ns - called_ns > hung_after_ns) {
        say_hung(call, out);
        out->since_ns = now_ns - called_ns;
    } else if (out->age_ns != UINT64_MAX && out->age_ns > late_ns) {
        out->state = GPU_STALE;
        out->since_ns = out->age_ns;
        snprintf(out->detail, sizeof(out->detail), "no new sample for %.1f s", (double)out->age_ns / 1e9);
    }
}

void sampler_set_rate(struct sampler *s, double hz)
{
    if (!usable_rate(hz))
        return;
    pthread_mutex_lock(&s->lock);
    s->hz = hz;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static bool all_read(struct sampler *s)
{
    bool all = true;
    for (uint32_t i = 0; i < s->n; i++) {
        struct lane *l = &s->lane[i];
        pthread_mutex_lock(&l->lock);
        all = all && l->delivered;
        pthread_mutex_unlock(&l->lock);
    }
    return all;
}

bool sampler_wait_first(struct sampler *s, uint64_t timeout_ns)
{
    struct timespec until = timespec_of(clock_mono_ns() + timeout_ns);
    pthread_mutex_lock(&s->lock);
    while (!all_read(s) && pthread_cond_timedwait(&s->read, &s->lock, &until) != ETIMEDOUT)
        ;
    bool all = all_read(s);
    pthread_mutex_unlock(&s->lock);
    return all;
}
