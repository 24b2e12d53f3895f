/* test_compare: two plans side by side say what a person would see in them. */
#include "../base/check.h"

#include <stdlib.h>
#include <string.h>

#include "plan/compare.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model model[2];
static struct machine machine[2];
static struct plan plan[2];
static struct compare result;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    return 0;
}

static void make(int i, const char *name, const char *cards, uint32_t ctx, uint32_t type)
{
    struct model_request req = {.ref = name};
    struct machine real = {
        .host = {.total_bytes = 64 * GIB, .free_bytes = 60 * GIB, .cores = 16}
    };
    struct plan_wish w = plan_default_wish();
    w.s.n_ctx = ctx;
    w.s.type_k = w.s.type_v = type;
    w.given = GIVEN_CTX | GIVEN_TYPE_K | GIVEN_TYPE_V;
    if (!model_open(&req, &arena, &model[i], &err) ||
        !machine_parse_gpus(cards, &real, &arena, &machine[i], &err) ||
        !plan_make(&model[i], &machine[i], &w, &arena, &plan[i], &err))
        fail_msg("%s", err.title);
}

static void compare(void)
{
    if (!compare_make(&plan[0], &plan[1], &arena, &result, &err))
        fail_msg("%s", err.title);
}

static const struct compare_row *row(const char *key)
{
    for (uint32_t i = 0; i < result.n_rows; i++)
        if (strcmp(result.rows[i].key, key) == 0)
            return &result.rows[i];
    fail_msg("no row %s", key);
    return NULL;
}

static void a_coarser_cache_is_weighed(void **state)
{
    (void)state;
    make(0, "llama-3.3-70b:Q4_K_M", "rtx5090,rtx4090", 32768, GGUF_TYPE_F16);
    make(1, "llama-3.3-70b:Q4_K_M", "rtx5090,rtx4090", 32768, GGUF_TYPE_Q8_0);
    compare();
    assert_int_equal(row("verdict")->better, COMPARE_SAME);
    assert_int_equal(row("context")->better, COMPARE_SAME);
    assert_int_equal(row("context_max")->better, COMPARE_B);
    assert_int_equal(row("kv_bytes")->better, COMPARE_B);
    assert_true(row("kv_bytes")->value[0] == 10.0 * GIB);
    assert_int_equal(row("gpu.1.free_after_bytes")->better, COMPARE_B);
    assert_int_equal(row("weights_bytes")->better, COMPARE_SAME);
    assert_non_null(strstr(result.verdict, "room for context"));
    assert_true(strncmp(result.verdict, "B gives ", 8) == 0);
}

static void a_plan_beside_itself(void **state)
{
    (void)state;
    make(0, "llama-3.1-8b:Q4_K_M", "rtx4090", 8192, GGUF_TYPE_F16);
    make(1, "llama-3.1-8b:Q4_K_M", "rtx4090", 8192, GGUF_TYPE_F16);
    compare();
    for (uint32_t i = 0; i < result.n_rows; i++)
        assert_int_equal(result.rows[i].better, COMPARE_SAME);
    assert_string_equal(result.verdict, "A and B come to the same.");
}

static void only_one_fits_and_neither(void **state)
{
    (void)state;
    make(0, "llama-3.1-8b:Q8_0", "8GiB", 8192, GGUF_TYPE_F16);
    make(1, "llama-3.1-8b:Q4_K_M", "8GiB", 8192, GGUF_TYPE_F16);
    compare();
    assert_int_equal(row("verdict")->better, COMPARE_B);
    assert_string_equal(result.verdict, "B: only that one fits.");
    make(1, "llama-3.1-8b:F16", "8GiB", 8192, GGUF_TYPE_F16);
    compare();
    assert_true(strncmp(result.verdict, "Neither fits: A is ", 19) == 0);
    assert_true(row("gpu.0.free_after_bytes")->value[1] < 0);
}

static void a_context_that_does_not_fit_wins_nothing(void **state)
{
    (void)state;
    make(0, "llama-3.1-8b:Q4_K_M", "8GiB", 131072, GGUF_TYPE_F16);
    make(1, "llama-3.1-8b:Q4_K_M", "8GiB", 4096, GGUF_TYPE_F16);
    compare();
    assert_int_equal(plan[0].verdict, VERDICT_NO_FIT);
    assert_int_equal(row("context")->better, COMPARE_B);
    assert_true(row("context")->value[0] == 131072);
    make(1, "llama-3.1-8b:Q4_K_M", "8GiB", 120832, GGUF_TYPE_F16);
    compare();
    assert_int_equal(row("context")->better, COMPARE_OTHER);
}

static void other_cards_stand_by_place(void **state)
{
    (void)state;
    make(0, "llama-3.1-8b:Q4_K_M", "rtx5090,rtx4090", 8192, GGUF_TYPE_F16);
    make(1, "llama-3.1-8b:Q4_K_M", "24GiB", 8192, GGUF_TYPE_F16);
    compare();
    assert_true(row("gpu.1.used_bytes")->has[0] && !row("gpu.1.used_bytes")->has[1]);
    make(1, "llama-3.1-8b:Q4_K_M", "none", 8192, GGUF_TYPE_F16);
    compare();
    assert_int_equal(row("verdict")->better, COMPARE_A);
    assert_string_equal(row("cards")->text[1], "none");
    assert_true(result.n_rows <= COMPARE_MAX_ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_coarser_cache_is_weighed, reset),
        cmocka_unit_test_setup(a_plan_beside_itself, reset),
        cmocka_unit_test_setup(only_one_fits_and_neither, reset),
        cmocka_unit_test_setup(a_context_that_does_not_fit_wins_nothing, reset),
        cmocka_unit_test_setup_teardown(other_cards_stand_by_place, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
