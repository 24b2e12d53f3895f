/* sampler: reads every GPU at its rate, each on a thread of its own, so that one that hangs delays nobody. */
#ifndef TELEMETRY_SAMPLER_H
#define TELEMETRY_SAMPLER_H

#include "base/err.h"
#include "telemetry/sample.h"

enum { GPU_TEXT_MAX = 96 };

/* What does not change while a GPU is there. 0 or "": unknown. */
struct gpu_info {
    uint16_t index;      /* PCI order over all sources */
    uint8_t source;      /* enum source_kind */
    bool simulated;
    char name[GPU_TEXT_MAX], uuid[GPU_TEXT_MAX];
    char pci[32];        /* "0000:41:00.0" */
    char driver[GPU_TEXT_MAX]; /* "610.57" */
    uint32_t cc_major, cc_minor, cores;
    uint32_t bus_width_bits, memory_clock_max_mhz, sm_clock_max_mhz;
    double bandwidth_gbs; /* 10^9 bytes per second: catalogue, else bus width x memory clock x 2 */
    uint32_t pcie_gen_max, pcie_width_max; /* of card and slot together */
    uint32_t power_min_w, power_max_w, power_default_w;
    uint32_t slowdown_c, shutdown_c;       /* where the card slows down, where it turns off */
    bool mig, unified_memory;              /* split into instances; shares the host's memory */
};

struct gpu_health {
    enum gpu_state state;
    char detail[96];     /* what: a call's name, the metrics that fail, the driver's words */
    uint64_t since_ns;   /* how long it has been so */
    uint64_t age_ns;     /* age of the newest sample, UINT64_MAX without one */
};

/* Receives what is read, on the thread of the GPU it is about; must not block. */
struct sampler_sink {
    void *to;
    void (*sample)(void *to, const struct sample *s);
    void (*processes)(void *to, const struct process_table *t);
};

struct sampler_options {
    double hz;                /* samples per second and GPU, 0.01..50; 0 means 1 */
    double process_s;         /* seconds between process lists, 0.1..60; 0 means 4; negative: never */
    uint32_t gpu_limit;       /* only so many, in PCI order; 0 means all */
    const char *sysfs_root, *proc_root; /* "" or NULL: the real ones; kept by the caller until sampler_stop */
};

struct sampler;

/* Find the GPUs of all sources and start reading. No GPU at all is an error: ERR_1101..1104 with the reason, ERR_1105
 * when the driver does not answer within ten seconds. */
bool sampler_start(struct sampler **out, const struct sampler_options *options, const struct sampler_sink *sink,
                   struct err *err);

/* Threads end; the sink is not called any more. One that hangs inside the driver ends when the driver lets it, by itself:
 * then false is returned. */
bool sampler_stop(struct sampler *s);

uint32_t sampler_count(const struct sampler *s);

/* A copy; names and limits are unknown until the GPU was read for the first time. */
void sampler_info(struct sampler *s, uint32_t gpu, struct gpu_info *out);
void sampler_health(struct sampler *s, uint32_t gpu, struct gpu_health *out);

/* Samples per second from now on; 0.01..50. */
void sampler_set_rate(struct sampler *s, double hz);

/* Wait until every GPU has given a sample or cannot (hung, lost, denied), at most so long. True if all have one. */
bool sampler_wait_first(struct sampler *s, uint64_t timeout_ns);

#endif
