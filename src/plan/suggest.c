/* suggest: which cards of a catalogue would run a model as wished: fitted under the law, ranked by a stated order. */
#include "plan/suggest_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { USUAL_CONTEXT = 32768, LOWER_CONTEXT = 8192, MIXED_MOST = 4, LEAST_EACH = 3, NEAR_EACH = 2, TOO_SMALL_ROWS = 3 };
enum { COMBINATIONS_MAX = 1 + SUGGEST_CATALOGUE_MAX * SUGGEST_MOST_CARDS + 1024 };

/* Cards that people put into one machine with others, by their names in the catalogue. */
static const char *const mixed[] = {
    "GeForce RTX 3060 12GB", "GeForce RTX 3090", "GeForce RTX 4060 Ti 16GB", "GeForce RTX 4070 Ti SUPER",
    "GeForce RTX 4080 SUPER", "GeForce RTX 4090", "GeForce RTX 5060 Ti 16GB", "GeForce RTX 5070 Ti",
    "GeForce RTX 5080", "GeForce RTX 5090", "RTX A6000", "RTX 6000 Ada Generation",
    "RTX PRO 6000 Blackwell Workstation"};

struct field {
    struct suggest_quest *q;
    struct combination *c;
    uint32_t n;
};

const char *suggest_rank_name(enum suggest_rank r)
{
    static const char *const names[] = {"meets", "too-slow", "less-context", "too-small"};
    return names[r];
}

static bool is_mixed(const char *name)
{
    for (size_t i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
        if (strcmp(name, mixed[i]) == 0)
            return true;
    return false;
}

/* Rows without a name or a memory size say nothing; GB10 is a machine, not a card. */
static bool kinds_make(struct suggest_quest *q, struct err *err)
{
    const struct suggest_wish *w = q->wish;
    q->kinds = arena_array(q->arena, struct suggest_kind, w->n_cards + 1);
    if (!q->kinds)
        return err_set(err, ERR_1201, "no memory for the catalogue");
    for (size_t i = 0; i < w->n_cards && q->n_kinds < SUGGEST_CATALOGUE_MAX; i++) {
        const struct card *c = &w->cards[i];
        if (!c->name || !*c->name || !c->total_bytes)
            continue;
        q->kinds[q->n_kinds++] = (struct suggest_kind){
            .card = c, .mixes = is_mixed(c->name), .alone = c->cc_major == 12 && c->cc_minor == 1,
            .price = w->prices && w->prices[i] > 0 ? w->prices[i] : INFINITY};
    }
    return q->n_kinds > 0 || err_set(err, ERR_2101, "the catalogue names no card with a known memory size");
}

static void add(struct field *f, uint32_t a, uint32_t n_a, uint32_t b, uint32_t n_b)
{
    const struct suggest_kind *k = f->q->kinds;
    if (f->n == COMBINATIONS_MAX)
        return;
    struct combination *c = &f->c[f->n++];
    *c = (struct combination){.kind = {(uint16_t)a, (uint16_t)b}, .count = {(uint16_t)n_a, (uint16_t)n_b}};
    c->s.n_parts = (n_a > 0) + (n_b > 0);
    c->s.n_cards = n_a + n_b;
    c->s.parts[0] = (struct suggest_part){n_a ? k[a].card : NULL, n_a};
    c->s.parts[1] = (struct suggest_part){n_b ? k[b].card : NULL, n_b};
    c->price = (n_a ? n_a * k[a].price : 0) + (n_b ? n_b * k[b].price : 0);
    c->s.price = n_a && isfinite(c->price) ? c->price : 0;
    suggest_bound(f->q, c);
}

static void add_mixes(struct field *f, uint32_t a, uint32_t b, uint32_t most)
{
    const struct suggest_kind *k = f->q->kinds;
    bool swap = k[b].device.bandwidth_gbs > k[a].device.bandwidth_gbs;
    for (uint32_t n_a = 1; n_a < most; n_a++)
        for (uint32_t n_b = 1; n_a + n_b <= most; n_b++)
            add(f, swap ? b : a, n_a, swap ? a : b, n_b);
}

static bool combinations_make(struct field *f, struct err *err)
{
    struct suggest_quest *q = f->q;
    uint32_t most = q->wish->max_cards, few = most < MIXED_MOST ? most : MIXED_MOST;
    bool mine = q->wish->mine->n_devices > 0;
    f->n = 0;
    if (!f->c)
        f->c = arena_array(q->arena, struct combination, COMBINATIONS_MAX);
    if (!f->c)
        return err_set(err, ERR_1201, "no memory for the combinations");
    if (mine)
        add(f, 0, 0, 0, 0);
    for (uint32_t i = 0; i < q->n_kinds; i++)
        for (uint32_t n = 1; n <= most && !(q->kinds[i].alone && (n > 1 || mine)); n++)
            add(f, i, n, 0, 0);
    for (uint32_t i = 0; i < q->n_kinds; i++)
        for (uint32_t j = i + 1; j < q->n_kinds && q->kinds[i].mixes; j++)
            if (q->kinds[j].mixes)
                add_mixes(f, i, j, few);
    return true;
}

/* The order that the header states; then that of the catalogue. */
static int compare(const struct combination *a, const struct combination *b)
{
    if (a->s.rank != b->s.rank)
        return a->s.rank < b->s.rank ? -1 : 1;
    if (a->s.rank == SUGGEST_SLOW && a->tps != b->tps)
        return a->tps > b->tps ? -1 : 1;
    if (a->price != b->price)
        return a->price < b->price ? -1 : 1;
    if (a->idle != b->idle)
        return a->idle ? 1 : -1;
    if (a->s.rank == SUGGEST_TOO_SMALL && a->s.short_bytes != b->s.short_bytes)
        return a->s.short_bytes < b->s.short_bytes ? -1 : 1;
    if (a->s.n_cards != b->s.n_cards)
        return a->s.n_cards < b->s.n_cards ? -1 : 1;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int by_order(const void *a, const void *b)
{
    return compare(*(struct combination *const *)a, *(struct combination *const *)b);
}

static struct combination *find(const struct field *f, const struct combination *c, int less)
{
    uint32_t count[2] = {c->count[0], c->count[1]}, kind[2] = {c->kind[0], c->kind[1]};
    if (!count[less])
        return NULL;
    count[less]--;
    if (!count[0] && count[1]) {
        count[0] = count[1];
        kind[0] = kind[1];
        count[1] = 0;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        const struct combination *o = &f->c[i];
        bool first = o->count[0] == count[0] && (!count[0] || o->kind[0] == kind[0]);
        if (first && o->count[1] == count[1] && (!count[1] || o->kind[1] == kind[1]))
            return &f->c[i];
    }
    return NULL;
}

static bool check_need(struct field *f, struct combination *c, bool *needless, struct err *err);

/* True in *out where the combination meets the wish, or a part of it does. */
static bool does_it(struct field *f, struct combination *c, bool *out, struct err *err)
{
    if (c->s.rank == SUGGEST_MEETS && !c->worked_out && !suggest_work_out(f->q, c, err))
        return false;
    *out = c->s.rank == SUGGEST_MEETS;
    return *out || check_need(f, c, out, err);
}

/* A combination that would do with one of its cards less is of no use to anyone. */
static bool check_need(struct field *f, struct combination *c, bool *needless, struct err *err)
{
    for (int less = 0; less < 2 && !c->checked_need && !c->needless; less++) {
        struct combination *part = find(f, c, less);
        if (part && part->s.rank == SUGGEST_MEETS && !does_it(f, part, &c->needless, err))
            return false;
    }
    c->checked_need = true;
    *needless = c->needless;
    return true;
}

/* One step: whether it is of use, what it reaches, the rest of its row. After each its place may be another. */
static bool work_further(struct field *f, struct combination *c, struct err *err)
{
    bool needless = false;
    if (c->s.rank == SUGGEST_MEETS && !f->q->wish->all && !check_need(f, c, &needless, err))
        return false;
    if (needless)
        return true;
    return c->worked_out ? suggest_finish(f->q, c, err) : suggest_work_out(f->q, c, err);
}

/* The best combination of n_cards (UINT32_MAX: any number) that is not shown yet and of rank `worst` or better,
 * worked out as far as that needs; NULL: there is none. */
static bool next_best(struct field *f, uint32_t n_cards, enum suggest_rank best, enum suggest_rank worst,
                      struct combination **out, struct err *err)
{
    for (;;) {
        struct combination *c = NULL;
        for (uint32_t i = 0; i < f->n; i++) {
            struct combination *o = &f->c[i];
            bool open = !o->shown && !o->needless && o->s.rank >= best && o->s.rank <= worst;
            if (open && (n_cards == UINT32_MAX || o->s.n_cards == n_cards) && (!c || compare(o, c) < 0))
                c = o;
        }
        *out = c;
        if (!c || c->done)
            return true;
        if (!work_further(f, c, err))
            return false;
    }
}

/* `each` more of each number of cards; *shown counts up to SUGGEST_ROWS. */
static bool show_each(struct field *f, uint32_t each, uint32_t *shown, struct err *err)
{
    uint32_t first = f->q->wish->mine->n_devices ? 0 : 1;
    for (uint32_t n = first; n <= f->q->wish->max_cards; n++) {
        for (uint32_t k = 0; k < each && *shown < SUGGEST_ROWS; k++, ++*shown) {
            struct combination *c;
            if (!next_best(f, n, SUGGEST_MEETS, SUGGEST_MEETS, &c, err))
                return false;
            if (!c)
                break;
            c->shown = true;
        }
    }
    return true;
}

/* As many of each number of cards, and more where some numbers of cards have none. */
static bool show_best(struct field *f, struct err *err)
{
    uint32_t each = SUGGEST_ROWS / f->q->wish->max_cards, shown = 0, before;
    do {
        before = shown;
        if (!show_each(f, each > LEAST_EACH ? each : LEAST_EACH, &shown, err))
            return false;
    } while (shown > before && shown < SUGGEST_ROWS);
    return true;
}

static bool show_near(struct field *f, struct err *err)
{
    uint32_t left = SUGGEST_NEAR_ROWS;
    uint32_t first = f->q->wish->mine->n_devices ? 0 : 1;
    for (uint32_t n = first; n <= f->q->wish->max_cards && left; n++) {
        for (uint32_t k = 0; k < NEAR_EACH && left; k++, left--) {
            struct combination *c;
            if (!next_best(f, n, SUGGEST_SLOW, SUGGEST_SHORT, &c, err))
                return false;
            if (!c)
                break;
            c->shown = true;
        }
    }
    return true;
}

static bool show_all(struct field *f, struct err *err)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct combination *c = &f->c[i];
        if (c->s.rank == SUGGEST_TOO_SMALL)
            continue;
        if (!suggest_work_out(f->q, c, err) || (c->s.rank != SUGGEST_TOO_SMALL && !suggest_finish(f->q, c, err)))
            return false;
        c->shown = c->s.rank != SUGGEST_TOO_SMALL;
    }
    return true;
}

static uint32_t count_shown(const struct field *f, bool *met)
{
    uint32_t n = 0;
    *met = false;
    for (uint32_t i = 0; i < f->n; i++) {
        n += f->c[i].shown;
        *met = *met || (f->c[i].shown && f->c[i].s.rank == SUGGEST_MEETS);
    }
    return n;
}

static bool show(struct field *f, bool *met, struct err *err)
{
    if (f->q->wish->all ? !show_all(f, err) : !show_best(f, err))
        return false;
    if (!f->q->wish->all && !show_near(f, err))
        return false;
    for (uint32_t k = 0; k < TOO_SMALL_ROWS && (k > 0 || !count_shown(f, met)); k++) {
        struct combination *c;
        if (!next_best(f, UINT32_MAX, SUGGEST_TOO_SMALL, SUGGEST_TOO_SMALL, &c, err))
            return false;
        if (c)
            c->shown = true;
    }
    count_shown(f, met);
    return true;
}

static bool collect(const struct field *f, struct suggestions *out, struct err *err)
{
    uint32_t n = count_shown(f, &out->met), k = 0;
    struct combination **sorted = arena_array(f->q->arena, struct combination *, n + 1);
    out->row = arena_array(f->q->arena, struct suggestion, n + 1);
    if (!sorted || !out->row)
        return err_set(err, ERR_1201, "no memory for the rows");
    for (uint32_t i = 0; i < f->n; i++)
        if (f->c[i].shown)
            sorted[k++] = &f->c[i];
    qsort(sorted, n, sizeof(*sorted), by_order);
    for (uint32_t i = 0; i < n; i++)
        out->row[i] = sorted[i]->s;
    out->n = n;
    out->context = f->q->s.n_ctx;
    out->n_combinations = f->n;
    out->candidates = f->q->candidates;
    return true;
}

static uint32_t usual_context(const struct suggest_quest *q)
{
    uint32_t trained = q->model->hp.n_ctx_train ? q->model->hp.n_ctx_train : SUGGEST_USEFUL_CONTEXT;
    if (q->wish->wish->ctx_max)
        return trained;
    if (q->wish->wish->given & GIVEN_CTX)
        return q->wish->wish->s.n_ctx ? q->wish->wish->s.n_ctx : trained;
    return trained < USUAL_CONTEXT ? trained : USUAL_CONTEXT;
}

static bool look_at(struct field *f, uint32_t context, bool *met, struct err *err)
{
    struct suggest_quest *q = f->q;
    q->s.n_ctx = context;
    q->small = context < SUGGEST_USEFUL_CONTEXT ? context : SUGGEST_USEFUL_CONTEXT;
    return suggest_prepare(q, err) && combinations_make(f, err) && show(f, met, err);
}

/* True where some combination holds the context that was looked for. */
static bool any_holds(const struct field *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->c[i].worked_out && f->c[i].s.rank <= SUGGEST_SLOW)
            return true;
    return false;
}

bool suggest_make(const struct model *model, const struct suggest_wish *wish, struct arena *arena,
                  struct suggestions *out, struct err *err)
{
    struct suggest_quest q = {.model = model, .wish = wish, .arena = arena, .s = wish->wish->s};
    struct field f = {.q = &q};
    bool met, open = !(wish->wish->given & GIVEN_CTX) && !wish->wish->ctx_max;
    struct suggestions found = {0};
    if (!kinds_make(&q, err) || !look_at(&f, usual_context(&q), &met, err))
        return false;
    if (open && !any_holds(&f) && q.s.n_ctx > LOWER_CONTEXT) {
        found.context_lowered = true;
        if (!look_at(&f, LOWER_CONTEXT, &met, err))
            return false;
    }
    if (!q.n_placed && q.refused.code != ERR_NONE) {
        *err = q.refused;
        return false;
    }
    if (!collect(&f, &found, err))
        return false;
    *out = found;
    return true;
}
