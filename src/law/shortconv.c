/* shortconv: LFM2, dense and with experts: gated short convolutions between attention layers
 * (behaviour of llama.cpp src/models/lfm2.cpp). */
#include "law/special.h"

struct g_tensor *b_shortconv(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t tail = (int64_t)b->m->hp.shortconv_cache - 1, width = b->m->hp.n_embd;
    if (tail < 1)
        return sp_fail(b, "lfm2: shortconv.l_cache is below 2");
    struct g_tensor *r = b_r_state(b, layer);
    struct g_tensor *in = b_mm(b, layer, ROLE_SHORTCONV_IN, sp_by_sequence(b, x));
    int64_t chunk = in->ne[0] / 3;
    struct g_tensor *gate_in = sp_part(b, in, chunk, 0);
    struct g_tensor *gate_out = sp_part(b, in, chunk, chunk);
    struct g_tensor *conv_x = g_mul(g, gate_in, sp_part(b, in, chunk, 2 * chunk));
    conv_x = g_transpose(g, conv_x);

    struct g_tensor *conv = b_rs_gather(b, r, tail * width);
    conv = g_reshape_3d(g, conv, tail, width, b->n_seqs);
    conv_x = g_concat(g, conv, conv_x, 0);
    sp_store_tail(b, conv_x, r, tail, width);
    struct g_tensor *y =
        g_ssm_conv(g, conv_x, b_weight(b, layer, ROLE_SHORTCONV_CONV, PART_WEIGHT));
    y = b_mm(b, layer, ROLE_SHORTCONV_OUT, g_mul(g, gate_out, y));
    return sp_by_token(b, y);
}

static struct g_tensor *lfm2_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    p.q = b_norm_role(b, layer, p.q, ROLE_ATTN_Q_NORM, NORM_RMS);
    p.k = b_norm_role(b, layer, p.k, ROLE_ATTN_K_NORM, NORM_RMS);
    p.q = b_rope(b, p.q, NULL, ROPE_NEOX);
    p.k = b_rope(b, p.k, NULL, ROPE_NEOX);
    return b_attn(b, layer, &(struct b_attn_args){.q = p.q, .k = p.k, .v = p.v});
}

static struct g_tensor *lfm2_ffn(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_moe_args moe = {.act = ACT_SILU, .norm_w = true, .scale_w = true};
    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return b_moe(b, layer, x, &moe);
    return b_ffn(b, layer, x, ACT_SILU, GATE_PAR);
}

void graph_lfm2(struct builder *b)
{
    struct g_tensor *x = b_inp_embd(b);
    b_rs_inputs(b);
    b_attn_inputs(b);
    if (b->two_caches) /* the engine does not turn quantised K and V of this kind of memory */
        b->full.k_rot = b->full.v_rot = b->window.k_rot = b->window.v_rot = NULL;
    b_inp_pos(b, 1);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = sp_is_recurrent(b, il) ? b_shortconv(b, il, cur) : lfm2_attention(b, il, cur);
        cur = sp_wanted(b, il, cur);
        cur = g_add(b->g, sp_wanted(b, il, x), cur);
        struct g_tensor *normed = b_norm_role(b, il, cur, ROLE_FFN_NORM, NORM_RMS);
        x = g_add(b->g, cur, lfm2_ffn(b, il, normed));
    }
    /* the file calls its last norm token_embd_norm */
    x = b_norm_role(b, -1, x, ROLE_TOKEN_EMBD_NORM, NORM_RMS);
    if (!b->s->embeddings) {
        b_finish(b, x, b_output(b, x));
        return;
    }
    g_set_output(x);
    g_expand(b->g, x);
    b_pool(b, x);
}
