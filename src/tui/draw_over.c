/* draw_over: what lies over the picture or below it: help, settings, questions, function keys. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/parts.h"

static void frame(struct screen *out, struct area at, const char *title, const struct top_state *s)
{
    bool ascii = s->symbols == SYMBOLS_ASCII;
    screen_blank(out, at.x, at.y, at.w, at.h);
    draw_rule(out, at.x, at.y, at.w, s);
    draw_rule(out, at.x, at.y + at.h - 1, at.w, s);
    for (int y = at.y; y < at.y + at.h; y++) {
        bool edge = y == at.y || y == at.y + at.h - 1, top = y == at.y;
        screen_put(out, at.x, y,
                   ascii  ? (edge ? '+' : '|')
                   : edge ? (top ? 0x250c : 0x2514)
                          : 0x2502,
                   PAINT_PLAIN, 0);
        screen_put(out, at.x + at.w - 1, y,
                   ascii  ? (edge ? '+' : '|')
                   : edge ? (top ? 0x2510 : 0x2518)
                          : 0x2502,
                   PAINT_PLAIN, 0);
    }
    screen_textf(out, at.x + 2, at.y, at.w - 4, PAINT_TITLE, ATTR_BOLD, " %s ", title);
}

static struct area centered(const struct screen *out, int w, int h)
{
    w = w > out->w ? out->w : w;
    h = h > out->h ? out->h : h;
    return (struct area){(out->w - w) / 2, (out->h - h) / 2, w, h};
}

/* The key table; in two columns where one is too long. */
static void draw_help(struct screen *out, const struct top_state *s)
{
    int listed = 0, i = 0;
    for (int a = 0; a < ACTION_NONE; a++)
        listed += key_info[a].listed;
    int per_line = listed + 2 > out->h && out->w >= 100 ? 2 : 1;
    int lines = (listed + per_line - 1) / per_line;
    struct area at = centered(out, per_line * 72 + 4, lines + 2);
    frame(out, at, "Keys", s);
    for (int a = 0; a < ACTION_NONE; a++) {
        if (!key_info[a].listed)
            continue;
        int x = at.x + 2 + i / lines * 72, y = at.y + 1 + i % lines;
        i++;
        if (y >= at.y + at.h - 1)
            continue;
        screen_text(out, x, y, 11, key_info[a].shown, PAINT_KEY, ATTR_BOLD);
        screen_text(out, x + 12, y, at.x + at.w - x - 13, key_info[a].help, PAINT_PLAIN, 0);
    }
    if (lines + 2 > at.h)
        screen_text(out, at.x + 2, at.y + at.h - 1, at.w - 4, " all keys: dualgpuopt help keys ",
                    PAINT_NOTICE, 0);
}

static void draw_setup(struct screen *out, const struct top_state *s)
{
    char word[SETTING_WORD_MAX];
    struct area at = centered(out, 76, SETTING_COUNT + 4);
    frame(out, at, "Settings", s);
    int most = at.h - 3, first = s->overlay_row >= most ? s->overlay_row - most + 1 : 0;
    for (int i = first; i < SETTING_COUNT && i - first < most; i++) {
        int y = at.y + 1 + i - first, attr = i == s->overlay_row ? ATTR_REVERSE : 0;
        screen_fill(out, at.x + 1, y, at.w - 2, ' ', PAINT_PLAIN, attr);
        screen_text(out, at.x + 2, y, 10, setting_info[i].key, PAINT_PLAIN, ATTR_BOLD | attr);
        screen_textf(out, at.x + 13, y, 24, PAINT_KEY, attr, "< %s >",
                     setting_word((enum setting)i, s->settings.value[i], word));
        screen_text(out, at.x + 37, y, at.w - 39, setting_info[i].help, PAINT_PLAIN, attr);
    }
    screen_text(out, at.x + 2, at.y + at.h - 1, at.w - 4,
                s->unsaved ? " arrows choose, F12 saves (not saved yet), Esc leaves "
                           : " arrows choose, F12 saves, Esc leaves ",
                PAINT_NOTICE, 0);
}

void draw_overlay(struct screen *out, const struct top_state *s)
{
    if (s->overlay == OVERLAY_HELP)
        draw_help(out, s);
    else if (s->overlay == OVERLAY_SETUP)
        draw_setup(out, s);
}

static void victim_text(const struct top_state *s, char *out, size_t size)
{
    const struct top_victim *v = &s->victim;
    char memory[METRIC_TEXT_MAX] = "";
    if (v->memory_bytes != UINT64_MAX)
        metric_text(METRIC_MEMORY_USED, (double)v->memory_bytes, memory);
    snprintf(out, size, "%" PRIu32 " %s (%s, GPU %" PRIu32 "%s%s)", v->local_pid, v->name, v->user,
             v->gpu, memory[0] ? ", " : "", memory);
}

/* True when the lowest line is a question or a text that is typed. */
static bool draw_prompt(struct screen *out, int y, const struct top_state *s)
{
    static const char *const names[] = {
        [PROMPT_FILTER] = "Filter", [PROMPT_FIND] = "Find", [PROMPT_MARKER] = "Marker"};
    char victim[160];
    victim_text(s, victim, sizeof(victim));
    int x = 1;
    switch (s->prompt) {
    case PROMPT_NONE: return false;
    case PROMPT_SORT:
        screen_text(out, x, y, out->w - 1,
                    "Sort by: m memory  s sm  g GPU  p pid  u user  n name  t time", PAINT_NOTICE,
                    ATTR_BOLD);
        return true;
    case PROMPT_SIGNAL:
        x += screen_text(out, x, y, out->w - 1,
                         "t TERM  i INT  h HUP  k KILL  s STOP  c CONT  u USR1  to ", PAINT_NOTICE,
                         ATTR_BOLD);
        screen_text(out, x, y, out->w - x, victim, PAINT_PLAIN, 0);
        return true;
    case PROMPT_CONFIRM:
        screen_textf(out, x, y, out->w - 1, PAINT_BAD, ATTR_BOLD,
                     "y: send %s to %s. Any other key: no", top_signal_name(s->signal), victim);
        return true;
    default:
        x += screen_textf(out, x, y, out->w - 1, PAINT_KEY, ATTR_BOLD, "%s: ", names[s->prompt]);
        x += screen_text(out, x, y, out->w - 1 - x, s->input, PAINT_PLAIN, 0);
        screen_put(out, x, y, ' ', PAINT_PLAIN, ATTR_REVERSE);
        if (s->message[0]) /* why the line was not taken */
            screen_text(out, x + 2, y, out->w - x - 2, s->message, PAINT_NOTICE, 0);
        return true;
    }
}

void draw_footer(struct screen *out, const struct top_model *m, const struct top_state *s)
{
    /* by importance: what does not fit is left out from the end of this order, drawn in order of
     * the keys */
    static const struct {
        uint32_t key;
        const char *name, *label;
        int weight;
        bool acts;
    } keys[] = {
        {TOP_KEY_F(1),  "F1",  "Help",   9, false},
        {TOP_KEY_F(2),  "F2",  "Setup",  6, false},
        {TOP_KEY_F(3),  "F3",  "Find",   3, false},
        {TOP_KEY_F(4),  "F4",  "Filter", 4, false},
        {TOP_KEY_F(5),  "F5",  "Pause",  7, false},
        {TOP_KEY_F(6),  "F6",  "Sort",   5, false},
        {TOP_KEY_F(8),  "F8",  "Stop",   2, true },
        {TOP_KEY_F(9),  "F9",  "Signal", 1, true },
        {TOP_KEY_F(12), "F12", "Save",   0, false},
        {TOP_KEY_F(10), "F10", "Quit",   8, false},
    };
    enum { KEYS = sizeof(keys) / sizeof(*keys) };
    int y = out->h - 1, room = 0, least = -1, x = 0;
    (void)m;
    screen_blank(out, 0, y, out->w, 1);
    if (draw_prompt(out, y, s))
        return;
    if (out->h < 20 && s->message[0]) {
        screen_text(out, 1, y, out->w - 1, s->message, PAINT_NOTICE, ATTR_BOLD);
        return;
    }
    for (int weight = 9; weight >= 0; weight--)
        for (int i = 0; i < KEYS; i++) {
            int need = (int)(strlen(keys[i].name) + strlen(keys[i].label)) + 1;
            if (keys[i].weight != weight || (keys[i].acts && s->readonly) || room + need > out->w)
                continue;
            room += need;
            least = weight;
        }
    for (int i = 0; i < KEYS; i++) {
        if (keys[i].weight < least || (keys[i].acts && s->readonly))
            continue;
        int from = x;
        x += screen_text(out, x, y, 4, keys[i].name, PAINT_KEY, ATTR_BOLD);
        x += screen_text(out, x, y, 8, keys[i].label, PAINT_PLAIN, ATTR_REVERSE);
        screen_spot(out, from, y, x - from, keys[i].key);
        x++;
    }
}

/* What was said last, else the worst that is wrong. */
void draw_notice(struct screen *out, int y, const struct top_model *m, const struct top_state *s)
{
    char text[TOP_SENTENCE_MAX];
    int worst = 0;
    uint32_t which = 0;
    draw_rule(out, 0, y, out->w, s);
    if (s->message[0] && s->prompt == PROMPT_NONE) {
        screen_textf(out, 1, y, out->w - 2, PAINT_NOTICE, ATTR_BOLD, " %s ", s->message);
        return;
    }
    for (uint32_t g = 0; g < m->n; g++) {
        if (top_severity(&m->gpu[g]) > worst && top_sentence(&m->gpu[g], text)[0]) {
            worst = top_severity(&m->gpu[g]);
            which = g;
        }
    }
    if (!worst)
        return;
    top_sentence(&m->gpu[which], text);
    int x = 1 + screen_textf(out, 1, y, out->w - 2, worst == 2 ? PAINT_BAD : PAINT_NOTICE,
                             ATTR_BOLD, " ! GPU %" PRIu32 " ", m->gpu[which].info.index);
    x += screen_short(out, x, y, out->w - x - 2, text, worst == 2 ? PAINT_BAD : PAINT_NOTICE,
                      ATTR_BOLD);
    screen_put(out, x, y, ' ', PAINT_PLAIN, 0);
}
