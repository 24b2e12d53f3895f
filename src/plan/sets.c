/* sets: which sets of cards are worth looking at: each once, though equal cards may change places. */
#include "plan/sets.h"

#include <stdlib.h>

struct ranked {
    uint32_t mask;
    int size;
    double rank;
};

static bool same_card(const struct device *a, const struct device *b)
{
    return a->total_bytes == b->total_bytes && a->free_bytes == b->free_bytes && a->backend == b->backend &&
           a->bandwidth_gbs == b->bandwidth_gbs && a->sms == b->sms && a->cc_major == b->cc_major &&
           a->cc_minor == b->cc_minor && a->pcie_gen == b->pcie_gen && a->pcie_lanes == b->pcie_lanes &&
           a->nvlink == b->nvlink && !a->rpc == !b->rpc;
}

/* Of equal neighbours the first ones stand for all: a set that leaves one out and takes a later one is a twin. */
static bool is_first_of_twins(const struct machine *m, uint32_t mask)
{
    for (uint32_t i = 1; i < m->n_devices; i++)
        for (uint32_t j = i; (mask & (1u << i)) && j-- > 0 && same_card(&m->devices[i], &m->devices[j]);)
            if (!(mask & (1u << j)))
                return false;
    return true;
}

static double set_rank(const struct machine *m, uint32_t mask)
{
    double rank = 0;
    for (uint32_t i = 0; i < m->n_devices; i++)
        if (mask & (1u << i))
            rank += m->devices[i].bandwidth_gbs * 1e6 + (double)(m->devices[i].free_bytes >> 20);
    return rank;
}

static int by_size_and_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->size != y->size)
        return x->size - y->size;
    return x->rank > y->rank ? -1 : x->rank < y->rank ? 1 : (int)x->mask - (int)y->mask;
}

uint32_t sets_most_cards(const struct placer *p)
{
    uint32_t n = p->machine->n_devices;
    if (p->wish->strategy == PLACE_ONE)
        return n ? 1 : 0;
    return p->wish->max_gpus && p->wish->max_gpus < n ? p->wish->max_gpus : n;
}

bool sets_make(const struct placer *p, uint32_t least, uint32_t most, struct card_sets *out)
{
    struct ranked *all = arena_array(p->arena, struct ranked, SETS_MAX);
    uint32_t n = 0;
    *out = (struct card_sets){.mask = arena_array(p->arena, uint32_t, SETS_MAX)};
    if (!all || !out->mask)
        return false;
    for (uint32_t mask = 1; mask <= place_all_cards(p) && !out->truncated; mask++) {
        uint32_t size = (uint32_t)__builtin_popcount(mask);
        if (size < least || size > most || !is_first_of_twins(p->machine, mask))
            continue;
        out->truncated = n == SETS_MAX;
        if (!out->truncated)
            all[n++] = (struct ranked){mask, (int)size, set_rank(p->machine, mask)};
    }
    qsort(all, n, sizeof(*all), by_size_and_rank);
    for (uint32_t i = 0; i < n; i++)
        out->mask[i] = all[i].mask;
    out->n = n;
    return true;
}
