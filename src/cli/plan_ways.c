/* plan_ways: the other plans of one that fits, the ways to yes of one that does not, and what to
 * type next. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/table.h"
#include "cli/plan_job.h"

#define GIB 1073741824.0

enum { OTHERS_MOST = 6 };

static void add_context(struct table *t, uint32_t context)
{
    char number[32];
    table_cell(t, context ? str_grouped(context, number) : "-");
}

static void add_tps(struct table *t, double tps)
{
    if (tps > 0)
        table_cellf(t, "~%.*f", tps < 10, tps);
    else
        table_cell(t, "-");
}

void plan_others(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct plan *p = job->plan;
    own(own_table) struct table t = {0};
    struct table_style style = {
        .width = look->width, .ascii = look->ascii, .indent = 2, .wrap = true};
    uint32_t most = p->wish.all_alternatives ? PLAN_MAX_ALTERNATIVES : OTHERS_MOST;
    if (!p->n_alternatives)
        return;
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, "Other plans       ", TABLE_LEFT);
    table_column(&t, "context", TABLE_RIGHT);
    table_column(&t, "tok/s", TABLE_RIGHT);
    table_column(&t, "price", TABLE_LEFT);
    for (uint32_t i = 0; i < p->n_alternatives && i < most; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        table_cellf(&t, "%c", a->key);
        table_cell(&t, a->change);
        add_context(&t, a->context);
        add_tps(&t, a->decode_tps);
        table_cell(&t, a->price);
    }
    str_add(out, "\n");
    table_write(&t, &style, out);
}

static void enough(struct table *t, const struct plan_alternative *a)
{
    if (a->verdict == VERDICT_NO_FIT && a->short_bytes > 0)
        table_cellf(t, "no, %.1f short", (double)a->short_bytes / GIB);
    else if (a->verdict == VERDICT_NO_FIT)
        table_cell(t, "no");
    else
        table_cellf(t, "yes%s", a->verdict == VERDICT_PARTLY_CPU ? ", but slower" : "");
}

/* What must go for it to fit with the room kept free: the measure that `enough?` is in. */
static uint64_t must_go(const struct plan *p)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        if ((p->used_mask & (1u << i)) && d->free_after < (int64_t)d->keep_free)
            all += (uint64_t)((int64_t)d->keep_free - d->free_after);
    }
    return all;
}

/* The asked context stands: which single change is enough, and which pairs are. */
static void write_changes(const struct plan *p, const struct table_style *style, struct str *out)
{
    own(own_table) struct table t = {0};
    str_addf(out, "  %.1f GiB have to be saved, counting the room to keep free.\n",
             (double)must_go(p) / GIB);
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, "Single changes                  ", TABLE_LEFT);
    table_column(&t, "frees GiB", TABLE_RIGHT);
    table_column(&t, "enough?", TABLE_LEFT);
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        if (a->combination)
            continue;
        table_cellf(&t, "%c", a->key);
        table_cell(&t, a->change);
        if (a->other_cards)
            table_cell(&t, "-");
        else
            table_cellf(&t, "%.2f", (double)a->freed_bytes / GIB);
        enough(&t, a);
    }
    table_write(&t, style, out);
}

static void write_combinations(const struct plan *p, bool all, const struct table_style *style,
                               struct str *out)
{
    own(own_table) struct table t = {0};
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, all ? "What would work                " : "Combinations that fit          ",
                 TABLE_LEFT);
    table_column(&t, "context", TABLE_RIGHT);
    table_column(&t, "tok/s", TABLE_RIGHT);
    table_column(&t, "you give up", TABLE_LEFT);
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        if ((!all && !a->combination) || a->verdict == VERDICT_NO_FIT)
            continue;
        table_cellf(&t, "%c", a->key);
        table_cell(&t, a->change);
        add_context(&t, a->context);
        add_tps(&t, a->decode_tps);
        table_cell(&t, a->price);
    }
    if (!t.n_cells)
        return;
    str_add(out, "\n");
    table_write(&t, style, out);
}

void plan_ways(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct plan *p = job->plan;
    struct table_style style = {
        .width = look->width, .ascii = look->ascii, .indent = 2, .wrap = true};
    bool asked = (p->wish.given & GIVEN_CTX) || p->wish.as_command;
    if (p->n_alternatives && asked) {
        str_add(out, "\n");
        write_changes(p, &style, out);
    }
    write_combinations(p, !asked, &style, out);
    if (job->spill) {
        own(own_str) struct str line = {0};
        plan_summary(job->spill, &line);
        str_add(out, "\n");
        text_wrap(out, "  Shown above: ", 15, line.data ? line.data : "", look->width);
    }
}

/* Commands to type next, their meaning beside them in one column where there is room. */
static void next_lines(const struct plan_job *job, const char *const *more, const char *const *what,
                       int n, const struct look *look, struct str *out)
{
    struct str line[2] = {{0}, {0}};
    int widest = 0, longest = 0;
    for (int i = 0; i < n; i++) {
        plan_job_again(job, more[i], look->width - 4 - (int)strlen(what[i]), &line[i]);
        widest = (int)line[i].len > widest ? (int)line[i].len : widest;
        longest = (int)strlen(what[i]) > longest ? (int)strlen(what[i]) : longest;
    }
    int room = look->width - 2 - longest, column = widest + 3 < room ? widest + 3 : room;
    for (int i = 0; i < n; i++) {
        int pad = column - (int)line[i].len;
        str_addf(out, "  %s", line[i].data ? line[i].data : "");
        str_add_char(out, ' ', pad < 2 ? 2 : pad);
        str_addf(out, "%s\n", what[i]);
        str_finish(&line[i]);
    }
}

const struct plan_alternative *plan_best_way(const struct plan *p)
{
    const struct plan_alternative *best = NULL;
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        if (a->verdict == VERDICT_FITS && strcmp(a->price, "nothing") == 0)
            return a;
        if (a->flags[0] && a->verdict == VERDICT_FITS && (!best || (a->combination && !best->combination)))
            best = a;
    }
    for (uint32_t i = 0; i < p->n_alternatives && !best; i++)
        if (p->alternatives[i].flags[0] && p->alternatives[i].verdict != VERDICT_NO_FIT)
            best = &p->alternatives[i];
    return best;
}

void plan_next(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct plan *p = job->plan;
    const struct plan_alternative *best = p->verdict == VERDICT_NO_FIT ? plan_best_way(p) : NULL;
    char take[16];
    const char *more[2], *what[2];
    int n = 0;
    if (p->verdict != VERDICT_NO_FIT) {
        more[n] = "-o sh";
        what[n++] = "the script";
    } else if (best) {
        snprintf(take, sizeof(take), "take %c", best->key);
        more[n] = best->flags;
        what[n++] = take;
    }
    more[n] = "--explain";
    what[n++] = "every formula";
    str_add(out, "\n");
    next_lines(job, more, what, n, look, out);
}
