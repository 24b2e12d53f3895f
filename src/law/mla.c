/* mla: families with latent attention: DeepSeek 2, 3 and kin, MiniCPM 3, PLM (behaviour of
 * llama.cpp src/models/deepseek2.cpp, minicpm3.cpp, plm.cpp). */
#include <string.h>

#include "law/special.h"

/* Query in heads; through a low rank where the model has one. */
static struct g_tensor *mla_query(struct builder *b, int layer, struct g_tensor *x,
                                  const struct mla_sizes *z)
{
    struct g_tensor *q;
    if (b_has(b, layer, ROLE_ATTN_Q, PART_WEIGHT)) {
        q = g_mul_mat(b->g, b_weight(b, layer, ROLE_ATTN_Q, PART_WEIGHT), x);
    } else {
        q = g_mul_mat(b->g, b_weight(b, layer, ROLE_ATTN_Q_A, PART_WEIGHT), x);
        q = b_norm_role(b, layer, q, ROLE_ATTN_Q_A_NORM, NORM_RMS);
        q = g_mul_mat(b->g, b_weight(b, layer, ROLE_ATTN_Q_B, PART_WEIGHT), q);
    }
    return g_reshape_3d(b->g, q, z->nope + z->rope, z->heads, b->n_tokens);
}

struct mla_row mla_compress(struct builder *b, int layer, struct g_tensor *x,
                            const struct mla_sizes *z)
{
    struct g_tensor *row = b_mm(b, layer, ROLE_ATTN_KV_A_MQA, x);
    uint64_t nb = (uint64_t)(z->rank + z->rope) * 4;
    return (struct mla_row){
        .latent = g_view_2d(b->g, row, z->rank, b->n_tokens, nb, 0),
        .k_pe = g_view_3d(b->g, row, z->rope, 1, b->n_tokens, nb, nb, (uint64_t)z->rank * 4),
    };
}

struct g_tensor *mla_absorbed(struct builder *b, int layer, struct g_tensor *q, struct mla_row row,
                              const struct mla_sizes *z, struct g_tensor *top_k)
{
    struct graph *g = b->g;
    struct g_tensor *q_nope =
        g_view_3d(g, q, z->nope, z->heads, b->n_tokens, q->nb[1], q->nb[2], 0);
    struct g_tensor *q_pe =
        g_view_3d(g, q, z->rope, z->heads, b->n_tokens, q->nb[1], q->nb[2], (uint64_t)z->nope * 4);
    q_pe = b_rope(b, q_pe, NULL, ROPE_NORMAL);
    q_nope = g_permute(g, q_nope, 0, 2, 1, 3);
    q_nope = g_mul_mat(g, b_weight(b, layer, ROLE_ATTN_K_B, PART_WEIGHT), q_nope);
    q_nope = g_permute(g, q_nope, 0, 2, 1, 3);
    struct g_tensor *query = g_concat(g, q_nope, q_pe, 0);
    struct g_tensor *latent = g_reshape_3d(g, row.latent, z->rank, 1, b->n_tokens);
    struct g_tensor *key = g_concat(g, latent, row.k_pe, 0);
    if (b->attn_scale)
        query = g_mul(g, query, b->attn_scale);
    return b_attn(b, layer,
                  &(struct b_attn_args){.q = query,
                                        .k = key,
                                        .v = latent,
                                        .latent = true,
                                        .top_k = top_k,
                                        .v_mla = b_weight(b, layer, ROLE_ATTN_V_B, PART_WEIGHT)});
}

/* Keys and values of every head are made from the latent row and cached as such. */
static struct g_tensor *mla_expanded(struct builder *b, int layer, struct g_tensor *q,
                                     struct mla_row row, const struct mla_sizes *z,
                                     struct g_tensor *factors, int mode,
                                     struct g_tensor *temperature, bool flat_v)
{
    struct graph *g = b->g;
    struct g_tensor *kv = b_mm(b, layer, ROLE_ATTN_KV_B, row.latent);
    uint64_t nb1 = (uint64_t)(z->nope + z->value) * 4, nb2 = nb1 * (uint64_t)z->heads;
    struct g_tensor *k_nope = g_view_3d(g, kv, z->nope, z->heads, b->n_tokens, nb1, nb2, 0);
    struct g_tensor *v = g_cont(
        g, g_view_3d(g, kv, z->value, z->heads, b->n_tokens, nb1, nb2, (uint64_t)z->nope * 4));
    if (flat_v)
        v = g_view_2d(g, v, z->value * z->heads, b->n_tokens, (uint64_t)(z->value * z->heads) * 4,
                      0);
    q = b_rope(b, q, factors, mode);
    struct g_tensor *k_pe = g_repeat_4d(g, row.k_pe, z->rope, z->heads, b->n_tokens, 1);
    struct g_tensor *k = g_concat(g, k_nope, k_pe, 0);
    if (temperature)
        q = g_mul(g, q, temperature);
    return b_attn(b, layer, &(struct b_attn_args){.q = q, .k = k, .v = v});
}

struct mla_sizes mla_sizes_of(const struct builder *b)
{
    const struct model_hparams *hp = &b->m->hp;
    bool latent = hp->head_dim_k_mla && hp->head_dim_v_mla;
    uint32_t key = latent ? hp->head_dim_k_mla : hp->head_dim_k;
    return (struct mla_sizes){
        .heads = hp->n_head,
        .rope = hp->n_rot,
        .nope = (int64_t)key - hp->n_rot,
        .value = latent ? hp->head_dim_v_mla : hp->head_dim_v,
        .rank = hp->n_lora_kv,
    };
}

/* The language part of DeepSeek-OCR attends in the ordinary way. */
static struct g_tensor *ocr_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    p.q = b_rope(b, p.q, NULL, ROPE_NEOX);
    p.k = b_rope(b, p.k, NULL, ROPE_NEOX);
    return b_attn(b, layer, &(struct b_attn_args){.q = p.q, .k = p.k, .v = p.v});
}

static struct g_tensor *deepseek2_attention(struct builder *b, int layer, struct g_tensor *x,
                                            const struct mla_sizes *z)
{
    if (!b_has(b, layer, ROLE_ATTN_KV_A_MQA, PART_WEIGHT))
        return ocr_attention(b, layer, x);
    struct g_tensor *q = mla_query(b, layer, x, z);
    struct mla_row row = mla_compress(b, layer, x, z);
    row.k_pe = b_rope(b, row.k_pe, NULL, ROPE_NORMAL);
    row.latent = b_norm_role(b, layer, row.latent, ROLE_ATTN_KV_A_NORM, NORM_RMS);
    if (b->m->layers[layer].kv == KV_LATENT)
        return mla_absorbed(b, layer, q, row, z, NULL);
    return mla_expanded(b, layer, q, row, z, NULL, ROPE_NORMAL, b->attn_scale, false);
}

struct g_tensor *sp_routed_ffn(struct builder *b, int layer, struct g_tensor *x, bool norm)
{
    struct b_ffn_roles shared = {ROLE_FFN_UP_SHEXP, ROLE_FFN_GATE_SHEXP, ROLE_FFN_DOWN_SHEXP};
    struct b_moe_args moe = {.act = ACT_SILU,
                             .norm_w = norm,
                             .scale_w = true,
                             .down_f32 = strcmp(b->m->architecture, "mistral4") == 0};
    if ((uint32_t)layer < b->m->hp.n_expert_dense_lead)
        return b_ffn(b, layer, x, ACT_SILU, GATE_PAR);
    struct g_tensor *routed = b_moe(b, layer, x, &moe);
    return g_add(b->g, routed, b_ffn_roles(b, layer, x, shared, ACT_SILU, GATE_PAR));
}

struct g_tensor *mla_after_attention(struct builder *b, int layer, struct g_tensor *attn,
                                     struct g_tensor *x)
{
    attn = sp_wanted(b, layer, attn);
    struct g_tensor *mid = g_add(b->g, attn, sp_wanted(b, layer, x));
    x = b_norm_role(b, layer, mid, ROLE_FFN_NORM, NORM_RMS);
    return g_add(b->g, sp_routed_ffn(b, layer, x, b->m->hp.expert_weights_norm), mid);
}

struct g_tensor *deepseek2_block(struct builder *b, int layer, struct g_tensor *x)
{
    struct mla_sizes z = mla_sizes_of(b);
    struct g_tensor *norm = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
    return mla_after_attention(b, layer, deepseek2_attention(b, layer, norm, &z), x);
}

void graph_deepseek2(struct builder *b)
{
    struct g_tensor *x = b_inp_embd(b);
    if (b->m->hp.f_attn_temp_scale != 0)
        b->attn_scale = g_input(b->g, GGUF_TYPE_F32, 1, 1, b->n_tokens, 1, "inp_attn_scale");
    b_inp_pos(b, 1);
    if (b->m->layers[0].kv == KV_LATENT)
        b_attn_inputs_latent(b);
    else
        b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++)
        x = deepseek2_block(b, il, x);
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}

/* Expanded keys and values with rotation on the shared part only. */
static struct g_tensor *expanded_attention(struct builder *b, int layer, struct g_tensor *x,
                                           const struct mla_sizes *z, int mode, bool flat_v)
{
    struct g_tensor *factors = flat_v ? NULL : b_rope_factors(b, layer);
    struct g_tensor *q = mla_query(b, layer, x, z);
    struct mla_row row = mla_compress(b, layer, x, z);
    row.latent = b_norm_role(b, layer, row.latent, ROLE_ATTN_KV_A_NORM, NORM_RMS);
    row.k_pe = b_rope(b, row.k_pe, factors, mode);
    return mla_expanded(b, layer, q, row, z, factors, mode, NULL, flat_v);
}

void graph_minicpm3(struct builder *b)
{
    struct graph *g = b->g;
    struct mla_sizes z = mla_sizes_of(b);
    struct g_tensor *x = g_scale(g, b_inp_embd(b));
    b_inp_pos(b, 1);
    b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = g_scale(g, sp_wanted(b, il, expanded_attention(b, il, cur, &z, ROPE_NEOX, false)));
        struct g_tensor *mid = g_add(g, cur, sp_wanted(b, il, x));
        cur = b_norm_role(b, il, mid, ROLE_FFN_NORM, NORM_RMS);
        cur = g_scale(g, b_ffn(b, il, cur, ACT_SILU, GATE_PAR));
        x = g_add(g, cur, mid);
    }
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, NORM_RMS);
    b_finish(b, x, b_output(b, g_scale(g, x)));
}

void graph_plm(struct builder *b)
{
    struct mla_sizes z = mla_sizes_of(b);
    struct g_tensor *x = b_inp_embd(b);
    b_inp_pos(b, 1);
    b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = sp_wanted(b, il, expanded_attention(b, il, cur, &z, ROPE_NORMAL, true));
        struct g_tensor *mid = g_add(b->g, cur, sp_wanted(b, il, x));
        cur = b_norm_role(b, il, mid, ROLE_FFN_NORM, NORM_RMS);
        x = g_add(b->g, b_ffn(b, il, cur, ACT_RELU_SQR, GATE_SEQ), mid);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
