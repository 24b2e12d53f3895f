/* attention: projections to Q, K and V, the cache's leafs, storing into it, and attending. */
#include "law/build.h"

static uint64_t row_bytes(uint32_t type, uint64_t elements)
{
    return g_row_bytes(type, (int64_t)elements);
}

/* One projection with bias and clamp, shaped into heads. */
static struct g_tensor *project(struct builder *b, int layer, enum tensor_role role,
                                struct g_tensor *x, int64_t head, int64_t heads)
{
    x = b_mm_bias(b, layer, role, x);
    if (b->clamp_qkv)
        x = g_clamp(b->g, x);
    return g_reshape_3d(b->g, x, head, heads, b->n_tokens);
}

static struct g_tensor *fused_projection(struct builder *b, int layer, struct g_tensor *x)
{
    struct graph *g = b->g;
    struct g_tensor *bias = b_weight(b, layer, ROLE_ATTN_QKV, PART_BIAS);

    x = b_mm(b, layer, ROLE_ATTN_QKV, x);
    if (!bias && b_has(b, layer, ROLE_ATTN_Q, PART_BIAS) &&
        b_has(b, layer, ROLE_ATTN_K, PART_BIAS) && b_has(b, layer, ROLE_ATTN_V, PART_BIAS)) {
        bias = g_concat(g, b_weight(b, layer, ROLE_ATTN_Q, PART_BIAS),
                        b_weight(b, layer, ROLE_ATTN_K, PART_BIAS), 0);
        bias = g_concat(g, bias, b_weight(b, layer, ROLE_ATTN_V, PART_BIAS), 0);
    }
    if (bias)
        x = g_add(g, x, bias);
    return b->clamp_qkv ? g_clamp(g, x) : x;
}

static struct g_tensor *part_of(struct builder *b, struct g_tensor *x, int64_t head, int64_t heads,
                                uint64_t first)
{
    return g_view_3d(b->g, x, head, heads, b->n_tokens, row_bytes(x->type, (uint64_t)head),
                     x->nb[1], row_bytes(x->type, first));
}

struct b_qkv b_make_qkv(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_layer *l = &b->m->layers[layer];
    uint64_t n_q = (uint64_t)l->head_dim_k * l->n_head;
    uint64_t n_k = (uint64_t)l->head_dim_k * l->n_head_kv;
    struct b_qkv out;

    if (b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT)) {
        x = fused_projection(b, layer, x);
        out.q = part_of(b, x, l->head_dim_k, l->n_head, 0);
        out.k = part_of(b, x, l->head_dim_k, l->n_head_kv, n_q);
        out.v = part_of(b, x, l->head_dim_v, l->n_head_kv, n_q + n_k);
        return out;
    }
    out.q = project(b, layer, ROLE_ATTN_Q, x, l->head_dim_k, l->n_head);
    out.k = project(b, layer, ROLE_ATTN_K, x, l->head_dim_k, l->n_head_kv);
    out.v = project(b, layer, ROLE_ATTN_V, x, l->head_dim_v, l->n_head_kv);
    return out;
}

static struct g_tensor *row_part(struct builder *b, struct g_tensor *x, int64_t n, uint64_t first)
{
    return g_cont(b->g, g_view_2d(b->g, x, n, b->n_tokens, x->nb[1], row_bytes(x->type, first)));
}

struct b_qkv b_make_qkv_rows(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_layer *l = &b->m->layers[layer];
    int64_t n_q = (int64_t)l->head_dim_k * l->n_head, n_k = (int64_t)l->head_dim_k * l->n_head_kv;
    bool clamp = b->clamp_qkv;
    struct b_qkv out;

    if (!b_has(b, layer, ROLE_ATTN_QKV, PART_WEIGHT)) {
        out.q = b_mm_bias(b, layer, ROLE_ATTN_Q, x);
        out.k = b_mm_bias(b, layer, ROLE_ATTN_K, x);
        out.v = b_mm_bias(b, layer, ROLE_ATTN_V, x);
        return out;
    }
    b->clamp_qkv = false;
    x = fused_projection(b, layer, x);
    b->clamp_qkv = clamp;
    out.q = row_part(b, x, n_q, 0);
    out.k = row_part(b, x, n_k, (uint64_t)n_q);
    out.v = row_part(b, x, (int64_t)l->head_dim_v * l->n_head_kv, (uint64_t)(n_q + n_k));
    return out;
}

static int cache_owner(const struct builder *b, int layer)
{
    const struct model_layer *l = &b->m->layers[layer];

    return l->kv == KV_SHARED && l->kv_from >= 0 ? l->kv_from : layer;
}

static struct g_tensor *cache_leaf(struct builder *b, int layer, uint32_t type, uint64_t row,
                                   const char *name)
{
    const struct cache_layer *c = &b->c->layer[layer];
    int64_t ne[3] = {(int64_t)row, c->cells, b->c->n_streams};

    return g_leaf(b->g, type, 3, ne, G_CACHE, c->buffer, name);
}

struct g_tensor *b_k_cache(struct builder *b, int layer)
{
    layer = cache_owner(b, layer);
    if (!b->k_cache[layer])
        b->k_cache[layer] = cache_leaf(b, layer, b->s->type_k, b->c->layer[layer].k_row, "cache_k");
    return b->k_cache[layer];
}

struct g_tensor *b_v_cache(struct builder *b, int layer)
{
    layer = cache_owner(b, layer);
    if (!b->v_cache[layer])
        b->v_cache[layer] = cache_leaf(b, layer, b->s->type_v, b->c->layer[layer].v_row, "cache_v");
    return b->v_cache[layer];
}

static bool in_window(const struct builder *b, int layer)
{
    return b->two_caches && b->m->layers[layer].window;
}

struct g_tensor *b_rotate(struct builder *b, struct g_tensor *x, struct g_tensor *rot)
{
    struct graph *g = b->g;
    struct g_tensor *flat;
    int64_t n;

    if (!rot || !x)
        return x;
    n = rot->ne[0];
    flat = g_is_contiguous(x) ? g_reshape_2d(g, x, n, g_nelements(x) / n)
                              : g_cont_2d(g, x, n, g_nelements(x) / n);
    flat = g_mul_mat(g, rot, flat);
    return g_reshape_4d(g, flat, x->ne[0], x->ne[1], x->ne[2], x->ne[3]);
}

/* All streams' cells of a cache as one list of rows, since the places to store at count through. */
static struct g_tensor *merge_streams(struct builder *b, struct g_tensor *cache)
{
    if (cache->ne[2] == 1)
        return cache;
    return g_reshape_2d(b->g, cache, cache->ne[0], cache->ne[1] * cache->ne[2]);
}

static void store_rows(struct builder *b, struct g_tensor *cache, struct g_tensor *x,
                       struct g_tensor *at)
{
    struct graph *g = b->g;

    x = g_view_2d(g, x, x->ne[0] * x->ne[1], x->ne[2], x->nb[2], 0);
    g_expand(g, g_set_rows(g, merge_streams(b, cache), x, at));
}

static void store_v_transposed(struct builder *b, struct g_tensor *cache, struct g_tensor *x,
                               struct g_tensor *at)
{
    struct graph *g = b->g;
    int64_t row = x->ne[0] * x->ne[1];

    if (row_bytes(x->type, (uint64_t)row) == x->nb[2])
        x = g_reshape_2d(g, x, row, x->ne[2]);
    else
        x = g_cont_2d(g, x, row, x->ne[2]);
    if (row < cache->ne[0])
        x = g_pad(g, x, cache->ne[0] - row, 0, 0, 0);
    cache = g_reshape_2d(g, cache, 1, g_nelements(cache));
    x = g_reshape_2d(g, x, 1, g_nelements(x));
    g_expand(g, g_set_rows(g, cache, x, at));
}

static struct g_tensor *k_view(struct builder *b, int layer)
{
    const struct model_layer *l = &b->m->layers[layer];
    struct g_tensor *k = b_k_cache(b, layer);

    return g_view_4d(b->g, k, l->kv == KV_LATENT ? k->ne[0] : l->head_dim_k,
                     l->kv == KV_LATENT ? 1 : l->n_head_kv, k->ne[1], k->ne[2],
                     l->kv == KV_LATENT ? k->nb[1] : row_bytes(k->type, l->head_dim_k), k->nb[1],
                     k->nb[2], 0);
}

static struct g_tensor *v_view(struct builder *b, int layer)
{
    const struct model_layer *l = &b->m->layers[layer];
    struct g_tensor *v = b_v_cache(b, layer);
    uint64_t cells = (uint64_t)v->ne[1];

    if (!b->v_trans)
        return g_view_4d(b->g, v, l->head_dim_v, l->n_head_kv, v->ne[1], v->ne[2],
                         row_bytes(v->type, l->head_dim_v), v->nb[1], v->nb[2], 0);
    return g_view_4d(b->g, v, v->ne[1], l->n_head_kv, l->head_dim_v, v->ne[2],
                     row_bytes(v->type, cells * l->head_dim_v), row_bytes(v->type, cells),
                     row_bytes(v->type, cells * (uint64_t)v->ne[0]), 0);
}

static struct g_tensor *flash(struct builder *b, struct g_tensor *q, struct g_tensor *k,
                              struct g_tensor *v, struct g_tensor *mask,
                              const struct b_attn_args *args)
{
    struct graph *g = b->g;
    struct g_tensor *x;

    if (k->type == GGUF_TYPE_F32)
        k = g_cast(g, k, GGUF_TYPE_F16);
    if (v->type == GGUF_TYPE_F32)
        v = g_cast(g, v, GGUF_TYPE_F16);
    x = g_flash_attn_ext(g, q, k, v, mask, b->alibi, b->softcap);
    g_add_sinks(x, args->sinks);
    x->layer = (int16_t)args->layer;
    if (args->v_mla) {
        x = g_permute(g, x, 0, 2, 1, 3);
        x = g_mul_mat(g, args->v_mla, x);
        x = g_permute(g, x, 0, 2, 1, 3);
        x = g_cont(g, x);
    }
    return g_reshape_2d(g, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3]);
}

static struct g_tensor *scores(struct builder *b, struct g_tensor *q, struct g_tensor *k,
                               struct g_tensor *mask, const struct b_attn_args *args)
{
    struct graph *g = b->g;
    struct g_tensor *kq = g_mul_mat(g, k, q);

    if (b->softcap) {
        kq = g_scale(g, kq);
        kq = g_unary(g, kq, U_TANH);
        kq = g_scale(g, kq);
    }
    if (args->kq_b)
        kq = g_add(g, kq, args->kq_b);
    kq = g_soft_max_ext(g, kq, mask, b->alibi);
    g_add_sinks(kq, args->sinks);
    return kq;
}

static struct g_tensor *plain(struct builder *b, struct g_tensor *q, struct g_tensor *k,
                              struct g_tensor *v, bool v_trans, struct g_tensor *mask,
                              const struct b_attn_args *args)
{
    struct graph *g = b->g;
    struct g_tensor *x = scores(b, q, k, mask, args);

    if (!v_trans)
        v = g_cont(g, g_transpose(g, v));
    x = g_mul_mat(g, v, x);
    if (args->v_mla)
        x = g_mul_mat(g, args->v_mla, x);
    x = g_permute(g, x, 0, 2, 1, 3);
    x = g_cont_2d(g, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3]);
    if (b->s->no_kv_offload)
        x->backend = LAW_HOST;
    return x;
}

struct g_tensor *b_attn_mha(struct builder *b, struct g_tensor *q, struct g_tensor *k,
                            struct g_tensor *v, struct g_tensor *mask,
                            const struct b_attn_args *args)
{
    struct graph *g = b->g;
    bool v_trans = v->nb[1] > v->nb[2];
    int64_t streams = k->ne[3];

    q = g_view_4d(g, q, q->ne[0], q->ne[1], q->ne[2] / streams, streams, q->nb[1], q->nb[2],
                  q->nb[3] / (uint64_t)streams, 0);
    q = g_permute(g, q, 0, 2, 1, 3);
    k = g_permute(g, k, 0, 2, 1, 3);
    v = g_permute(g, v, 0, 2, 1, 3);
    if (b->flash_on && !args->kq_b)
        q = flash(b, q, k, v_trans ? g_transpose(g, v) : v, mask, args);
    else
        q = plain(b, q, k, v, v_trans, mask, args);
    g_expand(g, q);
    return q;
}

/* The order in which the engine puts the three into the graph depends on the kind of cache. */
static void expand_qkv(struct builder *b, const struct b_attn_args *args)
{
    g_expand(b->g, args->q);
    if (b->two_caches && args->k)
        g_expand(b->g, args->k);
    if (args->v)
        g_expand(b->g, args->v);
    if (!b->two_caches && args->k)
        g_expand(b->g, args->k);
}

static struct g_tensor *attend_cached(struct builder *b, int layer, struct b_attn_args args)
{
    struct attn_input *in = in_window(b, layer) ? &b->window : &b->full;
    struct g_tensor *x;

    args.q = b_rotate(b, args.q, in->k_rot);
    args.k = b_rotate(b, args.k, in->k_rot);
    args.v = b_rotate(b, args.v, in->v_rot);
    expand_qkv(b, &args);
    if (args.k)
        store_rows(b, b_k_cache(b, layer), args.k, in->k_idxs);
    if (args.v && b->v_trans)
        store_v_transposed(b, b_v_cache(b, layer), args.v, in->v_idxs);
    else if (args.v)
        store_rows(b, b_v_cache(b, layer), args.v, in->v_idxs);
    x = b_attn_mha(b, args.q, k_view(b, layer), v_view(b, layer), in->mask, &args);
    return b_rotate(b, x, in->v_rot);
}

void b_store_index(struct builder *b, int layer, struct g_tensor *keys, struct g_tensor *at)
{
    const struct cache_layer *c = &b->c->layer[layer];

    if (!b->index_cache[layer])
        b->index_cache[layer] = cache_leaf(b, layer, b->s->type_k, c->index_row, "cache_k");
    store_rows(b, b->index_cache[layer], keys, at);
}

struct g_tensor *b_index_view(struct builder *b, int layer)
{
    struct g_tensor *k = b->index_cache[layer];

    return g_view_4d(b->g, k, k->ne[0], 1, k->ne[1], k->ne[2], k->nb[1], k->nb[1], k->nb[2], 0);
}

/* The mask with only the chosen cells left open: all shut, then theirs opened one by one. */
static struct g_tensor *sparse_mask(struct builder *b, struct g_tensor *mask,
                                    struct g_tensor *top_k)
{
    struct graph *g = b->g;
    struct g_tensor *x = g_fill(g, mask), *at, *zeros;

    x = g_view_4d(g, x, 1, x->ne[0], x->ne[1], x->ne[3], x->nb[0], x->nb[1], x->nb[2], 0);
    at = g_view_4d(g, top_k, top_k->ne[0], top_k->ne[1], top_k->ne[3], 1, top_k->nb[1],
                   top_k->nb[2], (uint64_t)top_k->ne[3] * top_k->nb[3], 0);
    zeros = g_new(g, GGUF_TYPE_F32, 1, at->ne[0], at->ne[1], at->ne[2], "zeros");
    x = g_set_rows(g, x, g_fill(g, zeros), at);
    x = g_view_4d(g, x, x->ne[1], x->ne[2], 1, x->ne[3], x->nb[2], x->nb[3], x->nb[3], 0);
    return g_add(g, x, mask);
}

static struct g_tensor *attend_latent(struct builder *b, int layer, struct b_attn_args args)
{
    struct attn_input *in = in_window(b, layer) ? &b->window : &b->full;
    struct g_tensor *k, *v, *mask = in->mask;

    g_expand(b->g, args.q);
    g_expand(b->g, args.v);
    g_expand(b->g, args.k);
    store_rows(b, b_k_cache(b, layer), args.k, in->k_idxs);
    if (args.top_k)
        mask = sparse_mask(b, mask, args.top_k);
    k = k_view(b, layer);
    v = g_view_4d(b->g, k, args.v->ne[0], k->ne[1], k->ne[2], k->ne[3], k->nb[1], k->nb[2],
                  k->nb[3], 0);
    return b_attn_mha(b, args.q, k, v, mask, &args);
}

static struct g_tensor *attend_plain(struct builder *b, int layer, struct b_attn_args args)
{
    uint32_t count = (uint32_t)layer + (b->window_full_first ? 0 : 1);
    bool window = b->window_every && count % b->window_every != 0;

    g_expand(b->g, args.q);
    g_expand(b->g, args.k);
    g_expand(b->g, args.v);
    return b_attn_mha(b, args.q, args.k, args.v, window ? b->window.mask : b->full.mask, &args);
}

struct g_tensor *b_attn(struct builder *b, int layer, const struct b_attn_args *args)
{
    enum tensor_role wo = args->wo ? args->wo : ROLE_ATTN_OUT;
    struct b_attn_args a = *args;
    struct g_tensor *x;

    a.layer = layer;
    if (b->no_cache)
        x = attend_plain(b, layer, a);
    else
        x = a.latent ? attend_latent(b, layer, a) : attend_cached(b, layer, a);
    if (args->no_wo || !b_has(b, layer, wo, PART_WEIGHT))
        return x;
    return b_mm_bias(b, layer, wo, x);
}
