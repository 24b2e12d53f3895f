/* dsa: latent attention to the cells an indexer chooses: DeepSeek 3.2, GLM 5 (behaviour of
 * llama.cpp src/models/deepseek32.cpp, glm-dsa.cpp). */
#include <string.h>

#include "law/special.h"

struct index_parts {
    struct g_tensor *q, *weights;
};

/* Queries and weights of the indexer, cut by streams; its keys go to their cache. */
static struct index_parts index_parts(struct builder *b, int layer, struct g_tensor *x,
                                      struct g_tensor *low)
{
    struct graph *g = b->g;
    int64_t head = b->m->hp.index_head_dim, heads = b->m->hp.n_index_head, T = b->n_tokens;
    int mode = strcmp(b->m->architecture, "glm-dsa") == 0 ? ROPE_NORMAL : ROPE_NEOX;
    struct g_tensor *q = g_mul_mat(g, b_weight(b, layer, ROLE_INDEXER_ATTN_Q_B, PART_WEIGHT), low);
    struct g_tensor *k = g_mul_mat(g, b_weight(b, layer, ROLE_INDEXER_ATTN_K, PART_WEIGHT), x);
    struct g_tensor *w;
    int64_t streams = b->s->kv_unified ? 1 : b->n_seqs;

    q = b_rope(b, g_reshape_3d(g, q, head, heads, T), NULL, mode);
    k = b_norm_role(b, layer, k, ROLE_INDEXER_K_NORM, NORM_LAYER);
    k = b_rope(b, g_reshape_3d(g, k, head, 1, T), NULL, mode);
    q = g_mul_mat(g, b->index.k_rot, q);
    k = g_mul_mat(g, b->index.k_rot, k);
    b_store_index(b, layer, k, b->index.k_idxs);
    w = g_mul_mat(g, b_weight(b, layer, ROLE_INDEXER_PROJ, PART_WEIGHT), x);
    q = g_view_4d(g, q, q->ne[0], q->ne[1], q->ne[2] / streams, streams, q->nb[1], q->nb[2],
                  q->nb[3] / (uint64_t)streams, 0);
    w = g_view_4d(g, w, w->ne[0], w->ne[1] / streams, w->ne[2], streams, w->nb[1],
                  w->nb[2] / (uint64_t)streams, w->nb[3] / (uint64_t)streams, 0);
    return (struct index_parts){q, g_scale(g, w)};
}

static struct g_tensor *chosen_cells(struct builder *b, int layer, struct g_tensor *x,
                                     struct g_tensor *low)
{
    struct index_parts p = index_parts(b, layer, x, low);
    struct g_tensor *k = b_index_view(b, layer);
    struct g_tensor *score = g_lightning_indexer(b->g, p.q, k, p.weights, b->index.mask);
    int64_t most = b->m->hp.index_top_k;

    return g_cont(b->g, g_top_k(b->g, score, score->ne[0] < most ? score->ne[0] : most));
}

/* Layers without an indexer of their own attend to the cells of the one before. */
static struct g_tensor *sparse_attention(struct builder *b, int layer, struct g_tensor *x,
                                         const struct mla_sizes *z, struct g_tensor **top_k)
{
    struct graph *g = b->g;
    struct g_tensor *low = g_mul_mat(g, b_weight(b, layer, ROLE_ATTN_Q_A, PART_WEIGHT), x);

    low = b_norm_role(b, layer, low, ROLE_ATTN_Q_A_NORM, NORM_RMS);
    if (b->c->layer[layer].index_row)
        *top_k = chosen_cells(b, layer, x, low);
    if (!*top_k)
        return sp_fail(b, "the first layer has no indexer");
    struct g_tensor *q = g_mul_mat(g, b_weight(b, layer, ROLE_ATTN_Q_B, PART_WEIGHT), low);
    q = g_reshape_3d(g, q, z->nope + z->rope, z->heads, b->n_tokens);
    struct mla_row row = mla_compress(b, layer, x, z);
    row.k_pe = b_rope(b, row.k_pe, NULL, ROPE_NORMAL);
    row.latent = b_norm_role(b, layer, row.latent, ROLE_ATTN_KV_A_NORM, NORM_RMS);
    return mla_absorbed(b, layer, q, row, z, *top_k);
}

void graph_deepseek32(struct builder *b)
{
    struct mla_sizes z = mla_sizes_of(b);
    struct g_tensor *x = b_inp_embd(b), *top_k = NULL;

    b_inp_pos(b, 1);
    b_attn_inputs_latent(b);
    b_index_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *norm = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        x = mla_after_attention(b, il, sparse_attention(b, il, norm, &z, &top_k), x);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
