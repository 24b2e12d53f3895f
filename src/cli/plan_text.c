/* plan_text: a plan as people read it: what it is, does it fit, where everything lies, what else
 * would work. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/table.h"
#include "cli/plan_job.h"

#define GIB 1073741824.0

static void paint(struct str *out, const struct look *look, const char *sgr, const char *text)
{
    if (look->color)
        str_addf(out, "\x1b[%sm%s\x1b[0m", sgr, text);
    else
        str_add(out, text);
}

/* The name gives way when the line is too long, the numbers do not. */
static void write_header(const struct plan *p, const struct look *look, struct str *out)
{
    own(own_str) struct str rest = {0}, name = {0};
    char gib[32], number[32];
    const struct model *m = p->model;
    str_addf(&rest, "  %s  %s GiB  %u layers", m->quantization, str_gib(m->file_bytes, 1, gib),
             m->n_layers);
    if (m->hp.n_ctx_train && look->width >= 70)
        str_addf(&rest, "  max context %s", str_grouped(m->hp.n_ctx_train, number));
    str_add_printable(&name, m->name, strlen(m->name));
    int room = look->width - (rest.data ? (int)str_columns(rest.data) : 0);
    struct table_style style = {
        .width = room > 12 ? room : 12, .ascii = look->ascii, .no_heading = true};
    own(own_table) struct table t = {0};
    own(own_str) struct str cut = {0};
    table_column(&t, "", TABLE_LEFT);
    table_cell(&t, name.data);
    table_write(&t, &style, &cut);
    str_addf(out, "%.*s%s\n", cut.len ? (int)cut.len - 1 : 0, cut.data ? cut.data : "",
             rest.data ? rest.data : "");
}

static void write_simulated(const struct plan *p, const struct look *look, struct str *out)
{
    own(own_str) struct str cards = {0};
    plan_simulated(p, &cards);
    if (cards.len)
        text_wrap(out, "simulated cards: ", 17, cards.data, look->width);
}

static const char *verdict_color(const struct plan *p)
{
    return p->verdict == VERDICT_NO_FIT ? "1;31" : p->verdict == VERDICT_FITS ? "1;32" : "1;33";
}

void plan_verdict_line(const struct plan *p, const char *rest, const struct look *look,
                       struct str *out)
{
    own(own_str) struct str word = {0}, line = {0};
    plan_verdict_text(p, &word);
    if (!word.data)
        return;
    str_addf(&line, "%s   ", word.data);
    size_t at = out->len;
    text_wrap(out, line.data, (int)line.len, rest, look->width);
    if (look->color && !out->failed) {
        own(own_str) struct str tail = {0};
        str_add(&tail, out->data + at + word.len);
        out->len = at;
        paint(out, look, verdict_color(p), word.data);
        str_add(out, tail.data);
    }
}

static void write_verdict(const struct plan *p, const struct look *look, struct str *out)
{
    own(own_str) struct str word = {0}, all = {0};
    plan_verdict_text(p, &word);
    plan_summary(p, &all);
    str_add(&all, look->quiet && p->machine->simulated ? ", simulated" : "");
    if (!word.data || !all.data)
        return;
    char *engine = strstr(all.data, "llama.cpp ");
    if (engine && word.len + 3 + str_columns(all.data) > (size_t)look->width)
        memmove(engine, engine + 10, strlen(engine + 10) + 1); /* "layer split" says enough */
    plan_verdict_line(p, all.data, look, out);
}

/* GiB missing over all cards, and the host's shortage where that is what is missing. */
static uint64_t missing(const struct plan *p, bool *host)
{
    uint64_t cards = 0;
    for (uint32_t i = 0; i < p->n_devices; i++)
        cards += p->devices[i].shortfall;
    *host = cards == 0 && p->host.shortfall > 0;
    return *host ? p->host.shortfall : cards;
}

static void write_no_fit(const struct plan *p, const struct look *look, struct str *out)
{
    own(own_str) struct str line = {0};
    char number[32];
    bool host;
    double less = (double)missing(p, &host) / GIB;
    double needs = (double)(host ? plan_host_need(p) + p->host.keep_free : p->needed_bytes) / GIB;
    double has = (double)(host ? p->host.free : p->available_bytes) / GIB;
    str_addf(&line, " %s: %.1f GiB short at %s tokens (needs %.1f, has %.1f)",
             host               ? "in host memory"
             : p->n_devices > 1 ? "on the GPUs"
                                : "on the GPU",
             less, str_grouped(p->law.n_ctx, number), needs, has);
    const char *simulated = look->quiet && p->machine->simulated ? ", simulated" : "";
    char *sums = line.data ? strstr(line.data, " (needs") : NULL;
    bool wide = sums && line.len + 12 + strlen(simulated) > (size_t)look->width;
    if (wide)
        *sums = '\0'; /* the sums give way */
    paint(out, look, verdict_color(p), "DOES NOT FIT");
    str_addf(out, "%s%s\n", line.data ? line.data : "", simulated);
    if (wide && !look->quiet)
        str_addf(out, "             needs %.1f GiB, has %.1f GiB\n", needs, has);
}

/* Why a plan is as it is: where it is not plain, or a choice was made that may surprise. */
static bool worth_saying(const struct plan *p)
{
    bool left_out = __builtin_popcount(p->used_mask) == 1 && p->n_devices > 1;
    return p->verdict != VERDICT_FITS || p->wish.goal != GOAL_FEWEST || left_out;
}

static void write_reasons(const struct plan *p, const struct look *look, struct str *out)
{
    if (p->n_reasons)
        str_add(out, "\n");
    for (uint32_t i = 0; i < p->n_reasons; i++)
        text_wrap(out, "  - ", 4, p->reasons[i], look->width);
}

void plan_not_accounted(const struct plan_job *job, const struct look *look, struct str *out)
{
    own(own_str) struct str list = {0};
    for (uint32_t i = 0; i < job->request.n_not_accounted; i++)
        str_addf(&list, "%s%s", i ? " " : "", job->request.not_accounted[i]);
    if (!list.len)
        return;
    str_add(out, "\n");
    text_wrap(out, "  not accounted for, passed on as they stand: ", 4, list.data, look->width);
}

static void write_no_cards(const struct plan_job *job, const struct look *look, struct str *out)
{
    if (job->no_cards.code == ERR_NONE)
        return;
    text_wrap(out, "no GPU: ", 8, job->no_cards.title, look->width);
}

void plan_heading(const struct plan_job *job, const struct look *look, struct str *out)
{
    write_header(job->plan, look, out);
    write_simulated(job->plan, look, out);
    write_no_cards(job, look, out);
    if (job->engine_why)
        text_wrap(out, "engine: ", 8, job->engine_why, look->width);
    str_add(out, "\n");
}

void plan_text(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct plan *p = job->plan;
    bool fits = p->verdict != VERDICT_NO_FIT;
    if (look->quiet) {
        fits ? write_verdict(p, look, out) : write_no_fit(p, look, out);
        return;
    }
    plan_heading(job, look, out);
    fits ? write_verdict(p, look, out) : write_no_fit(p, look, out);
    str_add(out, "\n");
    if (p->n_devices || p->host.total)
        plan_bars(job->spill ? job->spill : p, look, job->spill || !fits, out);
    if (fits) {
        str_add(out, "\n");
        plan_numbers(p, look, out);
    }
    if (fits && worth_saying(p))
        write_reasons(p, look, out);
    plan_not_accounted(job, look, out);
    if (fits)
        plan_others(job, look, out);
    else
        plan_ways(job, look, out);
    plan_next(job, look, out);
}
