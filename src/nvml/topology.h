/* topology: how close NVIDIA's cards sit to each other: common ancestor, NVLinks, peer-to-peer
 * copies. */
#ifndef NVML_TOPOLOGY_H
#define NVML_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { NVML_TOPOLOGY_CARDS = 16, NVML_TOPOLOGY_UUID = 96 };

/* The nearest thing that two cards have in common, nearest first (nvmlGpuTopologyLevel_t). */
enum nvml_distance {
    NVML_SAME_BOARD,
    NVML_ONE_SWITCH,  /* PIX */
    NVML_SWITCHES,    /* PXB */
    NVML_HOST_BRIDGE, /* PHB */
    NVML_NUMA_NODE,   /* NODE */
    NVML_SYSTEM,      /* SYS */
    NVML_DISTANCE_UNKNOWN,
};

/* nvmlGpuP2PStatus_t. */
enum nvml_p2p {
    NVML_P2P_OK,
    NVML_P2P_CHIPSET,
    NVML_P2P_GPU,
    NVML_P2P_IO_HUB,
    NVML_P2P_TURNED_OFF,
    NVML_P2P_NOT_SUPPORTED,
    NVML_P2P_UNKNOWN,
};

/* From one card to another. */
struct nvml_pair {
    enum nvml_distance distance;
    uint32_t nvlinks; /* active ones between the two, or to the switch that joins them */
    bool nvlinks_known, by_nvswitch;
    enum nvml_p2p read, write;
};

struct nvml_topology {
    uint32_t n;
    char uuid[NVML_TOPOLOGY_CARDS]
             [NVML_TOPOLOGY_UUID]; /* "" where the driver does not tell; order of the driver */
    struct nvml_pair pair[NVML_TOPOLOGY_CARDS][NVML_TOPOLOGY_CARDS]; /* [i][i] means nothing */
};

/* Errors as nv_open, ERR_1105 without an answer. A card that cannot be opened is unknown to all
 * others. */
bool nvml_read_topology(struct nvml_topology *out, struct err *err);

#endif
