/* delta: the gated delta rule, fused, step by step, or in chunks (behaviour of llama.cpp
 * src/models/delta-net-base.cpp). */
#include "law/special.h"

bool b_uses_delta(const struct model *m)
{
    for (uint32_t il = 0; il < m->n_layers; il++) {
        if (model_at(m, il, ROLE_SSM_BA, PART_WEIGHT) ||
            model_at(m, il, ROLE_SSM_BETA, PART_WEIGHT))
            return true;
    }
    return false;
}

static struct g_tensor *exp_of(struct builder *b, struct g_tensor *x)
{
    return g_unary(b->g, x, U_EXP);
}

static struct g_tensor *turned(struct builder *b, struct g_tensor *x)
{
    return g_cont(b->g, g_transpose(b->g, x));
}

static struct b_delta_out delta_fused(struct builder *b, int layer, const struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t S = in->v->ne[0], H = in->v->ne[1], T = in->q->ne[2], N = in->q->ne[3];
    struct g_tensor *r =
        g_gated_delta_net(g, in->q, in->k, in->v, in->gate, in->beta, in->state, 1);
    r->layer = (int16_t)layer;
    uint64_t row = (uint64_t)S * 4, heads = row * (uint64_t)H;
    return (struct b_delta_out){
        .out = g_view_4d(g, r, S, H, T, N, row, heads, heads * (uint64_t)T, 0),
        .state = g_view_4d(g, r, S, S, H, N, row, row * (uint64_t)S, row * (uint64_t)(S * H),
                           heads * (uint64_t)(T * N)),
    };
}

/* One token per sequence. */
static struct b_delta_out delta_step(struct builder *b, const struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t H = in->v->ne[1], N = in->q->ne[3];
    struct g_tensor *q = g_permute(g, g_scale(g, in->q), 0, 2, 1, 3);
    struct g_tensor *k = g_permute(g, in->k, 0, 2, 1, 3);
    struct g_tensor *v = g_permute(g, in->v, 0, 2, 1, 3);
    struct g_tensor *gate = g_reshape_4d(g, in->gate, 1, in->gate->ne[0], H, N);
    struct g_tensor *beta = g_reshape_4d(g, in->beta, 1, 1, H, N);

    struct g_tensor *s = g_mul(g, in->state, exp_of(b, gate));
    struct g_tensor *seen = g_sum_rows(g, g_mul(g, s, k));
    struct g_tensor *d = g_mul(g, g_sub(g, v, g_transpose(g, seen)), beta);
    struct g_tensor *d_t = g_transpose(g, d);
    s = g_add(g, s, g_mul(g, g_repeat(g, k, s), d_t));
    struct g_tensor *o = g_sum_rows(g, g_mul(g, s, q));
    return (struct b_delta_out){.out = g_permute(g, o, 2, 0, 1, 3), .state = s};
}

/* The chunked way: everything within a chunk is made for all chunks at once, then the state runs
 * over them. */
struct chunks {
    int64_t size, n, S, H_k, H_v, N, pad;
    bool per_channel; /* Kimi: one gate per channel, not per head */
    struct g_tensor *q, *k, *v, *k_b, *v_b, *g_cs;
    struct g_tensor *kb, *kq, *attn;
};

static struct g_tensor *chunk_pad(struct builder *b, const struct chunks *c, struct g_tensor *x)
{
    return g_pad(b->g, x, 0, c->pad, 0, 0);
}

static struct g_tensor *chunk_shape(struct builder *b, const struct chunks *c, struct g_tensor *x,
                                    int64_t width, int64_t heads)
{
    return g_reshape_4d(b->g, x, width, c->size, c->n, heads * c->N);
}

static void chunk_inputs(struct builder *b, struct chunks *c, const struct b_delta *in)
{
    struct graph *g = b->g;
    struct g_tensor *q = g_permute(g, g_scale(g, in->q), 0, 2, 1, 3);
    struct g_tensor *k = g_permute(g, in->k, 0, 2, 1, 3);
    struct g_tensor *v = g_permute(g, in->v, 0, 2, 1, 3);
    struct g_tensor *gate = g_permute(g, in->gate, 0, 2, 1, 3);
    struct g_tensor *beta = g_permute(g, in->beta, 0, 2, 1, 3);
    q = chunk_pad(b, c, q);
    k = chunk_pad(b, c, k);
    v = chunk_pad(b, c, v);
    gate = chunk_pad(b, c, gate);
    beta = chunk_pad(b, c, beta);
    struct g_tensor *v_b = g_mul(g, v, beta), *k_b = g_mul(g, k, beta);
    c->q = chunk_shape(b, c, q, c->S, c->H_k);
    c->k = chunk_shape(b, c, k, c->S, c->H_k);
    c->k_b = chunk_shape(b, c, k_b, c->S, c->H_v);
    c->v = chunk_shape(b, c, v, c->S, c->H_v);
    c->v_b = chunk_shape(b, c, v_b, c->S, c->H_v);
    gate = chunk_shape(b, c, gate, gate->ne[0], c->H_v);
    c->g_cs = g_cumsum(g, turned(b, gate));
}

enum { TRI_LOWER_DIAG = 2, TRI_LOWER = 3 };

static struct g_tensor *decay(struct builder *b, struct g_tensor *later, struct g_tensor *earlier)
{
    return exp_of(b, g_tri(b->g, g_sub(b->g, later, earlier), TRI_LOWER_DIAG));
}

static void chunk_products(struct builder *b, struct chunks *c)
{
    struct graph *g = b->g;
    int64_t n = c->size;
    struct g_tensor *later = g_reshape_4d(g, c->g_cs, 1, n, c->n, c->H_v * c->N);
    later = g_repeat_4d(g, later, n, n, c->n, c->H_v * c->N);
    struct g_tensor *mask = decay(b, later, c->g_cs);
    c->kb = g_mul(g, g_mul_mat(g, c->k, c->k_b), mask);
    c->kq = g_mul(g, g_mul_mat(g, c->k, c->q), mask);
}

/* The same with a decay per channel: products are made row by row of the chunk. */
static void chunk_products_per_channel(struct builder *b, struct chunks *c)
{
    struct graph *g = b->g;
    int64_t n = c->size, all = c->n * c->H_k * c->N;
    struct g_tensor *earlier = g_reshape_4d(g, c->g_cs, n, 1, c->S, all);
    struct g_tensor *later = g_reshape_4d(g, c->g_cs, 1, n, c->S, all);
    later = g_repeat_4d(g, later, n, n, c->S, all);
    struct g_tensor *mask = decay(b, later, earlier);
    mask = g_cont_4d(g, g_permute(g, mask, 2, 1, 0, 3), c->S, n, n, all);
    struct g_tensor *k_b = g_reshape_4d(g, c->k_b, c->S, n, 1, all);
    struct g_tensor *k = g_reshape_4d(g, c->k, c->S, 1, n, all);
    struct g_tensor *q = g_reshape_4d(g, c->q, c->S, n, 1, all);
    k_b = g_mul(g, mask, k_b);
    q = g_mul(g, mask, q);
    c->kb = g_mul_mat(g, k_b, k);
    c->kq = g_mul_mat(g, q, k);
    c->kb = turned(b, g_reshape_4d(g, c->kb, n, n, c->n, c->H_v * c->N));
    c->kq = turned(b, g_reshape_4d(g, c->kq, n, n, c->n, c->H_v * c->N));
}

/* (1 + lower triangle)^-1 */
static void chunk_solve(struct builder *b, struct chunks *c)
{
    struct graph *g = b->g;
    c->kq = g_tri(g, c->kq, TRI_LOWER_DIAG);
    struct g_tensor *attn = g_tri(g, c->kb, TRI_LOWER);
    struct g_tensor *one = g_diag(g, g_fill(g, g_view_1d(g, attn, c->size, 0)));
    struct g_tensor *lhs = g_add(g, attn, one);
    struct g_tensor *solved = g_solve_tri(g, lhs, g_unary(g, attn, U_NEG));
    c->attn = g_add(g, solved, one);
}

static struct g_tensor *slice(struct builder *b, struct g_tensor *x, int64_t i)
{
    return g_view_4d(b->g, x, x->ne[0], x->ne[1], 1, x->ne[3], x->nb[1], x->nb[2], x->nb[3],
                     x->nb[2] * (uint64_t)i);
}

/* What the walk over the chunks reads. */
struct chunk_walk {
    struct g_tensor *k_cd, *v_t, *kq, *q_g, *kg_t, *g_last;
};

static struct chunk_walk chunk_prepare(struct builder *b, struct chunks *c)
{
    struct graph *g = b->g;
    struct chunk_walk w = {.kq = c->kq};
    c->v = g_mul_mat(g, turned(b, c->v_b), c->attn);
    struct g_tensor *g_exp = exp_of(b, c->g_cs);
    struct g_tensor *kbg = g_mul(g, turned(b, c->k_b), g_exp);
    w.k_cd = g_mul_mat(g, kbg, c->attn);
    w.q_g = g_mul(g, c->q, turned(b, g_exp));
    struct g_tensor *cs = c->g_cs;
    struct g_tensor *last =
        g_cont(g, g_view_4d(g, cs, 1, cs->ne[1], cs->ne[2], cs->ne[3], cs->nb[1], cs->nb[2],
                            cs->nb[3], (uint64_t)(cs->ne[0] - 1) * 4));
    w.g_last = g_transpose(g, exp_of(b, last));
    struct g_tensor *diff = g_unary(g, g_sub(g, cs, last), U_NEG);
    struct g_tensor *kg = g_mul(g, c->k, turned(b, exp_of(b, diff)));
    w.kg_t = turned(b, kg);
    return w;
}

static struct b_delta_out chunk_run(struct builder *b, struct chunks *c, struct chunk_walk *w,
                                    struct g_tensor *state)
{
    struct graph *g = b->g;
    struct g_tensor *s = g_reshape_4d(g, state, c->S, c->S, 1, c->H_v * c->N);
    struct g_tensor *v = c->v;
    w->v_t = turned(b, v);
    for (int64_t i = 0; i < c->n && !g->failed; i++) {
        struct g_tensor *k_cd = slice(b, w->k_cd, i), *v_t = slice(b, w->v_t, i);
        struct g_tensor *kq = slice(b, w->kq, i), *q_g = slice(b, w->q_g, i);
        struct g_tensor *kg_t = slice(b, w->kg_t, i);
        struct g_tensor *v_new = g_sub(g, v_t, g_mul_mat(g, k_cd, s));
        struct g_tensor *within = g_mul_mat(g, v_new, kq);
        struct g_tensor *o = g_add(g, g_mul_mat(g, s, q_g), within);
        v = g_set_inplace(g, v, o);
        struct g_tensor *kgv = g_mul_mat(g, kg_t, v_new);
        s = g_add(g, g_mul(g, s, slice(b, w->g_last, i)), kgv);
    }
    return (struct b_delta_out){.out = v, .state = s};
}

static struct b_delta_out delta_chunked(struct builder *b, const struct b_delta *in)
{
    struct graph *g = b->g;
    int64_t T = in->q->ne[2];
    struct chunks c = {
        .S = in->q->ne[0], .H_k = in->q->ne[1], .N = in->q->ne[3], .H_v = in->v->ne[1]};
    c.per_channel = in->gate->ne[0] == c.S && in->gate->ne[1] == c.H_k;
    c.size = c.per_channel ? 16 : 64;
    c.pad = (c.size - T % c.size) % c.size;
    c.n = (T + c.pad) / c.size;
    chunk_inputs(b, &c, in);
    if (c.per_channel)
        chunk_products_per_channel(b, &c);
    else
        chunk_products(b, &c);
    chunk_solve(b, &c);
    struct chunk_walk w = chunk_prepare(b, &c);
    struct b_delta_out r = chunk_run(b, &c, &w, in->state);

    uint64_t row = (uint64_t)c.S * 4, head = row * (uint64_t)(c.size * c.n);
    struct g_tensor *o =
        g_view_4d(g, r.out, c.S, T, c.H_v, c.N, row, head, head * (uint64_t)c.H_v, 0);
    r.out = g_permute(g, o, 0, 2, 1, 3);
    r.state = g_reshape_4d(g, r.state, c.S, c.S, c.H_v, c.N);
    return r;
}

struct b_delta_out b_delta_rule(struct builder *b, int layer, const struct b_delta *in)
{
    bool one = in->q->ne[2] == 1;
    if (one ? !b->unfused_delta_one : !b->unfused_delta_many)
        return delta_fused(b, layer, in);
    return one ? delta_step(b, in) : delta_chunked(b, in);
}

struct g_tensor *b_delta_conv(struct builder *b, int layer, struct g_tensor *qkv, int64_t kernel,
                              int64_t channels)
{
    struct graph *g = b->g;
    int64_t tail = kernel - 1, keep = sp_snapshots(b), row = tail * channels;
    struct g_tensor *r = b_r_state(b, layer);
    struct g_tensor *conv = b_rs_gather(b, r, row);
    conv = g_reshape_3d(g, conv, tail, channels, b->n_seqs);
    struct g_tensor *x = g_concat(g, conv, g_transpose(g, qkv), 0);
    for (int64_t i = 1; i <= keep && !g->failed; i++) {
        int64_t from = b->n_seq_tokens - keep + i, slot = keep - i;
        struct g_tensor *last = g_view_3d(g, x, tail, channels, b->n_seqs, x->nb[1], x->nb[2],
                                          (uint64_t)(from > 0 ? from : 0) * 4);
        struct g_tensor *into = g_view_2d(g, r, row, b->n_seqs, r->nb[1],
                                          (uint64_t)(slot * b->rs_copy->ne[0]) * (uint64_t)row * 4);
        g_expand(g, g_cpy(g, last, into));
    }
    return x;
}

/* The state and its snapshots as the fused op leaves them below its output. */
static struct g_tensor *attend_keeping(struct builder *b, int layer, const struct b_delta *in,
                                       int64_t keep)
{
    struct graph *g = b->g;
    struct g_tensor *s = b_s_state(b, layer);
    int64_t S = in->state->ne[0], H = in->state->ne[2], N = in->state->ne[3], T = in->q->ne[2];
    struct g_tensor *r =
        g_gated_delta_net(g, in->q, in->k, in->v, in->gate, in->beta, in->state, keep);
    r->layer = (int16_t)layer;
    uint64_t row = (uint64_t)S * 4, heads = row * (uint64_t)H, one = heads * (uint64_t)S;
    struct g_tensor *out = g_view_4d(g, r, S, H, T, N, row, heads, heads * (uint64_t)T, 0);
    int64_t written = keep < T ? keep : T;
    struct g_tensor *from =
        g_view_3d(g, r, S * S * H, N, written, one, one * (uint64_t)N, heads * (uint64_t)(T * N));
    struct g_tensor *into =
        g_view_3d(g, s, S * S * H, N, written, s->nb[1], (uint64_t)b->rs_copy->ne[0] * one, 0);
    g_expand(g, g_cpy(g, from, into));
    return out;
}

struct g_tensor *b_delta_attend(struct builder *b, int layer, const struct b_delta *in)
{
    struct graph *g = b->g;
    struct g_tensor *s = b_s_state(b, layer);
    if (sp_snapshots(b) > 1)
        return attend_keeping(b, layer, in, sp_snapshots(b));
    struct b_delta_out r = b_delta_rule(b, layer, in);
    int64_t size = in->state->ne[0] * in->state->ne[1] * in->state->ne[2];
    g_expand(g, g_cpy(g, r.state, g_view_2d(g, s, size, b->n_seqs, s->nb[1], 0)));
    return r.out;
}
