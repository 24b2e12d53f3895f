/* place_split: the split of a set of cards that is evenest or fastest, exact as far as like runs of
 * layers take alike. */
#include <math.h>
#include <string.h>

#include "plan/budget.h"
#include "plan/place.h"
#include "plan/shares.h"

enum { ROUNDS = 48 };
#define AS_FAST 1e-9 /* splits this close in time, as a share, count as equal */

static bool same_split(const struct law_settings *s, const uint32_t *count, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (s->n_tensor_split != n || s->tensor_split[i] != (double)count[i])
            return false;
    return true;
}

static void set_split(struct law_settings *s, const uint32_t *count, uint32_t n)
{
    s->n_tensor_split = n;
    for (uint32_t i = 0; i < n; i++)
        s->tensor_split[i] = count[i];
}

static void even_split(uint32_t layers, uint32_t n, uint32_t *count)
{
    for (uint32_t i = 0; i < n; i++)
        count[i] = layers / n + (i < layers % n);
}

/* By free memory less what --keep-free asks for. Whole hundredths (of more than two cards
 * thousandths) that add up to 1: what rounding down leaves goes to the largest remainders, of equal
 * ones to the last. 20 and 14 GiB: 0.59,0.41. */
static void proportional_split(const struct plan_wish *w, const struct machine *sub,
                               struct law_settings *s)
{
    uint64_t keep = w->keep_free_set ? w->keep_free_bytes : 0;
    double room[MACHINE_MAX_DEVICES], parts = sub->n_devices > 2 ? 1000 : 100, all = 0,
                                      left = parts;
    for (uint32_t i = 0; i < sub->n_devices; i++) {
        uint64_t free_bytes = sub->devices[i].free_bytes;
        room[i] = free_bytes > keep ? (double)(free_bytes - keep) : 0;
        all += room[i];
    }
    s->n_tensor_split = all > 0 ? sub->n_devices : 0;
    for (uint32_t i = 0; i < s->n_tensor_split; i++) {
        double exact = parts * room[i] / all;
        s->tensor_split[i] = floor(exact);
        room[i] = exact - floor(exact);
        left -= floor(exact);
    }
    for (; s->n_tensor_split && left > 0.5; left--) {
        uint32_t most = 0;
        for (uint32_t i = 1; i < s->n_tensor_split; i++)
            most = room[i] >= room[most] ? i : most;
        s->tensor_split[most]++;
        room[most] = -1;
    }
    for (uint32_t i = 0; i < s->n_tensor_split; i++)
        s->tensor_split[i] /= parts;
}

/* Cards that were asked for are shown to the engine even where one of them can hold nothing. */
static bool may_leave_empty(const struct plan_wish *w)
{
    return w->spread || w->as_command || (w->given & (GIVEN_MAIN_GPU | GIVEN_SPLIT_MODE));
}

/* What is known of a placement's settings, and where it is written down. */
struct lesson {
    struct share_book *book;
    struct shares *shares;
    struct share_case of;
};

static bool begin(struct placer *p, const struct draft_spot *spot, const struct law_settings *s,
                  struct lesson *out, struct err *err)
{
    struct share_book *book = p->book;
    if (!book || book->model != p->model || book->machine != p->machine || book->quick != p->quick)
        book = shares_open(p, 1);
    if (!book)
        return err_set(err, ERR_1201, "no memory for the search");
    *out = (struct lesson){.book = book, .shares = shares_of(p, book, s, err), .of.spot = *spot};
    return out->shares;
}

static bool ask_even(struct placer *p, const struct lesson *t, struct search_answer *out,
                     struct err *err)
{
    struct search_problem problem;
    struct arena_mark mark = arena_mark(p->arena);
    double beside = shares_draft_fill(p, t->shares, &t->of.spot);
    bool ok = shares_problem(p, t->shares, &t->of, &problem, err) &&
              (search_even(&problem, false, p->arena, out) ||
               err_set(err, ERR_1201, "no memory for the search"));
    bool crowded = ok && (!out->feasible || out->fill > 1.0);
    if (crowded && (!out->feasible || may_leave_empty(p->wish)))
        ok = search_even(&problem, true, p->arena, out) ||
             err_set(err, ERR_1201, "no memory for the search");
    out->fill = beside > out->fill ? beside : out->fill;
    arena_rewind(p->arena, mark);
    return ok;
}

static bool work_out(struct placer *p, const struct lesson *t, struct placement *pl,
                     struct err *err)
{
    if (!place_evaluate(p, pl, err))
        return false;
    p->doubt = !shares_learn(p, t->book, t->shares, pl) || p->doubt;
    return true;
}

/* The emptiest split by what is known is worked out, which teaches more, until none can be emptier
 * than pl; where a verdict is enough, until one fits or none can. */
static bool balance(struct placer *p, bool verdict, struct placement *pl, struct err *err)
{
    struct placement best = *pl;
    struct lesson t;
    uint32_t n = (uint32_t)__builtin_popcount(pl->mask);
    if (!begin(p, &(struct draft_spot){pl->mask, pl->draft_mask}, &pl->s, &t, err))
        return false;
    for (int round = 0; round < ROUNDS; round++) {
        struct search_answer answer;
        if (!ask_even(p, &t, &answer, err))
            return false;
        if (best.fill > 0 && (answer.fill >= best.fill || same_split(&pl->s, answer.count, n)))
            break;
        if (best.fill > 0 && verdict && (best.fits || answer.fill > 1.0))
            break;
        set_split(&pl->s, answer.count, n);
        if (!work_out(p, &t, pl, err))
            return false;
        if (best.fill <= 0 || pl->fill < best.fill)
            best = *pl;
    }
    *pl = best;
    return true;
}

/* The split is free to be chosen. */
static bool is_open(const struct placer *p, const struct law_settings *s, uint32_t n_cards)
{
    return !(p->wish->given & GIVEN_TENSOR_SPLIT) && s->split == SPLIT_LAYER && n_cards > 1 &&
           s->n_gpu_layers != 0 && p->wish->strategy != PLACE_EVEN &&
           p->wish->strategy != PLACE_PROPORTIONAL;
}

/* A split that follows from the cards' number or sizes alone. */
static void set_strategy(const struct placer *p, uint32_t mask, struct law_settings *s)
{
    struct machine sub;
    uint32_t count[MACHINE_MAX_DEVICES];
    place_submachine(p->machine, mask, &sub);
    if (sub.n_devices < 2 || (p->wish->given & GIVEN_TENSOR_SPLIT) || s->split != SPLIT_LAYER ||
        s->n_gpu_layers == 0)
        return;
    if (p->wish->strategy == PLACE_EVEN) {
        even_split(p->model->n_layers + 1, sub.n_devices, count);
        set_split(s, count, sub.n_devices);
    } else if (p->wish->strategy == PLACE_PROPORTIONAL && !p->wish->as_command) {
        proportional_split(p->wish, &sub, s);
    }
}

static bool lay(struct placer *p, const struct draft_spot *spot, const struct law_settings *s,
                struct placement *out, struct err *err)
{
    struct placement pl = {.mask = spot->main, .draft_mask = spot->draft, .s = *s};
    struct arena_mark mark = arena_mark(p->arena);
    uint32_t n = (uint32_t)__builtin_popcount(pl.mask);
    if (n == 1 && !(p->wish->given & GIVEN_SPLIT_MODE))
        pl.s.split = SPLIT_NONE;
    if (n == 1)
        pl.s.n_tensor_split = 0;
    set_strategy(p, pl.mask, &pl.s);
    bool ok = is_open(p, &pl.s, n) ? balance(p, true, &pl, err) : place_evaluate(p, &pl, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = pl;
    return ok;
}

bool place_evenest(struct placer *p, struct placement *pl, struct err *err)
{
    struct arena_mark mark = arena_mark(p->arena);
    bool open = pl->fill > 0 && is_open(p, &pl->s, (uint32_t)__builtin_popcount(pl->mask));
    bool doubt = p->doubt; /* of the set of cards, which stays the same */
    bool ok = !open || balance(p, false, pl, err);
    p->doubt = doubt;
    arena_rewind(p->arena, mark);
    return ok;
}

bool place_on(struct placer *p, uint32_t mask, const struct law_settings *s, struct placement *out,
              struct err *err)
{
    struct draft_spot spots[PLACE_MAX_SPOTS];
    uint32_t n = place_draft_spots(p, mask, s, spots);
    bool found = false;
    for (uint32_t i = 0; i < n && !(found && out->fits); i++) {
        struct placement pl;
        if (!lay(p, &spots[i], s, &pl, err)) {
            if (place_may_go_on(p, found || i + 1 < n, err))
                continue;
            return false;
        }
        if (!found || pl.fits || pl.fill < out->fill)
            *out = pl;
        found = true;
    }
    return found;
}

/* Weights and KV alone against all rooms together. */
static bool rooms_may_do(struct placer *p, uint32_t mask, const struct law_settings *s,
                         struct err *err)
{
    struct machine sub;
    struct law_result r;
    place_submachine(p->machine, mask, &sub);
    if (!law_estimate_static(p->model, &sub, s, p->arena, &r, err))
        return false;
    uint64_t need = 0, room = 0;
    for (uint32_t i = 0; i < sub.n_devices; i++) {
        need += r.device[i].bytes.weights + r.device[i].bytes.kv;
        room += budget_room(p->wish, &sub.devices[i], 0);
    }
    return need <= room;
}

/* Cheap bounds first, then what like splits have taught; a draft may leave the model fewer cards,
 * so that is for each of its places to find out. */
bool place_may_fit(struct placer *p, uint32_t mask, const struct law_settings *s, struct err *err)
{
    struct search_answer answer;
    struct lesson t;
    if (!rooms_may_do(p, mask, s, err))
        return false;
    if (!p->book || p->wish->draft || !is_open(p, s, (uint32_t)__builtin_popcount(mask)))
        return true;
    return begin(p, &(struct draft_spot){mask, mask}, s, &t, err) &&
           ask_even(p, &t, &answer, err) && (!answer.feasible || answer.fill <= 1.0);
}

static bool speeds_are_known(const struct placer *p, uint32_t mask)
{
    for (uint32_t d = 0; d < p->machine->n_devices; d++)
        if ((mask & (1u << d)) && p->cards[d].read_gbs <= 0)
            return false;
    return true;
}

/* The split is chosen, and can be chosen by its time. */
static bool is_timed(const struct placer *p, const struct draft_spot *spot,
                     const struct law_settings *s)
{
    return is_open(p, s, (uint32_t)__builtin_popcount(spot->main)) &&
           speeds_are_known(p, spot->main | spot->draft);
}

static bool ask_fastest(struct placer *p, const struct lesson *t, double slack,
                        struct search_answer *out, struct err *err)
{
    struct search_problem problem;
    struct arena_mark mark = arena_mark(p->arena);
    bool ok = shares_problem(p, t->shares, &t->of, &problem, err) &&
              (search_split(&problem, false, slack, p->arena, out) ||
               err_set(err, ERR_1201, "no memory for the search"));
    if (ok && !out->feasible && may_leave_empty(p->wish))
        ok = search_split(&problem, true, slack, p->arena, out) ||
             err_set(err, ERR_1201, "no memory for the search");
    if (ok && shares_draft_fill(p, t->shares, &t->of.spot) > 1.0)
        out->feasible = false;
    arena_rewind(p->arena, mark);
    return ok;
}

/* The fastest split by what is known is worked out, until one of them fits: none that is faster
 * can. */
static bool find_fastest(struct placer *p, struct lesson *t, struct placement *pl, struct err *err)
{
    uint32_t n = (uint32_t)__builtin_popcount(pl->mask);
    for (int round = 0; round < ROUNDS; round++) {
        struct search_answer answer;
        pl->fits = false;
        if (!ask_fastest(p, t, -1, &answer, err))
            return false;
        if (!answer.feasible)
            return true;
        if (round > 0 && same_split(&pl->s, answer.count, n))
            break;
        set_split(&pl->s, answer.count, n);
        if (!work_out(p, t, pl, err))
            return false;
        if (pl->fits)
            return true;
    }
    p->doubt = true;
    return true;
}

static bool fastest_at(struct placer *p, const struct draft_spot *spot,
                       const struct law_settings *s, uint32_t streams, uint32_t depth,
                       struct placement *out, struct err *err)
{
    struct placement pl = {.mask = spot->main, .draft_mask = spot->draft, .s = *s};
    struct arena_mark mark = arena_mark(p->arena);
    struct lesson t;
    if (!is_timed(p, spot, s))
        return lay(p, spot, s, out, err);
    bool ok = begin(p, spot, s, &t, err);
    t.of.streams = streams;
    t.of.depth = depth;
    ok = ok && find_fastest(p, &t, &pl, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = pl;
    return ok;
}

/* Of a pass over all layers at one place of the draft. */
static bool least_at(struct placer *p, const struct draft_spot *spot, const struct law_settings *s,
                     uint32_t streams, uint32_t depth, double *out, struct err *err)
{
    struct search_answer answer;
    struct arena_mark mark = arena_mark(p->arena);
    struct lesson t;
    *out = 0;
    if (!is_timed(p, spot, s))
        return true;
    bool ok = begin(p, spot, s, &t, err);
    t.of.streams = streams;
    t.of.depth = depth;
    ok = ok && ask_fastest(p, &t, -1, &answer, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = answer.feasible ? answer.ns / place_pass_tokens(p, streams) : INFINITY;
    return ok;
}

bool place_fastest(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                   uint32_t depth, struct placement *out, struct err *err)
{
    struct draft_spot spots[PLACE_MAX_SPOTS];
    uint32_t n = place_draft_spots(p, mask, s, spots);
    bool found = false;
    double best = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct placement pl;
        double least = 0;
        bool ok = best <= 0 || least_at(p, &spots[i], s, streams, depth, &least, err);
        if (ok && best > 0 && least > 0 && streams * 1e9 / least <= best)
            continue;
        if (!ok || !fastest_at(p, &spots[i], s, streams, depth, &pl, err)) {
            if (place_may_go_on(p, found || i + 1 < n, err))
                continue;
            return false;
        }
        double rate = n > 1 && pl.fits ? place_rate(p, &pl, depth, streams) : 0;
        if (!found || (pl.fits && (!out->fits || rate > best))) {
            *out = pl;
            best = rate;
        }
        found = true;
    }
    return found;
}

bool place_evener(struct placer *p, struct placement *pl, uint32_t streams, uint32_t depth,
                  struct err *err)
{
    struct placement even = *pl;
    struct search_answer answer;
    struct lesson t;
    struct arena_mark mark = arena_mark(p->arena);
    struct draft_spot spot = {pl->mask, pl->draft_mask};
    uint32_t n = (uint32_t)__builtin_popcount(pl->mask);
    if (!pl->fits || !is_timed(p, &spot, &pl->s))
        return true;
    bool ok = begin(p, &spot, &pl->s, &t, err);
    t.of.streams = streams;
    t.of.depth = depth;
    ok = ok && ask_fastest(p, &t, AS_FAST, &answer, err);
    if (ok && answer.feasible && !same_split(&pl->s, answer.count, n)) {
        set_split(&even.s, answer.count, n);
        ok = work_out(p, &t, &even, err);
        if (ok && even.fits && even.fill < pl->fill)
            *pl = even;
    }
    arena_rewind(p->arena, mark);
    return ok;
}

bool place_least_ns(struct placer *p, uint32_t mask, const struct law_settings *s, uint32_t streams,
                    uint32_t depth, double *out, struct err *err)
{
    *out = 0; /* of a draft's many places it is asked for each */
    return p->wish->draft ||
           least_at(p, &(struct draft_spot){mask, mask}, s, streams, depth, out, err);
}

/* One card holds all layers, if it can. */
static bool all_on_one(struct placer *p, const struct lesson *t, const struct law_settings *s,
                       struct search_answer *out, struct err *err)
{
    const struct shares *h = t->shares;
    uint32_t d = (uint32_t)__builtin_ctz(t->of.spot.main);
    struct placement pl;
    if (!lay(p, &t->of.spot, s, &pl, err) || !shares_time(p, t->shares, &t->of, false, err))
        return false;
    *out = (struct search_answer){.feasible = pl.fits};
    for (uint32_t l = 0; l < h->n_layers; l++)
        out->ns += h->ns[d * h->n_layers + l];
    return true;
}

/* Time of a token that the model on exactly these cards needs at least, the draft's bytes left out,
 * and its time on the cards that are best for it. */
static bool least_elsewhere(struct placer *p, uint32_t mask, const struct law_settings *s,
                            uint32_t streams, uint32_t depth, double *out, struct err *err)
{
    struct draft_spot spot = {mask, 0};
    struct search_answer answer;
    struct lesson t;
    double draft = 0;
    struct arena_mark mark = arena_mark(p->arena);
    bool one = __builtin_popcount(mask) == 1, ok = begin(p, &spot, s, &t, err);
    t.of.streams = streams;
    t.of.depth = depth;
    ok = ok && (one ? all_on_one(p, &t, s, &answer, err) : ask_fastest(p, &t, -1, &answer, err)) &&
         shares_draft_ns(p, t.shares, &t.of, &draft, err);
    arena_rewind(p->arena, mark);
    if (ok)
        *out = answer.feasible ? (answer.ns + draft) / place_pass_tokens(p, streams) : INFINITY;
    return ok;
}

/* Beside a model on one card the draft lies as the free memory has it: every place is worked out.
 */
static bool try_elsewhere(struct placer *p, uint32_t mask, const struct law_settings *s,
                          uint32_t streams, uint32_t depth, double than_ns, bool *out,
                          struct err *err)
{
    for (uint32_t at = 1; at <= place_all_cards(p) && !*out; at++) {
        struct placement pl;
        if (__builtin_popcount(at) < 2)
            continue;
        if (!lay(p, &(struct draft_spot){mask, at}, s, &pl, err)) {
            if (!place_may_go_on(p, true, err))
                return false;
            continue;
        }
        *out =
            pl.fits && place_rate(p, &pl, depth, streams) * than_ns > streams * 1e9 * (1 + AS_FAST);
    }
    return true;
}

bool place_elsewhere_faster(struct placer *p, uint32_t mask, const struct law_settings *s,
                            uint32_t streams, uint32_t depth, double than_ns, bool *out,
                            struct err *err)
{
    double least;
    *out = false;
    if (!rooms_may_do(p, mask, s, err))
        return err->code == ERR_NONE;
    bool one = __builtin_popcount(mask) == 1;
    *out = !speeds_are_known(p, place_all_cards(p)) ||
           !(one || is_timed(p, &(struct draft_spot){mask, 0}, s));
    if (*out)
        return true;
    if (!least_elsewhere(p, mask, s, streams, depth, &least, err))
        return false;
    *out = least < than_ns * (1 - AS_FAST);
    if (!*out || !one)
        return true;
    *out = false;
    return try_elsewhere(p, mask, s, streams, depth, than_ns, out, err);
}
