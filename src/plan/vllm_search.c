/* vllm_search: looks at every set of cards, tp x pp and order of stages, and keeps the best for the
 * goal. */
#include "plan/vllm_search.h"

#include <stdio.h>
#include <string.h>

#define GIB ((uint64_t)1 << 30)

/* Rough costs, for ranking only: what a decode step reaches of the memory's speed, one all-reduce
 * over NVLink and over PCIe, one hop between stages. */
static const double reach = 0.75, reduce_nvlink_ms = 0.012, reduce_pcie_ms = 0.035, hop_ms = 0.06;
static const double unknown_gbs = 500;

enum { MAX_ORDERED_STAGES = 4, MAX_FREE_SUBSETS = 8 };

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

static double bandwidth(const struct device *d)
{
    return (d->bandwidth_gbs > 0 ? d->bandwidth_gbs : unknown_gbs) * 1e6 *
           reach; /* bytes a millisecond */
}

/* Milliseconds of a decode step on the slowest rank of a stage. */
static double stage_ms(const struct vllm_layout *l, uint32_t stage, bool all_experts)
{
    uint32_t first = l->bounds[stage], end = l->bounds[stage + 1];
    uint64_t bytes =
        all_experts ? vllm_law_weights(l->law, first, end) : vllm_law_active(l->law, first, end);
    double slowest = 0;
    bool nvlink = true;
    for (uint32_t r = 0; r < l->n_ranks; r++) {
        const struct device *d = &l->machine->devices[l->cards[r]];
        if (r / l->tp % l->pp != stage)
            continue;
        double ms = (double)bytes / bandwidth(d);
        slowest = ms > slowest ? ms : slowest;
        nvlink = nvlink && d->nvlink;
    }
    if (l->tp > 1)
        slowest += 2.0 * (end - first) * (nvlink ? reduce_nvlink_ms : reduce_pcie_ms);
    return slowest;
}

static void judge(const struct vllm_search *s, struct vllm_candidate *c)
{
    const struct vllm_layout *l = &c->layout;
    uint64_t longest = vllm_longest(l->law, l->blocks.low),
             asked = vllm_wanted_context(s->model, &c->wish);
    double slowest = 0, sum = 0;
    c->choice = (struct vllm_choice){.tp = l->tp, .pp = l->pp, .n_cards = l->n_ranks};
    c->choice.context =
        (uint32_t)(longest < s->model->config.context ? longest : s->model->config.context);
    c->choice.kv_tokens =
        l->blocks.low / (l->law->n_groups ? l->law->n_groups : 1) * l->law->page_tokens;
    for (uint32_t i = 0; i < l->pp; i++) {
        double many = stage_ms(l, i, true);
        sum += stage_ms(l, i, false);
        slowest = many > slowest ? many : slowest;
    }
    c->choice.decode_ms = sum + hop_ms * (l->pp - 1);
    double streams = (double)c->choice.kv_tokens / 2048, most = c->wish.max_seqs;
    streams = (streams < most ? streams : most) * l->dp;
    c->choice.throughput_tps = slowest > 0 ? streams / l->pp / slowest * 1000 : 0;
    c->enough = c->choice.context >= asked;
}

static int by(double a, double b) /* below 0: a is better when small */
{
    return a < b ? -1 : a > b;
}

/* Below 0: a is the better one. */
static int compare(const struct vllm_search *s, const struct vllm_candidate *a,
                   const struct vllm_candidate *b)
{
    enum plan_goal goal = s->wish->goal;
    const struct vllm_choice *x = &a->choice, *y = &b->choice;
    int order = 0;
    if (goal != GOAL_CONTEXT)
        order = (int)b->enough - (int)a->enough;
    if (!order && (goal == GOAL_CONTEXT || !a->enough))
        order = by(y->context, x->context);
    if (!order && goal == GOAL_CONTEXT)
        order = by((double)y->kv_tokens, (double)x->kv_tokens);
    if (!order && goal == GOAL_BALANCED && s->most_ms > 0)
        order = (int)(y->decode_ms <= s->most_ms) - (int)(x->decode_ms <= s->most_ms);
    if (!order && (goal == GOAL_FEWEST || (goal == GOAL_BALANCED && s->most_ms > 0)))
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

static struct vllm_law *law_for(struct vllm_search *s, uint32_t tp, struct err *err)
{
    if (s->laws[tp])
        return s->laws[tp];
    struct vllm_law *law = arena_new(s->arena, struct vllm_law);
    if (!law) {
        err_set(err, ERR_1201, "no memory for the plan");
        return NULL;
    }
    if (!vllm_law_make(s->model, s->wish, tp, s->arena, law, err))
        return NULL;
    s->laws[tp] = law;
    return law;
}

static bool try_order(struct vllm_search *s, struct vllm_law *law, const uint8_t *cards, uint32_t n,
                      uint32_t tp, uint32_t pp)
{
    struct vllm_candidate c = {.wish = *s->wish};
    vllm_fill_defaults(s->model, s->machine, cards, n, &c.wish);
    law->wish = &c.wish;
    c.layout = (struct vllm_layout){.law = law,
                                    .machine = s->machine,
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
    vllm_cut(&c.layout);
    judge(s, &c);
    offer(s, &c);
    law->wish = s->wish;
    return true;
}

static bool alike(const struct device *a, const struct device *b)
{
    bool both = (a->rpc == NULL) == (b->rpc == NULL) && (!a->rpc || strcmp(a->rpc, b->rpc) == 0);
    return both && a->total_bytes == b->total_bytes && a->free_bytes == b->free_bytes &&
           a->cc_major == b->cc_major && a->cc_minor == b->cc_minor &&
           a->bandwidth_gbs == b->bandwidth_gbs && a->nvlink == b->nvlink;
}

/* Every order of the groups of one stage each, equal groups not twice. */
static bool try_orders(struct vllm_search *s, struct vllm_law *law, uint8_t *cards, uint32_t n,
                       uint32_t tp, uint32_t pp, uint32_t fixed)
{
    if (fixed + 1 >= pp || pp > MAX_ORDERED_STAGES || s->wish->dp > 1)
        return try_order(s, law, cards, n, tp, pp);
    for (uint32_t g = fixed; g < pp; g++) {
        uint8_t order[VLLM_MAX_RANKS];
        bool seen = false;
        for (uint32_t e = fixed; e < g && !seen; e++) {
            seen = true;
            for (uint32_t k = 0; k < tp; k++)
                seen = seen && alike(&s->machine->devices[cards[e * tp + k]],
                                     &s->machine->devices[cards[g * tp + k]]);
        }
        if (seen)
            continue;
        memcpy(order, cards, n);
        memmove(order + (fixed + 1) * tp, cards + fixed * tp, (g - fixed) * tp);
        memcpy(order + fixed * tp, cards + g * tp, tp);
        if (!try_orders(s, law, order, n, tp, pp, fixed + 1))
            return false;
    }
    return true;
}

static bool asked(uint32_t wish, uint32_t value)
{
    return wish == 0 || wish == value;
}

/* All tp x pp over n cards. The first refusal is kept in why. */
static bool try_cards(struct vllm_search *s, uint8_t *cards, uint32_t n, uint32_t mask,
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
        struct vllm_law *law = law_for(s, tp, err);
        if (!law || !(w->as_command ? try_order(s, law, cards, n, tp, pp)
                                    : try_orders(s, law, cards, n, tp, pp, 0)))
            return false;
    }
    return true;
}

/* Larger cards first, so that those of one tensor parallel group are alike; else in the order
 * given. */
static void sort_cards(const struct machine *m, uint8_t *cards, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        for (uint32_t k = i; k > 0; k--) {
            const struct device *a = &m->devices[cards[k - 1]], *b = &m->devices[cards[k]];
            const char *ha = a->rpc ? a->rpc : "", *hb = b->rpc ? b->rpc : "";
            int host = strcmp(ha, hb);
            if (host < 0 || (host == 0 && a->total_bytes >= b->total_bytes))
                break;
            uint8_t swap = cards[k];
            cards[k] = cards[k - 1];
            cards[k - 1] = swap;
        }
    }
}

/* Of equal cards the first ones are taken: other sets of the same kind say nothing new. */
static bool is_first_of_its_kind(const struct vllm_search *s, uint32_t mask, uint32_t allowed)
{
    const struct machine *m = s->machine;
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t k = i + 1; k < m->n_devices && !(mask & (1u << i)) && (allowed & (1u << i));
             k++)
            if ((mask & (1u << k)) && alike(&m->devices[i], &m->devices[k]))
                return false;
    return true;
}

/* Beyond MAX_FREE_SUBSETS cards only the largest ones are taken together: a bound on time, not on
 * quality that was ever seen to matter. */
static bool is_largest(const struct vllm_search *s, uint32_t mask, uint32_t allowed)
{
    const struct machine *m = s->machine;
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t k = 0; k < m->n_devices && (mask & (1u << i)); k++)
            if ((allowed & ~mask & (1u << k)) &&
                m->devices[k].total_bytes > m->devices[i].total_bytes)
                return false;
    return true;
}

static bool search_sets(struct vllm_search *s, uint32_t allowed, struct err *why, struct err *err)
{
    const struct vllm_wish *w = s->wish;
    uint32_t n_allowed = (uint32_t)__builtin_popcount(allowed),
             all = (1u << s->machine->n_devices) - 1;
    for (uint32_t mask = 1; mask <= all; mask++) {
        uint8_t cards[VLLM_MAX_RANKS];
        uint32_t n = 0, count = (uint32_t)__builtin_popcount(mask);
        bool skip = (mask & ~allowed) || (w->max_gpus && count > w->max_gpus) ||
                    (w->spread && count < n_allowed);
        if (skip || !is_first_of_its_kind(s, mask, allowed) ||
            (n_allowed > MAX_FREE_SUBSETS && !is_largest(s, mask, allowed)))
            continue;
        for (uint32_t i = 0; i < s->machine->n_devices; i++)
            if (mask & (1u << i))
                cards[n++] = (uint8_t)i;
        sort_cards(s->machine, cards, n);
        if (!try_cards(s, cards, n, mask, why, err))
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
    for (uint32_t i = 0; i < need; i++) {
        cards[i] = w->cards_set ? w->cards[i] : (uint8_t)i;
        mask |= 1u << cards[i];
    }
    s->wish = &fixed;
    bool ok = try_cards(s, cards, (uint32_t)need, mask, &why, err);
    s->wish = w;
    if (ok && !s->found && err)
        *err = why;
    return ok && s->found;
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
    if (!search_sets(s, allowed, &why, err))
        return false;
    if (w->goal == GOAL_BALANCED && s->found) {
        /* the first pass found the fastest; the second takes the fewest cards within 10 % of it */
        s->most_ms = 1.1 * s->best.choice.decode_ms;
        s->found = s->found_second = false;
        s->candidates = 0;
        if (!search_sets(s, allowed, &why, err))
            return false;
    }
    if (!s->found && why.code == ERR_NONE)
        err_set(&why, ERR_2112, "no tensor and pipeline parallel sizes fit %u cards", n);
    if (!s->found && err)
        *err = why;
    return s->found;
}
