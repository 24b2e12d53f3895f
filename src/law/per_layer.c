/* per_layer: Gemma 3n and Gemma 4: an embedding of the token for every layer, caches shared by
 * later layers (behaviour of llama.cpp src/models/gemma3n.cpp, gemma4.cpp). */
#include "law/special.h"

enum { SPARSE_LAYERS = 10 }; /* of Gemma 3n: the first ones keep only their strongest gates */

static struct g_tensor *slice(struct builder *b, struct g_tensor *x, int64_t i)
{
    uint64_t row = (uint64_t)x->ne[0] * 4;
    return g_view_2d(b->g, x, x->ne[0], x->ne[1], row, (uint64_t)(i * x->ne[1]) * row);
}

static struct g_tensor *all_but_first(struct builder *b, struct g_tensor *x)
{
    uint64_t row = (uint64_t)x->ne[0] * 4, one = row * (uint64_t)x->ne[1];
    return g_view_3d(b->g, x, x->ne[0], x->ne[1], x->ne[2] - 1, row, one, one);
}

static struct g_tensor *plain_mm(struct builder *b, int layer, enum tensor_role role,
                                 struct g_tensor *x)
{
    return g_mul_mat(b->g, b_weight(b, layer, role, PART_WEIGHT), x);
}

/* The token's own rows, one per layer. */
static struct g_tensor *token_rows(struct builder *b)
{
    struct graph *g = b->g;
    struct g_tensor *tokens = g_input(g, GGUF_TYPE_I32, b->n_tokens, 1, 1, 1, "inp_tokens");
    struct g_tensor *x =
        g_get_rows(g, b_weight(b, -1, ROLE_PER_LAYER_TOKEN_EMBD, PART_WEIGHT), tokens);
    x = g_scale(g, g_reshape_3d(g, x, b->m->hp.n_embd_per_layer, sp_layers(b), b->n_tokens));
    g_expand(g, x);
    return x;
}

/* They are mixed with a projection of the embedding: [n_embd_per_layer, tokens, layers]. */
static struct g_tensor *per_layer_inputs(struct builder *b, struct g_tensor *embedding)
{
    struct graph *g = b->g;
    struct g_tensor *rows = token_rows(b);
    struct g_tensor *x = g_scale(g, plain_mm(b, -1, ROLE_PER_LAYER_MODEL_PROJ, embedding));
    x = g_reshape_3d(g, x, b->m->hp.n_embd_per_layer, sp_layers(b), b->n_tokens);
    x = b_norm_role(b, -1, x, ROLE_PER_LAYER_PROJ_NORM, NORM_RMS);
    x = g_scale(g, g_add(g, x, rows));
    return g_cont(g, g_permute(g, x, 0, 2, 1, 3));
}

static struct g_tensor *soft_capped(struct builder *b, struct g_tensor *logits)
{
    struct graph *g = b->g;
    if (b->m->hp.f_final_logit_softcap == 0)
        return logits;
    return g_scale(g, g_unary(g, g_scale(g, logits), U_TANH));
}

/* Gemma 3n carries several versions of the stream beside each other. */
static struct g_tensor *magnitude(struct builder *b, struct g_tensor *x)
{
    return g_sqrt(b->g, g_sum_rows(b->g, g_sqr(b->g, x)));
}

static struct g_tensor *with_magnitude(struct builder *b, struct g_tensor *x,
                                       struct g_tensor *wanted)
{
    struct g_tensor *have = magnitude(b, x);
    return g_div(b->g, g_mul(b->g, x, wanted), have);
}

static struct g_tensor *streams_made(struct builder *b, struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t others = (int64_t)b->m->hp.altup_inputs - 1;
    struct g_tensor *wanted = magnitude(b, x);
    struct g_tensor *more = g_repeat_4d(g, x, x->ne[0], b->n_tokens, others, 1);
    more = with_magnitude(b, plain_mm(b, -1, ROLE_ALTUP_PROJ, more), wanted);
    return g_concat(g, x, more, 2);
}

static struct g_tensor *streams_merged(struct builder *b, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *wanted = magnitude(b, slice(b, x, 0));
    struct g_tensor *more = plain_mm(b, -1, ROLE_ALTUP_UNEMBD_PROJ, all_but_first(b, x));
    more = with_magnitude(b, more, wanted);
    x = slice(b, x, 0);
    for (uint32_t i = 0; i + 1 < b->m->hp.altup_inputs; i++)
        x = g_add(g, x, slice(b, more, i));
    return g_scale(g, x);
}

static struct g_tensor *routing(struct builder *b, int layer, struct g_tensor *x)
{
    x = g_scale(b->g, b_norm_role(b, layer, x, ROLE_ALTUP_ROUTER_NORM, NORM_RMS));
    return g_unary(b->g, plain_mm(b, layer, ROLE_ALTUP_ROUTER, x), U_TANH);
}

static struct g_tensor *predicted(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t n = b->m->hp.altup_inputs;
    struct g_tensor *coef = routing(b, layer, slice(b, x, 0));
    coef = b_mm(b, layer, ROLE_ALTUP_PREDICT_COEF, coef);
    coef = g_reshape_3d(g, coef, n, n, b->n_tokens);
    struct g_tensor *y = g_mul_mat(g, g_cont(g, g_permute(g, x, 1, 2, 0, 3)), coef);
    y = g_cont(g, g_permute(g, y, 0, 2, 1, 3));
    return g_add(g, y, x);
}

static struct g_tensor *corrected(struct builder *b, int layer, struct g_tensor *predictions,
                                  struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t n = b->m->hp.altup_inputs;
    struct g_tensor *coef = routing(b, layer, x);
    struct g_tensor *news = g_sub(g, x, slice(b, predictions, 0));
    coef = g_scale(g, b_mm(b, layer, ROLE_ALTUP_CORRECT_COEF, coef));
    coef = g_cont_3d(g, g_transpose(g, coef), 1, b->n_tokens, n);
    news = g_repeat_4d(g, news, news->ne[0], b->n_tokens, n, 1);
    return g_add(g, g_mul(g, news, coef), predictions);
}

static struct g_tensor *laurel(struct builder *b, int layer, struct g_tensor *x)
{
    struct g_tensor *y = b_mm(b, layer, ROLE_LAUREL_L, x);
    y = b_mm(b, layer, ROLE_LAUREL_R, y);
    return g_add(b->g, b_norm_role(b, layer, y, ROLE_LAUREL_POST_NORM, NORM_RMS), x);
}

static struct g_tensor *rotated_query(struct builder *b, int layer, struct g_tensor *q,
                                      struct g_tensor *factors)
{
    q = b_norm_role(b, layer, q, ROLE_ATTN_Q_NORM, NORM_RMS);
    return b_rope(b, q, factors, ROPE_NEOX);
}

static struct g_tensor *only_query(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    const struct model_layer *l = &b->m->layers[layer];
    int64_t width = (int64_t)l->head_dim_k * l->n_head;
    if (b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT)) {
        x = b_mm(b, layer, ROLE_ATTN_QKV, x);
        x = g_cont(g, g_view_2d(g, x, width, b->n_tokens, x->nb[1], 0));
    } else {
        x = b_mm(b, layer, ROLE_ATTN_Q, x);
    }
    return g_reshape_3d(g, x, l->head_dim_k, l->n_head, b->n_tokens);
}

static struct g_tensor *gemma3n_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_attn_args args = {0};
    if (b->m->layers[layer].kv == KV_SHARED) {
        args.q = rotated_query(b, layer, only_query(b, layer, x), NULL);
        return b_attn(b, layer, &args);
    }
    struct b_qkv p = b_make_qkv(b, layer, x);
    args.q = rotated_query(b, layer, p.q, NULL);
    args.k = b_norm_role(b, layer, p.k, ROLE_ATTN_K_NORM, NORM_RMS);
    args.k = b_rope(b, args.k, NULL, ROPE_NEOX);
    args.v = g_rms_norm(b->g, p.v);
    return b_attn(b, layer, &args);
}

/* Only gates far above the mean stay. */
static struct g_tensor *sparse_gate(struct builder *b, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *mean = g_mean(g, x);
    struct g_tensor *spread = g_sum_rows(g, g_sqr(g, g_sub(g, x, mean)));
    spread = g_sqrt(g, g_scale(g, spread));
    struct g_tensor *least = g_add(g, mean, g_scale(g, spread));
    return g_unary(g, g_sub(g, x, least), U_RELU);
}

static struct g_tensor *gemma3n_ffn(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *up = b_mm(b, layer, ROLE_FFN_UP, x);
    struct g_tensor *gate = b_mm(b, layer, ROLE_FFN_GATE, x);
    if (layer < SPARSE_LAYERS)
        gate = sparse_gate(b, gate);
    x = b_mm(b, layer, ROLE_FFN_DOWN, g_mul(g, up, g_unary(g, gate, U_GELU)));
    return b_norm(b, -1, x, b_weight(b, layer, ROLE_FFN_POST_NORM, PART_WEIGHT), NULL, NORM_RMS);
}

/* The layer's own embedding, gated by x. */
static struct g_tensor *own_embedding(struct builder *b, int layer, struct g_tensor *x,
                                      struct g_tensor *per_layer)
{
    struct graph *g = b->g;
    x = g_unary(g, b_mm(b, layer, ROLE_PER_LAYER_INP_GATE, x), U_GELU);
    x = g_mul(g, x, slice(b, per_layer, layer));
    x = b_mm(b, layer, ROLE_PER_LAYER_PROJ, x);
    return b_norm_role(b, layer, x, ROLE_PER_LAYER_POST_NORM, NORM_RMS);
}

static struct g_tensor *gemma3n_layer(struct builder *b, int layer, struct g_tensor *x,
                                      struct g_tensor *per_layer)
{
    struct graph *g = b->g;
    struct g_tensor *predictions = predicted(b, layer, x);
    struct g_tensor *active = slice(b, predictions, 0);
    struct g_tensor *cur = b_norm_role(b, layer, active, ROLE_ATTN_NORM, NORM_RMS);
    struct g_tensor *side = laurel(b, layer, cur);
    cur = gemma3n_attention(b, layer, cur);
    cur = b_norm_role(b, layer, cur, ROLE_ATTN_POST_NORM, NORM_RMS);
    cur = g_add(g, cur, active);
    struct g_tensor *mid = g_scale(g, g_add(g, cur, side));
    cur = gemma3n_ffn(b, layer, b_norm_role(b, layer, mid, ROLE_FFN_NORM, NORM_RMS));
    struct g_tensor *all = corrected(b, layer, predictions, g_add(g, cur, mid));
    struct g_tensor *first =
        g_mul(g, slice(b, all, 0), b_weight(b, layer, ROLE_ALTUP_CORRECT_SCALE, PART_WEIGHT));
    first = own_embedding(b, layer, first, per_layer);
    struct g_tensor *head = slice(b, all, 0);
    return g_concat(g, head, g_add(g, all_but_first(b, all), first), 2);
}

void graph_gemma3n(struct builder *b)
{
    if (b->m->hp.altup_inputs < 2) {
        sp_fail(b, "gemma3n: fewer than two streams");
        return;
    }
    struct g_tensor *x = g_scale(b->g, b_inp_embd(b));
    b_inp_pos(b, 1);
    b_attn_inputs(b);
    struct g_tensor *per_layer = per_layer_inputs(b, x);
    x = streams_made(b, x);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++)
        x = gemma3n_layer(b, il, x, per_layer);
    x = streams_merged(b, x);
    b_inp_out_ids(b);
    x = b_norm_role(b, -1, b_take_outputs(b, x), ROLE_OUTPUT_NORM, NORM_RMS);
    b_finish(b, x, soft_capped(b, b_output(b, x)));
}

static struct g_tensor *gemma4_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    const struct model_layer *l = &b->m->layers[layer];
    struct g_tensor *factors = l->window ? NULL : b_rope_factors(b, layer);
    int64_t kv = (int64_t)l->head_dim_k * l->n_head_kv, q = (int64_t)l->head_dim_k * l->n_head;
    struct g_tensor *fused = NULL, *query, *k, *v;
    if (b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT)) {
        fused = b_mm(b, layer, ROLE_ATTN_QKV, x);
        query = g_cont(g, g_view_2d(g, fused, q, b->n_tokens, fused->nb[1], 0));
    } else {
        query = b_mm(b, layer, ROLE_ATTN_Q, x);
    }
    query = g_reshape_3d(g, query, l->head_dim_k, l->n_head, b->n_tokens);
    query = rotated_query(b, layer, query, factors);
    if (l->kv == KV_SHARED)
        return b_attn(b, layer, &(struct b_attn_args){.q = query});
    if (fused) {
        k = g_cont(g, g_view_2d(g, fused, kv, b->n_tokens, fused->nb[1], (uint64_t)q * 4));
        v = g_cont(g, g_view_2d(g, fused, kv, b->n_tokens, fused->nb[1], (uint64_t)(q + kv) * 4));
    } else {
        k = b_mm(b, layer, ROLE_ATTN_K, x);
        v = b_has(b, layer, ROLE_ATTN_V, PART_WEIGHT) ? b_mm(b, layer, ROLE_ATTN_V, x) : k;
    }
    k = g_reshape_3d(g, k, l->head_dim_k, l->n_head_kv, b->n_tokens);
    v = g_reshape_3d(g, v, l->head_dim_k, l->n_head_kv, b->n_tokens);
    k = b_norm_role(b, layer, k, ROLE_ATTN_K_NORM, NORM_RMS);
    v = g_rms_norm(g, v);
    k = b_rope(b, k, factors, ROPE_NEOX);
    return b_attn(b, layer, &(struct b_attn_args){.q = query, .k = k, .v = v});
}

static struct g_tensor *normed_with(struct builder *b, int layer, struct g_tensor *x,
                                    enum tensor_role role)
{
    return b_norm_role(b, layer, x, role, NORM_RMS);
}

/* A dense block and experts side by side; the router has a norm of its own. */
static struct g_tensor *gemma4_moe(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct b_moe_args moe = {.act = ACT_GELU, .norm_w = true, .gating = GATING_SOFTMAX};
    struct g_tensor *dense = normed_with(b, layer, x, ROLE_FFN_NORM);
    dense = b_ffn(b, layer, dense, ACT_GELU, GATE_PAR);
    dense = normed_with(b, layer, dense, ROLE_FFN_POST_NORM_1);
    struct g_tensor *routed = normed_with(b, layer, x, ROLE_FFN_PRE_NORM_2);
    struct g_tensor *seen = g_scale(g, g_rms_norm(g, x));
    seen = g_mul(g, seen, b_weight(b, layer, ROLE_FFN_GATE_INP, PART_SCALE));
    moe.logits_in = plain_mm(b, layer, ROLE_FFN_GATE_INP, seen);
    routed = b_moe(b, layer, routed, &moe);
    return g_add(g, dense, normed_with(b, layer, routed, ROLE_FFN_POST_NORM_2));
}

static struct g_tensor *gemma4_layer(struct builder *b, int layer, struct g_tensor *x,
                                     struct g_tensor *per_layer)
{
    struct graph *g = b->g;
    struct g_tensor *scale = b_weight(b, layer, ROLE_LAYER_OUT_SCALE, PART_WEIGHT);
    struct g_tensor *cur = normed_with(b, layer, x, ROLE_ATTN_NORM);
    cur = gemma4_attention(b, layer, cur);
    struct g_tensor *mid = g_add(g, normed_with(b, layer, cur, ROLE_ATTN_POST_NORM), x);
    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        cur = gemma4_moe(b, layer, mid);
    else
        cur = b_ffn(b, layer, normed_with(b, layer, mid, ROLE_FFN_NORM), ACT_GELU, GATE_PAR);
    cur = b_norm(b, -1, cur, b_weight(b, layer, ROLE_FFN_POST_NORM, PART_WEIGHT), NULL, NORM_RMS);
    cur = g_add(g, cur, mid);
    if (per_layer)
        cur = g_add(g, cur, own_embedding(b, layer, cur, per_layer));
    return scale ? g_mul(g, cur, scale) : cur;
}

void graph_gemma4(struct builder *b)
{
    struct g_tensor *x = g_scale(b->g, b_inp_embd(b)), *per_layer = NULL;
    b_inp_pos(b, 1);
    b_attn_inputs(b);
    b_inp_out_ids(b);
    if (b_has(b, -1, ROLE_PER_LAYER_TOKEN_EMBD, PART_WEIGHT))
        per_layer = per_layer_inputs(b, x);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++)
        x = gemma4_layer(b, il, x, per_layer);
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, NORM_RMS);
    g_set_output(x);
    x = b_take_outputs(b, x);
    b_finish(b, x, soft_capped(b, b_output(b, x)));
}
