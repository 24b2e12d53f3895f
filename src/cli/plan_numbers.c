/* plan_numbers: the table under the bars: every part on every card, and how we know it. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/table.h"
#include "cli/plan_job.h"

#define GIB 1073741824.0

enum part { PART_W, PART_K, PART_CR, PART_OTHER, PART_FREE, PARTS };

static double amount(const struct plan_device *d, enum part part)
{
    switch (part) {
    case PART_W: return (double)(d->weights + d->projector + d->draft) / GIB;
    case PART_K: return (double)d->kv / GIB;
    case PART_CR: return (double)(d->compute + d->runtime) / GIB;
    case PART_OTHER: return (double)d->other / GIB;
    default: return (double)d->free_after / GIB;
    }
}

static double sum(const struct plan *p, enum part part)
{
    double all = 0;
    for (uint32_t i = 0; i < p->n_devices; i++)
        all += amount(&p->devices[i], part);
    return all;
}

/* Largest deviation of a card's estimate, in GiB. */
static double deviation(const struct plan *p)
{
    double most = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        uint64_t up = d->runtime_high - d->runtime, down = d->runtime - d->runtime_low;
        double own = (double)(up > down ? up : down) / GIB;
        if (!p->law.compute_exact && p->law.compute_high[i] > p->law.compute_low[i])
            own += (double)(p->law.compute_high[i] - p->law.compute_low[i]) / 2 / GIB;
        most = own > most ? own : most;
    }
    return most;
}

static void name_occupants(const struct plan *p, struct str *out)
{
    int named = 0, more = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        for (uint32_t k = 0; k < p->devices[i].card->n_occupants; k++) {
            const struct occupant *o = &p->devices[i].card->occupants[k];
            if (named < 2 && o->name)
                str_addf(out, "%s%s", named++ ? ", " : ": ", o->name);
            else
                more++;
        }
    }
    if (more)
        str_addf(out, " +%d", more);
}

static void know_others(const struct plan *p, struct str *out)
{
    bool real = false;
    for (uint32_t i = 0; i < p->n_devices; i++)
        real = real || !p->devices[i].card->simulated;
    if (!real) {
        str_add(out, sum(p, PART_OTHER) > 0 ? "simulated, by :free=" : "none, simulated");
        return;
    }
    str_add(out, "measured now");
    name_occupants(p, out);
}

static void know_free(const struct plan *p, struct str *out)
{
    double least = 1e18, most = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        double keep = (double)p->devices[i].keep_free / GIB;
        least = keep < least ? keep : least;
        most = keep > most ? keep : most;
    }
    if (most - least < 0.05)
        str_addf(out, "%.1f kept free%s", most, p->n_devices > 1 ? " on each" : "");
    else
        str_addf(out, "%.1f to %.1f kept free", least, most);
}

static void how_we_know(const struct plan *p, enum part part, struct str *out)
{
    const char *each = __builtin_popcount(p->used_mask) > 1 ? " each" : "";
    bool exact = true;
    for (uint32_t i = 0; i < p->n_devices; i++)
        exact = exact && (plan_backend_exact(p->devices[i].card) || !(p->used_mask & (1u << i)));
    if (!exact && (part == PART_W || part == PART_K))
        str_add(out, "estimate, as CUDA would take");
    else if (part == PART_W)
        str_add(out, p->model->from_file ? "exact, from the file" : "exact, from the profile");
    else if (part == PART_K && p->wish.kv_cache_factor != 1.0)
        str_addf(out, "exact, times %.2g as you asked", p->wish.kv_cache_factor);
    else if (part == PART_K)
        str_add(out, "exact, from the shape");
    else if (part == PART_CR && p->law.compute_exact && exact)
        str_addf(out, "exact; runtime +/- %.2f%s", deviation(p), each);
    else if (part == PART_CR)
        str_addf(out, "estimate, +/- %.2f%s", deviation(p), each);
    else if (part == PART_OTHER)
        know_others(p, out);
    else
        know_free(p, out);
}

static const char *const part_names[PARTS] = {"weights", "KV cache", "compute, runtime",
                                              "other programs", "free afterwards"};

static void number(struct table *t, double gib)
{
    table_cellf(t, "%.2f", gib);
}

static bool unused(const struct plan *p, uint32_t i, enum part part)
{
    return !(p->used_mask & (1u << i)) && part < PART_OTHER;
}

static void host_cells(struct table *t, const struct plan *p, uint32_t blanks)
{
    own(own_str) struct str note = {0};
    plan_host_note(p, &note);
    table_cell(t, "host memory");
    for (uint32_t i = 0; i < blanks; i++)
        table_cell(t, " ");
    number(t, (double)plan_host_need(p) / GIB);
    table_cell(t, note.data);
}

/* "about 23 tok/s (20-26); prompts 900 tok/s; medium confidence"; nothing where nothing is known. */
static void speed_line(const struct plan *p, struct str *out)
{
    const struct speed *v = &p->speed;
    char number[32];
    if (v->confidence == SPEED_NONE || v->decode.tps <= 0)
        return;
    int digits = v->decode.tps < 10;
    str_addf(out, "about %.*f tok/s (%.*f-%.*f)", digits, v->decode.tps, digits, v->decode.low, digits, v->decode.high);
    if (v->decode_depth.tps > 0 && p->law.n_ctx_seq > 4096)
        str_addf(out, ", %.*f at full context", digits, v->decode_depth.tps);
    if (v->prefill.tps > 0)
        str_addf(out, "; prompts %s tok/s", str_grouped((uint64_t)(v->prefill.tps + 0.5), number));
    if (p->settings.n_seq_max > 1 && v->throughput.tps > 0)
        str_addf(out, "; %u slots together %.0f", p->settings.n_seq_max, v->throughput.tps);
    str_addf(out, "; %s confidence", speed_confidence_name(v->confidence));
}

static void add_speed(const struct plan *p, const char *indent, int width, struct str *out)
{
    own(own_str) struct str line = {0};
    speed_line(p, &line);
    if (line.len)
        text_wrap(out, indent, (int)strlen(indent), line.data, width);
}

/* "33-61 tok/s, about 48, drafting 3 tokens with the draft model": the plain speed stands above. */
static void add_speculation(const struct plan *p, const char *indent, int width, struct str *out)
{
    const struct speculation_gain *g = &p->speculation;
    own(own_str) struct str line = {0};
    if (g->kind == SPEC_NONE)
        return;
    const struct speculation_rate *r = speculation_rate(g->kind);
    int digits = g->decode.tps < 10;
    str_addf(&line, "about %.*f tok/s (%.*f-%.*f), if %.0f %% (%.0f-%.0f) of %u token%s ahead by %s are accepted", digits,
             g->decode.tps, digits, g->decode.low, digits, g->decode.high, 100 * r->likely, 100 * r->low,
             100 * r->high, g->drafted, g->drafted == 1 ? "" : "s",
             g->kind == SPEC_NEXTN ? "its own NextN block" : "the draft model");
    if (line.len)
        text_wrap(out, indent, (int)strlen(indent), line.data, width);
}

void plan_card_columns(const struct plan *p, char heads[PLAN_COLUMNS_MOST][16], struct table *t)
{
    table_column(t, "GiB", TABLE_LEFT);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        snprintf(heads[i], sizeof(heads[i]), "GPU %d", p->devices[i].card->index);
        table_column(t, heads[i], TABLE_RIGHT);
    }
    if (p->n_devices > 1)
        table_column(t, "all", TABLE_RIGHT);
    table_column(t, "how we know", TABLE_LEFT);
}

/* Cards are columns. */
static void write_columns(const struct plan *p, const struct table_style *style, struct str *out)
{
    own(own_table) struct table t = {0};
    char heads[PLAN_COLUMNS_MOST][16];
    plan_card_columns(p, heads, &t);
    for (int part = 0; part < PARTS; part++) {
        own(own_str) struct str know = {0};
        table_cell(&t, part_names[part]);
        for (uint32_t i = 0; i < p->n_devices; i++) {
            if (unused(p, i, part))
                table_cell(&t, "-");
            else
                number(&t, amount(&p->devices[i], part));
        }
        if (p->n_devices > 1)
            number(&t, sum(p, part));
        how_we_know(p, part, &know);
        table_cell(&t, know.data);
    }
    host_cells(&t, p, p->n_devices > 1 ? p->n_devices : p->n_devices - 1);
    table_write(&t, style, out);
    add_speed(p, "  speed             ", style->width, out);
    add_speculation(p, "  with drafting     ", style->width, out);
}

/* Cards are rows; how we know stands below. */
static void write_rows(const struct plan *p, const struct table_style *style, struct str *out)
{
    static const char *const heads[PARTS] = {"weights", "KV", "compute", "other", "free"};
    own(own_table) struct table t = {0};
    own(own_str) struct str note = {0};
    table_column(&t, "GiB", TABLE_LEFT);
    for (int part = 0; part < PARTS; part++)
        table_column(&t, heads[part], TABLE_RIGHT);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        table_cellf(&t, "%d %s", p->devices[i].card->index, p->devices[i].card->name);
        for (int part = 0; part < PARTS; part++) {
            if (unused(p, i, part))
                table_cell(&t, "-");
            else
                number(&t, amount(&p->devices[i], part));
        }
    }
    table_cell(&t, "all");
    for (int part = 0; part < PARTS; part++)
        number(&t, sum(p, part));
    table_write(&t, style, out);
    plan_host_note(p, &note);
    str_addf(out, "  host memory %.2f: %s\n", (double)plan_host_need(p) / GIB,
             note.data ? note.data : "");
    for (int part = 0; part < PARTS; part++) {
        own(own_str) struct str know = {0}, line = {0};
        how_we_know(p, part, &know);
        str_addf(&line, "%s: %s", part_names[part], know.data ? know.data : "");
        text_wrap(out, "  ", 4, line.data ? line.data : "", style->width);
    }
    add_speed(p, "  speed: ", style->width, out);
    add_speculation(p, "  with drafting: ", style->width, out);
}

/* No cards: the parts of host memory. */
static void write_host(const struct plan *p, const struct table_style *style, struct str *out)
{
    const struct plan_host *h = &p->host;
    const struct {
        const char *name;
        uint64_t bytes;
        const char *know;
    } rows[] = {
        {"weights",              h->weights,
         p->model->from_file ? "exact, from the file" : "exact, from the profile"       },
        {"repacked copy",        h->repack,  "exact, for this processor's kernels"      },
        {"KV cache",             h->kv,      "exact, from the shape"                    },
        {"compute",              h->compute, p->law.compute_exact ? "exact" : "estimate"},
        {"outputs, checkpoints", h->cache,   "exact at the start"                       },
        {"free now",             h->free,    "measured now"                             },
    };
    own(own_table) struct table t = {0};
    table_column(&t, "GiB", TABLE_LEFT);
    table_column(&t, "host", TABLE_RIGHT);
    table_column(&t, "how we know", TABLE_LEFT);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((double)rows[i].bytes / GIB < 0.005)
            continue;
        table_cell(&t, rows[i].name);
        number(&t, (double)rows[i].bytes / GIB);
        table_cell(&t, rows[i].know);
    }
    table_write(&t, style, out);
}

void plan_numbers(const struct plan *p, const struct look *look, struct str *out)
{
    struct table_style style = {.width = look->width, .ascii = look->ascii, .indent = 2};
    if (p->n_devices == 0)
        write_host(p, &style, out);
    else if (p->n_devices <= PLAN_COLUMNS_MOST)
        write_columns(p, &style, out);
    else
        write_rows(p, &style, out);
}
