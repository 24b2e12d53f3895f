/* brute: the best plan of a small case, found by working out every one of them under the same law
 * and speed model. */
#include "brute.h"

#include <math.h>
#include <string.h>

#include "plan/budget.h"

enum {
    STEP = 256,
    USEFUL = 4096,
    TARGET = 32768,
    SHORT = 8192,
    STREAMS = 8,
    STREAM_CONTEXT = 4096,
    N_TYPES = 3
};

static const uint32_t types[N_TYPES] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
static const double worths[N_TYPES] = {1.0, 0.97, 0.90};

struct trial {
    uint32_t mask;
    struct law_settings s;
    struct law_result law;
    bool fits;
    double tps; /* what the goal's speed counts, cache type weighed; 0 unknown */
};

struct brute {
    const struct small_case *c;
    struct arena scratch;
    struct speed_card cards[MACHINE_MAX_DEVICES]; /* of the machine */
    struct err *err;
    struct brute_value best;
    double least; /* what balanced asks of a plan, tokens per second */
    uint32_t n_fit;
    bool failed;
    void (*seen)(struct brute *, const struct trial *);
};

static uint32_t at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool types_given(const struct brute *b)
{
    return b->c->wish.given & (GIVEN_TYPE_K | GIVEN_TYPE_V);
}

static int type_index(uint32_t type)
{
    for (int i = 0; i < N_TYPES; i++)
        if (types[i] == type)
            return i;
    return 0;
}

static void pick_cards(const struct small_case *c, uint32_t mask, struct machine *out)
{
    *out = (struct machine){.host = c->machine.host};
    for (uint32_t i = 0; i < c->machine.n_devices; i++)
        if (mask & (1u << i))
            out->devices[out->n_devices++] = c->machine.devices[i];
}

static bool holds(const struct small_case *c, const struct machine *sub, const struct trial *t)
{
    for (uint32_t i = 0; i < sub->n_devices; i++) {
        const struct law_bytes *b = &t->law.device[i].bytes;
        uint64_t need =
            b->weights + (uint64_t)(c->wish.kv_cache_factor * (double)b->kv) + b->compute;
        need += i == 0 ? c->wish.projector_bytes : 0;
        uint64_t runtime =
            plan_runtime_estimate(&sub->devices[i], t->s.split, sub->n_devices).bytes;
        if (need && need > budget_room(&c->wish, &sub->devices[i], runtime))
            return false;
    }
    return true;
}

static uint32_t streams_of(const struct brute *b, const struct law_settings *s)
{
    return b->c->wish.goal == GOAL_THROUGHPUT && s->n_seq_max > 1 ? s->n_seq_max : 1;
}

/* A coarser cache is counted as if it took the time of f16, and has its price in quality. A set
 * with a card whose speed is unknown has none. */
static double speed_of(const struct brute *b, const struct machine *sub, const struct trial *t)
{
    struct speed speed;
    struct speed_card cards[MACHINE_MAX_DEVICES];
    for (uint32_t i = 0, n = 0; i < b->c->machine.n_devices; i++) {
        if (!(t->mask & (1u << i)))
            continue;
        cards[n++] = b->cards[i];
        if (b->cards[i].read_gbs <= 0)
            return 0;
    }
    struct law_settings counted = t->s;
    uint32_t n = streams_of(b, &t->s);
    counted.type_k = counted.type_v = GGUF_TYPE_F16;
    struct speed_case in = {.model = &b->c->model,
                            .machine = sub,
                            .settings = &counted,
                            .placement = &t->law,
                            .cards = cards,
                            .streams = n,
                            .depth = n > 1 ? t->s.n_ctx / n / 2 : 0};
    if (!speed_estimate(&in, &speed))
        return 0;
    double worth = types_given(b) ? 1.0 : worths[type_index(t->s.type_k)];
    return worth * (n > 1 ? speed.throughput.tps : speed.decode.tps);
}

static void work_out(struct brute *b, struct trial *t)
{
    struct machine sub;
    pick_cards(b->c, t->mask, &sub);
    struct err err = {0};
    t->fits = false;
    if (!law_estimate(&b->c->model, &sub, &t->s, &b->scratch, &t->law, &err)) {
        b->failed = b->failed || types_given(b);
        *b->err = err;
        return;
    }
    t->fits = holds(b->c, &sub, t);
    t->tps = t->fits ? speed_of(b, &sub, t) : 0;
}

static void try(struct brute *b, struct trial *t)
{
    work_out(b, t);
    b->n_fit += t->fits;
    if (t->fits)
        b->seen(b, t);
}

static void cut(struct brute *b, struct trial *t, uint32_t card, uint32_t n_cards, uint32_t left,
                bool empty)
{
    if (card + 1 == n_cards) {
        t->s.tensor_split[card] = left;
        try(b, t);
        return;
    }
    uint32_t least = empty ? 0 : 1, behind = empty ? 0 : n_cards - card - 1;
    for (uint32_t take = least; take + behind <= left; take++) {
        t->s.tensor_split[card] = take;
        cut(b, t, card + 1, n_cards, left - take, empty);
    }
}

/* Every split of one set. With --spread a card may stay empty where nothing fits that uses all. */
static void every_split(struct brute *b, uint32_t mask, const struct law_settings *s)
{
    struct trial t = {.mask = mask, .s = *s};
    uint32_t n = (uint32_t)__builtin_popcount(mask), before = b->n_fit;
    t.s.split = n > 1 ? SPLIT_LAYER : SPLIT_NONE;
    t.s.n_tensor_split = n > 1 ? n : 0;
    if (b->c->wish.given & GIVEN_TENSOR_SPLIT) {
        try(b, &t);
        return;
    }
    uint32_t units = t.s.n_gpu_layers >= 0 ? (uint32_t)t.s.n_gpu_layers : b->c->model.n_layers + 1;
    if (units >= n)
        cut(b, &t, 0, n, units, false);
    if (units < n || (b->c->wish.spread && b->n_fit == before))
        cut(b, &t, 0, n, units, true);
}

static uint32_t most_cards(const struct small_case *c)
{
    return c->wish.max_gpus ? at_most(c->wish.max_gpus, c->machine.n_devices)
                            : c->machine.n_devices;
}

static bool may_use(const struct small_case *c, uint32_t mask)
{
    uint32_t n = (uint32_t)__builtin_popcount(mask);
    if (c->wish.given & GIVEN_TENSOR_SPLIT)
        return n == c->machine.n_devices;
    return n <= most_cards(c) && (!c->wish.spread || n == most_cards(c));
}

/* Every set, cache type and split with these settings, for contexts from least to most. */
static void every_plan(struct brute *b, const struct law_settings *s, uint32_t least, uint32_t most,
                       bool open_type)
{
    uint32_t sets = 1u << b->c->machine.n_devices;
    for (uint32_t mask = 1; mask < sets && !b->failed; mask++)
        for (int t = 0; may_use(b->c, mask) && t < (open_type && !types_given(b) ? N_TYPES : 1);
             t++)
            for (uint32_t ctx = least; ctx <= most; ctx += STEP) {
                struct law_settings with = *s;
                with.n_ctx = ctx;
                if (open_type && !types_given(b))
                    with.type_k = with.type_v = types[t];
                every_split(b, mask, &with);
            }
}

static void keep(struct brute *b, const struct brute_value *v)
{
    for (int i = 0; i < BRUTE_KEYS && b->best.fits; i++) {
        double slack = 1e-12 * (fabs(v->key[i]) + fabs(b->best.key[i]));
        if (v->key[i] < b->best.key[i] - slack)
            return;
        if (v->key[i] > b->best.key[i] + slack)
            break;
    }
    b->best = *v;
}

static void value_speed(struct brute *b, const struct trial *t)
{
    keep(b, &(struct brute_value){true, {t->tps}});
}

static void value_context(struct brute *b, const struct trial *t)
{
    double type = types_given(b) ? 0 : type_index(t->s.type_k);
    keep(b, &(struct brute_value){
                true, {t->law.n_ctx, -type, t->tps}
    });
}

static void value_given(struct brute *b, const struct trial *t)
{
    keep(b, &(struct brute_value){true, {t->law.n_ctx}});
}

static void value_balanced(struct brute *b, const struct trial *t)
{
    if (t->tps >= b->least * (1 - 1e-12))
        keep(b, &(struct brute_value){
                    true, {t->law.n_ctx, t->tps}
        });
}

static void value_cards(struct brute *b, const struct trial *t)
{
    keep(b, &(struct brute_value){
                true, {-(double)__builtin_popcount(t->mask), t->law.n_ctx}
    });
}

/* Nothing holds the target: the finest cache that still gives a useful context, then the largest
 * context. */
static void value_shrunk(struct brute *b, const struct trial *t)
{
    double type = types_given(b) ? 0 : type_index(t->s.type_k);
    uint32_t target = at_most(b->c->model.hp.n_ctx_train, b->c->wish.ctx_max ? UINT32_MAX : TARGET);
    bool useful = t->s.n_ctx >= at_most(target, USEFUL);
    keep(b, &(struct brute_value){
                true, {useful, -type, t->law.n_ctx, -(double)__builtin_popcount(t->mask)}
    });
}

static void goalless(struct brute *b, const struct law_settings *s, bool open)
{
    uint32_t trained = b->c->model.hp.n_ctx_train;
    uint32_t target = open ? at_most(trained, b->c->wish.ctx_max ? trained : TARGET) : s->n_ctx;
    b->seen = value_cards;
    every_plan(b, s, target, target, false);
    if (b->best.fits || !open)
        return;
    b->seen = value_shrunk;
    every_plan(b, s, STEP, target, true);
}

static void balanced(struct brute *b, const struct law_settings *s, bool open)
{
    uint32_t trained = b->c->model.hp.n_ctx_train,
             first = open ? at_most(trained, SHORT) : s->n_ctx;
    b->seen = value_speed;
    every_plan(b, s, first, first, true);
    if (!open || !b->best.fits)
        return;
    b->least = 0.9 * b->best.key[0];
    b->best = (struct brute_value){0};
    b->seen = value_balanced;
    every_plan(b, s, first, at_most(trained, TARGET), true);
}

/* s is left as the goal fills it. */
static void with_goal(struct brute *b, struct law_settings *s, bool open)
{
    uint32_t trained = b->c->model.hp.n_ctx_train;
    switch (b->c->wish.goal) {
    case GOAL_CONTEXT:
        b->seen = value_context;
        every_plan(b, s, open ? STEP : s->n_ctx, open ? trained / STEP * STEP : s->n_ctx, true);
        return;
    case GOAL_BALANCED: balanced(b, s, open); return;
    case GOAL_THROUGHPUT:
        if (!(b->c->wish.given & GIVEN_PARALLEL))
            s->n_seq_max = s->n_outputs_max = STREAMS;
        if (open)
            s->n_ctx = s->n_seq_max * at_most(trained, STREAM_CONTEXT);
        break;
    default:
        if (open)
            s->n_ctx = at_most(trained, SHORT);
    }
    b->seen = value_speed;
    every_plan(b, s, s->n_ctx, s->n_ctx, true);
}

/* Leaves b->seen as the eyes with which the choice is to be judged. */
static void best_of_all(struct brute *b)
{
    const struct plan_wish *w = &b->c->wish;
    struct law_settings s = w->s;
    bool open = !(w->given & GIVEN_CTX);
    uint32_t trained = b->c->model.hp.n_ctx_train;
    s.flash = FLASH_ON;
    if (w->given & GIVEN_TENSOR_SPLIT) {
        b->seen = value_given;
        every_plan(b, &s, open ? STEP : s.n_ctx, open ? trained / STEP * STEP : s.n_ctx, false);
        return;
    }
    if (w->goal == GOAL_FEWEST) {
        goalless(b, &s, open);
        return;
    }
    with_goal(b, &s, open);
    if (b->best.fits || b->failed)
        return;
    s = w->s;
    s.flash = FLASH_ON;
    goalless(b, &s, open);
}

bool brute_compare(const struct small_case *c, const struct plan *p, struct brute_value *best,
                   struct brute_value *plan, struct err *err)
{
    struct brute b = {.c = c, .err = err};
    for (uint32_t i = 0; i < c->machine.n_devices; i++)
        speed_card_make(speed_coefs, &c->machine.devices[i], &b.cards[i]);
    best_of_all(&b);
    *best = b.best;
    bool ok = !b.failed;
    if (ok && p) {
        struct trial t = {.mask = p->placed_mask, .s = p->settings};
        b.best = (struct brute_value){0};
        work_out(&b, &t);
        if (t.fits)
            b.seen(&b, &t);
        *plan = b.best;
    }
    arena_finish(&b.scratch);
    return ok;
}

static void value_any(struct brute *b, const struct trial *t)
{
    (void)t;
    b->best.fits = true;
}

int brute_host_layers(const struct small_case *c, uint32_t mask, const struct law_settings *s,
                      struct err *err)
{
    struct brute b = {.c = c, .err = err, .seen = value_any};
    struct law_settings with = *s;
    bool moe = c->model.hp.n_expert > 0;
    int n = (int)c->model.n_layers, found = -1;
    for (int k = 1; k <= n + !moe && found < 0; k++) {
        if (moe)
            with.n_cpu_moe = (uint32_t)k;
        else
            with.n_gpu_layers = n + 1 - k;
        every_split(&b, mask, &with);
        found = b.best.fits ? k : -1;
    }
    arena_finish(&b.scratch);
    return found;
}
