/* hybrid: families that mix attention with state space layers (behaviour of llama.cpp
 * src/models/jamba.cpp, granite-hybrid.cpp, nemotron-h.cpp, falcon-h1.cpp). */
#include "law/special.h"

static void hybrid_inputs(struct builder *b)
{
    b_rs_inputs(b);
    b_attn_inputs(b);
}

/* Attention without or with rotation. */
static struct g_tensor *hybrid_attention(struct builder *b, int layer, struct g_tensor *x, int mode)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    if (mode >= 0) {
        struct g_tensor *factors = b_rope_factors(b, layer);
        p.q = b_rope(b, p.q, factors, mode);
        p.k = b_rope(b, p.k, factors, mode);
    }
    return b_attn(b, layer, &(struct b_attn_args){.q = p.q, .k = p.k, .v = p.v});
}

static struct g_tensor *shared_experts(struct builder *b, int layer, struct g_tensor *x,
                                       struct g_tensor *routed)
{
    struct b_ffn_roles roles = {ROLE_FFN_UP_SHEXP, ROLE_FFN_GATE_SHEXP, ROLE_FFN_DOWN_SHEXP};
    return g_add(b->g, routed, b_ffn_roles(b, layer, x, roles, ACT_SILU, GATE_PAR));
}

void graph_jamba(struct builder *b)
{
    struct g_tensor *x = b_inp_embd(b);
    hybrid_inputs(b);
    b_inp_out_ids(b);
    struct b_moe_args moe = {.act = ACT_SILU, .scale_w = true, .gating = GATING_SOFTMAX};
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = sp_is_recurrent(b, il) ? b_mamba1(b, il, cur) : hybrid_attention(b, il, cur, -1);
        cur = sp_wanted(b, il, cur);
        struct g_tensor *mid = g_add(b->g, sp_wanted(b, il, x), cur);
        cur = b_norm_role(b, il, mid, ROLE_FFN_NORM, NORM_RMS);
        if (b_has(b, il, ROLE_FFN_GATE_INP, PART_WEIGHT))
            cur = b_moe(b, il, cur, &moe);
        else
            cur = b_ffn(b, il, cur, ACT_SILU, GATE_PAR);
        x = g_add(b->g, mid, cur);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}

static struct g_tensor *granite_scaled(struct builder *b, struct g_tensor *x)
{
    return b->m->hp.f_residual_scale != 0 ? g_scale(b->g, x) : x;
}

static struct g_tensor *granite_ffn(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_moe_args moe = {
        .act = ACT_SILU, .norm_w = true, .scale_w = true, .gating = GATING_SOFTMAX};
    x = b_norm_role(b, layer, x, ROLE_FFN_NORM, NORM_RMS);
    if (!b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return b_ffn(b, layer, x, ACT_SILU, GATE_PAR);
    struct g_tensor *routed = b_moe(b, layer, x, &moe);
    return b->m->hp.n_ff_shexp ? shared_experts(b, layer, x, routed) : routed;
}

void graph_granite_hybrid(struct builder *b)
{
    int mode = b->m->hp.rope_finetuned ? ROPE_NORMAL : -1;
    struct g_tensor *x = b_inp_embd(b);
    hybrid_inputs(b);
    b_inp_out_ids(b);
    if (mode >= 0)
        b_inp_pos(b, 1);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = sp_is_recurrent(b, il) ? b_mamba2(b, il, cur) : hybrid_attention(b, il, cur, mode);
        cur = granite_scaled(b, sp_wanted(b, il, cur));
        struct g_tensor *mid = g_add(b->g, cur, sp_wanted(b, il, x));
        cur = granite_scaled(b, granite_ffn(b, il, mid));
        x = g_add(b->g, cur, mid);
    }
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, NORM_RMS);
    struct g_tensor *logits = b_output(b, x);
    b_finish(b, x, b->m->hp.f_logit_scale != 0 ? g_scale(b->g, logits) : logits);
}

/* Experts that work in a narrower space, with a router that sees the full one. */
static struct g_tensor *nemotron_moe(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_ffn_roles shared = {ROLE_FFN_UP_SHEXP, ROLE_NONE, ROLE_FFN_DOWN_SHEXP};
    struct b_moe_args moe = {.act = ACT_RELU_SQR,
                             .norm_w = b->m->hp.expert_weights_norm,
                             .scale_w = true,
                             .gating = GATING_SIGMOID,
                             .n_used = b->m->layers[layer].n_expert_used};
    struct g_tensor *narrow = x;
    if (b_has(b, layer, ROLE_FFN_LATENT_DOWN, PART_WEIGHT))
        narrow = b_mm(b, layer, ROLE_FFN_LATENT_DOWN, x);
    moe.logits_in = b_mm(b, layer, ROLE_FFN_GATE_INP, x);
    struct g_tensor *out = b_moe(b, layer, narrow, &moe);
    if (b_has(b, layer, ROLE_FFN_LATENT_UP, PART_WEIGHT))
        out = b_mm(b, layer, ROLE_FFN_LATENT_UP, out);
    return g_add(b->g, out, b_ffn_roles(b, layer, x, shared, ACT_RELU_SQR, GATE_PAR));
}

static struct g_tensor *nemotron_layer(struct builder *b, int layer, struct g_tensor *x)
{
    if (sp_is_recurrent(b, layer))
        return b_mamba2(b, layer, x);
    if (b->m->layers[layer].n_ff == 0)
        return hybrid_attention(b, layer, x, -1);
    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return nemotron_moe(b, layer, x);
    return b_ffn(b, layer, x, ACT_RELU_SQR, GATE_PAR);
}

void graph_nemotron_h(struct builder *b)
{
    struct g_tensor *x = b_inp_embd(b);
    hybrid_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        x = g_add(b->g, nemotron_layer(b, il, cur), x);
    }
    sp_finish_nextn(b, x);
}

/* Attention and state space side by side in every layer; the norm before them is made twice, and
 * the file calls the one after them ffn_norm without .weight. */
void graph_falcon_h1(struct builder *b)
{
    struct graph *g = b->g;
    struct g_tensor *x = b_inp_embd(b);
    b_inp_pos(b, 1);
    hybrid_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        struct b_qkv p = b_make_qkv(b, il, cur);
        p.q = b_rope(b, p.q, NULL, ROPE_NEOX);
        p.k = b_rope(b, p.k, NULL, ROPE_NEOX);
        struct g_tensor *attended =
            b_attn(b, il, &(struct b_attn_args){.q = p.q, .k = p.k, .v = p.v});
        cur = b_mamba2(b, il, b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS));
        struct g_tensor *mid = sp_wanted(b, il, g_add(g, g_add(g, attended, cur), x));
        cur = b_norm(b, il, mid, b_weight(b, il, ROLE_FFN_NORM, PART_BARE), NULL, NORM_RMS);
        x = g_add(g, b_ffn(b, il, cur, ACT_SILU, GATE_PAR), mid);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
