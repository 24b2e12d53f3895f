/* test_seed_proxy: rows L1-L20 of the seeds' acceptance tables: which cards for a need, how shared,
 * what a model takes, names. R: ours gives what theirs gave; B: theirs stands in a comment beside
 * what ours says. L10 weighs how busy cards are, which needs their telemetry; what free memory
 * alone decides is here. */
#include "seed_plan.h"

#include <stdio.h>

/* Llama 2 7B Q4_K_M: 3.7 GiB of weights and half a MiB a token, so that a context makes any need.
 */
#define NEED_5   "llama-2-7b -c 1024"
#define NEED_7   "llama-2-7b -c 4096"
#define NEED_8   "llama-2-7b -c 8192"
#define NEED_9_3 "llama-2-7b -c 10240"

static void expect_need(const char *model, double gib)
{
    struct seen s = see("%s --gpus 80GiB", model);
    assert_true(near_to(seen_gib(&s), gib, 0.5));
}

static void l1_the_card_that_holds_it(void **state)
{
    (void)state;
    expect_need(NEED_8, 8);
    struct seen s = see(NEED_8 " --gpus 10GiB,6GiB");
    expect_cards(&s, 1);
    assert_true(seen_gib(&s) < 8.5); /* no headroom counted in */
}

static void l2_wherever_it_stands(void **state)
{
    (void)state;
    expect_need(NEED_5, 5);
    struct seen s = see(NEED_5 " --gpus 6GiB,4GiB");
    expect_cards(&s, 1);
    s = see(NEED_8 " --gpus 4GiB,10GiB,6GiB");
    expect_cards(&s, 2);
}

/* R: .5556 on card 1, .4444 on card 0; B: the need is without headroom, which stands beside it. */
static void l3_two_where_one_is_too_small(void **state)
{
    (void)state;
    struct seen s = see(NEED_7 " --gpus 4GiB,5GiB --split proportional");
    expect_cards(&s, 3);
    assert_true(s.share[0] == 0.44 && s.share[1] == 0.56);
    assert_string_equal(s.verdict, "fits"); /* with the room kept free */
    assert_true(near_to(seen_gib(&s), 6.9, 0.5));
}

static void l4_the_fewest_that_do(void **state)
{
    (void)state;
    struct seen s = see(NEED_5 " --gpus 2GiB,3GiB,4GiB --split proportional");
    expect_cards(&s, 6); /* {1,2} */
    assert_true(near_to(s.share[1], 4 / 7.0, 0.005) && near_to(s.share[0], 3 / 7.0, 0.005));
}

static void l5_the_largest_two(void **state)
{
    (void)state;
    struct seen s = see("llama-2-13b:Q8_0 -c 9216 --gpus 10GiB,14GiB,20GiB --split proportional");
    expect_cards(&s, 6);
    assert_true(near_to(seen_gib(&s), 21, 0.7));
    assert_true(near_to(s.share[1], 20 / 34.0, 0.005) && near_to(s.share[0], 14 / 34.0, 0.005));
}

static void l6_past_a_card_that_is_full(void **state)
{
    (void)state;
    struct seen s = see(NEED_8 " --gpus 512MiB,6GiB,5GiB --split proportional");
    expect_cards(&s, 6);
    assert_true(near_to(s.share[0], 6 / 11.0, 0.005) && near_to(s.share[1], 5 / 11.0, 0.005));
}

/* C: required and available, in numbers; ours for every card too, and what would do. */
static void l7_too_little_is_said_in_numbers(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b -c 8192 --gpus 20GiB,20GiB");
    assert_int_equal(r.code, 8);
    expect_text(&r, "DOES NOT FIT on the GPUs: ");
    expect_text(&r, " GiB short at 8,192 tokens");
    expect_text(&r, "needs 4");
    expect_text(&r, "has 40.0");
    expect_text(&r, " of 20.0 GiB  ");
    expect_text(&r, "add one RTX ");
    r = run("plan llama-3.3-70b -c 32k --gpus rtx5090,rtx4090 --keep-free 2GiB");
    assert_int_equal(r.code, 0);
    r = run("plan llama-3.3-70b -c 128k --gpus rtx5090,rtx4090"); /* the sums of a long line stand
                                                                     below it */
    expect_text(&r, "\n             needs 8");
    expect_text(&r, " GiB, has 55.8 GiB\n");
    r = run("plan llama-3.3-70b -c 8192 --gpus 20GiB,20GiB --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_true(number_at(doc, "shortfall.0.bytes") > 0);
    json_object_put(doc);
}

/* R: the headroom is missed, so that it does not simply fit; B: theirs then starts it whole on the
 * card all the same. */
static void l8_less_than_the_headroom(void **state)
{
    (void)state;
    struct seen s = see(NEED_9_3 " --gpus 10GiB");
    assert_string_equal(s.verdict, "fits-tight");
    assert_non_null(strstr(s.reasons, "less than the 1.00 GiB asked for"));
    s = see("llama-2-7b -c 12288 --gpus 10GiB");
    assert_int_equal(s.code, 8);
    struct ran r = run("plan llama-2-7b -c 12288 --gpus 10GiB");
    expect_text(&r, " layers in host memory ");
    expect_text(&r, "KV cache q8_0 ");
    s = see("llama-2-7b -c 12288 --gpus 10GiB --allow-cpu --host-memory 32GiB");
    assert_int_equal(s.code, 0);
    assert_string_equal(s.verdict, "partly-on-cpu");
    assert_true(s.layers[0] > 20 && s.layers[0] < 32);
}

/* B: theirs .833 and .167 of the need; a share that small is mostly the second card's own overhead.
 */
static void l9_a_card_that_gives_less_than_it_takes(void **state)
{
    (void)state;
    struct seen s = see(NEED_9_3 " --gpus 10GiB,512MiB");
    expect_cards(&s, 1); /* the second would hold its own overhead only */
    s = see(NEED_9_3 " --gpus 10GiB,2GiB");
    expect_cards(&s, 3);
    assert_string_equal(s.verdict,
                        "fits"); /* by the bytes there is room; theirs' share leaves none */
    s = see(NEED_9_3 " --gpus 10GiB,2GiB --split proportional");
    assert_string_equal(s.verdict, "fits-tight");
}

static void l10_free_memory_decides(void **state)
{
    (void)state;
    struct seen s = see(NEED_5 " --gpus 20GiB:free=4GiB,11GiB");
    expect_cards(&s, 2);
}

static void l11_spread(void **state)
{
    (void)state;
    struct seen s = see(NEED_5 " --gpus 20GiB,20GiB --spread --split proportional");
    expect_cards(&s, 3);
    assert_true(s.share[0] == 0.5 && s.share[1] == 0.5);
    s = see(NEED_5 " --gpus 20GiB,20GiB");
    expect_cards(&s, 1);
}

static void l12_nothing_to_choose(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b --gpus none");
    assert_int_equal(s.cards, 0);
    s = see("llama-2-7b --gpus 20GiB,20GiB -ngl 0");
    assert_int_equal(s.used, 0);
    assert_int_equal(s.weights, 0);
}

static void l13_unequal_cards(void **state)
{
    (void)state;
    struct seen s = see(NEED_8 " --gpus 24GiB,16GiB");
    expect_cards(&s, 1);
}

/* All tensors of the file, wherever they lie, in GiB. */
static double weights_of(const char *model)
{
    struct seen s = see("%s --gpus 800GiB -c 4096", model);
    return (double)(s.weights + s.host_weights) / (double)GIB;
}

/* B: theirs 4.4148 in all for 7B Q4_K_M, and a test against that same number. */
static void l14_seven_billion(void **state)
{
    (void)state;
    assert_true(near_to(weights_of("llama-2-7b:Q4_K_M"), 3.80, 0.005));
    struct seen s = see("llama-2-7b:Q4_K_M --gpus 80GiB -c 4096");
    assert_int_equal(s.kv, 2 * GIB);
    assert_true(seen_gib(&s) > 6.0 && seen_gib(&s) < 6.8);
}

/* B: theirs 17.659, 8.8295, 2.2074, 44.1476 and 0.3153. */
static void l15_others_by_their_tensors(void **state)
{
    (void)state;
    assert_true(near_to(weights_of("llama-2-7b:F16"), 12.55, 0.005));
    assert_true(near_to(weights_of("llama-2-7b:Q8_0"), 6.67, 0.005));
    assert_true(near_to(weights_of("llama-2-7b:Q2_K"), 2.36, 0.005));
    assert_true(near_to(weights_of("llama-2-70b:Q4_K_M"), 38.58, 0.01));
    assert_true(weights_of("qwen2.5-0.5b:Q4_K_M") < 0.5);
}

static void l16_monotone(void **state)
{
    static const char *const quants[] = {"Q2_K", "Q4_K_M", "Q8_0", "F16"};
    static const int contexts[] = {2048, 4096, 8192, 16384, 32768};
    double last = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct seen s = see("llama-2-7b:%s --gpus 80GiB -c 4096", quants[i]);
        assert_true(seen_gib(&s) > last);
        last = seen_gib(&s);
    }
    last = 0;
    for (int i = 0; i < 5; i++) {
        struct seen s = see("llama-3.1-8b --gpus 80GiB -c %d", contexts[i]);
        assert_true(seen_gib(&s) > last);
        last = seen_gib(&s);
    }
    struct seen s = see("qwen2.5-0.5b:Q4_K_M --gpus 80GiB -c 2048");
    assert_true((double)(s.weights + s.kv) < (double)GIB);
    s = see("llama-3.3-70b:Q2_K --gpus 80GiB -c 2048");
    assert_true(seen_gib(&s) > 10);
    struct ran r = run("plan some-unknown-model --gpus 80GiB"); /* theirs None, too */
    expect_error(&r, 4, 2001, NULL);
}

/* R: 2.0, 0.5, 2.5 and 1.328 GiB of cache (theirs adds a tenth). */
static void l17_the_cache_to_the_byte(void **state)
{
    (void)state;
    assert_int_equal(see("llama-2-7b --gpus 80GiB -c 4096").kv, 2 * GIB);
    assert_int_equal(see("llama-3-8b --gpus 80GiB -c 4096").kv, GIB / 2);
    assert_int_equal(see("llama-3-70b --gpus 80GiB -c 8192").kv, 5 * GIB / 2);
    int64_t q8 = see("llama-3-70b --gpus 80GiB -c 8192 --kv q8_0").kv;
    assert_int_equal(q8, 5 * GIB / 2 * 34 / 64);
    assert_true(near_to((double)q8 / (double)GIB, 1.328, 0.0005));
}

static int64_t file_bytes(const char *quant)
{
    return see("llama-2-7b:%s --gpus 80GiB -c 2048", quant).file_bytes;
}

/* R: the names theirs knows; B: IQ4_XS, Q4_0, BF16 and Q4_K_XL are no FP16. */
static void l18_names_of_quantisations(void **state)
{
    static const char *const known[] = {"Q2_K",   "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_S",
                                        "Q5_K_M", "Q6_K",   "Q8_0",   "FP16",   "FP32"};
    int64_t last = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_true(file_bytes(known[i]) > last);
        last = file_bytes(known[i]);
    }
    assert_true(file_bytes("IQ4_XS") < file_bytes("Q4_K_S"));
    assert_true(file_bytes("Q4_0") < file_bytes("Q4_K_M"));
    assert_int_equal(file_bytes("BF16"), file_bytes("FP16")); /* 16 bits indeed */
    struct ran r = run(
        "plan llama-2-7b:Q4_K_XL --gpus 24GiB"); /* a publisher's own mix: no rule says its types */
    expect_error(&r, 2, 9002, "dualgpuopt plan llama-2-7b:Q4_K_M");
    assert_int_equal(run_program("%s llama-2-7b:Q5_K_M model-UD-Q4_K_XL.gguf", MAKE_SAMPLE).code,
                     0);
    struct seen s =
        see("model-UD-Q4_K_XL.gguf --gpus 24GiB -c 2048"); /* the header says it, not the name */
    assert_true(near_to((double)s.file_bytes, (double)file_bytes("Q5_K_M"), 8e6));
}

static double billions(const char *model)
{
    return (double)see("%s --gpus 2000GiB -c 2048", model).parameters / 1e9;
}

/* R: 0.5B, 1B, 70B, 405B; B: theirs 7e9 for Mixtral 8x7B, none for 135M and phi-4. */
static void l19_parameters(void **state)
{
    (void)state;
    assert_true(near_to(billions("qwen2.5-0.5b"), 0.494, 0.001));
    assert_true(near_to(billions("llama-3.2-1b"), 1.236, 0.001));
    assert_true(near_to(billions("llama-3.3-70b"), 70.55, 0.01));
    assert_true(near_to(billions("llama-3.1-405b"), 405.9, 0.1));
    assert_true(near_to(billions("mixtral-8x7b"), 46.70, 0.01));
    assert_true(near_to(billions("smollm2-135m"), 0.1345, 0.0005));
    assert_true(near_to(billions("phi-4-14b"), 14.66, 0.05));
    struct ran r = run("plan phi-4 --gpus 24GiB");
    expect_error(&r, 4, 2001, "phi-4-14b");
}

/* B: theirs reads no file of more than one tensor. */
static void l20_a_file(void **state)
{
    (void)state;
    assert_int_equal(run_program("%s smollm2-135m:Q8_0 m.gguf", MAKE_SAMPLE).code, 0);
    struct ran r = run("model show m.gguf --tensors --plain");
    assert_int_equal(r.code, 0);
    expect_text(&r, "token_embd.weight");
    expect_text(&r, "blk.29.ffn_down.weight");
    struct seen s = see("m.gguf --gpus 8GiB"), profile = see("smollm2-135m:Q8_0 --gpus 8GiB");
    assert_int_equal(s.parameters, 134515008);
    assert_int_equal(s.weights, profile.weights);
    assert_int_equal(s.kv, profile.kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l1_the_card_that_holds_it),
        cmocka_unit_test(l2_wherever_it_stands),
        cmocka_unit_test(l3_two_where_one_is_too_small),
        cmocka_unit_test(l4_the_fewest_that_do),
        cmocka_unit_test(l5_the_largest_two),
        cmocka_unit_test(l6_past_a_card_that_is_full),
        cmocka_unit_test(l7_too_little_is_said_in_numbers),
        cmocka_unit_test(l8_less_than_the_headroom),
        cmocka_unit_test(l9_a_card_that_gives_less_than_it_takes),
        cmocka_unit_test(l10_free_memory_decides),
        cmocka_unit_test(l11_spread),
        cmocka_unit_test(l12_nothing_to_choose),
        cmocka_unit_test(l13_unequal_cards),
        cmocka_unit_test(l14_seven_billion),
        cmocka_unit_test(l15_others_by_their_tensors),
        cmocka_unit_test(l16_monotone),
        cmocka_unit_test(l17_the_cache_to_the_byte),
        cmocka_unit_test(l18_names_of_quantisations),
        cmocka_unit_test(l19_parameters),
        cmocka_unit_test(l20_a_file),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
