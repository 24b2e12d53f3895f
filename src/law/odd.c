/* odd: ordinary transformers whose layers are not all alike in kind, so that no row describes them
 * (behaviour of llama.cpp src/models/deci.cpp, arctic.cpp, talkie.cpp). */
#include "law/odd.h"

static struct g_tensor *begin(struct builder *b)
{
    struct g_tensor *x = b_inp_embd(b);

    b_inp_pos(b, 1);
    b_attn_inputs(b);
    b_inp_out_ids(b);
    return x;
}

static void end(struct builder *b, struct g_tensor *x)
{
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, NORM_RMS);
    b_finish(b, x, b_output(b, x));
}

static struct g_tensor *attend(struct builder *b, int layer, struct g_tensor *x, int mode,
                               bool with_factors)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    struct g_tensor *factors = with_factors ? b_rope_factors(b, layer) : NULL;
    struct b_attn_args args = {.v = p.v};

    args.q = b_rope(b, p.q, factors, mode);
    args.k = b_rope(b, p.k, factors, mode);
    return b_attn(b, layer, &args);
}

static struct g_tensor *deci_layer(struct builder *b, int layer, bool last, struct g_tensor *x)
{
    const struct model_layer *l = &b->m->layers[layer];
    struct g_tensor *out = x, *mid;

    if (l->n_head > 0)
        out = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
    if (l->n_head > 0 && l->n_head_kv == 0)
        out = b_mm(b, layer, ROLE_ATTN_OUT, out); /* attention replaced by one matrix */
    else if (l->n_head > 0)
        out = attend(b, layer, out, 0, true);
    if (l->n_ff == 0)
        return x; /* such a layer's result is dropped */
    if (last) {
        out = b_take_outputs(b, out);
        x = b_take_outputs(b, x);
    }
    mid = l->n_head > 0 ? g_add(b->g, out, x) : out;
    out = b_norm_role(b, layer, mid, ROLE_FFN_NORM, NORM_RMS);
    out = b_ffn(b, layer, out, ACT_SILU, GATE_PAR);
    return g_add(b->g, out, mid);
}

void graph_deci(struct builder *b)
{
    int n = (int)(b->m->n_layers - b->m->hp.n_nextn);
    struct g_tensor *x = begin(b);

    for (int layer = 0; layer < n && !b->g->failed; layer++)
        x = deci_layer(b, layer, layer == n - 1, x);
    end(b, x);
}

/* A small dense feed-forward after attention, and experts that read the layer's own input. */
void graph_arctic(struct builder *b)
{
    struct b_moe_args moe = {
        .act = ACT_SILU, .norm_w = true, .scale_w = true, .gating = GATING_SOFTMAX};
    int n = (int)(b->m->n_layers - b->m->hp.n_nextn);
    struct g_tensor *x = begin(b), *attn, *mid, *out;

    for (int layer = 0; layer < n && !b->g->failed; layer++) {
        attn = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
        attn = attend(b, layer, attn, 0, false);
        if (layer == n - 1) {
            attn = b_take_outputs(b, attn);
            x = b_take_outputs(b, x);
        }
        mid = g_add(b->g, attn, x);
        out = b_norm_role(b, layer, mid, ROLE_FFN_NORM, NORM_RMS);
        out = b_ffn(b, layer, out, ACT_SILU, GATE_PAR);
        mid = g_add(b->g, out, mid);
        out = b_norm_role(b, layer, x, ROLE_FFN_NORM_EXPS, NORM_RMS);
        out = b_moe(b, layer, out, &moe);
        x = g_add(b->g, out, mid);
    }
    end(b, x);
}

static struct g_tensor *bare_norm(struct builder *b, struct g_tensor *x)
{
    return b_norm(b, -1, x, NULL, NULL, NORM_RMS);
}

static struct g_tensor *talkie_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    struct b_attn_args args = {.v = p.v};

    args.q = b_rope(b, p.q, NULL, 2);
    args.k = b_rope(b, p.k, NULL, 2);
    args.q = b_norm_role(b, layer, args.q, ROLE_ATTN_Q_NORM, NORM_RMS);
    args.k = bare_norm(b, args.k);
    return b_attn(b, layer, &args);
}

/* Norms without weights, and the embeddings are added again after every layer. */
void graph_talkie(struct builder *b)
{
    int n = (int)(b->m->n_layers - b->m->hp.n_nextn);
    struct g_tensor *x = bare_norm(b, begin(b)), *skip = x, *attn, *mid, *out;

    for (int layer = 0; layer < n && !b->g->failed; layer++) {
        attn = talkie_attention(b, layer, bare_norm(b, x));
        if (layer == n - 1) {
            attn = b_take_outputs(b, attn);
            x = b_take_outputs(b, x);
            skip = b_take_outputs(b, skip);
        }
        mid = g_add(b->g, attn, x);
        out = b_ffn(b, layer, bare_norm(b, mid), ACT_SILU, GATE_PAR);
        out = g_add(b->g, out, mid);
        x = g_add(b->g, out,
                  g_mul(b->g, skip, b_weight(b, layer, ROLE_LAYER_OUT_SCALE, PART_WEIGHT)));
    }
    x = bare_norm(b, x);
    b_finish(b, x, g_scale(b->g, b_output(b, x)));
}
