/* watch: the GPUs of this machine as they are now: sampler and history together, and one view of each GPU. */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "history/history.h"
#include "telemetry/level.h"
#include "telemetry/sampler.h"

struct watch_options {
    double hz;        /* 0.01..50; 0: 1 */
    double seconds;   /* of history, 1..86400; 0: 60 */
    double process_s; /* between process lists; 0: 4, negative: never */
    uint32_t gpu_limit;
    const char *sysfs_root, *proc_root; /* NULL: the real ones */
    const struct sampler_sink *also;    /* gets every sample and process table too, on the thread that read it */
};

/* All that is known of one GPU. */
struct gpu_view {
    struct gpu_info info;
    struct gpu_health health;
    bool has_sample; /* false: it could not be read (yet) */
    struct sample sample;
    struct level_reading level;
    bool has_processes;
    struct process_table processes;
};

struct watch;

/* Errors as sampler_start. */
bool watch_start(struct watch **out, const struct watch_options *options, struct err *err);

/* A recorded trace in place of this machine's GPUs, `speed` times as fast as it was (0.01..3600), from its beginning.
 * What it shows are the GPUs of the trace. ERR_1301, ERR_2001, ERR_1202. */
bool watch_replay(struct watch **out, const char *path, double speed, const struct watch_options *options,
                  struct err *err);
bool watch_ended(struct watch *w); /* a replay has come to its end; never true of this machine's GPUs */

bool watch_truncated(struct watch *w); /* the trace was damaged or cut off: what came before was played */

void watch_stop(struct watch *w); /* accepts NULL */
static inline void own_watch(struct watch **w)
{
    watch_stop(*w);
}

/* One reading of every GPU: waits for the first samples, at most two seconds for one that hangs. */
void watch_settle(struct watch *w);

uint32_t watch_count(const struct watch *w);
void watch_view(struct watch *w, uint32_t gpu, struct gpu_view *out);

/* The views of all GPUs, on the heap (free); NULL with ERR_1201 without memory. */
struct gpu_view *watch_views(struct watch *w, struct err *err);
bool watch_simulated(struct watch *w); /* any GPU is */
struct history *watch_history(struct watch *w);
void watch_set_rate(struct watch *w, double hz); /* no effect on a replay */

/* Bytes nobody holds, as the driver says; false where it does not. */
bool gpu_view_free(const struct gpu_view *v, uint64_t *out);

#endif
