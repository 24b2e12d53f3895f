/* test_seed_split: rows O1-O22 of the seeds' acceptance tables: optimizer, context, split,
 * commands. R: ours gives what theirs gave; B: theirs stands in a comment beside what ours says; C:
 * texts that are kept. */
#include "seed_plan.h"

#include <stdio.h>
#include <sys/stat.h>

#define PAIR "--gpus 20480MiB,14336MiB"
#define SAME                                                                                      \
    " --json=verdict,settings,devices,context_max,alternatives,optimality" /* what is free of the \
                                                                              host varies */

static double kib_a_token(const char *model)
{
    struct seen s = see("%s --gpus 400GiB -c 4096", model);
    return (double)s.kv / 1024 / (double)s.context;
}

static void o1_proportional_to_free_memory(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b " PAIR " --split proportional --spread");
    expect_cards(&s, 3); /* TP 2 */
    assert_int_equal(s.n_shares, 2);
    assert_true(near_to(s.share[0], 0.5882, 0.005) && near_to(s.share[1], 0.4118, 0.005));
    struct ran r = run("plan llama-2-7b " PAIR " --split proportional --spread -o args");
    expect_text(&r, " -ts 0.59,0.41 ");
    s = see("llama-2-7b " PAIR " --spread"); /* the default is exact in layers and bytes */
    assert_int_equal(s.share[0] + s.share[1], 33);
    assert_int_equal(s.layers[0] + s.layers[1], 32);
}

static void o2_a_single_card(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b --gpus 20480MiB --split proportional");
    expect_cards(&s, 1);
    assert_int_equal(s.n_shares, 0); /* all of it: [1.0] */
    assert_int_equal(s.layers[0], 32);
}

/* B: theirs a card of 16 GB and 2,048 tokens, both invented. */
static void o3_no_card_is_no_card(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b --gpus none");
    assert_int_equal(s.code, 0);
    assert_int_equal(s.cards, 0);
    assert_string_equal(s.verdict, "partly-on-cpu");
    assert_int_equal(s.context, 4096);
    struct ran r = run("plan llama-2-7b"); /* there is no driver here */
    expect_text(&r, "no GPU: ");
    assert_null(strstr(r.out, "16.0 GiB"));
}

/* B: theirs 1.0, 1.5625, 0.625, 0.25, 0.25 and 0.625 MB a token: K and V counted twice. */
static void o4_cache_of_a_token(void **state)
{
    (void)state;
    assert_true(kib_a_token("llama-2-7b") == 0.5 * 1024);
    assert_true(kib_a_token("llama-2-13b") == 0.78125 * 1024);
    assert_true(kib_a_token("llama-2-70b") == 0.3125 * 1024);
    assert_true(kib_a_token("mistral-7b-v0.2") == 0.125 * 1024);
    assert_true(kib_a_token("mixtral-8x7b") == 0.125 * 1024);
    assert_true(kib_a_token("phi-2") == 0.3125 * 1024);
}

/* B: theirs recommends 3,584 of 4,096 though 30 GB stay empty. */
static void o5_the_models_own_context_where_it_fits(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b " PAIR);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.context, 4096);
}

/* B: theirs 44,564 tokens, 40,064 recommended, for weights of 131 GiB on 34. */
static void o6_weights_that_do_not_fit(void **state)
{
    (void)state;
    struct seen s = see("llama-3.1-70b:F16 " PAIR);
    assert_int_equal(s.code, 8);
    assert_true(s.file_bytes > 128 * GIB);
    assert_int_equal(s.context_max, 0);
    struct ran r = run("plan llama-3.1-70b:F16 " PAIR);
    expect_text(&r, "DOES NOT FIT");
    expect_text(&r, " Q2_K file, "); /* which one would */
}

/* A 7B and a 70B without shared KV heads, trained far enough for the cards to be the limit. */
static int with_descriptions(void **state)
{
    if (run_setup(state) != 0)
        return -1;
    run_file("7b.yaml",
             "context_length: 131072\nhidden_size: 4096\nnum_layers: 32\nnum_heads: 32\n"
             "vocab_size: 32000\nintermediate_size: 11008\nquantization: Q4_K_M\n",
             false);
    run_file("7b-gqa.yaml",
             "context_length: 131072\nhidden_size: 4096\nnum_layers: 32\nnum_heads: 32\n"
             "kv_heads: 8\nvocab_size: 32000\nintermediate_size: 11008\nquantization: Q4_K_M\n",
             false);
    run_file("70b.yaml",
             "context_length: 4096\nhidden_size: 8192\nnum_layers: 80\nnum_heads: 64\n"
             "vocab_size: 32000\nintermediate_size: 28672\nquantization: Q4_K_M\n",
             false);
    if (mkdir("layout", 0755) != 0)
        return -1;
    run_file("layout/config.json",
             "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\","
             "\"torch_dtype\":\"bfloat16\",\"num_hidden_layers\":32,\"hidden_size\":4096,"
             "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"intermediate_size\":14336,"
             "\"vocab_size\":128256,\"max_position_embeddings\":131072}",
             false);
    return 0;
}

/* B: theirs 204 tokens, 128 recommended. */
static void o7_seventy_billion_on_one_gigabyte(void **state)
{
    (void)state;
    struct seen s = see("70b.yaml --gpus 1024MiB");
    assert_int_equal(s.code, 8);
    assert_int_equal(s.context_max, 0);
}

/* B: theirs 16,384, rounded up past what even an empty card holds (14,745). */
static void o8_largest_context_beside_the_weights(void **state)
{
    (void)state;
    struct seen s = see("7b.yaml --gpus 8192MiB -c max --kv f16");
    assert_int_equal(s.code, 0);
    assert_in_range(s.context, 4096, 6950);
    s = see("7b.yaml --gpus 8192MiB -c 16384");
    assert_int_equal(s.code, 8);
}

/* B: theirs 131,072, whose cache alone is 16 GiB. */
static void o9_shared_heads_count_once(void **state)
{
    (void)state;
    struct seen s = see("7b-gqa.yaml --gpus 8192MiB -c max --kv f16");
    assert_int_equal(s.code, 0);
    assert_in_range(s.context, 4 * 4096, 4 * 6950 + 1024); /* a quarter of O8's bytes a token */
    s = see("7b-gqa.yaml --gpus 8192MiB -c 128k");
    assert_int_equal(s.code, 8);
}

/* B: theirs 131,072. */
static void o10_seventy_billion_on_24_gib(void **state)
{
    (void)state;
    struct seen s = see("llama-2-70b --gpus 24576MiB");
    assert_int_equal(s.code, 8);
    s = see("llama-2-70b --gpus 24576MiB --allow-cpu --host-memory 64GiB");
    assert_int_equal(s.code, 0);
    assert_string_equal(s.verdict, "partly-on-cpu");
    assert_true(s.layers[0] > 0 && s.layers[0] < 80);
}

/* B: theirs 16,384 with the cache multiplied by 8 experts. */
static void o11_experts_share_one_cache(void **state)
{
    (void)state;
    assert_true(kib_a_token("mixtral-8x7b") == kib_a_token("mistral-7b-v0.2"));
    struct seen s = see("mixtral-8x7b --gpus 8192MiB");
    assert_int_equal(s.code, 8);
}

/* B: theirs 8,192. */
static void o12_seventy_billion_on_512_mib(void **state)
{
    (void)state;
    struct seen s = see("llama-3.3-70b --gpus 512MiB");
    assert_int_equal(s.code, 8);
    assert_int_equal(s.context_max, 0);
}

/* B: theirs 77,414.4, 283,852.8 and 430,080 MB. */
static void o13_what_a_model_takes(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b --gpus 80GiB -c 4096");
    assert_true(seen_gib(&s) > 5.7 && seen_gib(&s) < 6.7);
    s = see("llama-2-7b --gpus 80GiB -np 4 -c 16384");
    assert_int_equal(s.kv, 8 * GIB);
    assert_true(seen_gib(&s) < 13);
    s = see("llama-2-70b --gpus 80GiB -c 2048");
    assert_true(seen_gib(&s) > 38 && seen_gib(&s) < 41);
}

static void o14_descriptions_that_cannot_be(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"context_length: 4096\nhidden_size: 100\nnum_layers: 2\nnum_heads: 3\n",
         "Hidden size (100) must be divisible by number of heads (3)"                                                          },
        {"context_length: 4096\nhidden_size: 96\nnum_layers: 2\nnum_heads: 3\nkv_heads: 2\n",
         "Number of heads (3) must be divisible by number of KV heads (2)"                                                     },
        {"context_length: 0\n",                                                               "Context length must be positive"},
        {"hidden_size: 0\n",                                                                  "Hidden size must be positive"   },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        run_file("own.yaml", rows[i].text, false);
        struct ran r = run("plan own.yaml --gpus 24GiB --json");
        assert_int_equal(r.code, 2);
        expect_text(&r, rows[i].said); /* in one piece, which the text's lines are not */
    }
    run_file("own.yaml",
             "context_length: 4096\nhidden_size: 100\nnum_layers: 2\nnum_heads: 3\nhead_dim: 128\n",
             false);
    assert_int_equal(see("own.yaml --gpus 24GiB").code,
                     0); /* B: heads may have a size of their own */
}

/* B: theirs `./llama.cpp -m m.gguf -c 4096 -t 8 --gpu-layers -1 --tensor-split 0.60,0.40`: no such
 * program. */
static void o15_the_command(void **state)
{
    (void)state;
    assert_int_equal(run_program("%s llama-2-7b:Q4_K_M m.gguf", MAKE_SAMPLE).code, 0);
    struct ran r = run("plan m.gguf --gpus 24GiB,16GiB -ts 0.60,0.40 -c 4096 -o args");
    assert_int_equal(r.code, 0);
    assert_true(strncmp(r.out, "llama-server -m m.gguf -c 4096 ", 31) == 0);
    expect_text(&r, " -ngl 33 -sm layer -ts 0.6,0.4 ");
}

static void o16_one_card_is_not_split(void **state)
{
    (void)state;
    struct ran r = run("plan llama-2-7b --gpus 24GiB -o args");
    expect_text(&r, " -sm none -mg 0 ");
    assert_null(strstr(r.out, "-ts"));
}

/* B: theirs prints 0.9. */
static void o17_utilization_keeps_its_decimals(void **state)
{
    (void)state;
    struct ran r = run("plan layout --gpus rtx4090 --gpu-memory-utilization 0.95 -o args");
    assert_int_equal(r.code, 0);
    expect_text(&r, " --gpu-memory-utilization 0.95 ");
}

/* B: theirs NCCL_P2P_DISABLE=1 with several cards, and CUDA_VISIBLE_DEVICES=0,1 whatever they are.
 */
static void o18_the_environment(void **state)
{
    (void)state;
    struct ran r = run("plan layout --gpus rtx3060,rtx4090 -o env");
    expect_text(&r, "CUDA_DEVICE_ORDER=PCI_BUS_ID\n");
    expect_text(&r, "CUDA_VISIBLE_DEVICES=1\n");
    r = run("plan layout --gpus rtx4090,rtx4090 -tp 2 -o env");
    expect_text(&r, "CUDA_VISIBLE_DEVICES=0,1\n");
    assert_null(strstr(r.out, "NCCL"));
    r = run("plan llama-2-13b:F16 --gpus rtx4090,rtx3090 --spread -o env");
    expect_text(&r, "CUDA_DEVICE_ORDER=PCI_BUS_ID\n");
    assert_null(strstr(r.out, "NCCL"));
}

/* R: 19 + 13 and 16 + 16 of 32 layers. The engine counts the output as one layer more, so that its
 * own reading of 0.6,0.4 is one layer off; layers by number are kept to the letter, of any number
 * of layers. */
static void o19_layers_by_ratio(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b --gpus 24GiB,16GiB --split proportional --spread");
    assert_true(s.share[0] == 0.6 && s.share[1] == 0.4);
    assert_in_range(s.layers[0], 19, 20);
    s = see("llama-2-7b --gpus 24GiB,16GiB --split 19,13");
    assert_true(s.layers[0] == 19 && s.layers[1] == 13);
    s = see("llama-2-7b --gpus 24GiB,16GiB --split 16,16");
    assert_true(s.layers[0] == 16 && s.layers[1] == 16);
    s = see("llama-2-13b --gpus 24GiB,16GiB --split 24,16"); /* theirs knows 32 layers only */
    assert_true(s.layers[0] == 24 && s.layers[1] == 16);
}

/* R: no card has layers in two places; theirs smooths a list that alternates. */
static void o20_layers_are_contiguous(void **state)
{
    static const char *const wishes[] = {
        "llama-3.3-70b --gpus 24GiB,16GiB,12GiB --spread",
        "gemma-3-27b --gpus rtx3090,rtx3060 --spread",
        "llama-2-13b --gpus 24GiB,8GiB --split proportional --spread",
        "qwen3-32b --gpus 12GiB:count=4 --split even"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct seen s = see("%s", wishes[i]);
        int next = 0;
        for (uint32_t c = 0; c < s.cards; c++) {
            if (!(s.used & (1u << c)))
                continue;
            assert_int_equal(s.first[c], next);
            next = s.last[c] + 1;
        }
    }
}

/* R: [1.0,.5] and [.6,.25,1.0] are relative weights. */
static void o21_relative_weights(void **state)
{
    static const char *const same[][2] = {
        {"16384,8192", "1.0,.5"    },
        {"24,10,40",   ".6,.25,1.0"}
    };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct seen a =
            see("llama-2-13b --gpus 24GiB,24GiB%s -ts %s", i ? ",40GiB" : "", same[i][0]);
        struct seen b =
            see("llama-2-13b --gpus 24GiB,24GiB%s -ts %s", i ? ",40GiB" : "", same[i][1]);
        assert_int_equal(a.code, 0);
        assert_memory_equal(a.layers, b.layers, sizeof(a.layers));
        assert_int_equal(a.weights, b.weights);
    }
}

/* R, but for "at least 128 tokens": where nothing fits that is 0. */
static void o22_properties(void **state)
{
    static const int sizes[][4] = {
        {6,   10},
        {   24, 12,  8},
        {   8,  8,  8},
        {   11, 13, 17, 19},
        { 24,  24},
        {  4, 80  },
        {   5,  6,    7}
    };
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char cards[64] = "";
        double sum = 0;
        int64_t last = 0;
        uint32_t n = 0;
        for (; n < 4 && sizes[i][n]; n++) {
            snprintf(cards + strlen(cards), sizeof(cards) - strlen(cards), "%s%dGiB", n ? "," : "",
                     sizes[i][n]);
            struct seen s = see("7b-gqa.yaml --gpus %s --kv f16 -c max", cards);
            assert_int_equal(s.code == 8, s.context_max == 0);
            assert_true(s.context_max <= 131072 &&
                        s.context_max >= last); /* more memory, no less context */
            assert_true(s.code == 8 || s.context == s.context_max);
            last = s.context_max;
        }
        struct seen s = see("llama-2-7b --gpus %s --split proportional --spread", cards);
        assert_int_equal(s.n_shares, n);
        for (uint32_t k = 0; k < n; k++)
            sum += s.share[k];
        assert_true(near_to(sum, 1, 1e-10));
        assert_int_equal(__builtin_popcount(s.used), n);
        struct ran r = run("plan llama-2-7b --gpus %s" SAME, cards),
                   again = run("plan llama-2-7b --gpus %s" SAME, cards);
        assert_string_equal(r.out, again.out);
    }
    struct seen s = see("llama-2-70b --gpus 4GiB,6GiB");
    assert_int_equal(s.context_max, 0);
    assert_non_null(strstr(s.reasons, " GiB short"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o1_proportional_to_free_memory),
        cmocka_unit_test(o2_a_single_card),
        cmocka_unit_test(o3_no_card_is_no_card),
        cmocka_unit_test(o4_cache_of_a_token),
        cmocka_unit_test(o5_the_models_own_context_where_it_fits),
        cmocka_unit_test(o6_weights_that_do_not_fit),
        cmocka_unit_test(o7_seventy_billion_on_one_gigabyte),
        cmocka_unit_test(o8_largest_context_beside_the_weights),
        cmocka_unit_test(o9_shared_heads_count_once),
        cmocka_unit_test(o10_seventy_billion_on_24_gib),
        cmocka_unit_test(o11_experts_share_one_cache),
        cmocka_unit_test(o12_seventy_billion_on_512_mib),
        cmocka_unit_test(o13_what_a_model_takes),
        cmocka_unit_test(o14_descriptions_that_cannot_be),
        cmocka_unit_test(o15_the_command),
        cmocka_unit_test(o16_one_card_is_not_split),
        cmocka_unit_test(o17_utilization_keeps_its_decimals),
        cmocka_unit_test(o18_the_environment),
        cmocka_unit_test(o19_layers_by_ratio),
        cmocka_unit_test(o20_layers_are_contiguous),
        cmocka_unit_test(o21_relative_weights),
        cmocka_unit_test(o22_properties),
    };
    return cmocka_run_group_tests(tests, with_descriptions, run_teardown);
}
