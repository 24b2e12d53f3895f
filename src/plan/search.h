/* search: the best way to cut a row of layers over a row of cards, exact, by dynamic programming. */
#ifndef PLAN_SEARCH_H
#define PLAN_SEARCH_H

#include "base/arena.h"
#include "machine/machine.h"

/* Layers keep their order and cards theirs: a split is how many layers each card takes. Times and bytes are those of
 * one token's decode and of what lies on the card beside per-card costs, which room already leaves out. */
struct search_problem {
    uint32_t n_layers; /* the output layer included */
    uint32_t n_cards;  /* 1 .. 16 */
    const double *ns;       /* [n_cards][n_layers]: time of a layer on a card */
    const uint64_t *bytes;  /* [n_layers]: what it takes there */
    uint64_t room[MACHINE_MAX_DEVICES];
    double hop_ns[MACHINE_MAX_DEVICES]; /* from card i to the next one that is used */
};

struct search_answer {
    bool feasible;
    uint32_t count[MACHINE_MAX_DEVICES]; /* layers of each card, every card at least one */
    double ns;   /* least time of a token */
    double fill; /* fullest card: bytes over room */
};

/* Least time; among splits within `slack` (share, 0 or more) of it, the one whose fullest card is emptiest. False
 * only when memory runs out. */
bool search_split(const struct search_problem *p, double slack, struct arena *scratch,
                  struct search_answer *out);

#endif
