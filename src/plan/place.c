/* place: lays a model on a set of cards and searches for the set, the split and the context. */
#include "plan/place.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "plan/budget.h"
#include "plan/search.h"

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
static void judge(const struct placer *p, struct placement *pl)
{
    uint32_t at = 0, n_used = (uint32_t)__builtin_popcount(pl->mask);
    pl->fill = 0;
    pl->fits = pl->fits_tight = true;
    for (uint32_t i = 0; i < p->machine->n_devices; i++) {
        const struct device *d = &p->machine->devices[i];
        uint64_t need = place_draft_need(pl, i);
        struct plan_runtime r = plan_runtime_estimate(d, pl->s.split, n_used);
        if (pl->mask & (1u << i)) {
            need += device_need(p->wish, &pl->law.device[at], at == 0);
            at++;
        }
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
    if (!ok || !place_draft(p, pl, err))
        return false;
    judge(p, pl);
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
    uint32_t i = 0;
    for (uint32_t c = 0; c < p->machine->n_devices; c++) {
        if (!(pl->mask & (1u << c)))
            continue;
        struct plan_runtime r = plan_runtime_estimate(&sub->devices[i], pl->s.split, sub->n_devices);
        uint64_t have = budget_room(p->wish, &sub->devices[i], r.bytes);
        uint64_t gone = pl->law.device[i].bytes.compute + place_draft_need(pl, c) +
                        (i == 0 && !p->wish->projector_on_host ? p->wish->projector_bytes : 0);
        room[i++] = have > gone ? (double)(have - gone) : 1.0;
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

/* By free memory less what --keep-free asks for. Whole hundredths (of more than two cards
 * thousandths) that add up to 1: what rounding down leaves goes to the largest remainders, of equal
 * ones to the last. 20 and 14 GiB: 0.59,0.41. */
static void proportional_split(const struct plan_wish *w, const struct machine *sub,
                               struct law_settings *s)
{
    uint64_t keep = w->keep_free_set ? w->keep_free_bytes : 0;
    double room[MACHINE_MAX_DEVICES], parts = sub->n_devices > 2 ? 1000 : 100, all = 0,
                                      left = parts;
    for (uint32_t i = 0; i < sub->n_devices; i++) {
        uint64_t free_bytes = sub->devices[i].free_bytes;
        room[i] = free_bytes > keep ? (double)(free_bytes - keep) : 0;
        all += room[i];
    }
    s->n_tensor_split = all > 0 ? sub->n_devices : 0;
    for (uint32_t i = 0; i < s->n_tensor_split; i++) {
        double exact = parts * room[i] / all;
        s->tensor_split[i] = floor(exact);
        room[i] = exact - floor(exact);
        left -= floor(exact);
    }
    for (; s->n_tensor_split && left > 0.5; left--) {
        uint32_t most = 0;
        for (uint32_t i = 1; i < s->n_tensor_split; i++)
            most = room[i] >= room[most] ? i : most;
        s->tensor_split[most]++;
        room[most] = -1;
    }
    for (uint32_t i = 0; i < s->n_tensor_split; i++)
        s->tensor_split[i] /= parts;
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
    pl->law = pl->draft = (struct law_result){0};
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

static bool lay(struct placer *p, const struct draft_spot *spot, const struct law_settings *s,
                struct placement *out, struct err *err)
{
    struct placement pl = {.mask = spot->main, .draft_mask = spot->draft, .s = *s};
    struct machine sub;
    struct arena_mark mark = arena_mark(p->arena);
    place_submachine(p->machine, spot->main, &sub);
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
    } else if (open && p->wish->strategy == PLACE_PROPORTIONAL) {
        if (!p->wish->as_command)
            proportional_split(p->wish, &sub, &pl.s);
        open = false;
    }
    ok = open ? balance(p, &sub, &pl, err) : evaluate(p, &sub, &pl, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = pl;
    return ok;
}

/* A refusal at one of several places for a draft rules out that place; the last one's is an error. */
static bool may_go_on(const struct placer *p, bool more, struct err *err)
{
    if (!p->wish->draft || !more || err_kind(err->code) != ERR_KIND_USAGE)
        return false;
    *err = (struct err){0};
    return true;
}

bool place_on(struct placer *p, uint32_t mask, const struct law_settings *s, struct placement *out,
              struct err *err)
{
    struct draft_spot spots[PLACE_MAX_SPOTS];
    uint32_t n = place_draft_spots(p, mask, s, spots);
    bool found = false;
    for (uint32_t i = 0; i < n && !(found && out->fits); i++) {
        struct placement pl;
        if (!lay(p, &spots[i], s, &pl, err)) {
            if (may_go_on(p, found || i + 1 < n, err))
                continue;
            return false;
        }
        if (!found || pl.fits || pl.fill < out->fill)
            *out = pl;
        found = true;
    }
    return found;
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
bool place_may_fit(struct placer *p, uint32_t mask, const struct law_settings *s, struct err *err)
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
    if (!place_may_fit(p, mask, &t, err))
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

const char *place_set_name(struct placer *p, uint32_t mask)
{
    struct str s = {0};
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        if (mask & (1u << i))
            str_addf(&s, "%sGPU %d", s.len ? " + " : "", p->machine->devices[i].index);
    char *name = s.failed || !s.data ? NULL : arena_strdup(p->arena, s.data);
    str_finish(&s);
    return name;
}

/* The cards of a mask in the placement's numbering. */
static void pick_cards(const struct placer *p, uint32_t mask, struct speed_card *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        if (mask & (1u << i))
            out[n++] = p->cards[i];
}

void place_speed(struct placer *p, const struct placement *pl, uint32_t depth, uint32_t streams,
                 struct speed *out)
{
    struct machine sub;
    struct speed_card cards[MACHINE_MAX_DEVICES];
    place_submachine(p->machine, pl->mask, &sub);
    pick_cards(p, pl->mask, cards);
    struct speed_case c = {.model = p->model, .machine = &sub, .settings = &pl->s, .placement = &pl->law,
                           .cards = cards, .depth = depth, .streams = streams,
                           .tp_overhead = p->wish->tp_overhead};
    speed_estimate(&c, out);
}

double place_rate(struct placer *p, const struct placement *pl, uint32_t depth, uint32_t streams)
{
    struct speed speed;
    struct speculation_gain gain;
    place_speed(p, pl, depth, streams, &speed);
    if (streams > 1)
        return speed.throughput.tps;
    place_speculation(p, pl, &gain);
    return gain.kind == SPEC_NONE ? speed.decode.tps : gain.decode.tps;
}

/* Times of every layer on every card, and what they take: the problem that search_split solves. */
static bool make_problem(struct placer *p, const struct machine *sub, const struct placement *pl,
                         const struct speed_card *cards, uint32_t streams, uint32_t depth,
                         struct search_problem *out, struct err *err)
{
    uint32_t n_layers;
    uint64_t *bytes = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    struct speed_work *work = arena_new(p->arena, struct speed_work);
    if (!bytes || !work)
        return err_set(err, ERR_1201, "no memory for the layers' times");
    if (!law_layer_costs(p->model, sub, &pl->s, p->arena, bytes, &n_layers, err))
        return false;
    double *ns = arena_array(p->arena, double, (size_t)sub->n_devices * n_layers);
    if (!ns)
        return err_set(err, ERR_1201, "no memory for the layers' times");
    struct law_settings counted = pl->s;
    counted.type_k = counted.type_v = GGUF_TYPE_F16;
    speed_work_make(p->model, &counted, pl->law.flash_on, NULL, work);
    *out = (struct search_problem){.n_layers = n_layers, .n_cards = sub->n_devices, .ns = ns, .bytes = bytes};
    double room[MACHINE_MAX_DEVICES];
    rooms_left(p, sub, pl, room);
    for (uint32_t c = 0; c < sub->n_devices; c++) {
        out->room[c] = (uint64_t)room[c];
        out->hop_ns[c] = speed_hop_ns(speed_coefs);
        for (uint32_t l = 0; l < n_layers; l++) {
            double t = speed_layer_streams_ns(speed_coefs, work, l, &cards[c],
                                              speed_host_gbs(&sub->host), streams, depth);
            ns[c * n_layers + l] = t > 0 ? t : 0;
        }
    }
    return true;
}

enum { FASTEST_ROUNDS = 3 };
#define FASTEST_SLACK 0.002 /* splits this close in time count as equal: the evener one leaves more room */

static bool fastest_at(struct placer *p, const struct draft_spot *spot, const struct law_settings *s,
                       uint32_t streams, uint32_t depth, struct placement *out, struct err *err)
{
    struct machine sub;
    struct speed_card cards[MACHINE_MAX_DEVICES];
    struct placement pl;
    if (!lay(p, spot, s, &pl, err))
        return false;
    *out = pl;
    place_submachine(p->machine, spot->main, &sub);
    if (sub.n_devices < 2 || pl.s.split != SPLIT_LAYER || pl.s.n_gpu_layers == 0 ||
        (p->wish->given & GIVEN_TENSOR_SPLIT) || p->wish->strategy != PLACE_AUTO)
        return true;
    pick_cards(p, spot->main, cards);
    for (int round = 0; round < FASTEST_ROUNDS; round++) {
        struct search_problem problem;
        struct search_answer answer;
        struct arena_mark mark = arena_mark(p->arena);
        bool ok = make_problem(p, &sub, &pl, cards, streams, depth, &problem, err) &&
                  (search_split(&problem, FASTEST_SLACK, p->arena, &answer) ||
                   err_set(err, ERR_1201, "no memory for the search"));
        arena_rewind(p->arena, mark);
        if (!ok)
            return false;
        if (!answer.feasible || same_split(&pl.s, answer.count, sub.n_devices))
            return true;
        set_split(&pl.s, answer.count, sub.n_devices);
        if (!evaluate(p, &sub, &pl, err))
            return false;
        if (pl.fits) {
            *out = pl;
            return true;
        }
    }
    return true;
}

bool place_fastest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                   uint32_t depth, struct placement *out, struct err *err)
{
    struct draft_spot spots[PLACE_MAX_SPOTS];
    uint32_t n = place_draft_spots(p, mask, s, spots);
    bool found = false;
    double best = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct placement pl;
        if (!fastest_at(p, &spots[i], s, streams, depth, &pl, err)) {
            if (may_go_on(p, found || i + 1 < n, err))
                continue;
            return false;
        }
        double rate = n > 1 && pl.fits ? place_rate(p, &pl, depth, streams) : 0;
        if (!found || (pl.fits && (!out->fits || rate > best))) {
            *out = pl;
            best = rate;
        }
        found = true;
    }
    return found;
}
