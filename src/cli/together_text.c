/* together_text: bars with a letter per model, a table of the models, and what would help. */
#include "cli/together_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/share.h"
#include "base/table.h"

#define GIB 1073741824.0

enum {
    CELLS_MOST = 40,
    LABEL_MOST = 22,
    NAME_MOST = 22,
    COLUMNS_MOST = 3,
    SEGMENTS = TOGETHER_MAX_MODELS + 3
};

static const int colors[TOGETHER_MAX_MODELS] = {69, 172, 79, 176};

static char letter_of(const struct together *t, int segment)
{
    int other = (int)t->n;
    return segment < other ? (char)('A' + segment) : "o=."[segment - other];
}

/* Models, other programs, kept free, free; all in GiB, no more than the card has unless it is
 * short. */
static void segments_of(const struct together *t, uint32_t card, double *gib)
{
    const struct together_card *c = &t->cards[card];
    double left = (double)c->free_after / GIB, keep = (double)c->keep_free / GIB;
    bool used = false;
    for (uint32_t k = 0; k < t->n; k++) {
        gib[k] = (double)c->need[k] / GIB;
        used = used || c->need[k];
    }
    gib[t->n] = (double)c->other / GIB;
    keep = !used || left <= 0 ? 0 : keep < left ? keep : left;
    gib[t->n + 1] = keep;
    gib[t->n + 2] = left > keep ? left - keep : 0;
}

static void draw(const struct together *t, int segment, int cells, const struct look *look,
                 struct str *out)
{
    bool painted = look->color && segment < (int)t->n && cells;
    if (painted)
        str_addf(out, "\x1b[38;5;%dm", colors[segment]);
    str_add_char(out, letter_of(t, segment), cells);
    if (painted)
        str_add(out, "\x1b[0m");
}

static void write_bar(const struct together *t, uint32_t card, int label, double cell,
                      const struct look *look, struct str *out)
{
    const struct device *d = &t->machine->devices[card];
    double gib[SEGMENTS], used = 0;
    int cells[SEGMENTS], room = (int)lround((double)d->total_bytes / GIB / cell), drawn = 0;
    char name[LABEL_MOST * 4 + 1];
    segments_of(t, card, gib);
    share_cells(gib, (int)t->n + 3, cell, cells);
    snprintf(name, sizeof(name), "%d %.*s", d->index, LABEL_MOST - 3, d->name);
    str_addf(out, "  %s", name);
    str_add_char(out, ' ', label - (int)str_columns(name));
    str_add(out, " |");
    for (int i = 0; i < (int)t->n + 3; i++) {
        int n = drawn + cells[i] > room ? room - drawn : cells[i];
        draw(t, i, n, look, out);
        drawn += n;
        used += i <= (int)t->n ? gib[i] : 0;
    }
    str_add(out, t->cards[card].free_after < 0 ? ">" : "|");
    str_addf(out, " %.1f of %.1f GiB\n", used, (double)d->total_bytes / GIB);
}

static void write_bars(const struct together_job *job, const struct look *look, struct str *out)
{
    const struct together *t = &job->result;
    double longest = 0;
    int label = 0;
    for (uint32_t i = 0; i < t->n_cards; i++) {
        const struct device *d = &t->machine->devices[i];
        int columns = (int)str_columns(d->name) + 2;
        longest = fmax(longest, (double)d->total_bytes / GIB);
        label = columns > label ? columns : label;
    }
    label = label > LABEL_MOST ? LABEL_MOST : label;
    int most = look->width - 22 - label < CELLS_MOST ? look->width - 22 - label : CELLS_MOST;
    if (most < 10)
        return;
    double step = longest / most > 0.1 ? 0.1 : 0.01,
           cell = ceil(longest / most / step - 1e-9) * step;
    str_addf(out, "  1 cell = %.*f GiB  ", cell < 0.1 ? 2 : 1, cell);
    for (int i = 0; i < (int)t->n + 2; i++) {
        double gib[SEGMENTS];
        bool there = i < (int)t->n;
        for (uint32_t k = 0; k < t->n_cards && !there; k++) {
            segments_of(t, k, gib);
            there = gib[i] > 0;
        }
        if (!there)
            continue;
        str_add(out, i < (int)t->n ? " " : "  ");
        draw(t, i, 1, look, out);
        if (i >= (int)t->n)
            str_add(out, i == (int)t->n ? " other programs" : " kept free");
        else if (i == (int)t->n - 1)
            str_add(out, " models");
    }
    bool over = false;
    for (uint32_t i = 0; i < t->n_cards; i++)
        over = over || t->cards[i].free_after < 0;
    str_add(out, over ? "  > short\n" : "\n");
    for (uint32_t i = 0; i < t->n_cards; i++)
        write_bar(t, i, label, cell, look, out);
}

static void add_cards(struct table *tab, const struct plan *p)
{
    own(own_str) struct str s = {0};
    for (uint32_t i = 0; i < p->n_devices; i++)
        if (p->used_mask & (1u << i))
            str_addf(&s, "%s%d", s.len ? "+" : "", p->devices[i].card->index);
    table_cell(tab, s.len ? s.data : "host");
}

static void add_kv(struct table *tab, const struct plan *p)
{
    const struct gguf_type_info *k = gguf_type_info(p->settings.type_k),
                                *v = gguf_type_info(p->settings.type_v);
    if (k == v)
        table_cell(tab, k ? k->name : "?");
    else
        table_cellf(tab, "%s/%s", k ? k->name : "?", v ? v->name : "?");
}

static void add_gib(struct table *tab, double bytes)
{
    if (bytes == 0)
        table_cell(tab, NULL);
    else
        table_cellf(tab, "%.1f", bytes / GIB);
}

/* A file by its own name; the end of a long one tells more than its beginning. */
static void add_name(struct table *tab, const char *name)
{
    const char *slash = strrchr(name, '/');
    name = slash && slash[1] ? slash + 1 : name;
    size_t len = strlen(name);
    if (len <= NAME_MOST)
        table_cell(tab, name);
    else
        table_cellf(tab, "...%s", name + len - NAME_MOST + 3);
}

static bool knows_speed(const struct together *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->plans[i].speed.confidence != SPEED_NONE && t->plans[i].speed.decode.tps > 0)
            return true;
    return false;
}

static void write_model(const struct together_job *job, uint32_t i, bool cards, bool speed,
                        struct table *tab)
{
    const struct together *t = &job->result;
    const struct plan *p = &t->plans[i];
    char number[32];
    double sum = 0;
    table_cellf(tab, "%c", 'A' + (int)i);
    add_name(tab, job->names[i]);
    add_cards(tab, p);
    table_cell(tab, str_grouped(p->law.n_ctx, number));
    add_kv(tab, p);
    for (uint32_t k = 0; k < t->n_cards; k++) {
        sum += (double)t->cards[k].need[i];
        if (cards)
            add_gib(tab, (double)t->cards[k].need[i]);
    }
    add_gib(tab, sum);
    if (speed && p->speed.decode.tps > 0 && p->verdict != VERDICT_NO_FIT)
        table_cellf(tab, "%.0f-%.0f", p->speed.decode.low, p->speed.decode.high);
    else if (speed)
        table_cell(tab, NULL);
}

static void write_free(const struct together *t, bool speed, struct table *tab)
{
    double sum = 0;
    table_cell(tab, " ");
    table_cell(tab, "free afterwards");
    for (int i = 0; i < 3; i++)
        table_cell(tab, " ");
    for (uint32_t k = 0; k < t->n_cards; k++) {
        sum += (double)t->cards[k].free_after;
        table_cellf(tab, "%.1f", (double)t->cards[k].free_after / GIB);
    }
    table_cellf(tab, "%.1f", sum / GIB);
    if (speed)
        table_cell(tab, NULL);
}

static void write_table(const struct together_job *job, const struct look *look, struct str *out)
{
    char headings[COLUMNS_MOST][16];
    const struct together *t = &job->result;
    bool cards = t->n_cards && t->n_cards <= COLUMNS_MOST,
         speed = knows_speed(t) && (!cards || t->n_cards < 3);
    own(own_table) struct table tab = {0};
    struct table_style style = {.width = look->width, .ascii = look->ascii, .indent = 2};
    table_column(&tab, " ", TABLE_LEFT);
    table_column(&tab, "MODEL (sizes in GiB)", TABLE_LEFT);
    table_column(&tab, "GPUS", TABLE_LEFT);
    table_column(&tab, "CONTEXT", TABLE_RIGHT);
    table_column(&tab, "KV", TABLE_LEFT);
    for (uint32_t i = 0; cards && i < t->n_cards; i++) {
        snprintf(headings[i], sizeof(headings[i]), "GPU %d", t->machine->devices[i].index);
        table_column(&tab, headings[i], TABLE_RIGHT);
    }
    table_column(&tab, "SUM", TABLE_RIGHT);
    if (speed)
        table_column(&tab, "TOK/S", TABLE_RIGHT);
    for (uint32_t i = 0; i < t->n; i++)
        write_model(job, i, cards, speed, &tab);
    if (cards && t->verdict != VERDICT_NO_FIT)
        write_free(t, speed, &tab);
    table_write(&tab, &style, out);
}

static void write_verdict(const struct together_job *job, const struct look *look, struct str *out)
{
    static const char *const words[] = {"FITS TOGETHER", "FITS TOGETHER, TIGHTLY",
                                        "TOGETHER PARTLY ON CPU", "DOES NOT FIT TOGETHER"};
    static const char *const sgr[] = {"1;32", "1;33", "1;33", "1;31"};
    const struct together *t = &job->result;
    own(own_str) struct str s = {0};
    char gib[32];
    if (t->short_part >= 0)
        str_addf(&s, "%c is %s GiB short", 'A' + t->short_part, str_gib(t->short_bytes, 1, gib));
    else
        str_addf(&s, "%u models on %u GPU%s", t->n, t->n_cards, t->n_cards == 1 ? "" : "s");
    str_addf(out, "%s%s%s%s", look->color ? "\x1b[" : "", look->color ? sgr[t->verdict] : "",
             look->color ? "m" : "", words[t->verdict]);
    str_addf(out, "%s   %s%s\n", look->color ? "\x1b[0m" : "", s.data ? s.data : "",
             look->quiet && t->machine->simulated ? ", simulated" : "");
}

static void write_ways(const struct together *t, const struct look *look, struct str *out)
{
    own(own_table) struct table tab = {0};
    struct table_style style = {.width = look->width, .ascii = look->ascii, .indent = 2};
    if (!t->n_ways) {
        str_add(
            out,
            "\nNo single change of context or cache makes room: a smaller quantisation, another\n"
            "card, or one model less would.\n");
        return;
    }
    str_add(out, "\nEach of these makes all of them fit:\n");
    table_column(&tab, "MODEL", TABLE_LEFT);
    table_column(&tab, "CHANGE", TABLE_LEFT);
    table_column(&tab, "FLAGS", TABLE_LEFT);
    table_column(&tab, "PRICE", TABLE_LEFT);
    for (uint32_t i = 0; i < t->n_ways; i++) {
        const struct together_way *w = &t->ways[i];
        if (w->part < 0)
            table_cell(&tab, "all");
        else
            table_cellf(&tab, "%c", 'A' + w->part);
        table_cell(&tab, w->change);
        table_cell(&tab, w->flags);
        table_cell(&tab, w->price);
    }
    table_write(&tab, &style, out);
}

static void write_remarks(const struct together *t, const struct look *look, struct str *out)
{
    own(own_str) struct str s = {0};
    char number[32];
    const char *how = t->verdict == VERDICT_NO_FIT
                          ? "no choice of cards for each model holds them all"
                      : t->verdict == VERDICT_TIGHT ? "only without the room kept free"
                                                    : "no other choice of cards takes fewer";
    str_addf(&s,
             "%s (%s, %s placements looked at). Every model is a process with a CUDA context of "
             "its own, "
             "which is counted.",
             how, t->proved ? "proved" : "not proved: the search was cut short",
             str_grouped(t->candidates, number));
    str_add(out, "\n");
    text_wrap(out, "  - ", 4, s.data ? s.data : "", look->width);
    if (t->verdict != VERDICT_NO_FIT)
        text_wrap(out, "  - ", 4, "For the commands, one line a model, add -o args.", look->width);
}

static void write_simulated(const struct together_job *job, const struct look *look,
                            struct str *out)
{
    own(own_str) struct str cards = {0};
    plan_simulated(job->side[0].job.plan, &cards);
    if (cards.len)
        text_wrap(out, "simulated cards: ", 17, cards.data, look->width);
}

static void write_names(const struct together_job *job, const struct look *look, struct str *out)
{
    for (uint32_t i = 0; i < job->n; i++) {
        const struct model *m = job->side[i].job.model;
        own(own_str) struct str s = {0};
        char first[8], gib[32];
        snprintf(first, sizeof(first), "%c  ", 'A' + (int)i);
        str_add_printable(&s, m->name, strlen(m->name));
        str_addf(&s, "  %s  %s GiB", m->quantization, str_gib(m->file_bytes, 1, gib));
        text_wrap(out, first, 3, s.data ? s.data : "", look->width);
    }
}

/* model, letter, name, verdict, cards, context, bytes on every card | card, index, name, total,
 * free after */
static void write_records(const struct together_job *job, struct str *out)
{
    const struct together *t = &job->result;
    str_addf(out, "verdict\t%s\n", plan_verdict_name(t->verdict));
    for (uint32_t i = 0; i < t->n; i++) {
        str_addf(out, "model\t%c\t", 'A' + (int)i);
        str_add_printable(out, job->names[i], strlen(job->names[i]));
        str_addf(out, "\t%s\t%u", plan_verdict_name(t->plans[i].verdict), t->plans[i].law.n_ctx);
        for (uint32_t k = 0; k < t->n_cards; k++)
            str_addf(out, "\t%llu", (unsigned long long)t->cards[k].need[i]);
        str_add(out, "\n");
    }
    for (uint32_t k = 0; k < t->n_cards; k++)
        str_addf(out, "card\t%d\t%s\t%llu\t%lld\n", t->machine->devices[k].index,
                 t->machine->devices[k].name,
                 (unsigned long long)t->machine->devices[k].total_bytes,
                 (long long)t->cards[k].free_after);
}

static void write_sentences(const struct together_job *job, const struct look *look,
                            struct str *out)
{
    const struct together *t = &job->result;
    char number[32];
    for (uint32_t k = 0; k < t->n_cards; k++) {
        own(own_str) struct str s = {0};
        const struct device *d = &t->machine->devices[k];
        str_addf(&s, "GPU %d %s: ", d->index, d->name);
        for (uint32_t i = 0; i < t->n; i++)
            if (t->cards[k].need[i])
                str_addf(&s, "%s %.1f GiB, ", job->names[i], (double)t->cards[k].need[i] / GIB);
        str_addf(&s, "free afterwards %.1f of %.1f GiB.", (double)t->cards[k].free_after / GIB,
                 (double)d->total_bytes / GIB);
        text_wrap(out, "", 0, s.data ? s.data : "", look->width);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        own(own_str) struct str s = {0};
        str_addf(&s, "%s: context %s.", job->names[i], str_grouped(t->plans[i].law.n_ctx, number));
        text_wrap(out, "", 0, s.data ? s.data : "", look->width);
    }
}

void together_text(const struct together_job *job, const struct look *look, struct str *out)
{
    const struct together *t = &job->result;
    if (look->plain) {
        write_records(job, out);
        return;
    }
    if (look->quiet) {
        write_verdict(job, look, out);
        return;
    }
    write_names(job, look, out);
    write_simulated(job, look, out);
    str_add(out, "\n");
    write_verdict(job, look, out);
    str_add(out, "\n");
    if (look->accessible) {
        write_sentences(job, look, out);
    } else {
        if (t->n_cards)
            write_bars(job, look, out);
        str_add(out, t->n_cards ? "\n" : "");
        write_table(job, look, out);
    }
    if (t->verdict == VERDICT_NO_FIT)
        write_ways(t, look, out);
    write_remarks(t, look, out);
}
