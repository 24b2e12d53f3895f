/* vllm_search: looks at every set of cards, tp x pp and order of stages, and keeps the best for the
 * goal. */
#ifndef PLAN_VLLM_SEARCH_H
#define PLAN_VLLM_SEARCH_H

#include "plan/vllm_layout.h"

struct vllm_candidate {
    struct vllm_layout layout;
    struct vllm_wish wish; /* filled in for these cards; layout.law is made again for it */
    struct vllm_choice choice;
    bool enough; /* holds what was asked at the estimate's low end */
};

struct vllm_search {
    const struct hub_model *model;
    const struct machine *machine;
    const struct vllm_wish *wish;
    struct arena *arena;
    struct vllm_law *laws[VLLM_MAX_RANKS + 1]; /* by tp */
    uint64_t candidates;
    double most_ms; /* GOAL_BALANCED: within 10 % of the fastest, 0 not known yet */
    struct vllm_candidate best, second;
    bool found, found_second;
};

bool vllm_search_run(struct vllm_search *s, struct err *err);

/* Settings that are open, as vLLM sets them on such cards (entrypoints of the API server,
 * behaviour). */
void vllm_fill_defaults(const struct hub_model *model, const struct machine *machine,
                        const uint8_t *cards, uint32_t n, struct vllm_wish *wish);

/* Context that is asked of a plan whose length is open. */
uint32_t vllm_wanted_context(const struct hub_model *model, const struct vllm_wish *wish);

#endif
