/* topology: the driver's pairs, brought into the order in which the GPUs are listed. */
#include "api/topology.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct nvml_pair unknown_pair = {
    .distance = NVML_DISTANCE_UNKNOWN, .read = NVML_P2P_UNKNOWN, .write = NVML_P2P_UNKNOWN};

static int find(const struct nvml_topology *t, const char *uuid)
{
    for (uint32_t i = 0; uuid[0] && i < t->n; i++)
        if (strcasecmp(t->uuid[i], uuid) == 0)
            return (int)i;
    return -1;
}

bool topology_read(const struct gpu_view *views, uint32_t n, struct topology *out, struct err *err)
{
    struct nvml_topology driver = {0};
    bool nvidia = false;
    for (uint32_t i = 0; i < n; i++)
        nvidia = nvidia || views[i].info.source == SOURCE_NVML;
    if (nvidia && !nvml_read_topology(&driver, err))
        return false;
    out->n = n < TELEMETRY_MAX_GPUS ? n : TELEMETRY_MAX_GPUS;
    for (uint32_t i = 0; i < out->n; i++) {
        for (uint32_t k = 0; k < out->n; k++) {
            int a = find(&driver, views[i].info.uuid), b = find(&driver, views[k].info.uuid);
            out->pair[i][k] = a >= 0 && b >= 0 ? driver.pair[a][b] : unknown_pair;
        }
    }
    return true;
}

const char *topology_distance_word(enum nvml_distance d)
{
    static const char *const words[] = {"OWN", "PIX", "PXB", "PHB", "NODE", "SYS", "?"};
    return words[d];
}

const char *topology_distance_meaning(enum nvml_distance d)
{
    static const char *const texts[] = {
        "on one board",
        "through one PCIe switch",
        "through several PCIe switches",
        "through the CPU's PCIe host bridge",
        "through several host bridges of one CPU",
        "through the link between CPUs",
        "the driver does not tell",
    };
    return texts[d];
}

const char *topology_word(const struct nvml_pair *p, char out[16])
{
    if (!p->nvlinks)
        return topology_distance_word(p->distance);
    snprintf(out, 16, "NV%u", p->nvlinks);
    return out;
}

const char *topology_p2p_text(enum nvml_p2p p)
{
    static const char *const texts[] = {
        "possible",
        "the chipset does not support it",
        "a GPU does not support it",
        "the I/O hub between them does not support it",
        "it is turned off in the driver",
        "the driver does not support it for these GPUs",
        "the driver does not tell",
    };
    return texts[p];
}

enum nvml_p2p topology_p2p(const struct topology *t, uint32_t i, uint32_t k)
{
    const enum nvml_p2p all[] = {t->pair[i][k].read, t->pair[i][k].write, t->pair[k][i].read,
                                 t->pair[k][i].write};
    for (size_t a = 0; a < 4; a++)
        if (all[a] != NVML_P2P_OK)
            return all[a];
    return NVML_P2P_OK;
}
