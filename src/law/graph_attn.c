/* graph_attn: constructors of attention, positions and recurrent state, with ggml's shapes. */
#include "law/graph_make.h"

static struct g_tensor *with_sources(struct g_tensor *t, int n, struct g_tensor *const *src)
{
    for (int i = 0; i < n; i++)
        t->src[i] = src[i];
    return t;
}
#define SOURCES(t, ...)                                                                         \
    with_sources((t),                                                                           \
                 (int)(sizeof((struct g_tensor *[]){__VA_ARGS__}) / sizeof(struct g_tensor *)), \
                 (struct g_tensor *[]){__VA_ARGS__})

struct g_tensor *g_soft_max_ext(struct graph *g, struct g_tensor *a, struct g_tensor *mask,
                                bool alibi)
{
    G_CHECK(g, a && g_is_contiguous(a) && (mask || !alibi));
    if (mask)
        G_CHECK(g, (mask->type == GGUF_TYPE_F16 || mask->type == GGUF_TYPE_F32) &&
                       g_is_contiguous(mask) && mask->ne[0] == a->ne[0] &&
                       mask->ne[1] >= a->ne[1] && mask->ne[2] > 0 && mask->ne[3] > 0 &&
                       a->ne[2] % mask->ne[2] == 0 && a->ne[3] % mask->ne[3] == 0);
    struct g_tensor *t = g_make_like(g, OP_SOFT_MAX, a);
    t->src[1] = mask;
    t->param[0] = alibi;
    return t;
}

struct g_tensor *g_soft_max(struct graph *g, struct g_tensor *a)
{
    return g_soft_max_ext(g, a, NULL, false);
}

struct g_tensor *g_rope(struct graph *g, struct g_tensor *a, struct g_tensor *pos,
                        struct g_tensor *factors, int n_rot, int mode)
{
    G_CHECK(g, a && pos && pos->type == GGUF_TYPE_I32 && pos->ne[1] == 1 &&
                   a->ne[2] * (mode & ROPE_MROPE ? 4 : 1) == pos->ne[0] &&
                   (!factors || factors->ne[0] >= n_rot / 2));
    struct g_tensor *t = g_make_like(g, OP_ROPE, a);
    t->src[1] = pos;
    t->src[2] = factors;
    t->sub = (uint8_t)mode;
    t->param[0] = n_rot;
    t->param[1] = mode;
    return t;
}

struct g_tensor *g_flash_attn_ext(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                  struct g_tensor *v, struct g_tensor *mask, bool alibi,
                                  bool softcap)
{
    G_CHECK(g, q && k && v && k->ne[0] == q->ne[0] && k->ne[2] > 0 && q->ne[2] % k->ne[2] == 0 &&
                   q->ne[3] == k->ne[3] && q->ne[3] == v->ne[3] && (mask || !alibi));
    if (mask)
        G_CHECK(g, mask->type == GGUF_TYPE_F16 && g_is_contiguous(mask) && mask->ne[2] > 0 &&
                       mask->ne[3] > 0 && q->ne[2] % mask->ne[2] == 0 &&
                       q->ne[3] % mask->ne[3] == 0);
    struct g_tensor *t =
        g_make(g, OP_FLASH_ATTN_EXT, GGUF_TYPE_F32, v->ne[0], q->ne[2], q->ne[1], q->ne[3]);
    t->param[0] = alibi;
    t->param[1] = softcap;
    return SOURCES(t, q, k, v, mask);
}

void g_set_n_kv_max(struct g_tensor *attn, int32_t n)
{
    attn->param[2] = n;
}

void g_add_sinks(struct g_tensor *t, struct g_tensor *sinks)
{
    t->src[t->op == OP_FLASH_ATTN_EXT ? 4 : 2] = sinks;
}

struct g_tensor *g_ssm_conv(struct graph *g, struct g_tensor *sx, struct g_tensor *c)
{
    G_CHECK(g, sx && c && sx->ne[3] == 1 && c->ne[2] == 1 && c->ne[3] == 1 &&
                   sx->ne[1] == c->ne[1] && sx->ne[0] >= c->ne[0] - 1);
    int64_t tokens = sx->ne[0] - c->ne[0] + 1;
    struct g_tensor *t = g_make(g, OP_SSM_CONV, GGUF_TYPE_F32, c->ne[1], tokens, sx->ne[2], 1);
    return SOURCES(t, sx, c);
}

struct g_tensor *g_ssm_scan(struct graph *g, struct g_tensor *s, struct g_tensor *x,
                            struct g_tensor *dt, struct g_tensor *A, struct g_tensor *B,
                            struct g_tensor *C, struct g_tensor *ids, int64_t n_snapshots)
{
    G_CHECK(g, s && x && dt && A && B && C && ids && n_snapshots >= 1 && n_snapshots <= INT32_MAX);
    G_CHECK(g, g_is_contiguous(s) && g_is_contiguous(dt) && g_is_contiguous(A) &&
                   g_same_shape(B, C) && ids->type == GGUF_TYPE_I32 && dt->ne[0] == x->ne[1] &&
                   dt->ne[1] == x->ne[2] && dt->ne[2] == x->ne[3] && s->ne[1] == x->ne[0] &&
                   s->ne[2] == x->ne[1] && B->ne[0] == s->ne[0] && ids->ne[0] == x->ne[3]);
    int64_t state = n_snapshots * s->ne[0] * s->ne[1] * s->ne[2] * ids->ne[0];
    struct g_tensor *t = g_make(g, OP_SSM_SCAN, GGUF_TYPE_F32, g_nelements(x) + state, 1, 1, 1);
    t->param[0] = (int32_t)n_snapshots;
    return SOURCES(t, s, x, dt, A, B, C, ids);
}

struct g_tensor *g_gated_delta_net(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                   struct g_tensor *v, struct g_tensor *gate, struct g_tensor *beta,
                                   struct g_tensor *state, int64_t n_snapshots)
{
    G_CHECK(g,
            q && k && v && gate && beta && state && n_snapshots >= 1 && n_snapshots <= INT32_MAX);
    G_CHECK(g, g_is_contiguous_rows(q) && g_is_contiguous_rows(k) && g_is_contiguous_rows(v) &&
                   g_is_contiguous(gate) && g_is_contiguous(beta) && g_is_contiguous(state) &&
                   (gate->ne[0] == 1 || gate->ne[0] == v->ne[0]) && beta->ne[0] == 1 &&
                   state->ne[0] == v->ne[0] && state->ne[1] == v->ne[0] &&
                   state->ne[2] == v->ne[1] && state->ne[3] == v->ne[3]);
    int64_t rows = v->ne[2] * v->ne[3] + n_snapshots * v->ne[0] * v->ne[3];
    struct g_tensor *t =
        g_make(g, OP_GATED_DELTA_NET, GGUF_TYPE_F32, v->ne[0] * v->ne[1], rows, 1, 1);
    t->param[0] = (int32_t)n_snapshots;
    return SOURCES(t, q, k, v, gate, beta, state);
}

/* k {S, H, tokens}, state {S*S*H, sequences}: output rows, then the new state below them. */
static struct g_tensor *linear_attention(struct graph *g, uint8_t op, struct g_tensor *k,
                                         struct g_tensor *state)
{
    G_CHECK(g, k && state && g_is_contiguous(k) && g_is_contiguous(state) &&
                   g_nelements(state) == k->ne[0] * k->ne[0] * k->ne[1] * state->ne[1]);
    return g_make(g, op, GGUF_TYPE_F32, k->ne[0] * k->ne[1], k->ne[2] + k->ne[0] * state->ne[1], 1,
                  1);
}

struct g_tensor *g_gated_linear_attn(struct graph *g, struct g_tensor *k, struct g_tensor *v,
                                     struct g_tensor *q, struct g_tensor *gate,
                                     struct g_tensor *state)
{
    G_CHECK(g, v && q && gate);
    struct g_tensor *t = linear_attention(g, OP_GATED_LINEAR_ATTN, k, state);
    return SOURCES(t, k, v, q, gate, state);
}

struct g_tensor *g_rwkv_wkv6(struct graph *g, struct g_tensor *k, struct g_tensor *v,
                             struct g_tensor *r, struct g_tensor *tf, struct g_tensor *td,
                             struct g_tensor *state)
{
    G_CHECK(g, v && r && tf && td);
    struct g_tensor *t = linear_attention(g, OP_RWKV_WKV6, k, state);
    return SOURCES(t, k, v, r, tf, td, state);
}

struct g_tensor *g_rwkv_wkv7(struct graph *g, struct g_tensor *r, struct g_tensor *w,
                             struct g_tensor *k, struct g_tensor *v, struct g_tensor *a,
                             struct g_tensor *b, struct g_tensor *state)
{
    G_CHECK(g, r && w && v && a && b);
    struct g_tensor *t = linear_attention(g, OP_RWKV_WKV7, k, state);
    return SOURCES(t, r, w, k, v, a, b, state);
}

struct g_tensor *g_lightning_indexer(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                     struct g_tensor *weights, struct g_tensor *mask)
{
    G_CHECK(g, q && k && weights && mask && mask->type == GGUF_TYPE_F16 && q->ne[0] == k->ne[0] &&
                   mask->ne[0] == k->ne[2] && q->ne[1] == weights->ne[0] && k->ne[1] == 1 &&
                   mask->ne[1] == q->ne[2] && q->ne[2] == weights->ne[1] && q->ne[3] == k->ne[3]);
    struct g_tensor *t =
        g_make(g, OP_LIGHTNING_INDEXER, GGUF_TYPE_F32, k->ne[2], q->ne[2], 1, q->ne[3]);
    return SOURCES(t, q, k, weights, mask);
}
