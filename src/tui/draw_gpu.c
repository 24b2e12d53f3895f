/* draw_gpu: one GPU in one, two or three lines. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/bar.h"
#include "tui/parts.h"

#define GIB 1073741824.0

enum {
    NAME_MOST = 20,
    NAME_SMALL = 12,
    NARROW = 72,
    STATE_COLUMNS = 9,
    SIZES_COLUMNS = 14,
    BAR_LEAST = 12,
    USE_CELLS = 20,
    FIELD_MAX = 8,
    FIELD_TEXT = 32,
};

/* A field of the first line: dropped from the least important on where there is no room. */
struct field {
    int width, weight;
    char text[FIELD_TEXT];
    enum paint paint;
    int attr;
};

static enum paint paint_level(enum level l)
{
    return l >= LEVEL_CRITICAL ? PAINT_BAD : l == LEVEL_WARNING ? PAINT_NOTICE : PAINT_PLAIN;
}

static int name_columns(const struct top_model *m, int w)
{
    int most = 0, limit = w < NARROW ? NAME_SMALL : NAME_MOST;
    for (uint32_t i = 0; i < m->n; i++) {
        int n = (int)str_columns(gpu_short_name(m->gpu[i].info.name));
        most = n > most ? n : most;
    }
    return most > limit ? limit : most;
}

/* Value with its unit or "-"; the mark tells the level without colour. */
static void number(struct field *f, const struct gpu_view *g, enum metric m, const char *before,
                   enum level level)
{
    char text[METRIC_TEXT_MAX];
    double v = top_value(g, m);
    if (isnan(v))
        snprintf(f->text, sizeof(f->text), "%s-", before);
    else
        snprintf(f->text, sizeof(f->text), "%s%.20s%s", before, metric_text(m, v, text),
                 level >= LEVEL_CRITICAL ? "!" : "");
    f->paint = paint_level(level);
}

static void power(struct field *f, const struct gpu_view *g)
{
    double now = top_value(g, METRIC_POWER), limit = top_value(g, METRIC_POWER_LIMIT);
    f->paint = paint_level(g->level.power);
    if (isnan(now))
        snprintf(f->text, sizeof(f->text), "- W");
    else if (isnan(limit))
        snprintf(f->text, sizeof(f->text), "%.0f W", now);
    else
        snprintf(f->text, sizeof(f->text), "%.0f/%.0f W", now, limit);
}

static void sizes_text(const struct gpu_view *g, char *out, size_t size)
{
    double used = top_value(g, METRIC_MEMORY_USED), total = top_value(g, METRIC_MEMORY_TOTAL);
    double reserved = top_value(g, METRIC_MEMORY_RESERVED);
    if (isnan(used) || isnan(total))
        snprintf(out, size, "memory unknown");
    else
        snprintf(out, size, "%.1f/%.1f GiB", (used + (isnan(reserved) ? 0 : reserved)) / GIB,
                 total / GIB);
}

static void draw_state(struct screen *out, int right, int y, const struct gpu_view *g)
{
    int bad = top_severity(g);
    const char *word = gpu_word(g);
    screen_text(out, right - (int)strlen(word), y, STATE_COLUMNS, word,
                bad == 2   ? PAINT_BAD
                : bad == 1 ? PAINT_NOTICE
                           : PAINT_GOOD,
                bad ? ATTR_BOLD : 0);
}

static void draw_fields(struct screen *out, int x, int y, int room, struct field *f, int n,
                        int attr)
{
    for (;;) {
        int all = 0, least = -1;
        for (int i = 0; i < n; i++) {
            all += f[i].width;
            if (f[i].width && (least < 0 || f[i].weight < f[least].weight))
                least = i;
        }
        if (all <= room || least < 0)
            break;
        f[least].width = 0;
    }
    for (int i = 0; i < n; i++) {
        if (f[i].width)
            screen_text(out, x, y, f[i].width, f[i].text, f[i].paint, f[i].attr | attr);
        x += f[i].width;
    }
}

static int draw_name(struct screen *out, struct area at, const struct top_model *m, uint32_t gpu,
                     bool chosen)
{
    const struct gpu_view *g = &m->gpu[gpu];
    int columns = name_columns(m, at.w);
    screen_textf(out, at.x, at.y, 4, (enum paint)(PAINT_GPU0 + gpu % 8), ATTR_BOLD, "%c%" PRIu32,
                 chosen ? '>' : ' ', g->info.index);
    int x = at.x + (m->n > 10 ? 4 : 3);
    screen_text(out, x, at.y, columns, gpu_short_name(g->info.name), PAINT_PLAIN, ATTR_BOLD);
    screen_spot(out, at.x, at.y, x + columns - at.x, TOP_KEY_GPU + gpu);
    return x + columns - at.x + 2;
}

static void draw_first(struct screen *out, struct area at, const struct top_model *m, uint32_t gpu,
                       bool chosen)
{
    const struct gpu_view *g = &m->gpu[gpu];
    struct field f[FIELD_MAX] = {
        {.width = 14, .weight = 2},
        {.width = 8,  .weight = 6},
        {.width = 10, .weight = 3},
        {.width = 12, .weight = 5},
        {.width = 10, .weight = 4},
        {.width = 11, .weight = 1},
        {.width = 11, .weight = 0}
    };
    int attr = top_is_old(g) ? ATTR_DIM : 0;
    int x = draw_name(out, at, m, gpu, chosen);
    gpu_link_text(g, f[0].text);
    f[0].paint = gpu_link_below(g) ? PAINT_NOTICE : PAINT_PLAIN;
    number(&f[1], g, METRIC_TEMPERATURE, "", g->level.temperature);
    number(&f[2], g, METRIC_FAN, "fan ", LEVEL_NORMAL);
    power(&f[3], g);
    number(&f[4], g, METRIC_CLOCK_SM, "", LEVEL_NORMAL);
    number(&f[5], g, METRIC_PCIE_RX, "< ", LEVEL_NORMAL);
    number(&f[6], g, METRIC_PCIE_TX, "> ", LEVEL_NORMAL);
    f[5].width = isnan(top_value(g, METRIC_PCIE_RX)) ? 0 : 15;
    f[6].width = isnan(top_value(g, METRIC_PCIE_TX)) ? 0 : 15;
    draw_fields(out, at.x + x, at.y, at.w - x - STATE_COLUMNS - 1, f, 7, attr);
    draw_state(out, at.x + at.w - 1, at.y, g);
}

/* Percent and, behind it, why the card is not at its best. */
static void draw_use(struct screen *out, struct area at, const struct top_model *m,
                     const struct top_state *s, uint32_t gpu, int cells)
{
    const struct gpu_view *g = &m->gpu[gpu];
    double use = top_value(g, METRIC_UTILIZATION);
    char text[TOP_SENTENCE_MAX];
    int attr = top_is_old(g) ? ATTR_DIM : 0;
    screen_text(out, at.x + 3, at.y, 4, "sm", PAINT_PLAIN, attr);
    bar_share(out, at.x + 7, at.y, cells, use, PAINT_GOOD, attr, s);
    int x = at.x + 7 + cells + 3;
    if (isnan(use))
        x += screen_text(out, x, at.y, 5, "-", PAINT_PLAIN, attr);
    else
        x += screen_textf(out, x, at.y, 5, PAINT_PLAIN, attr, "%.0f%%", use);
    screen_short(out, x + 2, at.y, at.x + at.w - x - 3, top_sentence(g, text),
                 top_severity(g) == 2 ? PAINT_BAD : PAINT_NOTICE, 0);
}

int draw_gpu_bar_room(int lines, int w)
{
    switch (lines) {
    case 3: return w - 7 - 2 - SIZES_COLUMNS - (w < NARROW ? 0 : 15);
    case 2: return w - 7 - 2 - SIZES_COLUMNS - 22;
    default: return w - 68 < BAR_LEAST ? 0 : w - 68;
    }
}

static void draw_memory(struct screen *out, struct area at, const struct top_state *s,
                        const struct gpu_view *g, int lines, double cell_bytes)
{
    char sizes[40];
    int attr = top_is_old(g) ? ATTR_DIM : 0, room = draw_gpu_bar_room(lines, at.w);
    screen_text(out, at.x + 3, at.y, 4, "mem", PAINT_PLAIN, attr);
    bar_memory(out, at.x + 7, at.y, room, g, cell_bytes, s);
    sizes_text(g, sizes, sizeof(sizes));
    int x = at.x + 7 + room + 1;
    x +=
        screen_text(out, x, at.y, SIZES_COLUMNS + 2, sizes, paint_level(g->level.memory), attr) + 2;
    if (lines == 3 && g->processes.n)
        screen_text(out, x, at.y, at.x + at.w - x, g->processes.process[0].name, PAINT_PLAIN,
                    ATTR_DIM);
    if (lines == 3 && !g->processes.known && g->has_sample)
        screen_text(out, x, at.y, at.x + at.w - x, "whose: unknown", PAINT_PLAIN, ATTR_DIM);
}

static void draw_second(struct screen *out, struct area at, const struct top_state *s,
                        const struct gpu_view *g, double cell_bytes)
{
    double use = top_value(g, METRIC_UTILIZATION);
    int attr = top_is_old(g) ? ATTR_DIM : 0, x = at.x + at.w - 21;
    draw_memory(out, at, s, g, 2, cell_bytes);
    screen_text(out, x, at.y, 3, "sm", PAINT_PLAIN, attr);
    bar_share(out, x + 3, at.y, 10, use, PAINT_GOOD, attr, s);
    if (!isnan(use))
        screen_textf(out, x + 16, at.y, 5, PAINT_PLAIN, attr, "%.0f%%", use);
}

/* All in one line: name, bar where there is room, sizes, use, heat, power, state. */
static void draw_single(struct screen *out, struct area at, const struct top_model *m,
                        const struct top_state *s, uint32_t gpu, double cell_bytes, bool chosen)
{
    const struct gpu_view *g = &m->gpu[gpu];
    struct field f[FIELD_MAX] = {
        {.width = SIZES_COLUMNS + 1, .weight = 5},
        {.width = 6,                 .weight = 4},
        {.width = 6,                 .weight = 3},
        {.width = 11,                .weight = 2}
    };
    int attr = top_is_old(g) ? ATTR_DIM : 0, bar = draw_gpu_bar_room(1, at.w);
    int x = draw_name(out, at, m, gpu, chosen);
    if (bar) {
        bar_memory(out, at.x + x, at.y, bar, g, cell_bytes, s);
        x += bar + 1;
    }
    sizes_text(g, f[0].text, FIELD_TEXT);
    f[0].paint = paint_level(g->level.memory);
    number(&f[1], g, METRIC_UTILIZATION, "", LEVEL_NORMAL);
    number(&f[2], g, METRIC_TEMPERATURE, "", g->level.temperature);
    power(&f[3], g);
    draw_fields(out, at.x + x, at.y, at.w - x - STATE_COLUMNS - 1, f, 4, attr);
    draw_state(out, at.x + at.w - 1, at.y, g);
}

void draw_gpu(struct screen *out, struct area at, const struct top_model *m,
              const struct top_state *s, uint32_t gpu, double cell_bytes, bool chosen)
{
    if (at.h == 1) {
        draw_single(out, at, m, s, gpu, cell_bytes, chosen);
        return;
    }
    draw_first(out, at, m, gpu, chosen);
    at.y++;
    if (at.h == 2) {
        draw_second(out, at, s, &m->gpu[gpu], cell_bytes);
        return;
    }
    draw_memory(out, at, s, &m->gpu[gpu], 3, cell_bytes);
    at.y++;
    draw_use(out, at, m, s, gpu, at.w >= NARROW ? USE_CELLS : USE_CELLS / 2);
}
