/* place: lays a model on a set of cards and searches for the set, the split and the context. */
#ifndef PLAN_PLACE_H
#define PLAN_PLACE_H

#include "plan/plan.h"

/* One placement that was worked out to the byte. fill is the fullest card's need over its room: up to 1.0 it
 * fits with the kept-free room untouched. */
struct placement {
    uint32_t mask; /* cards of the machine that are used */
    struct law_settings s;
    struct law_result law; /* devices numbered within the mask */
    struct law_result draft; /* the second context: a draft model's or that of NextN blocks; n_ctx 0: none */
    double fill;
    double score; /* what the goal counts: tokens per second, or tokens of context */
    bool fits, fits_tight; /* with, without the kept-free room and the runtime estimate at its lower end */
};

struct placer {
    const struct model *model;
    const struct machine *machine;
    const struct plan_wish *wish;
    struct arena *arena;
    uint64_t candidates;
    struct speed_card *cards;  /* of machine.devices */
    struct plan_optimality best; /* what place_choose found out about its choice */
    struct placement *host; /* the placement with layers on the host that options_make found, or NULL */
    bool quick; /* searching: compute from the folded model; what is chosen is worked out whole afterwards */
};

/* The cards of mask as a machine of their own, in order. */
void place_submachine(const struct machine *m, uint32_t mask, struct machine *out);

/* Place with these settings on exactly these cards: a split is chosen unless s has one. */
bool place_on(struct placer *p, uint32_t mask, const struct law_settings *s, struct placement *out,
              struct err *err);

/* Fills pl->draft for what pl->law was worked out for. */
bool place_draft(struct placer *p, const struct machine *sub, struct placement *pl, struct err *err);

/* The same placement with every layer in its graph. False only for errors; out->fits may then have changed. */
bool place_exactly(struct placer *p, struct placement *pl, struct err *err);

/* Largest context on these cards in steps of 256, between min_ctx and max_ctx; false (no error) if none fits. */
bool place_largest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t min_ctx,
                   uint32_t max_ctx, struct placement *out, struct err *err);

/* Everything open is chosen. */
bool place_choose(struct placer *p, struct placement *out, struct err *err);

/* Fewest layers (or expert layers, for mixtures) on the host so that the rest fits; false if not even that. */
bool place_with_host(struct placer *p, uint32_t mask, const struct law_settings *s,
                     struct placement *out, struct err *err);

uint32_t place_all_cards(const struct placer *p);

/* False (no error) when weights and KV alone are more than all rooms of these cards together. */
bool place_may_fit(struct placer *p, uint32_t mask, const struct law_settings *s, struct err *err);

/* Cards of a mask for people: "GPU 0 + GPU 1". Text in the arena, NULL without memory. */
const char *place_set_name(struct placer *p, uint32_t mask);

/* What a placement gives: depth 0 for an empty context. */
void place_speed(struct placer *p, const struct placement *pl, uint32_t depth, uint32_t streams,
                 struct speed *out);

/* The split of these cards that is fastest for so many streams, each depth tokens deep, and fits; among equally fast
 * ones the evenest. out->fits tells. */
bool place_fastest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                   uint32_t depth, struct placement *out, struct err *err);

#endif
