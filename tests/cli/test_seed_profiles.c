/* test_seed_profiles: rows P1-P18 and I1-I8 of the seeds' acceptance tables: profiles, fit plans,
 * batches, and what their tests ask for. R: ours gives what theirs gave; B: theirs stands in a
 * comment beside what ours says. P14-P18 and P20 are in tests/plan/test_batching.c too, below the
 * program. */
#include "seed_plan.h"

#include <stdio.h>

static struct seen proportional(const char *model, const char *cards)
{
    return see("%s --gpus %s --split proportional --spread", model, cards);
}

/* The layers their ratio gives, named by number, are kept to the letter. */
static void expect_layers(const char *model, const char *cards, int a, int b)
{
    struct seen s = see("%s --gpus %s --split %d,%d", model, cards, a, b);
    assert_int_equal(s.code, 0);
    assert_true(s.layers[0] == a && s.layers[1] == b);
}

/* R: split (.667,.333), 26 + 14; B: a batch of 47, for which the cache alone would be 47 x 0.78
 * GiB. */
static void p1_thirteen_billion_on_24_and_12(void **state)
{
    (void)state;
    struct seen s = proportional("llama-2-13b:Q4_K_M", "24GiB,12GiB");
    expect_cards(&s, 3);
    assert_true(near_to(s.share[0], 0.667, 0.005) && near_to(s.share[1], 0.333, 0.005));
    expect_layers("llama-2-13b:Q4_K_M", "24GiB,12GiB", 26, 14);
    assert_int_equal(see("llama-2-13b:Q4_K_M --gpus 24GiB,12GiB -np 28 -c 28k").code, 0);
    assert_int_equal(see("llama-2-13b:Q4_K_M --gpus 24GiB,12GiB -np 47 -c 47k").code, 8);
}

/* B: theirs a batch of 0, though it fits. */
static void p2_seven_billion_f16_on_24_and_12(void **state)
{
    (void)state;
    struct seen s = proportional("llama-2-7b:F16", "24GiB,12GiB");
    assert_int_equal(s.code, 0);
    assert_in_range(s.file_bytes, 12 * GIB, 14 * GIB);
    expect_layers("llama-2-7b:F16", "24GiB,12GiB", 21, 11);
    assert_int_equal(see("llama-2-7b:F16 --gpus 24GiB,12GiB -np 8 -c 8k").code, 0);
}

/* B: theirs 52 + 28, the floor of 80 x 0.66; ours by the bytes of every layer, so that both are
 * equally full. */
static void p3_seventy_billion_on_48_and_24(void **state)
{
    (void)state;
    struct seen s = see("llama-2-70b:Q4_K_M --gpus 48GiB,24GiB --spread -c 4096");
    expect_cards(&s, 3);
    assert_int_equal(s.layers[0] + s.layers[1], 80);
    assert_in_range(s.layers[0], 52, 56);
    expect_layers("llama-2-70b:Q4_K_M", "48GiB,24GiB", 52, 28);
}

static void p4_mistral_on_24_and_8(void **state)
{
    (void)state;
    struct seen s = proportional("mistral-7b-v0.1", "24GiB,8GiB");
    expect_cards(&s, 3);
    assert_true(s.share[0] == 0.75 && s.share[1] == 0.25);
    expect_layers("mistral-7b-v0.1", "24GiB,8GiB", 24, 8);
}

static void p5_three_equal_cards(void **state)
{
    static const char *const ways[] = {"even", "proportional"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct seen s = see("llama-2-7b --gpus 8GiB:count=3 --split %s --spread", ways[i]);
        expect_cards(&s, 7);
        assert_true(s.layers[0] == 11 && s.layers[1] == 11 && s.layers[2] == 10);
    }
}

/* B: theirs (.8,.2): no card gets less than a fifth, be it as small as it may. */
static void p6_no_floor_for_a_small_card(void **state)
{
    (void)state;
    struct seen s = proportional("llama-2-7b", "100GiB,8GiB");
    assert_true(s.share[0] == 0.93 && s.share[1] == 0.07);
    s = see("llama-2-70b:Q4_K_M --gpus 100GiB,8GiB --spread -c 4096");
    assert_int_equal(s.code, 0);
    assert_true(s.layers[1] < 8); /* a fifth would be 16 */
}

/* B: theirs 157, 273 and 326 sequences of 1,024 tokens on 24 + 24 GiB; 157 alone are 78.5 GiB of
 * cache. */
static void p7_batches_that_memory_holds(void **state)
{
    (void)state;
    assert_int_equal(see("llama-2-7b:F16 --gpus 24GiB,24GiB -np 157 -c 157k").code, 8);
    struct seen s = see("llama-2-7b:F16 --gpus 24GiB,24GiB -np 56 -c 56k");
    assert_int_equal(s.code, 0);
    assert_int_equal(s.kv, 28 * GIB);
    assert_int_equal(see("llama-2-7b:Q4_K_M --gpus 24GiB,24GiB -np 72 -c 72k").code, 0);
}

/* B: theirs 117.74 GB: experts counted into the weights twice. */
static void p8_a_mixture_of_experts(void **state)
{
    (void)state;
    struct seen s = see("mixtral-8x7b:F16 --gpus 96GiB -c 4096");
    assert_true(near_to((double)(s.weights + s.host_weights) / (double)GIB, 87.0, 0.05));
    assert_int_equal(s.kv, GIB / 2);
    assert_true((double)s.compute / (double)GIB < 0.5);
}

/* B: theirs Llama 2 7B for "qwen" and "llama3-8b", AWQ for "a". */
static void p9_unknown_names_are_no_guess(void **state)
{
    (void)state;
    struct ran r = run("plan qwen --gpus 24GiB");
    expect_error(&r, 4, 2001, "qwen2.5-0.5b");
    r = run("plan llama3-8b --gpus 24GiB");
    expect_error(&r, 4, 2001, "dualgpuopt plan llama-3-8b");
    r = run("plan llama-2-7b --quant a --gpus 24GiB");
    expect_error(&r, 2, 9002, "Q4_K_M");
}

/* B: theirs 4450 / 2225 MB and 10,505 tokens for 7e9 bytes of anything; ours from the header, by
 * the layer. */
static void p10_a_plan_from_the_header(void **state)
{
    (void)state;
    assert_int_equal(run_program("%s llama-2-7b:Q8_0 m.gguf", MAKE_SAMPLE).code, 0);
    struct seen s = proportional("m.gguf", "16384MiB,8192MiB"),
                with = see("m.gguf --gpus 24GiB -c 4096");
    assert_true(s.share[0] == 0.67 && s.share[1] == 0.33);
    assert_int_equal(s.weights, with.weights); /* sharing adds and loses no byte */
    assert_true(near_to((double)(s.weights + s.host_weights), (double)s.file_bytes,
                        2e6)); /* all but the header */
    assert_int_equal(s.context_max, 4096);
}

/* B: theirs 11,920 MB: the size divided by cards and quantised again. */
static void p11_sharing_changes_no_size(void **state)
{
    (void)state;
    struct seen one = see("mistral-large-123b:Q6_K --gpus 24576MiB -c 4096"),
                two = see("mistral-large-123b:Q6_K --gpus 24576MiB,24576MiB -c 4096");
    assert_true(one.file_bytes > 90 * GIB);
    assert_int_equal(one.file_bytes, two.file_bytes);
    assert_int_equal(one.weights, two.weights);
    assert_int_equal(two.code, 8);
}

static struct json_object *batching(const char *list, const char *more)
{
    run_file("lengths.txt", list, false);
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB --lengths lengths.txt %s --json", more);
    assert_int_equal(r.code, 0);
    return run_json(&r, "plan");
}

/* R: five batches, [[4,0,2,7],[3],[5],[1],[6]]. */
static void p12_groups_by_length(void **state)
{
    (void)state;
    struct json_object *doc = batching("10\n2000\n20\n300\n5\n700\n15000\n64\n", "-np 4");
    assert_int_equal(number_at(doc, "batching.groups.batches"), 5);
    assert_int_equal(number_at(doc, "batching.groups.max_items"), 4);
    assert_int_equal(number_at(doc, "batching.groups.max_tokens"), 16384);
    assert_int_equal(number_at(doc, "batching.groups.padded_tokens"),
                     4 * 64 + 300 + 700 + 2000 + 15000);
    json_object_put(doc);
}

/* B: theirs [[],[1]]: an empty batch in front. */
static void p13_an_oversize_prompt(void **state)
{
    (void)state;
    struct json_object *doc = batching("20000\n", "");
    assert_int_equal(number_at(doc, "batching.groups.batches"), 1);
    assert_int_equal(number_at(doc, "batching.groups.oversize"), 1);
    json_object_put(doc);
}

/* B: theirs 7.2012 GiB for 4 x 2,048 tokens: the cache of one. */
static void p16_four_sequences_have_four_caches(void **state)
{
    (void)state;
    struct seen s = see("llama-2-7b:Q8_0 --gpus 24GiB -np 4 -c 8192");
    assert_int_equal(s.kv, 4 * GIB);
    assert_true(seen_gib(&s) > 10.5);
}

/* B: theirs 348 sequences of 2,048 tokens, and 5,873,664 tokens for four. */
static void p17_the_largest_batch(void **state)
{
    (void)state;
    assert_int_equal(see("llama-2-7b:Q8_0 --gpus 24GiB -np 13 -c 26k").code, 0);
    assert_int_equal(see("llama-2-7b:Q8_0 --gpus 24GiB -np 20 -c 40k").code, 8);
    struct ran r = run("plan llama-2-7b:Q8_0 --gpus 24GiB -np 348 -c 696k"); /* more than the engine
                                                                                takes at all */
    expect_error(&r, 2, 2114, "-np 256");
}

/* B: theirs 128 tokens and a batch of 1. */
static void p18_impossible_is_zero(void **state)
{
    (void)state;
    struct seen s = see("llama-2-70b:F16 --gpus 4GiB");
    assert_int_equal(s.code, 8);
    assert_int_equal(s.context_max, 0);
}

static void i1_ratio_of_free_memory(void **state)
{
    (void)state;
    struct seen s = proportional("llama-2-7b", "6GiB,10GiB");
    assert_true(near_to(s.share[0], 0.375, 0.05) && near_to(s.share[1], 0.625, 0.05));
    s = proportional("llama-2-7b", "16GiB:free=6GiB,16GiB:free=10GiB"); /* free, not total */
    assert_true(near_to(s.share[0], 0.375, 0.05));
    s = proportional("llama-2-7b", "8GiB,8GiB");
    assert_true(s.share[0] == 0.5 && s.share[1] == 0.5);
    assert_int_equal(see("llama-2-7b --gpus 8GiB --split proportional").n_shares, 0);
}

/* R: an error, no card of its own making. */
static void i2_an_empty_list(void **state)
{
    (void)state;
    struct ran r = run("plan llama-2-7b '--gpus='");
    expect_error(&r, 2, 9002, "--gpus");
    r = run("suggest llama-2-7b --with-mine"); /* no card in this machine */
    assert_true(r.code != 0 || !strstr(r.out, "yours "));
}

/* R: (6-1)/14 and (10-1)/14. */
static void i3_room_kept_free_on_each(void **state)
{
    (void)state;
    struct seen s =
        see("llama-2-7b --gpus 6GiB,10GiB --split proportional --spread --keep-free 1GiB");
    assert_true(near_to(s.share[0], 0.357, 0.005) && near_to(s.share[1], 0.643, 0.005));
    assert_true(near_to(s.share[0] + s.share[1], 1, 1e-10));
}

/* R: "Model too large for available memory", with the numbers. */
static void i4_too_large(void **state)
{
    (void)state;
    struct ran r = run("plan llama-2-70b --gpus 6GiB,10GiB");
    assert_int_equal(r.code, 8);
    expect_text(&r, "DOES NOT FIT on the GPUs: ");
    expect_text(&r, ", has 16.0");
}

static void i5_twice_the_context(void **state)
{
    (void)state;
    struct seen a = see("llama-2-7b --gpus 80GiB -c 4096"),
                b = see("llama-2-7b --gpus 80GiB -c 8192");
    assert_true((double)b.kv > 1.8 * (double)a.kv);
}

static void i6_twice_the_batch(void **state)
{
    (void)state;
    struct seen a = see("llama-2-7b --gpus 80GiB -c 4096 -np 1"),
                b = see("llama-2-7b --gpus 80GiB -c 8192 -np 2");
    assert_true((double)(b.kv + b.compute) > 1.8 * (double)(a.kv + a.compute));
}

static void i7_a_cache_factor(void **state)
{
    (void)state;
    struct seen a = see("llama-2-7b --gpus 80GiB -c 4096"),
                b = see("DUALGPUOPT_KV_CACHE_FACTOR=3.0 llama-2-7b --gpus 80GiB -c 4096");
    assert_int_equal(b.kv, 3 * a.kv);
    assert_int_equal(b.weights, a.weights);
}

/* Not copied: their "twice the weights take 1.8 to 2.2 times as much" is impossible beside a cache
 * that stays. */
static void i8_twice_the_weights(void **state)
{
    (void)state;
    struct seen a = see("llama-2-7b:Q8_0 --gpus 80GiB -c 4096"),
                b = see("llama-2-7b:F16 --gpus 80GiB -c 4096");
    assert_int_equal(a.kv, b.kv);
    assert_true(near_to((double)b.weights / (double)a.weights, 32 / 17.0,
                        0.01)); /* 34 of 32 x 2 bytes a block */
    assert_true(seen_gib(&b) / seen_gib(&a) < 1.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p1_thirteen_billion_on_24_and_12),
        cmocka_unit_test(p2_seven_billion_f16_on_24_and_12),
        cmocka_unit_test(p3_seventy_billion_on_48_and_24),
        cmocka_unit_test(p4_mistral_on_24_and_8),
        cmocka_unit_test(p5_three_equal_cards),
        cmocka_unit_test(p6_no_floor_for_a_small_card),
        cmocka_unit_test(p7_batches_that_memory_holds),
        cmocka_unit_test(p8_a_mixture_of_experts),
        cmocka_unit_test(p9_unknown_names_are_no_guess),
        cmocka_unit_test(p10_a_plan_from_the_header),
        cmocka_unit_test(p11_sharing_changes_no_size),
        cmocka_unit_test(p12_groups_by_length),
        cmocka_unit_test(p13_an_oversize_prompt),
        cmocka_unit_test(p16_four_sequences_have_four_caches),
        cmocka_unit_test(p17_the_largest_batch),
        cmocka_unit_test(p18_impossible_is_zero),
        cmocka_unit_test(i1_ratio_of_free_memory),
        cmocka_unit_test(i2_an_empty_list),
        cmocka_unit_test(i3_room_kept_free_on_each),
        cmocka_unit_test(i4_too_large),
        cmocka_unit_test(i5_twice_the_context),
        cmocka_unit_test(i6_twice_the_batch),
        cmocka_unit_test(i7_a_cache_factor),
        cmocka_unit_test(i8_twice_the_weights),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
