/* static_place: layers, weights and caches land where a command sends them, with the engine's
 * bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/override.h"

#define GIB ((uint64_t)1 << 30)

struct bench {
    struct arena arena, scratch;
    struct model m;
    struct machine mc;
    struct law_settings s;
    struct law_result r;
    struct err err;
};

static void bench_finish(struct bench *b)
{
    arena_finish(&b->arena);
    arena_finish(&b->scratch);
}

/* The model behind ref on cards of these sizes in GiB, 0 ends the list. */
static void set_up(struct bench *b, const char *ref, const int *gib)
{
    *b = (struct bench){.s = law_default_settings()};
    struct model_request req = {.ref = ref};
    if (!model_open(&req, &b->arena, &b->m, &b->err))
        fail_msg("%s: %s", ref, b->err.title);
    b->mc.host = (struct host){.total_bytes = 64 * GIB, .free_bytes = 32 * GIB, .avx2 = true};
    for (; *gib; gib++) {
        struct device *d = &b->mc.devices[b->mc.n_devices++];
        *d = (struct device){.name = "card", .simulated = true, .backend = BACKEND_CUDA};
        d->total_bytes = d->free_bytes = (uint64_t)*gib * GIB;
    }
    b->s.n_ctx = 8192;
}

static void estimate(struct bench *b)
{
    if (!law_estimate_static(&b->m, &b->mc, &b->s, &b->scratch, &b->r, &b->err))
        fail_msg("%s", b->err.title);
}

static void expect_layers(const struct bench *b, uint32_t device, int first, int last)
{
    assert_int_equal(b->r.device[device].first_layer, first);
    assert_int_equal(b->r.device[device].last_layer, last);
}

static void test_layers_follow_free_memory(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 24, 0});
    estimate(&b);
    expect_layers(&b, 0, 0, 16);
    expect_layers(&b, 1, 17, 32);
    b.mc.devices[0].free_bytes = 8 * GIB; /* 8 : 24 of 33 */
    estimate(&b);
    expect_layers(&b, 0, 0, 8);
    expect_layers(&b, 1, 9, 32);
}

static void test_shares_given_by_hand(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 24, 24, 0});
    b.s.n_tensor_split = 3;
    b.s.tensor_split[0] = 0;
    b.s.tensor_split[1] = 2;
    b.s.tensor_split[2] = 1;
    estimate(&b);
    expect_layers(&b, 0, -1, -1);
    expect_layers(&b, 1, 0, 21);
    expect_layers(&b, 2, 22, 32);
    assert_int_equal(b.r.device[0].bytes.weights, 0);
    b.s.n_tensor_split = 1; /* missing entries are 0 */
    b.s.tensor_split[0] = 1;
    estimate(&b);
    expect_layers(&b, 0, 0, 32);
}

static void test_last_layers_go_to_the_gpu_first(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 0});
    b.s.n_gpu_layers = 32;
    estimate(&b);
    expect_layers(&b, 0, 1, 32);
    assert_int_equal(b.r.layer_device[0], LAW_HOST);
    b.s.n_gpu_layers = 1; /* the output alone */
    estimate(&b);
    expect_layers(&b, 0, 32, 32);
    assert_int_equal(b.r.device[0].bytes.kv, 0);
    b.s.n_gpu_layers = 0;
    estimate(&b);
    assert_int_equal(b.r.device[0].bytes.weights, 0);
    assert_int_equal(b.r.host.kv, GIB);
}

static void test_one_card_of_several(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 24, 0});
    b.s.split = SPLIT_NONE;
    b.s.main_gpu = 1;
    estimate(&b);
    expect_layers(&b, 0, -1, -1);
    expect_layers(&b, 1, 0, 32);
    assert_int_equal(b.r.n_devices, 2);
    assert_int_equal(b.r.layer_device[3], 1);
}

static void test_remote_cards_come_first(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 24, 0});
    b.mc.devices[1].backend = BACKEND_RPC;
    b.s.n_tensor_split = 2;
    b.s.tensor_split[0] = 10; /* of the remote card */
    b.s.tensor_split[1] = 23;
    estimate(&b);
    expect_layers(&b, 1, 0, 9);
    expect_layers(&b, 0, 10, 32);
}

static void test_tied_output_is_copied(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.2-3b:Q8_0", (const int[]){24, 0});
    const struct model_tensor *t = model_global(&b.m, ROLE_TOKEN_EMBD, PART_WEIGHT);
    estimate(&b);
    uint64_t with_copy = b.r.device[0].bytes.weights;
    assert_int_equal(b.r.host.weights, t->bytes);
    b.s.n_gpu_layers = 0; /* both uses on the host: one tensor */
    estimate(&b);
    uint64_t all = b.r.host.weights;
    assert_true(with_copy >= all);
    assert_true(with_copy - all < 1 << 16); /* padding */
}

static void test_cells_are_rounded(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 0});
    b.s.n_ctx = 2048;
    b.s.n_seq_max = 3;
    estimate(&b);
    assert_int_equal(b.r.n_ctx, 3 * 768);
    assert_int_equal(b.r.n_ctx_seq, 768);
    assert_int_equal(b.r.device[0].bytes.kv, 3 * 768 * GIB / 8192);
    b.s.kv_unified = true;
    estimate(&b);
    assert_int_equal(b.r.n_ctx, 2048);
    assert_int_equal(b.r.device[0].bytes.kv, 2048 * GIB / 8192);
    b.s.n_ctx = 100; /* the batch is cut by what was asked */
    b.s.n_seq_max = 1;
    estimate(&b);
    assert_int_equal(b.r.n_ctx, 256);
    assert_int_equal(b.r.n_ubatch, 100);
}

static void test_window_cache(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "gemma-3-12b:Q4_K_M", (const int[]){24, 0});
    b.s.n_ctx = 32768;
    estimate(&b);
    uint64_t window = b.r.device[0].bytes.kv;
    /* 40 of 48 layers keep 1024 + 512 cells, 8 keep all; 8 heads of 256 in K and V, f16 */
    assert_int_equal(window, (40 * 1536ull + 8 * 32768ull) * 8 * 256 * 2 * 2);
    b.s.swa_full = true;
    estimate(&b);
    assert_int_equal(b.r.device[0].bytes.kv, 48 * 32768ull * 8 * 256 * 2 * 2);
}

static void test_cache_on_the_host(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 24, 0});
    estimate(&b);
    assert_true(b.r.pipeline);
    b.s.no_kv_offload = true;
    estimate(&b);
    assert_false(b.r.pipeline);
    assert_int_equal(b.r.device[0].bytes.kv + b.r.device[1].bytes.kv, 0);
    assert_int_equal(b.r.host.kv, GIB);
}

static void test_experts_on_the_host(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "qwen3-30b-a3b:Q4_K_M", (const int[]){24, 24, 0});
    estimate(&b);
    uint64_t device = b.r.device[0].bytes.weights, host = b.r.host.weights;
    b.s.n_cpu_moe = 4;
    estimate(&b);
    assert_false(b.r.pipeline);
    uint64_t moved = device - b.r.device[0].bytes.weights;
    uint64_t padding = moved - (b.r.host.weights - host); /* of quantised rows, on cards only */
    assert_true(padding < 1 << 16);
    assert_int_equal(b.r.host_repack, 0); /* pinned memory of the first card is taken instead */
    struct law_result by_number = b.r;
    b.s.n_cpu_moe = 0;
    b.s.n_overrides = 1;
    b.s.overrides[0] = (struct law_override){"blk\\.[0-3]\\.ffn_\\w+_exps", LAW_HOST};
    estimate(&b);
    assert_int_equal(b.r.device[0].bytes.weights, by_number.device[0].bytes.weights);
    b.s.overrides[0].target = 1;
    estimate(&b);
    assert_int_equal(device - b.r.device[0].bytes.weights, moved);
    assert_int_equal(b.r.host.weights, host);
    b.s.n_overrides = 0;
    b.s.n_cpu_moe = UINT32_MAX; /* all */
    estimate(&b);
    assert_true(b.r.host.weights > 15 * GIB);
}

static void test_repacked_weights_without_a_gpu(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){0});
    estimate(&b);
    uint64_t all = b.r.host.weights + b.r.host_repack;
    assert_true(b.r.host_repack > all / 2);
    b.s.no_repack = true;
    estimate(&b);
    assert_int_equal(b.r.host.weights, all);
    b.s.no_repack = false;
    b.mc.host.avx2 = false;
    estimate(&b);
    assert_int_equal(b.r.host_repack, 0);
}

static void test_tensor_split_gives_all_a_share(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 16, 0});
    b.s.split = SPLIT_TENSOR;
    estimate(&b);
    assert_int_equal(b.r.device[0].bytes.weights, b.r.device[1].bytes.weights);
    assert_int_equal(b.r.device[0].bytes.kv, GIB / 2);
    assert_false(b.r.pipeline);
    b.s.n_tensor_split = 2;
    b.s.tensor_split[0] = 3;
    b.s.tensor_split[1] = 1;
    estimate(&b);
    assert_int_equal(b.r.device[0].bytes.kv, 3 * b.r.device[1].bytes.kv);
}

static void test_scratch_is_given_back(void **state)
{
    own(bench_finish) struct bench b;
    set_up(&b, "llama-3.1-8b:Q4_K_M", (const int[]){24, 0});
    estimate(&b);
    size_t used = b.scratch.used_bytes;
    for (int i = 0; i < 100; i++)
        estimate(&b);
    assert_int_equal(b.scratch.used_bytes, used);
    assert_int_equal(used, 0);
}

static void expect_found(const char *pattern, const char *name, bool found)
{
    own(own_override_set) struct override_set set = {0};
    struct law_settings s = law_default_settings();
    s.n_overrides = 1;
    s.overrides[0] = (struct law_override){pattern, 3};
    struct err err = {0};
    if (!override_set_init(&set, &s, &err))
        fail_msg("%s: %s", pattern, err.title);
    if ((override_find(&set, name, -1) == 3) != found)
        fail_msg("%s %s in %s", pattern, found ? "is not found" : "is found", name);
}

static void test_patterns_are_the_engines(void **state)
{
    expect_found("blk\\.\\d+\\.ffn", "blk.17.ffn_up.weight", true);
    expect_found("blk\\.\\d\\.ffn", "blk.17.ffn_up.weight", false);
    expect_found("(?:up|gate)\\.weight", "blk.1.ffn_gate.weight", true);
    expect_found("ffn_(up|down|gate)_(ch|)exps", "blk.1.ffn_up_exps.weight", true);
    expect_found("^output\\.weight$", "output.weight", true);
    expect_found("^output\\.weight$", "blk.0.attn_output.weight", false);
    expect_found("attn.+?weight", "blk.0.attn_q.weight", true);
    expect_found("blk\\.([02468]|1[\\d])\\.", "blk.13.attn_q.weight", true);
    expect_found("[^.]+\\.bias", "blk.0.attn_q.weight", false);
    expect_found("\\w+_gate\\b", "blk.0.ffn_gate.weight", true);
    expect_found("\\w+_gate\\b", "blk.0.ffn_gate_exps.weight", false);
    expect_found("blk\\.1{2}\\.", "blk.11.attn_q.weight", true);
    expect_found("exps", "blk.0.ffn_up_exps.weight", true);
    expect_found("blk.0", "blk.10.attn_q.weight", false);
    expect_found(".*", "token_embd.weight", true);
    expect_found("\\.0\\.\\S*weight", "blk.0.attn_q.weight", true);
}

static void test_patterns_that_cannot_be_read(void **state)
{
    static const char *const BAD[] = {"(", "[a", "*a(", "(?=x)", "(?!x)", "a\\", "(a)\\1", "[]"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        own(own_override_set) struct override_set set = {0};
        struct law_settings s = law_default_settings();
        s.n_overrides = 1;
        s.overrides[0] = (struct law_override){BAD[i], LAW_HOST};
        struct err err = {0};
        if (override_set_init(&set, &s, &err))
            fail_msg("%s is accepted", BAD[i]);
        assert_int_equal(err.code, ERR_2114);
        assert_true(err.n_fix > 0);
    }
}

static void test_first_rule_wins(void **state)
{
    own(own_override_set) struct override_set set = {0};
    struct law_settings s = law_default_settings();
    s.n_overrides = 2;
    s.overrides[0] = (struct law_override){"ffn_up", 1};
    s.overrides[1] = (struct law_override){"ffn", 0};
    s.n_cpu_moe = 2;
    struct err err = {0};
    assert_true(override_set_init(&set, &s, &err));
    assert_int_equal(override_find(&set, "blk.0.ffn_up_exps.weight", 0), 1);
    assert_int_equal(override_find(&set, "blk.0.ffn_down_exps.weight", 0), 0);
    assert_int_equal(override_find(&set, "blk.0.attn_q.weight", 0), OVERRIDE_NONE);
}

static void test_cpu_moe_has_its_place_among_rules(void **state)
{
    own(own_override_set) struct override_set set = {0};
    struct law_settings s = law_default_settings();
    s.n_overrides = 2;
    s.overrides[0] = (struct law_override){"ffn_up", 1};
    s.overrides[1] = (struct law_override){"exps", 0};
    s.n_cpu_moe = 2;
    s.overrides_after_cpu_moe = 1;
    struct err err = {0};
    assert_true(override_set_init(&set, &s, &err));
    assert_int_equal(override_find(&set, "blk.0.ffn_up_exps.weight", 0), 1);
    assert_int_equal(override_find(&set, "blk.1.ffn_down_exps.weight", 1), LAW_HOST);
    assert_int_equal(override_find(&set, "blk.2.ffn_down_exps.weight", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_follow_free_memory),
        cmocka_unit_test(test_shares_given_by_hand),
        cmocka_unit_test(test_last_layers_go_to_the_gpu_first),
        cmocka_unit_test(test_one_card_of_several),
        cmocka_unit_test(test_remote_cards_come_first),
        cmocka_unit_test(test_tied_output_is_copied),
        cmocka_unit_test(test_cells_are_rounded),
        cmocka_unit_test(test_window_cache),
        cmocka_unit_test(test_cache_on_the_host),
        cmocka_unit_test(test_experts_on_the_host),
        cmocka_unit_test(test_repacked_weights_without_a_gpu),
        cmocka_unit_test(test_tensor_split_gives_all_a_share),
        cmocka_unit_test(test_scratch_is_given_back),
        cmocka_unit_test(test_patterns_are_the_engines),
        cmocka_unit_test(test_patterns_that_cannot_be_read),
        cmocka_unit_test(test_first_rule_wins),
        cmocka_unit_test(test_cpu_moe_has_its_place_among_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
