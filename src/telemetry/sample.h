/* sample: what one GPU measured at one moment; plain values, no pointers, so that it may be copied anywhere. */
#ifndef TELEMETRY_SAMPLE_H
#define TELEMETRY_SAMPLE_H

#include <stddef.h>
#include <string.h>

#include "telemetry/metric.h"

enum { TELEMETRY_MAX_GPUS = 16, SAMPLE_AGE_MAX_MS = 65535 };

/* Where numbers come from. */
enum source_kind { SOURCE_NVML, SOURCE_AMDGPU, SOURCE_I915, SOURCE_XE, SOURCE_KIND_COUNT };

/* Why clocks are held down, as bits of METRIC_THROTTLE (NVML's clocks-event reasons; other sources map to them). */
enum throttle {
    THROTTLE_IDLE = 0x1, THROTTLE_APPLICATION_CLOCKS = 0x2, THROTTLE_POWER_CAP = 0x4, THROTTLE_HARDWARE = 0x8,
    THROTTLE_SYNC_BOOST = 0x10, THROTTLE_THERMAL = 0x20, THROTTLE_HARDWARE_THERMAL = 0x40,
    THROTTLE_POWER_BRAKE = 0x80, THROTTLE_DISPLAY_CLOCKS = 0x100,
};

/* Reasons that cost speed under load; the others are normal. */
#define THROTTLE_COSTS                                                                                   \
    (THROTTLE_POWER_CAP | THROTTLE_HARDWARE | THROTTLE_THERMAL | THROTTLE_HARDWARE_THERMAL | THROTTLE_POWER_BRAKE)

/* What a GPU is like to us, the first that holds from the bottom up. */
enum gpu_state {
    GPU_OK,
    GPU_DEGRADED,  /* answers, but some metrics fail that it had before */
    GPU_STALE,     /* no new sample for more than two periods */
    GPU_SUSPENDED, /* asleep; reading would wake it */
    GPU_DENIED,    /* the driver does not let us read it */
    GPU_HUNG,      /* a call into the driver has not returned */
    GPU_LOST,      /* fell off the bus, or its driver went away */
    GPU_STATE_COUNT
};
extern const char *const gpu_state_name[GPU_STATE_COUNT]; /* "ok", "degraded", ... */

struct sample {
    uint64_t present; /* bit m: value[m] is known; what is unknown is never 0 */
    uint64_t mono_ns; /* when it was read (clock_mono_ns) */
    int64_t wall_ns;
    uint16_t gpu;     /* number of the GPU in its sampler, which is PCI order */
    uint8_t source;   /* enum source_kind */
    uint8_t state;    /* GPU_OK, GPU_DEGRADED, GPU_SUSPENDED, GPU_DENIED or GPU_LOST */
    bool simulated;
    double value[METRIC_COUNT];
    uint16_t age_ms[METRIC_COUNT]; /* how old value[m] was at mono_ns; SAMPLE_AGE_MAX_MS: that or more */
};

static inline bool sample_has(const struct sample *s, enum metric m)
{
    return s->present >> m & 1;
}

static inline void sample_set(struct sample *s, enum metric m, double value)
{
    s->value[m] = value;
    s->age_ms[m] = 0;
    s->present |= UINT64_C(1) << m;
}

static inline void sample_clear(struct sample *s, enum metric m)
{
    s->present &= ~(UINT64_C(1) << m);
}

/* Used over total in percent, or -1 where either is unknown or the total is 0. Used includes what is reserved. */
double sample_memory_percent(const struct sample *s);

/* "4096/8192 MB (50.0%)" with MB of 2^20 bytes, used with what is reserved; "n/a" where it is not known. Returns out. */
char *sample_memory_text(const struct sample *s, char *out, size_t size);

/* "TX: 4.9 MB/s, RX: 2.9 MB/s", MB of 2^20 bytes; "" where neither is known. Returns out. */
char *sample_pcie_text(const struct sample *s, char *out, size_t size);

/* The throttle reasons in words, "power cap, heat"; "" for none or only idle. Returns out. */
char *throttle_text(uint64_t bits, char *out, size_t size);

enum { PROCESS_NAME_MAX = 48, PROCESS_CONTAINER_MAX = 16, PROCESSES_MAX = 128 };
enum { PROCESS_COMPUTE = 1, PROCESS_GRAPHICS = 2 };

/* One process on one GPU. Unknown: UINT64_MAX for bytes, -1 for shares, 0 for times and ids. */
struct process {
    uint32_t pid;       /* as the driver numbers it: the host's */
    uint32_t local_pid; /* in our PID namespace; 0: not visible from here */
    uint32_t uid;       /* UINT32_MAX unknown */
    uint8_t type;       /* PROCESS_COMPUTE | PROCESS_GRAPHICS */
    int64_t since_s;    /* start, seconds since 1970 */
    uint64_t memory_bytes;
    float sm, memory_bus, encoder, decoder; /* percent */
    char name[PROCESS_NAME_MAX];            /* printable */
    char container[PROCESS_CONTAINER_MAX];  /* first 12 letters of its container's id, or "" */
};

struct process_table {
    uint64_t mono_ns;
    uint16_t gpu;
    uint16_t n;            /* at most PROCESSES_MAX, largest memory first */
    uint16_t left_out;     /* how many more there were */
    bool known;            /* the driver told the list; false: no permission, not supported */
    uint64_t unattributed_bytes; /* used by nobody in the list; UINT64_MAX unknown */
    struct process process[PROCESSES_MAX];
};

/* Copies what the table holds; entries behind n are neither read nor written. */
static inline void process_table_copy(struct process_table *to, const struct process_table *from)
{
    size_t n = from->n < PROCESSES_MAX ? from->n : PROCESSES_MAX;
    memcpy(to, from, offsetof(struct process_table, process) + n * sizeof(from->process[0]));
}

#endif
