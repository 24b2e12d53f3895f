/* test_vllm_command: a plan's command means the plan; `vllm serve` is read as vLLM reads it. */
#include "../plan/vllm_make.h"
#include "engine/vllm_command.h"

static uint64_t seed = 1442695040888963407u;

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % n);
}

static void same_plan(const struct vllm_plan *a, const struct vllm_plan *b)
{
    assert_int_equal(a->tp, b->tp);
    assert_int_equal(a->pp, b->pp);
    assert_int_equal(a->n_ranks, b->n_ranks);
    assert_int_equal(a->verdict, b->verdict);
    assert_int_equal(a->wish.max_len, b->wish.max_len);
    assert_true(a->utilization == b->utilization);
    assert_memory_equal(&a->blocks, &b->blocks, sizeof(a->blocks));
    assert_memory_equal(&a->kv_tokens, &b->kv_tokens, sizeof(a->kv_tokens));
    for (uint32_t i = 0; i < a->n_ranks; i++) {
        assert_int_equal(a->ranks[i].device, b->ranks[i].device);
        assert_int_equal(a->ranks[i].first_layer, b->ranks[i].first_layer);
        assert_int_equal(a->ranks[i].weights, b->ranks[i].weights);
        assert_int_equal(a->ranks[i].requested, b->ranks[i].requested);
    }
}

/* The variables as words, then the words. */
static int all_words(const struct engine_command *c, char **out, struct arena *arena)
{
    int n = 0;
    for (uint32_t i = 0; i < c->n_variables; i++)
        out[n++] = arena_printf(arena, "%s=%s", c->variables[i].name, c->variables[i].value);
    for (uint32_t i = 0; i < c->n_words; i++)
        out[n++] = (char *)c->words[i];
    return n;
}

static void command_means_plan(void **state)
{
    static const char *const configs[] = {llama_8b,      qwen3_32b, gpt_oss_20b,
                                          llama_70b_awq, qwen25_7b, mistral_small};
    static const char *const kv[] = {NULL, "fp8"};
    (void)state;
    for (int i = 0; i < 200; i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model = make_hub(configs[dice(6)], &arena);
        struct machine m = {0};
        struct vllm_wish w = vllm_default_wish();
        struct vllm_plan a, b;
        struct vllm_request r;
        struct engine_command c;
        struct err err = {0};
        char *words[COMMAND_MAX_WORDS];
        for (uint32_t k = 0, n = 1 + dice(4); k < n; k++) {
            double total = 16 + 8 * dice(8);
            add_card(&m, total, total - dice(4), 89, 1000);
        }
        w.goal = (enum plan_goal)dice(5);
        w.spread = dice(2);
        w.eager = dice(2);
        w.kv_dtype = kv[dice(2)];
        w.max_len = dice(2) ? 4096 + dice(8000) : 0;
        w.max_seqs = dice(2) ? 1 + dice(200) : 0;
        w.block_size = dice(2) ? 32 : 0;
        if (!vllm_plan_make(&model, &m, &w, &arena, &a, &err))
            continue; /* no legal sizes over all of these cards */
        assert_true(vllm_command_make(&a, NULL, "some/model", &arena, &c, &err));
        int n = all_words(&c, words, &arena);
        assert_true(vllm_is_command(n, words));
        if (!vllm_request_parse(&r, n, words, NULL, &arena, &err) ||
            !vllm_request_cards(&r, &m, &err) ||
            !vllm_plan_make(&model, &m, &r.wish, &arena, &b, &err))
            fail_msg("%s", err.title);
        assert_string_equal(r.model_ref, "some/model");
        assert_int_equal(r.n_not_accounted, 0);
        same_plan(&a, &b);
    }
}

static bool parse(struct vllm_request *r, char *line, struct arena *arena, struct err *err)
{
    char *words[64];
    int n = 0;
    for (char *p = strtok(line, " "); p && n < 64; p = strtok(NULL, " "))
        words[n++] = p;
    *err = (struct err){0};
    return vllm_request_parse(r, n, words, NULL, arena, err);
}

static void read_back(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct vllm_request r;
    struct err err;
    char line[] =
        "env CUDA_VISIBLE_DEVICES=1,0 VLLM_PP_LAYER_PARTITION=24,40 /opt/bin/vllm serve "
        "Qwen/Qwen3-32B "
        "-pp 2 --tensor-parallel-size=1 --gpu_memory_utilization 0.95 --max-model-len 32k "
        "--max-num-batched-tokens 8K --enforce-eager --swap-space 4 --host 0.0.0.0 --api-key x";
    (void)state;
    assert_true(parse(&r, line, &arena, &err));
    assert_string_equal(r.model_ref, "Qwen/Qwen3-32B");
    assert_int_equal(r.wish.tp, 1);
    assert_int_equal(r.wish.pp, 2);
    assert_true(r.wish.utilization == 0.95); /* not 0.9 */
    assert_int_equal(r.wish.max_len, 32000);
    assert_int_equal(r.wish.max_tokens, 8192);
    assert_true(r.wish.eager);
    assert_int_equal(r.wish.n_partition, 2);
    assert_int_equal(r.wish.partition[1], 40);
    assert_int_equal(r.n_not_accounted, 1);
    assert_string_equal(r.not_accounted[0], "--swap-space");
    assert_int_equal(r.n_passed, 6);
}

/* What a bare command leaves out is vLLM's own. */
static void defaults(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(llama_8b, &arena);
    struct machine small = {0}, large = {0};
    struct vllm_request r;
    struct vllm_plan p;
    struct err err;
    char line[] = "python3 -m vllm.entrypoints.openai.api_server --model llama";
    (void)state;
    add_card(&small, 24, 24, 89, 1008);
    add_card(&small, 24, 24, 89, 1008);
    add_card(&large, 80, 80, 90, 3350);
    assert_true(parse(&r, line, &arena, &err));
    assert_true(vllm_plan_make(&model, &small, &r.wish, &arena, &p, &err));
    assert_int_equal(p.n_ranks, 1); /* tp 1: the second card stays idle */
    assert_true(p.utilization == 0.92);
    assert_int_equal(p.wish.max_tokens, 2048);
    assert_int_equal(p.wish.max_seqs, 256);
    assert_int_equal(p.wish.max_len, 131072);
    assert_int_equal(p.verdict, VERDICT_NO_FIT); /* "To serve at least one request ..." */
    assert_true(p.shortfall > 0 && p.max_context.value > 30000);
    assert_true(vllm_plan_make(&model, &large, &r.wish, &arena, &p, &err));
    assert_int_equal(p.wish.max_tokens, 8192);
    assert_int_equal(p.wish.max_seqs, 1024);
    assert_int_equal(p.verdict, VERDICT_FITS);
}

static void bad_words(void **state)
{
    static const struct {
        const char *line;
        enum err_code code;
    } cases[] = {
        {"vllm serve",                                        ERR_9003},
        {"vllm serve m -tp",                                  ERR_9002},
        {"vllm serve m -tp two",                              ERR_9002},
        {"vllm serve m -tp 0",                                ERR_9002},
        {"vllm serve m -tp -1",                               ERR_9002},
        {"vllm serve m --gpu-memory-utilization 1.5",         ERR_9002},
        {"vllm serve m --gpu-memory-utilization 0",           ERR_9002},
        {"vllm serve m --max-model-len 99999999999999999999", ERR_9002},
        {"vllm serve m other",                                ERR_9001},
        {"VLLM_PP_LAYER_PARTITION=4,,4 vllm serve m",         ERR_9002},
        {"VLLM_PP_LAYER_PARTITION=4,x vllm serve m",          ERR_9002},
        {"vllm serve m --distributed-executor-backend slurm", ERR_9002},
        {"vllm bench m",                                      ERR_9001},
        {"llama-server -m x",                                 ERR_9001},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct vllm_request r;
        struct err err;
        char line[256];
        snprintf(line, sizeof(line), "%s", cases[i].line);
        if (parse(&r, line, &arena, &err) || err.code != cases[i].code)
            fail_msg("%s: %d %s", cases[i].line, err.code, err.title);
    }
}

static void cards_are_found(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct machine m = {0};
    struct vllm_request r;
    struct err err;
    char twice[] = "CUDA_VISIBLE_DEVICES=0,0 vllm serve m",
         none[] = "CUDA_VISIBLE_DEVICES=7 vllm serve m";
    char uuid[] = "CUDA_VISIBLE_DEVICES=GPU-bbbb,0 vllm serve m";
    (void)state;
    add_card(&m, 24, 24, 89, 1008);
    add_card(&m, 24, 24, 89, 1008);
    m.devices[1].uuid = "GPU-bbbbbbbb-1";
    assert_true(parse(&r, uuid, &arena, &err) && vllm_request_cards(&r, &m, &err));
    assert_int_equal(r.wish.cards[0], 1);
    assert_true(parse(&r, twice, &arena, &err));
    assert_false(vllm_request_cards(&r, &m, &err));
    assert_int_equal(err.code, ERR_2113);
    assert_true(parse(&r, none, &arena, &err));
    assert_false(vllm_request_cards(&r, &m, &err));
    assert_int_equal(err.code, ERR_2101);
}

/* Cards of other hosts: Ray carries them, this machine's indexes would say nothing. */
static void several_hosts(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(qwen3_32b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    struct vllm_plan p;
    struct engine_command c;
    struct err err = {0};
    own(own_str) struct str line = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        add_card(&m, 24, 24, 89, 1008);
    m.devices[2].rpc = m.devices[3].rpc = "10.0.0.2:50052";
    w.spread = true;
    assert_true(vllm_plan_make(&model, &m, &w, &arena, &p, &err));
    assert_true(vllm_command_make(&p, NULL, "hf:Qwen/Qwen3-32B", &arena, &c, &err));
    command_write_line(&c, &line);
    assert_non_null(strstr(line.data, "--distributed-executor-backend ray"));
    assert_non_null(strstr(line.data, "vllm serve Qwen/Qwen3-32B"));
    assert_null(strstr(line.data, "CUDA_VISIBLE_DEVICES"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_means_plan), cmocka_unit_test(read_back),
        cmocka_unit_test(defaults),           cmocka_unit_test(bad_words),
        cmocka_unit_test(cards_are_found),    cmocka_unit_test(several_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
