/* vllm_search: looks at every set of cards, tp x pp and order of stages, and keeps the best for the
 * goal. */
#include "plan/vllm_search.h"

#include <stdio.h>
#include <string.h>

#define GIB ((uint64_t)1 << 30)

uint32_t vllm_wanted_context(const struct hub_model *m, const struct vllm_wish *w)
{
    uint32_t usual = w->goal == GOAL_SPEED ? 8192 : w->goal == GOAL_CONTEXT ? UINT32_MAX : 32768;
    if (w->max_len)
        return w->max_len;
    return m->config.context < usual ? m->config.context : usual;
}

void vllm_fill_defaults(const struct hub_model *m, const struct machine *machine,
                        const uint8_t *cards, uint32_t n, struct vllm_wish *w)
{
    bool large = n > 0, old = false;
    for (uint32_t i = 0; i < n; i++) {
        const struct device *d = &machine->devices[cards[i]];
        bool this_large = d->total_bytes >= 70 * GIB && !(d->name && strstr(d->name, "A100"));
        if (!w->as_command || i == 0)
            large = large && this_large;
        old = old || (d->cc_major && d->cc_major < 8);
    }
    if (!w->max_tokens)
        w->max_tokens = large ? 8192 : 2048;
    if (!w->max_seqs)
        w->max_seqs = large ? 1024 : 256;
    if (w->max_tokens < w->max_seqs && !w->as_command)
        w->max_seqs = w->max_tokens;
    if (!w->block_size)
        w->block_size = 16;
    if (!w->dp)
        w->dp = 1;
    if (!w->kv_dtype)
        w->kv_dtype = "auto";
    bool plain16 = strcmp(m->config.dtype, "bfloat16") == 0 || !m->config.dtype[0];
    if (!w->dtype)
        w->dtype = !w->as_command && old && plain16 ? "half" : "auto";
    if (w->as_command && !w->max_len)
        w->max_len = m->config.context;
}

/* Streams of --goal throughput that one replica may hold at once. */
static uint32_t streams_of(const struct vllm_wish *w)
{
    uint32_t each = VLLM_STREAMS / (w->dp ? w->dp : 1), most = w->max_seqs;
    return each < 1 ? 1 : most && each > most ? most : each;
}

/* Blocks every rank must have for the goal. */
static int64_t blocks_needed(const struct vllm_search *s, const struct vllm_law *law)
{
    uint64_t need = vllm_blocks_for(law, vllm_wanted_context(s->model, law->wish));
    uint32_t trained = s->model->config.context;
    uint64_t many = streams_of(law->wish) *
                    vllm_blocks_for(law, trained < VLLM_STREAM_CONTEXT ? trained
                                                                       : VLLM_STREAM_CONTEXT);
    return (int64_t)(s->wish->goal == GOAL_THROUGHPUT && many > need ? many : need);
}

/* What weights and the profiling run take beyond the ranks' shares, before any cache. */
static uint64_t overrun(const struct vllm_layout *l)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < l->n_ranks && !l->law->wish->kv_cache_bytes; i++) {
        struct vllm_rank r;
        vllm_fill_rank(l, i, &r);
        uint64_t need = r.weights + r.activation.high + r.non_torch.high;
        need += vllm_graphs_counted(l->law->wish) ? r.graphs.high : 0;
        all += need > r.requested ? need - r.requested : 0;
    }
    return all;
}

static bool judge(const struct vllm_search *s, struct vllm_candidate *c)
{
    const struct vllm_layout *l = &c->layout;
    uint64_t longest = vllm_longest(l->law, l->blocks.low);
    struct vllm_times times;
    uint32_t groups = l->law->n_groups ? l->law->n_groups : 1;
    if (!vllm_times_make(l->pace, l, &times))
        return false;
    c->choice = (struct vllm_choice){.tp = l->tp, .pp = l->pp, .n_cards = l->n_ranks};
    c->choice.context =
        (uint32_t)(longest < s->model->config.context ? longest : s->model->config.context);
    c->choice.kv_tokens = l->blocks.low / groups * l->law->page_tokens;
    c->choice.decode_ms = times.decode_ns / 1e6;
    c->choice.throughput_tps = times.slowest_ns > 0
                                   ? streams_of(&c->wish) * l->dp * 1e9 / (l->pp * times.slowest_ns)
                                   : 0;
    c->enough = (int64_t)l->blocks.low >= blocks_needed(s, l->law);
    c->choice.short_bytes = c->enough || l->blocks.low ? 0 : overrun(l);
    return true;
}

static int by(double a, double b) /* below 0: a is better when small */
{
    return a < b ? -1 : a > b;
}

static bool within(const struct vllm_search *s, const struct vllm_choice *c)
{
    return c->decode_ms <= s->most_ms;
}

/* Below 0: a is the better one. */
static int compare(const struct vllm_search *s, const struct vllm_candidate *a,
                   const struct vllm_candidate *b)
{
    enum plan_goal goal = s->wish->goal;
    const struct vllm_choice *x = &a->choice, *y = &b->choice;
    bool second = goal == GOAL_BALANCED && s->most_ms > 0, fewest = goal == GOAL_FEWEST;
    int order = goal == GOAL_CONTEXT ? 0 : (int)b->enough - (int)a->enough;
    if (!order && (goal == GOAL_CONTEXT || !a->enough))
        order = by(y->context, x->context);
    if (!order && !a->enough)
        order = by((double)x->short_bytes, (double)y->short_bytes);
    if (!order && goal == GOAL_CONTEXT)
        order = by((double)y->kv_tokens, (double)x->kv_tokens);
    if (!order && second)
        order = (int)within(s, y) - (int)within(s, x);
    if (!order && (fewest || second))
        order = by(x->n_cards, y->n_cards);
    if (!order && goal == GOAL_THROUGHPUT)
        order = by(y->throughput_tps, x->throughput_tps);
    if (!order)
        order = by(x->decode_ms, y->decode_ms);
    if (!order)
        order = by((double)y->kv_tokens, (double)x->kv_tokens);
    if (!order)
        order = by(x->pp, y->pp);
    return order;
}

static void offer(struct vllm_search *s, const struct vllm_candidate *c)
{
    s->candidates++;
    if (!s->found || compare(s, c, &s->best) < 0) {
        bool other =
            s->found && (c->choice.tp != s->best.choice.tp || c->choice.pp != s->best.choice.pp ||
                         c->choice.n_cards != s->best.choice.n_cards);
        if (other) {
            s->second = s->best;
            s->found_second = true;
        }
        s->best = *c;
        s->found = true;
        return;
    }
    bool same = c->choice.tp == s->best.choice.tp && c->choice.pp == s->best.choice.pp &&
                c->choice.n_cards == s->best.choice.n_cards;
    if (!same && (!s->found_second || compare(s, c, &s->second) < 0)) {
        s->second = *c;
        s->found_second = true;
    }
}

static bool prepare(struct vllm_search *s, uint32_t tp, struct err *err)
{
    if (s->laws[tp])
        return true;
    struct vllm_law *law = arena_new(s->arena, struct vllm_law);
    if (!law)
        return err_set(err, ERR_1201, "no memory for the plan");
    if (!vllm_law_make(s->model, s->wish, tp, s->arena, law, err))
        return false;
    s->paces[tp] = vllm_pace_make(law, s->machine, s->arena);
    if (!s->paces[tp])
        return err_set(err, ERR_1201, "no memory for the plan's speed");
    s->laws[tp] = law;
    return true;
}

/* What stages are cut for, and whether another aim is worth a look when this one disappoints. */
static enum vllm_aim first_aim(const struct vllm_search *s, struct vllm_layout *l)
{
    const struct vllm_wish *w = s->wish;
    l->need = blocks_needed(s, l->law);
    if (w->goal == GOAL_CONTEXT || w->goal == GOAL_FEWEST ||
        (w->goal == GOAL_BALANCED && s->most_ms > 0))
        return VLLM_AIM_ROOM;
    return w->goal == GOAL_THROUGHPUT ? VLLM_AIM_PACE : VLLM_AIM_SPEED;
}

static bool cut_and_judge(struct vllm_search *s, struct vllm_candidate *c, struct err *err)
{
    c->layout.aim = first_aim(s, &c->layout);
    vllm_cut(&c->layout);
    if (!judge(s, c))
        return err_set(err, ERR_1201, "no memory for the plan's speed");
    if (s->wish->goal != GOAL_BALANCED || s->most_ms <= 0 ||
        (c->enough && within(s, &c->choice)))
        return true;
    c->layout.aim = VLLM_AIM_SPEED; /* the most room costs too much time: as fast as it can be */
    vllm_cut(&c->layout);
    return judge(s, c) || err_set(err, ERR_1201, "no memory for the plan's speed");
}

bool vllm_search_try(struct vllm_search *s, const uint8_t *cards, uint32_t n, uint32_t tp,
                     uint32_t pp, struct err *err)
{
    struct vllm_candidate c = {.wish = *s->wish};
    if (!prepare(s, tp, err))
        return false;
    vllm_fill_defaults(s->model, s->machine, cards, n, &c.wish);
    s->laws[tp]->wish = &c.wish;
    c.layout = (struct vllm_layout){.law = s->laws[tp],
                                    .machine = s->machine,
                                    .pace = s->paces[tp],
                                    .tp = tp,
                                    .pp = pp,
                                    .dp = c.wish.dp,
                                    .n_ranks = n,
                                    .utilization = c.wish.utilization};
    memcpy(c.layout.cards, cards, n);
    if (c.layout.utilization == 0)
        c.layout.utilization =
            s->wish->as_command ? 0.92 : vllm_utilization(s->machine, &c.wish, cards, n);
    c.wish.utilization = c.layout.utilization;
    bool ok = cut_and_judge(s, &c, err);
    if (ok)
        offer(s, &c);
    s->laws[tp]->wish = s->wish;
    return ok;
}

static bool asked(uint32_t wish, uint32_t value)
{
    return wish == 0 || wish == value;
}

bool vllm_search_cards(struct vllm_search *s, uint8_t *cards, uint32_t n, uint32_t mask,
                       struct err *why, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint32_t dp = w->dp ? w->dp : 1;
    struct err refusal = {0};
    if (n % dp)
        return true;
    if (!vllm_check_settings(s->model, s->machine, mask, w, &refusal)) {
        if (!why->code)
            *why = refusal;
        return true;
    }
    for (uint32_t tp = 1; tp <= n / dp; tp++) {
        uint32_t pp = n / dp / tp;
        refusal = (struct err){0};
        if (n / dp % tp || !asked(w->tp, tp) || !asked(w->pp, pp))
            continue;
        if (!vllm_check_tp(s->model, w, tp, s->machine->n_devices, &refusal) ||
            !vllm_check_pp(s->model, w, pp, &refusal)) {
            if (!why->code || w->tp || w->pp)
                *why = refusal;
            continue;
        }
        if (!(w->as_command ? vllm_search_try(s, cards, n, tp, pp, err)
                            : vllm_orders_try(s, cards, n, tp, pp, err)))
            return false;
    }
    return true;
}

static bool refuse_count(const struct vllm_search *s, uint32_t have, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint32_t tp = w->tp ? w->tp : 1, pp = w->pp ? w->pp : 1, dp = w->dp ? w->dp : 1;
    err_set(err, ERR_2113,
            "tensor x pipeline x data parallel sizes %u x %u x %u need %llu GPUs, there %s %u", tp,
            pp, dp, (unsigned long long)tp * pp * dp, have == 1 ? "is" : "are", have);
    char command[64];
    uint32_t near = have / pp / dp;
    struct err none;
    while (near > 1 && !vllm_check_tp(s->model, w, near, near, &none))
        near--;
    snprintf(command, sizeof(command), "--tensor-parallel-size %u", near ? near : 1);
    return err_fix(err, command, "the largest size these cards allow is %u", near ? near : 1);
}

static bool run_command(struct vllm_search *s, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint64_t need = (uint64_t)(w->tp ? w->tp : 1) * (w->pp ? w->pp : 1) * (w->dp ? w->dp : 1);
    uint32_t have = w->cards_set ? w->n_cards : s->machine->n_devices, mask = 0;
    struct vllm_wish fixed = *w;
    struct err why = {0};
    uint8_t cards[VLLM_MAX_RANKS];
    fixed.tp = w->tp ? w->tp : 1;
    fixed.pp = w->pp ? w->pp : 1;
    if (!vllm_check_tp(s->model, w, fixed.tp, have ? have : 1, err) ||
        !vllm_check_pp(s->model, w, fixed.pp, err))
        return false;
    if (need > have)
        return refuse_count(s, have, err);
    for (uint32_t i = 0; i < have; i++)
        cards[i] = w->cards_set ? w->cards[i] : (uint8_t)i;
    vllm_orders_command(s->machine, cards, have, (uint32_t)need);
    for (uint32_t i = 0; i < need; i++)
        mask |= 1u << cards[i];
    bool several = false;
    for (uint32_t i = 1; i < need; i++)
        several = several || !device_same_host(&s->machine->devices[cards[0]],
                                               &s->machine->devices[cards[i]]);
    if (several && !w->ray && !w->nodes) {
        err_set(err, ERR_2113, "%llu ranks reach over several hosts, the command joins none",
                (unsigned long long)need);
        return err_fix(err, "--distributed-executor-backend ray", "let Ray join them");
    }
    s->wish = &fixed;
    bool ok = vllm_search_cards(s, cards, (uint32_t)need, mask, &why, err);
    s->wish = w;
    if (ok && !s->found && err)
        *err = why;
    return ok && s->found;
}

/* Balanced: the first pass finds the fastest, the second takes the fewest cards within 10 % of it. */
static bool search(struct vllm_search *s, uint32_t allowed, struct err *why, struct err *err)
{
    if (!vllm_orders_sets(s, allowed, why, err))
        return false;
    if (s->wish->goal != GOAL_BALANCED || !s->found)
        return true;
    s->most_ms = 1.1 * s->best.choice.decode_ms;
    s->found = s->found_second = false;
    s->candidates = 0;
    return vllm_orders_sets(s, allowed, why, err);
}

bool vllm_search_run(struct vllm_search *s, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint32_t n = s->machine->n_devices, allowed = 0;
    uint64_t need = (uint64_t)(w->tp ? w->tp : 1) * (w->pp ? w->pp : 1) * (w->dp ? w->dp : 1);
    struct err why = {0};
    if (n == 0) {
        err_set(err, ERR_2110, "vLLM needs a GPU and there is none");
        return err_fix(err, NULL, "name cards with --gpus, or plan a GGUF file for llama.cpp");
    }
    if (w->as_command)
        return run_command(s, err);
    for (uint32_t i = 0; i < n; i++)
        allowed |= 1u << i;
    if (w->cards_set)
        allowed = 0;
    for (uint32_t i = 0; i < w->n_cards && w->cards_set; i++)
        allowed |= 1u << w->cards[i];
    if ((w->tp && !vllm_check_tp(s->model, w, w->tp, n, err)) ||
        (w->pp && !vllm_check_pp(s->model, w, w->pp, err)))
        return false;
    if (need > (uint32_t)__builtin_popcount(allowed))
        return refuse_count(s, (uint32_t)__builtin_popcount(allowed), err);
    if (!search(s, allowed, &why, err))
        return false;
    if (!s->found && w->tp > 1 && machine_several_hosts(s->machine)) {
        s->apart = true; /* no host has as many cards: over the network, as it was asked */
        if (!search(s, allowed, &why, err))
            return false;
    }
    if (!s->found && why.code == ERR_NONE)
        err_set(&why, ERR_2112, "no tensor and pipeline parallel sizes fit %u cards", n);
    if (!s->found && err)
        *err = why;
    return s->found;
}
