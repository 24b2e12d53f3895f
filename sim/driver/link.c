/* link: PCIe, NVLink and where cards sit relative to each other and to processors. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sim/driver/call.h"

#define NUMBER(function, expression)              \
    API int function(void *device, unsigned *out) \
    {                                             \
        BEGIN_WHOLE(device);                      \
        NEED(out);                                \
        SUPPORT(!c.gpu->unified);                 \
        *out = (unsigned)(expression);            \
        END(NV_SUCCESS);                          \
    }
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, call_read(&c).link_gen)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, call_read(&c).link_width)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, c.gpu->link_gen)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, c.gpu->link_width)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, c.gpu->card.pcie_gen)
NUMBER(nvmlDeviceGetPcieReplayCounter, 0)

/* Mbit/s of one lane by generation. */
static unsigned lane_speed(uint64_t gen)
{
    static const unsigned speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
    return gen < sizeof(speeds) / sizeof(speeds[0]) ? speeds[gen] : 0;
}
NUMBER(nvmlDeviceGetPcieSpeed, lane_speed(call_read(&c).link_gen))

API int nvmlDeviceGetPcieLinkMaxSpeed(void *device, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    SUPPORT(!c.gpu->unified && c.gpu->link_gen >= 1 && c.gpu->link_gen <= 6);
    *out = c.gpu->link_gen; /* 1 to 6: 2.5 to 64 GT/s */
    END(NV_SUCCESS);
}

API int nvmlDeviceGetPcieThroughput(void *device, unsigned counter, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && counter <= 1);
    SUPPORT(!c.gpu->unified && c.gpu->n_mig == 0);
    struct reading r = call_read(&c);
    *out = (unsigned)(counter == 0 ? r.tx_kbs : r.rx_kbs);
    END(NV_SUCCESS);
}

/* ---- NVLink: every link leads to a card, in turn ---- */

static bool find_peer(const struct call *c, unsigned link, uint32_t *peer)
{
    uint32_t n = 0, with[SIM_GPUS_MAX];
    for (uint32_t i = 0; i < c->scenario->n_gpus; i++)
        if (i != c->index && c->scenario->gpu[i].nvlinks)
            with[n++] = i;
    if (!n)
        return false;
    *peer = with[link % n];
    return true;
}

API int nvmlDeviceGetNvLinkState(void *device, unsigned link, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && link < 36);
    SUPPORT(link < c.gpu->nvlinks);
    *out = 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetNvLinkVersion(void *device, unsigned link, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && link < 36);
    SUPPORT(link < c.gpu->nvlinks);
    *out = c.gpu->card.cc_major >= 10  ? 7
           : c.gpu->card.cc_major == 9 ? 6
           : c.gpu->card.cc_major == 8 ? 5
                                       : 2;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetNvLinkCapability(void *device, unsigned link, unsigned capability,
                                      unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && link < 36 && capability <= 5);
    SUPPORT(link < c.gpu->nvlinks);
    *out = capability != 4;
    END(NV_SUCCESS);
}

static int remote(struct call *c, unsigned link, struct nv_pci *out)
{
    uint32_t peer;
    if (c->code || !out || link >= 36)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (link >= c->gpu->nvlinks || !find_peer(c, link, &peer))
        return call_end(c, NV_NOT_SUPPORTED);
    const struct sim_gpu *g = &c->scenario->gpu[peer];
    memset(out, 0, sizeof(*out));
    out->domain = g->pci_domain;
    out->bus = g->pci_bus;
    out->device = g->pci_device;
    out->device_id = g->card.device_id;
    snprintf(out->bus_id, sizeof(out->bus_id), "%08X:%02X:%02X.0", g->pci_domain, g->pci_bus & 0xff,
             g->pci_device & 0x1f);
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetNvLinkRemotePciInfo(void *device, unsigned link, struct nv_pci *out)
{
    struct call c = call_begin_whole(__func__, device);
    return remote(&c, link, out);
}

API int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *device, unsigned link, struct nv_pci *out)
{
    struct call c = call_begin_whole(__func__, device);
    return remote(&c, link, out);
}

API int nvmlDeviceGetNvLinkRemoteDeviceType(void *device, unsigned link, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && link < 36);
    SUPPORT(link < c.gpu->nvlinks);
    *out = 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetNvLinkErrorCounter(void *device, unsigned link, unsigned counter,
                                        uint64_t *out)
{
    BEGIN_WHOLE(device);
    NEED(out && link < 36 && counter <= 4);
    SUPPORT(link < c.gpu->nvlinks);
    *out = 0;
    END(NV_SUCCESS);
}

/* ---- topology: a NUMA node is a processor ---- */

API int nvmlDeviceGetTopologyCommonAncestor(void *one, void *other, unsigned *out)
{
    uint32_t b;
    int32_t mig;
    BEGIN_WHOLE(one);
    NEED(out && handle_read(other, &b, &mig) && b < c.scenario->n_gpus);
    *out = b == c.index ? 0 : c.gpu->numa == c.scenario->gpu[b].numa ? 30 : 50;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetTopologyNearestGpus(void *device, unsigned level, unsigned *count, void **out)
{
    uint32_t n = 0, near[SIM_GPUS_MAX];
    BEGIN_WHOLE(device);
    NEED(count && level <= 50);
    for (uint32_t i = 0; i < c.scenario->n_gpus; i++)
        if (i != c.index && level >= (c.scenario->gpu[i].numa == c.gpu->numa ? 30u : 50u))
            near[n++] = i;
    for (uint32_t i = 0; out && i < n && i < *count; i++)
        out[i] = handle_of(near[i], -1);
    *count = n;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetP2PStatus(void *one, void *other, unsigned capability, unsigned *out)
{
    uint32_t b;
    int32_t mig;
    BEGIN_WHOLE(one);
    NEED(out && capability <= 4 && handle_read(other, &b, &mig) && b < c.scenario->n_gpus);
    bool linked = c.gpu->nvlinks && c.scenario->gpu[b].nvlinks;
    *out = linked ? 0 : capability == 2 ? 5 : c.gpu->card.geforce ? 1 : 0;
    END(NV_SUCCESS);
}

static int affinity(struct call *c, unsigned words, unsigned long *set, unsigned long value)
{
    if (c->code || !set || !words)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    memset(set, 0, words * sizeof(*set));
    set[0] = value;
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetCpuAffinity(void *device, unsigned words, unsigned long *set)
{
    struct call c = call_begin_whole(__func__, device);
    return affinity(&c, words, set, c.gpu ? 0xfful << (c.gpu->numa % 4 * 8) : 0);
}

API int nvmlDeviceGetCpuAffinityWithinScope(void *device, unsigned words, unsigned long *set,
                                            unsigned scope)
{
    struct call c = call_begin_whole(__func__, device);
    return affinity(&c, words, set, c.gpu ? 0xfful << (c.gpu->numa % 4 * 8) : 0);
}

API int nvmlDeviceGetMemoryAffinity(void *device, unsigned words, unsigned long *set,
                                    unsigned scope)
{
    struct call c = call_begin_whole(__func__, device);
    return affinity(&c, words, set, c.gpu ? 1ul << (c.gpu->numa % 4) : 0);
}
