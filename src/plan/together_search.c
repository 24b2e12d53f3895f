/* together_search: depth first over models and sets of cards, with bounds, equal cards taken as
 * one, and a memory. */
#include "plan/together_search.h"

#include <string.h>

#include "base/str.h"
#include "plan/budget.h"

/* What was found for one model on some cards with so many bytes free. */
struct solver_memo {
    uint64_t hash; /* 0: empty */
    uint32_t part, mask;
    uint64_t room[TOGETHER_MAX_CARDS], host;
    struct placement *pl; /* NULL: does not fit */
};

uint64_t solver_need(const struct together_part *part, const struct machine *m,
                     const struct placement *pl, uint32_t card)
{
    uint32_t at = (uint32_t)__builtin_popcount(pl->mask & ((1u << card) - 1));
    uint32_t n_used = (uint32_t)__builtin_popcount(pl->mask);
    if (!(pl->mask & (1u << card)))
        return 0;
    const struct law_bytes *b = &pl->law.device[at].bytes;
    uint64_t need =
        b->weights + (uint64_t)(part->wish.kv_cache_factor * (double)b->kv) + b->compute;
    if (at == 0 && !part->wish.projector_on_host)
        need += part->wish.projector_bytes;
    return need ? need + plan_runtime_estimate(&m->devices[card], pl->s.split, n_used).bytes : 0;
}

/* One byte stays: the engine shares layers out by free bytes and refuses when there are none at
 * all. */
static void less(uint64_t *have, uint64_t gone)
{
    *have = *have > gone ? *have - gone : gone ? 1 : *have;
}

void solver_take(const struct together_part *part, const struct placement *pl, struct machine *left)
{
    const struct law_result *r = &pl->law;
    for (uint32_t i = 0; i < left->n_devices; i++) {
        uint64_t need = solver_need(part, left, pl, i);
        less(&left->devices[i].free_bytes, need);
        left->devices[i].used_by_others_bytes += need;
    }
    less(&left->host.free_bytes,
         r->host.weights + r->host.kv + r->host.compute + r->host_repack + r->host_output +
             (part->wish.projector_on_host ? part->wish.projector_bytes : 0));
}

static bool fits(const struct solver *v, uint32_t part, const struct machine *left,
                 const struct placement *pl)
{
    const struct together_part *p = &v->parts[part];
    uint64_t host_missing = budget_host_missing(&p->wish, &left->host, &pl->law);
    if (host_missing > (left->n_devices || v->tight ? p->wish.system_overhead_bytes : 0))
        return false;
    if (!v->tight)
        return pl->fits;
    for (uint32_t i = 0; i < left->n_devices; i++)
        if (solver_need(p, left, pl, i) > left->devices[i].free_bytes)
            return false;
    return true;
}

static void memo_key(uint32_t part, uint32_t mask, const struct machine *left,
                     struct solver_memo *key)
{
    memset(key, 0, sizeof(*key));
    key->part = part;
    key->mask = mask;
    key->host = left->host.free_bytes;
    for (uint32_t i = 0; i < left->n_devices && i < TOGETHER_MAX_CARDS; i++)
        if (mask & (1u << i))
            key->room[i] = left->devices[i].free_bytes;
    key->hash = str_hash(key, sizeof(*key)) | 1;
}

static bool same_key(const struct solver_memo *a, const struct solver_memo *b)
{
    return a->hash == b->hash && a->part == b->part && a->mask == b->mask && a->host == b->host &&
           memcmp(a->room, b->room, sizeof(a->room)) == 0;
}

/* The entry of this key, or an empty one for it; the last place tried is given up when the
 * neighbourhood is full. */
static struct solver_memo *memo_at(struct solver *v, const struct solver_memo *key)
{
    struct solver_memo *e = NULL;
    for (uint32_t i = 0; i < 8; i++) {
        e = &v->memo[(key->hash + i) % SOLVER_MEMO];
        if (!e->hash || same_key(e, key))
            return e;
    }
    e->hash = 0;
    return e;
}

struct placement *solver_place(struct solver *v, uint32_t part, uint32_t mask,
                               const struct machine *left)
{
    const struct together_part *p = &v->parts[part];
    struct solver_memo key, *e;
    struct err quiet = {0};
    memo_key(part, mask, left, &key);
    e = memo_at(v, &key);
    if (e->hash)
        return e->pl;
    struct placer placer = {
        .model = p->model, .machine = left, .wish = &p->wish, .arena = v->arena, .quick = true};
    struct arena_mark mark = arena_mark(v->arena);
    struct placement *pl = arena_new(v->arena, struct placement);
    bool ok = pl && place_on(&placer, mask, &v->s[part], pl, &quiet);
    v->candidates += placer.candidates;
    if (!pl || quiet.code == ERR_1201)
        err_set(&v->failed, ERR_1201, "no memory for a plan of several models");
    if (!ok || !fits(v, part, left, pl)) {
        arena_rewind(v->arena, mark);
        pl = NULL;
    }
    *e = key;
    e->pl = pl;
    return pl;
}

/* The cards were named by a split or a main card: all of them, as they stand. */
static bool takes_all(const struct plan_wish *w)
{
    return (w->given & (GIVEN_TENSOR_SPLIT | GIVEN_MAIN_GPU)) ||
           ((w->given & GIVEN_SPLIT_MODE) && w->s.split != SPLIT_LAYER);
}

static bool same_card(const struct device *a, const struct device *b)
{
    return a->total_bytes == b->total_bytes && a->free_bytes == b->free_bytes &&
           a->backend == b->backend && a->sms == b->sms && a->cc_major == b->cc_major &&
           a->cc_minor == b->cc_minor && a->bandwidth_gbs == b->bandwidth_gbs &&
           a->nvlink == b->nvlink && a->pcie_gen == b->pcie_gen && a->pcie_lanes == b->pcie_lanes &&
           !a->rpc == !b->rpc && strcmp(a->name, b->name) == 0;
}

/* Of equal cards the first ones stand for any. */
static bool is_first_of_equals(const struct machine *m, uint32_t mask)
{
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t k = 0; k < i && (mask & (1u << i)); k++)
            if (!(mask & (1u << k)) && same_card(&m->devices[k], &m->devices[i]))
                return false;
    return true;
}

/* Weights and cache need this much on any cards; rooms less what a process takes on each. */
static bool may_fit(const struct solver *v, uint32_t part, uint32_t mask,
                    const struct machine *left)
{
    const struct plan_wish *w = &v->parts[part].wish;
    uint64_t room = 0;
    for (uint32_t i = 0; i < left->n_devices; i++)
        if (mask & (1u << i))
            room += v->tight ? left->devices[i].free_bytes : budget_room(w, &left->devices[i], 0);
    return v->bytes[part] <= room;
}

struct candidate {
    uint32_t mask, size, shared;
    double rank;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    if (a->size != b->size)
        return a->size < b->size;
    if (a->shared != b->shared)
        return a->shared < b->shared;
    return a->rank > b->rank;
}

static uint32_t used_by_now(const struct solver *v)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < v->n; i++)
        used |= v->now[i] ? v->now[i]->mask : 0;
    return used;
}

static void rank_candidate(const struct machine *left, uint32_t used, struct candidate *c)
{
    c->size = (uint32_t)__builtin_popcount(c->mask);
    c->shared = (uint32_t)__builtin_popcount(c->mask & used);
    c->rank = 0;
    for (uint32_t i = 0; i < left->n_devices; i++)
        if (c->mask & (1u << i))
            c->rank +=
                left->devices[i].bandwidth_gbs * 1e6 + (double)(left->devices[i].free_bytes >> 20);
}

/* Sets of cards that this model may use and that could hold it, best first. */
static uint32_t list_sets(const struct solver *v, uint32_t part, const struct machine *left,
                          struct candidate *list)
{
    const struct plan_wish *w = &v->parts[part].wish;
    uint32_t n = 0, cards = left->n_devices, all = (1u << cards) - 1, used = used_by_now(v);
    uint32_t most = w->strategy == PLACE_ONE             ? 1
                    : w->max_gpus && w->max_gpus < cards ? w->max_gpus
                                                         : cards;
    if (cards == 0 || takes_all(w)) {
        list[0] = (struct candidate){.mask = all, .size = cards};
        return 1;
    }
    for (uint32_t mask = 1; mask <= all; mask++) {
        struct candidate c = {.mask = mask};
        rank_candidate(left, used, &c);
        if (c.size > most || (w->spread && c.size != most) || !is_first_of_equals(left, mask) ||
            !may_fit(v, part, mask, left))
            continue;
        uint32_t at = n++;
        for (; at > 0 && before(&c, &list[at - 1]); at--)
            list[at] = list[at - 1];
        list[at] = c;
    }
    return n;
}

static void keep_answer(struct solver *v, uint32_t uses, uint32_t placed, const uint32_t *order)
{
    memcpy(v->best, v->now, sizeof(v->best));
    memcpy(v->order, order, v->n * sizeof(order[0]));
    v->best_uses = uses;
    v->n_placed = placed;
}

static bool done(struct solver *v)
{
    v->cut = v->cut || v->candidates >= v->limit;
    return v->cut || v->failed.code != ERR_NONE || v->best_uses == v->bound;
}

/* What is still to be placed is more than all rooms together. */
static bool hopeless(const struct solver *v, const uint32_t *order, uint32_t k,
                     const struct machine *left)
{
    uint64_t need = 0, room = 0;
    for (uint32_t i = k; i < v->n; i++)
        need += v->bytes[order[i]];
    for (uint32_t i = 0; i < left->n_devices; i++) {
        uint64_t most = 0;
        for (uint32_t part = 0; part < v->n; part++) {
            const struct device *d = &left->devices[i];
            uint64_t one = v->tight ? d->free_bytes : budget_room(&v->parts[part].wish, d, 0);
            most = one > most ? one : most;
        }
        room += most;
    }
    return left->n_devices && need > room;
}

/* order[k] and those behind it on what is left; uses: cards so far. */
static void descend(struct solver *v, const uint32_t *order, uint32_t k, uint32_t uses,
                    const struct machine *left)
{
    struct candidate list[1 << TOGETHER_MAX_CARDS];
    uint32_t part = order[k < v->n ? k : 0], rest = 0;
    if (v->best_uses == UINT32_MAX && k > v->n_placed)
        keep_answer(v, UINT32_MAX, k, order);
    if (k == v->n) {
        keep_answer(v, uses, k, order);
        return;
    }
    if (hopeless(v, order, k, left))
        return;
    for (uint32_t i = k + 1; i < v->n; i++)
        rest += v->least[order[i]];
    uint32_t n = list_sets(v, part, left, list);
    for (uint32_t i = 0; i < n && !done(v); i++) {
        struct machine after = *left;
        if (v->best_uses != UINT32_MAX && uses + list[i].size + rest >= v->best_uses)
            return;
        v->now[part] = solver_place(v, part, list[i].mask, left);
        if (v->now[part]) {
            solver_take(&v->parts[part], v->now[part], &after);
            descend(v, order, k + 1, uses + list[i].size, &after);
        }
        v->now[part] = NULL;
    }
}

/* Every order of the models, the given one first (Heap's order of exchanges, without recursion). */
static void each_order(struct solver *v, uint32_t *order)
{
    uint32_t turn[TOGETHER_MAX_MODELS] = {0};
    descend(v, order, 0, 0, &v->machine);
    for (uint32_t i = 1; i < v->n && !done(v);) {
        if (turn[i] >= i) {
            turn[i++] = 0;
            continue;
        }
        uint32_t a = i % 2 ? turn[i] : 0, kept = order[a];
        order[a] = order[i];
        order[i] = kept;
        descend(v, order, 0, 0, &v->machine);
        turn[i]++;
        i = 1;
    }
}

/* Weights and cache, wherever they lie; 0 where that cannot be said. */
static uint64_t static_bytes(struct solver *v, uint32_t part)
{
    struct law_result *r = arena_new(v->arena, struct law_result);
    struct err quiet = {0};
    uint64_t all = 0;
    if (!r ||
        !law_estimate_static(v->parts[part].model, &v->machine, &v->s[part], v->arena, r, &quiet))
        return 0;
    for (uint32_t i = 0; i < r->n_devices; i++)
        all += r->device[i].bytes.weights + r->device[i].bytes.kv;
    return all - all / 50; /* paddings depend on the cards */
}

/* A process takes at least this on each card it uses. */
static uint64_t least_runtime(const struct solver *v)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < v->machine.n_devices; i++) {
        uint64_t one = plan_runtime_estimate(&v->machine.devices[i], SPLIT_NONE, 1).bytes;
        least = one < least ? one : least;
    }
    return least == UINT64_MAX ? 0 : least;
}

/* Fewest cards that hold it alone; 0: none do. */
static uint32_t least_cards(struct solver *v, uint32_t part)
{
    struct candidate list[1 << TOGETHER_MAX_CARDS];
    uint32_t n = list_sets(v, part, &v->machine, list);
    for (uint32_t i = 0; i < n; i++)
        if (solver_place(v, part, list[i].mask, &v->machine))
            return list[i].size;
    return 0;
}

bool solver_init(struct solver *v, const struct together_part *parts, uint32_t n,
                 const struct machine *m, struct arena *arena, struct err *err)
{
    *v = (struct solver){.parts = parts,
                         .n = n,
                         .machine = *m,
                         .arena = arena,
                         .budget = SOLVER_ANSWER,
                         .best_uses = UINT32_MAX};
    v->memo = arena_array(arena, struct solver_memo, SOLVER_MEMO);
    return v->memo || err_set(err, ERR_1201, "no memory for a plan of several models");
}

static void begin(struct solver *v, uint32_t *order)
{
    memset(v->memo, 0, SOLVER_MEMO * sizeof(v->memo[0]));
    memset(v->best, 0, sizeof(v->best));
    memset(v->now, 0, sizeof(v->now));
    v->best_uses = UINT32_MAX;
    v->n_placed = 0;
    v->bound = 0;
    v->cut = false;
    v->limit =
        v->candidates + SOLVER_SEARCH < v->budget ? v->candidates + SOLVER_SEARCH : v->budget;
    for (uint32_t i = 0; i < v->n; i++) {
        v->bytes[i] = static_bytes(v, i);
        uint32_t at = i;
        for (; at > 0 && v->bytes[i] > v->bytes[order[at - 1]]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Those that fit alone, together; the others are put behind them and stay unplaced. */
static void place_some(struct solver *v, const uint32_t *order)
{
    uint32_t sorted[TOGETHER_MAX_MODELS], n = 0, all = v->n;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < all; i++)
            if ((v->least[order[i]] == 0) == (pass == 1))
                sorted[n++] = order[i];
    v->n = 0;
    for (uint32_t i = 0; i < all; i++)
        v->n += v->least[i] > 0;
    uint32_t placed = v->n;
    memcpy(v->order, sorted, sizeof(v->order));
    if (placed)
        each_order(v, sorted);
    v->n = all;
    v->best_uses = UINT32_MAX;
    for (uint32_t i = placed; i < all; i++)
        v->order[i] = sorted[i];
}

bool solver_search(struct solver *v, bool *found, struct err *err)
{
    uint32_t order[TOGETHER_MAX_MODELS] = {0};
    bool alone = true;
    begin(v, order);
    memcpy(v->order, order, sizeof(v->order));
    for (uint32_t i = 0; i < v->n; i++) {
        bool hosted = v->machine.n_devices == 0;
        v->least[i] = hosted ? 0 : least_cards(v, i);
        v->bound += v->least[i];
        alone = alone && (v->least[i] || hosted);
        v->bytes[i] += v->least[i] * least_runtime(v);
    }
    if (alone)
        each_order(v, order);
    else
        place_some(v, order);
    *found = v->best_uses != UINT32_MAX;
    if (v->failed.code != ERR_NONE)
        return err_set(err, v->failed.code, "%s", v->failed.title);
    return true;
}

bool solver_again(struct solver *v, bool *found, struct err *err)
{
    struct machine left = v->machine;
    struct placement *again[TOGETHER_MAX_MODELS] = {0};
    memset(v->memo, 0, SOLVER_MEMO * sizeof(v->memo[0]));
    *found = true;
    for (uint32_t i = 0; i < v->n && *found; i++) {
        uint32_t part = v->order[i];
        again[part] = solver_place(v, part, v->best[part]->mask, &left);
        *found = again[part] != NULL;
        if (*found)
            solver_take(&v->parts[part], again[part], &left);
    }
    if (v->failed.code != ERR_NONE)
        return err_set(err, v->failed.code, "%s", v->failed.title);
    if (*found)
        memcpy(v->best, again, sizeof(again));
    return true;
}
