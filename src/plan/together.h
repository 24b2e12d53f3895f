/* together: several models side by side on the same cards, each process with a context of its own,
 * proved as a whole. */
#ifndef PLAN_TOGETHER_H
#define PLAN_TOGETHER_H

#include "plan/plan.h"

enum { TOGETHER_MAX_MODELS = 4, TOGETHER_MAX_CARDS = 8, TOGETHER_MAX_WAYS = 8 };

struct together_part {
    const char *name; /* as people call it; kept, not copied */
    const struct model *model;
    struct plan_wish wish; /* what is given is kept; as_command is not looked at */
};

/* A change of the wishes with which all would fit. */
struct together_way {
    int part; /* which model, -1: all of them */
    const char *change;
    const char *flags; /* for that model's wish */
    const char *price;
};

struct together_card {
    uint64_t need[TOGETHER_MAX_MODELS]; /* weights, KV, compute and runtime of each model */
    uint64_t other;                     /* held by other programs now */
    uint64_t keep_free;                 /* the most that a wish asks for */
    int64_t free_after;                 /* with all of them; negative when short */
};

struct together {
    uint32_t n;
    const struct machine *machine;
    struct plan plans[TOGETHER_MAX_MODELS]; /* each against the machine as the others leave it */
    uint32_t n_cards;
    struct together_card cards[MACHINE_MAX_DEVICES];
    enum plan_verdict verdict; /* the worst of them */
    int short_part;            /* the model that finds no room, -1 */
    uint64_t short_bytes;      /* what it lacks over all cards */
    uint32_t card_uses;        /* cards of each model, added up */
    bool proved;               /* no choice of cards uses fewer, or none fits, as the case may be */
    uint64_t candidates;       /* placements looked at */
    uint32_t n_ways;
    struct together_way ways[TOGETHER_MAX_WAYS];
};

/* Which cards each model uses is searched over all sets of cards and all orders of the models,
 * largest first, with backtracking: fewest cards in sum, then cards that no other model uses, then
 * fast ones. A set of cards is filled by the most even split. Open contexts get 32768 tokens (or
 * what was trained) if that fits, else the same smaller limit for all, with a coarser cache where
 * below 4096; what room remains lengthens them. Results live in arena. ERR_2113 for no models, too
 * many, or more cards than TOGETHER_MAX_CARDS. */
bool together_make(const struct together_part *parts, uint32_t n, const struct machine *machine,
                   struct arena *arena, struct together *out, struct err *err);

int together_exit_code(const struct together *t); /* 0 or 8, as plan_exit_code */

#endif
