/* pooling: what follows the embeddings when the engine serves embeddings or ranks (behaviour of
 * llama.cpp src/llama-graph.cpp build_pooling, build_dense_out). */
#include "law/build.h"

#include <string.h>

enum pooling { POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST, POOL_RANK };

static bool is(const struct builder *b, const char *architecture)
{
    return strcmp(b->m->architecture, architecture) == 0;
}

/* One row per sequence: the mean of its tokens'. */
static struct g_tensor *mean_rows(struct builder *b, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *mean = g_input(g, GGUF_TYPE_F32, b->n_tokens, b->n_seqs, 1, 1, "mean");

    return g_mul_mat(g, g_cont(g, g_transpose(g, x)), mean);
}

/* One row per sequence: that of its first or last token. */
static struct g_tensor *one_row(struct builder *b, struct g_tensor *x)
{
    return g_get_rows(b->g, x, g_input(b->g, GGUF_TYPE_I32, b->n_seqs, 1, 1, 1, "cls"));
}

/* Projection by a model-wide tensor, where there is one. */
static struct g_tensor *project(struct builder *b, enum tensor_role role, struct g_tensor *x)
{
    struct g_tensor *bias = b_weight(b, -1, role, PART_BIAS);

    x = g_mul_mat(b->g, b_weight(b, -1, role, PART_WEIGHT), x);
    return bias ? g_add(b->g, x, bias) : x;
}

static struct g_tensor *rank(struct builder *b, struct g_tensor *x)
{
    bool modern = is(b, "modern-bert");

    x = modern ? mean_rows(b, x) : one_row(b, x);
    if (b_has(b, -1, ROLE_CLS, PART_WEIGHT)) {
        x = project(b, ROLE_CLS, x);
        x = g_unary(b->g, x, modern ? U_GELU : U_TANH);
        if (b_has(b, -1, ROLE_CLS_NORM, PART_WEIGHT))
            x = b_norm(b, -1, x, b_weight(b, -1, ROLE_CLS_NORM, PART_WEIGHT), NULL, NORM_LAYER);
    }
    if (b_has(b, -1, ROLE_CLS_OUTPUT, PART_WEIGHT))
        x = project(b, ROLE_CLS_OUTPUT, x);
    return is(b, "qwen3") || is(b, "qwen3vl") ? g_soft_max(b->g, x) : x;
}

static struct g_tensor *pool(struct builder *b, struct g_tensor *x)
{
    switch (b->m->hp.pooling) {
    case POOL_MEAN: return mean_rows(b, x);
    case POOL_CLS:
    case POOL_LAST: return one_row(b, x);
    case POOL_RANK: return rank(b, x);
    default: return x;
    }
}

void b_pool(struct builder *b, struct g_tensor *embeddings)
{
    struct g_tensor *x = pool(b, embeddings);

    g_expand(b->g, x);
    if (b_has(b, -1, ROLE_DENSE_2, PART_WEIGHT))
        x = project(b, ROLE_DENSE_2, x);
    if (b_has(b, -1, ROLE_DENSE_3, PART_WEIGHT))
        x = g_mul_mat(b->g, b_weight(b, -1, ROLE_DENSE_3, PART_WEIGHT), x);
    g_set_output(x);
    g_expand(b->g, x);
}
