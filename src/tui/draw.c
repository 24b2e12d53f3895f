/* draw: header, layout of the two screens, footer. */
#include "tui/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/bar.h"
#include "tui/chart.h"
#include "tui/parts.h"

enum {
    SMALL_LINES = 20,   /* below: tabs share the header's line, no notice line of its own */
    WIDE_COLUMNS = 120, /* from here charts stand beside the lists */
    LIST_COLUMNS = 80,
    TABLE_LEAST = 4,
    CHART_LEAST = 5,
    CHART_MOST = 14,
    CHARTS_BESIDE = 4,
    CHART_BESIDE_LEAST = 8,
};

uint32_t draw_shown(const struct top_model *m, const struct top_state *s,
                    uint32_t list[TELEMETRY_MAX_GPUS])
{
    uint32_t n = 0;
    for (uint32_t g = 0; g < m->n; g++)
        if (filter_shows_gpu(&s->settings.filter, m, g))
            list[n++] = g;
    return n;
}

void draw_rule(struct screen *out, int x, int y, int w, const struct top_state *s)
{
    screen_fill(out, x, y, w, s->symbols == SYMBOLS_ASCII ? '-' : 0x2500, PAINT_PLAIN, ATTR_DIM);
}

static int draw_tabs(struct screen *out, int x, int y, const struct top_state *s)
{
    static const char *const names[] = {"Overview", "GPUs"};
    for (int i = 0; i < 2; i++) {
        int from = x;
        bool here = s->settings.value[SETTING_SCREEN] == i;
        x += screen_textf(out, x, y, 3, PAINT_KEY, here ? ATTR_REVERSE | ATTR_BOLD : ATTR_BOLD,
                          " %d ", i + 1);
        x += screen_textf(out, x, y, 12, PAINT_PLAIN, here ? ATTR_REVERSE | ATTR_BOLD : 0, "%s ",
                          names[i]);
        screen_spot(out, from, y, x - from, (uint32_t)('1' + i));
        x++;
    }
    return x;
}

/* Name, machine, time at the left; pace, what is not as usual, help at the right. */
static int draw_header(struct screen *out, const struct top_model *m, const struct top_state *s)
{
    char clock[16], right[64];
    bool small = out->h < SMALL_LINES, simulated = false;
    for (uint32_t i = 0; i < m->n; i++)
        simulated = simulated || m->gpu[i].info.simulated;
    top_clock_text(m, clock, sizeof(clock));
    int x =
        screen_text(out, 1, 0, out->w, small ? "top " : "dualgpuopt top ", PAINT_TITLE, ATTR_BOLD) +
        1;
    if (!small)
        x += screen_textf(out, x, 0, 24, PAINT_PLAIN, 0, " %s  ", m->host);
    x += screen_textf(out, x, 0, 12, PAINT_PLAIN, 0, " %s ", clock);
    if (small)
        x = draw_tabs(out, x + 1, 0, s);
    const char *band = simulated ? "SIMULATED  " : "", *pace = s->paused ? "PAUSED " : "live ";
    snprintf(right, sizeof(right), "%s%s%s%.3g s", band, s->readonly ? "readonly  " : "", pace,
             m->hz > 0 ? 1 / m->hz : 1.0);
    if (x + 10 + (int)strlen(right) >= out->w) /* what must be known stays */
        snprintf(right, sizeof(right), "%s%s", simulated ? "SIMULATED " : "",
                 s->paused ? "PAUSED" : "");
    screen_text(out, out->w - 10 - (int)strlen(right), 0, out->w, right,
                s->paused ? PAINT_NOTICE : PAINT_PLAIN, s->paused ? ATTR_BOLD : 0);
    screen_text(out, out->w - 8, 0, 8, "? help", PAINT_KEY, 0);
    screen_spot(out, out->w - 8, 0, 8, '?');
    if (small)
        return 1;
    x = draw_tabs(out, 0, 1, s);
    if (s->settings.filter.n)
        screen_textf(out, x + 1, 1, out->w - x - 2, PAINT_NOTICE, 0, "filter: %s   (Esc: off)",
                     s->settings.filter.text);
    draw_rule(out, 0, 2, out->w, s);
    return 3;
}

struct layout {
    int gpu_lines;
    uint32_t gpus;        /* how many are drawn */
    int table_h, chart_h; /* 0: none; without their rules */
};

/* As many lines per GPU as leave room for a table and, below the lists, a chart. */
static struct layout lay_out(int h, uint32_t n, bool chart_below, int table_wish, int rows_setting)
{
    struct layout l = {.gpu_lines = 1};
    int below = chart_below ? CHART_LEAST + 1 : 0;
    for (int lines = 3; lines > 1 && l.gpu_lines == 1 && rows_setting == 0; lines--)
        if ((int)n * lines + 1 + TABLE_LEAST + below <= h)
            l.gpu_lines = lines;
    if (rows_setting == 1)
        l.gpu_lines = 3;
    l.gpus = n;
    if ((int)n * l.gpu_lines > h) /* and a line that says so */
        l.gpus = (uint32_t)((h - 1) / l.gpu_lines);
    int rest = h - (int)l.gpus * l.gpu_lines - 1;
    if (rest < 2)
        return l;
    l.table_h = rest;
    if (!chart_below || rest < TABLE_LEAST + 1 + CHART_LEAST)
        return l;
    int most = rest - 1 - CHART_LEAST;
    l.table_h = table_wish < TABLE_LEAST ? TABLE_LEAST : table_wish;
    l.table_h = l.table_h > rest * 3 / 5 ? rest * 3 / 5 : l.table_h;
    l.table_h = l.table_h > most ? most : l.table_h < TABLE_LEAST ? TABLE_LEAST : l.table_h;
    l.chart_h = rest - 1 - l.table_h;
    if (l.chart_h > CHART_MOST) {
        l.table_h += l.chart_h - CHART_MOST;
        l.chart_h = CHART_MOST;
    }
    return l;
}

/* The chosen metric first, then the usual ones. */
static int metrics_beside(const struct top_state *s, enum metric list[CHARTS_BESIDE])
{
    static const enum metric usual[] = {METRIC_UTILIZATION, METRIC_MEMORY_USED, METRIC_TEMPERATURE,
                                        METRIC_POWER};
    int n = 0;
    list[n++] = top_metric(&s->settings);
    for (int i = 0; i < CHARTS_BESIDE && n < CHARTS_BESIDE; i++)
        if (usual[i] != list[0])
            list[n++] = usual[i];
    return n;
}

static void draw_charts(struct screen *out, struct area at, const struct top_model *m,
                        const struct top_state *s, uint32_t mask)
{
    enum metric list[CHARTS_BESIDE];
    int n = metrics_beside(s, list), fit = at.h / CHART_BESIDE_LEAST;
    n = n > fit ? (fit < 1 ? 1 : fit) : n;
    for (int i = 0; i < n; i++) {
        int y = at.y + at.h * i / n, h = at.y + at.h * (i + 1) / n - y;
        draw_rule(out, at.x, y, at.w, s);
        chart_title(out, at.x + 1, y, at.w - 2, m, s, list[i], mask);
        chart_draw(out, (struct chart_place){at.x, y + 1, at.w, h - 1}, m, s, list[i], mask);
    }
}

/* The rule below the GPUs says what the bars are made of. */
static void draw_lists(struct screen *out, struct area at, const struct top_model *m,
                       const struct top_state *s, const struct layout *l)
{
    uint32_t list[TELEMETRY_MAX_GPUS], n = draw_shown(m, s, list);
    double cell = bar_cell_bytes(m, draw_gpu_bar_room(l->gpu_lines, at.w) - 2);
    for (uint32_t i = 0; i < l->gpus && i < n; i++)
        draw_gpu(out, (struct area){at.x, at.y + (int)i * l->gpu_lines, at.w, l->gpu_lines}, m, s,
                 list[i], cell, false);
    int y = at.y + (int)l->gpus * l->gpu_lines;
    if (!n)
        screen_text(out, at.x + 1, y, at.w, "no GPU matches the filter (Esc: off)", PAINT_NOTICE,
                    0);
    y += n ? 0 : 1;
    if (!l->table_h && l->gpus == n)
        return;
    draw_rule(out, at.x, y, at.w, s);
    if (l->gpus < n)
        screen_textf(out, at.x + 2, y, at.w - 2, PAINT_NOTICE, 0,
                     " %" PRIu32 " more GPUs: taller window, or a filter ", n - l->gpus);
    else
        bar_legend(out, at.x + 2, y, at.w - 4, cell, s);
    if (l->table_h)
        draw_table(out, (struct area){at.x, y + 1, at.w, l->table_h}, m, s);
}

static void draw_overview(struct screen *out, struct area at, const struct top_model *m,
                          const struct top_state *s)
{
    uint32_t list[TELEMETRY_MAX_GPUS], n = draw_shown(m, s, list);
    bool wide = at.w >= WIDE_COLUMNS;
    int rows = s->settings.value[SETTING_ROWS];
    struct area lists = at;
    lists.w = wide ? (at.w >= 2 * LIST_COLUMNS ? at.w / 2 : LIST_COLUMNS) : at.w;
    struct layout l = lay_out(at.h, n ? n : 1, !wide, draw_table_wish(m, s), rows);
    draw_lists(out, lists, m, s, &l);
    if (wide) {
        draw_charts(out, (struct area){lists.w + 1, at.y, at.w - lists.w - 1, at.h}, m, s,
                    CHART_ALL);
    } else if (l.chart_h) {
        int y = at.y + at.h - l.chart_h;
        draw_rule(out, at.x, y - 1, at.w, s);
        chart_title(out, at.x + 1, y - 1, at.w - 2, m, s, top_metric(&s->settings), CHART_ALL);
        chart_draw(out, (struct chart_place){at.x, y, at.w, l.chart_h}, m, s,
                   top_metric(&s->settings), CHART_ALL);
    }
}

/* One line per GPU, then all of the chosen one, then its charts. */
static void draw_gpus(struct screen *out, struct area at, const struct top_model *m,
                      const struct top_state *s)
{
    uint32_t list[TELEMETRY_MAX_GPUS], n = draw_shown(m, s, list), first = 0,
                                       most = (uint32_t)at.h / 3;
    double cell = bar_cell_bytes(m, draw_gpu_bar_room(1, at.w) - 2);
    most = most < 1 ? 1 : most;
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == s->gpu && i >= most)
            first = i - most + 1;
    uint32_t drawn = n - first < most ? n - first : most;
    for (uint32_t i = 0; i < drawn; i++)
        draw_gpu(out, (struct area){at.x, at.y + (int)i, at.w, 1}, m, s, list[first + i], cell,
                 list[first + i] == s->gpu);
    int y = at.y + (int)drawn, end = at.y + at.h;
    if (s->gpu >= m->n || y + 2 > end)
        return;
    bool wide = at.w >= WIDE_COLUMNS;
    int left = wide ? LIST_COLUMNS : at.w;
    draw_rule(out, at.x, y, at.w, s);
    screen_textf(out, at.x + 2, y, left - 4, PAINT_TITLE, ATTR_BOLD, " %" PRIu32 " %s ",
                 m->gpu[s->gpu].info.index, m->gpu[s->gpu].info.name);
    int taken = draw_detail(out, (struct area){at.x, y + 1, left, end - y - 1}, m, s, s->gpu);
    if (wide)
        draw_charts(out, (struct area){left + 1, y, at.w - left - 1, end - y}, m, s,
                    UINT32_C(1) << s->gpu);
    else if (end - y - 1 - taken >= CHART_LEAST + 1)
        draw_charts(out, (struct area){at.x, y + 1 + taken, at.w, end - y - 1 - taken}, m, s,
                    UINT32_C(1) << s->gpu);
}

void tui_draw(const struct top_model *m, const struct top_state *s, struct screen *out)
{
    screen_clear(out);
    if (out->w < DRAW_COLUMNS_LEAST || out->h < DRAW_LINES_LEAST) {
        screen_textf(out, 0, 0, out->w, PAINT_NOTICE, 0, "at least %dx%d", DRAW_COLUMNS_LEAST,
                     DRAW_LINES_LEAST);
        return;
    }
    int top = draw_header(out, m, s), bottom = out->h < SMALL_LINES ? 1 : 2;
    struct area at = {0, top, out->w, out->h - top - bottom};
    if (s->settings.value[SETTING_SCREEN] == 1)
        draw_gpus(out, at, m, s);
    else
        draw_overview(out, at, m, s);
    if (bottom == 2)
        draw_notice(out, out->h - 2, m, s);
    draw_footer(out, m, s);
    draw_overlay(out, s);
}
