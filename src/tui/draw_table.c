/* draw_table: the processes. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tui/parts.h"

enum { CELL_MAX = 80 };

enum column {
    COL_PID,
    COL_USER,
    COL_GPU,
    COL_TYPE,
    COL_MEMORY,
    COL_SHARE,
    COL_SM,
    COL_BUS,
    COL_CODEC,
    COL_SINCE,
    COL_NAME,
    COL_COUNT
};

static const struct {
    const char *heading;
    int width; /* without the blank behind it */
    int from;  /* shown in tables at least so wide */
    int sort;  /* number in the words of the setting, -1: none */
    bool right;
} columns[COL_COUNT] = {
    [COL_PID] = {"PID",     9, 0,  3,  true },
      [COL_USER] = {"USER",    9, 76, 4,  false},
    [COL_GPU] = {"GPU",     3, 0,  2,  true },
      [COL_TYPE] = {"TYPE",    4, 72, -1, false},
    [COL_MEMORY] = {"GPU MEM", 9, 0,  0,  true },
      [COL_SHARE] = {"MEM%",    4, 66, -1, true },
    [COL_SM] = {"SM",      4, 0,  1,  true },
      [COL_BUS] = {"BUS",     4, 90, -1, true },
    [COL_CODEC] = {"ENC/DEC", 9, 96, -1, true },
      [COL_SINCE] = {"TIME",    7, 58, 6,  true },
    [COL_NAME] = {"COMMAND", 0, 0,  5,  false},
};

static void percent(float v, char *out)
{
    if (v < 0)
        snprintf(out, CELL_MAX, "-");
    else
        snprintf(out, CELL_MAX, "%.0f%%", (double)v);
}

/* Of our namespace, else as the host counts it. A simulated process is nowhere else. */
static void pid_text(const struct top_model *m, struct row r, const struct process *p, char *out)
{
    uint32_t pid = p->local_pid ? p->local_pid : p->pid;
    bool elsewhere = !p->local_pid && !m->gpu[r.gpu].info.simulated;
    const char *mark = !elsewhere ? "" : pid < 10000 ? "host:" : "h:";
    snprintf(out, CELL_MAX, "%s%" PRIu32, mark, pid);
}

static void cell_text(const struct top_model *m, struct row r, enum column c, char *out)
{
    const struct process *p = row_process(m, r);
    double total = top_value(&m->gpu[r.gpu], METRIC_MEMORY_TOTAL);
    char a[CELL_MAX], b[CELL_MAX];
    snprintf(out, CELL_MAX, "-");
    switch (c) {
    case COL_PID: pid_text(m, r, p, out); break;
    case COL_USER: top_user_text(m, p->uid, out, CELL_MAX); break;
    case COL_GPU: snprintf(out, CELL_MAX, "%" PRIu32, m->gpu[r.gpu].info.index); break;
    case COL_TYPE:
        snprintf(out, CELL_MAX, "%s%s", p->type & PROCESS_COMPUTE ? "C" : "",
                 p->type & PROCESS_GRAPHICS ? "G" : "");
        break;
    case COL_MEMORY:
        if (p->memory_bytes != UINT64_MAX)
            metric_text(METRIC_MEMORY_USED, (double)p->memory_bytes, out);
        break;
    case COL_SHARE:
        if (p->memory_bytes != UINT64_MAX && total > 0)
            snprintf(out, CELL_MAX, "%.0f%%", 100 * (double)p->memory_bytes / total);
        break;
    case COL_SM: percent(p->sm, out); break;
    case COL_BUS: percent(p->memory_bus, out); break;
    case COL_CODEC:
        percent(p->encoder, a);
        percent(p->decoder, b);
        snprintf(out, CELL_MAX, "%.6s/%.6s", a, b);
        break;
    case COL_SINCE: {
        int64_t s = m->wall_ns / CLOCK_NS_PER_S - p->since_s;
        if (p->since_s > 0 && s >= 0)
            top_age_text((uint64_t)s * (uint64_t)CLOCK_NS_PER_S, out, CELL_MAX);
        break;
    }
    default:
        snprintf(out, CELL_MAX, "%s%s%s", p->name[0] ? p->name : "?",
                 p->container[0] ? "  in " : "", p->container);
    }
}

static void put(struct screen *out, int x, int y, int width, bool right, const char *text,
                enum paint paint, int attr)
{
    int n = (int)str_columns(text);
    screen_text(out, right && n < width ? x + width - n : x, y, width, text, paint, attr);
}

static void headings(struct screen *out, struct area at, const struct top_state *s)
{
    int x = at.x + 1;
    for (int c = 0; c < COL_COUNT; c++) {
        int width = c == COL_NAME ? at.x + at.w - x : columns[c].width;
        bool sorted = columns[c].sort == s->settings.value[SETTING_SORT];
        char text[16];
        if (at.w < columns[c].from)
            continue;
        snprintf(text, sizeof(text), "%s%s", columns[c].heading,
                 !sorted                              ? ""
                 : s->settings.value[SETTING_REVERSE] ? "^"
                                                      : "v");
        put(out, x, at.y, width, columns[c].right, text, sorted ? PAINT_KEY : PAINT_TITLE,
            ATTR_BOLD);
        if (columns[c].sort >= 0)
            screen_spot(out, x, at.y, c == COL_NAME ? 8 : width,
                        TOP_KEY_SORT_BY + (uint32_t)columns[c].sort);
        x += width + 1;
    }
}

static void draw_row(struct screen *out, struct area at, const struct top_model *m,
                     const struct top_state *s, struct row r, bool chosen)
{
    const struct process *p = row_process(m, r);
    bool found = s->find[0] && filter_finds(m, p, s->find, strlen(s->find));
    int x = at.x + 1, attr = top_is_old(&m->gpu[r.gpu]) ? ATTR_DIM : found ? ATTR_BOLD : 0;
    char text[CELL_MAX];
    for (int c = 0; c < COL_COUNT; c++) {
        int width = c == COL_NAME ? at.x + at.w - x : columns[c].width;
        if (at.w < columns[c].from)
            continue;
        cell_text(m, r, (enum column)c, text);
        enum paint paint = c == COL_GPU ? (enum paint)(PAINT_GPU0 + r.gpu % 8)
                           : found      ? PAINT_NOTICE
                                        : PAINT_PLAIN;
        put(out, x, at.y, width, columns[c].right, text, paint, attr);
        x += width + 1;
    }
    if (chosen) {
        screen_put(out, at.x, at.y, '>', PAINT_KEY, ATTR_BOLD);
        screen_mark(out, at.x, at.y, at.w, ATTR_REVERSE);
    }
}

int draw_table_wish(const struct top_model *m, const struct top_state *s)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    return (int)rows.n + 2;
}

/* The GPUs whose driver does not tell who uses them. */
static void untold(struct screen *out, struct area at, const struct top_model *m)
{
    char text[96] = "";
    size_t n = 0;
    for (uint32_t g = 0; g < m->n && n + 8 < sizeof(text); g++)
        if (m->gpu[g].has_sample && !m->gpu[g].processes.known && !top_is_old(&m->gpu[g]))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%" PRIu32, n ? ", " : "",
                                  m->gpu[g].info.index);
    if (n)
        screen_textf(out, at.x + 1, at.y, at.w - 2, PAINT_PLAIN, ATTR_DIM,
                     "GPU %s: its driver does not tell who uses it", text);
}

void draw_table(struct screen *out, struct area at, const struct top_model *m,
                const struct top_state *s)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    int lines = at.h - 1, chosen = top_chosen(s, m, &rows);
    int first = chosen >= lines ? chosen - lines + 1 : 0;
    headings(out, at, s);
    for (int i = 0; i < lines && first + i < (int)rows.n; i++) {
        struct area line = {at.x, at.y + 1 + i, at.w, 1};
        screen_spot(out, line.x, line.y, line.w, TOP_KEY_ROW + (uint32_t)(first + i));
        draw_row(out, line, m, s, rows.row[first + i], first + i == chosen);
    }
    int used = (int)rows.n - first;
    if (rows.n == 0)
        screen_text(out, at.x + 1, at.y + 1, at.w - 2,
                    s->settings.filter.n ? "no process matches the filter"
                                         : "no process uses a GPU",
                    PAINT_PLAIN, ATTR_DIM);
    used = used < 1 ? 1 : used;
    if (used < lines)
        untold(out, (struct area){at.x, at.y + 1 + used, at.w, 1}, m);
    else if (used > lines)
        screen_textf(out, at.x + at.w - 14, at.y, 14, PAINT_PLAIN, ATTR_DIM, "%d-%d of %" PRIu32,
                     first + 1, first + lines, rows.n);
}
