/* split_rule: the table of axes, segments and grains for -sm tensor, by role of a tensor. */
#include "law/split_rule.h"

#include <string.h>

enum { KERNEL_GRAIN = 128 }; /* narrower slices would miss the fast kernels */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t lcm(uint64_t a, uint64_t b)
{
    uint64_t g = gcd(a, b);
    return g ? a / g * b : 0;
}

static bool is_arch(const struct model *m, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(m->architecture, *names) == 0)
            return true;
    return false;
}

/* Their attention has a gate beside every query head, so q is twice as wide. */
static bool has_query_gate(const struct model *m)
{
    static const char *const GATED[] = {"qwen3next", "qwen35", "qwen35moe", "qwen4exp", NULL};
    return is_arch(m, GATED);
}

static bool is_lfm2(const struct model *m)
{
    static const char *const LFM2[] = {"lfm2", "lfm2moe", NULL};
    return is_arch(m, LFM2);
}

static bool is_recurrent(const struct model_layer *l)
{
    return l->kv == KV_RECURRENT || l->kv == KV_HYBRID;
}

uint32_t split_layer_kind(const struct model *m, uint32_t layer)
{
    const struct model_layer *l = &m->layers[layer];
    return (is_recurrent(l) ? 1 : 0) + (l->window ? 2 : 0);
}

static const struct model_tensor *mixer_out(const struct model *m, uint32_t il)
{
    const struct model_tensor *t = model_at(m, il, ROLE_ATTN_OUT, PART_WEIGHT);
    return t ? t : model_at(m, il, ROLE_SSM_OUT, PART_WEIGHT);
}

static const struct model_tensor *ffn_down(const struct model *m, uint32_t il)
{
    const struct model_tensor *t = model_at(m, il, ROLE_FFN_DOWN, PART_WEIGHT);
    return t ? t : model_at(m, il, ROLE_FFN_DOWN_EXPS, PART_WEIGHT);
}

bool split_layer_is_known(const struct model *m, uint32_t layer)
{
    const struct model_layer *l = &m->layers[layer];
    if (l->nextn || l->kv == KV_NONE || (is_recurrent(l) && is_lfm2(m)))
        return true;
    return mixer_out(m, layer) != NULL;
}

static uint64_t block_of(const struct model_tensor *t)
{
    return t ? gguf_type_info(t->type)->block : 1;
}

/* Grains of a layer's attention: q in whole groups of heads that share K and V, raised towards
 * KERNEL_GRAIN while every device still gets something. */
struct head_grain {
    uint64_t group, block, q, kv, head;
};

static bool head_grains(const struct model *m, uint32_t n_devices, uint32_t il,
                        struct head_grain *g)
{
    const struct model_layer *l = &m->layers[il];
    uint64_t per_kv = l->n_head_kv ? l->n_head / l->n_head_kv : 0;
    g->group = per_kv * l->head_dim_k;
    if (g->group == 0)
        return false;
    g->block = block_of(mixer_out(m, il));
    while (g->block < KERNEL_GRAIN && g->block * n_devices < g->group)
        g->block *= 2;
    g->q = lcm(g->group, g->block);
    g->kv = g->q / per_kv;
    g->head = g->q / l->head_dim_k;
    return true;
}

static bool one(struct split_rule *r, int axis, uint64_t length, uint64_t grain, uint32_t count)
{
    if (grain == 0 || length == 0)
        return false;
    *r = (struct split_rule){.axis = axis, .n_segments = 1, .segment = {{length, grain, count}}};
    return true;
}

static bool two(struct split_rule *r, int axis, struct split_segment a, struct split_segment b)
{
    if (a.grain == 0 || b.grain == 0 || a.length == 0 || b.length == 0)
        return false;
    *r = (struct split_rule){
        .axis = axis, .n_segments = 2, .segment = {a, b}
    };
    return true;
}

/* Linear attention: k heads and v heads of ssm_state each; Qwen 3.5 cuts v on the scale of k. */
struct linear_dims {
    uint64_t key, value, ratio, grain, head;
    bool by_key;
};

static bool linear_dims(const struct model *m, uint32_t il, struct linear_dims *d)
{
    uint64_t head = m->hp.ssm_state, k_heads = m->hp.ssm_groups, v_heads = m->hp.ssm_dt_rank;
    if (head == 0 || k_heads == 0 || v_heads == 0)
        return false;
    *d = (struct linear_dims){
        .key = head * k_heads, .value = head * v_heads, .ratio = v_heads / k_heads, .head = head};
    d->grain = lcm(lcm(block_of(mixer_out(m, il)), KERNEL_GRAIN), head);
    d->by_key = has_query_gate(m) && strcmp(m->architecture, "qwen3next") != 0;
    return true;
}

static bool linear_qkv(const struct linear_dims *d, int axis, uint64_t scale, struct split_rule *r)
{
    uint64_t grain = d->grain * scale;
    if (d->by_key)
        return one(r, axis, d->key * scale, grain, (uint32_t)(2 + d->ratio));
    return two(r, axis, (struct split_segment){d->key * scale, grain, 2},
               (struct split_segment){d->value * scale, grain, 1});
}

static bool recurrent_weight(const struct model *m, const struct model_tensor *t,
                             struct split_rule *r)
{
    struct linear_dims d;
    if (!linear_dims(m, (uint32_t)t->layer, &d))
        return false;
    uint32_t times = d.by_key ? (uint32_t)d.ratio : 1;
    switch (t->role) {
    case ROLE_ATTN_QKV:
    case ROLE_SSM_CONV1D:
        if (t->part != PART_WEIGHT)
            return false;
        if (has_query_gate(m))
            return linear_qkv(&d, 1, 1, r);
        return one(r, 1, t->ne[1], d.grain, 1);
    case ROLE_ATTN_GATE: return one(r, 1, t->ne[1] / times, d.grain, times);
    case ROLE_SSM_OUT: return one(r, 0, t->ne[0] / times, d.grain, times);
    case ROLE_SSM_DT:
        return t->part == PART_BIAS && one(r, 0, t->ne[0] / times, d.grain / d.head, times);
    case ROLE_SSM_A:
        return t->part == PART_BARE && one(r, 0, t->ne[0] / times, d.grain / d.head, times);
    case ROLE_SSM_ALPHA:
    case ROLE_SSM_BETA: return one(r, 1, t->ne[1] / times, d.grain / d.head, times);
    case ROLE_SSM_BA: return one(r, 1, t->ne[1], 2 * (d.grain / d.head), 1);
    default: return false;
    }
}

static bool attention_weight(const struct model *m, uint32_t n, const struct model_tensor *t,
                             struct split_rule *r)
{
    uint32_t il = (uint32_t)t->layer;
    const struct model_layer *l = &m->layers[il];
    int axis = t->part == PART_BIAS ? 0 : 1;
    struct head_grain g;
    if (t->part == PART_SCALE || !head_grains(m, n, il, &g))
        return false;
    uint64_t q = has_query_gate(m) ? lcm(2 * g.group, g.block) : g.q;
    switch (t->role) {
    case ROLE_ATTN_Q: return one(r, axis, t->ne[axis], q, 1);
    case ROLE_ATTN_K:
    case ROLE_ATTN_V: return one(r, axis, t->ne[axis], g.kv, 1);
    case ROLE_ATTN_QKV:
        return two(r, axis, (struct split_segment){t->ne[axis] - 2 * (uint64_t)l->n_embd_v, q, 1},
                   (struct split_segment){l->n_embd_v, g.kv, 2});
    case ROLE_ATTN_Q_NORM:
    case ROLE_ATTN_K_NORM: return axis == 1 && t->ne[1] > 1 && one(r, 1, t->ne[1], 1, 1);
    case ROLE_ATTN_SINKS: return one(r, 0, t->ne[0], g.head, 1);
    case ROLE_ATTN_OUT: return axis == 1 && one(r, 0, t->ne[0], g.q, 1);
    case ROLE_ATTN_GATE:
        return axis == 1 && one(r, 1, t->ne[1], t->ne[1] == l->n_head ? g.head : g.q, 1);
    default: return false;
    }
}

static bool ffn_weight(const struct model *m, const struct model_tensor *t, struct split_rule *r)
{
    uint32_t il = (uint32_t)t->layer;
    const struct model_layer *l = &m->layers[il];
    uint64_t grain = lcm(block_of(ffn_down(m, il)), KERNEL_GRAIN);
    int axis = t->part == PART_BIAS ? 0 : 1;
    uint32_t halves;
    switch (t->role) {
    case ROLE_FFN_UP:
    case ROLE_FFN_UP_EXPS: /* Phi 3 has gate and up in one tensor named up */
        halves = !has_query_gate(m) && l->n_ff && t->ne[axis] == 2 * (uint64_t)l->n_ff ? 2 : 1;
        return one(r, axis, t->ne[axis] / halves, grain, halves);
    case ROLE_FFN_GATE:
    case ROLE_FFN_GATE_EXPS: return one(r, axis, t->ne[axis], grain, 1);
    case ROLE_FFN_GATE_UP_EXPS: return axis == 1 && one(r, 1, t->ne[1] / 2, grain, 2);
    case ROLE_FFN_DOWN:
    case ROLE_FFN_DOWN_EXPS: return axis == 1 && one(r, 0, t->ne[0], grain, 1);
    default: return false;
    }
}

bool split_rule_weight(const struct model *m, uint32_t n_devices, const struct model_tensor *t,
                       struct split_rule *out)
{
    if (t->layer < 0)
        return t->role == ROLE_OUTPUT && t->part != PART_SCALE &&
               one(out, t->part == PART_BIAS ? 0 : 1, t->ne[t->part == PART_BIAS ? 0 : 1], 1, 1);
    if ((uint32_t)t->layer >= m->n_layers || t->part == PART_SCALE)
        return false;
    if (ffn_weight(m, t, out))
        return true;
    if (is_recurrent(&m->layers[t->layer]))
        return recurrent_weight(m, t, out);
    return attention_weight(m, n_devices, t, out);
}

bool split_rule_cache(const struct model *m, uint32_t n_devices, uint32_t layer,
                      enum split_cache kind, uint64_t length, struct split_rule *out)
{
    struct head_grain g;
    struct linear_dims d;
    if (kind == SPLIT_CACHE_KV)
        return head_grains(m, n_devices, layer, &g) && one(out, 0, length, g.kv, 1);
    if (is_lfm2(m) || !linear_dims(m, layer, &d))
        return false;
    if (kind == SPLIT_CACHE_S) {
        uint32_t times = d.by_key ? (uint32_t)d.ratio : 1;
        return one(out, 0, length / times, d.grain * d.head, times);
    }
    uint64_t conv = m->hp.ssm_conv > 0 ? m->hp.ssm_conv - 1 : 0;
    if (has_query_gate(m))
        return linear_qkv(&d, 0, conv, out);
    return one(out, 0, length, d.grain * conv, 1);
}
