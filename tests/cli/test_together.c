/* test_together: `plan --with`, `compare` and `plan --lengths` as people and scripts use them. */
#include "run.h"

#include <stdio.h>

#include "../api/schema.h"

#define PAIR "--gpus rtx5090,rtx4090"
#define BOTH "plan llama-3.3-70b:Q4_K_M --ctx 8k --with qwen3-8b:Q4_K_M@16k " PAIR

static void expect_tidy(const struct ran *r)
{
    if (widest_line(r->out) > 80)
        fail_msg("wider than 80 columns:\n%s", r->out);
}

static void two_models_on_two_cards(void **state)
{
    (void)state;
    struct ran r = run(BOTH);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    expect_text(&r, "A  Llama 3.3 70B  Q4_K_M  39.6 GiB\nB  Qwen3 8B  Q4_K_M  4.7 GiB\n");
    expect_text(&r, "simulated cards: 0 RTX 5090, 1 RTX 4090\n");
    expect_text(&r, "\nFITS TOGETHER   2 models on 2 GPUs\n");
    expect_text(&r, "\n  0 RTX 5090 |AAAAAAAA");
    expect_text(&r, "AB");
    expect_text(&r, "free afterwards");
    expect_text(&r, "(proved, ");
    expect_tidy(&r);
    r = run(BOTH " -q");
    assert_string_equal(r.out, "FITS TOGETHER   2 models on 2 GPUs, simulated\n");
    r = run(BOTH " --accessible");
    expect_text(&r, "GPU 0 RTX 5090: llama-3.3-70b:Q4_K_M ");
    assert_null(strchr(r.out, '|'));
    r = run(BOTH " --plain");
    assert_true(strncmp(r.out, "verdict\tfits\nmodel\tA\tllama-3.3-70b:Q4_K_M\tfits\t8192\t", 50) ==
                0);
    assert_int_equal(count_lines(r.out), 5);
}

static void the_document_adds_up(void **state)
{
    (void)state;
    struct ran r = run(BOTH " --json");
    struct json_object *doc = run_json(&r, "plans");
    char why[512] = "";
    assert_int_equal(json_object_array_length(at(doc, "plans")), 2);
    for (int i = 0; i < 2; i++) {
        struct json_object *plan = json_object_array_get_idx(at(doc, "plans"), (size_t)i);
        struct json_object *schema = schema_open("plan");
        if (!schema_check(schema, plan, why, sizeof(why)))
            fail_msg("%s", why);
        json_object_put(schema);
    }
    assert_int_equal(number_at(doc, "plans.0.settings.context"), 8192);
    assert_int_equal(number_at(doc, "plans.1.settings.context"), 16384);
    for (int c = 0; c < 2; c++) {
        char path[64];
        int64_t free_now, needs[2], after;
        snprintf(path, sizeof(path), "cards.%d.free_bytes", c);
        free_now = number_at(doc, path);
        snprintf(path, sizeof(path), "cards.%d.free_after_bytes", c);
        after = number_at(doc, path);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof(path), "cards.%d.needs_bytes.%d", c, i);
            needs[i] = json_object_get_int64(at(doc, path));
        }
        assert_int_equal(after, free_now - needs[0] - needs[1]);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof(path), "plans.%d.devices.%d.free_bytes", i, c);
            assert_int_equal(number_at(doc, path), free_now - needs[1 - i]);
        }
    }
    json_object_put(doc);
}

static void commands_have_ports_of_their_own(void **state)
{
    (void)state;
    struct ran r = run(BOTH " -o args");
    assert_int_equal(r.code, 0);
    assert_int_equal(count_lines(r.out), 2);
    expect_text(&r, "llama-server -m llama-3.3-70b:Q4_K_M ");
    expect_text(&r, "--port 8081");
}

static void short_ones_are_named_and_helped(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b:Q4_K_M --ctx 32k --with qwen3-8b:Q4_K_M@16k " PAIR);
    unsigned ctx;
    assert_int_equal(r.code, 8);
    expect_text(&r, "DOES NOT FIT TOGETHER   B is ");
    expect_text(&r, "Each of these makes all of them fit:\n");
    expect_tidy(&r);
    const char *flags = strstr(r.out, "--ctx ");
    assert_non_null(flags);
    assert_int_equal(sscanf(flags, "--ctx %u", &ctx), 1);
    r = run("plan llama-3.3-70b:Q4_K_M --ctx %u --with qwen3-8b:Q4_K_M@16k " PAIR, ctx);
    assert_int_equal(r.code, 0);
    r = run("plan llama-3.3-70b:Q4_K_M --ctx 32k --kv q8_0 --with qwen3-8b:Q4_K_M@16k " PAIR);
    assert_int_equal(r.code, 0);
    r = run("plan llama-3.1-405b:Q4_K_M --with qwen3-8b " PAIR " --host-memory 64GiB");
    assert_int_equal(r.code, 8);
    expect_text(&r, "A is ");
    expect_tidy(&r);
}

static void quoted_models_have_settings_of_their_own(void **state)
{
    (void)state;
    struct ran r =
        run("plan qwen3-8b -c 8k --with 'llama-3.1-8b --kv q8_0 -c 4k' --with=qwen3-4b@2k " PAIR
            " --json");
    struct json_object *doc = run_json(&r, "plans");
    assert_string_equal(text_at(doc, "plans.0.settings.cache_type_k"), "f16");
    assert_string_equal(text_at(doc, "plans.1.settings.cache_type_k"), "q8_0");
    assert_int_equal(number_at(doc, "plans.1.settings.context"), 4096);
    assert_int_equal(number_at(doc, "plans.2.settings.context"), 2048);
    json_object_put(doc);
}

static void what_cannot_be_meant_beside_another(void **state)
{
    (void)state;
    struct ran r = run("plan qwen3-8b --with 'qwen3-4b --gpus 8GiB' --gpus 24GiB");
    expect_error(&r, 2, 2113, "--gpus stands in the quotes");
    r = run("plan qwen3-8b --with qwen3-4b -o sh --gpus 24GiB");
    expect_error(&r, 2, 2113, "-o sh holds one command");
    r = run("plan qwen3-8b --with qwen3-4b --explain --gpus 24GiB");
    expect_error(&r, 2, 2113, "--explain");
    r = run("plan --gpus 24GiB --with qwen3-4b -- llama-server -m qwen3-8b");
    expect_error(&r, 2, 2113, "whole command");
    r = run("plan qwen3-8b --with a --with b --with c --with d --gpus 24GiB");
    expect_error(&r, 2, 2113, "4 models");
    r = run("plan qwen3-8b --with nosuchmodel --gpus 24GiB");
    expect_error(&r, 4, 2001, "--with (B)");
    r = run("plan qwen3-8b --with 'qwen3-4b \"open' --gpus 24GiB");
    expect_error(&r, 2, 9001, "quote");
    r = run("plan qwen3-8b --with qwen3-4b --gpus 24GiB:count=9");
    expect_error(&r, 2, 2113, "up to 8 cards");
    r = run("plan qwen3-8b --with");
    expect_error(&r, 2, 9002, "--with");
    r = run("plan --with qwen3-8b --gpus 24GiB");
    expect_error(&r, 2, 9003, NULL);
}

#define TWO \
    "compare 'llama-3.3-70b:Q4_K_M --ctx 32k' 'llama-3.3-70b:Q4_K_M --ctx 32k --kv q8_0' " PAIR

static void two_plans_side_by_side(void **state)
{
    (void)state;
    struct ran r = run(TWO);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    expect_text(&r,
                "A  llama-3.3-70b:Q4_K_M --ctx 32k\nB  llama-3.3-70b:Q4_K_M --ctx 32k --kv q8_0\n");
    expect_text(&r, "max context ");
    expect_text(&r, "KV cache on GPUs      10.00 GiB   5.31 GiB   -4.69 GiB  B\n");
    expect_text(&r, "GPU 1 free ");
    expect_text(&r, "\nVerdict: B gives ");
    expect_tidy(&r);
    r = run(TWO " --json");
    struct json_object *doc = run_json(&r, "compare");
    assert_string_equal(text_at(doc, "plans.1.verdict"), "fits");
    assert_string_equal(text_at(doc, "rows.0.key"), "verdict");
    json_object_put(doc);
    r = run(TWO " --plain");
    expect_text(&r, "kv_bytes\t10737418240\t");
    r = run(TWO " --accessible");
    expect_text(&r, "context: A 32768, B 32768.\n");
    r = run("compare qwen3-8b 'qwen3-8b --gpus none' --gpus 8GiB -c 4k");
    assert_int_equal(r.code, 0);
    expect_tidy(&r);
    r = run("compare qwen3-8b 'llama-server -m qwen3-8b -c 8192 -ngl 20' --gpus 8GiB");
    assert_int_equal(r.code, 0);
    expect_tidy(&r);
    r = run("compare llama-3.1-405b 'llama-3.1-405b --kv q4_0' --gpus 8GiB -c 8k");
    assert_int_equal(r.code, 0); /* a comparison is an answer, whatever fits */
    expect_text(&r, "Neither fits: A is ");
}

static void what_cannot_be_compared(void **state)
{
    (void)state;
    struct ran r = run("compare qwen3-8b");
    expect_error(&r, 2, 9003, "compare needs A B");
    r = run("compare qwen3-8b nosuchmodel --gpus 24GiB");
    expect_error(&r, 4, 2001, "B: ");
    r = run("compare qwen3-8b 'qwen3-8b --nonsense' --gpus 24GiB");
    expect_error(&r, 2, 9001, "B: ");
    r = run("compare qwen3-8b '' --gpus 24GiB");
    expect_error(&r, 2, 9003, "B: ");
    r = run("compare qwen3-8b qwen3-4b --gpus 24GiB -o sh");
    expect_error(&r, 2, 2113, "-o sh holds one plan");
    r = run("compare qwen3-8b qwen3-4b --gpus 24GiB --explain");
    expect_error(&r, 2, 2113, "--explain");
    r = run("compare 'qwen3-8b -c' qwen3-4b --gpus 24GiB");
    expect_error(&r, 2, 9002, "-c lacks");
}

static void advice_for_lengths(void **state)
{
    (void)state;
    char text[2048] = "";
    for (int i = 1; i <= 100; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d\n", 80 * i);
    run_file("lengths", text, false);
    struct ran r = run("plan llama-3.1-8b:Q4_K_M --gpus 24GiB --lengths lengths");
    assert_int_equal(r.code, 0);
    expect_text(
        &r, "\nBatching  100 prompts: half up to 4,000 tokens, 95 % up to 7,600, longest 8,000\n");
    expect_text(&r, "  longest *   8,000  8,704 ");
    expect_text(&r, "every prompt has room");
    expect_text(&r, "Sorted by length: ");
    expect_tidy(&r);
    r = run("plan llama-3.1-8b:Q4_K_M --gpus 24GiB --lengths lengths --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_int_equal(number_at(doc, "batching.slots.2.slot"), 8704);
    int64_t slots = number_at(doc, "batching.slots.2.parallel");
    int64_t ubatch = number_at(doc, "batching.slots.2.ubatch");
    json_object_put(doc);
    /* the advice is a plan that fits, and one slot more is not */
    for (int more = 0; more < 2; more++) {
        r = run("plan llama-3.1-8b:Q4_K_M --gpus 24GiB -np %d -c %d -ub %d --json",
                (int)slots + more, ((int)slots + more) * 8704, (int)ubatch);
        doc = run_json(&r, "plan");
        assert_int_equal(strcmp(text_at(doc, "verdict"), "fits") == 0, more == 0);
        json_object_put(doc);
    }
    r = run("plan llama-3.3-70b:Q4_K_M --gpus 12GiB --lengths lengths --host-memory 16GiB");
    assert_int_equal(r.code, 8);
    expect_text(&r, "Not one slot fits");
}

static void lists_that_cannot_be_used(void **state)
{
    (void)state;
    run_file("bad", "12\n\n15 tokens\n", false);
    struct ran r = run("plan qwen3-8b --gpus 24GiB --lengths bad");
    expect_error(&r, 2, 9002, "bad, line 3: ");
    run_file("empty", "", false);
    r = run("plan qwen3-8b --gpus 24GiB --lengths empty");
    expect_error(&r, 2, 9002, "names no length");
    r = run("plan qwen3-8b --gpus 24GiB --lengths missing");
    expect_error(&r, 1, 1202, "missing cannot be read");
    r = run("plan qwen3-8b --gpus 24GiB --lengths /dev/zero");
    expect_error(&r, 1, 1202, "no regular file");
    char *big = malloc((1 << 20) + 2);
    assert_non_null(big);
    for (int i = 0; i < (1 << 20) + 1; i++)
        big[i] = i % 12 == 11 ? '\n' : i % 12 < 10 ? ' ' : '1';
    big[(1 << 20) + 1] = '\0';
    run_file("big", big, false);
    free(big);
    r = run("plan qwen3-8b --gpus 24GiB --lengths big");
    expect_error(&r, 2, 9002, "larger than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_models_on_two_cards),
        cmocka_unit_test(the_document_adds_up),
        cmocka_unit_test(commands_have_ports_of_their_own),
        cmocka_unit_test(short_ones_are_named_and_helped),
        cmocka_unit_test(quoted_models_have_settings_of_their_own),
        cmocka_unit_test(what_cannot_be_meant_beside_another),
        cmocka_unit_test(two_plans_side_by_side),
        cmocka_unit_test(what_cannot_be_compared),
        cmocka_unit_test(advice_for_lengths),
        cmocka_unit_test(lists_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
