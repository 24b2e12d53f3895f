/* plan: one plan from a model, a machine and a wish: place it, add up each card, say why, offer others. */
#include "plan/plan.h"

#include <string.h>

#include "plan/budget.h"
#include "plan/explain.h"
#include "plan/mtp.h"
#include "plan/options.h"
#include "plan/place.h"
#include "plan/shares.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

struct plan_wish plan_default_wish(void)
{
    struct plan_wish w = {.s = law_default_settings(), .draft_layers = -1, .drafted = PLACE_DRAFTED};
    w.draft_type_k = w.draft_type_v = GGUF_TYPE_F16;
    w.s.n_outputs_max = 1; /* llama-server with one slot: logits of the last token only */
    w.s.n_outputs_per_seq = 1;
    w.safety_margin = 0.1;
    w.system_overhead_bytes = 2048 * MIB;
    w.kv_cache_factor = 1.0;
    w.min_context = 128;
    w.cache_ram_bytes = 8192 * MIB;
    return w;
}

const char *plan_verdict_name(enum plan_verdict v)
{
    static const char *const names[] = {"fits", "fits-tight", "partly-on-cpu", "does-not-fit"};
    return names[v];
}

static void add_card(const struct plan_wish *w, const struct placement *pl, uint32_t used,
                     uint32_t n_used, struct plan_device *d)
{
    const struct law_device *l = &pl->law.device[used];
    struct plan_runtime r = plan_runtime_estimate(d->card, pl->s.split, n_used);
    d->first_layer = l->first_layer;
    d->last_layer = l->last_layer;
    d->weights = l->bytes.weights;
    d->kv = (uint64_t)(w->kv_cache_factor * (double)l->bytes.kv);
    d->compute = l->bytes.compute;
    d->projector = used == 0 && !w->projector_on_host ? w->projector_bytes : 0;
    if (d->weights + d->kv + d->compute + d->projector == 0)
        return;
    d->runtime = r.bytes;
    d->runtime_low = r.low;
    d->runtime_high = r.high;
}

/* Bytes of adapters on the devices of their layers. */
static void add_adapters(const struct plan_wish *w, const struct plan *p, int place, struct plan_device *d)
{
    for (uint32_t il = 0; w->layer_extra && il <= p->model->n_layers; il++)
        if (p->law.layer_device[il] == place)
            d->draft += w->layer_extra[il];
}

/* What the second context takes on this card; a card that holds nothing else has its runtime by it. */
static void add_draft(const struct placement *pl, uint32_t card, uint32_t n_used, struct plan_device *d)
{
    struct plan_runtime r = plan_runtime_estimate(d->card, pl->s.split, n_used);
    uint64_t need = place_draft_need(pl, card);
    d->draft += need;
    if (!need || d->runtime)
        return;
    d->runtime = r.bytes;
    d->runtime_low = r.low;
    d->runtime_high = r.high;
}

static uint64_t card_need(const struct plan_device *d)
{
    return d->weights + d->kv + d->compute + d->runtime + d->projector + d->draft;
}

static void add_cards(const struct placement *pl, struct plan *p)
{
    uint32_t used = 0, n_used = (uint32_t)__builtin_popcount(pl->mask);
    p->n_devices = p->machine->n_devices;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        struct plan_device *d = &p->devices[i];
        *d = (struct plan_device){.card = &p->machine->devices[i], .first_layer = -1, .last_layer = -1};
        d->other = d->card->used_by_others_bytes;
        d->keep_free = budget_keep_free(&p->wish, d->card);
        if (pl->mask & (1u << i)) {
            add_card(&p->wish, pl, used, n_used, d);
            add_adapters(&p->wish, p, (int)used, d);
            used++;
        }
        add_draft(pl, i, n_used, d);
        uint64_t need = card_need(d);
        d->free_after = (int64_t)d->card->free_bytes - (int64_t)need;
        d->shortfall = need > d->card->free_bytes ? need - d->card->free_bytes : 0;
        if (!need)
            continue;
        p->used_mask |= 1u << i;
        p->needed_bytes += need;
        p->available_bytes += d->card->free_bytes;
    }
}

static void add_host(const struct placement *pl, struct plan *p)
{
    const struct host *h = &p->machine->host;
    struct law_result all = pl->law;
    all.host.weights += pl->draft.host.weights;
    all.host.kv += pl->draft.host.kv;
    all.host.compute += pl->draft.host.compute;
    all.host_repack += pl->draft.host_repack;
    all.host_output += pl->draft.host_output;
    p->host = (struct plan_host){
        .weights = all.host.weights + (p->wish.projector_on_host ? p->wish.projector_bytes : 0),
        .kv = (uint64_t)(p->wish.kv_cache_factor * (double)all.host.kv),
        .compute = all.host.compute,
        .repack = all.host_repack,
        .cache = all.host_output,
        .cache_ceiling = p->wish.tool == TOOL_SERVER ? p->wish.cache_ram_bytes : 0,
        .total = p->wish.host_memory_bytes ? p->wish.host_memory_bytes : h->total_bytes,
        .free = budget_host_free(&p->wish, h),
        .keep_free = p->wish.system_overhead_bytes,
        .shortfall = budget_host_missing(&p->wish, h, &all),
    };
}

/* Layers whose weights or cache are worked on by the processor; the token embedding alone is not. */
static bool layers_on_host(const struct plan *p)
{
    if (p->law.host.kv > 0)
        return true;
    for (uint32_t i = 0; i < p->model->n_layers; i++)
        if (p->law.layer_device[i] == LAW_HOST && !p->model->layers[i].nextn)
            return true;
    return (p->settings.n_cpu_moe > 0 && p->model->hp.n_expert > 0) || p->settings.n_cpu_ffn > 0 ||
           p->settings.n_overrides > 0;
}

static bool asked_for_cpu(const struct plan_wish *w, const struct machine *m)
{
    bool layers = (w->given & GIVEN_GPU_LAYERS) && w->s.n_gpu_layers >= 0;
    return layers || (w->given & (GIVEN_CPU_MOE | GIVEN_OVERRIDE)) || w->allow_cpu ||
           w->s.no_kv_offload || m->n_devices == 0;
}

static enum plan_verdict judge(const struct plan *p)
{
    bool tight = false;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        if (!(p->used_mask & (1u << i)))
            continue;
        uint64_t need = card_need(d);
        if (need - d->runtime + d->runtime_low > d->card->free_bytes)
            return VERDICT_NO_FIT;
        tight = tight || need + d->keep_free > d->card->free_bytes;
    }
    if (p->host.shortfall > p->host.keep_free)
        return VERDICT_NO_FIT;
    tight = tight || p->host.shortfall > 0;
    if (layers_on_host(p))
        return VERDICT_PARTLY_CPU;
    return tight ? VERDICT_TIGHT : VERDICT_FITS;
}

static bool take(struct placer *placer, const struct placement *pl, struct plan *p,
                 struct err *err)
{
    p->wish = *placer->wish;
    p->settings = pl->s;
    p->law = pl->law;
    p->flash_on = pl->law.flash_on;
    p->used_mask = 0;
    p->main_mask = pl->mask;
    p->placed_mask = place_cards(pl);
    p->draft = pl->draft.n_ctx ? p->wish.draft : NULL;
    p->draft_mask = pl->draft_mask;
    p->draft_settings = pl->draft_s;
    p->draft_law = pl->draft;
    p->needed_bytes = p->available_bytes = 0;
    add_cards(pl, p);
    add_host(pl, p);
    p->verdict = judge(p);
    place_speed(placer, pl, pl->law.n_ctx_seq, 0, &p->speed);
    place_speculation(placer, pl, &p->speculation);
    return true;
}

static bool place_command(struct placer *p, struct placement *out, struct err *err)
{
    struct machine sub;
    out->mask = p->wish->cards_set ? p->wish->cards : place_all_cards(p);
    out->s = p->wish->s;
    place_submachine(p->machine, out->mask, &sub);
    out->draft_mask = p->wish->given & GIVEN_DRAFT_CARDS ? p->wish->draft_cards : out->mask;
    p->candidates++;
    bool quick = p->quick;
    p->quick = false;
    bool ok = law_estimate(p->model, &sub, &out->s, p->arena, &out->law, err) &&
              place_draft(p, out, err);
    p->quick = quick;
    return ok;
}

static bool search(struct placer *placer, struct placement *pl, struct err *err)
{
    placer->book = shares_open(placer, SHARES_BOOK);
    return place_choose(placer, pl, err) && mtp_decide(placer, pl, err);
}

/* The choice with every layer in its graph; should that need more than the search saw, all is searched whole. */
static bool choose(struct placer *placer, struct placement *pl, struct err *err)
{
    const struct plan_wish *wish = placer->wish;
    if (!search(placer, pl, err))
        return false;
    bool fitted = pl->fits;
    if (!place_exactly(placer, pl, err))
        return false;
    if (!fitted || pl->fits)
        return true;
    placer->quick = false;
    placer->wish = wish;
    placer->mtp = NULL;
    bool ok = search(placer, pl, err);
    placer->quick = true;
    placer->book = NULL;
    return ok;
}

/* What lies in host memory where the cards are too small: shown beside the plan that was asked for. */
static bool add_spill(struct placer *placer, struct plan *p, struct err *err)
{
    struct plan *spill = arena_new(placer->arena, struct plan);
    if (!spill)
        return err_set(err, ERR_1201, "no memory for the plan");
    *spill = *p;
    if (!place_exactly(placer, placer->host, err) || !take(placer, placer->host, spill, err))
        return false;
    if (spill->verdict == VERDICT_PARTLY_CPU)
        p->spill = spill;
    return true;
}

bool plan_make(const struct model *model, const struct machine *machine,
               const struct plan_wish *wish, struct arena *arena, struct plan *out, struct err *err)
{
    struct plan *p = arena_new(arena, struct plan);
    struct placement *pl = arena_new(arena, struct placement);
    if (!p || !pl)
        return err_set(err, ERR_1201, "no memory for the plan");
    if (!machine_check_rpc(machine, err))
        return false;
    *p = (struct plan){.model = model, .machine = machine, .wish = *wish};
    p->user_asked_cpu = asked_for_cpu(wish, machine);
    struct placer placer = {.model = model, .machine = machine, .wish = wish, .arena = arena, .quick = true};
    placer.cards = arena_array(arena, struct speed_card, MACHINE_MAX_DEVICES);
    if (!placer.cards)
        return err_set(err, ERR_1201, "no memory for the cards");
    for (uint32_t i = 0; i < machine->n_devices; i++)
        speed_card_make(speed_coefs, &machine->devices[i], &placer.cards[i]);
    bool ok = wish->as_command ? place_command(&placer, pl, err)
                               : choose(&placer, pl, err);
    if (!ok)
        return false;
    if (!take(&placer, pl, p, err))
        return false;
    if (p->verdict == VERDICT_NO_FIT && wish->allow_cpu && !wish->as_command) {
        struct placement host = {0};
        if (!place_with_host(&placer, place_cards(pl), &pl->s, &host, err) && err->code != ERR_NONE)
            return false;
        if (host.fits && (!place_exactly(&placer, &host, err) || !take(&placer, &host, p, err)))
            return false;
    }
    if (!options_contexts(&placer, p, err) || !options_make(&placer, p, err))
        return false;
    p->optimality = placer.best;
    p->optimality.candidates = placer.candidates;
    if (!explain_reasons(p, arena))
        return err_set(err, ERR_1201, "no memory for the plan's reasons");
    if (placer.host && !wish->as_command && !add_spill(&placer, p, err))
        return false;
    *out = *p;
    return true;
}

bool plan_backend_exact(const struct device *d)
{
    return d->rpc || d->backend == BACKEND_CUDA || d->backend == BACKEND_RPC;
}

int plan_exit_code(const struct plan *p)
{
    bool fits = p->verdict == VERDICT_FITS || p->verdict == VERDICT_TIGHT;
    bool asked = p->verdict == VERDICT_PARTLY_CPU && p->user_asked_cpu;
    return fits || asked ? 0 : 8;
}
