/* source: what a driver's readers look like to the sampler: find the GPUs, read one of them. */
#ifndef TELEMETRY_SOURCE_H
#define TELEMETRY_SOURCE_H

#include <stdatomic.h>

#include "telemetry/sampler.h"

enum source_answer { SOURCE_READ, SOURCE_LOST, SOURCE_DENIED, SOURCE_SUSPENDED };

/* Set by a source around each call that may block: the sampler tells HUNG from it. */
struct source_watch {
    _Atomic(const char *) call; /* a constant text, NULL between calls */
    _Atomic uint64_t since_ns;
};

static inline void source_enter(struct source_watch *w, const char *call, uint64_t now_ns)
{
    atomic_store_explicit(&w->since_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&w->call, call, memory_order_release);
}

static inline void source_leave(struct source_watch *w)
{
    atomic_store_explicit(&w->call, NULL, memory_order_release);
}

/* What one tick asks for. */
struct source_tick {
    uint64_t now_ns;
    double hz;
    bool first;          /* everything may be read, whatever it costs */
    bool processes;      /* the process list is due */
    const char *proc_root;
};

/* One GPU of a source. read runs on that GPU's own thread and may block. */
struct source_gpu {
    struct gpu_info info;
    void *at; /* the source's own, freed by close */
    struct source_watch watch;
    char trouble[96]; /* in words, after an answer other than SOURCE_READ or when metrics fail; "" */

    /* The first read fills info. Update *s in place (values that are not read this time stay, their age_ms is the sampler's business) and,
     * when tick->processes, *t (t->known false where the driver does not tell). A GPU that was lost is looked up
     * again at the next read. */
    enum source_answer (*read)(struct source_gpu *g, const struct source_tick *tick, struct sample *s,
                               struct process_table *t);
    void (*close)(struct source_gpu *g);
};

/* A metric that was known fails: into g->trouble, "fan: Unknown Error". */
void source_note(struct source_gpu *g, const char *what, const char *why);

/* Append the GPUs of a source to list[*n], at most TELEMETRY_MAX_GPUS in all. False with err where the source cannot
 * be used; no GPU is not an error for DRM. */
bool source_nvml_find(const char *sysfs_root, struct source_gpu *list, uint32_t *n, struct err *err);
bool source_drm_find(const char *sysfs_root, const char *proc_root, struct source_gpu *list, uint32_t *n,
                     struct err *err);

#endif
