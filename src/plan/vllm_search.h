/* vllm_search: looks at every set of cards, tp x pp and order of stages, and keeps the best for the
 * goal. */
#ifndef PLAN_VLLM_SEARCH_H
#define PLAN_VLLM_SEARCH_H

#include "plan/vllm_speed.h"

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
    struct vllm_pace *paces[VLLM_MAX_RANKS + 1];
    bool apart;   /* ranks of one tensor parallel group may sit in several hosts */
    bool bounded; /* not every set, group or order was looked at */
    uint64_t candidates;
    double most_ms; /* GOAL_BALANCED: within 10 % of the fastest, 0 not known yet */
    struct vllm_candidate best, second;
    bool found, found_second;
};

bool vllm_search_run(struct vllm_search *s, struct err *err);

/* One layout: ranks in this order. The better one stays. */
bool vllm_search_try(struct vllm_search *s, const uint8_t *cards, uint32_t n, uint32_t tp,
                     uint32_t pp, struct err *err);

/* All tp x pp over n cards. The first refusal is kept in why. */
bool vllm_search_cards(struct vllm_search *s, uint8_t *cards, uint32_t n, uint32_t mask,
                       struct err *why, struct err *err);

/* Every set of the allowed cards; of equal cards the first are taken. */
bool vllm_orders_sets(struct vllm_search *s, uint32_t allowed, struct err *why, struct err *err);

/* Every way to share n cards out over pp groups of tp, and every order of the groups. */
bool vllm_orders_try(struct vllm_search *s, const uint8_t *cards, uint32_t n, uint32_t tp,
                     uint32_t pp, struct err *err);

/* The first n of a command's cards, in the order vLLM gives them ranks. */
void vllm_orders_command(const struct machine *m, uint8_t *cards, uint32_t have, uint32_t n);

/* Settings that are open, as vLLM sets them on such cards (entrypoints of the API server,
 * behaviour). */
void vllm_fill_defaults(const struct hub_model *model, const struct machine *machine,
                        const uint8_t *cards, uint32_t n, struct vllm_wish *wish);

/* Context that is asked of a plan whose length is open. */
uint32_t vllm_wanted_context(const struct hub_model *model, const struct vllm_wish *wish);

#endif
