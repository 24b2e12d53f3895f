/* chart: bins of the history become dots in cells. */
#include "tui/chart.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { LABEL_MAX = 12, BINS_MAX = SCREEN_COLUMNS_MAX * 2, RIGHT_MARGIN = 2 };
enum { BRAILLE = 0x2800, UPPER_HALF = 0x2580, LOWER_HALF = 0x2584, FULL_BLOCK = 0x2588 };

struct plot {
    struct screen *out;
    const struct top_model *m;
    const struct top_state *s;
    enum metric metric;
    int x, y, w, h; /* cells of the plot itself */
    int sx, sy;     /* dots per cell */
    double max;
    uint64_t from_ns, bin_ns;
    int bins;
};

static bool shown(const struct plot *p, uint32_t mask, uint32_t gpu)
{
    return mask >> gpu & 1 && filter_shows_gpu(&p->s->settings.filter, p->m, gpu);
}

static enum paint paint_of(uint32_t gpu)
{
    return (enum paint)(PAINT_GPU0 + gpu % 8);
}

static char digit_of(uint32_t gpu)
{
    return "0123456789abcdef"[gpu % 16];
}

/* 1, 2 or 5 times a power of ten (bytes: a power of two) that is not less. */
static double round_up(double v, bool bytes)
{
    if (!(v > 0))
        return 1;
    if (bytes)
        return exp2(ceil(log2(v)));
    double power = pow(10, floor(log10(v)));
    double n = v / power;
    return power * (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10);
}

static double largest(const struct plot *p, uint32_t mask, enum metric of)
{
    double most = 0;
    for (uint32_t g = 0; g < p->m->n; g++)
        if (shown(p, mask, g))
            most = fmax(most, top_value(&p->m->gpu[g], of));
    return most;
}

/* What the top of the chart stands for: of the card where it is known, else what was seen. */
static double scale(const struct plot *p, uint32_t mask)
{
    double seen = 0, low, mean, high, of_card = 0;
    if (p->metric == METRIC_MEMORY_USED || p->metric == METRIC_MEMORY_FREE)
        of_card = largest(p, mask, METRIC_MEMORY_TOTAL);
    else if (p->metric == METRIC_POWER)
        of_card = largest(p, mask, METRIC_POWER_LIMIT);
    else if (metric_info[p->metric].unit == UNIT_PERCENT ||
             metric_info[p->metric].unit == UNIT_CELSIUS)
        of_card = 100;
    for (uint32_t g = 0; g < p->m->n; g++)
        if (shown(p, mask, g) && p->metric != METRIC_MEMORY_USED &&
            history_bins(p->m->history, g, p->metric, p->from_ns,
                         p->from_ns + p->bin_ns * (uint64_t)p->bins, 1, &low, &mean, &high))
            seen = fmax(seen, high);
    if (of_card > 0 && seen <= of_card * 1.05) /* a limit is overshot a little now and then */
        return of_card;
    enum unit unit = metric_info[p->metric].unit;
    return round_up(seen, unit == UNIT_BYTES || unit == UNIT_BYTES_PER_SECOND);
}

/* Dot from the upper left; what is there already stays. */
static void dot(const struct plot *p, int dx, int dy, uint32_t gpu)
{
    static const uint8_t bit[4][2] = {
        {0x01, 0x08},
        {0x02, 0x10},
        {0x04, 0x20},
        {0x40, 0x80}
    };
    int x = p->x + dx / p->sx, y = p->y + dy / p->sy;
    if (dx < 0 || dy < 0 || dx >= p->w * p->sx || dy >= p->h * p->sy || x >= p->out->w ||
        y >= p->out->h)
        return;
    uint32_t old = p->out->cells[y * p->out->w + x].glyph, new;
    if (p->s->symbols == SYMBOLS_ASCII) {
        new = (uint32_t)digit_of(gpu);
    } else if (p->s->symbols == SYMBOLS_BRAILLE) {
        new = bit[dy % 4][dx % 2] | (old >= BRAILLE && old <= BRAILLE + 0xff ? old : BRAILLE);
    } else {
        new = dy % 2 ? LOWER_HALF : UPPER_HALF;
        if ((old == UPPER_HALF || old == LOWER_HALF || old == FULL_BLOCK) && old != new)
            new = FULL_BLOCK;
    }
    screen_put(p->out, x, y, new, paint_of(gpu), 0);
}

static int height_of(const struct plot *p, double v)
{
    int dots = p->h * p->sy;
    int up = (int)lround(v / p->max * (dots - 1));
    return dots - 1 - (up < 0 ? 0 : up >= dots ? dots - 1 : up);
}

static void column(const struct plot *p, int dx, int a, int b, uint32_t gpu)
{
    for (int dy = a < b ? a : b; dy <= (a < b ? b : a); dy++)
        dot(p, dx, dy, gpu);
}

/* Solid, long dash, dots, dash and dot, so that lines differ without colour; by time, so that they
 * do not crawl. */
static bool pen_down(const struct plot *p, int bin, uint32_t gpu)
{
    uint64_t at = p->from_ns / p->bin_ns + (uint64_t)bin;
    if (p->s->symbols != SYMBOLS_BRAILLE || gpu % 4 == 0)
        return true;
    return gpu % 4 == 1 ? at % 6 < 4 : gpu % 4 == 2 ? at % 2 : at % 8 < 4 || at % 8 == 6;
}

/* Bins between samples of the usual distance are joined by a line; longer gaps stay empty. */
static void line(const struct plot *p, uint32_t gpu)
{
    double low[BINS_MAX], mean[BINS_MAX], high[BINS_MAX];
    double period_ns = (double)CLOCK_NS_PER_S / (p->m->hz > 0 ? p->m->hz : 1);
    int last = -1, joined = (int)ceil(2.5 * period_ns / (double)p->bin_ns) + 1;
    history_bins(p->m->history, gpu, p->metric, p->from_ns,
                 p->from_ns + p->bin_ns * (uint64_t)p->bins, (size_t)p->bins, low, mean, high);
    for (int b = 0; b < p->bins; b++) {
        if (isnan(mean[b]))
            continue;
        int y = height_of(p, mean[b]);
        column(p, b, height_of(p, low[b]), height_of(p, high[b]), gpu);
        for (int k = last + 1; last >= 0 && b - last <= joined && k <= b; k++) {
            double before = mean[last] + (mean[b] - mean[last]) * (k - 1 - last) / (b - last);
            double here = mean[last] + (mean[b] - mean[last]) * (k - last) / (b - last);
            int from = height_of(p, before), to = height_of(p, here);
            if (from != to || pen_down(p, k, gpu))
                column(p, k, from == to ? to : from < to ? from + 1 : from - 1, to, gpu);
        }
        last = b;
        if (b + joined >= p->bins) /* the number of the GPU at the end of its line */
            screen_put(p->out, p->x + p->w, p->y + y / p->sy, (uint32_t)digit_of(gpu),
                       paint_of(gpu), ATTR_BOLD);
    }
}

static int column_of(const struct plot *p, uint64_t ns)
{
    if (ns < p->from_ns || ns >= p->from_ns + p->bin_ns * (uint64_t)p->bins)
        return -1;
    return p->x + (int)((ns - p->from_ns) / p->bin_ns) / p->sx;
}

static void upright(const struct plot *p, int x, enum paint paint, uint32_t glyph)
{
    for (int y = p->y; y < p->y + p->h; y++)
        if (p->out->cells[y * p->out->w + x].glyph == ' ')
            screen_put(p->out, x, y, glyph, paint, 0);
}

/* "-1 min", "-12 s", "now". */
static void ago(const struct plot *p, uint64_t ns, char *out, size_t size)
{
    char text[24];
    uint64_t back = p->m->now_ns > ns ? p->m->now_ns - ns : 0;
    if (back < (uint64_t)CLOCK_NS_PER_S)
        snprintf(out, size, "now");
    else
        snprintf(out, size, "-%s", top_age_text(back + CLOCK_NS_PER_S / 2, text, sizeof(text)));
}

static void axes(const struct plot *p, int label)
{
    bool ascii = p->s->symbols == SYMBOLS_ASCII;
    char text[METRIC_TEXT_MAX];
    int lines[3] = {0, p->h / 2, p->h - 1};
    uint64_t until = p->s->chart.until_ns ? p->s->chart.until_ns : p->m->now_ns;
    for (int y = 0; y <= p->h; y++)
        screen_put(p->out, p->x - 1, p->y + y,
                   ascii ? (y < p->h ? '|' : '+') : (y < p->h ? 0x2502 : 0x2514), PAINT_PLAIN,
                   ATTR_DIM);
    screen_fill(p->out, p->x, p->y + p->h, p->w, ascii ? '-' : 0x2500, PAINT_PLAIN, ATTR_DIM);
    for (int i = 0; i < 3; i++) {
        if (i == 1 && (p->h < 5 || p->h % 2 == 0)) /* no line is the middle one */
            continue;
        metric_text(p->metric, p->max * (p->h - 1 - lines[i]) / (p->h > 1 ? p->h - 1 : 1), text);
        screen_text(p->out, p->x - 1 - label + (label - 1 - (int)strlen(text)), p->y + lines[i],
                    label, text, PAINT_PLAIN, ATTR_DIM);
    }
    ago(p, p->from_ns, text, sizeof(text));
    screen_text(p->out, p->x, p->y + p->h, p->w, text, PAINT_PLAIN, ATTR_DIM);
    ago(p, until, text, sizeof(text));
    screen_text(p->out, p->x + p->w - (int)strlen(text), p->y + p->h, p->w, text, PAINT_PLAIN,
                ATTR_DIM);
}

static void marks(const struct plot *p)
{
    const struct top_chart *c = &p->s->chart;
    bool ascii = p->s->symbols == SYMBOLS_ASCII;
    for (int i = 0; i < c->n_markers; i++) {
        int x = column_of(p, c->marker[i].mono_ns);
        if (x < 0)
            continue;
        char text[TOP_LABEL_MAX + 8];
        upright(p, x, PAINT_MARKER, ascii ? ':' : 0x254e);
        snprintf(text, sizeof(text), "m%d%s%s", i + 1, c->marker[i].label[0] ? " " : "",
                 c->marker[i].label);
        int end = p->x + p->w - (int)strlen(text);
        screen_text(p->out,
                    x < end      ? x
                    : end > p->x ? end
                                 : p->x,
                    p->y + p->h, p->w, text, PAINT_MARKER, 0);
    }
    int x = c->cursor ? column_of(p, c->cursor_ns) : -1;
    if (x < 0)
        return;
    upright(p, x, PAINT_KEY, ascii ? '|' : 0x2502);
    screen_put(p->out, x, p->y + p->h, '^', PAINT_KEY, ATTR_BOLD);
}

static void span_of(struct plot *p)
{
    uint64_t from, until;
    top_chart_span(p->s, p->m, &from, &until);
    p->bins = p->w * p->sx;
    p->bin_ns = (until - from) / (uint64_t)p->bins;
    p->bin_ns = p->bin_ns ? p->bin_ns : 1;
    /* edges at whole bins: a picture that moves, moves by dots and does not shimmer */
    p->from_ns =
        (until / p->bin_ns + 1 > (uint64_t)p->bins ? until / p->bin_ns + 1 - (uint64_t)p->bins
                                                   : 0) *
        p->bin_ns;
}

void chart_draw(struct screen *out, struct chart_place at, const struct top_model *m,
                const struct top_state *s, enum metric metric, uint32_t mask)
{
    struct plot p = {.out = out,
                     .m = m,
                     .s = s,
                     .metric = metric,
                     .h = at.h - 1,
                     .w = at.w - RIGHT_MARGIN,
                     .bins = 1};
    char top[METRIC_TEXT_MAX];
    p.sx = s->symbols == SYMBOLS_BRAILLE ? 2 : 1;
    p.sy = s->symbols == SYMBOLS_BRAILLE ? 4 : s->symbols == SYMBOLS_BLOCK ? 2 : 1;
    if (at.w < 24 || p.h < 2 || at.x + at.w > out->w || at.y + at.h > out->h || !m->history)
        return;
    span_of(&p);
    p.max = scale(&p, mask);
    int label = (int)strlen(metric_text(metric, p.max, top)) + 1;
    label = label > LABEL_MAX ? LABEL_MAX : label;
    p.x = at.x + label + 1;
    p.y = at.y;
    p.w = at.w - label - 1 - RIGHT_MARGIN;
    span_of(&p);
    axes(&p, label);
    for (uint32_t g = m->n; g-- > 0;)
        if (shown(&p, mask, g))
            line(&p, g);
    marks(&p);
}

/* The value of a GPU at the cursor: of the nearest samples within one and a half periods. */
static double at_cursor(const struct top_model *m, const struct top_state *s, enum metric metric,
                        uint32_t gpu)
{
    double low, mean, high, half = 0.75 * (double)CLOCK_NS_PER_S / (m->hz > 0 ? m->hz : 1);
    uint64_t at = s->chart.cursor_ns, wide = (uint64_t)half;
    if (!history_bins(m->history, gpu, metric, at > wide ? at - wide : 0, at + wide, 1, &low, &mean,
                      &high))
        return (double)NAN;
    return mean;
}

void chart_title(struct screen *out, int x, int y, int room, const struct top_model *m,
                 const struct top_state *s, enum metric metric, uint32_t mask)
{
    struct plot p = {.m = m, .s = s};
    char text[METRIC_TEXT_MAX], name[METRIC_TEXT_MAX];
    uint64_t from, until, ns;
    top_chart_span(s, m, &from, &until);
    ns = s->chart.cursor ? s->chart.cursor_ns : until;
    snprintf(name, sizeof(name), "%s", metric_info[metric].name);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    int at = screen_textf(out, x, y, room, PAINT_TITLE, 0, " %s ", name);
    ago(&p, ns, text, sizeof(text));
    if (s->chart.cursor)
        at += screen_textf(out, x + at, y, room - at, PAINT_KEY, 0, " cursor %s ", text);
    else if (s->chart.until_ns)
        at += screen_textf(out, x + at, y, room - at, PAINT_NOTICE, 0, " until %s, 0: live ", text);
    else if (room >= 48)
        at += screen_textf(out, x + at, y, room - at, PAINT_PLAIN, ATTR_DIM, " last %s ",
                           top_age_text(until - from, text, sizeof(text)));
    for (uint32_t g = 0; g < m->n; g++) {
        double v = s->chart.cursor && m->history ? at_cursor(m, s, metric, g)
                                                 : top_value(&m->gpu[g], metric);
        if (!shown(&p, mask, g))
            continue;
        int need = 3 + (int)strlen(isnan(v) ? "-" : metric_text(metric, v, text)) + 1;
        if (at + need > room)
            break;
        screen_textf(out, x + at, y, 3, paint_of(g), ATTR_BOLD, " %c ", digit_of(g));
        screen_text(out, x + at + 3, y, need - 3, isnan(v) ? "-" : text, PAINT_PLAIN,
                    top_is_old(&m->gpu[g]) ? ATTR_DIM : 0);
        screen_text(out, x + at + need - 1, y, 1, " ", PAINT_PLAIN, 0);
        at += need;
    }
}
