/* vllm_hosts: the commands that join the hosts of a vLLM plan to one Ray cluster. */
#ifndef ENGINE_VLLM_HOSTS_H
#define ENGINE_VLLM_HOSTS_H

#include "engine/command.h"
#include "plan/vllm.h"

enum { VLLM_RAY_PORT = 6379 };

/* One host: its ranks follow each other. */
struct vllm_host {
    const char *name;
    uint32_t first_rank, n_ranks;
    struct engine_command command; /* ray start ...; the head's comes first, vllm serve runs there */
};

struct vllm_hosts {
    uint32_t n; /* 0: one host, no Ray */
    struct vllm_host *host; /* [0] is the head */
};

/* ERR_2101 where a card of several hosts names none: the others could not be told. */
bool vllm_hosts_make(const struct vllm_plan *p, struct arena *arena, struct vllm_hosts *out,
                     struct err *err);

/* Number of a rank's card on its own host, in PCI order as far as it is known. */
int vllm_host_index(const struct vllm_plan *p, uint32_t rank);

/* The host as an address, for VLLM_HOST_IP; NULL: it is a name, which vLLM does not take there. */
const char *vllm_host_address(const struct device *card, struct arena *arena);

#endif
