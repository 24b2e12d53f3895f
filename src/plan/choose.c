/* choose: fills what a wish leaves open: by its goal, or the fewest cards and the largest context there. */
#include "plan/goal.h"

enum { DEFAULT_CONTEXT = 32768, CPU_CONTEXT = 8192, USEFUL_CONTEXT = 4096 };

static uint32_t context_limit(const struct placer *p)
{
    uint32_t trained = p->model->hp.n_ctx_train;
    return trained ? trained : USEFUL_CONTEXT;
}

/* Fewest cards that hold s. out->fits is false when none do; false is an error. */
static bool fewest_cards(struct placer *p, const struct law_settings *s, struct placement *out,
                         struct err *err)
{
    struct card_sets sets;
    uint32_t most = sets_most_cards(p);
    if (!sets_make(p, p->wish->spread ? most : 1, most, &sets))
        return err_set(err, ERR_1201, "no memory for the sets of cards");
    p->best.proved = !sets.truncated;
    out->fits = false;
    for (uint32_t i = 0; i < sets.n; i++) {
        struct err quiet = {0};
        if (!place_may_fit(p, sets.mask[i], s, &quiet)) {
            if (quiet.code == ERR_NONE)
                continue;
            *err = quiet;
            return false;
        }
        if (!place_on(p, sets.mask[i], s, out, err))
            return false;
        if (out->fits)
            return true;
    }
    return true;
}

static uint32_t largest_set(struct placer *p)
{
    struct card_sets sets;
    uint32_t most = sets_most_cards(p);
    return most && sets_make(p, most, most, &sets) && sets.n ? sets.mask[0] : 0;
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
    if (!(p->wish->given & GIVEN_CTX)) {
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
static bool shrink_context(struct placer *p, const struct law_settings *s, struct placement *out,
                           struct err *err)
{
    static const uint32_t types[] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
    uint32_t mask = largest_set(p), useful = s->n_ctx < USEFUL_CONTEXT ? s->n_ctx : USEFUL_CONTEXT;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            struct err quiet = {0};
            struct law_settings t = *s;
            set_kv(&t, p->wish, types[i]);
            uint32_t least = pass == 0 ? useful : p->wish->min_context;
            if (place_largest(p, mask, &t, least, s->n_ctx, out, &quiet))
                return true;
        }
    }
    struct law_settings t = *s; /* nothing fits: what is missing is said for a modest context */
    t.n_ctx = t.n_ctx < CPU_CONTEXT ? t.n_ctx : CPU_CONTEXT;
    return place_on(p, mask, &t, out, err);
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

/* The contract's choice without a goal. */
static bool choose_fewest(struct placer *p, struct law_settings *s, struct placement *out, struct err *err)
{
    bool ctx_open = !(p->wish->given & GIVEN_CTX);
    if (!fewest_cards(p, s, out, err))
        return false;
    if (!out->fits)
        return ctx_open ? shrink_context(p, s, out, err) : place_on(p, largest_set(p), s, out, err);
    struct placement wider;
    struct err quiet = {0};
    if (ctx_open && place_largest(p, place_cards(out), s, s->n_ctx, context_limit(p), &wider, &quiet))
        *out = wider;
    p->best.objective = "cards";
    p->best.best = __builtin_popcount(place_cards(out));
    return true;
}

bool place_choose(struct placer *p, struct placement *out, struct err *err)
{
    const struct plan_wish *w = p->wish;
    struct law_settings s = w->s;
    bool ctx_open = !(w->given & GIVEN_CTX);
    uint32_t target = context_limit(p);
    if (ctx_open)
        s.n_ctx = target > DEFAULT_CONTEXT && !w->ctx_max ? DEFAULT_CONTEXT : target;
    if (!resolve_flash(p, &s, err))
        return false;
    if (p->machine->n_devices == 0) {
        if (ctx_open && !w->ctx_max && s.n_ctx > CPU_CONTEXT)
            s.n_ctx = CPU_CONTEXT;
        return place_on(p, 0, &s, out, err);
    }
    if (cards_are_given(w))
        return choose_given(p, &s, out, err);
    if (w->goal == GOAL_FEWEST)
        return choose_fewest(p, &s, out, err);
    if (!goal_choose(p, &s, out, err))
        return false;
    return out->fits || (ctx_open ? shrink_context(p, &s, out, err) : place_on(p, largest_set(p), &s, out, err));
}
