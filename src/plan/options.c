/* options: the other plans worth knowing: what else would fit, what each change frees, what it costs. */
#include "plan/options.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/quantize.h"
#include "plan/budget.h"
#include "plan/mtp.h"

static const uint32_t kv_types[3] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
static const char *const kv_prices[3] = {"none", "small quality risk", "visible quality risk"};

static uint32_t used_or_all(const struct placer *p, const struct plan *pl)
{
    return pl->used_mask ? pl->used_mask : place_all_cards(p);
}

/* The settings of the plan with what was chosen open again. */
static struct law_settings reopened(const struct plan *pl)
{
    struct law_settings s = pl->settings;
    if (!(pl->wish.given & GIVEN_TENSOR_SPLIT))
        s.n_tensor_split = 0;
    if (!(pl->wish.given & GIVEN_SPLIT_MODE))
        s.split = SPLIT_LAYER;
    return s;
}

static uint32_t trained(const struct plan *pl)
{
    return pl->model->hp.n_ctx_train ? pl->model->hp.n_ctx_train : 4096;
}

/* Decode speed of a placement, tokens per second; 0: unknown. */
static double decode_tps(struct placer *p, const struct placement *pl)
{
    struct speed speed;
    place_speed(p, pl, 0, 0, &speed);
    return speed.decode.tps;
}

static void take_context(struct placer *p, const struct placement *pl, int i, struct plan *out)
{
    out->context_max[i] = pl->law.n_ctx < trained(out) ? pl->law.n_ctx : trained(out);
    out->context_tps[i] = decode_tps(p, pl);
}

bool options_contexts(struct placer *p, struct plan *out, struct err *err)
{
    struct law_settings base = reopened(out);
    uint32_t mask = used_or_all(p, out);
    for (int i = 0; i < 3; i++) {
        struct placement pl;
        struct err quiet = {0};
        struct law_settings s = base;
        s.type_k = s.type_v = kv_types[i];
        out->context_max[i] = 0;
        if (place_largest(p, mask, &s, p->wish->min_context, trained(out), &pl, &quiet))
            take_context(p, &pl, i, out);
        else if (quiet.code == ERR_1201)
            return err_set(err, ERR_1201, "%s", quiet.title);
    }
    return true;
}

/* Bytes over every used card's room: what must go for it to fit with the kept-free room. */
static uint64_t shortage(const struct placer *p, const struct placement *pl, uint64_t *need_out)
{
    uint64_t missing = 0, need_all = 0;
    uint32_t at = 0, n_used = (uint32_t)__builtin_popcount(pl->mask);
    for (uint32_t i = 0; i < p->machine->n_devices; i++) {
        const struct device *d = &p->machine->devices[i];
        uint64_t need = place_draft_need(pl, i);
        if (pl->mask & (1u << i)) {
            const struct law_bytes *b = &pl->law.device[at++].bytes;
            need += b->weights + b->kv + b->compute;
        }
        if (!need)
            continue;
        struct plan_runtime r = plan_runtime_estimate(d, pl->s.split, n_used);
        uint64_t room = budget_room(p->wish, d, r.bytes);
        missing += need > room ? need - room : 0;
        need_all += need;
    }
    *need_out = need_all;
    return missing;
}

static struct plan_alternative *add(struct plan *out, struct placer *p, const char *change,
                                    const char *flags, const char *price)
{
    if (out->n_alternatives == PLAN_MAX_ALTERNATIVES)
        return NULL;
    struct plan_alternative *a = &out->alternatives[out->n_alternatives];
    a->change = arena_strdup(p->arena, change);
    a->flags = arena_strdup(p->arena, flags);
    a->price = arena_strdup(p->arena, price);
    if (!a->change || !a->flags || !a->price)
        return NULL;
    out->n_alternatives++;
    return a;
}

static const char *type_name(uint32_t type)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? t->name : "?";
}

/* Rows 1 and 2 of a plan that fits: what a coarser KV cache would give. */
static void other_kv_types(struct placer *p, struct plan *out)
{
    for (int i = 1; i < 3; i++) {
        char change[32], flags[32];
        bool gains = out->context_max[i] > out->law.n_ctx && out->context_max[i] > out->context_max[i - 1];
        if (!gains || out->settings.type_k == kv_types[i])
            continue;
        snprintf(change, sizeof(change), "KV %s", type_name(kv_types[i]));
        snprintf(flags, sizeof(flags), "--kv %s", type_name(kv_types[i]));
        struct plan_alternative *a = add(out, p, change, flags, kv_prices[i]);
        if (a) {
            a->context = out->context_max[i];
            a->decode_tps = out->context_tps[i];
            a->verdict = VERDICT_FITS;
        }
    }
}

static void one_card(struct placer *p, struct plan *out)
{
    if (__builtin_popcount(out->used_mask) < 2)
        return;
    int best = -1;
    struct placement pl, best_pl;
    struct err quiet = {0};
    struct law_settings s = reopened(out);
    for (uint32_t i = 0; i < out->n_devices; i++) {
        if (place_on(p, 1u << i, &s, &pl, &quiet) && (best < 0 || pl.fill < best_pl.fill)) {
            best = (int)i;
            best_pl = pl;
        }
    }
    if (best < 0)
        return;
    char change[64], flags[32], price[64], gib[32];
    uint64_t need, missing = shortage(p, &best_pl, &need);
    snprintf(change, sizeof(change), "GPU %d only", out->devices[best].card->index);
    snprintf(flags, sizeof(flags), "--gpus %d", out->devices[best].card->index);
    snprintf(price, sizeof(price), missing ? "%s GiB short" : "one card does it all",
             str_gib(missing, 1, gib));
    struct plan_alternative *a = add(out, p, change, flags, price);
    if (!a)
        return;
    a->verdict = missing ? VERDICT_NO_FIT : VERDICT_FITS;
    a->short_bytes = (int64_t)missing;
    a->context = missing ? 0 : out->law.n_ctx;
    a->decode_tps = missing ? 0 : decode_tps(p, &best_pl);
}

static void tensor_split(struct placer *p, struct plan *out)
{
    struct placement pl;
    struct err quiet = {0};
    struct law_settings s = reopened(out);
    if (__builtin_popcount(out->used_mask) < 2 || out->settings.split != SPLIT_LAYER)
        return;
    s.split = SPLIT_TENSOR;
    s.flash = FLASH_ON;
    if (!place_on(p, out->used_mask, &s, &pl, &quiet))
        return;
    uint64_t need, missing = shortage(p, &pl, &need);
    char price[64], gib[32];
    snprintf(price, sizeof(price), missing ? "experimental in engine, %s GiB short" : "experimental in engine",
             str_gib(missing, 1, gib));
    struct plan_alternative *a = add(out, p, "tensor split", "-sm tensor", price);
    if (a) {
        a->verdict = missing ? VERDICT_NO_FIT : VERDICT_FITS;
        a->short_bytes = (int64_t)missing;
        a->context = missing ? 0 : pl.law.n_ctx;
        a->decode_tps = missing ? 0 : decode_tps(p, &pl);
    }
}

/* A single change of the asked plan: what it frees over all cards, and whether that is enough. */
static struct plan_alternative *try_change(struct placer *p, struct plan *out,
                                           const struct placement *asked,
                                           const struct law_settings *s, const char *change,
                                           const char *flags, const char *price)
{
    struct placement pl;
    struct err quiet = {0};
    uint64_t need_then, need_now;
    if (!place_on(p, place_cards(asked), s, &pl, &quiet))
        return NULL;
    shortage(p, asked, &need_then);
    uint64_t missing = shortage(p, &pl, &need_now);
    struct plan_alternative *a = add(out, p, change, flags, price);
    if (!a)
        return NULL;
    a->freed_bytes = need_then > need_now ? need_then - need_now : 0;
    a->short_bytes = (int64_t)missing;
    a->verdict = pl.fits ? VERDICT_FITS : VERDICT_NO_FIT;
    a->context = pl.law.n_ctx;
    a->decode_tps = pl.fits ? decode_tps(p, &pl) : 0;
    return a;
}

static void coarser_kv(struct placer *p, struct plan *out, const struct placement *asked)
{
    for (int i = 1; i < 3; i++) {
        char change[48], flags[32];
        struct law_settings s = reopened(out);
        if (s.type_k == kv_types[i] && s.type_v == kv_types[i])
            continue;
        s.type_k = s.type_v = kv_types[i];
        snprintf(change, sizeof(change), "KV cache %s", type_name(kv_types[i]));
        snprintf(flags, sizeof(flags), "--kv %s", type_name(kv_types[i]));
        try_change(p, out, asked, &s, change, flags, kv_prices[i]);
    }
}

static void shorter_context(struct placer *p, struct plan *out, const struct placement *asked)
{
    char change[48], flags[32], number[32];
    struct placement pl;
    struct err quiet = {0};
    struct law_settings s = reopened(out);
    if (!place_largest(p, place_cards(asked), &s, p->wish->min_context, asked->law.n_ctx, &pl, &quiet))
        return;
    s.n_ctx = pl.law.n_ctx;
    snprintf(change, sizeof(change), "context %s", str_grouped(pl.law.n_ctx, number));
    snprintf(flags, sizeof(flags), "--ctx %u", pl.law.n_ctx);
    try_change(p, out, asked, &s, change, flags, "shorter conversations");
}

/* A coarser cache that is enough by itself needs no shorter context; context_max ends at the
 * trained one. */
static bool enough_alone(const struct plan *out, uint32_t type)
{
    char flags[32];
    snprintf(flags, sizeof(flags), "--kv %s", type_name(type));
    for (uint32_t i = 0; i < out->n_alternatives; i++)
        if (strcmp(out->alternatives[i].flags, flags) == 0)
            return out->alternatives[i].verdict == VERDICT_FITS;
    return false;
}

static void kv_and_context(struct placer *p, struct plan *out, const struct placement *asked)
{
    for (int i = 1; i < 3; i++) {
        char change[64], flags[48], number[32];
        if (!out->context_max[i] || out->context_max[i] >= asked->law.n_ctx ||
            enough_alone(out, kv_types[i]))
            continue;
        struct law_settings s = reopened(out);
        s.type_k = s.type_v = kv_types[i];
        s.n_ctx = out->context_max[i];
        snprintf(change, sizeof(change), "%s + context %s", type_name(kv_types[i]),
                 str_grouped(s.n_ctx, number));
        snprintf(flags, sizeof(flags), "--kv %s --ctx %u", type_name(kv_types[i]), s.n_ctx);
        struct plan_alternative *a = try_change(p, out, asked, &s, change, flags, kv_prices[i]);
        if (a)
            a->combination = true;
    }
}

static void layers_to_host(struct placer *p, struct plan *out, const struct placement *asked)
{
    struct placement pl = {0};
    struct err quiet = {0};
    struct law_settings s = reopened(out);
    char change[64], flags[48];
    if (p->wish->as_command && (p->wish->given & (GIVEN_CPU_MOE | GIVEN_GPU_LAYERS | GIVEN_OVERRIDE)))
        return; /* the command says where its layers go: another split is offered instead */
    if (!place_with_host(p, place_cards(asked), &s, &pl, &quiet) || !pl.fits)
        return;
    if (budget_host_missing(p->wish, &p->machine->host, &pl.law) > p->wish->system_overhead_bytes)
        return;
    p->host = arena_new(p->arena, struct placement);
    if (p->host)
        *p->host = pl;
    if (pl.s.n_cpu_moe) {
        snprintf(change, sizeof(change), "experts of %u layers in host memory", pl.s.n_cpu_moe);
        snprintf(flags, sizeof(flags), "--n-cpu-moe %u", pl.s.n_cpu_moe);
    } else {
        snprintf(change, sizeof(change), "%u layers in host memory",
                 out->model->n_layers + 1 - (uint32_t)pl.s.n_gpu_layers);
        snprintf(flags, sizeof(flags), "-ngl %d", pl.s.n_gpu_layers);
    }
    struct plan_alternative *a = add(out, p, change, flags, "speed: the processor works too");
    if (a) {
        uint64_t need_then, need_now;
        shortage(p, asked, &need_then);
        a->short_bytes = (int64_t)shortage(p, &pl, &need_now);
        a->freed_bytes = need_then > need_now ? need_then - need_now : 0;
        a->verdict = VERDICT_PARTLY_CPU;
        a->context = pl.law.n_ctx;
        a->decode_tps = decode_tps(p, &pl);
    }
}

/* The model as its maker's unquantised file would have it: what the quantiser starts from. */
static struct model *unquantised(const struct placer *p)
{
    struct model *m = arena_new(p->arena, struct model);
    struct model_tensor *t = arena_array(p->arena, struct model_tensor, p->model->n_tensors);
    if (!m || !t)
        return NULL;
    *m = *p->model;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        t[i] = p->model->tensors[i];
        const struct gguf_type_info *type = gguf_type_info(t[i].type);
        if (type && type->quantised)
            t[i].type = GGUF_TYPE_F16;
    }
    m->tensors = t;
    return m;
}

/* A smaller quantisation of the same model, sized from its own tensors by the quantiser's rules: the largest that fits
 * at the asked context. */
static void smaller_file(struct placer *p, struct plan *out, const struct placement *asked)
{
    static const char *const mixes[] = {"Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "IQ3_M", "Q2_K", "IQ2_XXS"};
    for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
        struct arena_mark mark = arena_mark(p->arena);
        struct err quiet = {0};
        struct placement pl;
        struct model *m = unquantised(p);
        bool smaller = m && quantize_model(m, mixes[i], p->arena, &quiet) &&
                       m->file_bytes < p->model->file_bytes * 97 / 100;
        struct placer with = *p;
        with.model = m;
        struct law_settings s = reopened(out);
        bool fits = smaller && place_may_fit(&with, place_cards(asked), &s, &quiet) &&
                    place_on(&with, place_cards(asked), &s, &pl, &quiet) && pl.fits;
        uint64_t file = fits ? m->file_bytes : 0;
        double tps = fits ? decode_tps(&with, &pl) : 0;
        p->candidates = with.candidates;
        arena_rewind(p->arena, mark);
        if (!fits)
            continue;
        char change[64], gib[32];
        snprintf(change, sizeof(change), "%s file, %s GiB", mixes[i], str_gib(file, 1, gib));
        struct plan_alternative *a = add(out, p, change, "", "some quality");
        if (a) {
            a->freed_bytes = p->model->file_bytes > file ? p->model->file_bytes - file : 0;
            a->verdict = VERDICT_FITS;
            a->context = pl.law.n_ctx;
            a->decode_tps = tps;
        }
        return;
    }
}

/* The smallest of a few common cards that would do, added behind the others. */
static void another_card(struct placer *p, struct plan *out)
{
    static const char *const cards[] = {"rtx3060", "rtx5060ti", "rtx4060ti 16gb", "rtx3090", "rtx5090", "rtxa6000", "rtxpro6000"};
    if (p->machine->n_devices == MACHINE_MAX_DEVICES || (p->wish->given & GIVEN_TENSOR_SPLIT))
        return;
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        const struct card *c = card_find(cards[i]);
        struct arena_mark mark = arena_mark(p->arena);
        struct machine *larger = arena_new(p->arena, struct machine);
        struct err quiet = {0}, *none = &quiet;
        struct placer with = *p;
        struct placement pl;
        char text[64];
        struct speed_card speeds[MACHINE_MAX_DEVICES];
        snprintf(text, sizeof(text), "+%s", cards[i]);
        bool made = c && larger && machine_parse_gpus(text, p->machine, p->arena, larger, none);
        with.machine = larger;
        with.cards = speeds;
        for (uint32_t d = 0; made && d < larger->n_devices; d++)
            speed_card_make(speed_coefs, &larger->devices[d], &speeds[d]);
        struct law_settings s = reopened(out);
        bool fits = made && place_may_fit(&with, place_all_cards(&with), &s, &quiet) &&
                    place_on(&with, place_all_cards(&with), &s, &pl, &quiet) && pl.fits;
        double tps = fits ? decode_tps(&with, &pl) : 0;
        p->candidates = with.candidates;
        arena_rewind(p->arena, mark);
        if (!fits)
            continue;
        char change[96];
        snprintf(change, sizeof(change), "add one %s (simulated)", strncmp(c->name, "GeForce ", 8) ? c->name : c->name + 8);
        struct plan_alternative *a = add(out, p, change, "", "money, a slot");
        if (a) {
            a->verdict = VERDICT_FITS;
            a->context = pl.law.n_ctx;
            a->decode_tps = tps;
            a->other_cards = true;
        }
        return;
    }
}

/* A command's cards with its layers shared out by what each card has left. */
static void another_split(struct placer *p, struct plan *out, const struct placement *asked)
{
    struct plan_wish wish = *p->wish;
    struct placer with = *p;
    struct placement pl;
    struct err quiet = {0};
    struct law_settings s = out->settings;
    if (__builtin_popcount(place_cards(asked)) < 2 || s.split != SPLIT_LAYER)
        return;
    wish.given &= ~(uint32_t)GIVEN_TENSOR_SPLIT;
    wish.strategy = PLACE_AUTO;
    s.n_tensor_split = 0;
    with.wish = &wish;
    bool fits = place_on(&with, place_cards(asked), &s, &pl, &quiet) && pl.fits;
    p->candidates = with.candidates;
    if (!fits)
        return;
    char list[128] = "", change[160], flags[160];
    for (uint32_t i = 0; i < pl.s.n_tensor_split && strlen(list) < sizeof(list) - 24; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.10g", i ? "," : "", pl.s.tensor_split[i]);
    snprintf(change, sizeof(change), "split %s", list);
    snprintf(flags, sizeof(flags), "-ts %s", list);
    struct plan_alternative *a = add(out, p, change, flags, "nothing");
    if (a) {
        a->verdict = VERDICT_FITS;
        a->context = pl.law.n_ctx;
        a->decode_tps = decode_tps(p, &pl);
    }
}

/* Where the context is open only what works is shown: it comes first, so that the letters begin
 * with A. */
static void working_first(struct plan *out)
{
    struct plan_alternative sorted[PLAN_MAX_ALTERNATIVES];
    uint32_t n = 0;
    for (int works = 1; works >= 0; works--)
        for (uint32_t i = 0; i < out->n_alternatives; i++)
            if ((out->alternatives[i].verdict != VERDICT_NO_FIT) == works)
                sorted[n++] = out->alternatives[i];
    memcpy(out->alternatives, sorted, n * sizeof(sorted[0]));
}

/* Drafting by the model's own blocks, or decoding without where drafting was chosen. */
static void drafting(struct placer *p, struct plan *out)
{
    const struct mtp_offer *o = p->mtp;
    char change[48], flags[64], price[96], gib[32], lost[32];
    if (!o || (!o->taken && (!o->fits || o->gain.kind == SPEC_NONE)))
        return;
    str_gib(o->bytes, 1, gib);
    if (o->taken) {
        snprintf(change, sizeof(change), "no drafting");
        snprintf(flags, sizeof(flags), "--spec-type none");
        snprintf(price, sizeof(price), "slower; frees %s GiB", gib);
    } else {
        snprintf(change, sizeof(change), "drafting %u ahead", o->gain.drafted);
        snprintf(flags, sizeof(flags), "--spec-type draft-mtp --spec-draft-n-max %u", o->gain.drafted);
        if (o->context_lost)
            snprintf(price, sizeof(price), "%s GiB, %s tokens, %.2f-%.2f times", gib,
                     str_grouped(o->context_lost, lost), o->gain.low, o->gain.high);
        else
            snprintf(price, sizeof(price), "%s GiB; %.2f-%.2f times", gib, o->gain.low, o->gain.high);
    }
    struct plan_alternative *a = add(out, p, change, flags, price);
    if (a) {
        a->context = o->context;
        a->decode_tps = o->decode_tps;
        a->verdict = VERDICT_FITS;
        a->freed_bytes = o->taken ? o->bytes : 0;
    }
}

static void letter(struct plan *out, bool fits)
{
    if (!fits && !(out->wish.given & GIVEN_CTX) && !out->wish.as_command)
        working_first(out);
    for (uint32_t i = 0; i < out->n_alternatives; i++)
        out->alternatives[i].key = (char)((fits ? '1' : 'A') + (int)i);
}

bool options_make(struct placer *p, struct plan *out, struct err *err)
{
    bool fits = out->verdict != VERDICT_NO_FIT;
    if (out->n_devices == 0)
        return true;
    if (fits) {
        other_kv_types(p, out);
        drafting(p, out);
        one_card(p, out);
        tensor_split(p, out);
    } else {
        struct placement asked = {.mask = out->main_mask, .s = out->settings, .law = out->law,
                                  .draft_mask = out->draft_mask, .draft = out->draft_law};
        if (p->wish->as_command)
            another_split(p, out, &asked);
        coarser_kv(p, out, &asked);
        shorter_context(p, out, &asked);
        layers_to_host(p, out, &asked);
        smaller_file(p, out, &asked);
        if (!p->wish->as_command)
            another_card(p, out);
        kv_and_context(p, out, &asked);
    }
    letter(out, fits);
    (void)err;
    return true;
}
