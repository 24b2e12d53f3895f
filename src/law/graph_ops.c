/* graph_ops: constructors of arithmetic, reductions, norms, products and gates. */
#include "law/graph_make.h"

static bool can_repeat(const struct g_tensor *small, const struct g_tensor *big)
{
    for (int i = 0; i < 4; i++)
        if (small->ne[i] ? big->ne[i] % small->ne[i] : big->ne[i])
            return false;
    return true;
}

static struct g_tensor *unary_like(struct graph *g, uint8_t op, struct g_tensor *a)
{
    return g_make_like(g, op, a);
}

static struct g_tensor *binary_like(struct graph *g, uint8_t op, struct g_tensor *a,
                                    struct g_tensor *b)
{
    G_CHECK(g, a && b && can_repeat(b, a));
    struct g_tensor *t = g_make_like(g, op, a);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_add(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    return binary_like(g, OP_ADD, a, b);
}

struct g_tensor *g_add_inplace(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && can_repeat(b, a));
    struct g_tensor *t = g_make_same(g, OP_ADD, a);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_add_id(struct graph *g, struct g_tensor *a, struct g_tensor *b,
                          struct g_tensor *ids)
{
    G_CHECK(g, a && b && ids && a->ne[0] == b->ne[0] && a->ne[1] == ids->ne[0] &&
                   a->ne[2] == ids->ne[1] && ids->type == GGUF_TYPE_I32);
    struct g_tensor *t = g_make_like(g, OP_ADD_ID, a);
    t->src[1] = b;
    t->src[2] = ids;
    return t;
}

struct g_tensor *g_add1(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && g_nelements(b) == 1);
    struct g_tensor *t = g_make_like(g, OP_ADD1, a);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_sub(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    return binary_like(g, OP_SUB, a, b);
}

struct g_tensor *g_mul(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    return binary_like(g, OP_MUL, a, b);
}

struct g_tensor *g_div(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    return binary_like(g, OP_DIV, a, b);
}

struct g_tensor *g_sqr(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_SQR, a);
}

struct g_tensor *g_sqrt(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_SQRT, a);
}

struct g_tensor *g_log(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_LOG, a);
}

struct g_tensor *g_sin(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_SIN, a);
}

struct g_tensor *g_cos(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_COS, a);
}

static struct g_tensor *reduce(struct graph *g, uint8_t op, uint32_t type, struct g_tensor *a,
                               int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    struct g_tensor *t = g_make(g, op, type, n0, n1, n2, n3);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_sum(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a);
    return reduce(g, OP_SUM, a->type, a, 1, 1, 1, 1);
}

struct g_tensor *g_sum_rows(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a);
    return reduce(g, OP_SUM_ROWS, a->type, a, 1, a->ne[1], a->ne[2], a->ne[3]);
}

struct g_tensor *g_mean(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a);
    return reduce(g, OP_MEAN, GGUF_TYPE_F32, a, 1, a->ne[1], a->ne[2], a->ne[3]);
}

struct g_tensor *g_argmax(struct graph *g, struct g_tensor *a)
{
    G_CHECK(g, a && a->ne[2] == 1 && a->ne[3] == 1);
    return reduce(g, OP_ARGMAX, GGUF_TYPE_I32, a, a->ne[1], 1, 1, 1);
}

struct g_tensor *g_cumsum(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_CUMSUM, a);
}

struct g_tensor *g_repeat_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                             int64_t n2, int64_t n3)
{
    G_CHECK(g, a && can_repeat(a, &(struct g_tensor){
                                      .ne = {n0, n1, n2, n3}
    }));
    return reduce(g, OP_REPEAT, a->type, a, n0, n1, n2, n3);
}

struct g_tensor *g_repeat(struct graph *g, struct g_tensor *a, struct g_tensor *like)
{
    G_CHECK(g, a && like);
    return g_repeat_4d(g, a, like->ne[0], like->ne[1], like->ne[2], like->ne[3]);
}

struct g_tensor *g_concat(struct graph *g, struct g_tensor *a, struct g_tensor *b, int dim)
{
    G_CHECK(g, a && b && dim >= 0 && dim < 4 && a->type == b->type);
    int64_t ne[4];
    for (int d = 0; d < 4; d++) {
        ne[d] = d == dim ? a->ne[d] + b->ne[d] : a->ne[d];
        G_CHECK(g, d == dim || a->ne[d] == b->ne[d]);
    }
    struct g_tensor *t = reduce(g, OP_CONCAT, a->type, a, ne[0], ne[1], ne[2], ne[3]);
    t->src[1] = b;
    t->param[0] = dim;
    return t;
}

struct g_tensor *g_norm(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_NORM, a);
}

struct g_tensor *g_rms_norm(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_RMS_NORM, a);
}

struct g_tensor *g_group_norm(struct graph *g, struct g_tensor *a, int groups)
{
    struct g_tensor *t = unary_like(g, OP_GROUP_NORM, a);
    t->param[0] = groups;
    return t;
}

struct g_tensor *g_l2_norm(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_L2_NORM, a);
}

static bool batches_fit(const struct g_tensor *a, const struct g_tensor *b)
{
    return a->ne[2] > 0 && a->ne[3] > 0 && b->ne[2] % a->ne[2] == 0 && b->ne[3] % a->ne[3] == 0;
}

struct g_tensor *g_mul_mat(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && a->ne[0] == b->ne[0] && batches_fit(a, b) && !g_is_transposed(a));
    struct g_tensor *t =
        reduce(g, OP_MUL_MAT, GGUF_TYPE_F32, a, a->ne[1], b->ne[1], b->ne[2], b->ne[3]);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_mul_mat_id(struct graph *g, struct g_tensor *as, struct g_tensor *b,
                              struct g_tensor *ids)
{
    G_CHECK(g, as && b && ids && !g_is_transposed(as) && ids->type == GGUF_TYPE_I32 &&
                   as->ne[3] == 1 && b->ne[3] == 1 && ids->ne[2] == 1 && ids->ne[3] == 1 &&
                   ids->ne[1] == b->ne[2] && as->ne[0] == b->ne[0] && b->ne[1] > 0 &&
                   ids->ne[0] % b->ne[1] == 0);
    struct g_tensor *t =
        reduce(g, OP_MUL_MAT_ID, GGUF_TYPE_F32, as, as->ne[1], ids->ne[0], b->ne[2], 1);
    t->src[1] = b;
    t->src[2] = ids;
    return t;
}

struct g_tensor *g_out_prod(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && a->ne[1] == b->ne[1] && batches_fit(a, b) && !g_is_transposed(a));
    struct g_tensor *t =
        reduce(g, OP_OUT_PROD, GGUF_TYPE_F32, a, a->ne[0], b->ne[0], b->ne[2], b->ne[3]);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_scale(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_SCALE, a);
}

struct g_tensor *g_scale_inplace(struct graph *g, struct g_tensor *a)
{
    return g_make_same(g, OP_SCALE, a);
}

struct g_tensor *g_set_inplace(struct graph *g, struct g_tensor *a, struct g_tensor *b)
{
    G_CHECK(g, a && b && g_nelements(a) >= g_nelements(b));
    struct g_tensor *t = g_make_same(g, OP_SET, a);
    t->src[1] = b;
    return t;
}

struct g_tensor *g_clamp(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_CLAMP, a);
}

struct g_tensor *g_fill(struct graph *g, struct g_tensor *a)
{
    return unary_like(g, OP_FILL, a);
}

struct g_tensor *g_fill_inplace(struct graph *g, struct g_tensor *a)
{
    return g_make_same(g, OP_FILL, a);
}

struct g_tensor *g_arange(struct graph *g, int64_t n)
{
    return g_make(g, OP_ARANGE, GGUF_TYPE_F32, n, 1, 1, 1);
}

struct g_tensor *g_unary(struct graph *g, struct g_tensor *a, enum g_unary op)
{
    G_CHECK(g, a && g_is_contiguous_rows(a));
    struct g_tensor *t = unary_like(g, OP_UNARY, a);
    t->sub = (uint8_t)op;
    return t;
}

struct g_tensor *g_unary_inplace(struct graph *g, struct g_tensor *a, enum g_unary op)
{
    G_CHECK(g, a && g_is_contiguous_rows(a));
    struct g_tensor *t = g_make_same(g, OP_UNARY, a);
    t->sub = (uint8_t)op;
    return t;
}

struct g_tensor *g_xielu(struct graph *g, struct g_tensor *a)
{
    struct g_tensor *t = unary_like(g, OP_UNARY, a);
    t->sub = U_XIELU;
    return t;
}

struct g_tensor *g_glu(struct graph *g, struct g_tensor *a, enum g_glu op, bool swapped)
{
    G_CHECK(g, a && g_is_contiguous_1(a));
    struct g_tensor *t = reduce(g, OP_GLU, a->type, a, a->ne[0] / 2, a->ne[1], a->ne[2], a->ne[3]);
    t->sub = (uint8_t)op;
    t->param[0] = swapped;
    return t;
}

struct g_tensor *g_glu_split(struct graph *g, struct g_tensor *a, struct g_tensor *b, enum g_glu op)
{
    G_CHECK(g, a && b && g_is_contiguous_1(a) && g_is_contiguous_1(b) && g_same_shape(a, b) &&
                   a->type == b->type);
    struct g_tensor *t = unary_like(g, OP_GLU, a);
    t->src[1] = b;
    t->sub = (uint8_t)op;
    return t;
}
