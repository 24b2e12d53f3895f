/* graph_view: constructors that look at data another way, move it or pick from it. */
#include "law/graph_make.h"

struct g_tensor *g_dup(struct graph *g, struct g_tensor *a)
{
    return g_make_like(g, OP_DUP, a);
}

struct g_tensor *g_cpy(struct graph *g, struct g_tensor *a, struct g_tensor *into)
{
    G_CHECK(g, a && into && g_nelements(a) == g_nelements(into));
    struct g_tensor *t = g_make_same(g, OP_CPY, into);
    t->src[0] = a;
    t->src[1] = into;
    return t;
}

/* ggml lists the result as its own second source, and counts it as a child of itself. */
struct g_tensor *g_cast(struct graph *g, struct g_tensor *a, uint32_t type)
{
    G_CHECK(g, a);
    struct g_tensor *t = g_make(g, OP_CPY, type, a->ne[0], a->ne[1], a->ne[2], a->ne[3]);
    if (g->failed)
        return t;
    t->src[0] = a;
    t->src[1] = t;
    return t;
}

struct g_tensor *g_cont(struct graph *g, struct g_tensor *a)
{
    return g_make_like(g, OP_CONT, a);
}

struct g_tensor *g_cont_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           int64_t n3)
{
    G_CHECK(g, a && g_nelements(a) == g_product(n0, n1, n2, n3));
    struct g_tensor *t = g_make(g, OP_CONT, a->type, n0, n1, n2, n3);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_cont_1d(struct graph *g, struct g_tensor *a, int64_t n0)
{
    return g_cont_4d(g, a, n0, 1, 1, 1);
}

struct g_tensor *g_cont_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1)
{
    return g_cont_4d(g, a, n0, n1, 1, 1);
}

struct g_tensor *g_cont_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2)
{
    return g_cont_4d(g, a, n0, n1, n2, 1);
}

struct g_tensor *g_reshape_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                              int64_t n2, int64_t n3)
{
    G_CHECK(g, a && g_is_contiguous(a) && g_nelements(a) == g_product(n0, n1, n2, n3));
    return g_make_view(g, OP_RESHAPE, a, (int64_t[4]){n0, n1, n2, n3}, 0);
}

struct g_tensor *g_reshape_1d(struct graph *g, struct g_tensor *a, int64_t n0)
{
    return g_reshape_4d(g, a, n0, 1, 1, 1);
}

struct g_tensor *g_reshape_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1)
{
    return g_reshape_4d(g, a, n0, n1, 1, 1);
}

struct g_tensor *g_reshape_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                              int64_t n2)
{
    return g_reshape_4d(g, a, n0, n1, n2, 1);
}

struct g_tensor *g_view_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           int64_t n3, uint64_t nb1, uint64_t nb2, uint64_t nb3, uint64_t offset)
{
    struct g_tensor *t = g_make_view(g, OP_VIEW, a, (int64_t[4]){n0, n1, n2, n3}, offset);
    t->nb[1] = nb1;
    t->nb[2] = nb2;
    t->nb[3] = nb3;
    return t;
}

struct g_tensor *g_view_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           uint64_t nb1, uint64_t nb2, uint64_t offset)
{
    return g_view_4d(g, a, n0, n1, n2, 1, nb1, nb2, nb2 * (uint64_t)n2, offset);
}

struct g_tensor *g_view_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                           uint64_t nb1, uint64_t offset)
{
    uint64_t nb2 = nb1 * (uint64_t)n1;
    return g_view_4d(g, a, n0, n1, 1, 1, nb1, nb2, nb2, offset);
}

struct g_tensor *g_view_1d(struct graph *g, struct g_tensor *a, int64_t n0, uint64_t offset)
{
    return g_make_view(g, OP_VIEW, a, (int64_t[4]){n0, 1, 1, 1}, offset);
}

struct g_tensor *g_permute(struct graph *g, struct g_tensor *a, int d0, int d1, int d2, int d3)
{
    const int to[4] = {d0, d1, d2, d3};
    unsigned seen = 0;
    for (int i = 0; i < 4; i++)
        seen |= to[i] >= 0 && to[i] < 4 ? 1u << to[i] : 0;
    G_CHECK(g, a && seen == 15);
    struct g_tensor *t = g_make_same(g, OP_PERMUTE, a);
    for (int i = 0; i < 4; i++) {
        t->ne[to[i]] = a->ne[i];
        t->nb[to[i]] = a->nb[i];
    }
    return t;
}

struct g_tensor *g_transpose(struct graph *g, struct g_tensor *a)
{
    struct g_tensor *t = g_permute(g, a, 1, 0, 2, 3);
    t->op = OP_TRANSPOSE;
    return t;
}

struct g_tensor *g_get_rows(struct graph *g, struct g_tensor *a, struct g_tensor *rows)
{
    G_CHECK(g, a && rows && a->ne[2] == rows->ne[1] && a->ne[3] == rows->ne[2] &&
                   rows->ne[3] == 1 && rows->type == GGUF_TYPE_I32);
    uint32_t type = a->type == GGUF_TYPE_I32 ? GGUF_TYPE_I32 : GGUF_TYPE_F32;
    struct g_tensor *t =
        g_make(g, OP_GET_ROWS, type, a->ne[0], rows->ne[0], rows->ne[1], rows->ne[2]);
    t->src[0] = a;
    t->src[1] = rows;
    return t;
}

struct g_tensor *g_set_rows(struct graph *g, struct g_tensor *into, struct g_tensor *rows,
                            struct g_tensor *at)
{
    G_CHECK(g, into && rows && at && into->ne[0] == rows->ne[0] && into->ne[2] == rows->ne[2] &&
                   into->ne[3] == rows->ne[3] && rows->ne[1] == at->ne[0] && at->ne[1] > 0 &&
                   rows->ne[2] % at->ne[1] == 0 && at->ne[2] > 0 && rows->ne[3] % at->ne[2] == 0 &&
                   at->ne[3] == 1 && g_is_contiguous_rows(into) && g_is_contiguous_rows(rows));
    struct g_tensor *t = g_make_same(g, OP_SET_ROWS, into);
    t->src[0] = rows;
    t->src[1] = at;
    t->src[2] = into;
    return t;
}

struct g_tensor *g_diag(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a && a->ne[1] == 1);
    struct g_tensor *t = g_make(g, OP_DIAG, a->type, a->ne[0], a->ne[0], a->ne[2], a->ne[3]);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_pad(struct graph *g, struct g_tensor *a, int64_t p0, int64_t p1, int64_t p2,
                       int64_t p3)
{
    G_CHECK(g, a);
    struct g_tensor *t =
        g_make(g, OP_PAD, a->type, a->ne[0] + p0, a->ne[1] + p1, a->ne[2] + p2, a->ne[3] + p3);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_argsort(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a);
    struct g_tensor *t =
        g_make(g, OP_ARGSORT, GGUF_TYPE_I32, a->ne[0], a->ne[1], a->ne[2], a->ne[3]);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_argsort_top_k(struct graph *g, struct g_tensor *a, int64_t k)
{
    G_CHECK(g, a && a->ne[0] >= k);
    struct g_tensor *s = g_argsort(g, a);
    return g_view_4d(g, s, k, s->ne[1], s->ne[2], s->ne[3], s->nb[1], s->nb[2], s->nb[3], 0);
}

struct g_tensor *g_top_k(struct graph *g, struct g_tensor *a, int64_t k)
{
    G_CHECK(g, a && a->ne[0] >= k);
    struct g_tensor *t = g_make(g, OP_TOP_K, GGUF_TYPE_I32, k, a->ne[1], a->ne[2], a->ne[3]);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_tri(struct graph *g, struct g_tensor *a, int kind)
{
    G_CHECK(g, a && g_is_contiguous(a) && a->ne[0] == a->ne[1]);
    struct g_tensor *t = g_make_like(g, OP_TRI, a);
    t->param[0] = kind;
    return t;
}

struct g_tensor *g_solve_tri(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && a->ne[0] == a->ne[1] && a->ne[1] == b->ne[1] && a->ne[2] == b->ne[2] &&
                   a->ne[3] == b->ne[3] && g_is_contiguous(a) && g_is_contiguous(b));
    struct g_tensor *t =
        g_make(g, OP_SOLVE_TRI, GGUF_TYPE_F32, b->ne[0], b->ne[1], b->ne[2], b->ne[3]);
    t->src[0] = a;
    t->src[1] = b;
    return t;
}
