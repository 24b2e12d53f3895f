/* world_shared: the layout of a world's file, and what its owners share inside the room. */
#ifndef SIM_WORLD_SHARED_H
#define SIM_WORLD_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "sim/world.h"

#define WORLD_MAGIC   "DGOSIM1"
#define WORLD_YEAR_NS ((int64_t)366 * 86400 * 1000000000)

/* Everything behind `lock`, except the words that are atomic. */
struct world_shared {
    char magic[8];
    uint32_t size, text_len;
    uint64_t boot, text_hash, seed;
    pthread_mutex_t lock;
    _Atomic uint32_t stopped, news; /* news: counts what happened; waited on */
    _Atomic uint64_t used_mono_ns;
    uint64_t base_mono_ns;
    int64_t base_sim_ns;
    double scale;
    uint32_t next_id, n_faults;
    struct sim_fault fault[SIM_FAULTS_MAX];
    uint32_t n_children;
    struct world_child child[WORLD_CHILDREN_MAX];
    uint32_t use_changes[SIM_GPUS_MAX];
    struct physics checkpoint[SIM_GPUS_MAX]; /* t_ns 0: none */
    char source[SIM_NAME_MAX * 4];           /* what the scenario was called by */
    char text[SIM_TEXT_MAX];
};

struct world {
    struct world_shared *shared;
    char path[WORLD_PATH_MAX];
    struct sim_scenario scenario;
    pthread_mutex_t lock; /* of what follows */
    struct physics state[SIM_GPUS_MAX];
    uint32_t use_changes[SIM_GPUS_MAX];
    bool begun[SIM_GPUS_MAX];
    uint64_t children_mono_ns; /* when it was last looked which are alive */
};

void world_lock(struct world_shared *s);
void world_unlock(struct world_shared *s);
void world_tell(struct world_shared *s);                           /* something changed */
int64_t world_now(const struct world_shared *s, uint64_t mono_ns); /* lock held */

/* The use of a card by children and faults of run time, lock held; faults are of `s`. */
struct surroundings world_around(const struct world_shared *s, uint32_t gpu);

/* lock held; before children's use of the card changes at t_ns: what was till now is written down.
 */
void world_keep(struct world *w, uint32_t gpu, int64_t t_ns);

/* Text of a scenario by shipped name or file; *out is the caller's. ERR_1501, ERR_1502. */
bool world_find_scenario(const char *name, char **out, size_t *len, struct err *err);
/* The user's folder for worlds, made if need be. ERR_1502. */
bool world_folder(char out[WORLD_PATH_MAX], struct err *err);

#endif
