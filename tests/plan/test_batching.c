/* test_batching: grouping, buckets and back-off by the seeds' cases P12-P18 and P20, and batches
 * that memory holds. */
#include "../base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/batching.h"
#include "plan/budget.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model model;
static struct machine machine;
static struct plan plan;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    return 0;
}

static void make(const char *name, const char *cards, uint32_t given, uint32_t n_ctx)
{
    struct model_request req = {.ref = name};
    struct machine real = {
        .host = {.total_bytes = 64 * GIB, .free_bytes = 60 * GIB, .cores = 16}
    };
    struct plan_wish w = plan_default_wish();
    w.given = given;
    w.s.n_ctx = n_ctx;
    if (!model_open(&req, &arena, &model, &err) ||
        !machine_parse_gpus(cards, &real, &arena, &machine, &err) ||
        !plan_make(&model, &machine, &w, &arena, &plan, &err))
        fail_msg("%s on %s: %s", name, cards, err.title);
}

static uint32_t most(uint32_t length)
{
    uint32_t n = 12345;
    if (!batching_largest(&plan, length, 0, &arena, &n, NULL, &err))
        fail_msg("%s", err.title);
    return n;
}

static struct batching_groups group(const uint32_t *tokens, uint32_t n, uint32_t max_items)
{
    struct batching_groups g;
    struct batching_rules r = batching_default_rules();
    struct batching_lengths l = {.n = n, .tokens = (uint32_t *)(uintptr_t)tokens};
    r.max_items = max_items;
    assert_true(batching_group(&l, &r, &arena, &g, &err));
    return g;
}

static void expect_batch(const struct batching_groups *g, uint32_t at, uint32_t n,
                         const uint32_t *items)
{
    assert_true(at < g->n_batches);
    assert_int_equal(g->batches[at].count, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(g->order[g->batches[at].first + i], items[i]);
}

/* R: exactly theirs, [[4,0,2,7],[3],[5],[1],[6]] */
static void p12_groups_by_length(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {10, 2000, 20, 300, 5, 700, 15000, 64};
    struct batching_groups g = group(lengths, 8, 4);
    assert_int_equal(g.n_batches, 5);
    expect_batch(&g, 0, 4, (const uint32_t[]){4, 0, 2, 7});
    expect_batch(&g, 1, 1, (const uint32_t[]){3});
    expect_batch(&g, 2, 1, (const uint32_t[]){5});
    expect_batch(&g, 3, 1, (const uint32_t[]){1});
    expect_batch(&g, 4, 1, (const uint32_t[]){6});
    assert_int_equal(g.n_oversize, 0);
    assert_int_equal(g.padded, 4 * 64 + 300 + 700 + 2000 + 15000);
    assert_int_equal(g.tokens, 5 + 10 + 20 + 64 + 300 + 700 + 2000 + 15000);
}

/* B: theirs [[],[1]]; ours the item alone and flagged, never an empty batch. */
static void p13_an_oversize_prompt_stands_alone(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {20000, 16384, 16385, 5};
    struct batching_groups g = group(lengths, 1, 4);
    assert_int_equal(g.n_batches, 1);
    expect_batch(&g, 0, 1, (const uint32_t[]){0});
    assert_true(g.batches[0].oversize);
    g = group(lengths, 4, 4);
    assert_int_equal(g.n_batches, 4);
    assert_int_equal(g.n_oversize, 2);
    for (uint32_t i = 0; i < g.n_batches; i++) {
        assert_true(g.batches[i].count > 0);
        assert_int_equal(g.batches[i].oversize, g.batches[i].tokens > 16384);
    }
}

/* R: 0.25 after five, released after 18 clean ones at 0.949. B: theirs stays there, ours is 1.0 one
 * batch later. */
static void p14_back_off_and_release(void **state)
{
    (void)state;
    struct batching_backoff b = batching_backoff_make();
    assert_true(b.scale == 1.0 && !b.pressure);
    batching_backoff_oom(&b);
    assert_true(b.scale == 0.75 && b.pressure);
    for (int i = 1; i < 5; i++)
        batching_backoff_oom(&b);
    assert_true(b.scale == 0.25);
    for (int i = 0; i < 17; i++) {
        batching_backoff_clean(&b);
        assert_true(b.pressure);
    }
    batching_backoff_clean(&b);
    assert_false(b.pressure);
    assert_true(b.scale > 0.949 && b.scale < 0.950);
    batching_backoff_clean(&b);
    assert_true(b.scale == 1.0);
    batching_backoff_clean(&b);
    assert_true(b.scale == 1.0);
}

static void an_oom_in_between_starts_the_count_anew(void **state)
{
    (void)state;
    struct batching_backoff b = batching_backoff_make();
    batching_backoff_oom(&b);
    for (int i = 0; i < 4; i++)
        batching_backoff_clean(&b);
    assert_true(b.scale == 0.75);
    batching_backoff_oom(&b);
    for (int i = 0; i < 4; i++)
        batching_backoff_clean(&b);
    assert_true(b.scale == 0.75 * 0.75);
    batching_backoff_clean(&b);
    assert_true(b.scale > 0.75 * 0.75);
}

/* R */
static void p15_buckets(void **state)
{
    (void)state;
    assert_int_equal(batching_pow2_bucket(1), 32);
    assert_int_equal(batching_pow2_bucket(32), 32);
    assert_int_equal(batching_pow2_bucket(33), 64);
    assert_int_equal(batching_pow2_bucket(100), 128);
    assert_int_equal(batching_pow2_bucket(BATCHING_MAX_LENGTH), 16777216);
    assert_int_equal(batching_pow2_bucket(UINT32_MAX), UINT32_MAX);
    uint32_t last = 0;
    for (uint32_t n = 1; n < 200000; n += n < 5000 ? 1 : 97) {
        uint32_t edge = batching_ratio_bucket(n, 32, 1.5);
        assert_true(edge >= n && edge >= last);
        assert_true(n < 32 || (double)edge <= 1.5 * n);
        assert_int_equal(batching_ratio_bucket(edge, 32, 1.5), edge);
        last = edge;
    }
}

/* B: theirs 7.2012 GiB for batch 4 of 2048 tokens, the cache counted once; ours 4 GiB of cache, one
 * for each. */
static void p16_the_cache_grows_with_the_batch(void **state)
{
    (void)state;
    uint64_t kv[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_wish w = plan_default_wish();
        make("llama-2-7b:Q8_0", "24GiB", 0, 0);
        w.given = GIVEN_CTX | GIVEN_PARALLEL;
        w.s.n_seq_max = w.s.n_outputs_max = i ? 4 : 1;
        w.s.n_ctx = 2048 * w.s.n_seq_max;
        assert_true(plan_make(&model, &machine, &w, &arena, &plan, &err));
        kv[i] = plan.devices[0].kv;
    }
    assert_int_equal(kv[0], GIB); /* 32 layers x 8192 values x 2 bytes x 2048 */
    assert_int_equal(kv[1], 4 * kv[0]);
    uint64_t all = plan.devices[0].weights + plan.devices[0].kv + plan.devices[0].compute;
    assert_true(all > 10 * GIB);
}

/* The edge is real: the card holds n with what is kept free, and one more is short. */
static void expect_edge(uint32_t length, uint32_t n)
{
    struct plan_wish w = plan.wish;
    struct plan one;
    for (uint32_t more = 0; more < 2; more++) {
        w.given |= GIVEN_CTX | GIVEN_PARALLEL;
        w.s.n_seq_max = w.s.n_outputs_max = n + more;
        w.s.n_ctx = (n + more) * length;
        assert_true(plan_make(&model, &machine, &w, &arena, &one, &err));
        assert_int_equal(one.verdict == VERDICT_FITS, more == 0);
    }
}

/* B: theirs 348 sequences of 2048 tokens (5,873,664 tokens for 4); 348 x 1 GiB of cache are not in
 * 24 GiB. */
static void p17_the_largest_batch_is_what_the_cache_leaves(void **state)
{
    (void)state;
    make("llama-2-7b:Q8_0", "24GiB", 0, 0);
    uint32_t n = most(2048);
    assert_in_range(n, 13, 16); /* 24 GiB less 6.7 of weights, room kept free, driver, compute */
    expect_edge(2048, n);
    assert_true(most(4096) <= n / 2 && most(4096) >= n / 2 - 1);
    uint32_t one = most(100); /* a slot is 256 tokens: eight in the place of one */
    assert_in_range(one, 7 * n, 9 * n);
}

/* B: theirs "at least 1 sequence, 128 tokens"; ours 0. */
static void p18_impossible_is_zero(void **state)
{
    (void)state;
    make("llama-2-7b:Q8_0", "6GiB", GIVEN_CTX, 4096);
    assert_int_equal(plan.verdict, VERDICT_NO_FIT);
    assert_int_equal(most(128), 0);
    make("llama-2-7b:Q8_0", "24GiB", 0, 0);
    assert_true(most(1) > 0);
    assert_int_equal(most(BATCHING_MAX_LENGTH), 0);
}

/* B: theirs 47 for 13B Q4_K_M on 24 + 12 GiB, 0 for 7B F16 there, 157 x 1024 for 7B F16 on 24 + 24
 * GiB, whose cache alone would be 78.5 GiB. */
static void p1_p2_p7_batches_from_the_exact_cache(void **state)
{
    (void)state;
    make("llama-2-13b:Q4_K_M", "24GiB,12GiB", GIVEN_CTX, 32768);
    uint32_t n = most(1024);
    assert_in_range(n, 28, 33); /* 36 GiB less 7.3 and what is kept free, 0.78 GiB each */
    make("llama-2-7b:F16", "24GiB,12GiB", GIVEN_CTX, 32768);
    n = most(1024);
    assert_in_range(n, 34, 42);
    make("llama-2-7b:F16", "24GiB,24GiB", GIVEN_CTX, 49152);
    assert_int_equal(plan.used_mask, 3);
    n = most(1024);
    assert_in_range(n, 58, 68);
    assert_true((uint64_t)n * 1024 * 512 * 1024 < 48 * GIB);
}

/* R */
static void p20_reduce(void **state)
{
    (void)state;
    assert_int_equal(batching_reduce(32), 24);
    assert_int_equal(batching_reduce(1), 1);
    assert_int_equal(batching_reduce(UINT32_MAX), 3221225471u);
}

static void lists_are_read(void **state)
{
    (void)state;
    struct batching_lengths l;
    const char text[] = "12\r\n\n  7\t\n10485760\n1";
    assert_true(batching_parse("f", text, sizeof(text) - 1, &arena, &l, &err));
    assert_int_equal(l.n, 4);
    assert_int_equal(l.tokens[0], 12);
    assert_int_equal(l.tokens[1], 7);
    assert_int_equal(l.tokens[2], 10485760);
    assert_int_equal(l.tokens[3], 1);
}

static void refused(const char *text, size_t len, const char *part)
{
    struct batching_lengths l = {.n = 77};
    err = (struct err){0};
    assert_false(batching_parse("f", text, len, &arena, &l, &err));
    assert_int_equal(err.code, ERR_9002);
    assert_int_equal(l.n, 77);
    if (!strstr(err.title, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.title);
}

static void hostile_lists_are_refused_with_their_line(void **state)
{
    (void)state;
    static const char *const bad[] = {"0",        "-1",       "+5",
                                      "1.5",      "0x10",     "1e3",
                                      "12 13",    "10485761", "99999999999999999999",
                                      "\xff\xfe", "\x1b[2J",  "ten",
                                      "1,000",    "#5"};
    char text[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int n = snprintf(text, sizeof(text), "5\n\n%s\n6\n", bad[i]);
        refused(text, (size_t)n, "f, line 3: ");
        assert_null(strchr(err.title, '\x1b'));
    }
    refused("5\n6\0\n", 6, "f, line 2: ");
    refused("", 0, "f names no length");
    refused("\n \n\r\n", 5, "f names no length");
    char *many = malloc(BATCHING_MAX_BYTES + 1);
    assert_non_null(many);
    memset(many, '\n', BATCHING_MAX_BYTES + 1);
    refused(many, BATCHING_MAX_LINES + 1, "more than 100000 lines");
    refused(many, BATCHING_MAX_BYTES + 1, "larger than 1048576 bytes");
    memset(many, '7', BATCHING_MAX_BYTES);
    refused(many, BATCHING_MAX_BYTES, "f, line 1: ");
    free(many);
}

/* A hundred prompts of 100, 200 ... 10,000 tokens. */
static struct batching_advice advise(void)
{
    static uint32_t tokens[100];
    struct batching_advice a;
    struct batching_lengths l = {.n = 100, .tokens = tokens};
    for (uint32_t i = 0; i < 100; i++)
        tokens[i] = 100 * (100 - i);
    if (!batching_advise(&plan, &l, &arena, &a, &err))
        fail_msg("%s", err.title);
    return a;
}

static void advice_by_percentiles(void **state)
{
    (void)state;
    make("llama-3.1-8b:Q4_K_M", "24GiB", 0, 0);
    struct batching_advice a = advise();
    assert_int_equal(a.shortest, 100);
    assert_int_equal(a.p50, 5000);
    assert_int_equal(a.p95, 9500);
    assert_int_equal(a.longest, 10000);
    assert_true(a.mean == 5050.0);
    assert_int_equal(a.chosen, 2);
    uint32_t last = UINT32_MAX;
    for (int i = 0; i < BATCHING_ROWS; i++) {
        const struct batching_slots *r = &a.rows[i];
        assert_true(r->slot % 256 == 0 && r->slot >= r->prompt + BATCHING_REPLY);
        assert_int_equal(r->context, (uint64_t)r->parallel * r->slot);
        assert_true(r->ubatch == 512 || r->ubatch == 1024 ||
                    r->ubatch == 2048); /* as large as costs no slot */
        assert_true(r->parallel > 0 && r->parallel <= last && r->wasted > 0 && r->wasted < 1);
        last = r->parallel;
    }
    assert_true(a.rows[0].served >= 0.5 && a.rows[0].served < 0.6);
    assert_true(a.rows[2].served == 1.0);
    assert_true(a.rows[2].wasted > a.rows[0].wasted);
    assert_int_equal(a.rules.max_items, a.rows[2].parallel);
    assert_true(a.groups.padded < a.groups.padded_in_order);
    expect_edge(a.rows[2].slot, a.rows[2].parallel);
}

static void advice_keeps_what_was_given(void **state)
{
    (void)state;
    struct plan_wish w = plan_default_wish();
    make("llama-3.1-8b:Q4_K_M", "24GiB", 0, 0);
    w.given = GIVEN_PARALLEL | GIVEN_UBATCH;
    w.s.n_seq_max = w.s.n_outputs_max = 3;
    w.s.n_ubatch = 256;
    assert_true(plan_make(&model, &machine, &w, &arena, &plan, &err));
    struct batching_advice a = advise();
    assert_int_equal(a.rows[1].parallel, 3);
    assert_int_equal(a.rows[1].ubatch, 256);
    w = plan_default_wish();
    w.given = GIVEN_CTX;
    w.s.n_ctx = 32768;
    assert_true(plan_make(&model, &machine, &w, &arena, &plan, &err));
    a = advise();
    assert_int_equal(a.rows[2].parallel, 3); /* of 10,752 */
    assert_int_equal(a.rows[2].context, 32768);
}

static void advice_where_nothing_fits(void **state)
{
    (void)state;
    make("llama-3.3-70b:Q4_K_M", "24GiB", GIVEN_CTX, 8192);
    struct batching_advice a = advise();
    assert_int_equal(a.chosen, -1);
    assert_int_equal(a.rows[0].parallel, 0);
    make("llama-3.1-8b:Q4_K_M", "none", 0, 0);
    a = advise();
    assert_true(a.rows[2].parallel > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(p12_groups_by_length, reset),
        cmocka_unit_test_setup(p13_an_oversize_prompt_stands_alone, reset),
        cmocka_unit_test_setup(p14_back_off_and_release, reset),
        cmocka_unit_test_setup(an_oom_in_between_starts_the_count_anew, reset),
        cmocka_unit_test_setup(p15_buckets, reset),
        cmocka_unit_test_setup(p16_the_cache_grows_with_the_batch, reset),
        cmocka_unit_test_setup(p17_the_largest_batch_is_what_the_cache_leaves, reset),
        cmocka_unit_test_setup(p18_impossible_is_zero, reset),
        cmocka_unit_test_setup(p1_p2_p7_batches_from_the_exact_cache, reset),
        cmocka_unit_test_setup(p20_reduce, reset),
        cmocka_unit_test_setup(lists_are_read, reset),
        cmocka_unit_test_setup(hostile_lists_are_refused_with_their_line, reset),
        cmocka_unit_test_setup(advice_by_percentiles, reset),
        cmocka_unit_test_setup(advice_keeps_what_was_given, reset),
        cmocka_unit_test_setup_teardown(advice_where_nothing_fits, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
