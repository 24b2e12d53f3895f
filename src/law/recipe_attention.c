/* recipe_attention: Q, K and V as a row wants them, and attention with its gates and norms. */
#include "law/recipe_walk.h"

static bool uses_rope(const struct walk *w, int layer)
{
    const struct builder *b = w->b;
    const struct model_hparams *hp = &b->m->hp;
    uint32_t step = hp->n_no_rope_every;

    if (w->r->rope == ROPE_KIND_NONE)
        return false;
    switch (w->r->rope_where) {
    case ROPE_WINDOW: return b->m->layers[layer].window;
    case ROPE_WINDOW_ONLY_IF_ANY: return !b->two_caches || b->m->layers[layer].window;
    case ROPE_NOT_EVERY: return step > 0 && ((uint32_t)layer + 1) % step != 0;
    case ROPE_NOT_FIRST:
        return step == 0 || step == (uint32_t)w->n_layers || (uint32_t)layer % step != 0;
    case ROPE_IF_FINETUNED: return hp->rope_finetuned;
    case ROPE_WINDOW_OR_LEAD:
        return b->m->layers[layer].window || (uint32_t)layer < hp->n_expert_dense_lead;
    case ROPE_BY_PATTERN: return !b->m->layers[layer].no_rope;
    case ROPE_SHORT: return b->m->hp.n_layer == 32;
    default: return true;
    }
}

static struct g_tensor *qk_norm(struct walk *w, int layer, struct g_tensor *x,
                                enum tensor_role role)
{
    enum norm_kind kind = w->r->qk_layer_norm ? NORM_LAYER : w->norm;

    if (!b_has(w->b, layer, role, PART_WEIGHT))
        return x;
    return b_norm_role(w->b, layer, x, role, kind);
}

static void norm_q_and_k(struct walk *w, int layer, struct b_qkv *p)
{
    struct graph *g = w->b->g;
    struct g_tensor *q = p->q, *k = p->k;

    if (w->r->qk_norm == QK_ROWS_BACK && b_has(w->b, layer, ROLE_ATTN_Q_NORM, PART_WEIGHT)) {
        q = g_reshape_2d(g, q, q->ne[0] * q->ne[1], q->ne[2]);
        k = g_reshape_2d(g, k, k->ne[0] * k->ne[1], k->ne[2]);
        q = qk_norm(w, layer, q, ROLE_ATTN_Q_NORM);
        k = qk_norm(w, layer, k, ROLE_ATTN_K_NORM);
        p->q = g_reshape_3d(g, q, p->q->ne[0], p->q->ne[1], p->q->ne[2]);
        p->k = g_reshape_3d(g, k, p->k->ne[0], p->k->ne[1], p->k->ne[2]);
        return;
    }
    if (w->r->qk_norm == QK_ROWS_BACK)
        return;
    p->q = qk_norm(w, layer, q, ROLE_ATTN_Q_NORM);
    p->k = qk_norm(w, layer, k, ROLE_ATTN_K_NORM);
}

/* Rows are normalised as a whole before they are cut into heads. */
static struct b_qkv qkv_by_rows(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    const struct model_layer *l = &b->m->layers[layer];
    struct b_qkv p = b_make_qkv_rows(b, layer, x);

    p.q = qk_norm(w, layer, p.q, ROLE_ATTN_Q_NORM);
    p.k = qk_norm(w, layer, p.k, ROLE_ATTN_K_NORM);
    p.q = g_reshape_3d(b->g, p.q, l->head_dim_k, l->n_head, b->n_tokens);
    p.k = g_reshape_3d(b->g, p.k, l->head_dim_k, l->n_head_kv, b->n_tokens);
    p.v = g_reshape_3d(b->g, p.v, l->head_dim_v, l->n_head_kv, b->n_tokens);
    return p;
}

static struct g_tensor *cut_heads(struct builder *b, struct g_tensor *x, int64_t heads,
                                  int64_t first)
{
    return g_view_3d(b->g, x, x->ne[0], heads, b->n_tokens, x->nb[1], x->nb[2],
                     (uint64_t)first * x->nb[1]);
}

static struct b_qkv qkv_by_heads(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    const struct model_layer *l = &b->m->layers[layer];
    int64_t q = l->n_head, kv = l->n_head_kv;

    x = g_reshape_3d(b->g, b_mm(b, layer, ROLE_ATTN_QKV, x), l->head_dim_k, q + 2 * kv,
                     b->n_tokens);
    return (struct b_qkv){cut_heads(b, x, q, 0), cut_heads(b, x, kv, q),
                          cut_heads(b, x, kv, q + kv)};
}

static struct b_qkv projections(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    bool rope = uses_rope(w, layer);
    struct b_qkv p;

    if (r->qk_norm == QK_ROWS)
        p = qkv_by_rows(w, layer, x);
    else if (r->qkv_by_heads)
        p = qkv_by_heads(w, layer, x);
    else
        p = b_make_qkv(b, layer, x);
    if (r->qk_norm == QK_HEADS || r->qk_norm == QK_ROWS_BACK)
        norm_q_and_k(w, layer, &p);
    if (rope) {
        bool plain = !r->factors || (r->factors_full_only && b->m->layers[layer].window);
        struct g_tensor *factors = plain ? NULL : b_rope_factors(b, layer);

        p.q = b_rope(b, p.q, factors, w->rope_mode);
        p.k = b_rope(b, p.k, factors, w->rope_mode);
    }
    if (r->temperature == TEMP_IF_SCALED ? b->attn_scale != NULL
                                         : r->temperature == TEMP_NO_ROPE_LAYERS && !rope)
        p.q = g_mul(b->g, p.q, b->attn_scale);
    if (r->qk_norm == QK_HEADS_AFTER)
        norm_q_and_k(w, layer, &p);
    if (r->qk_norm == QK_BARE_AFTER && rope && b->m->hp.kq_norm) {
        p.q = g_rms_norm(b->g, p.q);
        p.k = g_rms_norm(b->g, p.k);
    }
    if (r->q_scale)
        p.q = g_scale(b->g, p.q);
    return p;
}

/* Attention times a sigmoid of its own projection, for the whole row or per head. */
static struct g_tensor *gated_attention(struct walk *w, int layer, struct g_tensor *x,
                                        struct g_tensor *attn)
{
    struct graph *g = w->b->g;
    const struct model_layer *l = &w->b->m->layers[layer];
    struct g_tensor *gate;

    if (!b_has(w->b, layer, ROLE_ATTN_GATE, PART_WEIGHT))
        return attn;
    gate = b_mm(w->b, layer, ROLE_ATTN_GATE, x);
    gate = g_unary(g, gate, w->r->attn_gate == ATTN_GATE_SIGMOID ? U_SIGMOID : U_SOFTPLUS);
    if (gate->ne[0] != l->n_head)
        return g_mul(g, attn, gate);
    attn = g_reshape_3d(g, attn, l->head_dim_v, l->n_head, w->b->n_tokens);
    gate = g_reshape_3d(g, gate, 1, l->n_head, w->b->n_tokens);
    return g_reshape_2d(g, g_mul(g, attn, gate), (int64_t)l->head_dim_v * l->n_head,
                        w->b->n_tokens);
}

struct g_tensor *recipe_attention(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    struct b_qkv p = projections(w, layer, x);
    struct b_attn_args args = {
        .q = p.q,
        .k = p.k,
        .v = p.v,
        .sinks = b_weight(b, layer, ROLE_ATTN_SINKS, PART_WEIGHT),
        .no_wo = w->r->attn_gate != ATTN_GATE_NONE || w->r->attn_sub_norm,
    };
    struct g_tensor *out = b_attn(b, layer, &args);

    if (w->r->attn_gate != ATTN_GATE_NONE)
        out = gated_attention(w, layer, x, out);
    if (w->r->attn_sub_norm)
        out = b_norm_role(b, layer, out, ROLE_ATTN_SUB_NORM, w->norm);
    if (args.no_wo)
        out = b_mm_bias(b, layer, ROLE_ATTN_OUT, out);
    return b->m->hp.f_attn_value_scale != 0.0 ? g_scale(b->g, out) : out;
}
