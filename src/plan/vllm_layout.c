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

uint64_t vllm_requested(const struct vllm_layout *l, uint32_t rank)
{
    return (uint64_t)(l->utilization * (double)l->machine->devices[l->cards[rank]].total_bytes);
}

struct vllm_terms vllm_terms_of(const struct vllm_layout *l, bool first, bool last)
{
    const struct vllm_wish *w = l->law->wish;
    return (struct vllm_terms){vllm_activation(l->law, first, last), vllm_non_torch(w, l->tp * l->pp),
                          vllm_graphs(w)};
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct vllm_range kv_of(const struct vllm_layout *l, uint64_t budget, uint64_t weights,
                               const struct vllm_terms *t)
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

void vllm_fill_rank(const struct vllm_layout *l, uint32_t rank, struct vllm_rank *r)
{
    uint32_t stage = rank / l->tp % l->pp, first = l->bounds[stage], end = l->bounds[stage + 1];
    struct vllm_terms t = vllm_terms_of(l, stage == 0, stage + 1 == l->pp);
    const struct device *d = &l->machine->devices[l->cards[rank]];
    *r = (struct vllm_rank){.card = d,
                            .device = l->cards[rank],
                            .replica = rank / (l->tp * l->pp),
                            .stage = stage,
                            .tp_rank = rank % l->tp,
                            .first_layer = first,
                            .last_layer = end - 1,
                            .requested = vllm_requested(l, rank),
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
    vllm_cut_choose(l);
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
