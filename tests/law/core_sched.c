/* core_sched: nodes run where weights lie, cuts copy what crosses, big batches move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/law.h"
#include "law/sched.h"

static const struct cuda_rules TWO[] = {
    {0, 890, false},
    {1, 890, false}
};

struct bench {
    struct arena arena;
    struct graph g;
    struct sched_env env;
    struct sched_plan plan;
};

static void own_bench(struct bench *b)
{
    arena_finish(&b->arena);
}

static void bench_init(struct bench *b, uint32_t n_devices, uint32_t n_copies)
{
    *b = (struct bench){
        .env = {n_devices, TWO, true, n_copies}
    };
    graph_init(&b->g, &b->arena);
}

static struct g_tensor *weight(struct bench *b, int buffer, int flags)
{
    int64_t ne[2] = {256, 256};
    return g_leaf(&b->g, GGUF_TYPE_Q8_0, 2, ne, G_WEIGHT | flags, buffer, "w");
}

static struct g_tensor *layer(struct bench *b, struct g_tensor *x, int buffer, int flags)
{
    x = g_rms_norm(&b->g, x);
    return g_mul_mat(&b->g, weight(b, buffer, flags), x);
}

static void run(struct bench *b)
{
    const char *why = NULL;
    assert_true(sched_make(&b->env, &b->g, &b->arena, &b->plan, &why));
    assert_null(why);
}

static int backend(const struct bench *b, const struct g_tensor *t)
{
    return b->plan.backend[t->id];
}

static void test_two_cards_make_two_parts(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b, 2, 1);
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 256, 64, 1, 1, "x");
    struct g_tensor *first = layer(&b, x, 0, 0), *second = layer(&b, first, 1, 0);
    g_expand(&b.g, second);
    run(&b);
    assert_int_equal(backend(&b, first), 0);
    assert_int_equal(backend(&b, second), 1);
    assert_int_equal(b.plan.n_splits, 2);
    assert_int_equal(b.plan.splits[0].n_inputs, 1); /* the input lies on the host */
    assert_int_equal(b.plan.splits[1].n_inputs, 1);
    assert_int_equal(b.plan.order.n_nodes, b.g.n_nodes + 4); /* a holder and a copy per crossing */
}

static void test_a_pin_moves_the_norm_to_its_layer(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b, 2, 1);
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 256, 64, 1, 1, "x");
    struct g_tensor *first = layer(&b, x, 0, 0), *norm = g_rms_norm(&b.g, first);
    struct g_tensor *second = g_mul_mat(&b.g, weight(&b, 1, 0), norm);
    g_expand(&b.g, second);
    run(&b);
    assert_int_equal(backend(&b, norm), 0); /* carried over from the layer before */
    arena_finish(&b.arena);
    bench_init(&b, 2, 1);
    x = g_input(&b.g, GGUF_TYPE_F32, 256, 64, 1, 1, "x");
    first = layer(&b, x, 0, 0);
    norm = g_rms_norm(&b.g, first);
    norm->backend = 1;
    g_expand(&b.g, g_mul_mat(&b.g, weight(&b, 1, 0), norm));
    run(&b);
    assert_int_equal(backend(&b, norm), 1);
}

static void test_big_batches_leave_the_host(void **state)
{
    static const struct {
        int64_t tokens;
        int flags;
        bool offload;
        int where;
    } cases[] = {
        {31, 0,        true,  1},
        {32, 0,        true,  0},
        {32, 0,        false, 1},
        {32, G_REPACK, true,  1}
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        own(own_bench) struct bench b;
        bench_init(&b, 1, 1);
        b.env.op_offload = cases[i].offload;
        struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 256, cases[i].tokens, 1, 1, "x");
        struct g_tensor *y = g_mul_mat(&b.g, weight(&b, LAW_HOST, cases[i].flags), x);
        g_expand(&b.g, y);
        run(&b);
        assert_int_equal(backend(&b, y), cases[i].where);
    }
}

static void test_every_offloaded_weight_gets_a_part_of_its_own(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b, 1, 1);
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 256, 64, 1, 1, "x");
    for (int i = 0; i < 3; i++)
        x = layer(&b, x, LAW_HOST, 0);
    g_expand(&b.g, x);
    run(&b);
    assert_int_equal(b.plan.n_splits, 4); /* the input's, and one per weight */
    assert_int_equal(backend(&b, x), 0);
}

static void test_a_pipeline_keeps_four_copies(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b, 2, SCHED_MAX_COPIES);
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 256, 64, 1, 1, "x");
    g_expand(&b.g, layer(&b, layer(&b, x, 0, 0), 1, 0));
    uint32_t leafs = b.g.n_leafs;
    run(&b);
    assert_int_equal(b.plan.order.n_leafs,
                     leafs + 3 * 4); /* the input, its copies on card 0, the crossing */
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(b.plan.order.leafs[i]->flags & (G_INPUT | G_OUTPUT), G_INPUT | G_OUTPUT);
}

static void test_a_cache_that_cannot_be_written_stops_the_engine(void **state)
{
    own(own_bench) struct bench b;
    const char *why = NULL;
    bench_init(&b, 1, 1);
    int64_t ne[2] = {256, 64};
    struct g_tensor *cache = g_leaf(&b.g, GGUF_TYPE_Q4_K, 2, ne, G_CACHE, 0, "cache");
    struct g_tensor *rows = g_input(&b.g, GGUF_TYPE_F32, 256, 4, 1, 1, "rows");
    g_expand(&b.g, g_set_rows(&b.g, cache, rows, g_input(&b.g, GGUF_TYPE_I64, 4, 1, 1, 1, "at")));
    assert_false(sched_make(&b.env, &b.g, &b.arena, &b.plan, &why));
    assert_non_null(why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_cards_make_two_parts),
        cmocka_unit_test(test_a_pin_moves_the_norm_to_its_layer),
        cmocka_unit_test(test_big_batches_leave_the_host),
        cmocka_unit_test(test_every_offloaded_weight_gets_a_part_of_its_own),
        cmocka_unit_test(test_a_pipeline_keeps_four_copies),
        cmocka_unit_test(test_a_cache_that_cannot_be_written_stops_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
