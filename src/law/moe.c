/* moe: the mixture-of-experts block: gating, choice, experts, weighted sum. */
#include "law/build.h"

struct g_tensor *b_mm_id(struct builder *b, int layer, enum tensor_role role, struct g_tensor *x,
                         struct g_tensor *ids)
{
    struct graph *g = b->g;
    struct g_tensor *scale = b_weight(b, layer, role, PART_SCALE);
    struct g_tensor *bias = b_weight(b, layer, role, PART_BIAS);
    struct g_tensor *y = g_mul_mat_id(g, b_weight(b, layer, role, PART_WEIGHT), x, ids);

    if (scale) {
        int64_t n = scale->ne[0];

        scale = g_reshape_3d(g, scale, 1, n, 1);
        scale = g_repeat_4d(g, scale, 1, n, x->ne[2], 1);
        y = g_mul(g, y, g_get_rows(g, scale, ids));
    }
    return bias ? g_add_id(g, y, bias, ids) : y;
}

static struct g_tensor *probabilities(struct graph *g, struct g_tensor *logits, uint32_t gating)
{
    switch (gating) {
    case GATING_SIGMOID: return g_unary(g, logits, U_SIGMOID);
    case GATING_SOFTMAX_WEIGHT: return logits;
    case GATING_SQRT_SOFTPLUS: return g_sqrt(g, g_unary(g, logits, U_SOFTPLUS));
    default: return g_soft_max(g, logits);
    }
}

/* Keep the best groups of experts only: a group counts as much as its two best experts together. */
static struct g_tensor *mask_groups(struct builder *b, struct g_tensor *x, int64_t n_expert,
                                    int64_t n_tokens)
{
    struct graph *g = b->g;
    int64_t groups = b->m->hp.n_expert_groups, size = n_expert / groups;
    struct g_tensor *all, *best, *score;

    all = g_reshape_3d(g, x, size, groups, n_tokens);
    best = g_argsort_top_k(g, all, 2);
    score = g_get_rows(g, g_reshape_4d(g, all, 1, size, groups, n_tokens), best);
    score = g_sum_rows(g, g_reshape_3d(g, score, 2, groups, n_tokens));
    score = g_reshape_2d(g, score, groups, n_tokens);
    best = g_argsort_top_k(g, score, b->m->hp.n_expert_group_used);
    x = g_get_rows(g, all, best);
    x = g_set_rows(g, g_fill(g, all), x, best);
    return g_reshape_2d(g, x, n_expert, n_tokens);
}

static struct g_tensor *chosen_weights(struct builder *b, struct g_tensor *probs,
                                       struct g_tensor *chosen, int64_t n_used, uint32_t gating,
                                       const struct b_moe_args *args)
{
    struct graph *g = b->g;
    double scale = b->m->hp.expert_weights_scale;
    int64_t n_tokens = probs->ne[1];
    struct g_tensor *w;

    w = g_get_rows(g, g_reshape_3d(g, probs, 1, probs->ne[0], n_tokens), chosen);
    if (gating == GATING_SOFTMAX_WEIGHT) {
        w = g_soft_max(g, g_reshape_2d(g, w, n_used, n_tokens));
        w = g_reshape_3d(g, w, 1, n_used, n_tokens);
    }
    if (args->norm_w) {
        w = g_reshape_2d(g, w, n_used, n_tokens);
        w = g_div(g, w, g_clamp(g, g_sum_rows(g, w)));
        w = g_reshape_3d(g, w, 1, n_used, n_tokens);
    }
    if (args->scale_w && scale != 0.0 && scale != 1.0)
        w = g_scale(g, w);
    g_expand(g, w);
    return w;
}

/* Up and gate of the chosen experts, merged in one tensor or apart. */
static struct g_tensor *up_and_gate(struct builder *b, int layer, struct g_tensor *x,
                                    struct g_tensor *chosen, const struct b_ffn_roles *roles,
                                    enum ffn_act act)
{
    struct graph *g = b->g;
    struct g_tensor *up, *gate = NULL;

    if (b_has(b, layer, ROLE_FFN_GATE_UP_EXPS, PART_WEIGHT)) {
        struct g_tensor *both = b_mm_id(b, layer, ROLE_FFN_GATE_UP_EXPS, x, chosen);
        int64_t n_ff = both->ne[0] / 2;

        gate = g_view_3d(g, both, n_ff, both->ne[1], both->ne[2], both->nb[1], both->nb[2], 0);
        up = g_view_3d(g, both, n_ff, both->ne[1], both->ne[2], both->nb[1], both->nb[2],
                       (uint64_t)n_ff * both->nb[0]);
        return b_act(b, gate, up, act);
    }
    up = b_mm_id(b, layer, roles->up, x, chosen);
    if (b_has(b, layer, roles->gate, PART_WEIGHT))
        gate = b_mm_id(b, layer, roles->gate, x, chosen);
    return b_act(b, gate, up, act);
}

/* All views come before the sums, so that the engine's kernels can fuse them. */
static struct g_tensor *sum_experts(struct builder *b, struct g_tensor *experts, uint32_t n_used)
{
    struct graph *g = b->g;
    struct g_tensor *part[MODEL_MAX_EXPERTS], *x;

    if (n_used == 0 || n_used > MODEL_MAX_EXPERTS) {
        g->failed = true;
        return experts;
    }
    for (uint32_t i = 0; i < n_used; i++) {
        part[i] = g_view_2d(g, experts, experts->ne[0], experts->ne[2], experts->nb[2],
                            i * experts->nb[1]);
        g_expand(g, part[i]);
    }
    x = part[0];
    for (uint32_t i = 1; i < n_used; i++) {
        x = g_add(g, x, part[i]);
        g_expand(g, x);
    }
    return n_used == 1 ? g_cont(g, x) : x;
}

/* Adds the selection bias and drops the groups that are out, for the choice only. */
static struct g_tensor *choose(struct builder *b, int layer, struct g_tensor *logits,
                               struct g_tensor *probs, uint32_t n_used,
                               const struct b_moe_args *args)
{
    struct g_tensor *bias = b_weight(b, layer, ROLE_FFN_EXP_PROBS_B, PART_BIAS);
    struct g_tensor *x = args->weights_first ? logits : probs;

    if (args->choose_sigmoid)
        x = g_unary(b->g, logits, U_SIGMOID);
    if (!bias)
        bias = b_weight(b, layer, ROLE_FFN_EXP_PROBS_B, PART_BARE);
    if (bias)
        x = g_add(b->g, x, bias);
    if (b->m->hp.n_expert_groups > 1)
        x = mask_groups(b, x, probs->ne[0], probs->ne[1]);
    return g_argsort_top_k(b->g, x, n_used);
}

static const struct b_ffn_roles large_experts = {ROLE_FFN_UP_EXPS, ROLE_FFN_GATE_EXPS,
                                                 ROLE_FFN_DOWN_EXPS};
static const struct b_ffn_roles chunk_experts = {ROLE_FFN_UP_CHEXPS, ROLE_FFN_GATE_CHEXPS,
                                                 ROLE_FFN_DOWN_CHEXPS};

/* Number of the chunk that a chosen expert belongs to. */
static struct g_tensor *chunk_of(struct graph *g, struct g_tensor *chosen)
{
    return g_cast(g, g_scale(g, g_cast(g, chosen, GGUF_TYPE_F32)), GGUF_TYPE_I32);
}

struct g_tensor *b_moe(struct builder *b, int layer, struct g_tensor *x,
                       const struct b_moe_args *args)
{
    struct graph *g = b->g;
    uint32_t n_used = args->n_used ? args->n_used : b->m->hp.n_expert_used;
    uint32_t gating = args->gating ? args->gating : b->m->hp.expert_gating;
    const struct b_ffn_roles *roles = args->chunks ? &chunk_experts : &large_experts;
    struct g_tensor *logits = args->logits_in, *probs, *chosen, *w;
    int64_t n_embd = x->ne[0], n_tokens = x->ne[1];

    if (!logits)
        logits = b_mm(b, layer, ROLE_FFN_GATE_INP, x);
    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_BIAS))
        logits = g_add(g, logits, b_weight(b, layer, ROLE_FFN_GATE_INP, PART_BIAS));
    probs = probabilities(g, logits, gating);
    chosen = choose(b, layer, logits, probs, n_used, args);
    if (args->chunks)
        chosen = chunk_of(g, chosen);
    w = chosen_weights(b, probs, chosen, n_used, gating, args);
    x = g_reshape_3d(g, x, n_embd, 1, n_tokens);
    if (args->weights_first)
        x = g_mul(g, g_repeat_4d(g, x, n_embd, n_used, n_tokens, 1), w);
    x = up_and_gate(b, layer, x, chosen, roles, args->act);
    x = b_mm_id(b, layer, roles->down, x, chosen);
    if (args->down_f32 && x->op == OP_MUL_MAT_ID)
        x->param[0] = 1;
    if (!args->weights_first)
        x = g_mul(g, x, w);
    g_expand(g, x);
    return sum_experts(b, x, n_used);
}
