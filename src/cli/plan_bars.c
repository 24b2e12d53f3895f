/* plan_bars: one bar per card on one scale of GiB: what lies there, what others hold, what is kept
 * free. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/share.h"
#include "cli/plan_job.h"

#define GIB 1073741824.0

enum segment { SEG_WEIGHTS, SEG_KV, SEG_COMPUTE, SEG_OTHER, SEG_KEEP, SEG_FREE, SEG_COUNT };
enum { CELLS_MOST = 40, CELLS_LEAST = 10, LABEL_MOST = 22, SIZES_WIDTH = 19, LETTER_FROM = 5 };

static const struct {
    char letter;
    const char *name, *glyph;
    int color; /* of 256, chosen to differ for every kind of colour vision */
} segments[SEG_COUNT] = {
    {'W', "weights",   "█", 69 },
    {'K', "KV cache",  "▓", 172},
    {'C', "compute",   "▒", 79 },
    {'o', "other",     "░", 245},
    {'=', "kept free", "=",   0  },
    {'.', "free",      "·",  0  },
};

struct bar {
    char label[LABEL_MOST * 4 + 1];
    double gib[SEG_COUNT];
    double total; /* 0: as long as its segments */
    bool over;    /* more than the card has */
    char sizes[48];
    char layers[24];
    int cells[SEG_COUNT];
};

static void cut_to_card(struct bar *b)
{
    double room = b->total;
    for (int i = 0; i < SEG_COUNT; i++) {
        b->gib[i] = b->gib[i] < room ? b->gib[i] : room;
        room -= b->gib[i];
    }
}

static void card_bar(const struct plan *p, uint32_t i, bool layers, struct bar *b)
{
    const struct plan_device *d = &p->devices[i];
    uint64_t ours = plan_card_need(d);
    double total = (double)d->card->total_bytes / GIB;
    double used = (double)(ours + d->other) / GIB, left = total - used;
    double keep = ours ? (double)d->keep_free / GIB : 0;
    snprintf(b->label, sizeof(b->label), "%d %.*s", d->card->index, LABEL_MOST - 3, d->card->name);
    b->gib[SEG_WEIGHTS] = (double)(d->weights + d->projector + d->draft) / GIB;
    b->gib[SEG_KV] = (double)d->kv / GIB;
    b->gib[SEG_COMPUTE] = (double)(d->compute + d->runtime) / GIB;
    b->gib[SEG_OTHER] = (double)d->other / GIB;
    b->gib[SEG_KEEP] = left <= 0 ? 0 : keep < left ? keep : left;
    b->gib[SEG_FREE] = left > b->gib[SEG_KEEP] ? left - b->gib[SEG_KEEP] : 0;
    b->total = total;
    b->over = used > total;
    if (b->over)
        cut_to_card(b);
    snprintf(b->sizes, sizeof(b->sizes), "%.1f of %.1f GiB", used, total);
    if (layers && ours)
        snprintf(b->layers, sizeof(b->layers), "%u layers", plan_card_layers(p, i));
}

/* Where all is on the host its bar is a card's; beside cards it shows only what the plan puts
 * there. */
static void whole_host(const struct plan *p, struct bar *b)
{
    const struct plan_host *h = &p->host;
    double used = (double)(plan_host_need(p) + h->total - h->free) / GIB,
           keep = (double)h->keep_free / GIB;
    b->total = (double)h->total / GIB;
    b->over = used > b->total;
    double left = b->over ? 0 : b->total - used;
    b->gib[SEG_OTHER] = (double)(h->total - h->free) / GIB;
    b->gib[SEG_KEEP] = keep < left ? keep : left;
    b->gib[SEG_FREE] = left - b->gib[SEG_KEEP];
    if (b->over)
        cut_to_card(b);
    snprintf(b->sizes, sizeof(b->sizes), "%.1f of %.1f GiB", used, b->total);
}

static void host_bar(const struct plan *p, bool layers, struct bar *b)
{
    snprintf(b->label, sizeof(b->label), "host memory");
    b->gib[SEG_WEIGHTS] = (double)(p->host.weights + p->host.repack) / GIB;
    b->gib[SEG_KV] = (double)p->host.kv / GIB;
    b->gib[SEG_COMPUTE] = (double)(p->host.compute + p->host.cache) / GIB;
    snprintf(b->sizes, sizeof(b->sizes), "%.1f GiB", (double)plan_host_need(p) / GIB);
    if (p->n_devices == 0)
        whole_host(p, b);
    if (layers && plan_host_layers(p))
        snprintf(b->layers, sizeof(b->layers), "%u layers", plan_host_layers(p));
}

static double length(const struct bar *b)
{
    double all = 0;
    for (int i = 0; i < SEG_COUNT; i++)
        all += b->gib[i];
    return all > b->total ? all : b->total;
}

/* A cell of a round size: 0.8 GiB, not 0.795. */
static double choose_cell(const struct bar *bars, int n, int most)
{
    double longest = 0;
    for (int i = 0; i < n; i++)
        longest = length(&bars[i]) > longest ? length(&bars[i]) : longest;
    double step = longest / most > 0.1 ? 0.1 : longest / most > 0.01 ? 0.01 : 0.001;
    double cell = ceil(longest / most / step - 1e-9) * step;
    return cell > 0 ? cell : step;
}

/* Letters, or blocks of the segment's colour: the last one half, so that neighbours stand apart,
 * and the letter in the middle of a long one. */
static void draw_segment(struct str *out, int i, int cells, const struct look *look)
{
    int color = segments[i].color;
    if (!look->blocks) {
        str_add_char(out, segments[i].letter, cells);
        return;
    }
    if (color && cells)
        str_addf(out, "\x1b[38;5;%dm", color);
    for (int k = 0; k < cells; k++) {
        if (color && cells >= LETTER_FROM && k == (cells - 1) / 2)
            str_addf(out, "\x1b[48;5;%d;38;5;16m%c\x1b[0;38;5;%dm", color, segments[i].letter,
                     color);
        else
            str_add(out, color && cells > 1 && k == cells - 1 ? "▌" : segments[i].glyph);
    }
    if (color && cells)
        str_add(out, "\x1b[0m");
}

static void draw(const struct bar *b, int label, int cells, const struct look *look,
                 struct str *out)
{
    int drawn = 0, sizes = (int)strlen(b->sizes);
    str_addf(out, "  %s", b->label);
    str_add_char(out, ' ', label - (int)str_columns(b->label));
    if (cells) {
        str_add(out, " |");
        for (int i = 0; i < SEG_COUNT; i++) {
            draw_segment(out, i, b->cells[i], look);
            drawn += b->cells[i];
        }
        str_add(out, b->over ? ">" : "|");
        str_add_char(out, ' ', cells - drawn);
    }
    str_addf(out, " %s", b->sizes);
    if (b->layers[0]) {
        str_add_char(out, ' ', SIZES_WIDTH - 1 - sizes);
        str_add(out, b->layers);
    }
    str_add(out, "\n");
}

static void legend(const struct bar *bars, int n, double cell, const struct look *look,
                   struct str *out)
{
    bool over = false;
    str_addf(out, "  1 cell = %.*f GiB%s", cell < 0.1 ? 2 : 1, cell, look->width < 76 ? "\n" : " ");
    for (int s = 0; s < SEG_FREE; s++) {
        bool there = false;
        for (int i = 0; i < n; i++) {
            there = there || bars[i].cells[s];
            over = over || bars[i].over;
        }
        if (!there)
            continue;
        str_add(out, "  ");
        draw_segment(out, s, 1, look);
        str_addf(out, " %s", segments[s].name);
    }
    str_add(out, over ? "  > short\n" : "\n");
}

void plan_bars(const struct plan *p, const struct look *look, bool layers, struct str *out)
{
    struct bar bars[MACHINE_MAX_DEVICES + 1] = {0};
    int n = 0, label = 0;
    bool host = p->verdict == VERDICT_PARTLY_CPU || p->n_devices == 0;
    for (uint32_t i = 0; i < p->n_devices; i++)
        card_bar(p, i, layers, &bars[n++]);
    if (host)
        host_bar(p, layers, &bars[n++]);
    for (int i = 0; i < n; i++) {
        int columns = (int)str_columns(bars[i].label);
        label = columns > label ? columns : label;
    }
    int room = look->width - 2 - label - 4 - 16 - (layers ? 14 : 0);
    int most = room < CELLS_MOST ? room : CELLS_MOST;
    if (most < CELLS_LEAST || look->width < 60)
        most = 0;
    double cell = choose_cell(bars, n, most ? most : CELLS_MOST);
    for (int i = 0; i < n; i++)
        share_cells(bars[i].gib, SEG_COUNT, cell, bars[i].cells);
    if (most)
        legend(bars, n, cell, look, out);
    for (int i = 0; i < n; i++)
        draw(&bars[i], label, most, look, out);
}
