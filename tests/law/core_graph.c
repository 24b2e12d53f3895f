/* core_graph: shapes, views and order are the engine's; broken shapes never crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/graph.h"

static struct g_tensor *f32(struct graph *g, int64_t a, int64_t b, int64_t c)
{
    return g_new(g, GGUF_TYPE_F32, a, b, c, 1, NULL);
}

static void assert_shape(const struct g_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    assert_int_equal(t->ne[0], a);
    assert_int_equal(t->ne[1], b);
    assert_int_equal(t->ne[2], c);
    assert_int_equal(t->ne[3], d);
}

static void test_products_are_f32_and_broadcast(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *w = g_new(&g, GGUF_TYPE_Q4_K, 256, 64, 2, 1, NULL), *x = f32(&g, 256, 7, 4);
    struct g_tensor *y = g_mul_mat(&g, w, x);
    assert_shape(y, 64, 7, 4, 1);
    assert_int_equal(y->type, GGUF_TYPE_F32);
    struct g_tensor *experts = g_new(&g, GGUF_TYPE_Q8_0, 256, 32, 8, 1, NULL);
    struct g_tensor *ids = g_new(&g, GGUF_TYPE_I32, 2, 7, 1, 1, NULL);
    assert_shape(g_mul_mat_id(&g, experts, f32(&g, 256, 1, 7), ids), 32, 2, 7, 1);
    assert_false(g.failed);
}

static void test_views_point_at_the_root(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *base = f32(&g, 8, 6, 4);
    struct g_tensor *v = g_view_2d(&g, base, 8, 2, base->nb[1], 3 * base->nb[1]);
    struct g_tensor *w = g_view_1d(&g, v, 4, 16);
    assert_ptr_equal(w->view_src, base);
    assert_ptr_equal(w->src[0], v);
    assert_int_equal(w->view_offset, 3 * 32 + 16);
    struct g_tensor *p = g_permute(&g, base, 0, 2, 1, 3);
    assert_shape(p, 8, 4, 6, 1);
    assert_int_equal(p->nb[1], base->nb[2]);
    assert_false(g_is_contiguous(p));
    assert_int_equal(g_nbytes(p), 8 * 6 * 4 * 4);
    assert_true(g_is_contiguous(g_cont(&g, p)));
    assert_ptr_equal(
        g_set_rows(&g, base, f32(&g, 8, 3, 4), g_new(&g, GGUF_TYPE_I64, 3, 1, 1, 1, NULL))
            ->view_src,
        base);
    assert_false(g.failed);
}

static void test_quantised_bytes_count_blocks(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *q = g_new(&g, GGUF_TYPE_Q4_0, 64, 3, 1, 1, NULL);
    assert_int_equal(g_nbytes(q), 3 * 2 * 18);
    assert_int_equal(g_row_bytes(GGUF_TYPE_Q8_0, 64), 68);
    struct g_tensor *rows = g_get_rows(&g, q, g_new(&g, GGUF_TYPE_I32, 5, 1, 1, 1, NULL));
    assert_shape(rows, 64, 5, 1, 1);
    assert_int_equal(rows->type, GGUF_TYPE_F32);
}

static void test_sources_come_before_their_readers(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *a = f32(&g, 4, 4, 1), *b = f32(&g, 4, 4, 1);
    struct g_tensor *sum = g_add(&g, g_sqr(&g, a), b), *product = g_mul(&g, sum, a);
    g_expand(&g, product);
    g_expand(&g, sum); /* already there */
    assert_int_equal(g.n_nodes, 3);
    assert_int_equal(g.n_leafs, 2);
    assert_int_equal(g.nodes[0]->op, OP_SQR);
    assert_ptr_equal(g.nodes[1], sum);
    assert_ptr_equal(g.nodes[2], product);
    assert_ptr_equal(g.leafs[0], a);
}

static void test_attention_and_state_shapes(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *q = g_new(&g, GGUF_TYPE_F32, 128, 7, 32, 2, NULL);
    struct g_tensor *k = g_new(&g, GGUF_TYPE_F16, 128, 256, 8, 2, NULL);
    struct g_tensor *mask = g_new(&g, GGUF_TYPE_F16, 256, 7, 1, 2, NULL);
    assert_shape(g_flash_attn_ext(&g, q, k, k, mask, false, false), 128, 32, 7, 2);
    struct g_tensor *x = g_new(&g, GGUF_TYPE_F32, 64, 4, 5, 2, NULL),
                    *s = g_new(&g, GGUF_TYPE_F32, 16, 64, 4, 2, NULL);
    struct g_tensor *dt = f32(&g, 4, 5, 2), *A = f32(&g, 1, 4, 1),
                    *B = g_new(&g, GGUF_TYPE_F32, 16, 1, 5, 2, NULL);
    struct g_tensor *ids = g_new(&g, GGUF_TYPE_I32, 2, 1, 1, 1, NULL);
    struct g_tensor *y = g_ssm_scan(&g, s, x, dt, A, B, B, ids, 1);
    assert_shape(y, 64 * 4 * 5 * 2 + 16 * 64 * 4 * 2, 1, 1, 1);
    assert_false(g.failed);
}

static void test_broken_shapes_fail_without_a_crash(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *a = f32(&g, 4, 4, 1);
    struct g_tensor *bad = g_mul_mat(&g, NULL, a);
    assert_true(g.failed);
    assert_string_equal(g.failed_at, "g_mul_mat");
    bad = g_rope(&g, g_reshape_3d(&g, g_add(&g, bad, a), 2, 2, 4), a, NULL, 4, 0);
    g_expand(&g, g_cont_2d(&g, bad, 1, INT64_MAX));
    assert_non_null(bad);
    assert_int_equal(g.n_nodes, 0);
    graph_init(&g, &arena);
    g_new(&g, GGUF_TYPE_F32, INT64_MAX / 2, INT64_MAX / 2, 1, 1, NULL);
    assert_true(g.failed);
    graph_init(&g, &arena);
    a = f32(&g, 4, 4, 1);
    g_view_1d(&g, a, 8, 40);
    assert_true(g.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_f32_and_broadcast),
        cmocka_unit_test(test_views_point_at_the_root),
        cmocka_unit_test(test_quantised_bytes_count_blocks),
        cmocka_unit_test(test_sources_come_before_their_readers),
        cmocka_unit_test(test_attention_and_state_shapes),
        cmocka_unit_test(test_broken_shapes_fail_without_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
