/* vllm: one plan for vLLM from a model, a machine and a wish: searched, measured, judged,
 * explained. */
#include "plan/vllm.h"

#include <string.h>

#include "plan/vllm_search.h"

#define GIB ((double)((uint64_t)1 << 30))

struct vllm_wish vllm_default_wish(void)
{
    return (struct vllm_wish){.min_context = 128};
}

int vllm_exit_code(const struct vllm_plan *p)
{
    return p->verdict == VERDICT_FITS || p->verdict == VERDICT_TIGHT ? 0 : 8;
}

/* The least that vLLM itself asks of each card at start. */
static bool starts(const struct vllm_plan *p)
{
    for (uint32_t i = 0; i < p->n_ranks; i++)
        if (p->ranks[i].card->free_bytes < p->ranks[i].requested && !p->wish.kv_cache_bytes)
            return false;
    return true;
}

static void take_lengths(const struct vllm_law *law, struct vllm_plan *p, uint32_t min_context)
{
    uint32_t groups = law->n_groups ? law->n_groups : 1;
    const uint64_t blocks[3] = {p->blocks.low, p->blocks.value, p->blocks.high};
    uint64_t tokens[3], longest[3], trained = p->model->config.context;
    for (int i = 0; i < 3; i++) {
        tokens[i] = blocks[i] / groups * law->page_tokens;
        longest[i] = vllm_longest(law, blocks[i]);
        longest[i] = longest[i] < trained ? longest[i] : trained;
    }
    p->kv_tokens = (struct vllm_range){tokens[0], tokens[1], tokens[2]};
    p->max_context = (struct vllm_range){longest[0], longest[1], longest[2]};
    if (!p->wish.max_len) {
        uint64_t low = longest[0] ? longest[0] : longest[1];
        p->wish.max_len = (uint32_t)(low > min_context       ? low
                                     : min_context < trained ? min_context
                                                             : trained);
    }
}

/* What weights and the profiling run take beyond the rank's share, before any cache. */
static uint64_t overrun(const struct vllm_plan *p, const struct vllm_rank *r)
{
    uint64_t need = r->weights + r->activation.value + r->non_torch.value;
    need += vllm_graphs_counted(&p->wish) ? r->graphs.value : 0;
    return need > r->requested && !p->wish.kv_cache_bytes ? need - r->requested : 0;
}

static void judge(const struct vllm_law *law, struct vllm_plan *p)
{
    uint64_t need = vllm_blocks_for(law, p->wish.max_len);
    const struct vllm_rank *r = &p->ranks[p->limiting];
    p->blocks_needed = need;
    p->concurrency = need ? (double)p->blocks.value / (double)need : 0;
    p->starts = starts(p);
    p->shortfall = need > p->blocks.value ? (need - p->blocks.value) * r->block_bytes : 0;
    p->shortfall += overrun(p, r);
    p->verdict = need <= p->blocks.low     ? VERDICT_FITS
                 : need <= p->blocks.value ? VERDICT_TIGHT
                                           : VERDICT_NO_FIT;
    for (uint32_t i = 0; i < p->n_ranks && p->verdict == VERDICT_FITS; i++)
        if (p->ranks[i].free_after < 0)
            p->verdict = VERDICT_TIGHT;
    if (!p->starts)
        p->verdict = VERDICT_NO_FIT;
}

struct reasons {
    struct vllm_plan *p;
    struct arena *arena;
    bool failed;
};

static void say(struct reasons *r, const char *text)
{
    r->failed = r->failed || !text;
    if (text && r->p->n_reasons < VLLM_MAX_REASONS)
        r->p->reasons[r->p->n_reasons++] = text;
}

static const char *card_name(const struct device *d)
{
    return d->name ? d->name : "card";
}

static double free_share(const struct vllm_rank *r)
{
    return (double)r->card->free_bytes / (double)r->card->total_bytes;
}

/* The utilization that this rank's card would allow. */
static double most_of(const struct reasons *r, const struct vllm_rank *rank)
{
    const uint8_t card = (uint8_t)rank->device;
    return vllm_utilization(r->p->machine, &r->p->wish, &card, 1);
}

static void say_utilization(struct reasons *r, const struct vllm_wish *asked)
{
    struct vllm_plan *p = r->p;
    uint32_t tight = 0;
    for (uint32_t i = 1; i < p->n_ranks; i++) {
        const struct vllm_rank *a = &p->ranks[i], *b = &p->ranks[tight];
        if (p->starts ? most_of(r, a) < most_of(r, b) : free_share(a) < free_share(b))
            tight = i;
    }
    const struct vllm_rank *t = &p->ranks[tight];
    if (!p->starts)
        say(r, arena_printf(
                   r->arena,
                   "vLLM would not start: GPU %d has %.2f GiB free, utilization %.3g asks for "
                   "%.2f GiB; the most it can start with is %.3f",
                   t->card->index, (double)t->card->free_bytes / GIB, p->utilization,
                   (double)t->requested / GIB,
                   (double)(uint32_t)((double)t->card->free_bytes / (double)t->card->total_bytes *
                                      1000) /
                       1000));
    else if (asked->utilization == 0 && !asked->as_command)
        say(r,
            arena_printf(
                r->arena,
                "utilization %.3g: one number for all ranks, bounded by GPU %d (%s) with %.2f of "
                "%.2f GiB free, less what is kept free",
                p->utilization, t->card->index, card_name(t->card),
                (double)t->card->free_bytes / GIB, (double)t->card->total_bytes / GIB));
}

static void say_split(struct reasons *r)
{
    struct vllm_plan *p = r->p;
    const struct vllm_rank *l = &p->ranks[p->limiting];
    if (p->n_ranks == 1 && p->verdict == VERDICT_NO_FIT)
        return;
    if (p->n_ranks == 1)
        say(r, arena_strdup(r->arena, "one GPU holds it: nothing is sent between cards"));
    else if (p->tp > 1 && p->pp > 1)
        say(r, arena_printf(r->arena, "%u ranks share every layer, %u stages follow each other",
                            p->tp, p->pp));
    else if (p->tp > 1)
        say(r,
            arena_printf(r->arena,
                         "%u ranks share every layer: one token needs all of them at once", p->tp));
    else if (p->pp > 1)
        say(r, arena_printf(r->arena, "%u stages follow each other: least traffic between cards",
                            p->pp));
    if (p->partition_needed)
        say(r, arena_strdup(r->arena,
                            p->cut_for_speed
                                ? "stages are cut for speed, as long as the cache holds what is asked"
                                : "stages are cut so that the rank with the least cache has the "
                                  "most room"));
    if (p->n_ranks > 1)
        say(r, arena_printf(
                   r->arena,
                   "rank %u (GPU %d) has room for the fewest blocks; all ranks get that number",
                   p->limiting, l->card->index));
}

static void say_cards(struct reasons *r)
{
    struct vllm_plan *p = r->p;
    const struct device *first = p->ranks[0].card;
    bool mixed = false, nvlink = true;
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        const struct device *d = p->ranks[i].card;
        mixed = mixed || d->total_bytes != first->total_bytes || d->cc_major != first->cc_major ||
                d->cc_minor != first->cc_minor;
        nvlink = nvlink && d->nvlink;
    }
    if (mixed && p->tp > 1)
        say(r,
            arena_strdup(
                r->arena,
                "different cards in one tensor parallel group: the smaller one bounds the cache, "
                "the slower one the speed; vLLM does not test such mixes"));
    if (p->tp > 2 && !nvlink && !p->wish.no_custom_all_reduce)
        say(r, arena_strdup(r->arena,
                            "more than two cards without NVLink: vLLM turns its own all-reduce off "
                            "(--disable-custom-all-reduce says so quietly)"));
    if (p->wish.tp > p->model->config.kv_heads && !p->model->config.kv_rank)
        say(r,
            arena_printf(r->arena, "%u key-value heads over %u ranks: each head is kept %u times",
                         p->model->config.kv_heads, p->tp, p->tp / p->model->config.kv_heads));
}

/* Where the head is, and what crosses the network. */
static void say_hosts(struct reasons *r)
{
    struct vllm_plan *p = r->p;
    uint32_t hosts = 1;
    bool apart = false;
    size_t len;
    const char *head = device_host(p->ranks[0].card, &len);
    for (uint32_t i = 1; i < p->n_ranks; i++) {
        bool same = device_same_host(p->ranks[i - 1].card, p->ranks[i].card);
        hosts += !same;
        apart = apart || (!same && i % p->tp);
    }
    if (hosts == 1 && len)
        say(r, arena_printf(r->arena, "all of it on %.*s: the command runs there", (int)len, head));
    if (hosts == 1)
        return;
    say(r, arena_printf(r->arena,
                        "%u hosts joined by Ray%s%.*s: %s", hosts, len ? ", the command runs on " : "",
                        (int)len, head,
                        apart ? "a tensor parallel group reaches over two hosts, as was asked: the "
                                "sums of every layer cross the network"
                              : "tensor parallel groups stay inside a host, only stages pass "
                                "tokens over the network"));
}

static void say_room(struct reasons *r)
{
    struct vllm_plan *p = r->p;
    if (p->verdict == VERDICT_NO_FIT && p->starts) {
        const struct vllm_rank *l = &p->ranks[p->limiting];
        char asked[32], longest[32];
        if (l->kv.high == 0)
            say(r, arena_printf(
                       r->arena,
                       "no room is left for the cache on GPU %d: weights %.2f and activations %.2f "
                       "of %.2f GiB",
                       l->card->index, (double)l->weights / GIB, (double)l->activation.value / GIB,
                       (double)l->requested / GIB));
        else
            say(r, arena_printf(
                       r->arena,
                       "one request of %s tokens lacks %.2f GiB of cache; the longest that fits is "
                       "about %s",
                       str_grouped(p->wish.max_len, asked), (double)p->shortfall / GIB,
                       str_grouped(p->max_context.value, longest)));
    }
    if (!p->model->from_headers)
        say(r,
            arena_strdup(r->arena,
                         "weights are computed from config.json: no safetensors header was found"));
}

static bool explain(struct vllm_plan *p, const struct vllm_wish *asked, struct arena *arena)
{
    struct reasons r = {p, arena, false};
    say_split(&r);
    say_utilization(&r, asked);
    say_cards(&r);
    say_hosts(&r);
    say_room(&r);
    return !r.failed;
}

static void take(const struct vllm_candidate *c, struct vllm_law *law, struct vllm_plan *p,
                 uint32_t min_context)
{
    struct vllm_layout layout = c->layout;
    law->wish = &p->wish;
    layout.law = law;
    p->tp = layout.tp;
    p->pp = layout.pp;
    p->dp = layout.dp;
    p->wish.tp = p->tp;
    p->wish.pp = p->pp;
    p->n_ranks = layout.n_ranks;
    p->utilization = layout.utilization;
    p->blocks = layout.blocks;
    p->limiting = layout.limiting;
    p->partition_needed = layout.uneven;
    p->cut_for_speed = layout.aim != VLLM_AIM_ROOM;
    p->wish.n_partition = layout.uneven ? p->pp : 0;
    for (uint32_t i = 0; i < p->pp && layout.uneven; i++)
        p->wish.partition[i] = layout.bounds[i + 1] - layout.bounds[i];
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        vllm_fill_rank(&layout, i, &p->ranks[i]);
        p->wish.cards[i] = layout.cards[i];
        p->wish.ray = p->wish.ray || !device_same_host(p->ranks[0].card, p->ranks[i].card);
    }
    p->wish.cards_set = true;
    p->wish.n_cards = p->n_ranks;
    p->n_groups = law->n_groups;
    p->page_bytes = law->page_bytes;
    p->page_tokens = law->page_tokens;
    take_lengths(law, p, min_context);
    judge(law, p);
}

bool vllm_plan_make(const struct hub_model *model, const struct machine *machine,
                    const struct vllm_wish *wish, struct arena *arena, struct vllm_plan *out,
                    struct err *err)
{
    struct vllm_search *s = arena_new(arena, struct vllm_search);
    struct vllm_plan *p = arena_new(arena, struct vllm_plan);
    if (!s || !p)
        return err_set(err, ERR_1201, "no memory for the plan");
    *s = (struct vllm_search){.model = model, .machine = machine, .wish = wish, .arena = arena};
    if (!vllm_search_run(s, err))
        return false;
    *p = (struct vllm_plan){.model = model,
                            .machine = machine,
                            .wish = s->best.wish,
                            .choice = s->best.choice,
                            .runner_up = s->second.choice,
                            .has_runner_up = s->found_second,
                            .enough = s->best.enough,
                            .proved = !s->bounded && !wish->as_command,
                            .candidates = s->candidates,
                            .context_given = wish->max_len > 0};
    struct vllm_layout layout = s->best.layout;
    take(&s->best, s->laws[layout.tp], p, wish->min_context);
    layout.law = s->laws[layout.tp];
    vllm_speed_make(s->paces[layout.tp], &layout, p->wish.max_len, &p->speed);
    if (!explain(p, wish, arena))
        return err_set(err, ERR_1201, "no memory for the plan's reasons");
    *out = *p;
    return true;
}
