/* bar: parts of a card's memory, shared out into cells. */
#include "tui/bar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/share.h"

#define GIB 1073741824.0

enum { PROCESSES_APART = SHARE_PARTS_MAX - 4, NAME_LEAST = 6, NAME_MARGIN = 4 };
enum part { PART_EVEN, PART_ODD, PART_NOBODY, PART_RESERVED, PART_FREE, PART_COUNT };

static const struct {
    uint32_t ascii, block, mono; /* mono: blocks without colour */
    enum paint paint;
    const char *name;
} parts[PART_COUNT] = {
    [PART_EVEN] = {'o', 0x2588, 0x2588, PAINT_OTHER,     "programs"      },
    [PART_ODD] = {'O', 0x2588, 0x2593, PAINT_OTHER_ALT, "the next"      },
    [PART_NOBODY] = {'u', 0x2592, 0x2592, PAINT_NOBODY,    "not told whose"},
    [PART_RESERVED] = {'R', 0x2591, 0x2591, PAINT_RESERVED,  "driver"        },
    [PART_FREE] = {'.', 0xb7,   0xb7,   PAINT_PLAIN,     "free"          },
};

static uint32_t glyph_of(enum part p, const struct top_state *s)
{
    return s->symbols == SYMBOLS_ASCII ? parts[p].ascii : s->mono ? parts[p].mono : parts[p].block;
}

struct segments {
    int n;
    double bytes[SHARE_PARTS_MAX];
    int cells[SHARE_PARTS_MAX];
    enum part part[SHARE_PARTS_MAX];
    const char *name[SHARE_PARTS_MAX];
};

static void add(struct segments *to, double bytes, enum part part, const char *name, double *room)
{
    bytes = bytes < 0 ? 0 : bytes > *room ? *room : bytes;
    *room -= bytes;
    to->bytes[to->n] = bytes;
    to->part[to->n] = part;
    to->name[to->n++] = name;
}

/* Processes largest first, what nobody in the list holds, what the driver keeps, what is free. */
static void cut(const struct gpu_view *g, double total, struct segments *out)
{
    double used = top_value(g, METRIC_MEMORY_USED), reserved = top_value(g, METRIC_MEMORY_RESERVED);
    double room = isnan(used) ? 0 : used < total ? used : total, rest = 0;
    double held = room;
    const struct process_table *t = &g->processes;
    out->n = 0;
    for (int i = 0; i < t->n; i++) {
        double bytes =
            t->process[i].memory_bytes == UINT64_MAX ? 0 : (double)t->process[i].memory_bytes;
        if (out->n < PROCESSES_APART)
            add(out, bytes, out->n % 2 ? PART_ODD : PART_EVEN, t->process[i].name, &room);
        else
            rest += bytes;
    }
    add(out, rest, out->n % 2 ? PART_ODD : PART_EVEN, NULL, &room);
    add(out, room, PART_NOBODY, NULL, &room);
    room = total - held;
    add(out, isnan(reserved) ? 0 : reserved, PART_RESERVED, NULL, &room);
    add(out, room, PART_FREE, NULL, &room);
}

double bar_cell_bytes(const struct top_model *m, int cells)
{
    double largest = 0;
    for (uint32_t i = 0; i < m->n; i++)
        largest = fmax(largest, top_value(&m->gpu[i], METRIC_MEMORY_TOTAL));
    if (largest <= 0 || cells <= 0)
        return 0;
    double exact = largest / cells / GIB, step = exact > 0.1 ? 0.1 : exact > 0.01 ? 0.01 : 0.001;
    return ceil(exact / step - 1e-9) * step * GIB;
}

/* The name inside of a segment that is long enough for it. */
static void name_segment(struct screen *out, int x, int y, const struct segments *g, int i,
                         const struct top_state *s, int attr)
{
    char name[PROCESS_NAME_MAX + 2];
    int cells = g->cells[i];
    if (!g->name[i] || cells < NAME_LEAST + NAME_MARGIN)
        return;
    int len = (int)str_columns(g->name[i]);
    if (len + NAME_MARGIN > cells)
        return;
    snprintf(name, sizeof(name), " %.*s ", PROCESS_NAME_MAX - 1, g->name[i]);
    screen_text(out, x + (cells - len - 2) / 2, y, cells, name, parts[g->part[i]].paint,
                s->symbols == SYMBOLS_ASCII ? attr : attr | ATTR_REVERSE);
}

int bar_memory(struct screen *out, int x, int y, int room, const struct gpu_view *g,
               double cell_bytes, const struct top_state *s)
{
    double total = top_value(g, METRIC_MEMORY_TOTAL);
    struct segments seg;
    int at = 1, attr = top_is_old(g) ? ATTR_DIM : 0;
    if (!(total > 0) || cell_bytes <= 0 || room < 4)
        return 0;
    cut(g, total, &seg);
    share_cells(seg.bytes, seg.n, cell_bytes, seg.cells);
    screen_put(out, x, y, '|', PAINT_PLAIN, attr);
    for (int i = 0; i < seg.n; i++) {
        if (at + seg.cells[i] > room - 1)
            seg.cells[i] = room - 1 - at;
        screen_fill(out, x + at, y, seg.cells[i], glyph_of(seg.part[i], s),
                    parts[seg.part[i]].paint, seg.part[i] == PART_FREE ? ATTR_DIM : attr);
        name_segment(out, x + at, y, &seg, i, s, attr);
        at += seg.cells[i];
    }
    screen_put(out, x + at, y, '|', PAINT_PLAIN, attr);
    return at + 1;
}

void bar_share(struct screen *out, int x, int y, int cells, double percent, enum paint paint,
               int attr, const struct top_state *s)
{
    bool ascii = s->symbols == SYMBOLS_ASCII;
    int full = isnan(percent) ? 0 : (int)lround(fmin(fmax(percent, 0), 100) / 100 * cells);
    if (percent > 0 && full == 0)
        full = 1;
    screen_put(out, x, y, '|', PAINT_PLAIN, attr);
    screen_fill(out, x + 1, y, full, ascii ? '#' : 0x25a0, paint, attr);
    screen_fill(out, x + 1 + full, y, cells - full, ascii ? '.' : 0xb7, PAINT_PLAIN, ATTR_DIM);
    if (isnan(percent))
        screen_put(out, x + 1, y, '?', PAINT_PLAIN, ATTR_DIM);
    screen_put(out, x + 1 + cells, y, '|', PAINT_PLAIN, attr);
}

int bar_legend(struct screen *out, int x, int y, int room, double cell_bytes,
               const struct top_state *s)
{
    int at = 0;
    if (cell_bytes <= 0)
        return 0;
    for (int p = 0; p < PART_COUNT; p++) {
        int need = 2 + (int)strlen(parts[p].name) + 2;
        if (at + need > room)
            return at;
        screen_put(out, x + at, y, glyph_of((enum part)p, s), parts[p].paint, 0);
        screen_text(out, x + at + 1, y, 1, " ", PAINT_PLAIN, 0);
        screen_text(out, x + at + 2, y, room - at - 2, parts[p].name, PAINT_PLAIN, ATTR_DIM);
        screen_text(out, x + at + need - 2, y, 2, "  ", PAINT_PLAIN, 0);
        at += need;
    }
    if (at + 18 <= room)
        at += screen_textf(out, x + at, y, room - at, PAINT_PLAIN, ATTR_DIM, "1 cell = %.*f GiB ",
                           cell_bytes < 0.1 * GIB ? 2 : 1, cell_bytes / GIB);
    return at;
}
