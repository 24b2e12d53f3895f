/* topology: asks the driver about every pair of cards, on a thread that may be left behind. */
#include "nvml/topology.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/own.h"
#include "base/str.h"
#include "nvml/library.h"

enum { LINKS_MOST = 64, KIND_SWITCH = 2, P2P_READ = 0, P2P_WRITE = 1 };

struct card {
    nv_device dev;
    struct nv_pci pci;
    bool has_pci;
};

struct reading {
    struct card card[NVML_TOPOLOGY_CARDS];
    uint32_t switch_links[NVML_TOPOLOGY_CARDS];
    struct nvml_topology topology;
    struct err err;
    bool ok;
};

static enum nvml_distance distance_of(uint32_t level)
{
    static const uint32_t levels[] = {0, 10, 20, 30, 40, 50};
    for (uint32_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (levels[i] == level)
            return (enum nvml_distance)i;
    return NVML_DISTANCE_UNKNOWN;
}

static enum nvml_p2p ask_p2p(const struct nv *nv, nv_device from, nv_device to, uint32_t what)
{
    uint32_t status = NVML_P2P_UNKNOWN;
    if (!nv->p2p || nv->p2p(from, to, what, &status) != NV_OK || status > NVML_P2P_UNKNOWN)
        return NVML_P2P_UNKNOWN;
    return (enum nvml_p2p)status;
}

static void read_card(const struct nv *nv, struct reading *r, uint32_t i)
{
    struct card *c = &r->card[i];
    char raw[NVML_TOPOLOGY_UUID] = {0};
    if (nv->handle(i, &c->dev) != NV_OK) {
        c->dev = NULL;
        return;
    }
    if (nv->uuid && nv->uuid(c->dev, raw, sizeof(raw) - 1) == NV_OK)
        str_printable(raw, strlen(raw), r->topology.uuid[i], NVML_TOPOLOGY_UUID);
    c->has_pci = nv->pci && nv->pci(c->dev, &c->pci) == NV_OK;
}

static bool same_slot(const struct nv_pci *a, const struct nv_pci *b)
{
    return a->domain == b->domain && a->bus == b->bus && a->device == b->device;
}

/* The card at the other end of a link, or -1. */
static int peer_of(const struct reading *r, const struct nv_pci *remote)
{
    for (uint32_t k = 0; k < r->topology.n; k++)
        if (r->card[k].has_pci && same_slot(&r->card[k].pci, remote))
            return (int)k;
    return -1;
}

/* How many links a card may have differs: the driver says where they end. */
static void read_links(const struct nv *nv, struct reading *r, uint32_t i)
{
    nv_device dev = r->card[i].dev;
    bool known = false;
    for (uint32_t link = 0; nv->nvlink_state && link < LINKS_MOST; link++) {
        uint32_t active = 0, kind = 0;
        struct nv_pci remote = {0};
        int code = nv->nvlink_state(dev, link, &active);
        if (code != NV_OK && code != NV_NOT_SUPPORTED && code != NV_INVALID_ARGUMENT)
            return;
        known = true;
        if (code == NV_INVALID_ARGUMENT || (code == NV_NOT_SUPPORTED && link == 0))
            break;
        if (code != NV_OK || active != 1 || !nv->nvlink_remote ||
            nv->nvlink_remote(dev, link, &remote) != NV_OK)
            continue;
        int peer = peer_of(r, &remote);
        if (peer >= 0)
            r->topology.pair[i][peer].nvlinks++;
        else if (nv->nvlink_kind && nv->nvlink_kind(dev, link, &kind) == NV_OK &&
                 kind == KIND_SWITCH)
            r->switch_links[i]++;
    }
    for (uint32_t k = 0; known && k < r->topology.n; k++)
        r->topology.pair[i][k].nvlinks_known = true;
}

static void join_by_switch(struct reading *r)
{
    for (uint32_t i = 0; i < r->topology.n; i++) {
        for (uint32_t k = 0; k < r->topology.n; k++) {
            struct nvml_pair *p = &r->topology.pair[i][k];
            uint32_t a = r->switch_links[i], b = r->switch_links[k], least = a < b ? a : b;
            if (i == k || !least || p->nvlinks)
                continue;
            p->nvlinks = least;
            p->by_nvswitch = true;
        }
    }
}

static void read_pairs(const struct nv *nv, struct reading *r)
{
    for (uint32_t i = 0; i < r->topology.n; i++) {
        for (uint32_t k = 0; k < r->topology.n; k++) {
            struct nvml_pair *p = &r->topology.pair[i][k];
            nv_device a = r->card[i].dev, b = r->card[k].dev;
            uint32_t level = 0;
            *p = (struct nvml_pair){.distance = NVML_DISTANCE_UNKNOWN,
                                    .read = NVML_P2P_UNKNOWN,
                                    .write = NVML_P2P_UNKNOWN};
            if (i == k || !a || !b)
                continue;
            if (nv->topology && nv->topology(a, b, &level) == NV_OK)
                p->distance = distance_of(level);
            p->read = ask_p2p(nv, a, b, P2P_READ);
            p->write = ask_p2p(nv, a, b, P2P_WRITE);
        }
    }
}

static void read_all(void *ctx)
{
    struct reading *r = ctx;
    own(nv_close) struct nv nv = {0};
    uint32_t n = 0;
    r->ok = nv_open(&nv, "", &r->err);
    if (!r->ok)
        return;
    if (nv.count(&n) != NV_OK)
        n = 0;
    r->topology.n = n < NVML_TOPOLOGY_CARDS ? n : NVML_TOPOLOGY_CARDS;
    for (uint32_t i = 0; i < r->topology.n; i++)
        read_card(&nv, r, i);
    read_pairs(&nv, r);
    for (uint32_t i = 0; i < r->topology.n; i++)
        if (r->card[i].dev)
            read_links(&nv, r, i);
    join_by_switch(r);
}

bool nvml_read_topology(struct nvml_topology *out, struct err *err)
{
    struct reading *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ERR_1201, "no memory to read how the GPUs are joined");
    enum deadline_end end =
        deadline_run(read_all, free, r, NVML_ANSWER_S * (uint64_t)CLOCK_NS_PER_S);
    if (end == DEADLINE_LATE)
        return nvml_silent(NVML_ANSWER_S, err);
    bool ok = end == DEADLINE_DONE && r->ok;
    if (ok)
        *out = r->topology;
    else if (end == DEADLINE_NO_THREAD)
        err_set(err, ERR_1201, "no thread to read how the GPUs are joined");
    else if (err)
        *err = r->err;
    free(r);
    return ok;
}
