/* test_vllm_rules: what vLLM refuses at launch is refused before it, and the nearest legal value is
 * named. */
#include "vllm_make.h"

struct refusal {
    const char *config;
    uint32_t tp, most;
    const char *says, *fix; /* NULL says: it is legal */
};

static void tensor_parallel(void **state)
{
    static const struct refusal cases[] = {
  /* 29568 / 128 = 231 groups = 3 x 7 x 11: no even number of ranks */
        {qwen2_72b_gptq, 2,  2,  "29568 is quantised in groups of 128", "--tensor-parallel-size 1" },
        {qwen2_72b_gptq, 4,  4,  "29568 is quantised in groups of 128", "--tensor-parallel-size 1" },
        {qwen2_72b_gptq, 8,  8,  "29568",                               "--tensor-parallel-size 1" },
        {kv4_heads24,    3,  4,  "4 key-value heads",                   "--tensor-parallel-size 2" },
        {kv4_heads24,    8,  8,  NULL,                                  NULL                       }, /* each head is kept twice */
        {kv4_heads24,    6,  8,  "4 key-value heads",                   NULL                       },
        {qwen25_7b,      8,  8,  "28 attention heads",                  "--tensor-parallel-size 4" },
        {qwen25_7b,      3,  3,  "28 attention heads",                  "--tensor-parallel-size 2" },
        {qwen25_7b,      7,  8,  "4 key-value heads",                   NULL                       },
        {llama_70b_awq,  4,  4,  NULL,                                  NULL                       },
        {llama_70b_awq,  3,  4,  "64 attention heads",                  "--tensor-parallel-size 2" },
        {llama_8b,       6,  8,  "32 attention heads",                  "--tensor-parallel-size 4" },
        {mistral_small,  32, 32, "16 heads of the vision tower",        "--tensor-parallel-size 16"},
        {bnb_8b,         2,  2,  "bitsandbytes weights of 4 bits",      "--tensor-parallel-size 1" },
  /* published failures at launch: 14784 and 7392 columns a rank are no multiple of 128 */
        {qwen25_vl_72b_awq, 2, 2, "29568", "--tensor-parallel-size 1" },
        {qwen25_vl_72b_awq, 4, 4, "29568", "--tensor-parallel-size 1" },
        {qwen2_72b_w8a16, 4,  4,  "29568 columns a rank", "--tensor-parallel-size 1" },
        {qwen2_72b_w8a16, 2,  2,  "14784 of 29568 columns a rank", "--tensor-parallel-size 1" },
        {qwen15_14b_gptq, 2,  2,  "13696 is quantised in groups of 128", "--tensor-parallel-size 1" },
        {llama_33b,      3,  4,  "52 attention heads",                  "--tensor-parallel-size 2" },
        {llama_33b,      8,  8,  "52 attention heads",                  "--tensor-parallel-size 4" },
        {qwen15_14b_gptq, 3, 3,  "40 attention heads",                  "--tensor-parallel-size 1" },
  /* 1536 / 8 = 192 columns of an expert are no whole block of 128 */
        {qwen3_235b_fp8, 8,  8,  "moe_intermediate_size 1536",          "--tensor-parallel-size 4" },
        {qwen3_235b_fp8, 4,  4,  NULL,                                  NULL                       },
        {llama_8b,       0,  4,  "parallel size of 0",                  "--tensor-parallel-size 1" },
    };
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model m = make_hub(cases[i].config, &arena);
        struct err err = {0};
        bool ok = vllm_check_tp(&m, &w, cases[i].tp, cases[i].most, &err);
        if (ok != !cases[i].says)
            fail_msg("case %zu: %s", i, err.title);
        if (ok)
            continue;
        assert_int_equal(err.code, ERR_2112);
        assert_non_null(strstr(err.title, cases[i].says));
        if (cases[i].fix && strcmp(err.fix[0].command, cases[i].fix) != 0)
            fail_msg("case %zu: %s", i, err.fix[0].command);
        uint32_t near = 0;
        assert_int_equal(sscanf(err.fix[0].command, "--tensor-parallel-size %u", &near), 1);
        assert_true(vllm_check_tp(&m, &w, near, cases[i].most, &err));
    }
}

static bool plan(const char *config, const struct vllm_wish *w, const struct machine *m,
                 struct err *err)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(config, &arena);
    struct vllm_plan p;
    *err = (struct err){0};
    return vllm_plan_make(&model, m, w, &arena, &p, err);
}

static void refused(const char *config, const struct vllm_wish *w, const struct machine *m,
                    enum err_code code, const char *says, const char *fix)
{
    struct err err;
    assert_false(plan(config, w, m, &err));
    if (err.code != code || !strstr(err.title, says))
        fail_msg("%d %s", err.code, err.title);
    if (fix && !strstr(err.fix[0].command, fix) && !strstr(err.fix[0].text, fix))
        fail_msg("%s | %s", err.fix[0].command, err.fix[0].text);
}

static void settings(void **state)
{
    struct machine two = {0}, old = {0}, none = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    add_card(&two, 24, 24, 86, 936);
    add_card(&two, 24, 24, 86, 936);
    add_card(&old, 16, 16, 70, 900);
    w.as_command = true;
    refused(llama_8b, &w, &none, ERR_2110, "needs a GPU", NULL);
    w.tp = 4;
    refused(llama_8b, &w, &two, ERR_2113, "4 x 1 x 1 need 4 GPUs, there are 2",
            "--tensor-parallel-size 2");
    w.tp = 1;
    refused(llama_8b, &w, &old, ERR_2110, "bfloat16 needs 8.0", "--dtype half");
    w.kv_dtype = "fp8";
    refused(llama_8b, &w, &two, ERR_2110, "an fp8 cache needs 8.9", "--kv-cache-dtype auto");
    w.kv_dtype = NULL;
    w.max_len = 200000;
    refused(llama_8b, &w, &two, ERR_2114, "longer than the 131072", "--max-model-len 131072");
    w.max_len = 0;
    w.max_seqs = 512;
    w.max_tokens = 256;
    refused(llama_8b, &w, &two, ERR_2113, "is below --max-num-seqs",
            "--max-num-batched-tokens 512");
    w.max_seqs = w.max_tokens = 0;
    w.pp = 2;
    w.n_partition = 2;
    w.partition[0] = 20;
    w.partition[1] = 13;
    refused(llama_8b, &w, &two, ERR_2113, "shares out 33 layers, the model has 32", "32");
    w.n_partition = 1;
    refused(llama_8b, &w, &two, ERR_2113, "names 1 stages", NULL);
    w.n_partition = 0;
    w.pp = 33;
    refused(llama_8b, &w, &two, ERR_2112, "32 layers cannot make 33",
            "--pipeline-parallel-size 32");
    w.pp = 1;
    w.block_size = 24;
    refused(llama_8b, &w, &two, ERR_2114, "no power of two", "--block-size 16");
    w.block_size = 0;
    w.utilization = 1.5;
    refused(llama_8b, &w, &two, ERR_2114, "at most 1", NULL);
    refused(gpt_oss_20b, &(struct vllm_wish){.as_command = true}, &old, ERR_2110, "vLLM needs 8.0",
            NULL);
}

/* Left open, the old card's type is chosen instead of refused. */
static void half_is_chosen(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(qwen3_06b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    struct vllm_plan p;
    struct err err = {0};
    (void)state;
    add_card(&m, 16, 16, 70, 900);
    assert_true(vllm_plan_make(&model, &m, &w, &arena, &p, &err));
    assert_string_equal(p.wish.dtype, "half");
    assert_int_equal(p.verdict, VERDICT_FITS);
}

/* 0.92 of a card whose memory others hold: said before the launch, with the share that would start.
 */
static void start_check(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(qwen3_06b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    struct vllm_plan p;
    struct err err = {0};
    (void)state;
    add_card(&m, 24, 20, 86, 936);
    w.as_command = true;
    assert_true(vllm_plan_make(&model, &m, &w, &arena, &p, &err));
    assert_false(p.starts);
    assert_int_equal(vllm_exit_code(&p), 8);
    bool said = false;
    for (uint32_t i = 0; i < p.n_reasons; i++)
        said = said || (strstr(p.reasons[i], "would not start") && strstr(p.reasons[i], "0.833"));
    assert_true(said);
    w.as_command = false;
    assert_true(vllm_plan_make(&model, &m, &w, &arena, &p, &err));
    assert_true(p.starts && p.utilization < 0.8 && p.utilization > 0.7);
    assert_int_equal(p.verdict, VERDICT_FITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tensor_parallel),
                                       cmocka_unit_test(settings), cmocka_unit_test(half_is_chosen),
                                       cmocka_unit_test(start_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
