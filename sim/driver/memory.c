/* memory: how much a card has and holds, by the layouts of both versions, and by BAR1. */
#include <string.h>

#include "sim/driver/call.h"

/* What a MIG device has is its GPU instance's, shared by the compute instances inside. */
static void read_mig(const struct call *c, struct reading *r)
{
    struct world_process p[WORLD_CHILDREN_MAX];
    const struct sim_mig *m = &c->gpu->mig[c->mig];
    uint32_t n = world_processes(c->world, c->index, -1, c->t_ns, p, WORLD_CHILDREN_MAX);
    r->total_bytes = m->memory_bytes;
    r->reserved_bytes = 0;
    r->used_bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        if (p[i].mig >= 0 && c->gpu->mig[p[i].mig].gpu_instance == m->gpu_instance)
            r->used_bytes += p[i].bytes;
    if (r->used_bytes > r->total_bytes)
        r->used_bytes = r->total_bytes;
    r->free_bytes = r->total_bytes - r->used_bytes;
}

static struct reading read_memory(const struct call *c)
{
    struct reading r = call_read(c);
    if (c->mig >= 0)
        read_mig(c, &r);
    return r;
}

API int nvmlDeviceGetMemoryInfo(void *device, struct nv_memory *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(!c.gpu->unified);
    struct reading r = read_memory(&c);
    *out = (struct nv_memory){
        .total = r.total_bytes, .free = r.free_bytes, .used = r.used_bytes + r.reserved_bytes};
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMemoryInfo_v2(void *device, struct nv_memory_v2 *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_memory_v2, 2)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(!c.gpu->unified);
    struct reading r = read_memory(&c);
    out->total = r.total_bytes;
    out->reserved = r.reserved_bytes;
    out->free = r.free_bytes;
    out->used = r.used_bytes;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetBAR1MemoryInfo(void *device, struct nv_bar1 *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(!c.gpu->unified);
    struct reading r = read_memory(&c);
    uint64_t total = c.gpu->card.bar1_bytes, used = r.used_bytes < total ? r.used_bytes : 10 << 20;
    used = total > r.total_bytes ? used : 5 << 20;
    *out = (struct nv_bar1){.total = total, .used = used, .free = total - used};
    END(NV_SUCCESS);
}

API int nvmlDeviceGetConfComputeProtectedMemoryUsage(void *device, struct nv_memory *out)
{
    BEGIN_ON(device);
    NEED(out);
    memset(out, 0, sizeof(*out));
    END(NV_SUCCESS);
}
