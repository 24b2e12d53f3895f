/* vllm_options: the other plans of vLLM worth knowing: what else would do, and the ways to yes. */
#include <stdio.h>
#include <string.h>

#include "plan/vllm_layout.h"

#define GIB ((double)((uint64_t)1 << 30))

struct options {
    const struct vllm_wish *asked;
    struct arena *arena;
    struct vllm_plan *out;
    struct vllm_plan *other; /* the last one made */
};

/* One plan with something changed. False: vLLM would refuse it, or no memory. */
static bool make(struct options *o, const struct hub_model *model, const struct machine *machine,
                 const struct vllm_wish *wish)
{
    struct err quiet = {0};
    return vllm_plan_make(model, machine, wish, o->arena, o->other, &quiet);
}

static bool works(const struct options *o)
{
    return o->other->verdict != VERDICT_NO_FIT;
}

/* Everything it takes on all ranks, with the cache of one request of the length. */
static uint64_t needed(const struct vllm_plan *p)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        const struct vllm_rank *r = &p->ranks[i];
        all += r->weights + r->activation.value + r->non_torch.value + r->graphs.value +
               p->blocks_needed * r->block_bytes;
    }
    return all;
}

static struct plan_alternative *add(struct options *o, const char *change, const char *flags,
                                    const char *price)
{
    struct vllm_plan *p = o->out;
    struct plan_alternative *a = &p->alternatives[p->n_alternatives];
    if (p->n_alternatives == PLAN_MAX_ALTERNATIVES)
        return NULL;
    *a = (struct plan_alternative){.change = arena_strdup(o->arena, change),
                                   .flags = o->asked->as_command ? ""
                                                                 : arena_strdup(o->arena, flags),
                                   .price = arena_strdup(o->arena, price)};
    if (!a->change || !a->flags || !a->price)
        return NULL;
    const struct vllm_plan *n = o->other;
    a->verdict = n->verdict;
    a->context = works(o) ? n->wish.max_len : 0;
    a->decode_tps = works(o) ? n->speed.decode.tps : 0;
    a->short_bytes = works(o) ? 0 : (int64_t)n->shortfall;
    uint64_t before = needed(p), after = needed(n);
    a->freed_bytes = before > after ? before - after : 0;
    p->n_alternatives++;
    return a;
}

static bool gains(const struct options *o)
{
    bool fits = o->out->verdict != VERDICT_NO_FIT;
    return works(o) && (!fits || o->other->kv_tokens.low > o->out->kv_tokens.low);
}

static bool plain_cache(const struct options *o)
{
    return strcmp(o->out->wish.kv_dtype, "auto") == 0 &&
           (!o->asked->kv_dtype || o->asked->as_command);
}

static void fp8_cache(struct options *o, const struct vllm_wish *same)
{
    struct vllm_wish w = *same;
    w.kv_dtype = "fp8";
    if (plain_cache(o) && make(o, o->out->model, o->out->machine, &w) && gains(o))
        add(o, "--kv-cache-dtype fp8", "--kv fp8", "small quality risk");
}

/* The profiling run sets logits of every sequence aside: fewer leave room. */
static void fewer_sequences(struct options *o, const struct vllm_wish *same)
{
    static const uint32_t counts[] = {64, 16};
    char change[48], flags[32];
    for (int i = 0; i < 2; i++) {
        struct vllm_wish w = *same;
        w.max_seqs = counts[i];
        bool open = (!o->asked->max_seqs || o->asked->as_command) &&
                    o->out->wish.max_seqs > counts[i];
        if (!open || !make(o, o->out->model, o->out->machine, &w) || !gains(o))
            continue;
        snprintf(change, sizeof(change), "--max-num-seqs %u", counts[i]);
        snprintf(flags, sizeof(flags), "-np %u", counts[i]);
        add(o, change, flags, "fewer requests at once");
        return;
    }
}

static void shorter(struct options *o)
{
    struct vllm_wish w = *o->asked;
    char change[48], flags[32], price[64];
    const struct vllm_plan *p = o->out;
    uint64_t most = p->max_context.low ? p->max_context.low : p->max_context.value;
    w.max_len = most > 256 ? (uint32_t)(most / 256 * 256) : 0;
    if (!p->context_given || w.max_len < w.min_context || w.max_len >= p->wish.max_len ||
        !make(o, p->model, p->machine, &w) || !works(o))
        return;
    snprintf(change, sizeof(change), "--max-model-len %u", w.max_len);
    snprintf(flags, sizeof(flags), "--ctx %u", w.max_len);
    snprintf(price, sizeof(price), "%.0f %% of the length",
             100.0 - 100.0 * w.max_len / (double)p->wish.max_len);
    add(o, change, flags, price);
}

/* The length that the other plan would hold. False: none worth planning. */
static bool shorten(struct options *o, const struct hub_model *model, const struct vllm_wish *wish)
{
    struct vllm_wish w = *wish;
    w.max_len = (uint32_t)(o->other->max_context.low / 256 * 256);
    return o->out->context_given && w.max_len >= w.min_context && w.max_len > 0 &&
           make(o, model, o->out->machine, &w);
}

/* The same model as a quantised checkpoint: its tensors follow from the configuration. A shorter
 * length goes with it where more says so. */
static void quantised(struct options *o, enum hub_quant quant, const struct vllm_wish *wish,
                      const char *more, const char *flags)
{
    const struct hub_model *m = o->out->model;
    struct hub_config c = m->config;
    struct hub_model other;
    struct err quiet = {0};
    char change[96], price[48];
    bool shorter = str_starts(more, ", shorter");
    c.quant = quant;
    c.bits = quant == HUB_FP8 ? 8 : 4;
    c.group = quant == HUB_FP8 ? 0 : 128;
    snprintf(c.quant_method, sizeof(c.quant_method), "%s", hub_quant_name(quant));
    if (m->config.quant != HUB_PLAIN || wish->quantization ||
        !hub_layout_make(m->path, &c, NULL, o->arena, &other, &quiet) ||
        !make(o, &other, o->out->machine, wish) ||
        (shorter && !works(o) && !shorten(o, &other, wish)) || !gains(o))
        return;
    snprintf(change, sizeof(change), "%s checkpoint, %.1f GiB%s", quant == HUB_FP8 ? "FP8" : "AWQ",
             (double)other.file_bytes / GIB, more);
    snprintf(price, sizeof(price), "%s quality", quant == HUB_FP8 ? "little" : "some");
    if (shorter)
        snprintf(price + strlen(price), sizeof(price) - strlen(price), ", %.0f %% of the length",
                 100.0 - 100.0 * o->other->wish.max_len / (double)o->out->wish.max_len);
    struct plan_alternative *a = add(o, change, flags, price);
    if (a)
        a->combination = more[0] != '\0';
}

static void sizes(const struct vllm_plan *p, char *text, size_t room)
{
    snprintf(text, room, "-tp %u -pp %u", p->tp, p->pp);
}

/* The next best way to share the model out. */
static void other_sizes(struct options *o)
{
    const struct vllm_plan *p = o->out;
    struct vllm_wish w = *o->asked;
    char flags[48], change[64], price[64];
    w.tp = p->runner_up.tp;
    w.pp = p->runner_up.pp;
    if (!p->has_runner_up || w.as_command || !make(o, p->model, p->machine, &w) || !works(o))
        return;
    sizes(o->other, flags, sizeof(flags));
    snprintf(change, sizeof(change), "%s (%u GPU%s)", flags, o->other->n_ranks,
             o->other->n_ranks == 1 ? "" : "s");
    int more = (int)o->other->n_ranks - (int)p->n_ranks;
    if (more > 0)
        snprintf(price, sizeof(price), "%d more GPU%s", more, more == 1 ? "" : "s");
    else
        snprintf(price, sizeof(price), "%s",
                 o->other->choice.decode_ms > p->choice.decode_ms ? "slower"
                 : o->other->max_context.low < p->max_context.low ? "less room for the cache"
                                                                  : "second by the goal");
    add(o, change, o->asked->tp || o->asked->pp ? "" : flags, price);
}

static void one_card(struct options *o)
{
    struct vllm_wish w = *o->asked;
    char price[64];
    w.max_gpus = 1;
    w.spread = false;
    if (o->out->n_ranks < 2 || (o->out->has_runner_up && o->out->runner_up.n_cards == 1) ||
        w.as_command || w.tp > 1 || w.pp > 1 || o->asked->spread ||
        !make(o, o->out->model, o->out->machine, &w))
        return;
    snprintf(price, sizeof(price), "%s", "one card does it all");
    if (!works(o))
        snprintf(price, sizeof(price), "%.1f GiB short", (double)o->other->shortfall / GIB);
    char change[32];
    snprintf(change, sizeof(change), "GPU %d only", o->other->ranks[0].card->index);
    add(o, change, "--max-gpus 1", price);
}

/* Sizes that were given stand in the way of what these cards could do. */
static void free_sizes(struct options *o)
{
    struct vllm_wish w = *o->asked;
    char flags[48];
    if (!w.tp && !w.pp && !w.max_gpus)
        return;
    w.tp = w.pp = w.max_gpus = w.n_partition = 0;
    w.as_command = w.cards_set = false;
    if (!make(o, o->out->model, o->out->machine, &w) || !works(o))
        return;
    sizes(o->other, flags, sizeof(flags));
    add(o, flags, "", o->other->n_ranks > o->out->n_ranks ? "more GPUs" : "nothing");
}

static void more_cards(struct options *o)
{
    struct vllm_wish w = *o->asked;
    struct machine *m = arena_new(o->arena, struct machine);
    const struct device *largest = NULL;
    char change[96], price[32];
    if (!m || w.as_command || w.max_gpus)
        return;
    *m = *o->out->machine;
    for (uint32_t i = 0; i < m->n_devices; i++)
        if (!largest || m->devices[i].total_bytes > largest->total_bytes)
            largest = &o->out->machine->devices[i];
    w.tp = w.pp = w.n_partition = 0;
    w.cards_set = false;
    for (int k = 1; largest && k <= 3 && m->n_devices < MACHINE_MAX_DEVICES; k++) {
        struct device *d = &m->devices[m->n_devices];
        *d = *largest;
        d->free_bytes = d->total_bytes;
        d->index = (int)m->n_devices++;
        if (!make(o, o->out->model, m, &w) || !works(o))
            continue;
        snprintf(change, sizeof(change), "add %d %s, %s%u", k, largest->name ? largest->name : "card",
                 o->other->pp > 1 ? "pp " : "tp ", o->other->pp > 1 ? o->other->pp : o->other->tp);
        snprintf(price, sizeof(price), k == 1 ? "money, a slot" : "money, %d slots", k);
        struct plan_alternative *a = add(o, change, "", price);
        if (a)
            a->other_cards = true;
        return;
    }
}

static bool has(const struct options *o, const char *change)
{
    for (uint32_t i = 0; i < o->out->n_alternatives; i++)
        if (str_starts(o->out->alternatives[i].change, change))
            return true;
    return false;
}

static void combinations(struct options *o)
{
    struct vllm_wish w = *o->asked;
    w.kv_dtype = "fp8";
    bool seqs = !w.max_seqs || w.as_command;
    if (!plain_cache(o))
        return;
    w.max_seqs = seqs ? 64 : w.max_seqs;
    if (seqs && make(o, o->out->model, o->out->machine, &w) && works(o)) {
        struct plan_alternative *a =
            add(o, "--kv-cache-dtype fp8 --max-num-seqs 64", "--kv fp8 -np 64",
                "small quality risk, fewer requests");
        if (a)
            a->combination = true;
    }
    if (!has(o, "AWQ"))
        quantised(o, HUB_AWQ, &w, ", fp8 cache", "");
}

bool vllm_options_make(const struct vllm_wish *wish, struct arena *arena, struct vllm_plan *plan,
                       struct err *err)
{
    struct vllm_wish same = *wish; /* on the cards that were chosen: what a change alone does */
    struct options o = {wish, arena, plan, arena_new(arena, struct vllm_plan)};
    bool fits = plan->verdict != VERDICT_NO_FIT;
    if (fits && !wish->as_command) {
        same.tp = plan->tp;
        same.pp = plan->pp;
        same.cards_set = true;
        same.n_cards = plan->n_ranks;
        memcpy(same.cards, plan->wish.cards, sizeof(same.cards));
    }
    if (!o.other)
        return err_set(err, ERR_1201, "no memory for the other plans");
    plan->n_alternatives = 0;
    if (!fits) {
        free_sizes(&o);
        shorter(&o);
    }
    fp8_cache(&o, &same);
    fewer_sequences(&o, &same);
    if (fits) {
        other_sizes(&o);
        one_card(&o);
    }
    quantised(&o, HUB_FP8, &same, "", "");
    quantised(&o, HUB_AWQ, &same, "", "");
    if (!fits) {
        combinations(&o);
        if (!has(&o, "FP8"))
            quantised(&o, HUB_FP8, &same, ", shorter", "");
        if (!has(&o, "AWQ"))
            quantised(&o, HUB_AWQ, &same, ", shorter", "");
        more_cards(&o);
    }
    for (uint32_t i = 0; i < plan->n_alternatives; i++)
        plan->alternatives[i].key = (char)((fits ? '1' : 'A') + (int)i);
    return true;
}
