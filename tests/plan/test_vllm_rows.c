/* test_vllm_rows: the memory identity against published measurements of vLLM 0.11 on H100. */
#include "vllm_make.h"

/* weights, activation peak, non-torch and KV cache in GiB, as the engine logged them */
static const struct row {
    const char *name, *config;
    uint32_t tp;
    double utilization, weights, activation, non_torch, kv;
} rows[] = {
    {"gpt-oss-20b",           gpt_oss_20b,   1, 0.90, 13.47, 7.38, 0.13, 50.28},
    {"gpt-oss-120b",          gpt_oss_120b,  1, 0.95, 64.38, 7.38, 0.13, 3.33 },
    {"Llama-3.3-70B FP8",     llama_70b_fp8, 2, 0.90, 33.88, 4.84, 0.55, 32.00},
    {"Llama-3.1-8B",          llama_8b,      1, 0.90, 14.99, 4.76, 0.13, 51.38},
    {"Qwen3-0.6B",            qwen3_06b,     1, 0.90, 1.12,  5.56, 0.13, 64.45},
    {"Qwen3-32B",             qwen3_32b,     1, 0.90, 61.03, 5.64, 0.14, 4.45 },
    {"Qwen3-32B tp2",         qwen3_32b,     2, 0.90, 30.59, 5.64, 0.54, 34.49},
    {"Mistral-Small-3.2-24B", mistral_small, 1, 0.95, 44.76, 2.12, 0.14, 28.20},
};

static struct vllm_plan plan_row(const struct row *r, bool given, struct arena *arena,
                                 struct hub_model *model, struct machine *m)
{
    struct vllm_wish w = vllm_default_wish();
    struct vllm_plan p = {0};
    struct err err = {0};
    *model = make_hub(r->config, arena);
    *m = (struct machine){0};
    for (uint32_t i = 0; i < r->tp; i++)
        add_card(m, 79.18, 78.7, 90, 3350);
    w.as_command = true;
    w.tp = r->tp;
    w.max_len = 16000;
    w.utilization = r->utilization;
    w.release = 11;
    w.activation_given = w.non_torch_given = given;
    w.activation_bytes = (uint64_t)(r->activation * GIB);
    w.non_torch_bytes = (uint64_t)(r->non_torch * GIB);
    if (!vllm_plan_make(model, m, &w, arena, &p, &err))
        fail_msg("%s: %s", r->name, err.title);
    return p;
}

static void identity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model;
        struct machine m;
        struct vllm_plan p = plan_row(&rows[i], true, &arena, &model, &m);
        double kv = (double)p.ranks[0].kv.value / GIB;
        print_message("%-22s weights %6.2f (%6.2f)  KV %6.2f (%6.2f)  %+.3f\n", rows[i].name,
                      (double)p.ranks[0].weights / GIB, rows[i].weights, kv, rows[i].kv,
                      kv - rows[i].kv);
        if (fabs(kv - rows[i].kv) > 0.1)
            fail_msg("%s: %.3f GiB of cache, measured %.2f", rows[i].name, kv, rows[i].kv);
        assert_true(p.ranks[0].kv.low == p.ranks[0].kv.high);
    }
}

static void predicted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model;
        struct machine m;
        struct vllm_plan p = plan_row(&rows[i], false, &arena, &model, &m);
        const struct vllm_range *kv = &p.ranks[0].kv, *act = &p.ranks[0].activation;
        print_message("%-22s activation %5.2f (%5.2f)  KV %6.2f [%6.2f, %6.2f] measured %6.2f\n",
                      rows[i].name, (double)act->value / GIB, rows[i].activation,
                      (double)kv->value / GIB, (double)kv->low / GIB, (double)kv->high / GIB,
                      rows[i].kv);
        if (rows[i].kv * GIB < (double)kv->low || rows[i].kv * GIB > (double)kv->high)
            fail_msg("%s: measured cache outside of the printed range", rows[i].name);
    }
}

/* 28.20 GiB of 40 layers, 8 heads of 128: 184,832 tokens were logged. */
static void tokens(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(mistral_small, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    struct vllm_plan p;
    struct err err = {0};
    (void)state;
    add_card(&m, 79.18, 78.7, 90, 3350);
    w.as_command = true;
    w.max_len = 16000;
    w.kv_cache_bytes = 184832ull * 163840;
    assert_true(vllm_plan_make(&model, &m, &w, &arena, &p, &err));
    assert_int_equal(p.kv_tokens.value, 184832);
    assert_true(p.concurrency > 11.55 && p.concurrency < 11.56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(identity), cmocka_unit_test(predicted),
                                       cmocka_unit_test(tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
