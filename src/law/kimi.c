/* kimi: Kimi Linear: delta attention with a gate per channel, and latent attention without
 * positions (behaviour of llama.cpp src/models/kimi-linear.cpp). */
#include "law/special.h"

enum { KDA_PARTS = 3 }; /* q, k and v have a convolution each */

static struct g_tensor *plain_mm(struct builder *b, int layer, enum tensor_role role,
                                 struct g_tensor *x)
{
    return g_mul_mat(b->g, b_weight(b, layer, role, PART_WEIGHT), x);
}

/* One of q, k, v: projected, convolved with its part of the state, whose tail is written back. */
static struct g_tensor *kda_conv(struct builder *b, int layer, struct g_tensor *x,
                                 struct g_tensor *state, int part)
{
    static const enum tensor_role conv[KDA_PARTS] = {ROLE_SSM_CONV1D_Q, ROLE_SSM_CONV1D_K,
                                                     ROLE_SSM_CONV1D_V};
    struct graph *g = b->g;
    int64_t head = b->m->hp.kda_head_dim, heads = b->m->hp.n_head, inner = head * heads;
    int64_t kernel = b->m->hp.ssm_conv, tail = kernel - 1;
    uint64_t nb1 = (uint64_t)tail * 4, part_size = nb1 * (uint64_t)inner;
    struct g_tensor *old = g_view_3d(g, state, tail, inner, b->n_seqs, nb1, KDA_PARTS * part_size,
                                     (uint64_t)part * part_size);
    x = g_reshape_3d(g, x, inner, b->n_seq_tokens, b->n_seqs);
    struct g_tensor *conv_x = g_concat(g, old, g_transpose(g, x), 0);
    struct g_tensor *last = g_view_3d(g, conv_x, tail, inner, b->n_seqs, conv_x->nb[1],
                                      conv_x->nb[2], (uint64_t)b->n_seq_tokens * 4);
    struct g_tensor *into = g_view_3d(g, b_r_state(b, layer), tail, inner, b->n_seqs, nb1,
                                      KDA_PARTS * part_size, (uint64_t)part * part_size);
    g_expand(g, g_cpy(g, last, into));
    struct g_tensor *w = b_weight(b, layer, conv[part], PART_WEIGHT);
    x = g_ssm_conv(g, conv_x, g_reshape_2d(g, w, kernel, inner));
    x = g_unary(g, g_reshape_2d(g, x, inner, b->n_tokens), U_SILU);
    return g_reshape_4d(g, x, head, heads, b->n_seq_tokens, b->n_seqs);
}

static void kda_qkv(struct builder *b, int layer, struct g_tensor *x, struct b_delta *in)
{
    static const enum tensor_role role[KDA_PARTS] = {ROLE_ATTN_Q, ROLE_ATTN_K, ROLE_ATTN_V};
    struct graph *g = b->g;
    int64_t inner = (int64_t)b->m->hp.kda_head_dim * b->m->hp.n_head;
    int64_t tail = (int64_t)b->m->hp.ssm_conv - 1;
    struct g_tensor *state = b_rs_gather(b, b_r_state(b, layer), KDA_PARTS * tail * inner);
    struct g_tensor *joint = NULL, *out[KDA_PARTS];
    if (b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT))
        joint = plain_mm(b, layer, ROLE_ATTN_QKV, x);
    for (int i = 0; i < KDA_PARTS; i++) {
        struct g_tensor *y;
        if (joint)
            y = g_cont(g, g_view_2d(g, joint, inner, b->n_tokens, joint->nb[1],
                                    (uint64_t)(i * inner) * 4));
        else
            y = plain_mm(b, layer, role[i], x);
        out[i] = kda_conv(b, layer, y, state, i);
    }
    in->q = out[0];
    in->k = out[1];
    in->v = out[2];
}

static void kda_gates(struct builder *b, int layer, struct g_tensor *x, struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t head = b->m->hp.kda_head_dim, heads = b->m->hp.n_head;
    struct g_tensor *gate = plain_mm(b, layer, ROLE_SSM_F_B, plain_mm(b, layer, ROLE_SSM_F_A, x));
    gate = g_add(g, gate, b_weight(b, layer, ROLE_SSM_DT, PART_BIAS));
    gate = g_reshape_3d(g, g_unary(g, gate, U_SOFTPLUS), head, heads, b->n_tokens);
    struct g_tensor *a = g_reshape_3d(g, b_weight(b, layer, ROLE_SSM_A, PART_BARE), 1, heads, 1);
    gate = g_mul(g, gate, a);
    in->gate = g_reshape_4d(g, gate, head, heads, b->n_seq_tokens, b->n_seqs);
    struct g_tensor *beta = plain_mm(b, layer, ROLE_SSM_BETA, x);
    beta = g_reshape_4d(g, beta, 1, heads, b->n_seq_tokens, b->n_seqs);
    in->beta = g_unary(g, beta, U_SIGMOID);
}

static struct g_tensor *kda_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t head = b->m->hp.kda_head_dim, heads = b->m->hp.n_head, size = head * head * heads;
    struct g_tensor *s = b_s_state(b, layer);
    struct b_delta in = {0};
    kda_qkv(b, layer, x, &in);
    kda_gates(b, layer, x, &in);
    x = sp_by_sequence(b, x);
    in.state = g_reshape_4d(g, b_rs_gather(b, s, size), head, head, heads, b->n_seqs);
    in.q = g_scale(g, g_rms_norm(g, in.q));
    in.k = g_scale(g, g_rms_norm(g, in.k));
    struct b_delta_out r = b_delta_rule(b, layer, &in);
    r.out = g_cont(g, r.out);
    g_expand(g, g_cpy(g, r.state, g_view_1d(g, s, size * b->n_seqs, 0)));

    struct g_tensor *gate = plain_mm(b, layer, ROLE_SSM_G_A, sp_by_token(b, x));
    gate = plain_mm(b, layer, ROLE_SSM_G_B, gate);
    gate = g_reshape_3d(g, gate, head, heads, b->n_tokens);
    x = g_reshape_3d(g, r.out, head, heads, b->n_tokens);
    x = b_norm_role(b, layer, x, ROLE_SSM_NORM, NORM_RMS);
    x = g_mul(g, x, g_unary(g, gate, U_SIGMOID));
    x = g_cont_2d(g, x, head * heads, b->n_tokens);
    return plain_mm(b, layer, ROLE_ATTN_OUT, x);
}

static struct g_tensor *nope_latent(struct builder *b, int layer, struct g_tensor *q,
                                    struct mla_row row, const struct mla_sizes *z)
{
    struct graph *g = b->g;
    uint64_t nb1 = (uint64_t)(z->nope + z->rope) * 4, nb2 = nb1 * (uint64_t)z->heads;
    struct g_tensor *q_nope = g_view_3d(g, q, z->nope, z->heads, b->n_tokens, nb1, nb2, 0);
    struct g_tensor *q_pe =
        g_view_3d(g, q, z->rope, z->heads, b->n_tokens, nb1, nb2, (uint64_t)z->nope * 4);
    q_nope = plain_mm(b, layer, ROLE_ATTN_K_B, g_permute(g, q_nope, 0, 2, 1, 3));
    q = g_concat(g, g_permute(g, q_nope, 0, 2, 1, 3), q_pe, 0);
    struct g_tensor *latent = g_reshape_3d(g, row.latent, z->rank, 1, b->n_tokens);
    return b_attn(b, layer,
                  &(struct b_attn_args){.q = q,
                                        .k = g_concat(g, latent, row.k_pe, 0),
                                        .v = latent,
                                        .latent = true,
                                        .v_mla = b_weight(b, layer, ROLE_ATTN_V_B, PART_WEIGHT)});
}

static struct g_tensor *nope_expanded(struct builder *b, int layer, struct g_tensor *q,
                                      struct mla_row row, const struct mla_sizes *z)
{
    struct graph *g = b->g;
    uint64_t nb1 = (uint64_t)(z->nope + z->value) * 4, nb2 = nb1 * (uint64_t)z->heads;
    q = g_reshape_3d(g, q, z->nope + z->rope, z->heads, b->n_tokens);
    struct g_tensor *kv = plain_mm(b, layer, ROLE_ATTN_KV_B, row.latent);
    struct g_tensor *k = g_view_3d(g, kv, z->nope, z->heads, b->n_tokens, nb1, nb2, 0);
    struct g_tensor *v = g_cont(
        g, g_view_3d(g, kv, z->value, z->heads, b->n_tokens, nb1, nb2, (uint64_t)z->nope * 4));
    k = g_concat(g, g_repeat_4d(g, row.k_pe, z->rope, z->heads, b->n_tokens, 1), k, 0);
    return b_attn(b, layer, &(struct b_attn_args){.q = q, .k = k, .v = v});
}

static struct g_tensor *nope_attention(struct builder *b, int layer, struct g_tensor *x,
                                       const struct mla_sizes *z)
{
    struct g_tensor *q = plain_mm(b, layer, ROLE_ATTN_Q, x);
    struct mla_row row = mla_compress(b, layer, x, z);
    row.latent = b_norm_role(b, layer, row.latent, ROLE_ATTN_KV_A_NORM, NORM_RMS);
    if (b->m->layers[layer].kv == KV_LATENT)
        return nope_latent(b, layer, q, row, z);
    return nope_expanded(b, layer, q, row, z);
}

static bool has_latent_layer(const struct builder *b)
{
    for (int il = 0; il < sp_layers(b); il++) {
        if (b->m->layers[il].kv == KV_LATENT)
            return true;
    }
    return false;
}

void graph_kimi_linear(struct builder *b)
{
    struct graph *g = b->g;
    struct mla_sizes z = mla_sizes_of(b);
    struct g_tensor *x = b_inp_embd(b);
    b_rs_inputs(b);
    if (has_latent_layer(b))
        b_attn_inputs_latent(b);
    else
        b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        g_expand(g, cur);
        cur = sp_is_recurrent(b, il) ? kda_attention(b, il, cur) : nope_attention(b, il, cur, &z);
        cur = sp_wanted(b, il, cur);
        struct g_tensor *mid = g_add(g, cur, sp_wanted(b, il, x));
        cur = b_norm_role(b, il, mid, ROLE_FFN_NORM, NORM_RMS);
        x = g_add(g, sp_routed_ffn(b, il, cur, true), mid);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
