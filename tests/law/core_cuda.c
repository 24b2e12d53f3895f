/* core_cuda: what a CUDA card runs, what results take, what it keeps for fused kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/cuda.h"
#include "law/law.h"

static const struct cuda_rules ADA = {0, 890, false}, AMPERE = {0, 860, false},
                               TURING = {0, 750, false}, VOLTA = {0, 700, false},
                               PASCAL = {0, 610, false};

struct heads {
    int64_t dk, dv, heads, kv_heads, tokens, cells;
    uint32_t type;
};

static struct g_tensor *attend(struct graph *g, struct heads h)
{
    struct g_tensor *q = g_new(g, GGUF_TYPE_F32, h.dk, h.tokens, h.heads, 1, NULL);
    struct g_tensor *k = g_new(g, h.type, h.dk, h.cells, h.kv_heads, 1, NULL);
    struct g_tensor *v = g_new(g, h.type, h.dv, h.cells, h.kv_heads, 1, NULL);
    struct g_tensor *mask = g_new(g, GGUF_TYPE_F16, h.cells, h.tokens, 1, 1, NULL);
    return g_flash_attn_ext(g, q, k, v, mask, false, false);
}

static void test_flash_attention_knows_its_head_sizes(void **state)
{
    static const struct {
        struct heads h;
        bool runs;
    } cases[] = {
        {{128, 128, 32, 8, 512, 4096, GGUF_TYPE_F16},    true },
        {{80, 80, 32, 32, 512, 4096, GGUF_TYPE_F16},     true },
        {{160, 160, 32, 8, 512, 4096, GGUF_TYPE_F16},    false},
        {{128, 64, 32, 8, 512, 4096, GGUF_TYPE_F16},     false},
        {{192, 128, 64, 8, 512, 4096, GGUF_TYPE_F16},    true },
        {{192, 128, 32, 8, 512, 4096, GGUF_TYPE_F16},    false},
        {{576, 512, 16, 1, 512, 4096, GGUF_TYPE_F16},    true },
        {{576, 512, 16, 16, 512, 4096, GGUF_TYPE_F16},   false},
        {{512, 512, 16, 2, 512, 4096, GGUF_TYPE_F16},    true },
        {{128, 128, 32, 8, 512, 4096, GGUF_TYPE_IQ4_NL}, false},
    };
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct g_tensor *op = attend(&g, cases[i].h);
        assert_false(g.failed);
        assert_int_equal(cuda_supports(&ADA, op), cases[i].runs);
        assert_true(
            cuda_supports(&(struct cuda_rules){0, 890, true}, op)); /* a remote card is not asked */
        assert_true(cpu_supports(op));
    }
}

/* Bytes behind the result itself: FP16 copies of K and V. */
static uint64_t scratch(const struct cuda_rules *r, struct heads h)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *op = attend(&g, h);
    return cuda_size_of(r, op) - g_nbytes(op);
}

static void test_quantised_caches_are_copied_for_prompts(void **state)
{
    struct heads prompt = {128, 128, 32, 8, 512, 4096, GGUF_TYPE_Q8_0}, one = prompt, two = prompt;
    one.tokens = 1;
    two.tokens = 2;
    const uint64_t both = 2 * 2 * 128 * 4096 * 8;
    assert_int_equal(scratch(&ADA, prompt), both);
    assert_int_equal(scratch(&PASCAL, prompt), both);
    assert_int_equal(scratch(&ADA, one), 0); /* the vector kernel reads q8_0 itself */
    assert_int_equal(scratch(&ADA, two), 0);
    assert_int_equal(scratch(&AMPERE, two), both); /* before Ada for one token only */
    assert_int_equal(scratch(&TURING, one), 0);
    one.type = GGUF_TYPE_Q5_1; /* no vector kernel is compiled for it */
    assert_int_equal(scratch(&ADA, one), both);
    prompt.type = GGUF_TYPE_F16;
    assert_int_equal(scratch(&ADA, prompt), 0);
    two.heads = 8;
    assert_int_equal(scratch(&VOLTA, two), 0);
    two.heads = 32;
    assert_int_equal(scratch(&VOLTA, two),
                     both); /* two tokens times four heads per group: the tile kernel */
}

static void test_quantised_rows_are_padded(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *even = g_new(&g, GGUF_TYPE_Q4_0, 1024, 8, 1, 1, NULL);
    struct g_tensor *odd = g_new(&g, GGUF_TYPE_Q4_0, 1056, 8, 1, 1, NULL);
    assert_int_equal(cuda_size_of(&ADA, even), g_nbytes(even));
    assert_int_equal(cuda_size_of(&ADA, odd), g_nbytes(odd) + 480 / 32 * 18);
    assert_int_equal(host_size_of(NULL, odd), g_nbytes(odd));
}

static void test_small_batches_are_not_taken_over(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *w = g_new(&g, GGUF_TYPE_Q4_0, 256, 64, 1, 1, NULL);
    struct g_tensor *few = g_mul_mat(&g, w, g_new(&g, GGUF_TYPE_F32, 256, 31, 1, 1, NULL));
    struct g_tensor *many = g_mul_mat(&g, w, g_new(&g, GGUF_TYPE_F32, 256, 32, 1, 1, NULL));
    struct g_tensor *ids = g_new(&g, GGUF_TYPE_I32, 512, 1, 1, 1, NULL);
    assert_false(cuda_offloads(&ADA, few));
    assert_true(cuda_offloads(&ADA, many));
    assert_false(cuda_offloads(&ADA, g_get_rows(&g, w, ids)));
    assert_false(cuda_offloads(&(struct cuda_rules){0, 890, true, true}, many));
}

static void test_repacked_weights_serve_products_only(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    int64_t ne[2] = {256, 64};
    struct g_tensor *w = g_leaf(&g, GGUF_TYPE_Q4_0, 2, ne, G_WEIGHT | G_REPACK, LAW_HOST, "w");
    assert_true(cpu_supports(g_mul_mat(&g, w, g_new(&g, GGUF_TYPE_F32, 256, 4, 1, 1, NULL))));
    assert_false(cpu_supports(g_get_rows(&g, w, g_new(&g, GGUF_TYPE_I32, 4, 1, 1, 1, NULL))));
}

struct kept {
    const struct g_tensor *t[64];
    uint32_t until[64], n;
};

static void keep(void *ctx, struct g_tensor *t, uint32_t until)
{
    struct kept *k = ctx;
    assert_true(k->n < 64);
    k->t[k->n] = t;
    k->until[k->n++] = until;
}

static struct kept find_kept(struct graph *g, struct arena *arena)
{
    struct kept k = {.n = 0};
    uint16_t *uses = arena_array(arena, uint16_t, (size_t)g->n_tensors);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < G_MAX_SRC; j++)
            if (g->nodes[i]->src[j])
                uses[g->nodes[i]->src[j]->id]++;
    struct graph_part part = {g->nodes, uses, g->n_nodes, 0, g->n_nodes};
    struct keep_sink sink = {keep, &k};
    cuda_keep_for_fusion(&part, &sink);
    return k;
}

/* Softmax over experts, the best two, their weights; then a reader of both. */
static struct g_tensor *choose_experts(struct graph *g, int64_t experts, int64_t tokens,
                                       struct g_tensor **weights)
{
    struct g_tensor *logits = g_cont(g, g_input(g, GGUF_TYPE_F32, experts, tokens, 1, 1, NULL));
    struct g_tensor *probs = g_soft_max(g, logits),
                    *shaped = g_reshape_3d(g, probs, 1, experts, tokens);
    g_expand(g, shaped);
    struct g_tensor *ids = g_argsort_top_k(g, probs, 2);
    *weights = g_get_rows(g, shaped, ids);
    g_expand(g, *weights);
    return ids;
}

static void test_the_router_keeps_its_steps(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    struct g_tensor *w;
    graph_init(&g, &arena);
    struct g_tensor *ids = choose_experts(&g, 64, 5, &w);
    g_expand(&g, g_mul_mat_id(&g, g_input(&g, GGUF_TYPE_F32, 16, 16, 64, 1, NULL),
                              g_input(&g, GGUF_TYPE_F32, 16, 1, 5, 1, NULL), ids));
    struct kept k = find_kept(&g, &arena);
    assert_true(k.n > 5);
    assert_int_equal(g.nodes[k.until[0]]->op, OP_MUL_MAT_ID); /* the node behind the fused ones */
    graph_init(&g, &arena);
    choose_experts(&g, 48, 5, &w); /* no kernel for 48 experts */
    g_expand(&g, g_sqr(&g, w));
    assert_int_equal(find_kept(&g, &arena).n, 0);
}

static struct g_tensor *reduce_experts(struct graph *g, int64_t n, bool spy)
{
    struct g_tensor *x = g_cont(g, g_input(g, GGUF_TYPE_F32, 32, n, 5, 1, NULL));
    struct g_tensor *m = g_mul(g, x, g_cont(g, g_input(g, GGUF_TYPE_F32, 1, n, 5, 1, NULL))),
                    *view[16], *sum;
    g_expand(g, m);
    for (int i = 0; i < n; i++) {
        view[i] = g_view_2d(g, m, 32, 5, m->nb[2], (uint64_t)i * m->nb[1]);
        g_expand(g, view[i]);
    }
    sum = view[0];
    for (int i = 1; i < n; i++) {
        sum = g_add(g, sum, view[i]);
        g_expand(g, sum);
    }
    g_expand(g, spy ? g_sqr(g, m) : g_sqr(g, sum));
    return x;
}

static void test_the_weighted_sum_keeps_its_operands(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct graph g;
    graph_init(&g, &arena);
    struct g_tensor *x = reduce_experts(&g, 4, false);
    struct kept k = find_kept(&g, &arena);
    assert_int_equal(k.n, 2);
    assert_ptr_equal(k.t[0], x);
    assert_int_equal(g.nodes[k.until[0]]->op, OP_ADD);
    graph_init(&g, &arena);
    reduce_experts(&g, 4, true); /* the products are read elsewhere too */
    assert_int_equal(find_kept(&g, &arena).n, 0);
    graph_init(&g, &arena);
    reduce_experts(&g, 16, false); /* more than the kernel takes */
    assert_int_equal(find_kept(&g, &arena).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flash_attention_knows_its_head_sizes),
        cmocka_unit_test(test_quantised_caches_are_copied_for_prompts),
        cmocka_unit_test(test_quantised_rows_are_padded),
        cmocka_unit_test(test_small_batches_are_not_taken_over),
        cmocka_unit_test(test_repacked_weights_serve_products_only),
        cmocka_unit_test(test_the_router_keeps_its_steps),
        cmocka_unit_test(test_the_weighted_sum_keeps_its_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
