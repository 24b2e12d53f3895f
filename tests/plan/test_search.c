/* test_search: the split that is found against every split there is. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plan/search.h"

static uint32_t seed = 12345;

static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

struct brute {
    const struct search_problem *p;
    double best, slack_best_fill, limit;
};

/* Every way to cut the remaining layers over the remaining cards. */
static void try_all(struct brute *b, uint32_t card, uint32_t layer, double ns, double fill, bool second)
{
    const struct search_problem *p = b->p;
    if (card == p->n_cards) {
        if (layer != p->n_layers)
            return;
        if (!second && ns < b->best)
            b->best = ns;
        if (second && ns <= b->limit && fill < b->slack_best_fill)
            b->slack_best_fill = fill;
        return;
    }
    uint64_t bytes = 0;
    double t = card > 0 ? p->hop_ns[card - 1] : 0;
    for (uint32_t l = layer; l < p->n_layers; l++) {
        bytes += p->bytes[l];
        t += p->ns[card * p->n_layers + l];
        if (bytes > p->room[card])
            return;
        double here = (double)bytes / (double)p->room[card];
        try_all(b, card + 1, l + 1, ns + t, here > fill ? here : fill, second);
    }
}

static void equals_brute_force_on_random_cases(void **state)
{
    (void)state;
    struct arena a = {0};
    int feasible = 0;
    for (int round = 0; round < 2000; round++) {
        double ns[4 * 12];
        uint64_t bytes[12];
        struct search_problem p = {.n_layers = 2 + dice(11), .n_cards = 1 + dice(4), .ns = ns, .bytes = bytes};
        for (uint32_t l = 0; l < p.n_layers; l++)
            bytes[l] = 1 + dice(30);
        for (uint32_t c = 0; c < p.n_cards; c++) {
            double speed = 1 + dice(5);
            p.room[c] = 5 + dice(120);
            p.hop_ns[c] = dice(20);
            for (uint32_t l = 0; l < p.n_layers; l++)
                ns[c * p.n_layers + l] = (double)bytes[l] / speed + dice(3);
        }
        double slack = dice(3) * 0.01;
        struct search_answer answer;
        struct brute b = {&p, DBL_MAX, DBL_MAX, 0};
        assert_true(search_split(&p, false, slack, &a, &answer));
        try_all(&b, 0, 0, 0, 0, false);
        assert_int_equal(answer.feasible, b.best < DBL_MAX);
        if (!answer.feasible)
            continue;
        feasible++;
        b.limit = b.best * (1 + slack) + 1e-9;
        try_all(&b, 0, 0, 0, 0, true);
        assert_true(answer.ns <= b.limit);
        if (fabs(answer.fill - b.slack_best_fill) > 1e-5)
            fail_msg("round %d: fill %f, brute force %f", round, answer.fill, b.slack_best_fill);
        uint32_t sum = 0;
        for (uint32_t c = 0; c < p.n_cards; c++) {
            assert_true(answer.count[c] > 0);
            sum += answer.count[c];
        }
        assert_int_equal(sum, p.n_layers);
    }
    assert_true(feasible > 500);
    arena_finish(&a);
}

static void too_little_room_is_said(void **state)
{
    (void)state;
    struct arena a = {0};
    double ns[2] = {1, 1};
    uint64_t bytes[1] = {10};
    struct search_problem p = {.n_layers = 1, .n_cards = 1, .ns = ns, .bytes = bytes, .room = {9}};
    struct search_answer answer;
    assert_true(search_split(&p, false, 0, &a, &answer));
    assert_false(answer.feasible);
    p.room[0] = 10;
    assert_true(search_split(&p, false, 0, &a, &answer));
    assert_true(answer.feasible && answer.fill == 1.0);
    p.n_cards = 2; /* one layer cannot occupy two cards */
    p.room[1] = 100;
    assert_true(search_split(&p, false, 0, &a, &answer));
    assert_false(answer.feasible);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_brute_force_on_random_cases),
        cmocka_unit_test(too_little_room_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
