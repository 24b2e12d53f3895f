/* place: lays a model on a set of cards and searches for the set, the split and the context. */
#ifndef PLAN_PLACE_H
#define PLAN_PLACE_H

#include "plan/plan.h"

/* One placement that was worked out to the byte. fill is the fullest card's need over its room: up to 1.0 it
 * fits with the kept-free room untouched. */
struct placement {
    uint32_t mask; /* cards of the machine that the model lies on */
    struct law_settings s;
    struct law_result law; /* devices numbered within the mask */
    uint32_t draft_mask; /* cards of the second context; 0: it lies on the host, or there is none */
    struct law_settings draft_s;
    struct law_result draft; /* a draft model's or that of NextN blocks, numbered within draft_mask; n_ctx 0: none */
    double fill;
    double score; /* what the goal counts: tokens per second, or tokens of context */
    bool fits, fits_tight; /* with, without the kept-free room and the runtime estimate at its lower end */
};

struct share_book;

struct placer {
    const struct model *model;
    const struct machine *machine;
    const struct plan_wish *wish;
    struct arena *arena;
    uint64_t candidates;
    struct speed_card *cards;  /* of machine.devices */
    struct plan_optimality best; /* what place_choose found out about its choice */
    struct mtp_offer *mtp;  /* what drafting by the model's own NextN blocks would give, or NULL */
    struct share_book *book; /* what splits taught so far, or NULL: every search learns afresh */
    bool doubt; /* a split took more than like ones did: that there is no better one is not proved */
    struct placement *host; /* the placement with layers on the host that options_make found, or NULL */
    bool quick; /* searching: compute from the folded model; what is chosen is worked out whole afterwards */
};

/* The cards of mask as a machine of their own, in order. */
void place_submachine(const struct machine *m, uint32_t mask, struct machine *out);

/* Place with these settings on exactly these cards: a split is chosen unless s has one. */
bool place_on(struct placer *p, uint32_t mask, const struct law_settings *s, struct placement *out,
              struct err *err);

/* Works out pl's settings on the cards of its masks; sets what fits. */
bool place_evaluate(struct placer *p, struct placement *pl, struct err *err);

/* What machine.devices[card] must hold, the draft's part with it, the driver's and libraries' share left out. */
uint64_t place_need(const struct placer *p, const struct placement *pl, uint32_t card);

enum { PLACE_DRAFTED = 3 }; /* tokens that the engine drafts at once where it is not told */

/* Cards of a placement: the model's and its draft's. */
static inline uint32_t place_cards(const struct placement *pl)
{
    return pl->mask | pl->draft_mask;
}

/* Fills pl->draft on pl->draft_mask for what pl->law was worked out for. */
bool place_draft(struct placer *p, struct placement *pl, struct err *err);

/* Bytes of the second context on machine.devices[card]. */
uint64_t place_draft_need(const struct placement *pl, uint32_t card);

/* A model's cards and its draft's, to be tried in this order: the draft on its fastest card first, beside the model;
 * then over the model's cards; then on a card that the model leaves to it; on the host last, where that is allowed. */
struct draft_spot { uint32_t main, draft; };
enum { PLACE_MAX_SPOTS = 2 * MACHINE_MAX_DEVICES + 2 };
uint32_t place_draft_spots(const struct placer *p, uint32_t mask, const struct law_settings *s,
                           struct draft_spot spots[PLACE_MAX_SPOTS]);

/* The draft's place is chosen, and there are places that are not looked at: several cards other than the model's. */
bool place_draft_open(const struct placer *p);

/* A refusal at one of several places for a draft rules out that place (err is cleared); the last one's is an error. */
bool place_may_go_on(const struct placer *p, bool more, struct err *err);

/* Tokens drafted for every pass over the model, 0 where no drafting is counted; and the tokens that such a pass gives. */
uint32_t place_drafted(const struct placer *p, uint32_t streams);
double place_pass_tokens(const struct placer *p, uint32_t streams);

/* What speculation is expected to give at an empty context; kind SPEC_NONE where there is none or nothing is known. */
void place_speculation(struct placer *p, const struct placement *pl, struct speculation_gain *out);

/* Outputs that a server reserves for s: one a slot and one more for every drafted token. */
void place_outputs(uint32_t drafted, struct law_settings *s);

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

/* False (no error) when by weights and KV, or by what like splits took, no split of these cards fits. */
bool place_may_fit(struct placer *p, uint32_t mask, const struct law_settings *s, struct err *err);

/* Cards of a mask for people: "GPU 0 + GPU 1". Text in the arena, NULL without memory. */
const char *place_set_name(struct placer *p, uint32_t mask);

/* What a placement gives: depth 0 for an empty context. */
void place_speed(struct placer *p, const struct placement *pl, uint32_t depth, uint32_t streams,
                 struct speed *out);

/* Tokens per second that a goal counts: of one stream at an empty context, with what is drafted; of several, all
 * together, depth tokens deep. The cache counts as f16: a coarser one saves room; that it also saves time is not
 * counted on. */
double place_rate(struct placer *p, const struct placement *pl, uint32_t depth, uint32_t streams);

/* The split of these cards, and the place of a draft model, that is fastest for so many streams, each depth tokens
 * deep, and fits. out->fits tells; where it is false, the rest of out may be empty. */
bool place_fastest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                   uint32_t depth, struct placement *out, struct err *err);

/* Of all splits of pl's cards the one whose fullest card is emptiest, where the split is open. */
bool place_evenest(struct placer *p, struct placement *pl, struct err *err);

/* Of the splits that are as fast as pl's, the one whose fullest card is emptiest. */
bool place_evener(struct placer *p, struct placement *pl, uint32_t streams, uint32_t depth, struct err *err);

/* Time of a token of each stream that no split of these cards that fits undercuts, by what is known; 0: no bound
 * is known, infinity: nothing fits. */
bool place_least_ns(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                    uint32_t depth, double *out, struct err *err);

/* Whether with the model on exactly these cards a draft over several cards other than them may give a token in less
 * than so many ns. */
bool place_elsewhere_faster(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                            uint32_t depth, double than_ns, bool *out, struct err *err);

#endif
