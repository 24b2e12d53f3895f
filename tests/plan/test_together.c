/* test_together: several models on the same cards: nothing is counted twice or forgotten, and what
 * fits is found. */
#include "../base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/budget.h"
#include "plan/together.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model models[TOGETHER_MAX_MODELS];
static struct together_part parts[TOGETHER_MAX_MODELS];
static struct machine machine;
static struct together all;
static uint32_t n_parts;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    n_parts = 0;
    return 0;
}

static void add(const char *name, uint32_t ctx)
{
    struct model_request req = {.ref = name};
    assert_true(n_parts < TOGETHER_MAX_MODELS);
    if (!model_open(&req, &arena, &models[n_parts], &err))
        fail_msg("%s: %s", name, err.title);
    parts[n_parts] = (struct together_part){
        .name = name, .model = &models[n_parts], .wish = plan_default_wish()};
    parts[n_parts].wish.s.n_ctx = ctx;
    parts[n_parts].wish.given = ctx ? GIVEN_CTX : 0;
    n_parts++;
}

static void cards(const char *text)
{
    struct machine real = {
        .host = {.total_bytes = 128 * GIB, .free_bytes = 120 * GIB, .cores = 16}
    };
    if (!machine_parse_gpus(text, &real, &arena, &machine, &err))
        fail_msg("%s: %s", text, err.title);
}

static void make(void)
{
    if (!together_make(parts, n_parts, &machine, &arena, &all, &err))
        fail_msg("%s", err.title);
}

static uint64_t need(const struct plan_device *d)
{
    return d->weights + d->kv + d->compute + d->runtime + d->projector + d->draft;
}

/* Every plan sees exactly what the others leave, and the sums are those of the cards. */
static void expect_books_to_balance(void)
{
    for (uint32_t c = 0; c < machine.n_devices; c++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < all.n; i++) {
            assert_true(need(&all.plans[i].devices[c]) == all.cards[c].need[i]);
            sum += all.cards[c].need[i];
        }
        assert_true(all.cards[c].free_after ==
                    (int64_t)machine.devices[c].free_bytes - (int64_t)sum);
        for (uint32_t i = 0; i < all.n && all.verdict != VERDICT_NO_FIT; i++) {
            const struct plan_device *d = &all.plans[i].devices[c];
            assert_true(d->card->free_bytes == machine.devices[c].free_bytes - (sum - need(d)));
            assert_true(d->other == machine.devices[c].used_by_others_bytes + (sum - need(d)));
        }
        if (all.verdict == VERDICT_FITS)
            assert_true(all.cards[c].free_after >= (int64_t)all.cards[c].keep_free || sum == 0);
    }
}

static void two_small_models_do_not_share_a_card(void **state)
{
    (void)state;
    add("llama-3.1-8b:Q4_K_M", 8192);
    add("qwen3-8b:Q4_K_M", 8192);
    cards("rtx5090,rtx4090");
    make();
    assert_int_equal(all.verdict, VERDICT_FITS);
    assert_int_equal(all.card_uses, 2);
    assert_true(all.proved);
    assert_int_equal(all.plans[0].used_mask & all.plans[1].used_mask, 0);
    assert_int_equal(all.plans[0].law.n_ctx, 8192);
    assert_int_equal(together_exit_code(&all), 0);
    expect_books_to_balance();
}

static void a_large_and_a_small_one_share(void **state)
{
    (void)state;
    add("llama-3.3-70b:Q4_K_M", 8192);
    add("qwen3-8b:Q4_K_M", 16384);
    cards("rtx5090,rtx4090");
    make();
    assert_int_equal(all.verdict, VERDICT_FITS);
    assert_int_equal(all.plans[0].used_mask, 3);
    assert_int_equal(__builtin_popcount(all.plans[1].used_mask), 1);
    assert_true(all.proved);
    for (uint32_t c = 0; c < 2; c++)
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(all.plans[i].devices[c].runtime > 0,
                             (all.plans[i].used_mask >> c) & 1);
    assert_int_equal((int)all.plans[0].settings.tensor_split[0] +
                         (int)all.plans[0].settings.tensor_split[1],
                     81);
    expect_books_to_balance();
}

static void open_contexts_share_the_room(void **state)
{
    (void)state;
    add("llama-3.1-8b:Q4_K_M", 0);
    add("qwen3-8b:Q4_K_M", 0);
    cards("16GiB");
    make();
    assert_int_equal(all.verdict, VERDICT_FITS);
    uint32_t a = all.plans[0].law.n_ctx, b = all.plans[1].law.n_ctx;
    assert_in_range(a, 4096, 32768);
    assert_in_range(b, 4096, 32768);
    assert_true((a > b ? a - b : b - a) <= 2048); /* the same limit for both, the rest to one */
    expect_books_to_balance();
    reset(NULL);
    add("llama-3.1-8b:Q4_K_M", 0);
    add("qwen3-8b:Q4_K_M", 0);
    cards("24GiB,24GiB");
    make();
    assert_true(all.plans[0].law.n_ctx > 65536);     /* what remains lengthens them */
    assert_int_equal(all.plans[1].law.n_ctx, 40960); /* as trained */
    expect_books_to_balance();
}

static void too_much_names_who_is_short_and_what_would_help(void **state)
{
    (void)state;
    add("llama-3.3-70b:Q4_K_M", 8192);
    add("qwen3-32b:Q4_K_M", 0);
    cards("rtx5090,rtx4090");
    make();
    assert_int_equal(all.verdict, VERDICT_NO_FIT);
    assert_int_equal(all.short_part, 1);
    assert_true(all.short_bytes > 4 * GIB && all.short_bytes < 20 * GIB);
    assert_true(all.proved);
    assert_int_equal(together_exit_code(&all), 8);
    expect_books_to_balance();
    reset(NULL);
    add("llama-3.3-70b:Q4_K_M", 32768);
    add("qwen3-8b:Q4_K_M", 16384);
    cards("rtx5090,rtx4090");
    make();
    assert_int_equal(all.verdict, VERDICT_NO_FIT);
    bool shorter = false;
    for (uint32_t i = 0; i < all.n_ways; i++) {
        struct together_way w = all.ways[i];
        unsigned ctx;
        if (w.part < 0 || sscanf(w.flags, "--ctx %u", &ctx) != 1)
            continue;
        struct together again;
        struct together_part changed[2] = {parts[0], parts[1]};
        changed[w.part].wish.s.n_ctx = ctx;
        assert_true(together_make(changed, 2, &machine, &arena, &again, &err));
        assert_int_equal(again.verdict, VERDICT_FITS);
        shorter = true;
    }
    assert_true(shorter);
}

/* One card each, random sizes: fits exactly if some assignment does, by each model's own need on
 * one card. */
static bool assign(const uint64_t *needs, uint32_t i, int64_t *room)
{
    if (i == n_parts)
        return true;
    for (uint32_t c = 0; c < machine.n_devices; c++) {
        bool ok = false;
        if (room[c] >= (int64_t)needs[i]) {
            room[c] -= (int64_t)needs[i];
            ok = assign(needs, i + 1, room);
            room[c] += (int64_t)needs[i];
        }
        if (ok)
            return true;
    }
    return false;
}

static uint64_t need_alone(uint32_t i)
{
    struct machine big;
    struct machine real = {
        .host = {.total_bytes = 128 * GIB, .free_bytes = 120 * GIB}
    };
    struct plan p;
    assert_true(machine_parse_gpus("80GiB", &real, &arena, &big, &err));
    assert_true(plan_make(&models[i], &big, &parts[i].wish, &arena, &p, &err));
    return need(&p.devices[0]);
}

static void single_cards_match_brute_force(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-3.2-1b:Q8_0", "llama-3.2-3b:Q4_K_M",
                                        "llama-3.1-8b:Q4_K_M", "qwen3-4b:Q4_K_M"};
    unsigned seed = 7;
    int fitted = 0, short_of = 0;
    for (int round = 0; round < 60; round++) {
        char text[96] = "";
        uint64_t needs[TOGETHER_MAX_MODELS];
        int64_t room[MACHINE_MAX_DEVICES];
        reset(NULL);
        uint32_t n = 2 + (uint32_t)rand_r(&seed) % 3, n_cards = 1 + (uint32_t)rand_r(&seed) % 3;
        for (uint32_t i = 0; i < n; i++) {
            add(names[rand_r(&seed) % 4], 1024u * (1 + (unsigned)rand_r(&seed) % 16));
            parts[i].wish.strategy = PLACE_ONE;
            needs[i] = need_alone(i);
        }
        for (uint32_t c = 0; c < n_cards; c++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%dMiB", c ? "," : "",
                     5000 + rand_r(&seed) % 9000);
        cards(text);
        for (uint32_t c = 0; c < n_cards; c++)
            room[c] = (int64_t)(machine.devices[c].free_bytes -
                                budget_keep_free(&parts[0].wish, &machine.devices[c]));
        make();
        bool possible = assign(needs, 0, room);
        if (possible != (all.verdict == VERDICT_FITS))
            fail_msg("round %d on %s: %s", round, text, plan_verdict_name(all.verdict));
        assert_true(all.proved);
        expect_books_to_balance();
        fitted += possible;
        short_of += !possible;
    }
    assert_true(fitted > 10 && short_of > 10);
}

static void order_of_models_and_of_equal_cards_does_not_matter(void **state)
{
    (void)state;
    uint32_t uses = 0;
    for (int turn = 0; turn < 2; turn++) {
        reset(NULL);
        add(turn ? "qwen3-8b:Q4_K_M" : "qwen3-32b:Q4_K_M", 8192);
        add(turn ? "qwen3-32b:Q4_K_M" : "qwen3-8b:Q4_K_M", 8192);
        add("gemma-3-27b:Q4_K_M", 8192);
        cards("24GiB:count=4");
        make();
        assert_int_equal(all.verdict, VERDICT_FITS);
        assert_true(turn == 0 || all.card_uses == uses);
        uses = all.card_uses;
        expect_books_to_balance();
    }
}

static void what_is_given_is_kept(void **state)
{
    (void)state;
    add("llama-3.1-8b:Q4_K_M", 8192);
    add("qwen3-8b:Q4_K_M", 8192);
    parts[0].wish.s.type_k = parts[0].wish.s.type_v = GGUF_TYPE_Q8_0;
    parts[0].wish.given |= GIVEN_TYPE_K | GIVEN_TYPE_V | GIVEN_TENSOR_SPLIT;
    parts[0].wish.s.n_tensor_split = 2;
    parts[0].wish.s.tensor_split[0] = 3;
    parts[0].wish.s.tensor_split[1] = 1;
    parts[1].wish.spread = true;
    cards("24GiB,24GiB");
    make();
    assert_int_equal(all.verdict, VERDICT_FITS);
    assert_int_equal(all.plans[0].settings.type_k, GGUF_TYPE_Q8_0);
    assert_true(all.plans[0].settings.tensor_split[0] == 3 &&
                all.plans[0].settings.tensor_split[1] == 1);
    assert_int_equal(all.plans[1].used_mask, 3);
    assert_int_equal(all.plans[1].settings.type_k, GGUF_TYPE_F16);
    expect_books_to_balance();
}

static void limits_are_refused(void **state)
{
    (void)state;
    add("llama-3.2-1b:Q8_0", 2048);
    cards("24GiB:count=9");
    assert_false(together_make(parts, 1, &machine, &arena, &all, &err));
    assert_int_equal(err.code, ERR_2113);
    cards("24GiB");
    assert_false(together_make(parts, 0, &machine, &arena, &all, &err));
    assert_false(together_make(parts, 5, &machine, &arena, &all, &err));
}

static void without_cards_host_memory_is_shared(void **state)
{
    (void)state;
    add("llama-3.1-8b:Q4_K_M", 8192);
    add("qwen3-8b:Q4_K_M", 8192);
    cards("none");
    make();
    assert_int_equal(together_exit_code(&all), 0);
    parts[0].wish.host_memory_bytes = parts[1].wish.host_memory_bytes = 10 * GIB;
    make();
    assert_int_equal(all.verdict, VERDICT_NO_FIT);
    assert_true(all.short_part >= 0 && all.short_bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_small_models_do_not_share_a_card, reset),
        cmocka_unit_test_setup(a_large_and_a_small_one_share, reset),
        cmocka_unit_test_setup(open_contexts_share_the_room, reset),
        cmocka_unit_test_setup(too_much_names_who_is_short_and_what_would_help, reset),
        cmocka_unit_test_setup(single_cards_match_brute_force, reset),
        cmocka_unit_test_setup(order_of_models_and_of_equal_cards_does_not_matter, reset),
        cmocka_unit_test_setup(what_is_given_is_kept, reset),
        cmocka_unit_test_setup(limits_are_refused, reset),
        cmocka_unit_test_setup_teardown(without_cards_host_memory_is_shared, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
