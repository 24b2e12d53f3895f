/* goal: the best choice for --goal, exact under the law and the speed model: every set, cache type
 * and split. */
#include "plan/goal.h"

#include <math.h>
#include <stdlib.h>

enum {
    SPEED_CONTEXT = 8192,
    BALANCED_CONTEXT = 32768,
    STREAMS = 8,
    STREAM_CONTEXT = 4096,
    STEP = 256
};
#define BALANCED_SHARE 0.9 /* of the best speed */

/* Cache types that are tried where none was given. A coarser one has a price in quality: it must be
 * so much faster (by the layers it lets a fast card hold) to be taken. */
static const uint32_t kv_types[] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
static const double kv_worth[] = {1.0, 0.97, 0.90};
enum { N_TYPES = sizeof(kv_types) / sizeof(kv_types[0]) };

struct quest {
    struct placer *p;
    struct card_sets sets;
    double floor;                     /* what is slower than this does not count */
    uint32_t except;                  /* a set that is left out, 0 none */
    double rate[MACHINE_MAX_DEVICES]; /* least ns per byte of any layer on each card */
    double least_layer;               /* bytes of the smallest layer */
    double all_layers;                /* bytes of all */
    struct placement best;
    double tie; /* tells plans of equal score apart */
    bool found;
    uint32_t runner_mask;
    double runner_score, runner_tie;
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

static bool is_better(double score, double tie, double than, double than_tie)
{
    return score > than || (score == than && tie > than_tie);
}

/* Keeps the better of what was found and this; the better loser is remembered as the runner-up. */
static void offer(struct quest *q, const struct placement *pl, double tie)
{
    bool wins = !q->found || is_better(pl->score, tie, q->best.score, q->tie);
    uint32_t cards = place_cards(pl), best = place_cards(&q->best);
    double score = wins ? q->best.score : pl->score, loser_tie = wins ? q->tie : tie;
    if (q->found && cards != best &&
        (wins || !q->runner_mask || is_better(score, loser_tie, q->runner_score, q->runner_tie))) {
        q->runner_mask = wins ? best : cards;
        q->runner_score = score;
        q->runner_tie = loser_tie;
    }
    if (!wins)
        return;
    q->best = *pl;
    q->tie = tie;
    q->found = true;
}

/* Times and sizes that no split of a model under s can undercut. False: a card's speed is not
 * known. */
static bool learn_rates(struct quest *q, const struct law_settings *s, struct err *err)
{
    struct placer *p = q->p;
    uint32_t n_layers = 0;
    double host_gbs = speed_host_gbs(&p->machine->host);
    struct arena_mark mark = arena_mark(p->arena);
    uint64_t *bytes = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    struct speed_work *work = arena_new(p->arena, struct speed_work);
    bool ok =
        bytes && work && law_layer_costs(p->model, p->machine, s, p->arena, bytes, &n_layers, err);
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

/* No split of this set can take less time for a token: layers as if they could be cut anywhere, the
 * cards that are quickest per byte filled first, one least layer on every other card. 0: no bound
 * is known. */
static double bound_ns(const struct quest *q, uint32_t mask, uint32_t streams)
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
    ns += (draft ? 0 : n_cards - 1) * speed_hop_ns(speed_coefs);
    return left > 0 ? 0 : ns / place_pass_tokens(q->p, streams);
}

/* A combination that the search made up and the engine refuses is no candidate; what the person set
 * is an error. */
static bool is_no_candidate(const struct quest *q, struct err *err)
{
    if (types_are_given(q->p->wish) || err_kind(err->code) != ERR_KIND_USAGE)
        return false;
    *err = (struct err){0};
    return true;
}

static bool fastest_on(struct quest *q, uint32_t mask, const struct law_settings *s,
                       uint32_t streams, struct placement *out, struct err *err)
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
    out->score = worth(q->p->wish, s->type_k) * place_rate(q->p, out, depth, streams);
    return true;
}

/* A set with a cache type, and what it can reach at most. */
struct prospect {
    uint32_t set, type;
    double reach;
};

static int by_reach(const void *a, const void *b)
{
    const struct prospect *x = a, *y = b;
    if (x->reach != y->reach)
        return x->reach > y->reach ? -1 : 1;
    return x->set != y->set ? (x->set < y->set ? -1 : 1) : (int)x->type - (int)y->type;
}

static struct law_settings with_type(const struct law_settings *s, uint32_t type, uint32_t n_types)
{
    struct law_settings with = *s;
    if (n_types > 1)
        with.type_k = with.type_v = kv_types[type];
    return with;
}

/* All sets with all cache types, the most promising first. NULL: err says why. */
static struct prospect *list_prospects(struct quest *q, const struct law_settings *s,
                                       uint32_t n_types, uint32_t streams, uint32_t *n,
                                       struct err *err)
{
    struct prospect *all = arena_array(q->p->arena, struct prospect, q->sets.n * N_TYPES + 1);
    *n = 0;
    if (!all) {
        err_set(err, ERR_1201, "no memory for the sets of cards");
        return NULL;
    }
    for (uint32_t t = 0; t < n_types; t++) {
        struct law_settings with = with_type(s, t, n_types);
        if (!learn_rates(q, &with, err)) {
            if (is_no_candidate(q, err))
                continue;
            return NULL;
        }
        for (uint32_t i = 0; i < q->sets.n; i++) {
            if (q->sets.mask[i] == q->except)
                continue;
            double ns = bound_ns(q, q->sets.mask[i], streams);
            double reach = ns > 0 ? worth(q->p->wish, with.type_k) * streams * 1e9 / ns : INFINITY;
            all[(*n)++] = (struct prospect){i, t, reach};
        }
    }
    qsort(all, *n, sizeof(*all), by_reach);
    return all;
}

/* Neither the winner nor the second can be among sets that reach this little. */
static bool is_beaten(const struct quest *q, double reach)
{
    return reach < q->floor || (q->runner_mask && reach < q->runner_score * (1 - 1e-9));
}

/* What the set can reach by what like splits have taught; never more than was thought before. */
static bool look_closer(struct quest *q, const struct law_settings *s, uint32_t streams,
                        struct prospect *pr, struct err *err)
{
    double ns;
    uint32_t mask = q->sets.mask[pr->set], depth = streams > 1 ? s->n_ctx / streams / 2 : 0;
    if (!place_least_ns(q->p, mask, s, streams, depth, &ns, err))
        return is_no_candidate(q, err);
    double reach = ns > 0 ? worth(q->p->wish, s->type_k) * streams * 1e9 / ns : INFINITY;
    pr->reach = reach < pr->reach ? reach : pr->reach;
    return true;
}

/* The fastest placement over all sets and cache types: of equal ones the fewest cards and the
 * finest cache. */
static bool fastest(struct quest *q, const struct law_settings *s, uint32_t streams, bool open_type,
                    struct err *err)
{
    uint32_t n, n_types = types_are_given(q->p->wish) || !open_type ? 1 : N_TYPES;
    struct prospect *all = list_prospects(q, s, n_types, streams, &n, err);
    if (!all)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct prospect *pr = &all[i];
        struct law_settings with = with_type(s, pr->type, n_types);
        struct placement pl;
        bool beaten = is_beaten(q, pr->reach);
        if (!beaten && !look_closer(q, &with, streams, pr, err))
            return false;
        if (!beaten && !is_beaten(q, pr->reach)) {
            if (!fastest_on(q, q->sets.mask[pr->set], &with, streams, &pl, err))
                return false;
            if (pl.fits && pl.score >= q->floor)
                offer(q, &pl, -(double)(pr->set * N_TYPES + pr->type));
        }
    }
    return true;
}

/* Sets p->doubt where a draft over several cards other than the model's, which was not looked at,
 * may be faster than what was found. */
static bool weigh_other_places(struct quest *q, const struct law_settings *s, uint32_t streams,
                               struct err *err)
{
    uint32_t n_types = types_are_given(q->p->wish) ? 1 : N_TYPES;
    uint32_t depth = streams > 1 ? s->n_ctx / streams / 2 : 0;
    for (uint32_t i = 0; i < q->sets.n * n_types && !q->p->doubt; i++) {
        struct law_settings with = with_type(s, i % n_types, n_types);
        double best = q->found ? q->best.score : 1e-9;
        double than_ns = worth(q->p->wish, with.type_k) * streams * 1e9 / best;
        if (!place_elsewhere_faster(q->p, q->sets.mask[i / n_types], &with, streams, depth, than_ns,
                                    &q->p->doubt, err) &&
            !is_no_candidate(q, err))
            return false;
    }
    return true;
}

static bool choose_speed(struct quest *q, struct law_settings *s, uint32_t streams, struct err *err)
{
    q->p->best.objective = streams > 1 ? "throughput_tps" : "decode_tps";
    return fastest(q, s, streams, true, err) &&
           (!place_draft_open(q->p) || weigh_other_places(q, s, streams, err)) &&
           (!q->found ||
            place_evener(q->p, &q->best, streams, streams > 1 ? s->n_ctx / streams / 2 : 0, err));
}

/* The fastest plan at the largest context at which one is no slower than q->floor. Both what must
 * fit and the time of the fastest split only grow with the context, so halving finds it. */
static bool widest(struct quest *q, const struct law_settings *s, uint32_t least, uint32_t most,
                   struct err *err)
{
    uint32_t low = least / STEP, high = most / STEP;
    while (low <= high) {
        struct quest at = {.p = q->p, .sets = q->sets, .floor = q->floor, .except = q->except};
        struct law_settings t = *s;
        uint32_t mid =
            high == most / STEP ? high : low + (high - low) / 2; /* most often all of it fits */
        t.n_ctx = mid * STEP;
        if (!fastest(&at, &t, 1, true, err))
            return false;
        if (at.found) {
            *q = at;
            low = mid + 1;
        } else {
            high = mid - 1;
        }
    }
    return true;
}

/* Where the context is what counts: the second best, if it is not as good as the best. */
static void take_runner(struct quest *q, const struct quest *second)
{
    q->runner_mask = second->found ? place_cards(&second->best) : 0;
    q->runner_score = second->best.score;
}

static bool choose_balanced(struct quest *q, struct law_settings *s, struct err *err)
{
    bool given = q->p->wish->given & GIVEN_CTX;
    uint32_t most = at_most(trained(q->p), BALANCED_CONTEXT);
    struct law_settings t = *s;
    if (!given)
        t.n_ctx = at_most(trained(q->p), SPEED_CONTEXT);
    if (!choose_speed(q, &t, 1, err))
        return false;
    if (!q->found || given || t.n_ctx + STEP > most)
        return true;
    double floor = BALANCED_SHARE * q->best.score;
    struct quest wide = {.p = q->p, .sets = q->sets, .floor = floor};
    if (!widest(&wide, &t, t.n_ctx, most, err))
        return false;
    if (!wide.found)
        return true;
    struct quest second = {
        .p = q->p, .sets = q->sets, .floor = floor, .except = place_cards(&wide.best)};
    if (!wide.runner_mask && !widest(&second, &t, t.n_ctx, wide.best.s.n_ctx, err))
        return false;
    uint32_t runner = wide.runner_mask;
    *q = wide;
    q->p->best.objective = "context";
    if (!place_evener(q->p, &q->best, 1, 0, err))
        return false;
    q->best.score = q->best.law.n_ctx;
    q->p->doubt = q->p->doubt || (place_draft_open(q->p) && q->best.s.n_ctx + STEP <= most);
    q->runner_score = q->best.score;
    second.best.score = second.best.law.n_ctx;
    if (!runner)
        take_runner(q, &second);
    return true;
}

/* The largest context of all sets and the finest cache that reaches it; the larger sets first, for
 * a smaller one can only win where its cards' compute buffers are what is missing. */
static bool largest(struct quest *q, const struct law_settings *s, uint32_t first, uint32_t most,
                    struct err *err)
{
    uint32_t n_types = types_are_given(q->p->wish) ? 1 : N_TYPES;
    for (uint32_t t = 0; t < n_types; t++) {
        struct law_settings with = with_type(s, t, n_types);
        for (uint32_t i = q->sets.n; i-- > 0;) {
            struct placement pl;
            struct err quiet = {0};
            uint32_t least = q->found ? q->best.s.n_ctx + STEP : first;
            if (least > most)
                return true;
            if (q->sets.mask[i] == q->except)
                continue;
            if (!place_largest(q->p, q->sets.mask[i], &with, least, most, &pl, &quiet)) {
                if (quiet.code == ERR_NONE || is_no_candidate(q, &quiet))
                    continue;
                *err = quiet;
                return false;
            }
            pl.score = pl.law.n_ctx;
            offer(q, &pl, 0);
        }
    }
    return true;
}

/* Of the sets that reach the largest context, the fastest; where no speed is known, the fewest
 * cards. */
static bool choose_context(struct quest *q, struct law_settings *s, struct err *err)
{
    bool given = q->p->wish->given & GIVEN_CTX;
    uint32_t most = given ? s->n_ctx : trained(q->p),
             first = given ? s->n_ctx : q->p->wish->min_context;
    struct law_settings t = *s;
    q->p->best.objective = "context";
    if (!largest(q, s, first, most, err) || !q->found)
        return err->code == ERR_NONE;
    q->p->doubt = q->p->doubt || (place_draft_open(q->p) && q->best.s.n_ctx + STEP <= most);
    t.n_ctx = q->best.s.n_ctx;
    t.type_k = q->best.s.type_k;
    t.type_v = q->best.s.type_v;
    struct quest fast = {.p = q->p, .sets = q->sets};
    if (!fastest(&fast, &t, 1, false, err))
        return false;
    double score = q->best.score;
    if (fast.found)
        *q = fast;
    q->best.score = q->runner_score = score;
    struct quest second = {.p = q->p, .sets = q->sets, .except = place_cards(&q->best)};
    if (!q->runner_mask && !largest(&second, s, first, t.n_ctx, err))
        return false;
    if (!q->runner_mask)
        take_runner(q, &second);
    return place_evener(q->p, &q->best, 1, 0, err);
}

static void settle(struct quest *q, struct placement *out)
{
    struct plan_optimality *b = &q->p->best;
    b->proved = !q->sets.truncated;
    out->fits = q->found;
    if (!q->found)
        return;
    *out = q->best;
    b->best = q->best.score;
    if (q->runner_mask) {
        b->runner_up = place_set_name(q->p, q->runner_mask);
        b->runner_up_value = q->runner_score;
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
