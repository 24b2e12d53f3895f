/* together: contexts that all models can have at once, their plans against what the others leave,
 * and what would help. */
#include "plan/together.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/budget.h"
#include "plan/explain.h"
#include "plan/together_search.h"

enum { STEP = 256, USUAL = 32768, USEFUL = 4096, UNKNOWN = 4096, ROUNDS = 4 };

static const uint32_t kv_types[3] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};

static bool open_context(const struct together_part *p)
{
    return !(p->wish.given & GIVEN_CTX);
}

static uint32_t trained(const struct together_part *p)
{
    return p->model->hp.n_ctx_train ? p->model->hp.n_ctx_train : UNKNOWN;
}

static bool any_open(const struct solver *v)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (open_context(&v->parts[i]))
            return true;
    return false;
}

/* Open contexts get the same limit, and where they do their cache may be coarser. */
static void set_contexts(struct solver *v, uint32_t limit, uint32_t kv)
{
    for (uint32_t i = 0; i < v->n; i++) {
        const struct together_part *p = &v->parts[i];
        struct law_settings *s = &v->s[i];
        if (!open_context(p))
            continue;
        s->n_ctx = limit < trained(p) ? limit : trained(p);
        if (!(p->wish.given & GIVEN_TYPE_K))
            s->type_k = kv;
        if (!(p->wish.given & GIVEN_TYPE_V))
            s->type_v = kv;
    }
}

/* What the engine would make of "auto" is asked once a model, not for every placement. */
static bool start_settings(struct solver *v, struct err *err)
{
    struct law_result *r = arena_new(v->arena, struct law_result);
    if (!r)
        return err_set(err, ERR_1201, "no memory for a plan of several models");
    for (uint32_t i = 0; i < v->n; i++) {
        struct law_settings *s = &v->s[i];
        *s = v->parts[i].wish.s;
        if (s->flash != FLASH_AUTO)
            continue;
        if (!law_estimate_quick(v->parts[i].model, &v->machine, s, v->arena, r, err))
            return err_prefix(err, "%s", v->parts[i].name);
        s->flash = r->flash_on ? FLASH_ON : FLASH_OFF;
    }
    return true;
}

static bool at_limit(struct solver *v, uint32_t limit, uint32_t kv, bool *found, struct err *err)
{
    set_contexts(v, limit, kv);
    return solver_search(v, found, err);
}

struct answer {
    uint32_t order[TOGETHER_MAX_MODELS];
    struct placement *best[TOGETHER_MAX_MODELS];
    uint32_t uses;
    bool cut;
};

static void keep(const struct solver *v, struct answer *a)
{
    memcpy(a->order, v->order, sizeof(a->order));
    memcpy(a->best, v->best, sizeof(a->best));
    a->uses = v->best_uses;
    a->cut = v->cut;
}

static void restore(struct solver *v, const struct answer *a)
{
    memcpy(v->order, a->order, sizeof(a->order));
    memcpy(v->best, a->best, sizeof(a->best));
    v->best_uses = a->uses;
    v->cut = a->cut;
}

/* The largest limit between one that fits (the last answer) and one that does not, in steps of 256:
 * first on the cards as they are shared out, then, if search is set, on any. */
static bool raise_limit(struct solver *v, uint32_t low, uint32_t high, uint32_t kv, bool search,
                        struct err *err)
{
    struct answer a;
    keep(v, &a);
    while (high - low > STEP) {
        uint32_t mid = low + (high - low) / 2 / STEP * STEP;
        bool found;
        set_contexts(v, mid, kv);
        if (!solver_again(v, &found, err) || (!found && search && !solver_search(v, &found, err)))
            return false;
        if (found) {
            low = mid;
            keep(v, &a);
        } else {
            high = mid;
            restore(v, &a);
        }
    }
    set_contexts(v, low, kv);
    return true;
}

/* 32768 tokens for all that are open; else the most that all can have, a coarser cache before very
 * short contexts. */
static bool find_contexts(struct solver *v, bool *found, bool *usual, struct err *err)
{
    if (!at_limit(v, USUAL, GGUF_TYPE_F16, found, err))
        return false;
    *usual = *found;
    for (int i = 0; !*found && any_open(v) && i < 6; i++) {
        uint32_t least = i < 3 ? USEFUL : STEP, most = i < 3 ? USUAL : USEFUL;
        if (!at_limit(v, least, kv_types[i % 3], found, err))
            return false;
        if (*found && !raise_limit(v, least, most, kv_types[i % 3], true, err))
            return false;
    }
    return true;
}

static void left_by_others(const struct solver *v, uint32_t part, struct machine *out)
{
    *out = v->machine;
    for (uint32_t i = 0; i < v->n; i++)
        if (i != part && v->best[i])
            solver_take(&v->parts[i], v->best[i], out);
}

/* Room that remains lengthens what is open: all alike up to the longest that was trained, then each
 * for itself. */
static bool lengthen(struct solver *v, struct err *err)
{
    uint32_t most = 0, limit = USUAL;
    for (uint32_t i = 0; i < v->n; i++)
        if (open_context(&v->parts[i]))
            most = trained(&v->parts[i]) > most ? trained(&v->parts[i]) : most;
    bool found;
    if (most > limit) {
        struct answer a;
        keep(v, &a);
        set_contexts(v, most, GGUF_TYPE_F16);
        if (!solver_again(v, &found, err))
            return false;
        if (!found) {
            restore(v, &a);
            return raise_limit(v, limit, (most + STEP - 1) / STEP * STEP, GGUF_TYPE_F16, false,
                               err);
        }
    }
    return true;
}

static bool lengthen_each(struct solver *v, struct err *err)
{
    for (uint32_t k = 0; k < v->n; k++) {
        uint32_t i = v->order[k];
        const struct together_part *p = &v->parts[i];
        struct machine left;
        struct err quiet = {0};
        struct placement *pl = arena_new(v->arena, struct placement);
        if (!pl)
            return err_set(err, ERR_1201, "no memory for a plan of several models");
        if (!open_context(p) || v->s[i].n_ctx >= trained(p) || v->machine.n_devices == 0)
            continue;
        left_by_others(v, i, &left);
        struct placer placer = {.model = p->model,
                                .machine = &left,
                                .wish = &p->wish,
                                .arena = v->arena,
                                .quick = true};
        if (place_largest(&placer, v->best[i]->mask, &v->s[i], v->s[i].n_ctx, trained(p), pl,
                          &quiet) &&
            pl->fits) {
            v->best[i] = pl;
            v->s[i].n_ctx = pl->s.n_ctx;
        }
        v->candidates += placer.candidates;
    }
    return true;
}

/* The plan of a placement, as if its command had been given, with reasons of its own. */
static bool plan_placed(struct solver *v, uint32_t part, const struct machine *left,
                        struct plan *out, struct err *err)
{
    struct plan_wish w = v->parts[part].wish;
    const struct placement *pl = v->best[part];
    w.s = pl->s;
    w.as_command = w.cards_set = true;
    w.cards = pl->mask;
    if (w.draft) {
        w.draft_cards = pl->draft_mask;
        w.given |= GIVEN_DRAFT_CARDS;
    }
    if (!plan_make(v->parts[part].model, left, &w, v->arena, out, err))
        return err_prefix(err, "%s", v->parts[part].name);
    out->wish = v->parts[part].wish;
    out->wish.s = pl->s;
    out->user_asked_cpu = v->parts[part].wish.allow_cpu || out->user_asked_cpu;
    out->n_reasons = 0;
    return explain_reasons(out, v->arena) ||
           err_set(err, ERR_1201, "no memory for the plan's reasons");
}

static uint64_t plan_need(const struct plan *p, uint32_t card)
{
    const struct plan_device *d = &p->devices[card];
    return d->weights + d->kv + d->compute + d->runtime + d->projector + d->draft;
}

static void take_plan(const struct plan *p, struct machine *left)
{
    for (uint32_t i = 0; i < left->n_devices; i++) {
        struct device *d = &left->devices[i];
        uint64_t need = plan_need(p, i);
        d->used_by_others_bytes += need;
        d->free_bytes = d->free_bytes > need ? d->free_bytes - need : need ? 1 : d->free_bytes;
    }
    uint64_t host = p->host.weights + p->host.kv + p->host.compute + p->host.repack + p->host.cache;
    left->host.free_bytes = left->host.free_bytes > host ? left->host.free_bytes - host : 0;
}

static bool new_machine(struct solver *v, struct machine **out, struct err *err)
{
    *out = arena_new(v->arena, struct machine);
    if (!*out)
        return err_set(err, ERR_1201, "no memory for a plan of several models");
    **out = v->machine;
    return true;
}

/* Whole plans of what was placed, each against what the others really take (a draft model of theirs
 * included), until that changes nothing more; an open context gives way where the whole graph needs
 * more than the search saw. */
static bool plan_all(struct solver *v, struct together *t, struct err *err)
{
    struct machine *left;
    bool known[TOGETHER_MAX_MODELS] = {false};
    for (int round = 0; round < ROUNDS; round++) {
        bool changed = false;
        for (uint32_t i = 0; i < v->n; i++) {
            uint64_t needed = known[i] ? t->plans[i].needed_bytes : 0;
            if (!new_machine(v, &left, err))
                return false;
            for (uint32_t k = 0; k < v->n; k++) {
                if (k != i && known[k])
                    take_plan(&t->plans[k], left);
                else if (k != i && v->best[k])
                    solver_take(&v->parts[k], v->best[k], left);
            }
            if (!plan_placed(v, i, left, &t->plans[i], err))
                return false;
            known[i] = true;
            changed = changed || needed != t->plans[i].needed_bytes;
            bool shorter = t->plans[i].verdict == VERDICT_NO_FIT && open_context(&v->parts[i]);
            if (shorter && v->best[i]->s.n_ctx > 2 * STEP) {
                v->best[i]->s.n_ctx -= STEP;
                changed = true;
            }
        }
        if (!changed)
            break;
    }
    return true;
}

/* A plan that was made on what the others leave counts as placed from then on. */
static bool adopt(struct solver *v, uint32_t part, const struct plan *p, struct err *err)
{
    struct placement *pl = arena_new(v->arena, struct placement);
    if (!pl)
        return err_set(err, ERR_1201, "no memory for a plan of several models");
    *pl = (struct placement){.mask = p->main_mask, .draft_mask = p->draft_mask, .s = p->settings, .law = p->law};
    v->best[part] = pl;
    return true;
}

static bool plan_unplaced(struct solver *v, uint32_t part, struct plan *out, struct err *err)
{
    struct machine *left;
    struct plan_wish w = v->parts[part].wish;
    if (!new_machine(v, &left, err))
        return false;
    left_by_others(v, part, left);
    if (open_context(&v->parts[part])) {
        w.s.n_ctx = v->s[part].n_ctx;
        w.given |= GIVEN_CTX;
    }
    if (!plan_make(v->parts[part].model, left, &w, v->arena, out, err))
        return err_prefix(err, "%s", v->parts[part].name);
    return out->verdict == VERDICT_NO_FIT || adopt(v, part, out, err);
}

/* Models are placed as far as they can be; those that find no room are planned on what is left:
 * that says what they lack, or puts layers on the host where the wish allows it. */
static bool plan_some(struct solver *v, struct together *t, struct err *err)
{
    bool whole = true;
    for (uint32_t k = 0; k < v->n; k++) {
        uint32_t i = v->order[k];
        if (!v->best[i] && !plan_unplaced(v, i, &t->plans[i], err))
            return false;
        whole = whole && v->best[i];
    }
    if (whole)
        return plan_all(v, t, err);
    for (uint32_t i = 0; i < v->n; i++) {
        struct machine *left;
        if (!v->best[i])
            continue;
        if (!new_machine(v, &left, err))
            return false;
        left_by_others(v, i, left);
        if (!plan_placed(v, i, left, &t->plans[i], err))
            return false;
    }
    return true;
}

static void sum_cards(const struct solver *v, struct together *t)
{
    t->n_cards = v->machine.n_devices;
    for (uint32_t i = 0; i < t->n_cards; i++) {
        const struct device *d = &v->machine.devices[i];
        struct together_card *c = &t->cards[i];
        *c = (struct together_card){.other = d->used_by_others_bytes,
                                    .free_after = (int64_t)d->free_bytes};
        for (uint32_t k = 0; k < t->n; k++) {
            uint64_t keep_free = budget_keep_free(&t->plans[k].wish, d);
            c->need[k] = plan_need(&t->plans[k], i);
            c->free_after -= (int64_t)c->need[k];
            c->keep_free = keep_free > c->keep_free ? keep_free : c->keep_free;
        }
    }
}

static uint64_t missing(const struct plan *p)
{
    uint64_t all = p->host.shortfall;
    for (uint32_t i = 0; i < p->n_devices; i++)
        all += p->devices[i].shortfall;
    return all;
}

static void conclude(const struct solver *v, struct together *t)
{
    sum_cards(v, t);
    t->short_part = -1;
    t->card_uses = 0;
    t->verdict = VERDICT_FITS;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct plan *p = &t->plans[i];
        t->verdict = p->verdict > t->verdict ? p->verdict : t->verdict;
        t->card_uses += (uint32_t)__builtin_popcount(p->used_mask);
        if (p->verdict == VERDICT_NO_FIT && (t->short_part < 0 || missing(p) > t->short_bytes)) {
            t->short_part = (int)i;
            t->short_bytes = missing(p);
        }
    }
}

static bool add_way(struct solver *v, struct together *t, int part, const char *change,
                    const char *flags, const char *price, struct err *err)
{
    struct together_way w = {.part = part,
                             .change = arena_strdup(v->arena, change),
                             .flags = arena_strdup(v->arena, flags),
                             .price = price};
    if (!w.change || !w.flags)
        return err_set(err, ERR_1201, "no memory for other plans");
    if (t->n_ways < TOGETHER_MAX_WAYS)
        t->ways[t->n_ways++] = w;
    return true;
}

/* The same with another wish for one model, or for all. */
static bool try_parts(struct solver *v, struct together_part *parts, bool *found,
                      struct solver *out, struct err *err)
{
    bool usual;
    uint64_t used = v->candidates - v->budget; /* the budget was set to where the ways begin */
    if (!solver_init(out, parts, v->n, &v->machine, v->arena, err) || !start_settings(out, err))
        return false;
    out->budget = used < SOLVER_WAYS ? SOLVER_WAYS - used : 0;
    if (!find_contexts(out, found, &usual, err))
        return false;
    v->candidates += out->candidates;
    return true;
}

static bool try_shorter(struct solver *v, struct together *t, struct solver *other, uint32_t part,
                        struct err *err)
{
    struct together_part parts[TOGETHER_MAX_MODELS];
    char change[64], flags[32], number[32];
    bool found;
    memcpy(parts, v->parts, v->n * sizeof(parts[0]));
    if (open_context(&parts[part]))
        return true;
    parts[part].wish.given &= ~(uint32_t)GIVEN_CTX;
    parts[part].wish.given |= GIVEN_TYPE_K | GIVEN_TYPE_V;
    if (!try_parts(v, parts, &found, other, err))
        return false;
    uint32_t n = found ? other->best[part]->s.n_ctx : 0;
    if (!found || n < parts[part].wish.min_context ||
        (parts[part].wish.s.n_ctx && n >= parts[part].wish.s.n_ctx))
        return true;
    str_grouped(n, number);
    snprintf(change, sizeof(change), "context %s", number);
    snprintf(flags, sizeof(flags), "--ctx %u", n);
    return add_way(v, t, (int)part, change, flags, "shorter conversations", err);
}

static bool try_kv(struct solver *v, struct together *t, struct solver *other, int part, int type,
                   struct err *err)
{
    static const char *const names[] = {"f16", "q8_0", "q4_0"};
    static const char *const prices[] = {"", "small quality risk", "visible quality risk"};
    struct together_part parts[TOGETHER_MAX_MODELS];
    char change[32], flags[32];
    bool found, any = false;
    memcpy(parts, v->parts, v->n * sizeof(parts[0]));
    for (uint32_t i = 0; i < v->n; i++) {
        struct plan_wish *w = &parts[i].wish;
        if ((part >= 0 && (int)i != part) || (w->given & (GIVEN_TYPE_K | GIVEN_TYPE_V)))
            continue;
        w->s.type_k = w->s.type_v = kv_types[type];
        w->given |= GIVEN_TYPE_K | GIVEN_TYPE_V;
        any = true;
    }
    if (!any)
        return true;
    if (!try_parts(v, parts, &found, other, err))
        return false;
    snprintf(change, sizeof(change), "KV cache %s", names[type]);
    snprintf(flags, sizeof(flags), "--kv %s", names[type]);
    return !found || add_way(v, t, part, change, flags, prices[type], err);
}

/* Layers of the model that finds no room in host memory, if its own plan knows of such a way. */
static bool add_host_way(struct solver *v, struct together *t, struct err *err)
{
    const struct plan *p = &t->plans[t->short_part];
    for (uint32_t i = 0; i < t->n; i++)
        if ((int)i != t->short_part && t->plans[i].verdict == VERDICT_NO_FIT)
            return true;
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        if (a->verdict == VERDICT_PARTLY_CPU)
            return add_way(v, t, t->short_part, a->change, a->flags, a->price, err);
    }
    return true;
}

static bool find_ways(struct solver *v, struct together *t, struct err *err)
{
    struct solver *other = arena_new(v->arena, struct solver);
    if (!other)
        return err_set(err, ERR_1201, "no memory for other plans");
    v->budget = v->candidates;
    for (uint32_t i = 0; i < v->n; i++)
        if (!try_shorter(v, t, other, i, err))
            return false;
    for (int type = 1; type < 3; type++) {
        uint32_t before = t->n_ways;
        for (uint32_t i = 0; i < v->n; i++)
            if (!try_kv(v, t, other, (int)i, type, err))
                return false;
        if (t->n_ways == before && !try_kv(v, t, other, -1, type, err))
            return false;
    }
    return add_host_way(v, t, err);
}

static bool check(uint32_t n, const struct machine *m, struct err *err)
{
    if (n == 0 || n > TOGETHER_MAX_MODELS)
        return err_set(err, ERR_2113, "%u models side by side; 1 to %d can be planned", n,
                       TOGETHER_MAX_MODELS);
    if (m->n_devices > TOGETHER_MAX_CARDS) {
        err_set(err, ERR_2113, "several models are planned on up to %d cards, here are %u",
                TOGETHER_MAX_CARDS, m->n_devices);
        return err_fix(err, NULL, "name the cards with --gpus");
    }
    return true;
}

/* The wishes' own host memory becomes the machine's, so that what one takes is missing for the
 * others. */
static void share_host(struct together_part *parts, uint32_t n, struct machine *m)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bytes = parts[i].wish.host_memory_bytes;
        if (bytes)
            m->host.total_bytes = m->host.free_bytes = bytes;
        parts[i].wish.host_memory_bytes = 0;
    }
}

/* Without the kept-free room where it does not fit with it. */
static bool search_all(struct solver *v, bool *found, struct err *err)
{
    bool usual;
    if (!find_contexts(v, found, &usual, err))
        return false;
    if (*found)
        return !usual || v->machine.n_devices == 0 || lengthen(v, err);
    v->tight = true;
    return at_limit(v, any_open(v) ? USEFUL : USUAL, GGUF_TYPE_F16, found, err);
}

bool together_make(const struct together_part *parts, uint32_t n, const struct machine *machine,
                   struct arena *arena, struct together *out, struct err *err)
{
    struct together *t = arena_new(arena, struct together);
    struct solver *v = arena_new(arena, struct solver);
    struct together_part *own_parts = arena_array(arena, struct together_part, TOGETHER_MAX_MODELS);
    struct machine *shared = arena_new(arena, struct machine);
    bool found;
    if (!t || !v || !own_parts || !shared)
        return err_set(err, ERR_1201, "no memory for a plan of several models");
    if (!check(n, machine, err))
        return false;
    memcpy(own_parts, parts, n * sizeof(parts[0]));
    *shared = *machine;
    share_host(own_parts, n, shared);
    *t = (struct together){.n = n, .machine = shared};
    if (!solver_init(v, own_parts, n, shared, arena, err) || !start_settings(v, err) ||
        !search_all(v, &found, err))
        return false;
    t->proved = !v->cut;
    if (found && !v->tight && !lengthen_each(v, err))
        return false;
    if (!(found ? plan_all(v, t, err) : plan_some(v, t, err)))
        return false;
    conclude(v, t);
    if (t->verdict == VERDICT_NO_FIT && !find_ways(v, t, err))
        return false;
    t->candidates = v->candidates;
    *out = *t;
    return true;
}

int together_exit_code(const struct together *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (plan_exit_code(&t->plans[i]) != 0)
            return 8;
    return 0;
}
