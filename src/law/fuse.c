/* fuse: finds the MoE steps that CUDA runs as one kernel, whose operands it keeps. */
#include "law/cuda.h"

enum { MAX_STEPS = 13, MAX_REDUCED = 15 };

/* A run of nodes that may become one kernel; outputs are read by others, the rest only inside. */
struct fused_run {
    uint32_t from, n;
    uint32_t output[2];
    int n_outputs;
};

static struct g_tensor *node_at(const struct graph_part *p, uint32_t i)
{
    return i < p->n_nodes ? p->nodes[i] : NULL;
}

static bool is_step(const struct graph_part *p, uint32_t i, uint8_t op,
                    const struct g_tensor *reads)
{
    const struct g_tensor *t = node_at(p, i);
    return t && t->op == op && t->src[0] == reads;
}

static int uses_within(const struct graph_part *p, const struct fused_run *run, uint32_t of)
{
    int n = 0;
    for (uint32_t i = of + 1; i < run->from + run->n; i++)
        for (int j = 0; j < p->nodes[i]->n_src; j++)
            n += p->nodes[i]->src[j] == p->nodes[of];
    return n;
}

static bool is_member(const struct graph_part *p, const struct fused_run *run,
                      const struct g_tensor *t)
{
    for (uint32_t i = run->from; i < run->from + run->n; i++)
        if (p->nodes[i] == t)
            return true;
    return false;
}

static bool is_closed(const struct graph_part *p, const struct fused_run *run)
{
    if (run->from + run->n > p->to)
        return false;
    for (uint32_t i = run->from; i < run->from + run->n; i++) {
        const struct g_tensor *t = p->nodes[i];
        if (i == run->output[0] || (run->n_outputs > 1 && i == run->output[1]))
            continue;
        if (t->flags & G_OUTPUT || uses_within(p, run, i) != p->uses[t->id])
            return false;
        if (t->view_src && !(t->view_src->flags & G_WEIGHT) && !is_member(p, run, t->view_src))
            return false;
    }
    return true;
}

/* Normalisation of the chosen weights: 5 steps from `at`, or 0. */
static uint32_t match_normalisation(const struct graph_part *p, uint32_t at)
{
    const struct g_tensor *w = node_at(p, at);
    bool ok = is_step(p, at, OP_RESHAPE, p->nodes[at - 1]) && is_step(p, at + 1, OP_SUM_ROWS, w) &&
              is_step(p, at + 2, OP_CLAMP, p->nodes[at + 1]) && is_step(p, at + 3, OP_DIV, w) &&
              p->nodes[at + 3]->src[1] == p->nodes[at + 2] &&
              is_step(p, at + 4, OP_RESHAPE, p->nodes[at + 3]);
    return ok ? 5 : 0;
}

/* Activation of the router's logits, choice of the best experts, their weights (normalised,
 * scaled). */
static bool match_choice(const struct graph_part *p, uint32_t i, struct fused_run *run)
{
    uint32_t at = i;
    const struct g_tensor *act = p->nodes[i];
    if (act->op == OP_UNARY && act->sub == U_SOFTPLUS && i + 1 < p->to &&
        is_step(p, i + 1, OP_SQRT, act))
        at++;
    else if (act->op != OP_SOFT_MAX && !(act->op == OP_UNARY && act->sub == U_SIGMOID))
        return false;
    const struct g_tensor *probs = p->nodes[at++], *ranked = probs, *shaped = node_at(p, at);
    if (at >= p->to || !is_step(p, at++, OP_RESHAPE, probs) || at >= p->to)
        return false;
    if (is_step(p, at, OP_ADD, probs)) /* a bias that only the choice sees */
        ranked = p->nodes[at++];
    if (at + 3 > p->to || !is_step(p, at, OP_ARGSORT, ranked) ||
        !is_step(p, at + 1, OP_VIEW, p->nodes[at]) || !is_step(p, at + 2, OP_GET_ROWS, shaped) ||
        p->nodes[at + 2]->src[1] != p->nodes[at + 1])
        return false;
    run->from = i;
    run->output[0] = at + 1;
    at += 3;
    if (at < p->to) {
        bool reshaped = p->nodes[at]->op == OP_RESHAPE;
        uint32_t steps = match_normalisation(p, at);
        at += steps;
        if ((steps || !reshaped) && is_step(p, at, OP_SCALE, p->nodes[at - 1]))
            at++;
    }
    run->n = at - i;
    run->output[1] = at - 1;
    run->n_outputs = 2;
    return true;
}

static bool has_choice_kernel(const struct graph_part *p, const struct fused_run *run)
{
    const struct g_tensor *act = p->nodes[run->from], *ids = p->nodes[run->output[0]];
    uint64_t experts = ids->nb[1] / ids->nb[0];
    bool known = (experts <= 512 && !(experts & (experts - 1))) || experts == 288 || experts == 576;
    return known && g_is_contiguous(p->nodes[run->output[1]]) && g_is_contiguous(act->src[0]) &&
           (act->op != OP_SOFT_MAX || (!act->src[1] && !act->src[2]));
}

/* One product of the experts' results with something of one number per expert and token. */
struct weighing {
    struct g_tensor *experts, *weights;
};

static bool is_plain(const struct g_tensor *t)
{
    return t && t->type == GGUF_TYPE_F32 && g_is_contiguous(t);
}

static bool is_per_expert(const struct g_tensor *t, const struct g_tensor *product)
{
    return is_plain(t) && t->ne[0] == 1 && t->ne[1] == product->ne[1] &&
           t->ne[2] == product->ne[2] && t->ne[3] == product->ne[3];
}

static bool match_weighing(const struct g_tensor *product, struct weighing *out)
{
    if (!product || product->op != OP_MUL || !is_plain(product))
        return false;
    for (int i = 0; i < 2; i++) {
        struct g_tensor *full = product->src[i], *one = product->src[1 - i];
        if (is_plain(full) && g_same_shape(full, product) && is_per_expert(one, product)) {
            *out = (struct weighing){full, one};
            return true;
        }
    }
    return false;
}

/* View number n of one expert's rows in the weighed results. */
static bool is_expert_view(const struct g_tensor *t, const struct g_tensor *of, int n)
{
    return t->src[0] == of && t->view_src == of && t->type == GGUF_TYPE_F32 &&
           t->ne[0] == of->ne[0] && t->ne[1] == of->ne[2] * of->ne[3] && t->ne[2] == 1 &&
           t->ne[3] == 1 && t->nb[0] == of->nb[0] && t->nb[1] == of->nb[2] &&
           t->view_offset == (uint64_t)n * of->nb[1];
}

/* The views of all experts and their sum, in any order that a sum from left to right allows. */
static bool match_sum(const struct graph_part *p, uint32_t at, uint32_t n,
                      const struct g_tensor *of)
{
    const struct g_tensor *view[MAX_REDUCED], *sum = NULL;
    int views = 0, adds = 0, experts = (int)of->ne[1];
    for (uint32_t i = at; i < at + n; i++) {
        const struct g_tensor *t = p->nodes[i];
        if (t->op == OP_VIEW) {
            if (views >= experts || !is_expert_view(t, of, views))
                return false;
            view[views++] = t;
            continue;
        }
        if (t->op != OP_ADD || views < 2 || adds + 1 >= views || t->type != GGUF_TYPE_F32 ||
            t->src[0] != (adds ? sum : view[0]) || t->src[1] != view[adds + 1])
            return false;
        sum = t;
        adds++;
    }
    return views == experts && adds == experts - 1 && g_is_contiguous(sum) &&
           sum->ne[0] == of->ne[0] && sum->ne[1] == of->ne[2] * of->ne[3] && sum->ne[2] == 1 &&
           sum->ne[3] == 1;
}

/* Weighed sum of the experts' results; returns the run's length, or 0. kept: what it reads. */
static uint32_t match_reduction(const struct graph_part *p, uint32_t i, struct g_tensor *kept[3])
{
    struct weighing first, second;
    const struct g_tensor *product = p->nodes[i];
    if (product->op != OP_MUL || !is_plain(product) || !match_weighing(product, &first))
        return 0;
    kept[0] = first.experts;
    kept[1] = first.weights;
    kept[2] = NULL;
    uint32_t products = 1;
    if (i + 1 < p->to && match_weighing(p->nodes[i + 1], &second) && second.experts == product) {
        kept[1] = second.weights;
        kept[2] = first.weights;
        product = p->nodes[i + 1];
        products = 2;
    }
    int64_t experts = product->ne[1];
    if (experts < 2 || experts > MAX_REDUCED || product->ne[2] * product->ne[3] <= 0)
        return 0;
    uint32_t rest = 2 * (uint32_t)experts - 1, n = products + rest;
    struct fused_run run = {.from = i, .n = n, .output = {i + n - 1}, .n_outputs = 1};
    if (i + n > p->to || !match_sum(p, i + products, rest, product) || !is_closed(p, &run))
        return 0;
    return n;
}

/* Everything the run makes or reads stays until the node behind it. */
static void keep_run(const struct graph_part *p, const struct fused_run *run,
                     const struct keep_sink *sink)
{
    uint32_t until = run->from + run->n;
    if (until >= p->n_nodes)
        return;
    for (uint32_t i = run->from; i < until; i++) {
        sink->keep(sink->ctx, p->nodes[i], until);
        for (int j = 0; j < p->nodes[i]->n_src; j++)
            if (p->nodes[i]->src[j])
                sink->keep(sink->ctx, p->nodes[i]->src[j], until);
    }
}

void cuda_keep_for_fusion(const struct graph_part *p, const struct keep_sink *sink)
{
    for (uint32_t i = p->from; i < p->to; i++) {
        uint8_t op = p->nodes[i]->op;
        if (op == OP_MUL) {
            struct g_tensor *kept[3];
            uint32_t n = match_reduction(p, i, kept);
            for (int k = 0; n && k < 3; k++)
                if (kept[k])
                    sink->keep(sink->ctx, kept[k], i + n - 1);
            i += n ? n - 1 : 0;
        } else if (op == OP_UNARY || op == OP_SOFT_MAX) {
            struct fused_run run;
            if (match_choice(p, i, &run) && is_closed(p, &run) && has_choice_kernel(p, &run)) {
                keep_run(p, &run, sink);
                i += run.n - 1;
            }
        }
    }
}
