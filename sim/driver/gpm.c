/* gpm: two samples and what happened between them, on cards from Hopper on. */
#include <stdlib.h>
#include <string.h>

#include "sim/driver/call.h"

struct sample {
    bool taken;
    uint32_t index;
    int32_t mig;
    int64_t t_ns;
    struct load_sum sum;
};

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
    *out = calloc(1, sizeof(struct sample));
    END(*out ? NV_SUCCESS : NV_MEMORY);
}

API int nvmlGpmSampleFree(void *sample)
{
    BEGIN;
    NEED(sample);
    free(sample);
    END(NV_SUCCESS);
}

static int take(struct call *c, int32_t mig, void *sample)
{
    if (c->code || !sample)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (!supports(c))
        return call_end(c, NV_NOT_SUPPORTED);
    *(struct sample *)sample = (struct sample){true, c->index, mig, c->t_ns, load_until(c->scenario, c->index, mig, c->t_ns)};
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
    case 5: case 7: *out = (b->sum.work_s - a->sum.work_s) / span * 60; break;
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
    NEED(get && get->sample1 && get->sample2 && get->count <= 333);
    if (get->version != 1 && !c.scenario->lenient)
        END(NV_ARGUMENT_VERSION_MISMATCH);
    const struct sample *a = get->sample1, *b = get->sample2;
    NEED(a->taken && b->taken && a->index == b->index && a->mig == b->mig && a->t_ns < b->t_ns);
    for (uint32_t i = 0; i < get->count; i++)
        get->metric[i].code = metric(get->metric[i].id, a, b, &get->metric[i].value) ? NV_SUCCESS : NV_NOT_SUPPORTED;
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
