/* place: lays a model on a set of cards and searches for the set, the split and the context. */
#include "plan/place.h"

#include <string.h>

#include "plan/budget.h"

enum { CTX_STEP = 256, SPLIT_ROUNDS = 4, SEARCH_ROUNDS = 10 };

void place_submachine(const struct machine *m, uint32_t mask, struct machine *out)
{
    *out = (struct machine){.host = m->host, .simulated = m->simulated};
    for (uint32_t i = 0; i < m->n_devices; i++)
        if (mask & (1u << i))
            out->devices[out->n_devices++] = m->devices[i];
}

uint32_t place_all_cards(const struct placer *p)
{
    return (uint32_t)((1ull << p->machine->n_devices) - 1);
}

static uint64_t device_need(const struct plan_wish *w, const struct law_device *d, bool first)
{
    if (d->first_layer < 0 && !d->bytes.weights && !d->bytes.kv)
        return d->bytes.compute;
    uint64_t kv = (uint64_t)(w->kv_cache_factor * (double)d->bytes.kv);
    return d->bytes.weights + kv + d->bytes.compute + (first && !w->projector_on_host ? w->projector_bytes : 0);
}

/* Compares every used card's need with its room; sets fill and the two verdicts. */
static void judge(const struct placer *p, const struct machine *sub, struct placement *pl)
{
    pl->fill = 0;
    pl->fits = pl->fits_tight = true;
    for (uint32_t i = 0; i < sub->n_devices; i++) {
        const struct device *d = &sub->devices[i];
        uint64_t need = device_need(p->wish, &pl->law.device[i], i == 0);
        struct plan_runtime r = plan_runtime_estimate(d, pl->s.split, sub->n_devices);
        if (!need)
            continue;
        uint64_t room = budget_room(p->wish, d, r.bytes);
        double fill = room ? (double)need / (double)room : 1e9;
        pl->fill = fill > pl->fill ? fill : pl->fill;
        pl->fits = pl->fits && need <= room;
        pl->fits_tight = pl->fits_tight && need + r.low <= d->free_bytes;
    }
}

static bool evaluate(struct placer *p, const struct machine *sub, struct placement *pl,
                     struct err *err)
{
    p->candidates++;
    bool ok = p->quick ? law_estimate_quick(p->model, sub, &pl->s, p->arena, &pl->law, err)
                       : law_estimate(p->model, sub, &pl->s, p->arena, &pl->law, err);
    if (!ok)
        return false;
    judge(p, sub, pl);
    return true;
}

/* Whole layers, in order, so that the fullest card is as empty as can be: the smallest share r of every room at
 * which a greedy walk over the cards places all layers. Greedy is exact here, since the order of layers and
 * cards is fixed: taking as many as fit can only leave fewer for the cards behind. */
static bool walk(const uint64_t *cost, uint32_t n, const double *room, uint32_t n_cards, double r,
                 uint32_t *count)
{
    uint32_t next = 0;
    for (uint32_t c = 0; c < n_cards; c++) {
        double left = r * room[c];
        count[c] = 0;
        while (next < n && (double)cost[next] <= left) {
            left -= (double)cost[next++];
            count[c]++;
        }
    }
    return next == n;
}

static void share_layers(const uint64_t *cost, uint32_t n, const double *room, uint32_t n_cards,
                         uint32_t *count)
{
    double low = 0, high = 1, total = 0, rooms = 0;
    for (uint32_t i = 0; i < n; i++)
        total += (double)cost[i];
    for (uint32_t c = 0; c < n_cards; c++)
        rooms += room[c];
    if (rooms > 0 && total / rooms > high)
        high = total / rooms;
    while (!walk(cost, n, room, n_cards, high, count) && high < 1e12)
        high *= 2;
    for (int i = 0; i < 40; i++) {
        double mid = (low + high) / 2;
        if (walk(cost, n, room, n_cards, mid, count))
            high = mid;
        else
            low = mid;
    }
    walk(cost, n, room, n_cards, high, count);
}

/* Rooms for layers: what is left of each card after compute and runtime, from the last estimate. */
static void rooms_left(const struct placer *p, const struct machine *sub,
                       const struct placement *pl, double *room)
{
    for (uint32_t i = 0; i < sub->n_devices; i++) {
        struct plan_runtime r = plan_runtime_estimate(&sub->devices[i], pl->s.split, sub->n_devices);
        uint64_t have = budget_room(p->wish, &sub->devices[i], r.bytes);
        uint64_t gone = pl->law.device[i].bytes.compute + (i == 0 && !p->wish->projector_on_host ? p->wish->projector_bytes : 0);
        room[i] = have > gone ? (double)(have - gone) : 1.0;
    }
}

static bool same_split(const struct law_settings *s, const uint32_t *count, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (s->n_tensor_split != n || s->tensor_split[i] != (double)count[i])
            return false;
    return true;
}

static void set_split(struct law_settings *s, const uint32_t *count, uint32_t n)
{
    s->n_tensor_split = n;
    for (uint32_t i = 0; i < n; i++)
        s->tensor_split[i] = count[i];
}

static void even_split(uint32_t layers, uint32_t n, uint32_t *count)
{
    for (uint32_t i = 0; i < n; i++)
        count[i] = layers / n + (i < layers % n);
}

/* Balanced split by bytes: estimate, share the layers by what is left, again while that changes something. */
static bool balance(struct placer *p, const struct machine *sub, struct placement *pl,
                    struct err *err)
{
    uint64_t *cost = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    uint32_t n_layers, count[MACHINE_MAX_DEVICES];
    double room[MACHINE_MAX_DEVICES];
    if (!cost)
        return err_set(err, ERR_1201, "no memory for the layers' sizes");
    if (!law_layer_costs(p->model, sub, &pl->s, p->arena, cost, &n_layers, err))
        return false;
    uint32_t first = pl->s.n_gpu_layers >= 0 && (uint32_t)pl->s.n_gpu_layers < n_layers
                         ? n_layers - (uint32_t)pl->s.n_gpu_layers
                         : 0;
    struct placement best = *pl;
    pl->law = (struct law_result){0};
    for (int round = 0; round < SPLIT_ROUNDS; round++) {
        rooms_left(p, sub, pl, room);
        share_layers(cost + first, n_layers - first, room, sub->n_devices, count);
        if (round > 0 && same_split(&pl->s, count, sub->n_devices))
            break;
        set_split(&pl->s, count, sub->n_devices);
        if (!evaluate(p, sub, pl, err))
            return false;
        if (round == 0 || pl->fill < best.fill)
            best = *pl;
        if (round > 0 && best.fits)
            break;
    }
    *pl = best;
    return true;
}

bool place_on(struct placer *p, uint32_t mask, const struct law_settings *s, struct placement *out,
              struct err *err)
{
    struct placement pl = {.mask = mask, .s = *s};
    struct machine sub;
    struct arena_mark mark = arena_mark(p->arena);
    place_submachine(p->machine, mask, &sub);
    bool open = !(p->wish->given & GIVEN_TENSOR_SPLIT) && pl.s.split == SPLIT_LAYER &&
                sub.n_devices > 1 && pl.s.n_gpu_layers != 0;
    bool ok;
    if (sub.n_devices == 1 && !(p->wish->given & GIVEN_SPLIT_MODE))
        pl.s.split = SPLIT_NONE;
    if (sub.n_devices == 1)
        pl.s.n_tensor_split = 0;
    if (open && p->wish->strategy == PLACE_EVEN) {
        uint32_t count[MACHINE_MAX_DEVICES];
        even_split(p->model->n_layers + 1, sub.n_devices, count);
        set_split(&pl.s, count, sub.n_devices);
        open = false;
    } else if (p->wish->strategy == PLACE_PROPORTIONAL) {
        open = false;
    }
    ok = open ? balance(p, &sub, &pl, err) : evaluate(p, &sub, &pl, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = pl;
    return ok;
}

bool place_exactly(struct placer *p, struct placement *pl, struct err *err)
{
    struct machine sub;
    bool quick = p->quick;
    place_submachine(p->machine, pl->mask, &sub);
    p->quick = false;
    bool ok = evaluate(p, &sub, pl, err);
    p->quick = quick;
    return ok;
}

/* Cheap bound: weights and KV alone against all rooms together. */
static bool may_fit(struct placer *p, uint32_t mask, const struct law_settings *s, struct err *err)
{
    struct machine sub;
    struct law_result r;
    place_submachine(p->machine, mask, &sub);
    if (!law_estimate_static(p->model, &sub, s, p->arena, &r, err))
        return false;
    uint64_t need = 0, room = 0;
    for (uint32_t i = 0; i < sub.n_devices; i++) {
        need += r.device[i].bytes.weights + r.device[i].bytes.kv;
        room += budget_room(p->wish, &sub.devices[i], 0);
    }
    return need <= room;
}

/* Fill is a convex function of the context in practice (a sum of lines and maxima of lines), so a line between
 * a context that fits and one that does not never promises too much; the bracket closes in a few steps. */
bool place_largest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t min_ctx,
                   uint32_t max_ctx, struct placement *out, struct err *err)
{
    struct placement low, high, mid;
    struct law_settings t = *s;
    uint32_t lo = (min_ctx + CTX_STEP - 1) / CTX_STEP * CTX_STEP, hi = max_ctx / CTX_STEP * CTX_STEP;
    if (hi < lo)
        lo = hi = max_ctx;
    t.n_ctx = lo;
    if (!may_fit(p, mask, &t, err))
        return false;
    t.n_ctx = hi;
    if (!place_on(p, mask, &t, &high, err))
        return false;
    if (high.fits) {
        *out = high;
        return true;
    }
    t.n_ctx = lo;
    if (!place_on(p, mask, &t, &low, err) || !low.fits)
        return false;
    for (int round = 0; round < SEARCH_ROUNDS && hi - lo > CTX_STEP; round++) {
        double share = (1.0 - low.fill) / (high.fill - low.fill);
        uint32_t guess = lo + (uint32_t)(share * (hi - lo)) / CTX_STEP * CTX_STEP;
        if (round % 3 == 2)
            guess = lo + (hi - lo) / 2 / CTX_STEP * CTX_STEP;
        guess = guess <= lo ? lo + CTX_STEP : guess >= hi ? hi - CTX_STEP : guess;
        t.n_ctx = guess;
        if (!place_on(p, mask, &t, &mid, err))
            return false;
        if (mid.fits) {
            low = mid;
            lo = guess;
        } else {
            high = mid;
            hi = guess;
        }
    }
    *out = low;
    return true;
}

static int popcount(uint32_t v)
{
    return __builtin_popcount(v);
}

/* Faster sets first, then roomier ones: what decides between sets of the same number of cards. */
static double set_rank(const struct placer *p, uint32_t mask)
{
    double rank = 0;
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        if (mask & (1u << i))
            rank += p->machine->devices[i].bandwidth_gbs * 1e6 +
                    (double)(p->machine->devices[i].free_bytes >> 20);
    return rank;
}

static uint32_t sets_of_size(const struct placer *p, int size, uint32_t *sets, uint32_t cap)
{
    uint32_t n = 0, all = place_all_cards(p);
    for (uint32_t mask = 1; mask <= all && n < cap; mask++) {
        if (popcount(mask) != size)
            continue;
        uint32_t at = n++;
        while (at > 0 && set_rank(p, sets[at - 1]) < set_rank(p, mask)) {
            sets[at] = sets[at - 1];
            at--;
        }
        sets[at] = mask;
    }
    return n;
}

enum { MAX_SETS = 512 };

/* Fewest cards that hold s; false with *err untouched when none do. refused tells a refusal apart. */
static bool fewest_cards(struct placer *p, const struct law_settings *s, struct placement *out,
                         bool *refused, struct err *err)
{
    uint32_t sets[MAX_SETS];
    int n_cards = (int)p->machine->n_devices;
    int most = p->wish->max_gpus && (int)p->wish->max_gpus < n_cards ? (int)p->wish->max_gpus
                                                                     : n_cards;
    if (p->wish->strategy == PLACE_ONE)
        most = 1;
    for (int size = p->wish->spread ? most : 1; size <= most; size++) {
        uint32_t n = sets_of_size(p, size, sets, MAX_SETS);
        for (uint32_t i = 0; i < n; i++) {
            struct err quiet = {0};
            if (!may_fit(p, sets[i], s, &quiet)) {
                *refused = *refused || quiet.code != ERR_NONE;
                if (quiet.code != ERR_NONE && err)
                    *err = quiet;
                continue;
            }
            if (!place_on(p, sets[i], s, out, err)) {
                *refused = true;
                return false;
            }
            if (out->fits)
                return true;
        }
    }
    return false;
}

static uint32_t largest_set(struct placer *p)
{
    uint32_t sets[MAX_SETS];
    int n_cards = (int)p->machine->n_devices;
    int most = p->wish->max_gpus && (int)p->wish->max_gpus < n_cards ? (int)p->wish->max_gpus
                                                                     : n_cards;
    if (p->wish->strategy == PLACE_ONE)
        most = 1;
    return sets_of_size(p, most, sets, MAX_SETS) ? sets[0] : 0;
}

static uint32_t context_limit(const struct placer *p)
{
    uint32_t trained = p->model->hp.n_ctx_train;
    return trained ? trained : 4096;
}

static void set_kv(struct law_settings *s, const struct plan_wish *w, uint32_t type)
{
    if (!(w->given & GIVEN_TYPE_K))
        s->type_k = type;
    if (!(w->given & GIVEN_TYPE_V))
        s->type_v = type;
}

/* The cards were given a split: they are all used, as they stand. */
static bool choose_given(struct placer *p, const struct law_settings *s, struct placement *out,
                         struct err *err)
{
    if (p->wish->ctx_max || !(p->wish->given & GIVEN_CTX)) {
        struct err quiet = {0};
        struct law_settings t = *s;
        t.n_ctx = 0;
        if (place_largest(p, place_all_cards(p), &t, p->wish->min_context, context_limit(p), out,
                          &quiet))
            return true;
        if (quiet.code != ERR_NONE) {
            *err = quiet;
            return false;
        }
    }
    return place_on(p, place_all_cards(p), s, out, err);
}

/* No set holds the target context: the most cards, the largest context there, coarser KV if that is needed. */
static bool shrink_context(struct placer *p, struct law_settings *s, uint32_t target,
                           struct placement *out, struct err *err)
{
    static const uint32_t types[] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
    uint32_t mask = largest_set(p), useful = target < 4096 ? target : 4096;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            struct err quiet = {0};
            struct law_settings t = *s;
            set_kv(&t, p->wish, types[i]);
            uint32_t least = pass == 0 ? useful : p->wish->min_context;
            if (place_largest(p, mask, &t, least, target, out, &quiet))
                return true;
        }
    }
    return place_on(p, mask, s, out, err);
}

static bool cards_are_given(const struct plan_wish *w)
{
    return (w->given & (GIVEN_TENSOR_SPLIT | GIVEN_MAIN_GPU)) ||
           ((w->given & GIVEN_SPLIT_MODE) && w->s.split != SPLIT_LAYER);
}

/* What the engine would make of "auto", found once: asking it again for every candidate costs a third of each. */
static bool resolve_flash(struct placer *p, struct law_settings *s, struct err *err)
{
    struct machine all;
    struct law_result r;
    if (s->flash != FLASH_AUTO)
        return true;
    place_submachine(p->machine, place_all_cards(p), &all);
    p->candidates++;
    if (!law_estimate_quick(p->model, &all, s, p->arena, &r, err))
        return false;
    s->flash = r.flash_on ? FLASH_ON : FLASH_OFF;
    return true;
}

bool place_choose(struct placer *p, struct placement *out, struct err *err)
{
    const struct plan_wish *w = p->wish;
    struct law_settings s = w->s;
    bool ctx_open = !(w->given & GIVEN_CTX), refused = false;
    uint32_t target = context_limit(p);
    if (ctx_open)
        s.n_ctx = target > 32768 && !w->ctx_max ? 32768 : target;
    if (!resolve_flash(p, &s, err))
        return false;
    if (p->machine->n_devices == 0) {
        if (ctx_open && !w->ctx_max && s.n_ctx > 8192)
            s.n_ctx = 8192;
        return place_on(p, 0, &s, out, err);
    }
    if (cards_are_given(w))
        return choose_given(p, &s, out, err);

    struct err first = {0};
    bool found = fewest_cards(p, &s, out, &refused, &first);
    if (!found && refused && first.code != ERR_NONE) {
        *err = first;
        return false;
    }
    if (found && ctx_open) {
        struct placement wider;
        struct err quiet = {0};
        struct law_settings t = s;
        if (place_largest(p, out->mask, &t, s.n_ctx, target, &wider, &quiet))
            *out = wider;
        return true;
    }
    if (found)
        return true;
    if (ctx_open)
        return shrink_context(p, &s, s.n_ctx, out, err);
    return place_on(p, largest_set(p), &s, out, err);
}

/* Experts of mixtures go first: they are most of the bytes and the fewest of the reads. */
bool place_with_host(struct placer *p, uint32_t mask, const struct law_settings *s,
                     struct placement *out, struct err *err)
{
    bool moe = p->model->hp.n_expert > 0 && !(p->wish->given & (GIVEN_CPU_MOE | GIVEN_OVERRIDE));
    uint32_t layers = p->model->n_layers;
    uint32_t low = 0, high = layers + (moe ? 0 : 1);
    struct placement pl;
    struct law_settings t = *s;
    bool found = false;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (moe)
            t.n_cpu_moe = mid + 1;
        else
            t.n_gpu_layers = (int32_t)(layers - mid);
        if (!place_on(p, mask, &t, &pl, err))
            return false;
        if (pl.fits) {
            *out = pl;
            found = true;
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return found;
}
