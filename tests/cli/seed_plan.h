/* seed_plan: one plan as the rows of the seeds' acceptance tables look at it: who holds how much.
 */
#ifndef TESTS_CLI_SEED_PLAN_H
#define TESTS_CLI_SEED_PLAN_H

#include "run.h"

#define GIB ((int64_t)1 << 30)
#define MIB ((int64_t)1 << 20)

enum { SEED_CARDS = 8 };

struct seen {
    int code; /* of the process: 0 fits, 8 does not */
    char verdict[24];
    uint32_t cards, used;   /* all, and bit i: card i holds layers */
    int layers[SEED_CARDS]; /* blocks on each, the output layer not counted */
    int first[SEED_CARDS],
        last[SEED_CARDS]; /* -1: none; the output layer is the model's layer count */
    uint32_t n_shares;
    double share[SEED_CARDS]; /* of --tensor-split, in the order of the cards that are used */
    int64_t context, context_max, parameters, file_bytes;
    int64_t weights, kv, compute, runtime; /* over all cards; runtime is the estimate */
    int64_t host_weights, host_kv;
    char reasons[2048];
};

/* `plan` with these words, as JSON. Fails the test when that is no plan. */
struct seen see(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Weights, cache, compute and runtime of all cards, in GiB. */
double seen_gib(const struct seen *s);

bool near_to(double a, double b, double most);

/* Exit code 0 and exactly these cards. */
void expect_cards(const struct seen *s, uint32_t mask);

#endif
