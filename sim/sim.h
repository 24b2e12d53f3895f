/* sim: simulated drivers to begin, show, disturb and end; and what real processes do to hold their
 * memory.
 *
 * Processes find a world by DUALGPUOPT_SIM_SCENARIO (a shipped name or a file; begun when the first
 * asks, at DUALGPUOPT_SIM_SCALE and with DUALGPUOPT_SIM_SEED), or by sim_start, in the file
 * DUALGPUOPT_SIM_STATE. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/world.h"

struct sim_options {
    const char *scenario, *state; /* state NULL: the user's own */
    double scale;                 /* 1 to 3600; 0: time stands still */
    uint64_t seed;
    int64_t at_ns;
};

/* Begins a world in the place of the one that may be there. Where its scenario hides calls, a
 * library without their symbols is made beside it. */
bool sim_start(const struct sim_options *o, struct err *err);
bool sim_stop(const char *state, struct err *err);

/* "lost gpu=1 for=20s" into the running world; sim_clear 0 ends all that hold. */
bool sim_inject(const char *state, const char *fault, uint32_t *id, struct err *err);
bool sim_clear(const char *state, uint32_t id, struct err *err);

/* Shipped scenarios by index, read; false behind the last. */
bool sim_shipped(size_t index, struct sim_scenario *out, struct err *err);

/* The world that this process would see: of DUALGPUOPT_SIM_SCENARIO, else the one that was started.
 * ERR_1503. */
bool sim_present(struct world **out, struct err *err);
bool sim_started(void); /* whether there is a file of sim_start; quick */

/* One world that runs. */
struct sim_entry {
    char path[WORLD_PATH_MAX], scenario[SIM_NAME_MAX];
    double scale;
    int64_t now_ns;
    uint32_t n_gpus;
    bool started; /* by sim_start, not by a variable */
};
bool sim_list(struct sim_entry *out, size_t cap, size_t *n, struct err *err);

/* Where the simulated library is: DUALGPUOPT_SIM_LIBRARY, beside the build, where it was installed;
 * the reduced one where the world has such. ERR_1502. */
bool sim_library(char out[WORLD_PATH_MAX], struct err *err);

#endif
