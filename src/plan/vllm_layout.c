/* vllm_layout: one way to lay a model over ranks. */
#include "plan/vllm_layout.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* Context and libraries of one process on a card, measured 0.3 to 0.6 GiB; before the identity
 * begins. */
uint64_t vllm_runtime(const struct device *d)
{
    return (d->cc_major >= 9 ? 512 : 448) * MIB;
}

uint64_t vllm_keep_free(const struct vllm_wish *w, const struct device *d)
{
    if (w->keep_free_set)
        return w->keep_free_bytes;
    uint64_t tenth = d->total_bytes / 10;
    return tenth < GIB ? tenth : GIB;
}

double vllm_utilization(const struct machine *m, const struct vllm_wish *w, const uint8_t *cards,
                        uint32_t n)
{
    double least = 0.98;
    for (uint32_t i = 0; i < n; i++) {
        const struct device *d = &m->devices[cards[i]];
        uint64_t kept = vllm_keep_free(w, d) + vllm_runtime(d);
        double room = d->free_bytes > kept && d->total_bytes
                          ? (double)(d->free_bytes - kept) / (double)d->total_bytes
                          : 0;
        least = room < least ? room : least;
    }
    return (double)(uint32_t)(least * 1000) / 1000;
}

static uint64_t requested(const struct vllm_layout *l, uint32_t rank)
{
    return (uint64_t)(l->utilization * (double)l->machine->devices[l->cards[rank]].total_bytes);
}

/* Terms of the identity beside the weights, of a stage. */
struct terms {
    struct vllm_range activation, non_torch, graphs;
};

static struct terms terms_of(const struct vllm_layout *l, bool first, bool last)
{
    const struct vllm_wish *w = l->law->wish;
    return (struct terms){vllm_activation(l->law, first, last), vllm_non_torch(w, l->tp * l->pp),
                          vllm_graphs(w)};
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct vllm_range kv_of(const struct vllm_layout *l, uint64_t budget, uint64_t weights,
                               const struct terms *t)
{
    const struct vllm_wish *w = l->law->wish;
    bool graphs = vllm_graphs_counted(w);
    if (w->kv_cache_bytes)
        return (struct vllm_range){w->kv_cache_bytes, w->kv_cache_bytes, w->kv_cache_bytes};
    uint64_t high =
        weights + t->activation.high + t->non_torch.high + (graphs ? t->graphs.high : 0);
    uint64_t value =
        weights + t->activation.value + t->non_torch.value + (graphs ? t->graphs.value : 0);
    uint64_t low = weights + t->activation.low + t->non_torch.low + (graphs ? t->graphs.low : 0);
    return (struct vllm_range){less(budget, high), less(budget, value), less(budget, low)};
}

/* What every rank of a stage holds whatever its layers, and what the smallest of them may. */
struct stage {
    uint64_t budget, fixed;
};

static struct stage stage_of(const struct vllm_layout *l, uint32_t number)
{
    struct terms t = terms_of(l, number == 0, number + 1 == l->pp);
    struct stage s = {UINT64_MAX, t.activation.value + t.non_torch.value};
    if (vllm_graphs_counted(l->law->wish))
        s.fixed += t.graphs.value;
    for (uint32_t r = 0; r < l->n_ranks; r++)
        if (r / l->tp % l->pp == number && requested(l, r) < s.budget)
            s.budget = requested(l, r);
    return s;
}

/* Blocks of the tightest rank with layers [first, end); below 0 by the MiB that are short. Never
 * more for more layers. */
static int64_t stage_blocks(const struct vllm_layout *l, const struct stage *s, uint32_t first,
                            uint32_t end)
{
    uint64_t held = s->fixed + vllm_law_weights(l->law, first, end),
             block = vllm_law_block(l->law, first, end);
    if (s->budget < held)
        return -(int64_t)((held - s->budget) / MIB) - 1;
    uint64_t room = l->law->wish->kv_cache_bytes ? l->law->wish->kv_cache_bytes : s->budget - held;
    return (int64_t)(room / block);
}

static int64_t cut_blocks(const struct vllm_layout *l, const uint32_t *bounds)
{
    int64_t least = INT64_MAX;
    for (uint32_t s = 0; s < l->pp; s++) {
        struct stage stage = stage_of(l, s);
        int64_t blocks = stage_blocks(l, &stage, bounds[s], bounds[s + 1]);
        least = blocks < least ? blocks : least;
    }
    return least;
}

/* best[j]: most blocks that stages so far can leave with the layers below j; from[s][j]: where the
 * last begins. */
static int64_t best_cut(const struct vllm_layout *l, uint32_t *bounds)
{
    uint32_t n = l->law->model->n_layers;
    int64_t best[MODEL_MAX_LAYERS + 1], next[MODEL_MAX_LAYERS + 1];
    uint16_t from[VLLM_MAX_RANKS][MODEL_MAX_LAYERS + 1];
    for (uint32_t j = 0; j <= n; j++)
        best[j] = j ? INT64_MIN : INT64_MAX;
    for (uint32_t s = 0; s < l->pp; s++) {
        struct stage stage = stage_of(l, s);
        uint32_t last = n - (l->pp - 1 - s);
        for (uint32_t j = 0; j <= n; j++)
            next[j] = INT64_MIN;
        for (uint32_t j = s + 1 == l->pp ? n : s + 1; j <= last; j++) {
            for (uint32_t i = j; i-- > s;) {
                int64_t blocks = stage_blocks(l, &stage, i, j);
                if (blocks <= next[j])
                    break; /* more layers leave no more */
                blocks = best[i] < blocks ? best[i] : blocks;
                if (blocks > next[j]) {
                    next[j] = blocks;
                    from[s][j] = (uint16_t)i;
                }
            }
        }
        memcpy(best, next, sizeof(best));
    }
    bounds[l->pp] = n;
    for (uint32_t s = l->pp; s-- > 0;)
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

static void choose_bounds(struct vllm_layout *l)
{
    const struct vllm_wish *w = l->law->wish;
    uint32_t even[VLLM_MAX_RANKS + 1], other[VLLM_MAX_RANKS + 1];
    even_bounds(l, even);
    memcpy(l->bounds, even, sizeof(even));
    l->uneven = false;
    if (l->pp == 1)
        return;
    if (w->n_partition) {
        for (uint32_t s = 0; s < l->pp; s++)
            l->bounds[s + 1] = l->bounds[s] + w->partition[s];
    } else if (!w->as_command && best_cut(l, other) > cut_blocks(l, even)) {
        memcpy(l->bounds, other, sizeof(other));
    }
    l->uneven = memcmp(l->bounds, even, sizeof(uint32_t) * (l->pp + 1)) != 0;
}

void vllm_fill_rank(const struct vllm_layout *l, uint32_t rank, struct vllm_rank *r)
{
    uint32_t stage = rank / l->tp % l->pp, first = l->bounds[stage], end = l->bounds[stage + 1];
    struct terms t = terms_of(l, stage == 0, stage + 1 == l->pp);
    const struct device *d = &l->machine->devices[l->cards[rank]];
    *r = (struct vllm_rank){.card = d,
                            .device = l->cards[rank],
                            .replica = rank / (l->tp * l->pp),
                            .stage = stage,
                            .tp_rank = rank % l->tp,
                            .first_layer = first,
                            .last_layer = end - 1,
                            .requested = requested(l, rank),
                            .runtime = vllm_runtime(d)};
    r->weights = vllm_law_weights(l->law, first, end);
    r->activation = t.activation;
    r->non_torch = t.non_torch;
    r->graphs = t.graphs;
    r->kv = kv_of(l, r->requested, r->weights, &t);
    r->block_bytes = vllm_law_block(l->law, first, end);
    r->blocks = (struct vllm_range){r->kv.low / r->block_bytes, r->kv.value / r->block_bytes,
                                    r->kv.high / r->block_bytes};
    uint64_t held =
        r->weights + t.activation.value + t.non_torch.value + t.graphs.value + r->kv.value;
    if (!l->law->wish->kv_cache_bytes && held < r->requested)
        held = r->requested;
    r->free_after = (int64_t)d->free_bytes - (int64_t)(held + r->runtime);
}

void vllm_cut(struct vllm_layout *l)
{
    choose_bounds(l);
    l->blocks = (struct vllm_range){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (uint32_t i = 0; i < l->n_ranks; i++) {
        struct vllm_rank r;
        vllm_fill_rank(l, i, &r);
        if (r.blocks.value < l->blocks.value)
            l->limiting = i;
        l->blocks.low = r.blocks.low < l->blocks.low ? r.blocks.low : l->blocks.low;
        l->blocks.value = r.blocks.value < l->blocks.value ? r.blocks.value : l->blocks.value;
        l->blocks.high = r.blocks.high < l->blocks.high ? r.blocks.high : l->blocks.high;
    }
}
