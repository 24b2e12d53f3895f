/* test_plan: decisions a user would notice, over built-in models and imagined cards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model model;
static struct machine machine;
static struct plan plan;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    return 0;
}

static void open_model(const char *name)
{
    struct model_request req = {.ref = name};
    if (!model_open(&req, &arena, &model, &err))
        fail_msg("%s: %s", name, err.title);
}

static void cards(const char *text)
{
    struct machine real = {.host = {.total_bytes = 64 * GIB, .free_bytes = 60 * GIB, .cores = 16, .avx2 = true}};
    if (!machine_parse_gpus(text, &real, &arena, &machine, &err))
        fail_msg("%s: %s", text, err.title);
}

static void make(const struct plan_wish *w)
{
    if (!plan_make(&model, &machine, w, &arena, &plan, &err))
        fail_msg("%s", err.title);
}

static uint64_t used(const struct plan_device *d)
{
    return d->weights + d->kv + d->compute + d->runtime;
}

static void a_small_model_takes_one_card(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.1-8b:Q4_K_M");
    cards("rtx3060,rtx5090");
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_int_equal(__builtin_popcount(plan.used_mask), 1);
    assert_int_equal(plan.settings.split, SPLIT_NONE);
    assert_true(plan.law.n_ctx >= 32768);
    assert_int_equal(plan_exit_code(&plan), 0);
}

static void a_large_one_takes_both_and_fills_them_alike(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.3-70b:Q4_K_M");
    cards("rtx5090,rtx4090");
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_int_equal(plan.used_mask, 3);
    for (int i = 0; i < 2; i++) {
        assert_true(used(&plan.devices[i]) + plan.devices[i].keep_free <= plan.devices[i].card->free_bytes);
        assert_true(plan.devices[i].keep_free <= GIB);
    }
    assert_int_equal((int)plan.settings.tensor_split[0] + (int)plan.settings.tensor_split[1], 81);
    assert_true(plan.devices[1].last_layer == 80);
}

static double fullest(void)
{
    double most = 0;
    for (uint32_t i = 0; i < plan.n_devices; i++) {
        const struct plan_device *d = &plan.devices[i];
        double room = (double)(d->card->free_bytes - d->keep_free - d->runtime);
        most = fmax(most, (double)(used(d) - d->runtime) / room);
    }
    return most;
}

/* The context is given, so that only the split is open: one that fits, and one that fits tightly.
 */
static void no_split_leaves_the_fullest_card_emptier(void **state)
{
    (void)state;
    static const uint32_t contexts[] = {32768, 88000};
    for (int i = 0; i < 2; i++) {
        struct plan_wish w = plan_default_wish();
        reset(NULL);
        open_model("qwen2.5-32b:Q4_K_M");
        cards("rtx3090,rtx3060");
        w.s.n_ctx = contexts[i];
        w.given = GIVEN_CTX;
        make(&w);
        assert_int_equal(plan.used_mask, 3);
        double chosen = fullest(), best = 1e9;
        w.given |= GIVEN_TENSOR_SPLIT;
        w.s.n_tensor_split = 2;
        for (int first = 30; first < 60; first++) {
            w.s.tensor_split[0] = first;
            w.s.tensor_split[1] = 65 - first;
            make(&w);
            best = fmin(best, fullest());
        }
        assert_true(chosen <= best * (1 + 1e-9));
    }
}

static void what_was_given_is_kept_to_the_letter(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.1-8b:Q4_K_M");
    cards("24GiB,24GiB");
    w.s.n_ctx = 8192;
    w.s.n_tensor_split = 2;
    w.s.tensor_split[0] = 1;
    w.s.tensor_split[1] = 2;
    w.s.type_k = w.s.type_v = GGUF_TYPE_Q8_0;
    w.given = GIVEN_CTX | GIVEN_TENSOR_SPLIT | GIVEN_TYPE_K | GIVEN_TYPE_V;
    make(&w);
    assert_int_equal(plan.law.n_ctx, 8192);
    assert_true(plan.settings.tensor_split[0] == 1 && plan.settings.tensor_split[1] == 2);
    assert_int_equal(plan.settings.type_k, GGUF_TYPE_Q8_0);
    assert_int_equal(plan.devices[0].last_layer, 10);
}

static void what_does_not_fit_says_by_how_much_and_what_would(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.3-70b:Q4_K_M");
    cards("rtx3090,16GiB");
    w.s.n_ctx = 8192;
    w.given = GIVEN_CTX;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_NO_FIT);
    assert_int_equal(plan_exit_code(&plan), 8);
    uint64_t missing = plan.devices[0].shortfall + plan.devices[1].shortfall;
    assert_true(missing > GIB && missing < 20 * GIB);
    bool host = false;
    for (uint32_t i = 0; i < plan.n_alternatives; i++)
        host = host || plan.alternatives[i].verdict == VERDICT_PARTLY_CPU;
    assert_true(host);
}

static void allowed_the_processor_takes_what_is_too_much(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.3-70b:Q4_K_M");
    cards("rtx3090,16GiB");
    w.s.n_ctx = 8192;
    w.given = GIVEN_CTX;
    w.allow_cpu = true;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_PARTLY_CPU);
    assert_int_equal(plan_exit_code(&plan), 0);
    assert_true(plan.host.weights > GIB);
    assert_true(plan.settings.n_gpu_layers > 40 && plan.settings.n_gpu_layers < 80);
}

static void the_largest_context_is_the_largest(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.3-70b:Q4_K_M");
    cards("rtx5090,rtx4090");
    w.ctx_max = true;
    make(&w);
    uint32_t most = plan.law.n_ctx;
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_int_equal(plan.context_max[0], most);
    assert_true(plan.context_max[1] > most && plan.context_max[2] > plan.context_max[1]);
    w = plan_default_wish();
    w.given = GIVEN_CTX;
    w.s.n_ctx = most + 256;
    make(&w);
    assert_int_not_equal(plan.verdict, VERDICT_FITS);
}

static void more_memory_never_means_less_context(void **state)
{
    (void)state;
    static const char *const sets[] = {"24GiB,20GiB", "24GiB,22GiB", "26GiB,22GiB", "26GiB,26GiB", "32GiB,26GiB"};
    uint32_t before = 0;
    for (size_t i = 0; i < 5; i++) {
        struct plan_wish w = plan_default_wish();
        w.ctx_max = true;
        open_model("qwen2.5-72b:IQ4_XS");
        cards(sets[i]);
        make(&w);
        assert_true(plan.context_max[0] >= before);
        before = plan.context_max[0];
    }
    assert_true(before > 0);
}

static void equal_cards_may_change_places(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.3-70b:Q4_K_M");
    cards("24GiB,24GiB,rtx4090");
    make(&w);
    uint32_t ctx = plan.law.n_ctx;
    cards("24GiB,24GiB,rtx4090");
    make(&w);
    assert_int_equal(plan.law.n_ctx, ctx);
}

static void without_a_gpu_it_is_a_plan_for_the_processor(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.1-8b:Q4_K_M");
    cards("none");
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_PARTLY_CPU);
    assert_int_equal(plan_exit_code(&plan), 0);
    assert_true(plan.host.repack > GIB);
}

static void refusals_of_the_engine_are_errors(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("llama-3.1-8b:Q4_K_M");
    cards("24GiB");
    w.s.type_v = GGUF_TYPE_Q8_0;
    w.s.flash = FLASH_OFF;
    w.given = GIVEN_TYPE_V | GIVEN_FLASH;
    assert_false(plan_make(&model, &machine, &w, &arena, &plan, &err));
    assert_int_equal(err_exit_code(err.code), 2);
    assert_true(err.n_fix > 0 && err.n_why > 0);
}

static void proportional_and_even_splits_are_as_asked(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    w.spread = true;
    w.strategy = PLACE_PROPORTIONAL;
    open_model("llama-2-7b:Q4_K_M");
    cards("20480MiB,14336MiB");
    make(&w);
    assert_true(plan.settings.tensor_split[0] == 0.59 && plan.settings.tensor_split[1] == 0.41);
    w.strategy = PLACE_EVEN;
    cards("8GiB,8GiB,8GiB");
    make(&w);
    for (int i = 0; i < 3; i++)
        assert_true(plan.settings.tensor_split[i] == 11);
}

static double make_goal(enum plan_goal goal, const char *set)
{
    struct plan_wish w = plan_default_wish();
    w.goal = goal;
    cards(set);
    make(&w);
    assert_true(plan.optimality.proved);
    return plan.optimality.best;
}

static void a_goal_leaves_out_the_card_that_slows_the_rest(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    make_goal(GOAL_SPEED, "rtx3060,rtx5090,rtx4090");
    assert_int_equal(plan.used_mask, 2);
    assert_non_null(plan.optimality.runner_up);
    assert_true(plan.optimality.runner_up_value < plan.optimality.best);
    make_goal(GOAL_CONTEXT, "rtx3060,rtx5090,rtx4090");
    assert_int_equal(plan.law.n_ctx, 131072);
    assert_int_equal(plan.used_mask, 2); /* it alone reaches the same context, faster */
}

/* Every set of cards with every split, worked out one by one under the same law and speed model. */
static double brute_force_speed(const char *set, uint32_t ctx)
{
    double best = 0;
    struct plan_wish w = plan_default_wish();
    w.s.n_ctx = ctx;
    w.given = GIVEN_CTX | GIVEN_TENSOR_SPLIT | GIVEN_TYPE_K | GIVEN_TYPE_V;
    w.s.n_tensor_split = 2;
    cards(set);
    uint32_t layers = model.n_layers + 1;
    for (uint32_t first = 0; first <= layers; first++) {
        w.s.tensor_split[0] = first;
        w.s.tensor_split[1] = layers - first;
        make(&w);
        if (plan.verdict == VERDICT_FITS && plan.speed.decode.tps > best)
            best = plan.speed.decode.tps;
    }
    char one[2][64];
    size_t comma = strcspn(set, ",");
    snprintf(one[0], sizeof(one[0]), "%.*s", (int)comma, set);
    snprintf(one[1], sizeof(one[1]), "%s", set + comma + 1);
    w.given &= ~(uint32_t)GIVEN_TENSOR_SPLIT;
    w.s.n_tensor_split = 0;
    for (int i = 0; i < 2; i++) {
        cards(one[i]);
        make(&w);
        if (plan.verdict == VERDICT_FITS && plan.speed.decode.tps > best)
            best = plan.speed.decode.tps;
    }
    cards(set);
    return best;
}

static void the_fastest_plan_is_the_fastest_there_is(void **state)
{
    (void)state;
    static const char *const sets[] = {"rtx5090:free=7GiB,rtx3060:free=9GiB", "rtx3060:free=7GiB,rtx4090:free=6GiB",
                                       "rtx4090:free=8GiB,rtx4090:free=7GiB"};
    open_model("llama-3.1-8b:Q4_K_M");
    for (size_t i = 0; i < 3; i++) {
        struct plan_wish w = plan_default_wish();
        double best = brute_force_speed(sets[i], 8192);
        w.goal = GOAL_SPEED;
        w.s.n_ctx = 8192;
        w.given = GIVEN_CTX | GIVEN_TYPE_K | GIVEN_TYPE_V;
        make(&w);
        assert_true(fabs(plan.speed.decode.tps - best) <= best * 1e-9);
    }
}

static void more_memory_never_lowers_the_best_value(void **state)
{
    (void)state;
    static const enum plan_goal goals[] = {GOAL_BALANCED, GOAL_CONTEXT, GOAL_SPEED, GOAL_THROUGHPUT};
    static const char *const sets[] = {"rtx5090:free=26GiB,rtx4090:free=20GiB", "rtx5090:free=28GiB,rtx4090:free=20GiB",
                                       "rtx5090:free=28GiB,rtx4090", "rtx5090,rtx4090", "rtx5090,rtx4090,rtx3060"};
    open_model("llama-3.3-70b:Q4_K_M");
    for (size_t g = 0; g < 4; g++) {
        double before = 0, fastest = 0;
        for (size_t i = 0; i < 5; i++) {
            /* what balanced may lose to the best speed grows with it, so that context may go */
            double speed = goals[g] == GOAL_BALANCED ? make_goal(GOAL_SPEED, sets[i]) : 0;
            double best = make_goal(goals[g], sets[i]);
            bool faster = speed > fastest;
            fastest = speed;
            if (best < before * 0.997 && !faster)
                fail_msg("goal %d: %s gives %f, less gave %f", goals[g], sets[i], best, before);
            before = best;
        }
    }
}

static void balanced_stays_within_a_tenth_of_the_best_speed(void **state)
{
    (void)state;
    static const char *const sets[] = {"rtx5090,rtx4090", "rtx3090,rtx3090,rtx3060", "rtx4090,rtx3060,rtx3060,rtx5090"};
    open_model("llama-3.3-70b:IQ4_XS");
    for (size_t i = 0; i < 3; i++) {
        double best = make_goal(GOAL_SPEED, sets[i]);
        make_goal(GOAL_BALANCED, sets[i]);
        assert_true(plan.speed.decode.tps >= 0.899 * best);
        assert_true(plan.law.n_ctx <= 32768);
    }
}

static void what_the_engine_refuses_is_no_candidate_of_a_goal(void **state)
{
    (void)state;
    open_model("phi-2:Q4_K_M"); /* its heads of 80 take no quantised cache */
    make_goal(GOAL_SPEED, "rtx5090,rtx4090");
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_int_equal(plan.settings.type_k, GGUF_TYPE_F16);
}

static void a_command_that_overfills_a_card_is_offered_another_split(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("qwen2.5-32b:Q4_K_M");
    cards("rtx3090,rtx3060");
    w.as_command = true;
    w.strategy = PLACE_PROPORTIONAL;
    w.s.n_ctx = 24576;
    w.s.n_tensor_split = 2;
    w.s.tensor_split[0] = w.s.tensor_split[1] = 1;
    w.given = GIVEN_CTX | GIVEN_TENSOR_SPLIT;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_NO_FIT);
    assert_non_null(strstr(plan.alternatives[0].flags, "-ts "));
    assert_int_equal(plan.alternatives[0].verdict, VERDICT_FITS);
}

static void a_goal_without_speeds_still_plans(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    make_goal(GOAL_SPEED, "24GiB,12GiB");
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_int_equal(plan.speed.confidence, SPEED_NONE);
}

static void slots_that_split_a_batch_unevenly_are_refused_with_what_works(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    open_model("kimi-linear-48b-a3b:Q4_K_M");
    cards("h100");
    w.s.n_ctx = 12288;
    w.s.n_seq_max = w.s.n_outputs_max = 3;
    w.given = GIVEN_CTX | GIVEN_PARALLEL;
    assert_false(plan_make(&model, &machine, &w, &arena, &plan, &err));
    assert_int_equal(err.code, ERR_2110);
    assert_non_null(strstr(err.title, "3 sequences"));
    assert_string_equal(err.fix[0].command, "-ub 510");
    err = (struct err){0};
    w.s.n_ubatch = 510;
    w.given |= GIVEN_UBATCH;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_FITS);
}

static void the_proved_value_says_what_it_counts(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    double best = make_goal(GOAL_SPEED, "rtx3060,rtx5090");
    assert_int_equal(plan.settings.type_k, GGUF_TYPE_F16);
    assert_true(fabs(best - plan.speed.decode.tps) < 1e-9 * best);
    assert_string_equal(plan_value_unit(&plan.optimality), "tokens/s");
    assert_non_null(strstr(plan_value_of(&plan.optimality), "empty context"));
    make_goal(GOAL_CONTEXT, "rtx3060,rtx5090");
    assert_true(plan.optimality.best == plan.law.n_ctx);
    assert_string_equal(plan_value_unit(&plan.optimality), "tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_small_model_takes_one_card, reset),
        cmocka_unit_test_setup(a_large_one_takes_both_and_fills_them_alike, reset),
        cmocka_unit_test_setup(no_split_leaves_the_fullest_card_emptier, reset),
        cmocka_unit_test_setup(what_was_given_is_kept_to_the_letter, reset),
        cmocka_unit_test_setup(what_does_not_fit_says_by_how_much_and_what_would, reset),
        cmocka_unit_test_setup(allowed_the_processor_takes_what_is_too_much, reset),
        cmocka_unit_test_setup(the_largest_context_is_the_largest, reset),
        cmocka_unit_test_setup(more_memory_never_means_less_context, reset),
        cmocka_unit_test_setup(equal_cards_may_change_places, reset),
        cmocka_unit_test_setup(without_a_gpu_it_is_a_plan_for_the_processor, reset),
        cmocka_unit_test_setup(refusals_of_the_engine_are_errors, reset),
        cmocka_unit_test_setup(proportional_and_even_splits_are_as_asked, reset),
        cmocka_unit_test_setup(a_goal_leaves_out_the_card_that_slows_the_rest, reset),
        cmocka_unit_test_setup(the_fastest_plan_is_the_fastest_there_is, reset),
        cmocka_unit_test_setup(more_memory_never_lowers_the_best_value, reset),
        cmocka_unit_test_setup(balanced_stays_within_a_tenth_of_the_best_speed, reset),
        cmocka_unit_test_setup(what_the_engine_refuses_is_no_candidate_of_a_goal, reset),
        cmocka_unit_test_setup(a_command_that_overfills_a_card_is_offered_another_split, reset),
        cmocka_unit_test_setup(a_goal_without_speeds_still_plans, reset),
        cmocka_unit_test_setup(slots_that_split_a_batch_unevenly_are_refused_with_what_works,
                               reset),
        cmocka_unit_test_setup(the_proved_value_says_what_it_counts, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
