/* core_compute: reservations of whole models equal what llama.cpp reserved (measured). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/compute.h"
#include "law/law.h"

static struct machine cards(uint32_t n, enum backend kind)
{
    struct machine mc = {.n_devices = n, .simulated = true};
    mc.host = (struct host){
        .total_bytes = 64ull << 30, .free_bytes = 64ull << 30, .cores = 8, .avx2 = true};
    for (uint32_t i = 0; i < n; i++)
        mc.devices[i] = (struct device){.index = (int)i,
                                        .name = "card",
                                        .backend = kind,
                                        .simulated = true,
                                        .total_bytes = 80000ull << 20,
                                        .free_bytes = 80000ull << 20};
    return mc;
}

/* llama-server with one slot. */
static struct law_settings server(uint32_t n_ctx)
{
    struct law_settings s = law_default_settings();
    s.n_ctx = n_ctx;
    s.n_outputs_max = s.n_outputs_per_seq = 1;
    return s;
}

static struct model open_model(const char *name, struct arena *arena)
{
    struct model m;
    struct err err = {0};
    if (!model_open(&(struct model_request){name, NULL}, arena, &m, &err))
        fail_msg("%s: %s", name, err.title);
    return m;
}

static struct law_result reserve(const struct model *m, const struct machine *mc,
                                 const struct law_settings *s)
{
    own(own_arena) struct arena arena = {0};
    struct law_result r;
    struct err err = {0};
    if (!law_estimate(m, mc, s, &arena, &r, &err))
        fail_msg("%s", err.title);
    return r;
}

static void test_one_card(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(1, BACKEND_CUDA);
    struct law_settings s = server(8192);
    struct law_result r = reserve(&m, &mc, &s);
    assert_int_equal(r.device[0].bytes.compute, 121645184);
    assert_int_equal(r.host.compute, 25178144);
    assert_true(r.compute_exact && r.flash_on && !r.pipeline);
    assert_int_equal(r.compute_low[0], r.device[0].bytes.compute);
    s.n_outputs_max = s.n_outputs_per_seq = 0; /* a full batch of logits */
    assert_int_equal(reserve(&m, &mc, &s).device[0].bytes.compute, 271056896);
}

static void test_two_cards_pay_for_the_pipeline(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(2, BACKEND_CUDA);
    mc.devices[0].free_bytes = 24000ull << 20;
    mc.devices[1].free_bytes = 16000ull << 20;
    struct law_settings s = server(8192);
    struct law_result r = reserve(&m, &mc, &s);
    assert_true(r.pipeline);
    assert_int_equal(r.device[0].bytes.compute, 180396032);
    assert_int_equal(r.device[1].bytes.compute, 180396544);
    assert_int_equal(r.host.compute, 50380928);
    assert_int_equal(r.n_splits, 3);
}

static void test_tables_that_overflow_are_refused_with_a_way_out(void **state)
{
    own(own_arena) struct arena arena = {0}, scratch = {0};
    struct model m = open_model("phi-4-14b:Q4_K_M", &arena);
    struct machine mc = cards(1, BACKEND_CUDA);
    struct law_settings s = server(8192);
    struct law_result r;
    struct err err = {0};
    s.n_seq_max = s.n_outputs_max = 4;
    s.type_k = s.type_v = GGUF_TYPE_Q8_0;
    assert_false(law_estimate(&m, &mc, &s, &scratch, &r, &err));
    assert_int_equal(err.code, ERR_2111);
    assert_true(err.n_fix > 0);
    assert_string_equal(err.fix[0].command, "-kvu");
    s.kv_unified = true;
    assert_true(law_estimate(&m, &mc, &s, &scratch, &r, &err));
}

static void test_too_few_outputs_are_refused(void **state)
{
    own(own_arena) struct arena arena = {0}, scratch = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(1, BACKEND_CUDA);
    struct law_settings s = server(8192);
    struct law_result r;
    struct err err = {0};
    s.n_seq_max = 4;
    assert_false(law_estimate(&m, &mc, &s, &scratch, &r, &err));
    assert_int_equal(err.code, ERR_2114);
}

static void test_sixteen_cards_are_one_too_many(void **state)
{
    own(own_arena) struct arena arena = {0}, scratch = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(16, BACKEND_CUDA);
    struct law_settings s = server(4096);
    struct law_result r;
    struct err err = {0};
    assert_false(law_estimate(&m, &mc, &s, &scratch, &r, &err));
    assert_int_equal(err.code, ERR_2110);
    mc = cards(15, BACKEND_CUDA);
    assert_int_equal(reserve(&m, &mc, &s).device[0].bytes.compute, 163618816);
}

static void test_other_kinds_of_cards_get_a_range(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(1, BACKEND_ROCM);
    struct law_settings s = server(8192);
    struct law_result r = reserve(&m, &mc, &s);
    assert_false(r.compute_exact);
    assert_true(r.compute_low[0] < r.device[0].bytes.compute);
    assert_true(r.compute_high[0] > r.device[0].bytes.compute);
    mc = cards(1, BACKEND_RPC);
    assert_true(reserve(&m, &mc, &s).compute_exact);
}

static void test_unknown_families_get_an_estimate_near_the_truth(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct model m = open_model("llama-3.1-8b:Q4_K_M", &arena);
    struct machine mc = cards(1, BACKEND_CUDA);
    struct law_settings s = server(8192);
    m.architecture = "a-new-family";
    struct law_result r = reserve(&m, &mc, &s);
    assert_false(r.compute_exact);
    assert_true(r.compute_low[0] <= 121645184 && r.compute_high[0] >= 121645184);
    assert_true(r.compute_low[1] <= 25178144 && r.compute_high[1] >= 25178144);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_card),
        cmocka_unit_test(test_two_cards_pay_for_the_pipeline),
        cmocka_unit_test(test_tables_that_overflow_are_refused_with_a_way_out),
        cmocka_unit_test(test_too_few_outputs_are_refused),
        cmocka_unit_test(test_sixteen_cards_are_one_too_many),
        cmocka_unit_test(test_other_kinds_of_cards_get_a_range),
        cmocka_unit_test(test_unknown_families_get_an_estimate_near_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
