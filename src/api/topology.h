/* topology: how close the GPUs of a watch sit to each other, in the order of the watch, and the
 * words for it. */
#ifndef API_TOPOLOGY_H
#define API_TOPOLOGY_H

#include "api/watch.h"
#include "nvml/topology.h"

struct topology {
    uint32_t n;
    struct nvml_pair pair[TELEMETRY_MAX_GPUS][TELEMETRY_MAX_GPUS]; /* [i][i] means nothing */
};

/* Errors as nvml_read_topology. GPUs of other makers are unknown to all others. */
bool topology_read(const struct gpu_view *views, uint32_t n, struct topology *out, struct err *err);

/* "NV4" where NVLinks join them, else "PIX", "PXB", "PHB", "NODE", "SYS", "OWN" (one board), "?"
 * unknown. */
const char *topology_word(const struct nvml_pair *p, char out[16]);
const char *topology_distance_word(enum nvml_distance d);    /* the second half of the above */
const char *topology_distance_meaning(enum nvml_distance d); /* "through one PCIe switch" */

/* "possible" or why not: "the chipset does not support it". */
const char *topology_p2p_text(enum nvml_p2p p);

/* The worse of both directions and of reading and writing. */
enum nvml_p2p topology_p2p(const struct topology *t, uint32_t i, uint32_t k);

#endif
