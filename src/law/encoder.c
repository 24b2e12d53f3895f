/* encoder: BERT and its kin, whose norms follow the sums (behaviour of llama.cpp
 * src/models/bert.cpp). */
#include "law/odd.h"

#include <string.h>

static bool is(const struct builder *b, const char *architecture)
{
    return strcmp(b->m->architecture, architecture) == 0;
}

static bool rotates(const struct builder *b)
{
    return is(b, "nomic-bert") || is(b, "nomic-bert-moe") || is(b, "jina-bert-v3");
}

static struct g_tensor *norm(struct builder *b, int layer, struct g_tensor *x,
                             enum tensor_role role)
{
    return b_norm_role(b, layer, x, role, NORM_LAYER);
}

static struct g_tensor *embeddings(struct builder *b)
{
    struct graph *g = b->g;
    struct g_tensor *x = b_inp_embd(b), *types, *positions;

    b_inp_pos(b, 1);
    if (b_has(b, -1, ROLE_TOKEN_TYPES, PART_WEIGHT)) {
        types = b_weight(b, -1, ROLE_TOKEN_TYPES, PART_WEIGHT);
        x = g_add(g, x, g_view_1d(g, types, b->m->hp.n_embd, 0));
    }
    if (is(b, "bert")) {
        positions = b_weight(b, -1, ROLE_POSITION_EMBD, PART_WEIGHT);
        x = g_add(g, g_get_rows(g, positions, b->pos), x);
    }
    return b_norm(b, 0, x, b_weight(b, -1, ROLE_TOKEN_EMBD_NORM, PART_WEIGHT),
                  b_weight(b, -1, ROLE_TOKEN_EMBD_NORM, PART_BIAS), NORM_LAYER);
}

static struct g_tensor *row_norm(struct builder *b, int layer, struct g_tensor *x,
                                 enum tensor_role role)
{
    struct g_tensor *row;

    if (!b_has(b, layer, role, PART_WEIGHT))
        return x;
    row = g_reshape_2d(b->g, x, x->ne[0] * x->ne[1], x->ne[2]);
    return g_reshape_3d(b->g, norm(b, layer, row, role), x->ne[0], x->ne[1], x->ne[2]);
}

static struct g_tensor *attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    struct b_attn_args args = {.v = p.v};

    args.q = row_norm(b, layer, p.q, ROLE_ATTN_Q_NORM);
    args.k = row_norm(b, layer, p.k, ROLE_ATTN_K_NORM);
    if (rotates(b)) {
        args.q = b_rope(b, args.q, NULL, 2);
        args.k = b_rope(b, args.k, NULL, 2);
    }
    return b_attn(b, layer, &args);
}

static struct g_tensor *feed_forward(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_moe_args moe = {.act = ACT_GELU, .scale_w = true, .gating = GATING_SOFTMAX};
    struct g_tensor *up = b_weight(b, layer, ROLE_FFN_UP, PART_WEIGHT);
    bool gated = b_has(b, layer, ROLE_FFN_GATE, PART_WEIGHT);

    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return b_moe(b, layer, x, &moe);
    if (is(b, "jina-bert-v2") && !gated && up && up->ne[1] != b->m->layers[layer].n_ff)
        return b_ffn(b, layer, x, ACT_GEGLU, GATE_PAR);
    return b_ffn(b, layer, x, is(b, "nomic-bert") ? ACT_SILU : ACT_GELU, GATE_PAR);
}

void graph_bert(struct builder *b)
{
    int n = (int)b->m->n_layers;
    struct g_tensor *x = embeddings(b), *y, *mid;

    b->alibi = b->m->hp.f_max_alibi_bias > 0.0;
    b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int layer = 0; layer < n && !b->g->failed; layer++) {
        y = attention(b, layer, x);
        if (layer == n - 1) {
            y = b_take_outputs(b, y);
            x = b_take_outputs(b, x);
        }
        mid = norm(b, layer, g_add(b->g, y, x), ROLE_ATTN_OUT_NORM);
        if (b_has(b, layer, ROLE_ATTN_NORM_2, PART_WEIGHT))
            mid = norm(b, layer, g_add(b->g, mid, x), ROLE_ATTN_NORM_2);
        y = feed_forward(b, layer, mid);
        x = norm(b, layer, g_add(b->g, y, mid), ROLE_LAYER_OUT_NORM);
    }
    b_finish(b, x, x);
}
