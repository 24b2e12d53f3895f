/* state: the key table, and what each action does. */
#include "tui/state.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* clang-format off */
const struct key_info key_info[ACTION_NONE] = {
#define KEY(id, k1, k2, k3, shown_, help_, listed_) \
    [ACTION_##id] = {.code = {k1, k2, k3}, .shown = shown_, .help = help_, .listed = listed_},
#include "tui/keys.def"
#undef KEY
};
/* clang-format on */

#define WINDOW_LEAST_S 10.0
enum { PAGE = 10, CURSOR_STEPS = 60 };

enum action key_action(uint32_t code)
{
    for (int i = 0; i < ACTION_NONE; i++)
        for (int k = 0; k < 3; k++)
            if (code && key_info[i].code[k] == code)
                return (enum action)i;
    return ACTION_NONE;
}

void top_state_init(struct top_state *s, const struct settings *settings)
{
    *s = (struct top_state){.settings = *settings, .row = 0};
}

void top_say(struct top_state *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->message, sizeof(s->message), fmt, ap);
    va_end(ap);
}

int top_chosen(const struct top_state *s, const struct top_model *m, const struct rows *rows)
{
    return rows_find(m, rows, s->pid, s->pid_gpu, s->row);
}

double top_rate(const struct settings *s)
{
    char word[SETTING_WORD_MAX];
    setting_word(SETTING_RATE, s->value[SETTING_RATE], word);
    return strtod(word, NULL);
}

double top_window_s(const struct top_model *m, int word)
{
    char text[SETTING_WORD_MAX], *unit;
    double n = strtod(setting_word(SETTING_WINDOW, word, text), &unit);
    return n <= 0 ? m->history_s : *unit == 'm' ? n * 60 : n;
}

enum metric top_metric(const struct settings *s)
{
    char word[SETTING_WORD_MAX];
    enum metric m = METRIC_UTILIZATION;
    metric_find(setting_word(SETTING_METRIC, s->value[SETTING_METRIC], word), &m);
    return m;
}

static double window_of(const struct top_state *s, const struct top_model *m)
{
    return s->chart.window_s > 0 ? s->chart.window_s
                                 : top_window_s(m, s->settings.value[SETTING_WINDOW]);
}

void top_chart_span(const struct top_state *s, const struct top_model *m, uint64_t *from_ns,
                    uint64_t *until_ns)
{
    uint64_t until = s->chart.until_ns ? s->chart.until_ns : m->now_ns;
    uint64_t span = (uint64_t)(window_of(s, m) * (double)CLOCK_NS_PER_S);
    *until_ns = until;
    *from_ns = until > span ? until - span : 0;
}

/* Right edge at `until`, as far as there is history; at the newest it is live again. */
static void pan_to(struct top_state *s, const struct top_model *m, double until)
{
    double span = window_of(s, m) * (double)CLOCK_NS_PER_S, now = (double)m->now_ns;
    double first = now - m->history_s * (double)CLOCK_NS_PER_S;
    first = first > (double)m->started_ns ? first : (double)m->started_ns;
    until = until < first + span ? first + span : until;
    s->chart.until_ns = until >= now ? 0 : (uint64_t)until;
}

static void pan(struct top_state *s, const struct top_model *m, double windows)
{
    uint64_t from, until;
    top_chart_span(s, m, &from, &until);
    pan_to(s, m, (double)until + windows * (double)(until - from));
}

static void zoom(struct top_state *s, const struct top_model *m, double factor)
{
    uint64_t from, until;
    top_chart_span(s, m, &from, &until);
    double window = window_of(s, m) * factor, center = (double)s->chart.cursor_ns;
    window = window < WINDOW_LEAST_S ? WINDOW_LEAST_S
             : window > m->history_s ? m->history_s
                                     : window;
    s->chart.window_s = window;
    if (s->chart.cursor)
        pan_to(s, m,
               center +
                   ((double)until - center) * window / ((double)(until - from) / CLOCK_NS_PER_S));
    else if (s->chart.until_ns)
        pan_to(s, m, (double)until);
}

/* A sixtieth of the window; at an edge the window follows. */
static void move_cursor(struct top_state *s, const struct top_model *m, int steps)
{
    uint64_t from, until;
    top_chart_span(s, m, &from, &until);
    double step = (double)(until - from) / CURSOR_STEPS,
           at = (double)s->chart.cursor_ns + steps * step;
    double span = (double)(until - from);
    if (at < (double)from)
        pan_to(s, m, at + span);
    else if (at > (double)until)
        pan_to(s, m, at);
    top_chart_span(s, m, &from, &until);
    at = at < (double)from ? (double)from : at > (double)until ? (double)until : at;
    s->chart.cursor_ns = (uint64_t)at;
}

static void toggle_cursor(struct top_state *s, const struct top_model *m)
{
    uint64_t from, until;
    s->chart.cursor = !s->chart.cursor;
    if (!s->chart.cursor)
        return;
    top_chart_span(s, m, &from, &until);
    s->chart.until_ns = until; /* a cursor needs a picture that stands still */
    s->chart.cursor_ns = until - (until - from) / 4;
}

static void choose_row(struct top_state *s, const struct top_model *m, const struct rows *rows,
                       int at)
{
    if (rows->n == 0)
        return;
    at = at < 0 ? 0 : at >= (int)rows->n ? (int)rows->n - 1 : at;
    s->row = at;
    s->pid = row_process(m, rows->row[at])->pid;
    s->pid_gpu = rows->row[at].gpu;
}

/* On Overview the processes, on GPUs the cards, as the filter leaves them. */
static void move(struct top_state *s, const struct top_model *m, int by)
{
    struct rows rows;
    if (s->settings.value[SETTING_SCREEN] == 1) {
        int step = by < 0 ? -1 : 1, at = (int)s->gpu;
        for (int left = abs(by); left > 0; left--) {
            int next = at + step;
            while (next >= 0 && next < (int)m->n &&
                   !filter_shows_gpu(&s->settings.filter, m, (uint32_t)next))
                next += step;
            if (next < 0 || next >= (int)m->n)
                break;
            at = next;
        }
        s->gpu = (uint32_t)at;
        return;
    }
    rows_list(m, &s->settings, &rows);
    int at = top_chosen(s, m, &rows);
    choose_row(s, m, &rows, by < -ROWS_MAX ? 0 : by > ROWS_MAX ? (int)rows.n - 1 : at + by);
}

static enum effect set(struct top_state *s, enum setting which, int value)
{
    int n = setting_words(which);
    s->settings.value[which] = (value % n + n) % n;
    s->unsaved = true;
    if (which == SETTING_WINDOW)
        s->chart.window_s = 0;
    switch (which) {
    case SETTING_SYMBOLS:
    case SETTING_COLORS:
    case SETTING_THEME:
    case SETTING_MOUSE: return EFFECT_LOOK;
    case SETTING_RATE: return EFFECT_RATE;
    default: return EFFECT_NONE;
    }
}

static enum effect step(struct top_state *s, enum setting which, int by)
{
    return set(s, which, s->settings.value[which] + by);
}

static void open_gpu(struct top_state *s, const struct top_model *m)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    int at = top_chosen(s, m, &rows);
    if (s->settings.value[SETTING_SCREEN] == 1 || at < 0)
        return;
    s->gpu = rows.row[at].gpu;
    s->settings.value[SETTING_SCREEN] = 1;
}

/* From the inside out: cursor, panned chart, find, filter, screen. */
static void back(struct top_state *s)
{
    if (s->chart.cursor)
        s->chart.cursor = false;
    else if (s->chart.until_ns)
        s->chart.until_ns = 0;
    else if (s->find[0])
        s->find[0] = 0;
    else if (s->settings.filter.n)
        s->settings.filter = (struct filter){0};
    else
        s->settings.value[SETTING_SCREEN] = 0;
}

static enum effect setup_key(struct top_state *s, uint32_t key)
{
    int n = SETTING_COUNT;
    switch (key_action(key)) {
    case ACTION_UP: s->overlay_row = (s->overlay_row + n - 1) % n; return EFFECT_NONE;
    case ACTION_DOWN: s->overlay_row = (s->overlay_row + 1) % n; return EFFECT_NONE;
    case ACTION_LEFT: return step(s, (enum setting)s->overlay_row, -1);
    case ACTION_RIGHT:
    case ACTION_OPEN: return step(s, (enum setting)s->overlay_row, 1);
    case ACTION_SAVE: return EFFECT_SAVE;
    default: s->overlay = OVERLAY_NONE; return EFFECT_NONE;
    }
}

static enum effect chart_action(struct top_state *s, const struct top_model *m, enum action a)
{
    switch (a) {
    case ACTION_METRIC: return step(s, SETTING_METRIC, 1);
    case ACTION_METRIC_BACK: return step(s, SETTING_METRIC, -1);
    case ACTION_ZOOM_IN: zoom(s, m, 0.5); break;
    case ACTION_ZOOM_OUT: zoom(s, m, 2); break;
    case ACTION_WINDOW: return step(s, SETTING_WINDOW, 1);
    case ACTION_PAN_BACK: pan(s, m, -0.25); break;
    case ACTION_PAN_FORWARD: pan(s, m, 0.25); break;
    case ACTION_LIVE: s->chart.until_ns = 0, s->chart.cursor = false; break;
    case ACTION_CURSOR: toggle_cursor(s, m); break;
    case ACTION_LEFT:
    case ACTION_FAR_LEFT:
        if (s->chart.cursor)
            move_cursor(s, m, a == ACTION_LEFT ? -1 : -PAGE);
        break;
    case ACTION_RIGHT:
    case ACTION_FAR_RIGHT:
        if (s->chart.cursor)
            move_cursor(s, m, a == ACTION_RIGHT ? 1 : PAGE);
        break;
    case ACTION_MARK: prompt_open(s, PROMPT_MARKER, ""); break;
    case ACTION_UNMARK: s->chart.n_markers -= s->chart.n_markers > 0; break;
    default: break;
    }
    return EFFECT_NONE;
}

static enum effect act(struct top_state *s, const struct top_model *m, enum action a)
{
    int *screen = &s->settings.value[SETTING_SCREEN];
    switch (a) {
    case ACTION_HELP: s->overlay = OVERLAY_HELP; break;
    case ACTION_SETUP: s->overlay = OVERLAY_SETUP; break;
    case ACTION_SAVE: return EFFECT_SAVE;
    case ACTION_QUIT: return EFFECT_QUIT;
    case ACTION_OVERVIEW: *screen = 0; break;
    case ACTION_GPUS: *screen = 1; break;
    case ACTION_NEXT_SCREEN:
    case ACTION_LAST_SCREEN: *screen = !*screen; break;
    case ACTION_UP: move(s, m, -1); break;
    case ACTION_DOWN: move(s, m, 1); break;
    case ACTION_PAGE_UP: move(s, m, -PAGE); break;
    case ACTION_PAGE_DOWN: move(s, m, PAGE); break;
    case ACTION_FIRST: move(s, m, -ROWS_MAX - 1); break;
    case ACTION_LAST: move(s, m, ROWS_MAX + 1); break;
    case ACTION_OPEN: open_gpu(s, m); break;
    case ACTION_BACK: back(s); break;
    case ACTION_FIND: prompt_open(s, PROMPT_FIND, ""); break;
    case ACTION_FIND_NEXT:
        if (s->find[0])
            find_next(s, m);
        break;
    case ACTION_FILTER: prompt_open(s, PROMPT_FILTER, s->settings.filter.text); break;
    case ACTION_SORT: s->prompt = PROMPT_SORT; break;
    case ACTION_REVERSE: return step(s, SETTING_REVERSE, 1);
    case ACTION_PAUSE: s->paused = !s->paused; break;
    case ACTION_STOP: prompt_victim(s, m, SIGTERM); break;
    case ACTION_SIGNAL: prompt_victim(s, m, 0); break;
    case ACTION_ROWS_AUTO: return set(s, SETTING_ROWS, 0);
    case ACTION_ROWS_FULL: return set(s, SETTING_ROWS, 1);
    case ACTION_ROWS_COMPACT: return set(s, SETTING_ROWS, 2);
    case ACTION_COPY: return EFFECT_COPY;
    case ACTION_REDRAW: return EFFECT_REDRAW;
    default: return chart_action(s, m, a);
    }
    return EFFECT_NONE;
}

static enum effect click(struct top_state *s, const struct top_model *m, uint32_t key)
{
    struct rows rows;
    if (key >= TOP_KEY_SORT_BY) {
        int by = (int)(key - TOP_KEY_SORT_BY);
        return by == s->settings.value[SETTING_SORT] ? step(s, SETTING_REVERSE, 1)
                                                     : set(s, SETTING_SORT, by);
    }
    if (key >= TOP_KEY_GPU) {
        if (key - TOP_KEY_GPU < m->n)
            s->gpu = key - TOP_KEY_GPU;
        s->settings.value[SETTING_SCREEN] = 1;
        return EFFECT_NONE;
    }
    rows_list(m, &s->settings, &rows);
    choose_row(s, m, &rows, (int)(key - TOP_KEY_ROW));
    return EFFECT_NONE;
}

enum effect top_key(struct top_state *s, const struct top_model *m, uint32_t key)
{
    s->message[0] = 0;
    if (s->gpu >= m->n)
        s->gpu = 0;
    if (key == TOP_KEY_F(10) || (s->prompt == PROMPT_NONE && key_action(key) == ACTION_QUIT))
        return EFFECT_QUIT;
    if (s->prompt != PROMPT_NONE)
        return prompt_key(s, m, key);
    if (s->overlay == OVERLAY_SETUP)
        return setup_key(s, key);
    if (s->overlay == OVERLAY_HELP) {
        s->overlay = OVERLAY_NONE;
        return EFFECT_NONE;
    }
    if (key >= TOP_KEY_ROW)
        return click(s, m, key);
    return act(s, m, key_action(key));
}

char *top_copy_text(const struct top_state *s, const struct top_model *m, char *out, size_t size)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    int at = top_chosen(s, m, &rows);
    out[0] = 0;
    if (s->settings.value[SETTING_SCREEN] == 1 && s->gpu < m->n) {
        const struct gpu_info *i = &m->gpu[s->gpu].info;
        snprintf(out, size, "GPU %u %s %s %s", i->index, i->name, i->pci, i->uuid);
    } else if (at >= 0) {
        const struct process *p = row_process(m, rows.row[at]);
        snprintf(out, size, "%" PRIu32 " %s GPU %u", p->pid, p->name, rows.row[at].gpu);
    }
    return out;
}
