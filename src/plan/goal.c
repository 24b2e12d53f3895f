/* goal: the best choice for --goal, exact under the law and the speed model: every set, every cache type, every split. */
#include "plan/goal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { SPEED_CONTEXT = 8192, BALANCED_CONTEXT = 32768, STREAMS = 8, STREAM_CONTEXT = 4096, STEP = 256 };
#define BALANCED_SHARE 0.9 /* of the best speed */

/* Cache types that are tried where none was given. A coarser one has a price in quality: it must be so much faster (by
 * the layers it lets a fast card hold) to be taken. */
static const uint32_t kv_types[] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
static const double kv_worth[] = {1.0, 0.97, 0.90};
enum { N_TYPES = sizeof(kv_types) / sizeof(kv_types[0]) };

struct quest {
    struct placer *p;
    struct card_sets sets;
    double *score;      /* [sets.n]: best speed of each set at the short context, 0: not worked out */
    double rate[MACHINE_MAX_DEVICES]; /* least ns per byte of any layer on each card */
    double least_layer; /* bytes of the smallest layer */
    double all_layers;  /* bytes of all */
    struct placement best;
    bool found;
    uint32_t runner_mask;
    double runner_score;
};

static uint32_t trained(const struct placer *p)
{
    return p->model->hp.n_ctx_train ? p->model->hp.n_ctx_train : STREAM_CONTEXT;
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static double worth(const struct plan_wish *w, uint32_t type)
{
    bool given = (w->given & (GIVEN_TYPE_K | GIVEN_TYPE_V)) != 0;
    for (int i = 0; i < N_TYPES && !given; i++)
        if (kv_types[i] == type)
            return kv_worth[i];
    return 1.0;
}

static bool types_are_given(const struct plan_wish *w)
{
    return (w->given & (GIVEN_TYPE_K | GIVEN_TYPE_V)) != 0;
}

/* Keeps the better of what was found and this; the loser is remembered as the runner-up. */
static void offer(struct quest *q, const struct placement *pl)
{
    uint32_t cards = place_cards(pl), best = place_cards(&q->best);
    if (q->found && pl->score <= q->best.score) {
        if (pl->score > q->runner_score && cards != best) {
            q->runner_score = pl->score;
            q->runner_mask = cards;
        }
        return;
    }
    if (q->found && cards != best) {
        q->runner_score = q->best.score;
        q->runner_mask = best;
    }
    q->best = *pl;
    q->found = true;
}

/* Times and sizes that no split of a model under s can undercut. False: a card's speed is not known. */
static bool learn_rates(struct quest *q, const struct law_settings *s, struct err *err)
{
    struct placer *p = q->p;
    uint32_t n_layers = 0;
    double host_gbs = speed_host_gbs(&p->machine->host);
    struct arena_mark mark = arena_mark(p->arena);
    uint64_t *bytes = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    struct speed_work *work = arena_new(p->arena, struct speed_work);
    bool ok = bytes && work && law_layer_costs(p->model, p->machine, s, p->arena, bytes, &n_layers, err);
    q->all_layers = 0;
    q->least_layer = 0;
    if (ok)
        speed_work_make(p->model, s, s->flash == FLASH_ON, NULL, work);
    for (uint32_t c = 0; c < p->machine->n_devices; c++)
        q->rate[c] = 0;
    for (uint32_t l = 0; ok && l < n_layers; l++) {
        double b = (double)bytes[l];
        q->all_layers += b;
        if (b > 0 && (q->least_layer == 0 || b < q->least_layer))
            q->least_layer = b;
        for (uint32_t c = 0; b > 0 && c < p->machine->n_devices; c++) {
            double ns = speed_layer_ns(speed_coefs, work, l, &p->cards[c], host_gbs, 0) / b;
            if (ns > 0 && (q->rate[c] == 0 || ns < q->rate[c]))
                q->rate[c] = ns;
        }
    }
    arena_rewind(p->arena, mark);
    return ok;
}

/* Tokens that a pass over all layers gives at most: those drafted are checked together. */
static double most_tokens(const struct quest *q)
{
    const struct plan_wish *w = q->p->wish;
    bool counts = w->speculation == SPEC_DRAFT || w->speculation == SPEC_NEXTN;
    return counts ? speculation_tokens(speculation_rate(w->speculation)->likely, w->drafted) : 1;
}

/* No split of this set can take less time: layers as if they could be cut anywhere, the cards that are quickest per
 * byte filled first, one least layer on every other card. 0: no bound is known. */
static double bound_ns(const struct quest *q, uint32_t mask)
{
    const struct machine *m = q->p->machine;
    double left = q->all_layers, ns = 0;
    bool draft = q->p->wish->draft; /* may have a card to itself */
    uint32_t open = mask, n_cards = (uint32_t)__builtin_popcount(mask);
    while (open) {
        int quickest = -1;
        for (uint32_t c = 0; c < m->n_devices; c++)
            if ((open & (1u << c)) && (quickest < 0 || q->rate[c] < q->rate[quickest]))
                quickest = (int)c;
        open &= ~(1u << quickest);
        if (q->rate[quickest] == 0)
            return 0;
        double others = draft ? 0 : (double)__builtin_popcount(open) * q->least_layer;
        double room = (double)m->devices[quickest].free_bytes;
        double take = left - others < room ? left - others : room;
        take = draft || take > q->least_layer ? take : q->least_layer;
        ns += take * q->rate[quickest];
        left = left > take ? left - take : 0;
    }
    return left > 0 ? 0 : (ns + (draft ? 0 : n_cards - 1) * speed_hop_ns(speed_coefs)) / most_tokens(q);
}

/* True when the set can neither win nor come second. */
static bool ruled_out(const struct quest *q, uint32_t mask, double streams)
{
    double ns = bound_ns(q, mask);
    return q->runner_mask && ns > 0 && streams * 1e9 / ns <= q->runner_score;
}

/* A combination that the search made up and the engine refuses is no candidate; what the person set is an error. */
static bool is_no_candidate(const struct quest *q, struct err *err)
{
    if (types_are_given(q->p->wish) || err_kind(err->code) != ERR_KIND_USAGE)
        return false;
    *err = (struct err){0};
    return true;
}

static bool fastest_on(struct quest *q, uint32_t mask, const struct law_settings *s, uint32_t streams,
                       struct placement *out, struct err *err)
{
    struct err quiet = {0};
    out->fits = false;
    if (!place_may_fit(q->p, mask, s, &quiet)) {
        if (quiet.code == ERR_NONE || is_no_candidate(q, &quiet))
            return true;
        *err = quiet;
        return false;
    }
    uint32_t depth = s->n_ctx / streams / 2; /* half full: the middle of a conversation */
    if (!place_fastest(q->p, mask, s, streams, streams > 1 ? depth : 0, out, err)) {
        out->fits = false;
        return is_no_candidate(q, err);
    }
    struct placement counted = *out; /* a coarser cache saves room; that it also saves time is not counted on */
    counted.s.type_k = counted.s.type_v = GGUF_TYPE_F16;
    out->score = worth(q->p->wish, s->type_k) * place_rate(q->p, &counted, depth, streams);
    return true;
}

/* The fastest placement over all sets and cache types. */
static bool fastest(struct quest *q, const struct law_settings *s, uint32_t streams, struct err *err)
{
    uint32_t n_types = types_are_given(q->p->wish) ? 1 : N_TYPES;
    for (uint32_t t = 0; t < n_types; t++) {
        struct law_settings with = *s;
        if (n_types > 1)
            with.type_k = with.type_v = kv_types[t];
        if (!learn_rates(q, &with, err)) {
            if (is_no_candidate(q, err))
                continue;
            return false;
        }
        for (uint32_t i = 0; i < q->sets.n; i++) {
            struct placement pl;
            if (ruled_out(q, q->sets.mask[i], streams * worth(q->p->wish, with.type_k)))
                continue;
            if (!fastest_on(q, q->sets.mask[i], &with, streams, &pl, err))
                return false;
            if (pl.fits && pl.score > q->score[i])
                q->score[i] = pl.score;
            if (pl.fits)
                offer(q, &pl);
        }
    }
    return true;
}

static bool choose_speed(struct quest *q, struct law_settings *s, uint32_t streams, struct err *err)
{
    q->p->best.objective = streams > 1 ? "throughput_tps" : "decode_tps";
    return fastest(q, s, streams, err);
}

/* Largest context on one set whose fastest split still reaches `least` tokens per second. Both what must fit and the
 * time of the fastest split only grow with the context, so halving finds it. */
static bool largest_fast_context(struct quest *q, uint32_t mask, const struct law_settings *s, uint32_t most,
                                 double least, struct placement *out, struct err *err)
{
    uint32_t low = 0, high = most / STEP;
    struct law_settings t = *s;
    out->fits = false;
    while (low < high) {
        struct placement pl;
        uint32_t mid = low + (high - low + 1) / 2;
        if (low == 0 && mid != high && high == most / STEP)
            mid = high; /* most often all of it fits */
        t.n_ctx = mid * STEP;
        if (!fastest_on(q, mask, &t, 1, &pl, err))
            return false;
        if (pl.fits && pl.score >= least) {
            *out = pl;
            low = mid;
        } else {
            high = mid - 1;
        }
    }
    return true;
}

/* Every set's largest context that is fast enough, with one cache type. */
static bool widest_of_type(struct quest *q, struct quest *wide, const struct law_settings *t, uint32_t most,
                           struct err *err)
{
    double least = BALANCED_SHARE * q->best.score;
    for (uint32_t i = 0; i < q->sets.n; i++) {
        struct placement pl;
        double ns = bound_ns(q, q->sets.mask[i]);
        double reach = q->score[i] > 0 ? q->score[i] : ns > 0 ? 1e9 / ns : 0;
        bool whole = wide->found && wide->best.law.n_ctx >= most;
        if (reach > 0 && (reach < least || (whole && reach <= (wide->best.score - wide->best.law.n_ctx) * 1e6)))
            continue;
        if (!largest_fast_context(q, q->sets.mask[i], t, most, least, &pl, err))
            return false;
        if (!pl.fits)
            continue;
        pl.score = pl.law.n_ctx + pl.score * 1e-6; /* of equal contexts the faster */
        offer(wide, &pl);
    }
    return true;
}

static bool choose_balanced(struct quest *q, struct law_settings *s, struct err *err)
{
    uint32_t most = q->p->wish->given & GIVEN_CTX ? s->n_ctx : at_most(trained(q->p), BALANCED_CONTEXT);
    struct law_settings t = *s;
    t.n_ctx = at_most(s->n_ctx, at_most(trained(q->p), SPEED_CONTEXT));
    q->p->best.objective = "decode_tps";
    if (!fastest(q, q->p->wish->given & GIVEN_CTX ? s : &t, 1, err) || !q->found)
        return err->code == ERR_NONE;
    if (q->p->wish->given & GIVEN_CTX)
        return true;
    struct quest wide = {.p = q->p, .sets = q->sets, .score = q->score};
    uint32_t n_types = types_are_given(q->p->wish) ? 1 : N_TYPES;
    q->p->best.objective = "context";
    for (uint32_t type = 0; type < n_types; type++) {
        if (n_types > 1)
            t.type_k = t.type_v = kv_types[type];
        if (!widest_of_type(q, &wide, &t, most, err))
            return false;
    }
    if (wide.found)
        *q = wide;
    return true;
}

/* Of the sets that reach the largest context, the fastest; where no speed is known, the fewest cards. */
static bool fastest_at_largest(struct quest *q, const struct law_settings *s, struct err *err)
{
    struct quest fast = {.p = q->p, .sets = q->sets, .score = q->score};
    struct law_settings t = *s;
    double largest = q->best.score;
    t.n_ctx = q->best.s.n_ctx;
    t.type_k = q->best.s.type_k;
    t.type_v = q->best.s.type_v;
    for (uint32_t i = 0; i < q->sets.n; i++) {
        struct placement pl;
        if (!fastest_on(q, q->sets.mask[i], &t, 1, &pl, err))
            return false;
        if (pl.fits && pl.law.n_ctx >= q->best.law.n_ctx)
            offer(&fast, &pl);
    }
    if (fast.found)
        q->best = fast.best;
    q->best.score = largest;
    return true;
}

/* All sets, the larger first: a smaller one can only win where its cards' compute buffers are what is missing. */
static bool choose_context(struct quest *q, struct law_settings *s, struct err *err)
{
    uint32_t n_types = types_are_given(q->p->wish) ? 1 : N_TYPES;
    q->p->best.objective = "context";
    for (uint32_t t = 0; t < n_types; t++) {
        struct law_settings with = *s;
        if (n_types > 1)
            with.type_k = with.type_v = kv_types[t];
        for (uint32_t i = q->sets.n; i-- > 0;) {
            struct placement pl;
            struct err quiet = {0};
            uint32_t least = q->found ? (uint32_t)q->best.score + STEP : q->p->wish->min_context;
            if (least > trained(q->p))
                break;
            if (!place_largest(q->p, q->sets.mask[i], &with, least, trained(q->p), &pl, &quiet)) {
                if (quiet.code == ERR_NONE || is_no_candidate(q, &quiet))
                    continue;
                *err = quiet;
                return false;
            }
            pl.score = pl.law.n_ctx;
            offer(q, &pl);
        }
        if (q->found && q->best.score >= trained(q->p))
            break;
    }
    return !q->found || fastest_at_largest(q, s, err);
}

static void settle(struct quest *q, struct placement *out)
{
    struct plan_optimality *b = &q->p->best;
    b->proved = !q->sets.truncated;
    out->fits = q->found;
    if (!q->found)
        return;
    *out = q->best;
    bool whole = strcmp(b->objective, "context") == 0; /* a small part of the score told equal contexts apart */
    b->best = whole ? (double)(uint64_t)q->best.score : q->best.score;
    if (q->runner_mask) {
        b->runner_up = place_set_name(q->p, q->runner_mask);
        b->runner_up_value = whole ? (double)(uint64_t)q->runner_score : q->runner_score;
    }
}

bool goal_choose(struct placer *p, const struct law_settings *settings, struct placement *out,
                 struct err *err)
{
    struct quest q = {.p = p};
    struct law_settings s = *settings;
    uint32_t most = sets_most_cards(p);
    bool ctx_given = p->wish->given & GIVEN_CTX, ok = false;
    if (!sets_make(p, p->wish->spread ? most : 1, most, &q.sets))
        return err_set(err, ERR_1201, "no memory for the sets of cards");
    q.score = arena_array(p->arena, double, q.sets.n ? q.sets.n : 1);
    if (!q.score)
        return err_set(err, ERR_1201, "no memory for the sets of cards");
    switch (p->wish->goal) {
    case GOAL_SPEED:
        if (!ctx_given)
            s.n_ctx = at_most(trained(p), SPEED_CONTEXT);
        ok = choose_speed(&q, &s, 1, err);
        break;
    case GOAL_THROUGHPUT:
        if (!(p->wish->given & GIVEN_PARALLEL)) {
            s.n_seq_max = STREAMS;
            place_outputs(s.n_outputs_per_seq ? s.n_outputs_per_seq - 1 : 0, &s);
        }
        if (!ctx_given)
            s.n_ctx = s.n_seq_max * at_most(trained(p), STREAM_CONTEXT);
        ok = choose_speed(&q, &s, s.n_seq_max > 1 ? s.n_seq_max : 1, err);
        break;
    case GOAL_CONTEXT: ok = choose_context(&q, &s, err); break;
    default: ok = choose_balanced(&q, &s, err); break;
    }
    if (ok)
        settle(&q, out);
    return ok;
}
