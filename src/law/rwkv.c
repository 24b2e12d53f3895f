/* rwkv: RWKV 6 and 7, and Qwen models rebuilt on their time mixing (behaviour of llama.cpp
 * src/models/rwkv6-base.cpp, rwkv7-base.cpp, rwkv6.cpp, rwkv6qwen2.cpp, rwkv7.cpp, arwkv7.cpp). */
#include <string.h>

#include "law/special.h"

/* What the layers share, and what the first one leaves for the others. */
struct rwkv {
    bool seven, qwen;
    int64_t width, head, heads;
    struct g_tensor *first_value;
};

static struct g_tensor *w_of(struct builder *b, int layer, enum tensor_role role)
{
    return b_weight(b, layer, role, PART_WEIGHT);
}

static struct g_tensor *plain_mm(struct builder *b, int layer, enum tensor_role role,
                                 struct g_tensor *x)
{
    return g_mul_mat(b->g, w_of(b, layer, role), x);
}

/* What the last token of the ubatch before left, in front of all tokens but the last of this one.
 */
static struct g_tensor *shifted(struct builder *b, struct g_tensor *before, struct g_tensor *x)
{
    struct g_tensor *rest =
        g_view_3d(b->g, x, x->ne[0], b->n_seq_tokens - 1, b->n_seqs, x->nb[1], x->nb[2], 0);
    return g_concat(b->g, before, rest, 1);
}

static struct g_tensor *last_token(struct builder *b, struct g_tensor *x)
{
    uint64_t at = (uint64_t)(b->n_seq_tokens - 1) * (uint64_t)x->ne[0] * 4;
    return g_view_3d(b->g, x, x->ne[0], 1, b->n_seqs, x->nb[1], x->nb[2], at);
}

static struct g_tensor *shift_of(struct builder *b, int layer, const struct rwkv *r)
{
    int64_t n = b->m->hp.token_shift;
    struct g_tensor *x = b_rs_gather(b, b_r_state(b, layer), n * r->width);
    return g_reshape_3d(b->g, x, r->width, n, b->n_seqs);
}

static void store_shift(struct builder *b, int layer, const struct rwkv *r, struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t n = r->width * b->n_seqs * b->m->hp.token_shift;
    x = g_view_1d(g, x, n, 0);
    g_expand(g, g_cpy(g, x, g_view_1d(g, b_r_state(b, layer), n, 0)));
}

/* Splits what the op made: the output of all tokens, and the state, which is written back. */
static struct g_tensor *wkv_result(struct builder *b, int layer, const struct rwkv *r,
                                   struct g_tensor *wkv)
{
    struct graph *g = b->g;
    int64_t n = r->width * b->n_tokens, size = r->width * r->head * b->n_seqs;
    struct g_tensor *out = g_view_1d(g, wkv, n, 0);
    struct g_tensor *state = g_view_1d(g, wkv, size, (uint64_t)n * 4);
    g_expand(g, g_cpy(g, state, g_view_1d(g, b_s_state(b, layer), size, 0)));
    return out;
}

/* A norm over every head, where the model has weights for it. */
static struct g_tensor *head_norm(struct builder *b, int layer, const struct rwkv *r,
                                  struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *w = w_of(b, layer, ROLE_TIME_MIX_LN);
    struct g_tensor *bias = b_weight(b, layer, ROLE_TIME_MIX_LN, PART_BIAS);
    if (!w || !bias)
        return g_reshape_2d(g, x, r->width, b->n_tokens);
    x = g_norm(g, g_reshape_3d(g, x, r->head, r->heads, b->n_tokens));
    x = g_reshape_2d(g, x, r->width, b->n_tokens);
    return g_add(g, g_mul(g, x, w), bias);
}

enum { MIX_W, MIX_K, MIX_V, MIX_R, MIX_G, MIX_PARTS };

static void mixes6(struct builder *b, int layer, const struct rwkv *r, struct g_tensor *x,
                   struct g_tensor *before, struct g_tensor **out)
{
    static const enum tensor_role LERP[MIX_PARTS] = {ROLE_TIME_MIX_LERP_W, ROLE_TIME_MIX_LERP_K,
                                                     ROLE_TIME_MIX_LERP_V, ROLE_TIME_MIX_LERP_R,
                                                     ROLE_TIME_MIX_LERP_G};
    struct graph *g = b->g;
    int64_t T = b->n_tokens;
    struct g_tensor *w1 = w_of(b, layer, ROLE_TIME_MIX_W1), *w2 = w_of(b, layer, ROLE_TIME_MIX_W2);
    struct g_tensor *fused = w_of(b, layer, ROLE_TIME_MIX_LERP_FUSED);
    if (!w1 || !w2) {
        sp_fail(b, "rwkv6: time_mix_w1 and time_mix_w2 are missing");
        return;
    }
    struct g_tensor *sx = g_reshape_2d(g, g_sub(g, before, x), r->width, T);
    struct g_tensor *cur = g_reshape_2d(g, x, r->width, T);
    struct g_tensor *y = g_add(g, g_mul(g, sx, w_of(b, layer, ROLE_TIME_MIX_LERP_X)), cur);
    y = g_unary(g, g_mul_mat(g, w1, y), U_TANH);
    y = g_reshape_4d(g, y, w1->ne[1] / MIX_PARTS, 1, MIX_PARTS, T);
    y = g_cont(g, g_permute(g, y, 0, 1, 3, 2));
    y = g_mul_mat(g, g_reshape_4d(g, w2, w2->ne[0], w2->ne[1], 1, MIX_PARTS), y);
    if (fused) {
        sx = g_reshape_3d(g, sx, r->width, 1, T);
        cur = g_reshape_3d(g, cur, r->width, 1, T);
        y = g_add(g, g_mul(g, g_add(g, y, fused), sx), cur);
    }
    for (int i = 0; i < MIX_PARTS; i++) {
        out[i] = g_view_2d(g, y, r->width, T, y->nb[1], (uint64_t)(r->width * T * i) * 4);
        if (!fused)
            out[i] = g_add(g, g_mul(g, g_add(g, out[i], w_of(b, layer, LERP[i])), sx), cur);
    }
}

static struct g_tensor *heads6(struct builder *b, int layer, const struct rwkv *r,
                               struct g_tensor *x)
{
    struct graph *g = b->g;
    int64_t kv = b->m->layers[layer].n_head_kv;
    if (kv != 0 && kv != r->heads) {
        x = g_reshape_4d(g, x, r->head, 1, kv, b->n_tokens);
        x = g_repeat_4d(g, x, r->head, r->heads / kv, kv, b->n_tokens);
    }
    return g_reshape_3d(g, x, r->head, r->heads, b->n_tokens);
}

static struct g_tensor *decay6(struct builder *b, int layer, const struct rwkv *r,
                               struct g_tensor *x)
{
    struct graph *g = b->g;
    x = g_unary(g, plain_mm(b, layer, ROLE_TIME_MIX_DECAY_W1, x), U_TANH);
    x = plain_mm(b, layer, ROLE_TIME_MIX_DECAY_W2, x);
    x = g_add(g, x, w_of(b, layer, ROLE_TIME_MIX_DECAY));
    x = g_unary(g, g_unary(g, g_unary(g, x, U_EXP), U_NEG), U_EXP);
    return g_reshape_3d(g, x, r->head, r->heads, b->n_tokens);
}

static struct g_tensor *time_mix6(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x,
                                  struct g_tensor *before)
{
    struct graph *g = b->g;
    struct g_tensor *mix[MIX_PARTS], *wkv, *first = w_of(b, layer, ROLE_TIME_MIX_FIRST);
    mixes6(b, layer, r, x, before, mix);
    if (g->failed)
        return x;
    struct g_tensor *q = b_mm_bias(b, layer, ROLE_TIME_MIX_RECEPTANCE, mix[MIX_R]);
    struct g_tensor *k = b_mm_bias(b, layer, ROLE_TIME_MIX_KEY, mix[MIX_K]);
    struct g_tensor *v = b_mm_bias(b, layer, ROLE_TIME_MIX_VALUE, mix[MIX_V]);
    struct g_tensor *gate = b_mm(b, layer, ROLE_TIME_MIX_GATE, mix[MIX_G]);
    gate = g_unary(g, gate, first ? U_SILU : U_SIGMOID);
    k = heads6(b, layer, r, k);
    v = heads6(b, layer, r, v);
    q = g_reshape_3d(g, q, r->head, r->heads, b->n_tokens);
    struct g_tensor *w = decay6(b, layer, r, mix[MIX_W]);
    if (!first)
        k = g_sub(g, k, g_mul(g, k, w));
    struct g_tensor *state = b_rs_gather(b, b_s_state(b, layer), r->width * r->head);
    wkv = first ? g_rwkv_wkv6(g, k, v, q, first, w, state)
                : g_gated_linear_attn(g, k, v, q, w, state);
    x = wkv_result(b, layer, r, wkv);
    x = first ? head_norm(b, layer, r, x) : g_reshape_2d(g, x, r->width, b->n_tokens);
    x = b_mm(b, layer, ROLE_TIME_MIX_OUTPUT, g_mul(g, x, gate));
    return g_reshape_3d(g, x, r->width, b->n_seq_tokens, b->n_seqs);
}

/* Low-rank correction: w2 (w1 x) + w0, with or without something in between. */
static struct g_tensor *low_rank(struct builder *b, int layer, struct g_tensor *x,
                                 enum tensor_role one, enum tensor_role two, enum tensor_role zero)
{
    x = plain_mm(b, layer, one, x);
    if (one == ROLE_TIME_MIX_W1)
        x = g_unary(b->g, x, U_TANH);
    return g_add(b->g, plain_mm(b, layer, two, x), w_of(b, layer, zero));
}

/* Values lean on those of the first layer. */
static struct g_tensor *value7(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *v = b_mm(b, layer, ROLE_TIME_MIX_VALUE, x);
    if (!r->first_value) {
        r->first_value = v;
        return v;
    }
    struct g_tensor *share =
        low_rank(b, layer, x, ROLE_TIME_MIX_V1, ROLE_TIME_MIX_V2, ROLE_TIME_MIX_V0);
    share = g_unary(g, share, U_SIGMOID);
    return g_add(g, v, g_mul(g, g_sub(g, r->first_value, v), share));
}

enum { SEVEN_R, SEVEN_W, SEVEN_K, SEVEN_V, SEVEN_A, SEVEN_G, SEVEN_PARTS };

static void mixes7(struct builder *b, int layer, const struct rwkv *r, struct g_tensor *x,
                   struct g_tensor *before, int parts, struct g_tensor **out)
{
    struct graph *g = b->g;
    int64_t T = b->n_tokens;
    struct g_tensor *sx = g_sub(g, before, x);
    sx = g_repeat_4d(g, sx, r->width, b->n_seq_tokens, b->n_seqs, parts);
    struct g_tensor *y = g_add(g, g_mul(g, sx, w_of(b, layer, ROLE_TIME_MIX_LERP_FUSED)), x);
    for (int i = 0; i < parts; i++)
        out[i] = g_view_2d(g, y, r->width, T, y->nb[1], (uint64_t)(r->width * T * i) * 4);
}

/* Keys as they are written and as they are erased. */
struct keys7 {
    struct g_tensor *k, *kk, *a;
};

static struct keys7 keys7_of(struct builder *b, int layer, const struct rwkv *r,
                             struct g_tensor *xk, struct g_tensor *xa)
{
    struct graph *g = b->g;
    struct keys7 out;
    struct g_tensor *k = b_mm(b, layer, ROLE_TIME_MIX_KEY, xk);
    struct g_tensor *a =
        low_rank(b, layer, xa, ROLE_TIME_MIX_A1, ROLE_TIME_MIX_A2, ROLE_TIME_MIX_A0);
    a = g_unary(g, a, U_SIGMOID);
    out.kk = g_mul(g, k, w_of(b, layer, ROLE_TIME_MIX_K_K));
    out.kk = g_l2_norm(g, g_reshape_3d(g, out.kk, r->head, r->heads, b->n_tokens));
    struct g_tensor *ka = g_mul(g, k, w_of(b, layer, ROLE_TIME_MIX_K_A));
    k = g_add(g, k, g_sub(g, g_mul(g, a, ka), ka));
    out.k = g_reshape_3d(g, k, r->head, r->heads, b->n_tokens);
    out.a = g_reshape_3d(g, a, r->head, r->heads, b->n_tokens);
    return out;
}

static struct g_tensor *time_mix7(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x,
                                  struct g_tensor *before)
{
    struct graph *g = b->g;
    bool gated = b_has(b, layer, ROLE_TIME_MIX_G1, PART_WEIGHT) &&
                 b_has(b, layer, ROLE_TIME_MIX_G2, PART_WEIGHT);
    struct g_tensor *mix[SEVEN_PARTS], *gate = NULL;
    mixes7(b, layer, r, x, before, gated ? SEVEN_PARTS : SEVEN_G, mix);
    struct g_tensor *q = b_mm(b, layer, ROLE_TIME_MIX_RECEPTANCE, mix[SEVEN_R]);
    struct g_tensor *w =
        low_rank(b, layer, mix[SEVEN_W], ROLE_TIME_MIX_W1, ROLE_TIME_MIX_W2, ROLE_TIME_MIX_W0);
    w = g_unary(g, g_scale(g, g_unary(g, w, U_SIGMOID)), U_EXP);
    struct g_tensor *v = value7(b, layer, r, mix[SEVEN_V]);
    if (gated) {
        gate = g_unary(g, plain_mm(b, layer, ROLE_TIME_MIX_G1, mix[SEVEN_G]), U_SIGMOID);
        gate = plain_mm(b, layer, ROLE_TIME_MIX_G2, gate);
    }
    struct keys7 keys = keys7_of(b, layer, r, mix[SEVEN_K], mix[SEVEN_A]);
    q = g_reshape_3d(g, q, r->head, r->heads, b->n_tokens);
    w = g_reshape_3d(g, w, r->head, r->heads, b->n_tokens);
    v = g_reshape_3d(g, v, r->head, r->heads, b->n_tokens);
    struct g_tensor *state = b_rs_gather(b, b_s_state(b, layer), r->width * r->head);
    struct g_tensor *erase = g_unary(g, keys.kk, U_NEG), *write = g_mul(g, keys.kk, keys.a);
    x = wkv_result(b, layer, r, g_rwkv_wkv7(g, q, w, keys.k, v, erase, write, state));
    x = head_norm(b, layer, r, x);
    struct g_tensor *own = g_reshape_2d(g, w_of(b, layer, ROLE_TIME_MIX_R_K), r->head, r->heads);
    own = g_sum_rows(g, g_mul(g, g_mul(g, keys.k, q), own));
    x = g_add(g, x, g_reshape_2d(g, g_mul(g, v, own), r->width, b->n_tokens));
    if (gated)
        x = g_mul(g, x, gate);
    x = b_mm(b, layer, ROLE_TIME_MIX_OUTPUT, x);
    return g_reshape_3d(g, x, r->width, b->n_seq_tokens, b->n_seqs);
}

static struct g_tensor *channel_mix(struct builder *b, int layer, const struct rwkv *r,
                                    struct g_tensor *x, struct g_tensor *before)
{
    struct graph *g = b->g;
    struct g_tensor *sx = g_sub(g, before, x);
    struct g_tensor *k = g_add(g, g_mul(g, sx, w_of(b, layer, ROLE_CHANNEL_MIX_LERP_K)), x);
    k = g_sqr(g, g_unary(g, b_mm(b, layer, ROLE_CHANNEL_MIX_KEY, k), U_RELU));
    if (r->seven)
        return b_mm(b, layer, ROLE_CHANNEL_MIX_VALUE, k);
    struct g_tensor *gate = g_add(g, g_mul(g, sx, w_of(b, layer, ROLE_CHANNEL_MIX_LERP_R)), x);
    gate = g_unary(g, b_mm(b, layer, ROLE_CHANNEL_MIX_RECEPTANCE, gate), U_SIGMOID);
    return g_mul(g, gate, b_mm(b, layer, ROLE_CHANNEL_MIX_VALUE, k));
}

static struct g_tensor *time_mix(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x,
                                 struct g_tensor *before)
{
    return r->seven ? time_mix7(b, layer, r, x, before) : time_mix6(b, layer, r, x, before);
}

static struct g_tensor *tokens_2d(struct builder *b, struct g_tensor *x)
{
    return g_reshape_2d(b->g, x, x->ne[0], b->n_tokens);
}

/* The layer of RWKV proper: both halves remember the token before. */
static struct g_tensor *rwkv_layer(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x)
{
    struct graph *g = b->g;
    x = sp_by_sequence(b, x);
    struct g_tensor *shift = shift_of(b, layer, r);
    struct g_tensor *for_time =
        g_view_3d(g, shift, r->width, 1, b->n_seqs, shift->nb[1], shift->nb[2], 0);
    struct g_tensor *for_channel = g_view_3d(g, shift, r->width, 1, b->n_seqs, shift->nb[1],
                                             shift->nb[2], (uint64_t)r->width * 4);
    struct g_tensor *normed = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_LAYER);
    struct g_tensor *mixed = time_mix(b, layer, r, normed, shifted(b, for_time, normed));
    struct g_tensor *mid = g_add(g, mixed, x);
    struct g_tensor *second = b_norm_role(b, layer, mid, ROLE_ATTN_NORM_2, NORM_LAYER);
    struct g_tensor *before = shifted(b, for_channel, second);
    store_shift(b, layer, r, g_concat(g, last_token(b, normed), last_token(b, second), 1));

    mid = sp_wanted(b, layer, tokens_2d(b, mid));
    second = sp_wanted(b, layer, tokens_2d(b, second));
    before = sp_wanted(b, layer, tokens_2d(b, before));
    x = g_add(g, channel_mix(b, layer, r, second, before), mid);
    uint32_t every = r->seven ? 0 : b->m->hp.rescale_every;
    return every && ((uint32_t)layer + 1) % every == 0 ? g_scale(g, x) : x;
}

/* The layer of the Qwen rebuilds: time mixing, then an ordinary feed-forward block. */
static struct g_tensor *qwen_layer(struct builder *b, int layer, struct rwkv *r, struct g_tensor *x)
{
    struct graph *g = b->g;
    x = sp_by_sequence(b, x);
    struct g_tensor *shift = shift_of(b, layer, r);
    struct g_tensor *normed = b_norm_role(b, layer, x, ROLE_ATTN_NORM, NORM_RMS);
    struct g_tensor *mixed = time_mix(b, layer, r, normed, shifted(b, shift, normed));
    store_shift(b, layer, r, last_token(b, normed));
    struct g_tensor *mid = sp_wanted(b, layer, tokens_2d(b, g_add(g, mixed, x)));
    x = b_norm_role(b, layer, mid, ROLE_FFN_NORM, NORM_RMS);
    return g_add(g, b_ffn(b, layer, x, ACT_SILU, GATE_PAR), mid);
}

void graph_rwkv(struct builder *b)
{
    const struct model_hparams *hp = &b->m->hp;
    const char *arch = b->m->architecture;
    struct rwkv r = {.seven = strcmp(arch, "rwkv7") == 0 || strcmp(arch, "arwkv7") == 0,
                     .qwen = strcmp(arch, "rwkv6qwen2") == 0 || strcmp(arch, "arwkv7") == 0,
                     .width = hp->n_embd,
                     .head = hp->wkv_head_size};
    if (r.head <= 0 || r.width % r.head) {
        sp_fail(b, "rwkv: the width is not a multiple of wkv.head_size");
        return;
    }
    r.heads = r.width / r.head;
    struct g_tensor *x = b_inp_embd(b);
    if (!r.qwen)
        x = b_norm(b, 0, x, w_of(b, -1, ROLE_TOKEN_EMBD_NORM),
                   b_weight(b, -1, ROLE_TOKEN_EMBD_NORM, PART_BIAS), NORM_LAYER);
    b_rs_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++)
        x = r.qwen ? qwen_layer(b, il, &r, x) : rwkv_layer(b, il, &r, x);
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, r.qwen ? NORM_RMS : NORM_LAYER);
    b_finish(b, x, b_output(b, x));
}
