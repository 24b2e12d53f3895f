/* together_search: which cards each of several models takes: sets, orders, backtracking, bounds. */
#ifndef PLAN_TOGETHER_SEARCH_H
#define PLAN_TOGETHER_SEARCH_H

#include "plan/place.h"
#include "plan/together.h"

/* Placements of one search, of all searches for one answer, and of all for what would help: some
 * seconds at worst. */
enum { SOLVER_MEMO = 2048, SOLVER_SEARCH = 1000, SOLVER_ANSWER = 4000, SOLVER_WAYS = 3000 };

struct solver_memo;

struct solver {
    const struct together_part *parts;
    uint32_t n;
    struct machine machine; /* without any of them */
    struct arena *arena;
    bool tight;                                 /* the kept-free room may be used */
    struct law_settings s[TOGETHER_MAX_MODELS]; /* tried now */
    uint64_t candidates;
    uint64_t budget; /* of candidates, for all searches */
    uint64_t limit;  /* of candidates, for the search at hand */
    bool cut;        /* the last search ended at its limit */

    /* the last search's answer; order[0] was placed first */
    uint32_t order[TOGETHER_MAX_MODELS];
    struct placement *best[TOGETHER_MAX_MODELS]; /* by part; NULL: not placed */
    uint32_t best_uses;                          /* UINT32_MAX: not all of them fit */
    uint32_t n_placed;

    struct placement *now[TOGETHER_MAX_MODELS];
    uint32_t least[TOGETHER_MAX_MODELS]; /* cards of each alone */
    uint64_t bytes[TOGETHER_MAX_MODELS]; /* weights, cache and a process on the least cards: no less
                                            anywhere */
    uint32_t bound;                      /* sum of least */
    struct solver_memo *memo;
    struct err failed; /* memory */
};

bool solver_init(struct solver *v, const struct together_part *parts, uint32_t n,
                 const struct machine *m, struct arena *arena, struct err *err);

/* All of them at once with v->s; false only when memory runs out. found: best[], order[] and
 * best_uses say where. Not found: best[] holds those that could be placed before one could not. */
bool solver_search(struct solver *v, bool *found, struct err *err);

/* The last answer's cards again, with v->s as it is now. */
bool solver_again(struct solver *v, bool *found, struct err *err);

/* One model on one set of cards of `left`; NULL: it does not fit there. */
struct placement *solver_place(struct solver *v, uint32_t part, uint32_t mask,
                               const struct machine *left);

/* What a placement takes from card i of the machine, runtime included. */
uint64_t solver_need(const struct together_part *part, const struct machine *m,
                     const struct placement *pl, uint32_t card);

/* Takes it from a machine's free bytes, host too. Not below 1. */
void solver_take(const struct together_part *part, const struct placement *pl,
                 struct machine *left);

#endif
