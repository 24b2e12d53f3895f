/* vllm_cut: cuts the layers into stages: most room, least time or an even pace, by dynamic
 * programming over layers x stages. */
#include <math.h>
#include <string.h>

#include "plan/vllm_speed.h"

#define MIB ((uint64_t)1 << 20)

/* What every rank of a stage holds whatever its layers, what the smallest of them may, and how long
 * each kind of card takes for the layers below i. */
struct stage {
    uint64_t budget, fixed;
    const double *below[VLLM_MAX_RANKS];
    uint32_t n_below;
    double a_layer, hop;
};

static bool add_card(const struct vllm_layout *l, uint32_t device, uint32_t streams,
                     struct stage *s)
{
    const double *below = vllm_pace_below(l->pace, device, streams);
    for (uint32_t i = 0; i < s->n_below; i++)
        if (s->below[i] == below)
            return true;
    s->below[s->n_below++] = below;
    return below != NULL;
}

static bool make_stage(const struct vllm_layout *l, uint32_t number, uint32_t streams,
                       struct stage *s)
{
    struct vllm_terms t = vllm_terms_of(l, number == 0, number + 1 == l->pp);
    const uint8_t *cards = &l->cards[number * l->tp];
    *s = (struct stage){UINT64_MAX, t.activation.high + t.non_torch.high, {NULL}, 0, 0, 0};
    if (vllm_graphs_counted(l->law->wish))
        s->fixed += t.graphs.high;
    for (uint32_t r = 0; r < l->n_ranks; r++) {
        if (r / l->tp % l->pp != number)
            continue;
        uint64_t budget = vllm_requested(l, r);
        s->budget = budget < s->budget ? budget : s->budget;
        if (!add_card(l, l->cards[r], streams, s))
            return false;
    }
    s->a_layer = vllm_reduce_ns(l->pace, cards, l->tp, streams);
    if (number > 0)
        s->hop = vllm_hop_ns(l->pace, &l->machine->devices[cards[-1]],
                             &l->machine->devices[cards[0]], streams);
    return true;
}

/* Blocks of the tightest rank with layers [first, end), at the estimate's low end; below 0 by the
 * MiB that are short. Never more for more layers. */
static int64_t stage_blocks(const struct vllm_layout *l, const struct stage *s, uint32_t first,
                            uint32_t end)
{
    uint64_t held = s->fixed + vllm_law_weights(l->law, first, end),
             block = vllm_law_block(l->law, first, end);
    if (l->law->wish->kv_cache_bytes)
        return (int64_t)(l->law->wish->kv_cache_bytes / block);
    if (s->budget < held)
        return -(int64_t)((held - s->budget) / MIB) - 1;
    return (int64_t)((s->budget - held) / block);
}

static double stage_ns(const struct vllm_layout *l, const struct stage *s, uint32_t first,
                       uint32_t end)
{
    uint32_t n = l->law->model->n_layers;
    double slowest = 0;
    for (uint32_t i = 0; i < s->n_below; i++) {
        double ns = s->below[i][end == n ? n + 1 : end] - s->below[i][first];
        slowest = ns > slowest ? ns : slowest;
    }
    return slowest + (end - first) * s->a_layer + s->hop;
}

/* What a cut is worth, smaller is better: for room the blocks of the tightest stage, negated. */
struct worth {
    const struct vllm_layout *l;
    enum vllm_aim aim;
    int64_t need;
    struct stage stages[VLLM_MAX_RANKS];
};

static double cost(const struct worth *w, uint32_t s, uint32_t first, uint32_t end)
{
    int64_t blocks = stage_blocks(w->l, &w->stages[s], first, end);
    if (w->aim == VLLM_AIM_ROOM)
        return -(double)blocks;
    return blocks < w->need ? INFINITY : stage_ns(w->l, &w->stages[s], first, end);
}

static double joined(const struct worth *w, double before, double stage)
{
    return w->aim == VLLM_AIM_SPEED ? before + stage : before > stage ? before : stage;
}

static double nothing(const struct worth *w)
{
    return w->aim == VLLM_AIM_SPEED ? 0 : -INFINITY;
}

static double cut_cost(const struct worth *w, const uint32_t *bounds)
{
    double all = nothing(w);
    for (uint32_t s = 0; s < w->l->pp; s++)
        all = joined(w, all, cost(w, s, bounds[s], bounds[s + 1]));
    return all;
}

/* best[j]: least that stages so far can cost with the layers below j; from[s][j]: where the last
 * begins. */
static double best_cut(const struct worth *w, uint32_t *bounds)
{
    uint32_t n = w->l->law->model->n_layers, pp = w->l->pp;
    double best[MODEL_MAX_LAYERS + 1], next[MODEL_MAX_LAYERS + 1];
    uint16_t from[VLLM_MAX_RANKS][MODEL_MAX_LAYERS + 1];
    for (uint32_t j = 0; j <= n; j++)
        best[j] = j ? INFINITY : nothing(w);
    for (uint32_t s = 0; s < pp; s++) {
        uint32_t last = n - (pp - 1 - s);
        for (uint32_t j = 0; j <= n; j++)
            next[j] = INFINITY;
        for (uint32_t j = s + 1 == pp ? n : s + 1; j <= last; j++) {
            from[s][j] = (uint16_t)(j - 1);
            for (uint32_t i = j; i-- > s;) {
                double alone = cost(w, s, i, j);
                if (alone >= next[j])
                    break; /* more layers cost no less */
                double all = joined(w, best[i], alone);
                if (all < next[j]) {
                    next[j] = all;
                    from[s][j] = (uint16_t)i;
                }
            }
        }
        memcpy(best, next, sizeof(best));
    }
    bounds[pp] = n;
    for (uint32_t s = pp; s-- > 0;)
        bounds[s] = from[s][bounds[s + 1]];
    return best[n];
}

static void even_bounds(const struct vllm_layout *l, uint32_t *bounds)
{
    uint32_t part[VLLM_MAX_RANKS];
    vllm_default_partition(l->law->model->n_layers, l->pp, part);
    bounds[0] = 0;
    for (uint32_t s = 0; s < l->pp; s++)
        bounds[s + 1] = bounds[s] + part[s];
}

/* False: no memory, or no cut gives every stage the blocks that are needed. */
static bool try_aim(struct vllm_layout *l, enum vllm_aim aim, int64_t need, const uint32_t *even)
{
    struct worth w = {.l = l, .aim = aim, .need = need};
    uint32_t other[VLLM_MAX_RANKS + 1];
    uint32_t streams = aim == VLLM_AIM_PACE ? vllm_micro_batch(l) : 1;
    for (uint32_t s = 0; s < l->pp; s++)
        if (!make_stage(l, s, streams, &w.stages[s]))
            return false;
    double found = best_cut(&w, other), own = cut_cost(&w, even);
    if (!isfinite(found))
        return false;
    memcpy(l->bounds, found < own * (own > 0 ? 1 - 1e-9 : 1) ? other : even, sizeof(other));
    return true;
}

void vllm_cut_choose(struct vllm_layout *l)
{
    const struct vllm_wish *w = l->law->wish;
    uint32_t even[VLLM_MAX_RANKS + 1] = {0};
    even_bounds(l, even);
    memcpy(l->bounds, even, sizeof(even));
    l->uneven = false;
    if (l->pp == 1)
        return;
    if (w->n_partition) {
        for (uint32_t s = 0; s < l->pp; s++)
            l->bounds[s + 1] = l->bounds[s] + w->partition[s];
    } else if (!w->as_command && l->pace) {
        if (l->aim != VLLM_AIM_ROOM && !try_aim(l, l->aim, l->need, even))
            l->aim = VLLM_AIM_ROOM;
        if (l->aim == VLLM_AIM_ROOM)
            try_aim(l, VLLM_AIM_ROOM, 0, even);
    }
    l->uneven = memcmp(l->bounds, even, sizeof(uint32_t) * (l->pp + 1)) != 0;
}
