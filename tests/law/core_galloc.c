/* core_galloc: the allocator reuses, keeps and packs as the engine's does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/cuda.h"
#include "law/galloc.h"

enum { ROW = 1024 }; /* bytes of one 256-element row */

struct bench {
    struct arena arena;
    struct graph g;
    int8_t zero[64];
};

static void own_bench(struct bench *b)
{
    arena_finish(&b->arena);
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    graph_init(&b->g, &b->arena);
}

static struct g_tensor *input(struct bench *b, int64_t rows)
{
    return g_input(&b->g, GGUF_TYPE_F32, 256, rows, 1, 1, NULL);
}

struct watch {
    const struct g_tensor *t;
    struct galloc_event seen; /* how t got its place */
};

static void on_event(void *ctx, const struct galloc_event *e)
{
    struct watch *w = ctx;
    if (e->t == w->t && (e->what == GALLOC_TAKE || e->what == GALLOC_REUSE))
        w->seen = *e;
}

static uint64_t measure_watching(struct bench *b, struct watch *w)
{
    const struct galloc_buffer host = {32, host_size_of, NULL};
    const struct galloc_trace trace = {on_event, w};
    struct galloc_graph o = {b->g.n_nodes, b->g.n_leafs, b->g.nodes,    b->g.leafs,
                             b->zero,      b->zero,      b->g.n_tensors};
    uint64_t size = 0;
    const char *why;
    assert_true(galloc_measure(&o, &host, 1, &b->arena, w ? &trace : NULL, &size, &why));
    return size;
}

static uint64_t measure(struct bench *b)
{
    return measure_watching(b, NULL);
}

static void test_elementwise_results_take_their_source_over(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_sqr(&b.g, g_cont(&b.g, input(&b, 4)));
    g_expand(&b.g, g_scale(&b.g, x));
    assert_int_equal(measure(&b), 2 * 4 * ROW); /* the input and one result */
}

static void test_a_source_with_another_reader_is_left_alone(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_cont(&b.g, input(&b, 4)), *y = g_sqr(&b.g, x), *z = g_add(&b.g, x, y);
    struct watch first = {.t = y}, second = {.t = z};
    g_expand(&b.g, z);
    measure_watching(&b, &first);
    assert_int_equal(first.seen.what, GALLOC_TAKE);
    measure_watching(&b, &second);
    assert_int_equal(second.seen.what, GALLOC_REUSE); /* now x has no other reader */
    assert_ptr_equal(second.seen.parent, x);
}

static void test_outputs_are_never_reused(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_cont(&b.g, input(&b, 4));
    g_set_output(x);
    g_expand(&b.g, g_cont(&b.g, g_sqr(&b.g, x)));
    assert_int_equal(measure(&b), 3 * 4 * ROW); /* the last result takes the input's place */
}

static void test_views_hold_what_they_look_at(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_cont(&b.g, input(&b, 4)), *v = g_view_1d(&b.g, x, 256, 0);
    struct g_tensor *other = g_cont(&b.g, g_cont(&b.g, x));
    g_expand(&b.g, other);
    g_expand(&b.g, g_sqr(&b.g, v)); /* reads x once more, after `other` was made */
    assert_int_equal(measure(&b),
                     3 * 4 * ROW); /* x, the first copy; the second one lies in the input's place */
}

static void test_the_smallest_hole_that_fits_is_taken(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *wide = input(&b, 8), *b1 = input(&b, 1), *b2 = input(&b, 1),
                    *two = input(&b, 2);
    g_expand(&b.g,
             g_sum(&b.g, wide)); /* inputs lie in the order of their first readers: 0, 8, 9, 10 */
    g_expand(&b.g, g_sum(&b.g, b1));
    g_expand(&b.g, g_sum(&b.g, b2));
    g_expand(&b.g, g_sum(&b.g, two));
    struct watch w = {.t = g_concat(&b.g, b1, b2, 1)};
    g_expand(&b.g, (struct g_tensor *)w.t);
    assert_int_equal(measure_watching(&b, &w), 12 * ROW + 32);
    assert_int_equal(w.seen.offset, 10 * ROW); /* not the wide hole at 0 */
}

static uint64_t measure_nodes(struct bench *b, uint32_t n, struct g_tensor **nodes)
{
    const struct galloc_buffer host = {32, host_size_of, NULL};
    struct galloc_graph o = {n, b->g.n_leafs, nodes, b->g.leafs, b->zero, b->zero, b->g.n_tensors};
    uint64_t size = 0;
    const char *why;
    assert_true(galloc_measure(&o, &host, 1, &b->arena, NULL, &size, &why));
    return size;
}

static void test_a_keeper_delays_freeing(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_cont(&b.g, input(&b, 4)), *y = g_sum(&b.g, x), *z = g_repeat(&b.g, y, x);
    g_expand(&b.g, z);
    struct g_tensor *keeper = g_view_1d(&b.g, x, 1, 0);
    keeper->op = OP_NONE;
    keeper->n_src = 1;
    struct g_tensor *nodes[] = {x, y, z, keeper};
    assert_int_equal(measure_nodes(&b, 3, nodes), 2 * 4 * ROW); /* z where x was */
    assert_int_equal(measure_nodes(&b, 4, nodes), 3 * 4 * ROW);
}

static void test_sizes_are_rounded_to_the_alignment(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, 1, 1, 1, 1, NULL);
    g_expand(&b.g, g_repeat_4d(&b.g, x, 33, 1, 1, 1));
    assert_int_equal(measure(&b), 32 + 160);
}

static void test_absurd_sizes_fail(void **state)
{
    own(own_bench) struct bench b;
    bench_init(&b);
    const char *why = NULL;
    uint64_t size = 0;
    struct g_tensor *x = g_input(&b.g, GGUF_TYPE_F32, (int64_t)1 << 56, 1, 1, 1, NULL);
    for (int i = 0; i < 40; i++) {
        struct g_tensor *y = g_cont(&b.g, x);
        g_set_output(y);
        g_expand(&b.g, y);
    }
    const struct galloc_buffer host = {32, host_size_of, NULL};
    struct galloc_graph o = {b.g.n_nodes, b.g.n_leafs, b.g.nodes,    b.g.leafs,
                             b.zero,      b.zero,      b.g.n_tensors};
    assert_false(galloc_measure(&o, &host, 1, &b.arena, NULL, &size, &why));
    assert_non_null(why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise_results_take_their_source_over),
        cmocka_unit_test(test_a_source_with_another_reader_is_left_alone),
        cmocka_unit_test(test_outputs_are_never_reused),
        cmocka_unit_test(test_views_hold_what_they_look_at),
        cmocka_unit_test(test_the_smallest_hole_that_fits_is_taken),
        cmocka_unit_test(test_a_keeper_delays_freeing),
        cmocka_unit_test(test_sizes_are_rounded_to_the_alignment),
        cmocka_unit_test(test_absurd_sizes_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
