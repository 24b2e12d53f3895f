/* place: works out a model on a set of cards and searches for the context and the layers on the host. */
#include "plan/place.h"

#include "base/str.h"
#include "plan/budget.h"

enum { CTX_STEP = 256 };

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

/* The model's part. */
static uint64_t model_need(const struct placer *p, const struct placement *pl, uint32_t card)
{
    const struct plan_wish *w = p->wish;
    uint32_t at = (uint32_t)__builtin_popcount(pl->mask & ((1u << card) - 1));
    const struct law_bytes *b = &pl->law.device[at].bytes;
    uint64_t need = b->weights + (uint64_t)(w->kv_cache_factor * (double)b->kv) + b->compute;
    if (at == 0 && !w->projector_on_host)
        need += w->projector_bytes;
    for (uint32_t il = 0; w->layer_extra && il <= p->model->n_layers; il++)
        need += pl->law.layer_device[il] == (int)at ? w->layer_extra[il] : 0;
    return need;
}

uint64_t place_need(const struct placer *p, const struct placement *pl, uint32_t card)
{
    uint64_t need = place_draft_need(pl, card);
    return pl->mask & (1u << card) ? need + model_need(p, pl, card) : need;
}

/* Compares every used card's need with its room; sets fill and the two verdicts. */
static void judge(const struct placer *p, struct placement *pl)
{
    uint32_t n_used = (uint32_t)__builtin_popcount(pl->mask);
    pl->fill = 0;
    pl->fits = pl->fits_tight = true;
    for (uint32_t i = 0; i < p->machine->n_devices; i++) {
        const struct device *d = &p->machine->devices[i];
        uint64_t need = place_need(p, pl, i);
        struct plan_runtime r = plan_runtime_estimate(d, pl->s.split, n_used);
        if (!need)
            continue;
        uint64_t room = budget_room(p->wish, d, r.bytes);
        double fill = room ? (double)need / (double)room : 1e9;
        pl->fill = fill > pl->fill ? fill : pl->fill;
        pl->fits = pl->fits && need <= room;
        pl->fits_tight = pl->fits_tight && need + r.low <= d->free_bytes;
    }
}

bool place_evaluate(struct placer *p, struct placement *pl, struct err *err)
{
    struct machine sub;
    place_submachine(p->machine, pl->mask, &sub);
    p->candidates++;
    bool ok = p->quick ? law_estimate_quick(p->model, &sub, &pl->s, p->arena, &pl->law, err)
                       : law_estimate(p->model, &sub, &pl->s, p->arena, &pl->law, err);
    if (!ok || !place_draft(p, pl, err))
        return false;
    judge(p, pl);
    return true;
}

bool place_exactly(struct placer *p, struct placement *pl, struct err *err)
{
    bool quick = p->quick;
    p->quick = false;
    bool ok = place_evaluate(p, pl, err);
    p->quick = quick;
    return ok;
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
    for (int round = 0; hi - lo > CTX_STEP; round++) {
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
    struct placement counted = *pl;
    struct speed speed;
    struct speculation_gain gain;
    counted.s.type_k = counted.s.type_v = GGUF_TYPE_F16;
    place_speed(p, &counted, depth, streams, &speed);
    if (streams > 1)
        return speed.throughput.tps;
    place_speculation(p, &counted, &gain);
    return gain.kind == SPEC_NONE ? speed.decode.tps : gain.decode.tps;
}
