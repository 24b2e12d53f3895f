/* scenario: what a simulated machine has and does: cards, processes, faults, as plain bounded
 * structs. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "base/err.h"
#include "sim/card.h"
#include "sim/fault.h"

enum {
    SIM_GPUS_MAX = 16,
    SIM_PROCESSES_MAX = 64,
    SIM_SHARES_MAX = 16, /* cards that one process holds memory on */
    SIM_MIG_MAX = 8,
    SIM_SETS_MAX = 32,
    SIM_NAME_MAX = 64,
    SIM_TEXT_MAX = 256 << 10, /* bytes of a scenario file */
};

/* A time that never comes. */
#define SIM_NEVER INT64_MAX

struct sim_mig {
    char profile[SIM_NAME_MAX]; /* "3g.71gb" */
    uint64_t memory_bytes;
    uint32_t gpu_instance, compute_instance, slices;
};

struct sim_gpu {
    struct sim_card card;
    char name[SIM_NAME_MAX + 16]; /* as the driver says it */
    char uuid[48], serial[32];
    uint32_t pci_domain, pci_bus, pci_device, numa;
    uint32_t link_gen, link_width; /* of the slot */
    uint32_t nvlinks;
    double ambient_c, cooling; /* cooling 1 holds full load at some 70 degrees; 0.5 halves that */
    double limit_w;
    bool unified, fan; /* unified: no memory of its own */
    uint32_t n_mig;
    struct sim_mig mig[SIM_MIG_MAX];
    uint32_t n_sets;
    struct sim_set set[SIM_SETS_MAX]; /* readings that never move */
};

/* What a process holds and does on one card. Times count from the process's start. */
struct sim_share {
    uint32_t gpu;
    int32_t mig; /* -1: the whole card */
    uint64_t weights_bytes, kv_bytes,
        saw_bytes;       /* loaded once; grown into; allocated and freed again */
    uint64_t leak_bytes; /* more every leak_ns, for ever */
    int64_t load_ns, kv_ns, saw_ns, leak_ns; /* how long each takes; > 0 where its size is > 0 */
    double busy, rest, encoder, decoder;     /* share of time in use while busy, and between */
    int64_t busy_ns, rest_ns;                /* rest_ns 0: busy all the time */
    double intensity;                        /* power relative to a full load at the same use */
};

enum sim_kind { SIM_COMPUTE = 1, SIM_GRAPHICS = 2, SIM_MPS = 4 };

struct sim_process {
    uint32_t pid;
    char name[SIM_NAME_MAX];
    unsigned kinds; /* of enum sim_kind */
    int64_t start_ns, life_ns,
        again_ns; /* life_ns SIM_NEVER: does not end; again_ns 0: lives once */
    bool orphan;  /* its memory outlives it */
    uint32_t n_shares;
    struct sim_share share[SIM_SHARES_MAX];
};

struct sim_scenario {
    char name[SIM_NAME_MAX], about[200];
    char driver_version[32];
    int cuda_version; /* 13000 is 13.0 */
    bool lenient;     /* wrong version fields are let through */
    bool wsl;         /* memory of processes is not told */
    bool narrow;      /* byte counters wrap at 32 bits */
    double noise;     /* 1: as real cards, 0: none */
    uint32_t n_gpus, n_processes, n_faults;
    struct sim_gpu gpu[SIM_GPUS_MAX];
    struct sim_process process[SIM_PROCESSES_MAX];
    struct sim_fault fault[SIM_FAULTS_MAX];
};

/* Reads text[len] as YAML. ERR_1501 with line and column; `name` is what errors call the text. */
bool scenario_parse(const char *name, const char *text, size_t len, struct sim_scenario *out,
                    struct err *err);

/* "30s", "1.5m", "200ms", "2h"; a bare number is seconds. At most a year. */
bool scenario_time(const char *text, int64_t *out_ns);

#endif
