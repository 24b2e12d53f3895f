/* machine: what we have: cards (real, imagined, remote) and the host, in the engine's device order. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/arena.h"
#include "base/err.h"

enum { MACHINE_MAX_DEVICES = 16 }; /* llama_max_devices of the engine */

enum backend { BACKEND_CUDA, BACKEND_RPC, BACKEND_ROCM, BACKEND_VULKAN };

struct occupant {
    uint32_t pid;
    const char *name;
    uint64_t bytes; /* UINT64_MAX: the driver does not say (WSL, MIG) */
};

struct device {
    int index;          /* in PCI order for real cards, position for virtual ones */
    const char *name;   /* "RTX 5090" */
    const char *uuid;   /* NULL for virtual cards */
    const char *pci;    /* "00000000:01:00.0" or NULL */
    const char *rpc;    /* "host:port" of a remote card or NULL */
    const char *host;   /* of --gpus CARD:host=NAME, NULL: this machine, or the one of rpc */
    enum backend backend;
    bool simulated;     /* an imagined card (no uuid), or one of a simulated driver */
    uint64_t total_bytes, free_bytes;
    uint64_t used_by_others_bytes; /* total - free as the driver says; 0 for virtual ones without :free */
    uint32_t cc_major, cc_minor;   /* compute capability, 0.0 unknown */
    uint32_t sms;                  /* 0 unknown */
    double bandwidth_gbs;          /* from the catalogue, 0 unknown */
    uint32_t pcie_gen, pcie_lanes; /* 0 unknown */
    bool nvlink;
    const struct occupant *occupants;
    uint32_t n_occupants;
};

struct host {
    uint64_t total_bytes, free_bytes; /* MemTotal, MemAvailable, cut by the cgroup's limit */
    uint32_t cores;
    bool avx2;   /* weights of some types are repacked (x86 with AVX2) */
    const char *cpu;
};

struct machine {
    struct host host;
    uint32_t n_devices;
    struct device devices[MACHINE_MAX_DEVICES];
    bool simulated; /* any device is */
};

/* The host from /proc under proc_root ("" for the real one). */
bool machine_read_host(const char *proc_root, struct host *out, struct err *err);

/* All real cards, PCI order. No driver is not an error here: n_devices is then 0 and why (may be NULL)
 * says in one sentence why (CONTRACT: ERR_1101..1104 texts). count_limit 0: all. */
bool machine_read_cards(struct machine *m, uint32_t count_limit, struct arena *arena, struct err *why);

/* Parse --gpus (CONTRACT 2) against real cards already in `real` into out, in the engine's device order.
 * text NULL or "": all real cards. ERR_2101 with the nearest names, ERR_2102 for sizes. */
bool machine_parse_gpus(const char *text, const struct machine *real, struct arena *arena,
                        struct machine *out, struct err *err);

/* The machine a card sits in: of :host=, else of rpc://, else "": this one. Not terminated. */
const char *device_host(const struct device *d, size_t *len);
bool device_same_host(const struct device *a, const struct device *b);
bool machine_several_hosts(const struct machine *m);
/* llama.cpp reaches other hosts by its RPC servers alone. ERR_2110 names the card as one. */
bool machine_check_rpc(const struct machine *m, struct err *err);

/* One row of the card catalogue. */
struct card {
    const char *name, *vendor, *arch;
    uint32_t cc_major, cc_minor, sms;
    uint64_t total_bytes;
    double bandwidth_gbs;
    uint32_t pcie_gen, pcie_lanes;
    double nvlink_gbs; /* 0: none */
    double tdp_w;
    double fp32_tflops, fp16_tflops, fp16_acc16_tflops, int8_tops; /* dense; 0 unknown */
};
const struct card *card_find(const char *name); /* case, spaces, "rtx"/"geforce" prefixes are free */
const struct card *card_table(size_t *n);

#endif
