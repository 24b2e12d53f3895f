/* vllm_orders: which cards become which ranks: sets, tensor parallel groups, orders of stages, hosts. */
#include <string.h>

#include "plan/vllm_search.h"

/* Beyond these only the largest cards are taken together, like ones are grouped, and stages keep
 * one order: a bound on time that the plan's optimality tells of. */
enum { MAX_ORDERED_STAGES = 4, MAX_GROUPED_CARDS = 6, MAX_FREE_SUBSETS = 8 };

static bool alike(const struct device *a, const struct device *b)
{
    return device_same_host(a, b) && a->total_bytes == b->total_bytes &&
           a->free_bytes == b->free_bytes && a->cc_major == b->cc_major &&
           a->cc_minor == b->cc_minor && a->bandwidth_gbs == b->bandwidth_gbs &&
           a->nvlink == b->nvlink && a->sms == b->sms && a->pcie_gen == b->pcie_gen &&
           a->pcie_lanes == b->pcie_lanes;
}

/* The first card of the machine that is like this one: its kind, below 16. */
static uint32_t kind_of(const struct machine *m, uint32_t card)
{
    uint32_t i = 0;
    while (i < card && !alike(&m->devices[i], &m->devices[card]))
        i++;
    return i;
}

struct deal {
    struct vllm_search *s;
    const uint8_t *cards; /* in their usual order */
    uint32_t n, tp, pp;
    uint8_t order[VLLM_MAX_RANKS];
    struct err *err;
};

/* How many cards of each kind, four bits a kind: a group of 16 equal cards is the only one. */
static uint64_t signature(const struct deal *d, uint32_t set)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < d->n; i++)
        if (set & (1u << i))
            all += (uint64_t)1 << (4 * kind_of(d->s->machine, d->cards[i]));
    return all;
}

enum { MAX_SIGNATURES = 20 }; /* 3 of MAX_GROUPED_CARDS */

/* Gives stage `stage` each group of tp of the cards left, equal groups not twice. */
static bool deal_stage(struct deal *d, uint32_t stage, uint32_t left)
{
    uint64_t seen[MAX_SIGNATURES];
    uint32_t n_seen = 0;
    if (stage == d->pp)
        return vllm_search_try(d->s, d->order, d->n, d->tp, d->pp, d->err);
    for (uint32_t set = left; set; set = (set - 1) & left) {
        uint64_t sign = signature(d, set);
        bool known = (uint32_t)__builtin_popcount(set) != d->tp;
        for (uint32_t i = 0; i < n_seen && !known; i++)
            known = seen[i] == sign;
        if (known)
            continue;
        seen[n_seen++] = sign;
        for (uint32_t i = 0, k = 0; i < d->n; i++)
            if (set & (1u << i))
                d->order[stage * d->tp + k++] = d->cards[i];
        if (!deal_stage(d, stage + 1, left & ~set))
            return false;
    }
    return true;
}

/* Like cards in groups of tp, the groups in every order. */
static bool deal_chunks(struct deal *d, uint32_t stage, uint32_t left)
{
    uint64_t seen[VLLM_MAX_RANKS];
    uint32_t n_seen = 0;
    if (stage == d->pp)
        return vllm_search_try(d->s, d->order, d->n, d->tp, d->pp, d->err);
    for (uint32_t g = 0; g < d->pp; g++) {
        uint32_t chunk = ((1u << d->tp) - 1) << (g * d->tp);
        uint64_t sign = signature(d, chunk);
        bool known = !(left & chunk);
        for (uint32_t i = 0; i < n_seen && !known; i++)
            known = seen[i] == sign;
        if (known)
            continue;
        seen[n_seen++] = sign;
        memcpy(d->order + stage * d->tp, d->cards + g * d->tp, d->tp);
        if (!deal_chunks(d, stage + 1, left & ~chunk))
            return false;
    }
    return true;
}

static uint32_t cards_on(const struct machine *m, const uint8_t *cards, uint32_t n,
                         const struct device *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += device_same_host(&m->devices[cards[i]], host);
    return count;
}

/* Ranks under Ray: the head's first, then hosts of fewer workers, then by address; on one host by
 * index (vllm/v1/executor/ray_executor.py, behaviour). */
static int by_host(const struct machine *m, const uint8_t *cards, uint32_t n, uint32_t head,
                   uint8_t a, uint8_t b)
{
    const struct device *x = &m->devices[a], *y = &m->devices[b], *first = &m->devices[head];
    bool at_head = device_same_host(x, first), same = device_same_host(x, y);
    size_t nx, ny;
    const char *hx = device_host(x, &nx), *hy = device_host(y, &ny);
    if (same)
        return (int)a - (int)b;
    if (at_head || device_same_host(y, first))
        return at_head ? -1 : 1;
    uint32_t kx = cards_on(m, cards, n, x), ky = cards_on(m, cards, n, y);
    if (kx != ky)
        return kx < ky ? -1 : 1;
    int order = memcmp(hx, hy, nx < ny ? nx : ny);
    return order ? order : (int)nx - (int)ny;
}

static void sort_by_host(const struct machine *m, uint8_t *cards, uint32_t n, uint32_t head)
{
    uint8_t given[VLLM_MAX_RANKS];
    memcpy(given, cards, n);
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && by_host(m, given, n, head, cards[k - 1], cards[k]) > 0; k--) {
            uint8_t swap = cards[k];
            cards[k] = cards[k - 1];
            cards[k - 1] = swap;
        }
}

static bool on_several(const struct machine *m, const uint8_t *cards, uint32_t n)
{
    return n > 0 && cards_on(m, cards, n, &m->devices[cards[0]]) < n;
}

static bool groups_whole(const struct machine *m, const uint8_t *cards, uint32_t n, uint32_t tp)
{
    for (uint32_t i = 0; i < n; i++)
        if (!device_same_host(&m->devices[cards[i]], &m->devices[cards[i / tp * tp]]))
            return false;
    return true;
}

/* Every host may be the head; nothing else is ours to choose. */
static bool try_hosts(struct vllm_search *s, const uint8_t *cards, uint32_t n, uint32_t tp,
                      uint32_t pp, struct err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t order[VLLM_MAX_RANKS];
        bool seen = false;
        for (uint32_t k = 0; k < i; k++)
            seen = seen || device_same_host(&s->machine->devices[cards[k]],
                                            &s->machine->devices[cards[i]]);
        if (seen)
            continue;
        memcpy(order, cards, n);
        sort_by_host(s->machine, order, n, cards[i]);
        if ((s->apart || groups_whole(s->machine, order, n, tp)) &&
            !vllm_search_try(s, order, n, tp, pp, err))
            return false;
    }
    return true;
}

bool vllm_orders_try(struct vllm_search *s, const uint8_t *cards, uint32_t n, uint32_t tp,
                     uint32_t pp, struct err *err)
{
    struct deal d = {s, cards, n, tp, pp, {0}, err};
    bool mixed = false;
    if (on_several(s->machine, cards, n))
        return try_hosts(s, cards, n, tp, pp, err);
    for (uint32_t i = 1; i < n; i++)
        mixed = mixed || !alike(&s->machine->devices[cards[0]], &s->machine->devices[cards[i]]);
    bool ordered = pp <= MAX_ORDERED_STAGES, grouped = n <= MAX_GROUPED_CARDS;
    if (pp == 1 || !mixed || s->wish->dp > 1 || !ordered) {
        s->bounded = s->bounded || (mixed && pp > 1);
        return vllm_search_try(s, cards, n, tp, pp, err);
    }
    s->bounded = s->bounded || (!grouped && tp > 1);
    return grouped ? deal_stage(&d, 0, (1u << n) - 1) : deal_chunks(&d, 0, (1u << d.pp * d.tp) - 1);
}

void vllm_orders_command(const struct machine *m, uint8_t *cards, uint32_t have, uint32_t n)
{
    uint8_t given[VLLM_MAX_RANKS];
    uint32_t k = 0;
    if (n == 0 || !on_several(m, cards, have))
        return;
    memcpy(given, cards, have);
    for (int elsewhere = 0; elsewhere < 2; elsewhere++)
        for (uint32_t i = 0; i < have; i++)
            if (device_same_host(&m->devices[given[0]], &m->devices[given[i]]) == !elsewhere)
                cards[k++] = given[i];
    sort_by_host(m, cards, n, cards[0]);
}

/* Larger cards first, so that those of one tensor parallel group are alike; else in the order
 * given. */
static void sort_cards(const struct machine *m, uint8_t *cards, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        for (uint32_t k = i; k > 0; k--) {
            if (m->devices[cards[k - 1]].total_bytes >= m->devices[cards[k]].total_bytes)
                break;
            uint8_t swap = cards[k];
            cards[k] = cards[k - 1];
            cards[k - 1] = swap;
        }
    }
}

/* Of equal cards the first ones are taken: other sets of the same kind say nothing new. */
static bool is_first_of_its_kind(const struct vllm_search *s, uint32_t mask, uint32_t allowed)
{
    const struct machine *m = s->machine;
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t k = i + 1; k < m->n_devices && !(mask & (1u << i)) && (allowed & (1u << i));
             k++)
            if ((mask & (1u << k)) && alike(&m->devices[i], &m->devices[k]))
                return false;
    return true;
}

static bool is_largest(const struct vllm_search *s, uint32_t mask, uint32_t allowed)
{
    const struct machine *m = s->machine;
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t k = 0; k < m->n_devices && (mask & (1u << i)); k++)
            if ((allowed & ~mask & (1u << k)) &&
                m->devices[k].total_bytes > m->devices[i].total_bytes)
                return false;
    return true;
}

bool vllm_orders_sets(struct vllm_search *s, uint32_t allowed, struct err *why, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint32_t n_allowed = (uint32_t)__builtin_popcount(allowed),
             all = (1u << s->machine->n_devices) - 1;
    for (uint32_t mask = 1; mask <= all; mask++) {
        uint8_t cards[VLLM_MAX_RANKS];
        uint32_t n = 0, count = (uint32_t)__builtin_popcount(mask);
        bool skip = (mask & ~allowed) || (w->max_gpus && count > w->max_gpus) ||
                    (w->spread && count < n_allowed);
        if (skip || !is_first_of_its_kind(s, mask, allowed))
            continue;
        if (n_allowed > MAX_FREE_SUBSETS && !is_largest(s, mask, allowed)) {
            s->bounded = true;
            continue;
        }
        for (uint32_t i = 0; i < s->machine->n_devices; i++)
            if (mask & (1u << i))
                cards[n++] = (uint8_t)i;
        sort_cards(s->machine, cards, n);
        if (!vllm_search_cards(s, cards, n, mask, why, err))
            return false;
    }
    return true;
}
