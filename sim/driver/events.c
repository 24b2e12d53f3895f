/* events: sets that wait for XIDs and memory errors, each told once to every set that asked before.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/driver/call.h"

enum {
    EVENT_SBE = 1,
    EVENT_DBE = 2,
    EVENT_XID = 8,
    EVENTS_KNOWN = EVENT_SBE | EVENT_DBE | 4 | EVENT_XID | 0x10,
    SETS = 64
};

struct set {
    bool used;
    uint64_t types[SIM_GPUS_MAX];
    int64_t since_ns[SIM_GPUS_MAX]; /* simulated: when it was registered */
    uint32_t n_told;
    struct {
        int64_t at_ns;
        uint32_t id;
        int32_t gpu;
        uint64_t value;
    } told[4 * SIM_FAULTS_MAX]; /* the latest, in turn */
};

static struct set sets[SETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct set *set_of(void *handle)
{
    uintptr_t at = (uintptr_t)handle, first = (uintptr_t)sets;
    if (at < first || at >= first + sizeof(sets) || (at - first) % sizeof(sets[0]) != 0)
        return NULL;
    return ((struct set *)handle)->used ? handle : NULL;
}

API int nvmlEventSetCreate(void **out)
{
    BEGIN;
    NEED(out);
    pthread_mutex_lock(&lock);
    struct set *s = NULL;
    for (int i = 0; i < SETS && !s; i++)
        if (!sets[i].used)
            s = &sets[i];
    if (s) {
        memset(s, 0, sizeof(*s));
        s->used = true;
        *out = s;
    }
    pthread_mutex_unlock(&lock);
    END(s ? NV_SUCCESS : NV_MEMORY);
}

API int nvmlEventSetFree(void *handle)
{
    BEGIN;
    pthread_mutex_lock(&lock);
    struct set *s = set_of(handle);
    if (s)
        s->used = false;
    pthread_mutex_unlock(&lock);
    END(s ? NV_SUCCESS : NV_INVALID_ARGUMENT);
}

API int nvmlDeviceGetSupportedEventTypes(void *device, uint64_t *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    *out = c.gpu->card.geforce ? EVENTS_KNOWN & ~3u : EVENTS_KNOWN;
    END(NV_SUCCESS);
}

API int nvmlDeviceRegisterEvents(void *device, uint64_t types, void *handle)
{
    BEGIN_WHOLE(device);
    SUPPORT((types & ~(uint64_t)(c.gpu->card.geforce ? EVENTS_KNOWN & ~3u : EVENTS_KNOWN)) == 0);
    pthread_mutex_lock(&lock);
    struct set *s = set_of(handle);
    if (s) {
        s->types[c.index] |= types;
        s->since_ns[c.index] = c.t_ns;
    }
    pthread_mutex_unlock(&lock);
    END(s ? NV_SUCCESS : NV_INVALID_ARGUMENT);
}

static uint64_t type_of(const struct sim_fault *f)
{
    return f->kind == SIM_FAULT_XID               ? EVENT_XID
           : f->kind == SIM_FAULT_ECC_CORRECTED   ? EVENT_SBE
           : f->kind == SIM_FAULT_ECC_UNCORRECTED ? EVENT_DBE
                                                  : 0;
}

/* lock held; notes it down where it was not told yet */
static bool first_time(struct set *s, const struct sim_fault *f, int32_t gpu)
{
    const uint32_t most = sizeof(s->told) / sizeof(s->told[0]);
    for (uint32_t i = 0; i < s->n_told && i < most; i++)
        if (s->told[i].at_ns == f->at_ns && s->told[i].id == f->id && s->told[i].gpu == gpu &&
            s->told[i].value == f->value)
            return false;
    uint32_t i = s->n_told++ % most;
    s->told[i].at_ns = f->at_ns;
    s->told[i].id = f->id;
    s->told[i].gpu = gpu;
    s->told[i].value = f->value;
    return true;
}

static bool next_event(struct set *s, const struct call *c, int64_t now, struct nv_event *out)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    bool found = false;
    uint32_t n = world_history(c->world, now, f);
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < n && s->used && !found; i++) {
        for (uint32_t gpu = 0; gpu < c->scenario->n_gpus && !found; gpu++) {
            bool here = f[i].gpu == SIM_ALL_GPUS || f[i].gpu == (int32_t)gpu;
            if (!here || !(type_of(&f[i]) & s->types[gpu]) || f[i].at_ns < s->since_ns[gpu])
                continue;
            found = first_time(s, &f[i], (int32_t)gpu);
            if (found)
                *out = (struct nv_event){handle_of(gpu, -1), type_of(&f[i]),
                                         type_of(&f[i]) == EVENT_XID ? f[i].value : 0,
                                         NV_NO_INSTANCE, NV_NO_INSTANCE};
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Until the next fault begins in simulated time, at least 1 ms and at most what is left; one that is injected meanwhile
 * wakes the waiting. */
static uint32_t nap(const struct call *c, int64_t now, uint64_t left_ms)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    double scale = world_clock(c->world).scale, best = (double)left_ms;
    uint32_t n = world_history(c->world, INT64_MAX, f);
    for (uint32_t i = 0; i < n; i++)
        if (f[i].at_ns > now && type_of(&f[i]) && scale > 0 && (double)(f[i].at_ns - now) / scale * 1e-6 < best)
            best = (double)(f[i].at_ns - now) / scale * 1e-6;
    return best < 1 ? 1 : best > 60000 ? 60000 : (uint32_t)best;
}

static int wait_for(struct call *c, void *handle, struct nv_event *out, uint32_t ms)
{
    uint64_t end = clock_mono_ns() + (uint64_t)ms * 1000000;
    pthread_mutex_lock(&lock);
    struct set *s = set_of(handle);
    pthread_mutex_unlock(&lock);
    if (!s || !out)
        return NV_INVALID_ARGUMENT;
    for (;;) {
        int64_t now = world_clock(c->world).now_ns;
        if (next_event(s, c, now, out))
            return NV_SUCCESS;
        uint64_t mono = clock_mono_ns();
        if (mono >= end || world_stopped(c->world))
            return world_stopped(c->world) ? NV_GPU_IS_LOST : NV_TIMEOUT;
        world_wait(c->world, nap(c, now, (end - mono) / 1000000));
    }
}

/* The oldest layout ends before the instances. */
API int nvmlEventSetWait(void *handle, void *out, unsigned ms)
{
    struct nv_event event;
    BEGIN;
    NEED(out);
    int code = wait_for(&c, handle, &event, ms);
    if (code == NV_SUCCESS)
        memcpy(out, &event, offsetof(struct nv_event, gpu_instance));
    END(code);
}

API int nvmlEventSetWait_v2(void *handle, struct nv_event *out, unsigned ms)
{
    BEGIN;
    NEED(out);
    END(wait_for(&c, handle, out, ms));
}
