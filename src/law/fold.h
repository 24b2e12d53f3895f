/* fold: the same model with most of its equal layers left out, for searches that need compute
 * buffers quickly. */
#ifndef LAW_FOLD_H
#define LAW_FOLD_H

#include "law/assign.h"
#include "law/cache.h"

/* A model, assignment and cache whose graph needs buffers of the same size, since a run of equal
 * layers on one device settles after a few: the allocator gives each the places of the one before.
 * Points into the originals. */
struct folded {
    struct model model;
    struct assignment assignment;
    struct cache_plan cache;
};

/* more: periods kept beyond those that settle. False where nothing can be left out (few layers,
 * layers that differ, inputs whose size depends on their number). */
bool fold_make(const struct model *m, const struct assignment *a, const struct cache_plan *c,
               uint32_t more, struct arena *arena, struct folded *out);

#endif
