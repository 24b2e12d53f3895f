/* search: the best way to cut a row of layers over a row of cards, exact, by dynamic programming.
 */
#include "plan/search.h"

#include <float.h>

enum { FILL_STEPS = 24 };

struct table {
    const struct search_problem *p;
    double *time;   /* [n_cards + 1][n_layers + 1]: least time of the first l layers on the first c
                       cards */
    uint32_t *from; /* [n_cards + 1][n_layers + 1]: layers on the cards before c in that split */
    double *sum_ns; /* [n_cards][n_layers + 1] prefix sums */
    uint64_t *sum_bytes; /* [n_layers + 1] */
};

static uint32_t at(const struct table *t, uint32_t card, uint32_t layer)
{
    return card * (t->p->n_layers + 1) + layer;
}

static bool table_make(const struct search_problem *p, struct arena *scratch, struct table *t)
{
    uint32_t cells = (p->n_cards + 1) * (p->n_layers + 1);
    *t = (struct table){p, arena_array(scratch, double, cells),
                        arena_array(scratch, uint32_t, cells), arena_array(scratch, double, cells),
                        arena_array(scratch, uint64_t, p->n_layers + 1)};
    if (!t->time || !t->from || !t->sum_ns || !t->sum_bytes)
        return false;
    for (uint32_t l = 0; l < p->n_layers; l++)
        t->sum_bytes[l + 1] = t->sum_bytes[l] + p->bytes[l];
    for (uint32_t c = 0; c < p->n_cards; c++)
        for (uint32_t l = 0; l < p->n_layers; l++)
            t->sum_ns[at(t, c, l + 1)] = t->sum_ns[at(t, c, l)] + p->ns[c * p->n_layers + l];
    return true;
}

/* What a card holds with layers from..to. */
static double need(const struct table *t, uint32_t card, uint32_t from, uint32_t to)
{
    const struct search_problem *p = t->p;
    uint32_t run = at(t, from, to);
    double bytes = (double)(t->sum_bytes[to] - t->sum_bytes[from]);
    if (to == from)
        return bytes;
    if (p->kind)
        bytes += (double)p->extra[card][p->kind[run]];
    if (p->beside[card])
        bytes += (double)p->beside[card][run].bytes;
    return bytes;
}

/* The way to layers from..to on a card, and through them. */
static double time_of(const struct table *t, uint32_t card, uint32_t from, uint32_t to)
{
    const struct search_problem *p = t->p;
    double ns = t->sum_ns[at(t, card, to)] - t->sum_ns[at(t, card, from)];
    if (from > 0 && (from + p->n_aside + 1 < p->n_layers || to == p->n_layers))
        ns += p->hop_ns[card - 1];
    return p->beside[card] ? ns + p->beside[card][at(t, from, to)].ns : ns;
}

/* time[c][l] = min over k < l of time[c-1][k] + card c-1's time for layers k..l, where they fit its
 * room. */
static void solve(struct table *t, double share, bool empty)
{
    const struct search_problem *p = t->p;
    for (uint32_t l = 0; l <= p->n_layers; l++)
        t->time[at(t, 0, l)] = l == 0 ? 0 : DBL_MAX;
    for (uint32_t c = 1; c <= p->n_cards; c++) {
        double room = share * (double)p->room[c - 1];
        for (uint32_t l = 0; l <= p->n_layers; l++) {
            double best = empty ? t->time[at(t, c - 1, l)] : DBL_MAX;
            uint32_t best_k = l;
            for (uint32_t k = l; k-- > 0;) {
                double before = t->time[at(t, c - 1, k)];
                if (before >= DBL_MAX || need(t, c - 1, k, l) > room)
                    continue;
                double here = time_of(t, c - 1, k, l);
                if (before + here < best) {
                    best = before + here;
                    best_k = k;
                }
            }
            t->time[at(t, c, l)] = best;
            t->from[at(t, c, l)] = best_k;
        }
    }
}

static double total(const struct table *t)
{
    return t->time[at(t, t->p->n_cards, t->p->n_layers)];
}

static void read_split(const struct table *t, struct search_answer *out)
{
    const struct search_problem *p = t->p;
    uint32_t end = p->n_layers;
    out->fill = 0;
    for (uint32_t c = p->n_cards; c > 0; c--) {
        uint32_t from = t->from[at(t, c, end)];
        double used = need(t, c - 1, from, end);
        double fill = p->room[c - 1] ? used / (double)p->room[c - 1] : DBL_MAX;
        out->fill = fill > out->fill ? fill : out->fill;
        out->count[c - 1] = end - from;
        end = from;
    }
    out->feasible = true;
}

bool search_split(const struct search_problem *p, bool empty, double slack, struct arena *scratch,
                  struct search_answer *out)
{
    struct arena_mark mark = arena_mark(scratch);
    struct table t;
    *out = (struct search_answer){0};
    if (!table_make(p, scratch, &t))
        return false;
    solve(&t, 1.0, empty);
    if (total(&t) < DBL_MAX) {
        double limit = total(&t) * (1 + slack), low = 0, high;
        read_split(&t, out);
        out->ns = total(&t);
        high = out->fill;
        for (int i = 0; slack >= 0 && i < FILL_STEPS && high - low > 1e-6; i++) {
            double mid = (low + high) / 2;
            solve(&t, mid, empty);
            if (total(&t) <= limit) {
                read_split(&t, out);
                out->ns = total(&t) > out->ns ? total(&t) : out->ns;
                high = out->fill < mid ? out->fill : mid;
            } else {
                low = mid;
            }
        }
    }
    arena_rewind(scratch, mark);
    return true;
}

/* fill[c][l] = min over k of the larger of fill[c-1][k] and card c-1's share of its room for layers
 * k..l. */
static void even_out(struct table *t, bool empty)
{
    const struct search_problem *p = t->p;
    double *fill = t->time;
    for (uint32_t l = 0; l <= p->n_layers; l++)
        fill[at(t, 0, l)] = l == 0 ? 0 : DBL_MAX;
    for (uint32_t c = 1; c <= p->n_cards; c++) {
        double per_byte = p->room[c - 1] ? 1.0 / (double)p->room[c - 1] : 1.0;
        for (uint32_t l = 0; l <= p->n_layers; l++) {
            double best = empty ? fill[at(t, c - 1, l)] : DBL_MAX;
            uint32_t best_k = l;
            for (uint32_t k = l; k-- > 0;) {
                double before = fill[at(t, c - 1, k)];
                if (before >= best)
                    continue;
                double here = need(t, c - 1, k, l) * per_byte;
                double both = here > before ? here : before;
                if (both < best) {
                    best = both;
                    best_k = k;
                }
            }
            fill[at(t, c, l)] = best;
            t->from[at(t, c, l)] = best_k;
        }
    }
}

bool search_even(const struct search_problem *p, bool empty, struct arena *scratch,
                 struct search_answer *out)
{
    struct arena_mark mark = arena_mark(scratch);
    struct table t;
    *out = (struct search_answer){0};
    if (!table_make(p, scratch, &t))
        return false;
    even_out(&t, empty);
    double fill = total(&t);
    if (fill < DBL_MAX) {
        read_split(&t, out);
        out->fill = fill;
    }
    arena_rewind(scratch, mark);
    return true;
}
