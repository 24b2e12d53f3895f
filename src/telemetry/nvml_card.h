/* nvml_card: one NVIDIA card as its reader keeps it between two reads. */
#ifndef TELEMETRY_NVML_CARD_H
#define TELEMETRY_NVML_CARD_H

#include <pthread.h>

#include "nvml/driver.h"
#include "telemetry/source.h"

/* The driver all cards share; replaced as a whole when the driver was loaded anew. */
struct nvml_shared {
    pthread_mutex_t lock;
    struct nvml_driver *driver;
    uint64_t retry_ns, wait_ns; /* no new attempt to load before, and how long after that */
    atomic_int references;
};

struct nvml_card;

/* A reference to the driver that is loaded now, or NULL. */
struct nvml_driver *nvml_shared_driver(struct nvml_shared *s);
void nvml_shared_drop(struct nvml_shared *s);
/* The card's driver went away: let go of it, and load it again when its time has come. */
void nvml_load_again(struct nvml_card *c, uint64_t now_ns);

/* Readings of one number each, asked in turn so that a tick stays within its calls. */
enum nvml_item {
    NVML_CLOCK_SM, NVML_THROTTLE, NVML_CLOCK_MEMORY, NVML_CLOCK_VIDEO, NVML_FAN, NVML_ENCODER, NVML_DECODER,
    NVML_PCIE_GEN, NVML_PCIE_WIDTH, NVML_PSTATE, NVML_POWER_LIMIT, NVML_POWER, NVML_ENERGY, NVML_ITEMS,
};

struct nvml_scratch;
struct nvml_rate {
    double counter;
    uint64_t at_ns; /* 0: none yet */
};

enum { NVML_RATES = 4, NVML_POWER_STATUS_MAX = 96 };

struct nvml_card {
    struct nvml_shared *shared;
    struct nvml_driver *driver; /* the one dev belongs to; NULL: not opened */
    nv_device dev;
    uint32_t index;
    bool described, watches_errors;
    uint32_t watch_tries; /* how often it was asked to: a driver without events is left alone */
    uint64_t item_ns[NVML_ITEMS];   /* last asked */
    uint64_t refused_ns[NVML_ITEMS]; /* the driver does not have it: asked again a minute later */
    bool field_gives[METRIC_COUNT]; /* a field value told it, so that no call of its own is needed */
    uint64_t slow_fields_ns, use_since_us, suspend_ns;
    struct nvml_rate rate[NVML_RATES];
    uint32_t unknown_errors; /* in a row */
    struct nvml_scratch *scratch; /* of nvml_processes; NULL until the first list */
    char power_status[NVML_POWER_STATUS_MAX]; /* sysfs file, "" when there is none */
    bool suspended;
};

/* Answer within a tick's calls: number items that are due, most overdue first. */
void nvml_read_items(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick, int calls,
                     struct sample *s);
/* One batch of field values. */
void nvml_read_fields(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick, struct sample *s);
/* The process lists and what each process keeps busy: NVML_PROCESS_CALLS calls. */
enum { NVML_PROCESS_CALLS = 4 };
void nvml_read_processes(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick,
                         const struct sample *s, struct process_table *t);
/* Everything that does not change. */
void nvml_describe(struct source_gpu *g, struct nvml_card *c);

/* Call the driver with the watch set, so that a call that never returns has a name. */
#define NVML_ASK(g, c, field, ...)                                                                   \
    (!nvml_driver_calls((c)->driver)->field                                                          \
         ? NV_FUNCTION_NOT_FOUND                                                                     \
         : (source_enter(&(g)->watch, #field, clock_mono_ns()),                                      \
            nvml_left(&(g)->watch, nvml_driver_calls((c)->driver)->field(__VA_ARGS__))))

static inline int nvml_left(struct source_watch *w, int code)
{
    source_leave(w);
    return code;
}

/* The driver lacks it, now and probably for ever. */
static inline bool nvml_lacks(int code)
{
    return code == NV_NOT_SUPPORTED || code == NV_FUNCTION_NOT_FOUND || code == NV_ARGUMENT_VERSION_MISMATCH ||
           code == NV_DEPRECATED;
}

#endif
