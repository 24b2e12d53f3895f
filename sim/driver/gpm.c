/* gpm: two samples and what happened between them, on cards from Hopper on. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sim/driver/call.h"

enum { SAMPLES = 256 };

struct sample {
    bool used, taken;
    uint32_t index;
    int32_t mig;
    int64_t t_ns;
    struct load_sum sum;
};

static struct sample samples[SAMPLES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* NULL for what was never given out. */
static struct sample *sample_of(const void *handle)
{
    uintptr_t at = (uintptr_t)handle, first = (uintptr_t)samples;
    if (at < first || at >= first + sizeof(samples) || (at - first) % sizeof(samples[0]) != 0)
        return NULL;
    struct sample *s = &samples[(at - first) / sizeof(samples[0])];
    return s->used ? s : NULL;
}

static bool supports(const struct call *c)
{
    return c->gpu->card.cc_major >= 9 && c->gpu->card.cc_major < 12 && !c->gpu->card.geforce;
}

API int nvmlGpmQueryDeviceSupport(void *device, struct nv_gpm_support *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (out->version != 1 && !c.scenario->lenient)
        END(NV_ARGUMENT_VERSION_MISMATCH);
    out->supported = supports(&c);
    END(NV_SUCCESS);
}

API int nvmlGpmSampleAlloc(void **out)
{
    BEGIN;
    NEED(out);
    struct sample *free_one = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SAMPLES && !free_one; i++)
        if (!samples[i].used)
            free_one = &samples[i];
    if (free_one)
        *free_one = (struct sample){.used = true};
    pthread_mutex_unlock(&lock);
    if (!free_one)
        END(NV_MEMORY);
    *out = free_one;
    END(NV_SUCCESS);
}

API int nvmlGpmSampleFree(void *sample)
{
    BEGIN;
    pthread_mutex_lock(&lock);
    struct sample *s = sample_of(sample);
    if (s)
        s->used = false;
    pthread_mutex_unlock(&lock);
    END(s ? NV_SUCCESS : NV_INVALID_ARGUMENT);
}

static int take(struct call *c, int32_t mig, void *sample)
{
    struct sample *to = sample_of(sample);
    if (c->code || !to)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (!supports(c))
        return call_end(c, NV_NOT_SUPPORTED);
    *to = (struct sample){true, true,    c->index,
                          mig,  c->t_ns, load_until(c->scenario, c->index, mig, c->t_ns)};
    return call_end(c, NV_SUCCESS);
}

API int nvmlGpmSampleGet(void *device, void *sample)
{
    struct call c = call_begin_on(__func__, device);
    return take(&c, c.mig, sample);
}

API int nvmlGpmMigSampleGet(void *device, unsigned instance, void *sample)
{
    BEGIN_WHOLE(device);
    for (uint32_t i = 0; i < c.gpu->n_mig; i++)
        if (c.gpu->mig[i].gpu_instance == instance)
            return take(&c, (int32_t)i, sample);
    END(NV_INVALID_ARGUMENT);
}

static bool metric(uint32_t id, const struct sample *a, const struct sample *b, double *out)
{
    double span = (double)(b->t_ns - a->t_ns) * 1e-9, busy = (b->sum.busy_s - a->sum.busy_s) / span;
    double memory = (b->sum.memory_s - a->sum.memory_s) / span;
    switch (id) {
    case 1: *out = busy * 100; break;
    case 2: *out = busy * 92; break;
    case 3: *out = busy * 41; break;
    case 5:
    case 7: *out = (b->sum.work_s - a->sum.work_s) / span * 60; break;
    case 10: *out = memory * 100; break;
    case 12: *out = busy * 9; break;
    case 20: *out = (b->sum.tx_bytes - a->sum.tx_bytes) / span / (1 << 20); break;
    case 21: *out = (b->sum.rx_bytes - a->sum.rx_bytes) / span / (1 << 20); break;
    default: return false;
    }
    if (id <= 19 && *out > 100)
        *out = 100;
    return true;
}

API int nvmlGpmMetricsGet(struct nv_gpm_get *get)
{
    BEGIN;
    NEED(get && sample_of(get->sample1) && sample_of(get->sample2) && get->count <= 333);
    if (get->version != 1 && !c.scenario->lenient)
        END(NV_ARGUMENT_VERSION_MISMATCH);
    const struct sample *a = get->sample1, *b = get->sample2;
    NEED(a->taken && b->taken && a->index == b->index && a->mig == b->mig && a->t_ns < b->t_ns);
    for (uint32_t i = 0; i < get->count; i++)
        get->metric[i].code =
            metric(get->metric[i].id, a, b, &get->metric[i].value) ? NV_SUCCESS : NV_NOT_SUPPORTED;
    END(NV_SUCCESS);
}

API int nvmlGpmQueryIfStreamingEnabled(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(supports(&c));
    *out = 0;
    END(NV_SUCCESS);
}
