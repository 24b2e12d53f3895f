/* test_suggest: suggestions a buyer would act on: nothing too small is said to fit, more memory never hurts, the best
 * few are the best of all, holes in the catalogue stay holes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "plan/suggest.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model model;
static struct machine mine;
static struct plan_wish settings;
static struct suggest_wish wish;
static struct suggestions found;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    mine = (struct machine){.host = {.total_bytes = 64 * GIB, .free_bytes = 60 * GIB, .cores = 16, .avx2 = true}};
    settings = plan_default_wish();
    wish = (struct suggest_wish){.wish = &settings, .mine = &mine, .max_cards = 4};
    wish.cards = card_table(&wish.n_cards);
    return 0;
}

static void ask(const char *name, uint32_t context)
{
    struct model_request req = {.ref = name};
    settings.s.n_ctx = context;
    settings.given = context ? GIVEN_CTX : 0;
    if (!model_open(&req, &arena, &model, &err) || !suggest_make(&model, &wish, &arena, &found, &err))
        fail_msg("%s: %s", name, err.title);
}

static bool same_cards(const struct suggestion *a, const struct suggestion *b)
{
    if (a->n_parts != b->n_parts)
        return false;
    for (uint32_t i = 0; i < a->n_parts; i++)
        if (strcmp(a->parts[i].card->name, b->parts[i].card->name) != 0 || a->parts[i].count != b->parts[i].count)
            return false;
    return true;
}

static const struct suggestion *find(const struct suggestions *in, const struct suggestion *row)
{
    for (uint32_t i = 0; i < in->n; i++)
        if (same_cards(&in->row[i], row))
            return &in->row[i];
    return NULL;
}

static uint64_t memory(const struct suggestion *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n_parts; i++)
        sum += s->parts[i].count * s->parts[i].card->total_bytes;
    return sum;
}

/* Copies of the catalogue's rows with these names. */
static struct card *pick(const char *const *names, size_t n)
{
    struct card *cards = arena_array(&arena, struct card, n);
    assert_non_null(cards);
    for (size_t i = 0; i < n; i++) {
        const struct card *c = card_find(names[i]);
        assert_non_null(c);
        cards[i] = *c;
    }
    wish.cards = cards;
    wish.n_cards = n;
    return cards;
}

static void nothing_too_small_is_said_to_fit(void **state)
{
    (void)state;
    wish.all = true;
    ask("llama-3.3-70b:Q4_K_M", 32768);
    assert_true(found.met && found.n > 50);
    for (uint32_t i = 0; i < found.n; i++) {
        const struct suggestion *s = &found.row[i];
        if (s->rank <= SUGGEST_SLOW) {
            assert_true(memory(s) > 49 * GIB); /* 39.6 GiB of weights and 10 GiB of cache */
            assert_true(s->context_max >= 32768);
        } else {
            assert_true(memory(s) > 40 * GIB && s->context_max < 32768);
        }
    }
}

/* What is suggested is what `plan` then says about exactly these cards. */
static void a_plan_for_the_cards_says_the_same(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-3.3-70b:Q4_K_M", "qwen3-30b-a3b", "gemma-3-27b"};
    for (size_t m = 0; m < 3; m++) {
        reset(NULL);
        ask(models[m], 16384);
        for (uint32_t i = 0; i < found.n; i++) {
            const struct suggestion *s = &found.row[i];
            struct machine cards;
            struct plan plan;
            struct str gpus = {0};
            suggest_gpus_text(s, &gpus);
            if (!machine_parse_gpus(gpus.data, &mine, &arena, &cards, &err) ||
                !plan_make(&model, &cards, &settings, &arena, &plan, &err))
                fail_msg("%s: %s", gpus.data, err.title);
            if ((plan.verdict == VERDICT_FITS) != (s->rank <= SUGGEST_SLOW))
                fail_msg("%s: %s, but plan says %s", gpus.data, s->note, plan_verdict_name(plan.verdict));
            if (s->rank <= SUGGEST_SLOW && (uint32_t)__builtin_popcount(plan.used_mask) == s->n_devices)
                assert_true(fabs(plan.speed.decode.tps - s->speed.decode.tps) < 0.02 * s->speed.decode.tps);
            str_finish(&gpus);
        }
    }
}

static void more_memory_never_removes_a_row(void **state)
{
    (void)state;
    static const char *const names[] = {"rtx 3090", "rtx 4060 ti 16gb", "rtx 5090", "a40", "rtx a4000"};
    struct card *cards = pick(names, 5);
    struct suggestions before;
    wish.all = true;
    ask("llama-3.3-70b:Q4_K_M", 16384);
    before = found;
    struct suggestion *rows = arena_array(&arena, struct suggestion, before.n);
    memcpy(rows, before.row, before.n * sizeof(*rows));
    assert_true(before.n > 10);
    for (size_t k = 0; k < 5; k++) {
        uint64_t was = cards[k].total_bytes;
        cards[k].total_bytes += 6 * GIB;
        ask("llama-3.3-70b:Q4_K_M", 16384);
        for (uint32_t i = 0; i < before.n; i++) {
            const struct suggestion *s = find(&found, &rows[i]);
            assert_non_null(s);
            assert_true(s->rank <= rows[i].rank);
            assert_true(s->context_max >= rows[i].context_max);
        }
        cards[k].total_bytes = was;
    }
}

static double watts_per_tps(const struct suggestion *s)
{
    return s->watts > 0 && s->speed.decode.tps > 0 ? s->watts / s->speed.decode.tps : INFINITY;
}

static void rows_stand_in_the_stated_order(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        wish.all = all;
        wish.max_cards = 3;
        wish.min_tps = 15;
        ask("llama-3.3-70b:Q4_K_M", 32768);
        for (uint32_t i = 1; i < found.n; i++) {
            const struct suggestion *a = &found.row[i - 1], *b = &found.row[i];
            assert_true(a->rank <= b->rank);
            if (a->rank != b->rank || a->rank == SUGGEST_SLOW)
                continue;
            assert_true(a->n_cards <= b->n_cards);
            if (a->n_cards == b->n_cards)
                assert_true(watts_per_tps(a) <= watts_per_tps(b));
        }
    }
}

/* The bounds that spare most of the work must not lose what is best. */
static void the_few_are_the_best_of_all(void **state)
{
    (void)state;
    static const double least[] = {0, 12, 25};
    for (size_t k = 0; k < 3; k++) {
        reset(NULL);
        wish.max_cards = 2;
        wish.min_tps = least[k];
        ask("llama-3.3-70b:Q4_K_M", 32768);
        struct suggestions few = found;
        wish.all = true;
        ask("llama-3.3-70b:Q4_K_M", 32768);
        uint32_t shown[2] = {0};
        for (uint32_t n = 1; n <= 2; n++) {
            for (uint32_t i = 0; i < found.n && shown[n - 1] < 3; i++) {
                const struct suggestion *s = &found.row[i];
                bool needless = false;
                if (s->rank != SUGGEST_MEETS || s->n_cards != n)
                    continue;
                for (uint32_t o = 0; n == 2 && o < found.n; o++)
                    for (uint32_t part = 0; part < s->n_parts; part++)
                        needless = needless || (found.row[o].rank == SUGGEST_MEETS && found.row[o].n_cards == 1 &&
                                                found.row[o].parts[0].card == s->parts[part].card);
                if (needless)
                    continue;
                shown[n - 1]++;
                assert_non_null(find(&few, s));
            }
        }
        assert_true(shown[0] > 0);
    }
}

static void a_least_speed_is_kept_to(void **state)
{
    (void)state;
    wish.min_tps = 20;
    wish.all = true;
    ask("llama-3.3-70b:Q4_K_M", 8192);
    assert_true(found.met);
    uint32_t slow = 0;
    for (uint32_t i = 0; i < found.n; i++) {
        const struct suggestion *s = &found.row[i];
        slow += s->rank == SUGGEST_SLOW;
        if (s->rank == SUGGEST_MEETS)
            assert_true(s->speed.decode.tps >= 20);
        if (s->rank == SUGGEST_SLOW)
            assert_true(s->speed.decode.tps < 20);
    }
    assert_true(slow > 0);
    wish.min_tps = 5000;
    wish.all = false;
    ask("llama-3.3-70b:Q4_K_M", 8192);
    assert_false(found.met);
    assert_true(found.n > 0);
    for (uint32_t i = 0; i < found.n; i++)
        assert_true(found.row[i].rank != SUGGEST_MEETS);
}

static void holes_in_the_catalogue_stay_holes(void **state)
{
    (void)state;
    static const struct card holes[] = {
        {.name = "Nothing known but its memory", .vendor = "NVIDIA", .arch = "?", .total_bytes = 48 * GIB},
        {.name = "No bandwidth", .vendor = "NVIDIA", .arch = "?", .cc_major = 8, .cc_minor = 6, .sms = 80,
         .total_bytes = 48 * GIB, .tdp_w = 300},
        {.name = "No memory", .vendor = "NVIDIA", .arch = "?", .cc_major = 8, .cc_minor = 6, .bandwidth_gbs = 900},
        {.name = "No watts", .vendor = "NVIDIA", .arch = "?", .cc_major = 8, .cc_minor = 6, .sms = 80,
         .total_bytes = 48 * GIB, .bandwidth_gbs = 900},
        {.name = NULL, .total_bytes = 48 * GIB},
    };
    wish.cards = holes;
    wish.n_cards = sizeof(holes) / sizeof(holes[0]);
    wish.max_cards = 2;
    for (int slow = 0; slow < 2; slow++) {
        wish.min_tps = slow ? 1 : 0;
        wish.all = true;
        ask("llama-3.1-8b", 8192);
        assert_int_equal(found.n, 6); /* one and two of each with a known size */
        for (uint32_t i = 0; i < found.n; i++) {
            const struct suggestion *s = &found.row[i];
            bool known = strcmp(s->parts[0].card->name, "No watts") == 0;
            const struct speed *v = &s->speed;
            const double all[] = {v->decode.tps, v->decode.low, v->decode.high, v->prefill.tps, s->watts, s->price};
            for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
                assert_true(isfinite(all[k]) && all[k] >= 0);
            assert_true((v->decode.tps > 0) == known);
            assert_int_equal(s->rank, slow && !known ? SUGGEST_SLOW : SUGGEST_MEETS);
            if (slow && !known)
                assert_string_equal(s->note, "speed unknown");
        }
    }
    wish.n_cards = 0;
    assert_false(suggest_make(&model, &wish, &arena, &found, &err));
    assert_true(err.code != ERR_NONE);
}

static void one_card_less_is_no_worse(void **state)
{
    (void)state;
    static const char *const names[] = {"rtx 4090", "rtx 5090"};
    pick(names, 2);
    ask("llama-3.1-8b", 8192);
    assert_int_equal(found.n, 2); /* each alone does: two of them are of no use */
    wish.all = true;
    ask("llama-3.1-8b", 8192);
    assert_true(found.n == 4 + 4 + 6);
}

static void own_cards_are_counted_in(void **state)
{
    (void)state;
    struct machine real = mine;
    assert_true(machine_parse_gpus("rtx3090,rtx3090", &real, &arena, &mine, &err));
    ask("llama-3.1-8b", 8192);
    assert_int_equal(found.row[0].n_cards, 0); /* they do already */
    assert_int_equal(found.n, 1);
    ask("llama-3.3-70b:Q4_K_M", 32768);
    assert_true(found.met && found.row[0].n_cards == 1);
    bool small = false;
    wish.all = true;
    ask("llama-3.3-70b:Q4_K_M", 32768);
    for (uint32_t i = 0; i < found.n; i++)
        small = small || (found.row[i].rank == SUGGEST_MEETS && memory(&found.row[i]) < 20 * GIB);
    assert_true(small); /* beside 48 GiB little is missing */
}

static void prices_rank_when_they_are_known(void **state)
{
    (void)state;
    double *prices = arena_array(&arena, double, wish.n_cards);
    const struct card *cheap = card_find("rtx 3090"), *dear = card_find("rtx 5090");
    prices[cheap - wish.cards] = 700;
    prices[dear - wish.cards] = 2000;
    wish.prices = prices;
    ask("llama-3.3-70b:Q4_K_M", 32768);
    assert_true(found.met);
    assert_true(found.row[0].price == 2100); /* three cheap ones before two dear ones */
    assert_true(found.row[0].parts[0].card == cheap && found.row[0].n_cards == 3);
    for (uint32_t i = 1; i < found.n && found.row[i].rank == SUGGEST_MEETS; i++)
        assert_true(found.row[i].price == 0 || found.row[i].price >= found.row[i - 1].price);
}

static void the_context_is_lowered_only_when_it_must(void **state)
{
    (void)state;
    static const char *const names[] = {"rtx 3090"};
    pick(names, 1);
    wish.max_cards = 2;
    ask("llama-3.3-70b:Q4_K_M", 0);
    assert_int_equal(found.context, 8192);
    assert_true(found.context_lowered && found.met);
    ask("llama-3.3-70b:Q4_K_M", 32768);
    assert_int_equal(found.context, 32768);
    assert_false(found.met);
    assert_int_equal(found.row[0].rank, SUGGEST_SHORT);
    assert_true(found.row[0].kv_type == GGUF_TYPE_Q4_0 || found.row[0].kv_type == GGUF_TYPE_Q8_0);
    wish.max_cards = 1;
    ask("llama-3.3-70b:Q4_K_M", 32768);
    assert_int_equal(found.row[0].rank, SUGGEST_TOO_SMALL);
    assert_true(found.row[0].short_bytes > 10 * GIB);
    ask("tinyllama-1.1b", 0);
    assert_true(found.context <= 8192 && !found.context_lowered);
}

static void refusals_of_the_engine_are_errors(void **state)
{
    (void)state;
    struct model_request req = {.ref = "llama-3.1-8b"};
    settings.s.flash = FLASH_OFF;
    settings.s.type_k = settings.s.type_v = GGUF_TYPE_Q4_0;
    settings.given = GIVEN_TYPE_K | GIVEN_TYPE_V | GIVEN_FLASH;
    assert_true(model_open(&req, &arena, &model, &err));
    assert_false(suggest_make(&model, &wish, &arena, &found, &err));
    assert_int_equal(err.code, ERR_2110);
}

static void names_find_their_cards_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < wish.n_cards; i++) {
        struct suggestion s = {.n_parts = 1, .parts = {{&wish.cards[i], 2}}};
        struct str gpus = {0};
        struct machine out;
        suggest_gpus_text(&s, &gpus);
        if (!machine_parse_gpus(gpus.data, &mine, &arena, &out, &err))
            fail_msg("%s: %s", gpus.data, err.title);
        assert_int_equal(out.n_devices, 2);
        assert_true(out.devices[1].total_bytes == wish.cards[i].total_bytes);
        assert_true(out.devices[1].bandwidth_gbs == wish.cards[i].bandwidth_gbs);
        str_finish(&gpus);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_too_small_is_said_to_fit, reset),
        cmocka_unit_test_setup(a_plan_for_the_cards_says_the_same, reset),
        cmocka_unit_test_setup(more_memory_never_removes_a_row, reset),
        cmocka_unit_test_setup(rows_stand_in_the_stated_order, reset),
        cmocka_unit_test_setup(the_few_are_the_best_of_all, reset),
        cmocka_unit_test_setup(a_least_speed_is_kept_to, reset),
        cmocka_unit_test_setup(holes_in_the_catalogue_stay_holes, reset),
        cmocka_unit_test_setup(one_card_less_is_no_worse, reset),
        cmocka_unit_test_setup(own_cards_are_counted_in, reset),
        cmocka_unit_test_setup(prices_rank_when_they_are_known, reset),
        cmocka_unit_test_setup(the_context_is_lowered_only_when_it_must, reset),
        cmocka_unit_test_setup(refusals_of_the_engine_are_errors, reset),
        cmocka_unit_test_setup(names_find_their_cards_again, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_finish(&arena);
    return failed;
}
