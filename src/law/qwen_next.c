/* qwen_next: Qwen3-Next, Qwen3.5 and kin: gated delta nets with a gated attention layer in between
 * (behaviour of llama.cpp src/models/qwen3next.cpp, qwen35.cpp, qwen35moe.cpp). */
#include <string.h>

#include "law/special.h"

/* Sizes of the linear layers. */
struct delta_sizes {
    int64_t k_dim, k_heads, v_dim, v_heads, conv;
};

static bool delta_sizes_of(struct builder *b, struct delta_sizes *z)
{
    const struct model_hparams *hp = &b->m->hp;
    z->k_dim = hp->ssm_state;
    z->k_heads = hp->ssm_groups;
    z->v_heads = hp->ssm_dt_rank;
    z->conv = hp->ssm_conv;
    if (z->k_heads <= 0 || z->v_heads <= 0 || z->v_heads % z->k_heads || z->conv < 2) {
        sp_fail(b, "gated delta net: ssm.* sizes do not fit together");
        return false;
    }
    z->v_dim = (int64_t)hp->ssm_inner / z->v_heads;
    return true;
}

/* Query and gate interleaved per head in one projection. cut: views of the row, else of heads. */
static struct g_tensor *gated_attention(struct builder *b, int layer, struct g_tensor *x, int mode,
                                        bool cut)
{
    struct graph *g = b->g;
    const struct model_layer *l = &b->m->layers[layer];
    int64_t head = l->head_dim_v, heads = l->n_head, kv = l->n_head_kv, T = b->n_tokens;
    struct g_tensor *qg = b_mm_bias(b, layer, ROLE_ATTN_Q, x);
    struct g_tensor *k = b_mm_bias(b, layer, ROLE_ATTN_K, x);
    struct g_tensor *v = b_mm_bias(b, layer, ROLE_ATTN_V, x);
    struct g_tensor *q, *gate;
    uint64_t nb1 = (uint64_t)head * 8, nb2 = nb1 * (uint64_t)heads;
    if (cut) {
        q = g_view_3d(g, qg, head, heads, T, nb1, nb2, 0);
        gate = g_view_3d(g, qg, head, heads, T, nb1, nb2, nb1 / 2);
    } else {
        qg = g_reshape_4d(g, qg, head * 2, heads, T, 1);
        q = g_view_4d(g, qg, head, heads, T, 1, qg->nb[1], qg->nb[2], qg->nb[3], 0);
        gate = g_view_4d(g, qg, head, heads, T, 1, qg->nb[1], qg->nb[2], qg->nb[3], nb1 / 2);
    }
    k = g_reshape_3d(g, k, head, kv, T);
    v = g_reshape_3d(g, v, head, kv, T);
    q = b_rope(b, b_norm_role(b, layer, q, ROLE_ATTN_Q_NORM, NORM_RMS), NULL, mode);
    k = b_rope(b, b_norm_role(b, layer, k, ROLE_ATTN_K_NORM, NORM_RMS), NULL, mode);
    x = b_attn(b, layer, &(struct b_attn_args){.q = q, .k = k, .v = v, .no_wo = true});
    gate = g_unary(g, g_cont_2d(g, gate, head * heads, T), U_SIGMOID);
    return b_mm(b, layer, ROLE_ATTN_OUT, g_mul(g, x, gate));
}

/* q, k, v side by side, and z. */
struct mixed {
    struct g_tensor *qkv, *z;
};

/* Older files interleave q, k, v and z per key head. */
static struct mixed mixed_interleaved(struct builder *b, int layer, struct g_tensor *x,
                                      const struct delta_sizes *z)
{
    struct graph *g = b->g;
    int64_t T = b->n_seq_tokens, N = b->n_seqs, share = z->v_dim * z->v_heads / z->k_heads;
    struct g_tensor *all = b_mm(b, layer, ROLE_SSM_IN, x);
    all = g_reshape_4d(g, all, 2 * z->k_dim + 2 * share, z->k_heads, T, N);
    struct g_tensor *part[4];
    int64_t size[4] = {z->k_dim, z->k_dim, share, share};
    uint64_t at = 0;
    for (int i = 0; i < 4; i++) {
        part[i] =
            g_view_4d(g, all, size[i], z->k_heads, T, N, all->nb[1], all->nb[2], all->nb[3], at);
        at += (uint64_t)size[i] * 4;
    }
    struct mixed m = {.z = g_cont(g, part[3])};
    for (int i = 0; i < 3; i++)
        part[i] = g_cont_3d(g, part[i], size[i] * z->k_heads, T, N);
    m.qkv = g_concat(g, g_concat(g, part[0], part[1], 0), part[2], 0);
    return m;
}

static struct mixed mixed_input(struct builder *b, int layer, struct g_tensor *x,
                                const struct delta_sizes *z)
{
    if (!b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT))
        return mixed_interleaved(b, layer, x, z);
    struct g_tensor *qkv = sp_by_sequence(b, b_mm(b, layer, ROLE_ATTN_QKV, x));
    return (struct mixed){.qkv = qkv, .z = b_mm(b, layer, ROLE_ATTN_GATE, x)};
}

static struct g_tensor *decay_gate(struct builder *b, int layer, struct g_tensor *alpha,
                                   int64_t heads)
{
    struct graph *g = b->g;
    alpha = g_add(g, alpha, b_weight(b, layer, ROLE_SSM_DT, PART_BIAS));
    alpha = g_unary(g, alpha, U_SOFTPLUS);
    alpha = g_mul(g, alpha, b_weight(b, layer, ROLE_SSM_A, PART_BARE));
    return g_reshape_4d(g, alpha, 1, heads, b->n_seq_tokens, b->n_seqs);
}

/* Beta and decay from one projection, grouped by key head. */
static void joint_gates(struct builder *b, int layer, struct g_tensor *x,
                        const struct delta_sizes *z, struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t share = z->v_heads / z->k_heads, T = b->n_seq_tokens, N = b->n_seqs;
    struct g_tensor *ba = b_mm(b, layer, ROLE_SSM_BA, x);
    ba = g_reshape_4d(g, ba, 2 * share, z->k_heads, T, N);
    struct g_tensor *beta =
        g_view_4d(g, ba, share, z->k_heads, T, N, ba->nb[1], ba->nb[2], ba->nb[3], 0);
    struct g_tensor *alpha = g_view_4d(g, ba, share, z->k_heads, T, N, ba->nb[1], ba->nb[2],
                                       ba->nb[3], (uint64_t)share * 4);
    beta = g_unary(g, g_cont(g, beta), U_SIGMOID);
    in->gate = decay_gate(b, layer, g_cont_3d(g, alpha, z->v_heads, T, N), z->v_heads);
    in->beta = g_reshape_4d(g, beta, 1, z->v_heads, T, N);
}

static void separate_gates(struct builder *b, int layer, struct g_tensor *x,
                           const struct delta_sizes *z, struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t T = b->n_seq_tokens, N = b->n_seqs;
    struct g_tensor *beta = b_mm(b, layer, ROLE_SSM_BETA, x);
    beta = g_reshape_4d(g, beta, 1, z->v_heads, T, N);
    in->beta = g_unary(g, beta, U_SIGMOID);
    struct g_tensor *alpha = b_mm(b, layer, ROLE_SSM_ALPHA, x);
    in->gate = decay_gate(b, layer, g_reshape_3d(g, alpha, z->v_heads, T, N), z->v_heads);
}

static struct g_tensor *unit_length(struct builder *b, struct g_tensor *x)
{
    return g_scale(b->g, g_rms_norm(b->g, x));
}

/* Every key head stands for several value heads. The older family repeats them one by one, always;
 * the newer ones as a block, and only where the fused op, which can do without, is missing. */
static struct g_tensor *repeat_heads(struct builder *b, struct g_tensor *x,
                                     const struct delta_sizes *z, bool newer)
{
    struct graph *g = b->g;
    int64_t T = b->n_seq_tokens, N = b->n_seqs;
    if (z->k_heads == z->v_heads)
        return x;
    if (newer && !b->unfused_delta_one && !b->unfused_delta_many)
        return x;
    if (newer)
        return g_repeat_4d(g, x, z->k_dim, z->v_heads, T, N);
    x = g_reshape_4d(g, x, z->k_dim, 1, z->k_heads, T * N);
    x = g_repeat_4d(g, x, z->k_dim, z->v_heads / z->k_heads, z->k_heads, T * N);
    return g_reshape_4d(g, x, z->k_dim, z->v_heads, T, N);
}

static void convolved(struct builder *b, int layer, struct g_tensor *conv_x,
                      const struct delta_sizes *z, struct b_delta *in)
{
    struct graph *g = b->g;
    struct g_tensor *x = g_ssm_conv(g, conv_x, b_weight(b, layer, ROLE_SSM_CONV1D, PART_WEIGHT));
    x = g_unary(g, x, U_SILU);
    int64_t T = b->n_seq_tokens, N = b->n_seqs, keys = z->k_dim * z->k_heads;
    uint64_t nb1 = (uint64_t)(2 * keys + z->v_dim * z->v_heads) * 4, nb2 = nb1 * (uint64_t)T;
    uint64_t k_row = (uint64_t)z->k_dim * 4, v_row = (uint64_t)z->v_dim * 4;
    in->q = g_view_4d(g, x, z->k_dim, z->k_heads, T, N, k_row, nb1, nb2, 0);
    in->k = g_view_4d(g, x, z->k_dim, z->k_heads, T, N, k_row, nb1, nb2, (uint64_t)keys * 4);
    in->v = g_view_4d(g, x, z->v_dim, z->v_heads, T, N, v_row, nb1, nb2, (uint64_t)keys * 8);
    in->q = unit_length(b, in->q);
    in->k = unit_length(b, in->k);
}

static struct g_tensor *linear_attention(struct builder *b, int layer, struct g_tensor *x,
                                         bool newer)
{
    struct graph *g = b->g;
    struct delta_sizes z;
    struct b_delta in = {0};
    int64_t T = b->n_seq_tokens, N = b->n_seqs;
    if (!delta_sizes_of(b, &z))
        return x;
    struct mixed m = mixed_input(b, layer, x, &z);
    if (newer)
        separate_gates(b, layer, x, &z, &in);
    else
        joint_gates(b, layer, x, &z, &in);
    struct g_tensor *conv_x =
        b_delta_conv(b, layer, m.qkv, z.conv, z.v_dim * z.v_heads + 2 * z.k_dim * z.k_heads);
    struct g_tensor *state = b_rs_gather(b, b_s_state(b, layer), z.v_dim * z.v_dim * z.v_heads);
    in.state = g_reshape_4d(g, state, z.v_dim, z.v_dim, z.v_heads, N);
    convolved(b, layer, conv_x, &z, &in);
    in.q = repeat_heads(b, in.q, &z, newer);
    in.k = repeat_heads(b, in.k, &z, newer);
    x = b_delta_attend(b, layer, &in);

    struct g_tensor *gate = g_reshape_4d(g, m.z, z.v_dim, z.v_heads, T, N);
    x = b_norm_role(b, layer, x, ROLE_SSM_NORM, NORM_RMS);
    x = g_mul(g, x, g_unary(g, gate, U_SILU));
    x = g_reshape_3d(g, x, z.v_dim * z.v_heads, T, N);
    x = b_mm(b, layer, ROLE_SSM_OUT, x);
    return g_reshape_2d(g, x, b->m->hp.n_embd, T * N);
}

static struct g_tensor *next_ffn(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct b_ffn_roles shared = {ROLE_FFN_UP_SHEXP, ROLE_FFN_GATE_SHEXP, ROLE_FFN_DOWN_SHEXP};
    struct b_moe_args moe = {
        .act = ACT_SILU, .norm_w = true, .scale_w = true, .gating = GATING_SOFTMAX};
    if (!b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return b_ffn(b, layer, x, ACT_SILU, GATE_PAR);
    struct g_tensor *routed = b_moe(b, layer, x, &moe);
    if (!b_has(b, layer, ROLE_FFN_UP_SHEXP, PART_WEIGHT))
        return routed;
    struct g_tensor *y = b_ffn_roles(b, layer, x, shared, ACT_SILU, GATE_PAR);
    struct g_tensor *gate = g_unary(g, b_mm(b, layer, ROLE_FFN_GATE_INP_SHEXP, x), U_SIGMOID);
    return g_add(g, routed, g_mul(g, y, gate));
}

static struct g_tensor *after_attention(struct builder *b, int layer, struct g_tensor *attn,
                                        struct g_tensor *x)
{
    struct g_tensor *mid = g_add(b->g, attn, x);
    x = b_norm_role(b, layer, mid, ROLE_ATTN_POST_NORM, NORM_RMS);
    return g_add(b->g, next_ffn(b, layer, x), mid);
}

struct g_tensor *qwen3next_block(struct builder *b, int layer, struct g_tensor *x)
{
    struct g_tensor *cur = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
    cur = b_take_outputs(b, gated_attention(b, layer, cur, ROPE_NEOX, true));
    return after_attention(b, layer, cur, b_take_outputs(b, x));
}

struct g_tensor *qwen35_block(struct builder *b, int layer, struct g_tensor *x)
{
    struct g_tensor *cur = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
    return after_attention(b, layer, gated_attention(b, layer, cur, ROPE_IMROPE, true), x);
}

static void graph_next(struct builder *b, bool newer)
{
    struct graph *g = b->g;
    struct g_tensor *x = b_inp_embd(b);
    b_rs_inputs(b);
    b_attn_inputs(b);
    b_inp_pos(b, newer ? 4 : 1);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        g_expand(g, cur);
        if (sp_is_recurrent(b, il))
            cur = linear_attention(b, il, cur, newer);
        else
            cur = gated_attention(b, il, cur, newer ? ROPE_IMROPE : ROPE_NEOX, newer);
        x = after_attention(b, il, cur, x);
    }
    sp_finish_nextn(b, x);
}

void graph_qwen3next(struct builder *b)
{
    graph_next(b, false);
}

void graph_qwen35(struct builder *b)
{
    graph_next(b, true);
}
