/* search: the best way to cut a row of layers over a row of cards, exact, by dynamic programming.
 */
#ifndef PLAN_SEARCH_H
#define PLAN_SEARCH_H

#include "base/arena.h"
#include "machine/machine.h"

/* Layers keep their order and cards theirs: a split is how many layers each card takes. Times are
 * those of one token's decode. A card holds its layers' bytes and, where kind is given, what goes
 * with such a run of layers there. */
struct search_beside { /* what comes with a run of layers on a card beside them */
    uint64_t bytes;
    double ns;
};

struct search_problem {
    uint32_t n_layers;     /* the output layer included */
    uint32_t n_cards;      /* 1 .. 16 */
    const double *ns;      /* [n_cards][n_layers]: time of a layer on a card */
    const uint64_t *bytes; /* [n_layers]: what it takes there */
    uint64_t room[MACHINE_MAX_DEVICES];
    double hop_ns[MACHINE_MAX_DEVICES]; /* from card i to the next one that is used */
    const uint16_t *kind; /* [n_layers][n_layers + 1]: kind of the run from one layer to before
                             another, or NULL */
    const int64_t *extra[MACHINE_MAX_DEVICES]; /* [kinds]: bytes beside the layers' own */
    const struct search_beside *beside[MACHINE_MAX_DEVICES]; /* as kind, or NULL */
    uint32_t n_aside; /* layers before the last one that no pass goes through: no hop leads there */
};

struct search_answer {
    bool feasible;
    uint32_t count[MACHINE_MAX_DEVICES]; /* layers of each card, at least one unless empty ones are
                                            allowed */
    double ns;                           /* least time of a token */
    double fill;                         /* fullest card: bytes over room */
};

/* Least time; among splits within `slack` (share) of it, the one whose fullest card is emptiest;
 * any of them where slack is below 0. With `empty` a card may stay without layers. False only when
 * memory runs out. */
bool search_split(const struct search_problem *p, bool empty, double slack, struct arena *scratch,
                  struct search_answer *out);

/* The split whose fullest card is emptiest, whether it fits or not; times are not looked at. Not
 * feasible only with more cards than layers. */
bool search_even(const struct search_problem *p, bool empty, struct arena *scratch,
                 struct search_answer *out);

#endif
