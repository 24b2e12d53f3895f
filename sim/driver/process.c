/* process: who holds memory on a card and how much of it they use, in all layouts. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "sim/driver/call.h"

enum { MOST = WORLD_CHILDREN_MAX };

struct listed {
    struct world_process p[MOST];
    uint32_t n;
};

static void list(const struct call *c, unsigned kinds, struct listed *out)
{
    struct world_process all[MOST];
    uint32_t n = world_processes(c->world, c->index, c->mig, c->t_ns, all, MOST);
    out->n = 0;
    for (uint32_t i = 0; i < n; i++)
        if (all[i].kinds & kinds)
            out->p[out->n++] = all[i];
}

static uint64_t told_bytes(const struct call *c, const struct world_process *p)
{
    return c->scenario->wsl ? NV_NOT_AVAILABLE : p->bytes;
}

static uint32_t instance(const struct call *c, const struct world_process *p, bool compute)
{
    if (p->mig < 0)
        return NV_NO_INSTANCE;
    const struct sim_mig *m = &c->gpu->mig[p->mig];
    return compute ? m->compute_instance : m->gpu_instance;
}

/* layout 1: 16 bytes an entry, else 24. */
static int running(struct call *c, unsigned *count, void *out, unsigned kinds, int layout)
{
    struct listed l;
    if (c->code || !count)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    list(c, kinds, &l);
    unsigned room = *count;
    if (room < l.n || (!out && room)) {
        *count = l.n;
        return call_end(c, room < l.n ? NV_INSUFFICIENT_SIZE : NV_INVALID_ARGUMENT);
    }
    for (uint32_t i = 0; i < l.n; i++) {
        const struct world_process *p = &l.p[i];
        if (layout == 1)
            ((struct nv_process_v1 *)out)[i] = (struct nv_process_v1){p->pid, told_bytes(c, p)};
        else
            ((struct nv_process *)out)[i] = (struct nv_process){
                p->pid, told_bytes(c, p), instance(c, p, false), instance(c, p, true)};
    }
    *count = c->list_count >= 0 ? (unsigned)c->list_count : l.n;
    return call_end(c, NV_SUCCESS);
}

#define RUNNING(function, kinds, layout)                       \
    API int function(void *device, unsigned *count, void *out) \
    {                                                          \
        struct call c = call_begin_on(__func__, device);       \
        return running(&c, count, out, kinds, layout);         \
    }
RUNNING(nvmlDeviceGetComputeRunningProcesses, SIM_COMPUTE, 1)
RUNNING(nvmlDeviceGetComputeRunningProcesses_v2, SIM_COMPUTE, 2)
RUNNING(nvmlDeviceGetComputeRunningProcesses_v3, SIM_COMPUTE, 3)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses, SIM_GRAPHICS, 1)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses_v2, SIM_GRAPHICS, 2)
RUNNING(nvmlDeviceGetGraphicsRunningProcesses_v3, SIM_GRAPHICS, 3)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses, SIM_MPS, 1)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses_v2, SIM_MPS, 2)
RUNNING(nvmlDeviceGetMPSComputeRunningProcesses_v3, SIM_MPS, 3)

API int nvmlDeviceGetRunningProcessDetailList(void *device, struct nv_process_details *out)
{
    struct listed l;
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_process_details, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(c.gpu->card.cc_major >= 9 && !c.gpu->card.geforce);
    NEED(out->mode <= 3);
    static const unsigned modes[] = {SIM_COMPUTE, SIM_GRAPHICS, SIM_MPS,
                                     SIM_COMPUTE | SIM_GRAPHICS | SIM_MPS};
    list(&c, modes[out->mode], &l);
    uint32_t room = out->count;
    out->count = l.n;
    if (room < l.n)
        END(NV_INSUFFICIENT_SIZE);
    NEED(out->list || l.n == 0);
    for (uint32_t i = 0; i < l.n; i++)
        out->list[i] = (struct nv_process_detail){l.p[i].pid, told_bytes(&c, &l.p[i]),
                                                  instance(&c, &l.p[i], false),
                                                  instance(&c, &l.p[i], true), 0};
    END(NV_SUCCESS);
}

struct use {
    uint32_t pid, sm, memory, encoder, decoder;
};

/* Mean use of each process over the last simulated second; those without any are left out. */
static uint32_t uses(const struct call *c, struct use out[MOST])
{
    struct listed l;
    uint32_t n = 0;
    int64_t from = c->t_ns > 1000000000 ? c->t_ns - 1000000000 : 0;
    double span = (double)(c->t_ns - from) * 1e-9;
    list(c, SIM_COMPUTE | SIM_GRAPHICS | SIM_MPS, &l);
    for (uint32_t i = 0; i < l.n && span > 0; i++) {
        const struct world_process *p = &l.p[i];
        struct use u = {.pid = p->pid,
                        .sm = (uint32_t)lround(p->busy * 100),
                        .memory = (uint32_t)lround(p->busy * 60)};
        if (p->from) {
            struct load_sum a = load_of(p->from, p->share, from),
                            b = load_of(p->from, p->share, c->t_ns);
            u.sm = (uint32_t)lround(fmin(1, (b.busy_s - a.busy_s) / span) * 100);
            u.memory = (uint32_t)lround(fmin(1, (b.memory_s - a.memory_s) / span) * 100);
            u.encoder = (uint32_t)lround(fmin(1, (b.encoder_s - a.encoder_s) / span) * 100);
            u.decoder = (uint32_t)lround(fmin(1, (b.decoder_s - a.decoder_s) / span) * 100);
        }
        if (u.sm || u.memory || u.encoder || u.decoder)
            out[n++] = u;
    }
    return n;
}

API int nvmlDeviceGetProcessUtilization(void *device, struct nv_process_sample *out,
                                        unsigned *count, uint64_t last_us)
{
    struct use u[MOST];
    BEGIN_WHOLE(device);
    NEED(count);
    SUPPORT(c.gpu->n_mig == 0);
    uint64_t now_us = (uint64_t)clock_wall_ns() / 1000;
    uint32_t n = now_us > last_us ? uses(&c, u) : 0;
    if (n == 0)
        END(NV_NOT_FOUND);
    if (!out || *count < n) {
        *count = n;
        END(NV_INSUFFICIENT_SIZE);
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] = (struct nv_process_sample){u[i].pid,    now_us,       u[i].sm,
                                            u[i].memory, u[i].encoder, u[i].decoder};
    *count = c.list_count >= 0 ? (unsigned)c.list_count : n;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetProcessesUtilizationInfo(void *device, struct nv_process_uses *out)
{
    struct use u[MOST];
    BEGIN_WHOLE(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_process_uses, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(c.gpu->n_mig == 0);
    uint64_t now_us = (uint64_t)clock_wall_ns() / 1000;
    uint32_t n = now_us > out->last_us ? uses(&c, u) : 0;
    if (n == 0)
        END(NV_NOT_FOUND);
    if (!out->list || out->count < n) {
        out->count = n;
        END(NV_INSUFFICIENT_SIZE);
    }
    for (uint32_t i = 0; i < n; i++)
        out->list[i] = (struct nv_process_use){now_us,       u[i].pid,     u[i].sm, u[i].memory,
                                               u[i].encoder, u[i].decoder, 0,       0};
    out->count = n;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetEncoderStats(void *device, unsigned *sessions, unsigned *fps,
                                  unsigned *latency)
{
    BEGIN_WHOLE(device);
    NEED(sessions && fps && latency);
    struct reading r = call_read(&c);
    *sessions = r.encoder > 0;
    *fps = r.encoder > 0 ? 60 : 0;
    *latency = r.encoder > 0 ? 4000 : 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetFBCStats(void *device, struct nv_fbc *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    memset(out, 0, sizeof(*out));
    END(NV_SUCCESS);
}

API int nvmlDeviceGetAccountingMode(void *device, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    *out = 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetAccountingBufferSize(void *device, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    *out = 4000;
    END(NV_SUCCESS);
}
