/* sets: which sets of cards are worth looking at: each once, though equal cards may change places. */
#ifndef PLAN_SETS_H
#define PLAN_SETS_H

#include "plan/place.h"

enum { SETS_MAX = 4096 };

struct card_sets {
    uint32_t n;
    bool truncated;  /* there were more than SETS_MAX: a search over these proves nothing */
    uint32_t *mask;  /* fewer cards first; among as many, the faster and roomier first */
};

/* All sets of least to most cards (both at least 1, most bounded by the wish's --max-gpus and --split one). Lives in
 * the placer's arena. False when memory runs out. */
bool sets_make(const struct placer *p, uint32_t least, uint32_t most, struct card_sets *out);
uint32_t sets_most_cards(const struct placer *p);

#endif
