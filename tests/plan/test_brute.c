/* test_brute: on random small cases the chosen plan is the best of all there are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brute.h"

enum { CASES = 2000 };

static bool same_value(const struct brute_value *a, const struct brute_value *b)
{
    if (!a->fits || !b->fits)
        return a->fits == b->fits;
    for (int i = 0; i < BRUTE_KEYS; i++)
        if (fabs(a->key[i] - b->key[i]) > 1e-9 * (fabs(a->key[i]) + fabs(b->key[i])))
            return false;
    return true;
}

static void tell(uint32_t number, const struct small_case *c, const struct plan *p,
                 const struct brute_value *best, const struct brute_value *ours)
{
    printf("case %u: ", number);
    small_case_print(c);
    printf("  best %d: %.9g %.9g %.9g %.9g\n  plan %d: %.9g %.9g %.9g %.9g, %s, cards %x, ctx %u, "
           "type %u, fits %s\n",
           best->fits, best->key[0], best->key[1], best->key[2], best->key[3], ours->fits,
           ours->key[0], ours->key[1], ours->key[2], ours->key[3], plan_verdict_name(p->verdict),
           p->placed_mask, p->law.n_ctx, p->settings.type_k,
           p->optimality.proved ? "proved" : "not proved");
    for (uint32_t i = 0; i < p->settings.n_tensor_split; i++)
        printf("  %g", p->settings.tensor_split[i]);
    printf("\n");
}

static int host_layers(const struct plan *p)
{
    if (p->settings.n_cpu_moe)
        return (int)p->settings.n_cpu_moe;
    return p->settings.n_gpu_layers < 0 ? 0
                                        : (int)p->model->n_layers + 1 - p->settings.n_gpu_layers;
}

struct tally {
    uint32_t fit, not_fit, refused, on_host, wrong, several, unproved;
};

/* Nothing fits on the cards: then as little as can be lies on the host, where that is allowed. */
static bool host_is_least(const struct small_case *c, const struct plan *p, struct tally *t,
                          struct err *err)
{
    struct law_settings s = c->wish.s;
    if (!c->wish.allow_cpu || (c->wish.given & GIVEN_TENSOR_SPLIT) || p->verdict == VERDICT_TIGHT)
        return true;
    s.flash = FLASH_ON;
    s.n_ctx = p->settings.n_ctx;
    s.type_k = p->settings.type_k;
    s.type_v = p->settings.type_v;
    s.n_seq_max = p->settings.n_seq_max;
    s.n_outputs_max = p->settings.n_outputs_max;
    int least = brute_host_layers(c, p->placed_mask, &s, err);
    t->on_host += least > 0;
    if (least < 0)
        return host_layers(p) == 0;
    if (host_layers(p) != least)
        printf("  %d layers on the host, %d would do\n", host_layers(p), least);
    return host_layers(p) == least;
}

static bool check(uint32_t number, struct tally *t)
{
    struct small_case c;
    struct plan p;
    struct err err = {0}, brute_err = {0};
    struct brute_value best, ours = {0};
    bool good = small_case_make(number, &c, &err);
    if (!good) {
        printf("case %u: %s\n", number, err.title);
        arena_finish(&c.arena);
        return false;
    }
    bool made = plan_make(&c.model, &c.machine, &c.wish, &c.arena, &p, &err);
    bool worked = brute_compare(&c, made ? &p : NULL, &best, &ours, &brute_err);
    if (!made || !worked) {
        good = !best.fits && !made;
        t->refused++;
        if (!good)
            printf("case %u: plan %s, brute force %s\n", number, made ? "made" : err.title,
                   worked ? "made" : brute_err.title);
    } else {
        ours.fits = ours.fits &&
                    p.verdict != VERDICT_PARTLY_CPU; /* what needs the host is looked at below */
        t->unproved += best.fits && p.optimality.objective && !p.optimality.proved;
        t->several += best.fits && __builtin_popcount(p.placed_mask) > 1;
        *(best.fits ? &t->fit : &t->not_fit) += 1;
        good = same_value(&best, &ours);
        if (!good)
            tell(number, &c, &p, &best, &ours);
        if (!best.fits && good)
            good = host_is_least(&c, &p, t, &brute_err);
    }
    arena_finish(&c.arena);
    return good;
}

static void the_plan_is_the_best_of_all(void **state)
{
    (void)state;
    struct tally t = {0};
    for (uint32_t i = 0; i < CASES; i++)
        t.wrong += !check(i, &t);
    printf("%u fit (%u on several cards, %u not proved), %u do not, %u of them on the host, %u "
           "refused, %u wrong\n",
           t.fit, t.several, t.unproved, t.not_fit, t.on_host, t.refused, t.wrong);
    assert_int_equal(t.wrong + t.unproved, 0);
    assert_true(t.fit > CASES / 3 && t.several > CASES / 5 && t.not_fit > CASES / 20);
}

static bool make(struct small_case *c, struct plan *out)
{
    struct err err = {0};
    return plan_make(&c->model, &c->machine, &c->wish, &c->arena, out, &err) &&
           out->verdict == VERDICT_FITS && out->optimality.objective;
}

/* Balanced gives up context for speed, so that more memory may mean less of the one for more of the
 * other; and cards that all must be used may then all have to work. */
static void more_memory_never_lowers_the_best_value(void **state)
{
    (void)state;
    uint32_t looked_at = 0;
    for (uint32_t i = 0; i < CASES / 4; i++) {
        struct small_case c;
        struct plan before, after;
        struct err err = {0};
        assert_true(small_case_make(i, &c, &err));
        struct device *d = &c.machine.devices[i % c.machine.n_devices];
        bool good = c.wish.goal != GOAL_BALANCED && !c.wish.spread && make(&c, &before);
        d->free_bytes += d->free_bytes / 16;
        good = good && d->free_bytes <= d->total_bytes;
        if (good) {
            assert_true(make(&c, &after));
            bool same = strcmp(before.optimality.objective, after.optimality.objective) == 0;
            bool cards = strcmp(before.optimality.objective, "cards") == 0;
            double gain = after.optimality.best - before.optimality.best;
            if (same && (cards ? gain > 0 : gain < -1e-9 * before.optimality.best))
                fail_msg("case %u: %f, with less memory %f", i, after.optimality.best,
                         before.optimality.best);
            looked_at++;
        }
        arena_finish(&c.arena);
    }
    assert_true(looked_at > CASES / 20);
}

static void equal_cards_may_change_places(void **state)
{
    (void)state;
    uint32_t looked_at = 0;
    for (uint32_t i = 0; i < CASES / 4; i++) {
        struct small_case c;
        struct plan before, after;
        struct err err = {0};
        assert_true(small_case_make(i, &c, &err));
        if (c.machine.n_devices > 2) {
            struct device *d = c.machine.devices;
            d[2] = d[0]; /* an unlike card may lie between them */
            d[2].index = 2;
            bool good = make(&c, &before);
            struct device first = d[0];
            d[0] = d[2];
            d[2] = first;
            if (good) {
                assert_true(make(&c, &after));
                assert_true(after.optimality.best == before.optimality.best);
                assert_true(after.used_mask == before.used_mask &&
                            after.law.n_ctx == before.law.n_ctx);
                looked_at++;
            }
        }
        arena_finish(&c.arena);
    }
    assert_true(looked_at > CASES / 40);
}

static void a_plan_that_fits_still_fits_with_one_layer_less(void **state)
{
    (void)state;
    uint32_t looked_at = 0;
    for (uint32_t i = 0; i < CASES / 4; i++) {
        struct small_case c;
        struct plan whole, less;
        struct err err = {0};
        assert_true(small_case_make(i, &c, &err));
        if (!(c.wish.given & GIVEN_TENSOR_SPLIT) && make(&c, &whole)) {
            c.wish.goal = GOAL_FEWEST;
            c.wish.s = whole.settings;
            c.wish.s.n_tensor_split = 0;
            c.wish.s.split = SPLIT_LAYER;
            c.wish.s.n_gpu_layers =
                (int32_t)c.model.n_layers; /* one of them and the output layer make n + 1 */
            c.wish.given |=
                GIVEN_CTX | GIVEN_GPU_LAYERS | GIVEN_TYPE_K | GIVEN_TYPE_V | GIVEN_PARALLEL;
            assert_true(plan_make(&c.model, &c.machine, &c.wish, &c.arena, &less, &err));
            for (uint32_t d = 0; d < less.n_devices; d++)
                assert_int_equal(less.devices[d].shortfall, 0);
            looked_at++;
        }
        arena_finish(&c.arena);
    }
    assert_true(looked_at > CASES / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_is_the_best_of_all),
        cmocka_unit_test(more_memory_never_lowers_the_best_value),
        cmocka_unit_test(equal_cards_may_change_places),
        cmocka_unit_test(a_plan_that_fits_still_fits_with_one_layer_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
