/* choose: fills what a wish leaves open: by its goal, or the fewest cards and the largest context there. */
#include "plan/goal.h"

enum { DEFAULT_CONTEXT = 32768, CPU_CONTEXT = 8192, USEFUL_CONTEXT = 4096, STEP = 256 };

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

static uint32_t without_smallest(const struct placer *p, uint32_t mask)
{
    uint32_t smallest = 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < p->machine->n_devices; i++) {
        uint64_t free_bytes = p->machine->devices[i].free_bytes;
        if ((mask & (1u << i)) && free_bytes <= least) {
            smallest = 1u << i;
            least = free_bytes;
        }
    }
    return mask & ~smallest;
}

/* Nothing fits: what comes nearest, without cards that could hardly hold their own overhead. */
static bool place_nearest(struct placer *p, const struct law_settings *s, struct placement *out,
                          struct err *err)
{
    uint32_t mask = largest_set(p);
    if (!place_on(p, mask, s, out, err))
        return false;
    while (!p->wish->spread && __builtin_popcount(mask) > 1) {
        struct placement fewer;
        struct err quiet = {0};
        mask = without_smallest(p, mask);
        if (!place_on(p, mask, s, &fewer, &quiet) || fewer.fill >= out->fill)
            break;
        *out = fewer;
    }
    return true;
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
                          &quiet)) {
            bool most = out->s.n_ctx + STEP > context_limit(p);
            p->best = (struct plan_optimality){.proved = most || !place_draft_open(p), .objective = "context", .best = out->law.n_ctx};
            return true;
        }
        if (quiet.code != ERR_NONE) {
            *err = quiet;
            return false;
        }
    }
    return place_on(p, place_all_cards(p), s, out, err);
}

/* Largest context that any set holds, by the fewest cards that hold as much. False (no error): none holds the least. */
static bool largest_of_all(struct placer *p, const struct card_sets *sets, const struct law_settings *s, uint32_t least,
                           uint32_t most, struct placement *out, struct err *err)
{
    bool found = false;
    for (uint32_t i = sets->n; i-- > 0 && (!found || out->s.n_ctx + STEP <= most);) {
        found = place_largest(p, sets->mask[i], s, found ? out->s.n_ctx + STEP : least, most, out, err) || found;
        if (err->code != ERR_NONE)
            return false;
    }
    for (uint32_t i = 0; found && __builtin_popcount(sets->mask[i]) < __builtin_popcount(place_cards(out)); i++)
        if (place_largest(p, sets->mask[i], s, out->s.n_ctx, out->s.n_ctx, out, err) || err->code != ERR_NONE)
            break;
    return found && err->code == ERR_NONE;
}

/* No set holds the target context: the largest context there is, with a coarser cache if a useful one needs that. */
static bool shrink_context(struct placer *p, const struct law_settings *s, struct placement *out,
                           struct err *err)
{
    static const uint32_t types[] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
    struct card_sets sets;
    uint32_t most = sets_most_cards(p), useful = s->n_ctx < USEFUL_CONTEXT ? s->n_ctx : USEFUL_CONTEXT;
    if (!sets_make(p, p->wish->spread ? most : 1, most, &sets))
        return err_set(err, ERR_1201, "no memory for the sets of cards");
    p->best.proved = !sets.truncated && !place_draft_open(p);
    p->best.objective = "context";
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            struct err quiet = {0};
            struct law_settings t = *s;
            set_kv(&t, p->wish, types[i]);
            uint32_t least = pass == 0 ? useful : p->wish->min_context;
            if (largest_of_all(p, &sets, &t, least, s->n_ctx, out, &quiet)) {
                p->best.best = out->law.n_ctx;
                return true;
            }
            if (quiet.code != ERR_NONE && err_kind(quiet.code) != ERR_KIND_USAGE) {
                *err = quiet;
                return false;
            }
        }
    }
    p->best.objective = NULL;
    struct law_settings t = *s; /* nothing fits: what is missing is said for a modest context */
    t.n_ctx = t.n_ctx < CPU_CONTEXT ? t.n_ctx : CPU_CONTEXT;
    return place_nearest(p, &t, out, err);
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
        return ctx_open ? shrink_context(p, s, out, err) : place_nearest(p, s, out, err);
    struct placement wider;
    struct err quiet = {0};
    if (ctx_open && place_largest(p, place_cards(out), s, s->n_ctx, context_limit(p), &wider, &quiet))
        *out = wider;
    p->best.objective = "cards";
    p->best.best = __builtin_popcount(place_cards(out));
    p->best.proved = p->best.proved && (p->best.best <= 2 || !place_draft_open(p));
    return true;
}

static bool choose_all(struct placer *p, struct placement *out, struct err *err)
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
    return out->fits || choose_fewest(p, &s, out, err);
}

/* Why a better choice may be left. */
static const char *what_is_open(const struct placer *p)
{
    if (p->best.proved && !p->doubt)
        return NULL;
    if (place_draft_open(p))
        return "the draft over several cards other than the model's was not tried and may be "
               "better";
    if (p->doubt)
        return "the engine's buffers do not follow from the layers alone, so what was not tried "
               "may "
               "take less than was reckoned";
    return "with so many unlike cards not every set of them was tried";
}

bool place_choose(struct placer *p, struct placement *out, struct err *err)
{
    p->doubt = false;
    bool ok =
        choose_all(p, out, err) && (p->wish->goal != GOAL_FEWEST || place_evenest(p, out, err));
    p->best.open = what_is_open(p);
    p->best.proved = !p->best.open;
    return ok;
}
