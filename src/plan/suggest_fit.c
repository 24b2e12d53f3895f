/* suggest_fit: one combination of cards: what it may reach at best, what it reaches, and the rest of its row. */
#include "plan/suggest_fit.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "plan/budget.h"

enum { STEP = 256 };
#define BOUND_SLACK 0.999 /* for the order in which sums are rounded, and for padding */

static uint64_t room_of(const struct plan_wish *w, const struct device *d)
{
    return budget_room(w, d, plan_runtime_estimate(d, SPLIT_LAYER, 1).bytes);
}

static const char *plain_name(const char *name)
{
    return name + (str_starts(name, "GeForce ") ? strlen("GeForce ") : 0);
}

static void kind_make(const struct plan_wish *w, const struct card *c, struct suggest_kind *out)
{
    bool amd = c->vendor && str_eq_fold(c->vendor, "AMD");
    out->card = c;
    out->device = (struct device){
        .name = plain_name(c->name), .backend = amd ? BACKEND_ROCM : BACKEND_CUDA, .simulated = true,
        .total_bytes = c->total_bytes, .free_bytes = c->total_bytes, .cc_major = c->cc_major,
        .cc_minor = c->cc_minor, .sms = c->sms, .bandwidth_gbs = c->bandwidth_gbs > 0 ? c->bandwidth_gbs : 0,
        .pcie_gen = c->pcie_gen, .pcie_lanes = c->pcie_lanes};
    speed_card_make(speed_coefs, &out->device, &out->speed);
    out->room = room_of(w, &out->device);
}

static void own_make(const struct plan_wish *w, const struct device *d, struct suggest_kind *out)
{
    *out = (struct suggest_kind){.card = d->name ? card_find(d->name) : NULL, .device = *d};
    speed_card_make(speed_coefs, d, &out->speed);
    out->room = room_of(w, d);
}

static void learn_rate(struct suggest_kind *k, const struct speed_work *work, double host_gbs, const uint64_t *bytes,
                       uint32_t n)
{
    k->rate = 0;
    for (uint32_t l = 0; l < n && k->speed.read_gbs > 0; l++) {
        double ns = bytes[l] ? speed_layer_ns(speed_coefs, work, l, &k->speed, host_gbs, 0) : 0;
        if (ns > 0 && (k->rate == 0 || ns / (double)bytes[l] < k->rate))
            k->rate = ns / (double)bytes[l];
    }
}

/* What a first card alone would have to hold: no split of it over several takes less. */
static bool learn_need(struct suggest_quest *q, uint32_t n_ctx, uint64_t *out, struct err *err)
{
    struct machine one = {.host = q->wish->mine->host, .n_devices = 1, .devices = {q->kinds[0].device}};
    struct law_settings s = q->s;
    struct law_result r;
    s.n_ctx = n_ctx;
    s.split = SPLIT_NONE;
    if (!law_estimate_static(q->model, &one, &s, q->arena, &r, err))
        return false;
    uint64_t kv = (uint64_t)(q->wish->wish->kv_cache_factor * (double)r.device[0].bytes.kv);
    const struct plan_wish *w = q->wish->wish;
    *out = r.device[0].bytes.weights + kv + (w->projector_on_host ? 0 : w->projector_bytes);
    return true;
}

static bool learn_rates(struct suggest_quest *q, struct err *err)
{
    uint32_t n = 0, n_mine = q->wish->mine->n_devices;
    struct machine one = {.host = q->wish->mine->host, .n_devices = 1, .devices = {q->kinds[0].device}};
    struct arena_mark mark = arena_mark(q->arena);
    uint64_t *bytes = arena_array(q->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    struct speed_work *work = arena_new(q->arena, struct speed_work);
    double host = speed_host_gbs(&q->wish->mine->host);
    bool ok = bytes && work;
    if (!ok)
        err_set(err, ERR_1201, "no memory for the layers' times");
    ok = ok && law_layer_costs(q->model, &one, &q->s, q->arena, bytes, &n, err);
    if (ok)
        speed_work_make(q->model, &q->s, q->s.flash == FLASH_ON, NULL, work);
    q->layer_bytes = 0;
    for (uint32_t l = 0; ok && l < n; l++)
        q->layer_bytes += (double)bytes[l];
    for (uint32_t i = 0; ok && i < q->n_kinds; i++)
        learn_rate(&q->kinds[i], work, host, bytes, n);
    for (uint32_t i = 0; ok && i < n_mine; i++)
        learn_rate(&q->mine[i], work, host, bytes, n);
    arena_rewind(q->arena, mark);
    return ok;
}

bool suggest_prepare(struct suggest_quest *q, struct err *err)
{
    const struct machine *mine = q->wish->mine;
    for (uint32_t i = 0; i < q->n_kinds; i++)
        if (!q->kinds[i].device.name)
            kind_make(q->wish->wish, q->kinds[i].card, &q->kinds[i]);
    for (uint32_t i = 0; i < mine->n_devices; i++)
        own_make(q->wish->wish, &mine->devices[i], &q->mine[i]);
    return learn_need(q, q->s.n_ctx, &q->need, err) && learn_need(q, q->small, &q->need_small, err) &&
           learn_rates(q, err);
}

/* Cards of a combination, the person's own first. */
static uint32_t kinds_of(const struct suggest_quest *q, const struct combination *c,
                         const struct suggest_kind *out[MACHINE_MAX_DEVICES])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->wish->mine->n_devices; i++)
        out[n++] = &q->mine[i];
    for (int part = 0; part < 2; part++)
        for (uint32_t i = 0; i < c->count[part] && n < MACHINE_MAX_DEVICES; i++)
            out[n++] = &q->kinds[c->kind[part]];
    return n;
}

static double watts_of(const struct suggest_kind *const *kinds, uint32_t n, uint32_t mask)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double w = kinds[i]->card ? kinds[i]->card->tdp_w : 0;
        if (!(mask & (1u << i)))
            continue;
        if (!(w > 0))
            return 0;
        sum += w;
    }
    return sum;
}

static double score_of(double watts, double tps)
{
    return watts > 0 && tps > 0 ? watts / tps : INFINITY;
}

/* Layers as if they could be cut anywhere, the cards quickest per byte filled first. 0: a card that has to help has
 * no known speed. */
static double bound_tps(const struct suggest_quest *q, const struct suggest_kind *const *kinds, uint32_t n,
                        uint32_t n_new)
{
    double left = q->layer_bytes, ns = n_new > 1 ? (n_new - 1) * speed_hop_ns(speed_coefs) : 0;
    uint32_t taken = 0;
    while (left > 0 && taken != (1u << n) - 1) {
        int best = -1;
        for (uint32_t i = 0; i < n; i++)
            if (!(taken & (1u << i)) && kinds[i]->rate > 0 && (best < 0 || kinds[i]->rate < kinds[best]->rate))
                best = (int)i;
        if (best < 0)
            return 0;
        taken |= 1u << best;
        double take = fmin(left, (double)kinds[best]->room);
        ns += take * kinds[best]->rate;
        left -= take;
    }
    return ns > 0 ? 1e9 / (ns * BOUND_SLACK) : 0;
}

/* Fewest watts that could do the work: of the new cards alone, or of all. */
static double least_watts(const struct suggest_quest *q, const struct combination *c,
                          const struct suggest_kind *const *kinds, uint32_t n)
{
    uint32_t n_mine = q->wish->mine->n_devices, all = (1u << n) - 1, own = (1u << n_mine) - 1;
    double w = watts_of(kinds, n, all), fresh = watts_of(kinds, n, all & ~own);
    return c->count[0] && fresh > 0 ? fresh : w;
}

void suggest_bound(const struct suggest_quest *q, struct combination *c)
{
    const struct suggest_kind *kinds[MACHINE_MAX_DEVICES];
    uint32_t n = kinds_of(q, c, kinds);
    uint64_t room = 0;
    for (uint32_t i = 0; i < n; i++)
        room += kinds[i]->room;
    c->tps = bound_tps(q, kinds, n, c->s.n_cards);
    bool slow = q->wish->min_tps > 0 && c->tps < q->wish->min_tps;
    c->score = score_of(least_watts(q, c, kinds, n), c->tps);
    if ((double)q->need * BOUND_SLACK <= (double)room)
        c->s.rank = slow ? SUGGEST_SLOW : SUGGEST_MEETS;
    else
        c->s.rank = (double)q->need_small * BOUND_SLACK <= (double)room ? SUGGEST_SHORT : SUGGEST_TOO_SMALL;
    c->s.short_bytes = q->need_small > room ? q->need_small - room : 1;
}

/* A machine and placer for one combination; both live as long as the arena's mark. */
struct bench {
    struct machine machine;
    struct placer placer;
    struct speed_card cards[MACHINE_MAX_DEVICES];
};

static struct bench *bench_make(struct suggest_quest *q, const struct combination *c)
{
    const struct suggest_kind *kinds[MACHINE_MAX_DEVICES];
    struct bench *b = arena_new(q->arena, struct bench);
    if (!b)
        return NULL;
    b->machine = (struct machine){.host = q->wish->mine->host, .simulated = true};
    b->machine.n_devices = kinds_of(q, c, kinds);
    for (uint32_t i = 0; i < b->machine.n_devices; i++) {
        b->machine.devices[i] = kinds[i]->device;
        b->machine.devices[i].index = (int)i;
        b->cards[i] = kinds[i]->speed;
    }
    b->placer = (struct placer){.model = q->model, .machine = &b->machine, .wish = q->wish->wish,
                                .arena = q->arena, .cards = b->cards, .quick = true};
    return b;
}

/* True where it was placed and fits. A refusal of the engine counts as "does not fit" and is kept. */
static bool try_context(struct suggest_quest *q, struct bench *b, uint32_t mask, const struct law_settings *s,
                        struct placement *out)
{
    struct err err = {0};
    bool fits = place_may_fit(&b->placer, mask, s, &err) && place_on(&b->placer, mask, s, out, &err) && out->fits;
    q->n_placed += err.code == ERR_NONE;
    if (err.code != ERR_NONE && q->refused.code == ERR_NONE)
        q->refused = err;
    return fits;
}

/* The new cards alone where they do, as `plan` takes the fewest; else all. */
static bool try_cards(struct suggest_quest *q, struct bench *b, struct combination *c, const struct law_settings *s,
                      struct placement *out)
{
    uint32_t all = (1u << b->machine.n_devices) - 1, own = (1u << q->wish->mine->n_devices) - 1;
    c->mask = all & ~own;
    if (own && c->mask && try_context(q, b, c->mask, s, out))
        return true;
    c->mask = all;
    return try_context(q, b, all, s, out);
}

static void note_speed(struct suggest_quest *q, struct bench *b, struct combination *c)
{
    const struct suggest_kind *kinds[MACHINE_MAX_DEVICES];
    uint32_t n = kinds_of(q, c, kinds);
    place_speed(&b->placer, c->placed, c->placed->law.n_ctx_seq, 0, &c->s.speed);
    c->s.watts = watts_of(kinds, n, c->mask);
    uint32_t own = (1u << q->wish->mine->n_devices) - 1;
    c->idle = own && !(c->mask & own);
    c->tps = c->s.speed.decode.tps;
    c->score = score_of(c->s.watts, c->tps);
}

bool suggest_work_out(struct suggest_quest *q, struct combination *c, struct err *err)
{
    if (!c->placed)
        c->placed = arena_new(q->arena, struct placement);
    struct arena_mark mark = arena_mark(q->arena);
    struct bench *b = bench_make(q, c);
    struct law_settings s = q->s;
    if (!c->placed || !b)
        return err_set(err, ERR_1201, "no memory for a combination of cards");
    bool fits = c->s.rank <= SUGGEST_SLOW && try_cards(q, b, c, &s, c->placed);
    if (!fits) {
        s.n_ctx = q->small;
        fits = try_cards(q, b, c, &s, c->placed);
        c->s.rank = fits ? SUGGEST_SHORT : SUGGEST_TOO_SMALL;
    }
    c->worked_out = true;
    c->tps = 0;
    c->score = INFINITY;
    c->idle = false;
    if (fits)
        note_speed(q, b, c);
    if (fits && c->s.rank != SUGGEST_SHORT)
        c->s.rank = suggest_is_slow(q, c) ? SUGGEST_SLOW : SUGGEST_MEETS;
    q->candidates += b->placer.candidates;
    arena_rewind(q->arena, mark);
    return true;
}

/* Largest context, its last word from whole graphs; 0 where none is useful. */
static uint32_t largest(struct suggest_quest *q, struct bench *b, uint32_t mask, const struct law_settings *s,
                        uint32_t least, struct placement *out)
{
    uint32_t trained = q->model->hp.n_ctx_train ? q->model->hp.n_ctx_train : SUGGEST_USEFUL_CONTEXT;
    uint32_t most = trained > least ? trained : least;
    struct err none = {0};
    if (!place_largest(&b->placer, mask, s, least, most, out, &none))
        return 0;
    while (place_exactly(&b->placer, out, &none) && !out->fits && out->s.n_ctx >= least + STEP)
        out->s.n_ctx -= STEP;
    return out->fits && none.code == ERR_NONE ? out->s.n_ctx : 0;
}

/* The finest cache type with which the asked context would fit on all cards, -1: none. */
static int type_that_fits(struct suggest_quest *q, struct bench *b)
{
    static const uint32_t types[] = {GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
    uint32_t all = (1u << b->machine.n_devices) - 1;
    if (q->wish->wish->given & (GIVEN_TYPE_K | GIVEN_TYPE_V))
        return -1;
    for (int i = 0; i < 2; i++) {
        struct placement pl;
        struct err none = {0};
        struct law_settings s = q->s;
        s.type_k = s.type_v = types[i];
        if (place_may_fit(&b->placer, all, &s, &none) && place_on(&b->placer, all, &s, &pl, &none) && pl.fits &&
            place_exactly(&b->placer, &pl, &none) && pl.fits)
            return (int)types[i];
    }
    return -1;
}

static void note_layers(const struct suggest_quest *q, struct combination *c)
{
    const struct law_result *r = &c->placed->law;
    c->s.n_devices = r->n_devices;
    for (uint32_t i = 0; i < r->n_devices; i++)
        c->s.layers[i] = 0;
    for (uint32_t il = 0; il < q->model->n_layers; il++)
        if (r->layer_device[il] >= 0 && r->layer_device[il] < (int)r->n_devices && !q->model->layers[il].nextn)
            c->s.layers[r->layer_device[il]]++;
}

/* What the search found fits is looked at whole. A context that turns out too large makes the rank worse. */
static void confirm(struct suggest_quest *q, struct bench *b, struct combination *c)
{
    struct err none = {0};
    if (c->s.rank > SUGGEST_SLOW || (place_exactly(&b->placer, c->placed, &none) && c->placed->fits))
        return;
    c->s.rank = SUGGEST_SHORT;
}

bool suggest_finish(struct suggest_quest *q, struct combination *c, struct err *err)
{
    struct arena_mark mark = arena_mark(q->arena);
    struct bench *b = bench_make(q, c);
    struct placement wide;
    if (!b)
        return err_set(err, ERR_1201, "no memory for a combination of cards");
    c->done = true;
    c->s.kv_type = -1;
    if (c->s.rank != SUGGEST_TOO_SMALL) {
        confirm(q, b, c);
        struct law_settings s = q->s;
        s.flash = c->placed->law.flash_on ? FLASH_ON : FLASH_OFF;
        bool holds = c->s.rank <= SUGGEST_SLOW;
        c->s.context_max = largest(q, b, (1u << b->machine.n_devices) - 1, &s, holds ? s.n_ctx : q->small, &wide);
        if (!c->s.context_max && holds) /* all cards together hold less than the new ones alone */
            c->s.context_max = largest(q, b, c->mask, &s, s.n_ctx, &wide);
        if (!c->s.context_max && holds) /* an asked one between two steps */
            c->s.context_max = c->placed->s.n_ctx;
        c->s.mine_idle = c->idle;
        if (!holds)
            c->s.kv_type = type_that_fits(q, b);
        if (c->s.rank == SUGGEST_SHORT && !c->s.context_max)
            c->s.rank = SUGGEST_TOO_SMALL;
        note_layers(q, c);
        c->s.short_bytes = c->s.rank == SUGGEST_TOO_SMALL ? c->s.short_bytes : 0;
    }
    q->candidates += b->placer.candidates;
    arena_rewind(q->arena, mark);
    return suggest_write_note(q, c, err);
}
