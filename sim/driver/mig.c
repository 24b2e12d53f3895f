/* mig: cards that are cut into devices of their own. */
#include "sim/driver/call.h"

API int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending)
{
    BEGIN_WHOLE(device);
    NEED(now && pending);
    SUPPORT(!c.gpu->card.geforce &&
            (c.gpu->card.cc_major == 9 || c.gpu->card.cc_major == 10 || c.gpu->n_mig));
    *now = *pending = c.gpu->n_mig > 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    *out = c.gpu->n_mig ? SIM_MIG_MAX - 1 : 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    SUPPORT(c.gpu->n_mig > 0);
    NEED(index < SIM_MIG_MAX);
    if (index >= c.gpu->n_mig)
        END(NV_NOT_FOUND);
    *out = handle_of(c.index, (int32_t)index);
    END(NV_SUCCESS);
}

API int nvmlDeviceIsMigDeviceHandle(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    *out = c.mig >= 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *device, void **out)
{
    BEGIN_ON(device);
    NEED(out && c.mig >= 0);
    *out = handle_of(c.index, -1);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetGpuInstanceId(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(c.mig >= 0);
    *out = c.gpu->mig[c.mig].gpu_instance;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetComputeInstanceId(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(c.mig >= 0);
    *out = c.gpu->mig[c.mig].compute_instance;
    END(NV_SUCCESS);
}

static int attributes(struct call *c, struct nv_attributes *out)
{
    if (c->code || !out)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (c->mig < 0)
        return call_end(c, NV_NOT_SUPPORTED);
    const struct sim_mig *m = &c->gpu->mig[c->mig];
    *out = (struct nv_attributes){.sms = c->gpu->card.sms * m->slices / 7,
                                  .copy_engines = m->slices,
                                  .decoders = m->slices,
                                  .gpu_slices = m->slices,
                                  .compute_slices = m->slices,
                                  .memory_mb = m->memory_bytes >> 20};
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetAttributes(void *device, struct nv_attributes *out)
{
    struct call c = call_begin_on(__func__, device);
    return attributes(&c, out);
}

API int nvmlDeviceGetAttributes_v2(void *device, struct nv_attributes *out)
{
    struct call c = call_begin_on(__func__, device);
    return attributes(&c, out);
}
