/* place_draft: where the second context of speculation lies: a draft model on cards of its own, or NextN blocks. */
#include <string.h>

#include "plan/place.h"

uint64_t place_draft_need(const struct placement *pl, uint32_t card)
{
    uint32_t at = (uint32_t)__builtin_popcount(pl->draft_mask & ((1u << card) - 1));
    if (!pl->draft.n_ctx || !(pl->draft_mask & (1u << card)))
        return 0;
    const struct law_bytes *b = &pl->draft.device[at].bytes;
    return b->weights + b->kv + b->compute;
}

void place_outputs(uint32_t drafted, struct law_settings *s)
{
    uint64_t each = 1 + (uint64_t)drafted, all = each * s->n_seq_max;
    s->n_outputs_per_seq = (uint32_t)(each < s->n_batch ? each : s->n_batch);
    s->n_outputs_max = (uint32_t)(all < s->n_batch ? all : s->n_batch);
}

/* Left open, the draft's cache is as coarse as the model's: where room is short there, it is short here. A command
 * that leaves it out gets the engine's own f16. */
static uint32_t cache_type(const struct plan_wish *w, uint32_t given, uint32_t wished, uint32_t main)
{
    return w->given & given ? wished : w->as_command ? GGUF_TYPE_F16 : main;
}

/* The draft inherits what the command says of the model, but for its layers, cache types and overrides; pinned to
 * one device it is split by layers whatever the model is (llama.cpp common/speculative.cpp, behaviour). */
static struct law_settings model_settings(const struct plan_wish *w, const struct placement *pl)
{
    struct law_settings s = pl->s;
    s.n_ctx = pl->law.n_ctx;
    s.n_gpu_layers = w->draft_layers;
    s.type_k = cache_type(w, GIVEN_DRAFT_TYPE_K, w->draft_type_k, pl->s.type_k);
    s.type_v = cache_type(w, GIVEN_DRAFT_TYPE_V, w->draft_type_v, pl->s.type_v);
    s.n_overrides = s.n_cpu_moe = s.n_cpu_ffn = s.overrides_after_cpu_moe = s.overrides_after_cpu_ffn = 0;
    s.embeddings = s.mtp = false;
    s.n_rs_seq = 0;
    s.n_outputs_max = s.n_seq_max;
    s.n_outputs_per_seq = 1;
    if (pl->draft_mask != pl->mask && __builtin_popcount(pl->draft_mask) == 1) {
        s.split = SPLIT_LAYER;
        s.n_tensor_split = 0;
        s.main_gpu = 0;
    }
    return s;
}

/* Cards without a split share the draft out by what the model, which is loaded first, leaves free. */
static void leave_rest(const struct placer *p, const struct placement *pl, struct machine *sub)
{
    uint32_t at = 0, main = 0;
    for (uint32_t i = 0; i < p->machine->n_devices; i++) {
        uint32_t bit = 1u << i;
        const struct law_bytes *b = &pl->law.device[main].bytes;
        uint64_t gone = pl->mask & bit ? b->weights + b->kv + b->compute : 0;
        main += (pl->mask & bit) != 0;
        if (!(pl->draft_mask & bit))
            continue;
        struct device *d = &sub->devices[at++];
        d->free_bytes = d->free_bytes > gone ? d->free_bytes - gone : 1;
    }
}

static bool estimate(struct placer *p, const struct model *m, const struct machine *sub,
                     const struct law_settings *s, struct law_result *out, struct err *err)
{
    return p->quick ? law_estimate_quick(m, sub, s, p->arena, out, err)
                    : law_estimate(m, sub, s, p->arena, out, err);
}

/* A file of NextN blocks alone: its own weights, and the context that runs on them. */
static bool estimate_head(struct placer *p, const struct machine *sub, struct placement *pl, struct err *err)
{
    struct law_result weights;
    struct law_settings s = pl->draft_s;
    s.mtp = true;
    if (!law_estimate_static(p->wish->draft, sub, &s, p->arena, &weights, err))
        return false;
    s = law_nextn_settings(&s, s.n_ctx, s.type_k, s.type_v);
    if (!estimate(p, p->wish->draft, sub, &s, &pl->draft, err))
        return false;
    for (uint32_t i = 0; i < sub->n_devices; i++)
        pl->draft.device[i].bytes.weights = weights.device[i].bytes.weights;
    pl->draft.host.weights = weights.host.weights;
    pl->draft.host_repack = weights.host_repack;
    return true;
}

static bool place_model(struct placer *p, struct placement *pl, struct err *err)
{
    const struct plan_wish *w = p->wish;
    struct machine sub;
    place_submachine(p->machine, pl->draft_mask, &sub);
    pl->draft_s = model_settings(w, pl);
    if (sub.n_devices > 1 && !pl->draft_s.n_tensor_split)
        leave_rest(p, pl, &sub);
    if (w->speculation == SPEC_NEXTN)
        return estimate_head(p, &sub, pl, err);
    if (estimate(p, w->draft, &sub, &pl->draft_s, &pl->draft, err))
        return true;
    bool coarse = pl->draft_s.type_k != GGUF_TYPE_F16 || pl->draft_s.type_v != GGUF_TYPE_F16;
    if (!coarse || w->as_command || (w->given & (GIVEN_DRAFT_TYPE_K | GIVEN_DRAFT_TYPE_V)) ||
        err_kind(err->code) != ERR_KIND_USAGE)
        return false;
    *err = (struct err){0}; /* the model takes that cache, its draft does not */
    pl->draft_s.type_k = pl->draft_s.type_v = GGUF_TYPE_F16;
    return estimate(p, w->draft, &sub, &pl->draft_s, &pl->draft, err);
}

bool place_draft(struct placer *p, struct placement *pl, struct err *err)
{
    const struct plan_wish *w = p->wish;
    struct machine sub;
    pl->draft = (struct law_result){0};
    if (w->draft)
        return place_model(p, pl, err) || err_prefix(err, "draft model");
    pl->draft_mask = pl->s.mtp ? pl->mask : 0;
    if (!pl->s.mtp)
        return true;
    place_submachine(p->machine, pl->mask, &sub);
    pl->draft_s = law_nextn_settings(&pl->s, pl->law.n_ctx,
                                     cache_type(w, GIVEN_DRAFT_TYPE_K, w->draft_type_k, pl->s.type_k),
                                     cache_type(w, GIVEN_DRAFT_TYPE_V, w->draft_type_v, pl->s.type_v));
    return estimate(p, p->model, &sub, &pl->draft_s, &pl->draft, err) || err_prefix(err, "--spec-type draft-mtp");
}

/* The bits of mask, the card that reads fastest first, the roomier of equals. */
static uint32_t by_speed(const struct placer *p, uint32_t mask, uint32_t order[MACHINE_MAX_DEVICES])
{
    uint32_t n = 0;
    while (mask) {
        int best = -1;
        for (uint32_t i = 0; i < p->machine->n_devices; i++) {
            double rate = p->cards[i].read_gbs, most = best < 0 ? -1 : p->cards[best].read_gbs;
            bool roomier = best < 0 || p->machine->devices[i].free_bytes > p->machine->devices[best].free_bytes;
            if ((mask & (1u << i)) && (rate > most || (rate == most && roomier)))
                best = (int)i;
        }
        mask &= ~(1u << best);
        order[n++] = (uint32_t)best;
    }
    return n;
}

static bool main_cards_open(const struct plan_wish *w)
{
    return !(w->given & (GIVEN_TENSOR_SPLIT | GIVEN_MAIN_GPU | GIVEN_SPLIT_MODE)) && !w->cards_set;
}

uint32_t place_draft_spots(const struct placer *p, uint32_t mask, const struct law_settings *s,
                           struct draft_spot spots[PLACE_MAX_SPOTS])
{
    const struct plan_wish *w = p->wish;
    uint32_t order[MACHINE_MAX_DEVICES], n = 0;
    if (!w->draft || (w->given & GIVEN_DRAFT_CARDS) || w->as_command || !mask || !s->n_gpu_layers) {
        spots[0] = (struct draft_spot){mask, w->given & GIVEN_DRAFT_CARDS ? w->draft_cards : mask};
        return 1;
    }
    uint32_t cards = by_speed(p, mask, order);
    for (uint32_t i = 0; i < cards; i++)
        spots[n++] = (struct draft_spot){mask, 1u << order[i]};
    if (cards > 1)
        spots[n++] = (struct draft_spot){mask, mask};
    for (uint32_t i = 0; cards > 1 && main_cards_open(w) && i < cards; i++)
        spots[n++] = (struct draft_spot){mask & ~(1u << order[i]), 1u << order[i]};
    if (w->allow_cpu)
        spots[n++] = (struct draft_spot){mask, 0};
    return n;
}

bool place_draft_open(const struct placer *p)
{
    return p->wish->draft && !(p->wish->given & GIVEN_DRAFT_CARDS) && p->machine->n_devices > 1;
}

bool place_may_go_on(const struct placer *p, bool more, struct err *err)
{
    if (!p->wish->draft || !more || err_kind(err->code) != ERR_KIND_USAGE)
        return false;
    *err = (struct err){0};
    return true;
}

uint32_t place_drafted(const struct placer *p, uint32_t streams)
{
    const struct plan_wish *w = p->wish;
    bool counts = w->speculation == SPEC_DRAFT || (w->speculation == SPEC_NEXTN && !w->draft);
    return counts && streams == 1 ? w->drafted : 0;
}

double place_pass_tokens(const struct placer *p, uint32_t streams)
{
    uint32_t drafted = place_drafted(p, streams);
    return drafted ? speculation_tokens(speculation_rate(p->wish->speculation)->likely, drafted) : 1;
}

static void speed_case_of(struct placer *p, uint32_t mask, struct machine *sub, struct speed_card *cards,
                          struct speed_case *out)
{
    uint32_t n = 0;
    place_submachine(p->machine, mask, sub);
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        if (mask & (1u << i))
            cards[n++] = p->cards[i];
    out->machine = sub;
    out->cards = cards;
    out->tp_overhead = p->wish->tp_overhead;
}

void place_speculation(struct placer *p, const struct placement *pl, struct speculation_gain *out)
{
    struct machine main_sub, draft_sub;
    struct speed_card main_cards[MACHINE_MAX_DEVICES], draft_cards[MACHINE_MAX_DEVICES];
    struct speed_case main = {.model = p->model, .settings = &pl->s, .placement = &pl->law};
    struct speed_case draft = {.model = p->wish->draft, .settings = &pl->draft_s, .placement = &pl->draft};
    struct speed speed;
    bool own = !p->wish->draft;
    *out = (struct speculation_gain){0};
    if (!pl->draft.n_ctx || !place_drafted(p, 1))
        return;
    speed_case_of(p, pl->mask, &main_sub, main_cards, &main);
    speed_case_of(p, pl->draft_mask, &draft_sub, draft_cards, &draft);
    if (speed_estimate(&main, &speed))
        speculate(&main, own ? NULL : &draft, p->wish->drafted, &speed.decode, out);
}
