/* world: one simulated machine in a file that all its processes map: clock, faults, children's
 * memory, checkpoints. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/physics.h"

enum {
    WORLD_CHILDREN_MAX = 256,
    WORLD_PATH_MAX = 512,
};

struct world; /* a mapped world with its scenario read */

struct world_wish {
    const char *scenario; /* name or file; NULL: only a world that is there already */
    const char
        *state; /* file; NULL: DUALGPUOPT_SIM_STATE, else by rule in the user's run-time folder */
    uint64_t seed;
    double scale;  /* simulated seconds per second; 0: time stands still until world_jump */
    int64_t at_ns; /* where it starts */
    bool again;    /* a new world in any case */
};

/* Joins the world of the wish, or begins it. ERR_1501 scenario, ERR_1502 file, ERR_1503 none is
 * running. */
bool world_open(const struct world_wish *wish, struct world **out, struct err *err);
void world_close(struct world *w); /* of processes that end; memory of children stays theirs */
static inline void own_world(struct world **w)
{
    world_close(*w);
}

const struct sim_scenario *world_scenario(const struct world *w);
const char *world_path(const struct world *w);
bool world_stopped(const struct world *w);

/* What the file says besides. */
struct world_clock {
    double scale;
    uint64_t seed;
    int64_t now_ns; /* simulated, 0 to a year */
};
struct world_clock world_clock(struct world *w);

/* Time moves to to_ns (backwards too: then physics begins anew) or at another scale. */
void world_jump(struct world *w, int64_t to_ns);
void world_set_scale(struct world *w, double scale);
bool world_stop(const char *state, struct err *err); /* ends it for all; ERR_1503 */

/* Faults of run time. Ids begin at 1. ERR_1502 when all are in use. */
bool world_inject(struct world *w, const struct sim_fault *f, uint32_t *id, struct err *err);
bool world_clear(struct world *w, uint32_t id); /* 0: all; false: none cleared */
/* Those of the scenario and of run time that hold at t, into out[2 * SIM_FAULTS_MAX]. */
uint32_t world_faults(struct world *w, int64_t t_ns, struct sim_fault *out);
/* Every one that has begun, over or not: for XIDs and error counts. */
uint32_t world_history(struct world *w, int64_t t_ns, struct sim_fault *out);
/* Sleeps until something changed or ms have passed. */
void world_wait(struct world *w, uint32_t ms);

/* Memory and use of real processes. */
struct world_child {
    uint32_t pid, gpu;
    uint64_t starttime, bytes; /* starttime: field 22 of /proc/PID/stat */
    double busy;
    int64_t since_ns; /* simulated */
};
uint32_t world_children(struct world *w,
                        struct world_child *out); /* living ones, out[WORLD_CHILDREN_MAX] */
/* Adds (or with negative delta gives back) memory of the calling process. False: the card is full,
 * or not there. */
bool world_allocate(struct world *w, uint32_t gpu, int64_t delta_bytes);
bool world_use(struct world *w, uint32_t gpu, double busy);

/* The card at t_ns, faults of kind SET and LINK applied. */
void world_read(struct world *w, uint32_t gpu, int64_t t_ns, struct reading *out);

/* One process on one card at t_ns. */
struct world_process {
    uint32_t pid, kinds;
    int32_t mig;
    uint64_t bytes;
    const char *name; /* NULL for children */
    const struct sim_process *from;
    const struct sim_share *share;
    double busy; /* of children */
};
/* All on card gpu (mig -1: any), into out[cap]; returns how many. */
uint32_t world_processes(struct world *w, uint32_t gpu, int32_t mig, int64_t t_ns,
                         struct world_process *out, uint32_t cap);

#endif
