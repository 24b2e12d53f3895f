/* mtp: whether a model's own NextN blocks are to draft: what they are expected to give, and what they cost. */
#include "plan/mtp.h"

#define CONTEXT_SHARE 0.9 /* of the context must stay */

static bool is_open(const struct placer *p, const struct placement *pl)
{
    const struct plan_wish *w = p->wish;
    bool serves = w->tool == TOOL_SERVER || w->tool == TOOL_CLI;
    return serves && pl->fits && pl->mask && !w->draft && w->speculation == SPEC_NONE && !w->s.embeddings &&
           !(w->given & GIVEN_SPEC_TYPE) && law_can_draft(p->model);
}

static void turn_on(uint32_t drafted, struct plan_wish *w, struct law_settings *s)
{
    w->speculation = SPEC_NEXTN;
    w->drafted = drafted;
    s->mtp = true;
    s->n_rs_seq = drafted;
    place_outputs(drafted, s);
}

/* Tokens at once that give most at the lower end of the acceptance: what the person set, or 1 to the engine's 3. */
static uint32_t best_length(struct placer *p, const struct placement *pl, struct plan_wish *w)
{
    uint32_t best = w->drafted;
    double most = 0;
    for (uint32_t n = 1; n <= PLACE_DRAFTED && !(w->given & GIVEN_DRAFT_MAX); n++) {
        struct placer with = *p;
        struct placement counted = *pl;
        struct speculation_gain gain;
        turn_on(n, w, &counted.s);
        counted.draft_mask = pl->mask;
        counted.draft.n_ctx = pl->law.n_ctx;
        with.wish = w;
        place_speculation(&with, &counted, &gain);
        if (gain.low > most * 1.005) {
            most = gain.low;
            best = n;
        }
    }
    return best;
}

/* The same cards and settings with drafting: at the same context, or the largest that is left. */
static bool beside(struct placer *p, const struct placement *pl, uint32_t drafted, struct plan_wish *w,
                   struct placement *out, struct err *err)
{
    struct err quiet = {0};
    struct law_settings s = pl->s;
    if (!(w->given & GIVEN_TENSOR_SPLIT))
        s.n_tensor_split = 0;
    if (!(w->given & GIVEN_SPLIT_MODE))
        s.split = SPLIT_LAYER;
    turn_on(drafted, w, &s);
    if (place_on(p, pl->mask, &s, out, &quiet) && out->fits)
        return true;
    out->fits = false;
    if (quiet.code == ERR_NONE && !(w->given & GIVEN_CTX) &&
        !place_largest(p, pl->mask, &s, w->min_context, pl->law.n_ctx, out, &quiet))
        out->fits = false;
    if (quiet.code == ERR_1201)
        return err_set(err, ERR_1201, "%s", quiet.title);
    return true;
}

static uint64_t draft_bytes(const struct placer *p, const struct placement *with, const struct placement *without)
{
    uint64_t more = 0, less = 0;
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        more += place_draft_need(with, i);
    for (uint32_t i = 0; i < with->law.n_devices; i++)
        more += with->law.device[i].bytes.weights;
    for (uint32_t i = 0; i < without->law.n_devices; i++)
        less += without->law.device[i].bytes.weights;
    return more > less ? more - less : 0;
}

/* The goal's own search again, with drafting; what it cannot place is no reason to fail. */
static bool search_again(struct placer *p, uint32_t drafted, struct plan_wish *w, struct placement *out, struct err *err)
{
    struct err quiet = {0};
    turn_on(drafted, w, &w->s);
    if (!place_choose(p, out, &quiet)) {
        out->fits = false;
        return quiet.code != ERR_1201 || err_set(err, ERR_1201, "%s", quiet.title);
    }
    return true;
}

bool mtp_decide(struct placer *p, struct placement *pl, struct err *err)
{
    bool weighs = p->wish->goal == GOAL_SPEED || p->wish->goal == GOAL_BALANCED;
    struct plan_wish *w = arena_new(p->arena, struct plan_wish);
    struct placement *on = arena_new(p->arena, struct placement);
    struct mtp_offer *offer = arena_new(p->arena, struct mtp_offer);
    struct speed plain;
    if (!w || !on || !offer)
        return err_set(err, ERR_1201, "no memory for the plan");
    if (!is_open(p, pl))
        return true;
    *w = *p->wish;
    struct placer with = *p;
    uint32_t drafted = best_length(p, pl, w);
    with.wish = w;
    bool ok = weighs ? search_again(&with, drafted, w, on, err) : beside(&with, pl, drafted, w, on, err);
    p->candidates = with.candidates;
    if (!ok)
        return false;
    place_speed(p, pl, 0, 0, &plain);
    *offer = (struct mtp_offer){.fits = on->fits, .context = on->fits ? on->law.n_ctx : 0};
    p->mtp = offer;
    if (!on->fits)
        return true;
    place_speculation(&with, on, &offer->gain);
    offer->bytes = draft_bytes(p, on, pl);
    offer->context_lost = pl->law.n_ctx > on->law.n_ctx ? pl->law.n_ctx - on->law.n_ctx : 0;
    offer->decode_tps = offer->gain.decode.tps;
    bool pays = offer->gain.low > 1 && on->law.n_ctx >= CONTEXT_SHARE * pl->law.n_ctx;
    if (!weighs || !pays)
        return true;
    offer->taken = true;
    offer->context = pl->law.n_ctx;
    offer->decode_tps = plain.decode.tps;
    p->best = with.best;
    p->wish = w;
    *pl = *on;
    return true;
}
