/* terminal: cells to terminfo's sequences, one write per picture; keys from ncurses. */
#include "tui/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <ncurses.h>
#include <term.h>

#include "tui/state.h"

enum { SEQUENCE_MAX = 48 };

/* Pictures do not go through ncurses' own windows: it writes at every jump of the cursor, a hundred
 * times a picture. Its windows are kept at one cell, for they would take 84 bytes a cell. */
struct terminal {
    SCREEN *curses;
    struct cell *shown; /* what is on the terminal; glyph UINT32_MAX: unknown */
    int w, h;
    bool utf8;
    enum terminal_colors colors;
    char color[PAINT_COUNT][SEQUENCE_MAX]; /* sets the colour; "": the terminal's own */
    struct str out;                        /* of one picture; its memory is kept */
};

static struct str *into; /* where tputs writes */

static int put_byte(int c)
{
    str_add_char(into, (char)c, 1);
    return c;
}

static void emit(struct terminal *t, const char *sequence)
{
    into = &t->out;
    if (sequence)
        tputs(sequence, 1, put_byte);
}

static bool has_true_color(void)
{
    const char *depth = getenv("COLORTERM");
    return tigetflag("RGB") > 0 ||
           (depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0));
}

static enum terminal_colors depth_of(enum terminal_colors want)
{
    int most = tigetnum("colors");
    if (want == TERMINAL_MONO || (most < 8 && want != TERMINAL_TRUE))
        return TERMINAL_MONO;
    if (want == TERMINAL_TRUE || (want == TERMINAL_AUTO && has_true_color()))
        return TERMINAL_TRUE;
    return most >= 256 && want != TERMINAL_16 ? TERMINAL_256 : TERMINAL_16;
}

static void set_colors(struct terminal *t, enum terminal_colors want, bool light)
{
    t->colors = depth_of(want);
    for (int p = 0; p < PAINT_COUNT; p++) {
        const struct paint_colors *c = &paint_colors[p];
        int rgb = c->rgb[light], number = t->colors == TERMINAL_16 ? c->c16 : c->c256[light];
        t->color[p][0] = 0;
        if (t->colors == TERMINAL_MONO || rgb < 0)
            continue;
        if (t->colors == TERMINAL_TRUE) {
            snprintf(t->color[p], SEQUENCE_MAX, "\033[38;2;%d;%d;%dm", rgb >> 16, rgb >> 8 & 255,
                     rgb & 255);
            continue;
        }
        const char *sequence = set_a_foreground ? tparm(set_a_foreground, number) : NULL;
        snprintf(t->color[p], SEQUENCE_MAX, "%s", sequence ? sequence : "");
    }
}

bool terminal_open(struct terminal **out, struct err *err)
{
    struct terminal *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(err, ERR_1201, "no memory for the terminal");
    t->curses = newterm(NULL, stdout, stdin);
    if (!t->curses || !cursor_address) {
        const char *term = getenv("TERM");
        if (t->curses)
            endwin();
        free(t);
        err_set(err, ERR_9003, "this terminal (TERM=%.40s) cannot be drawn on", term ? term : "");
        return err_fix(err, "dualgpuopt top --accessible", "lines instead of a picture");
    }
    set_term(t->curses);
    set_escdelay(25);
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    intrflush(stdscr, FALSE);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    refresh(); /* what ncurses has to say to the terminal, it says now */
    resize_term(1, 1);
    t->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    *out = t;
    return true;
}

void terminal_close(struct terminal *t)
{
    if (!t)
        return;
    endwin();
    delscreen(t->curses);
    str_finish(&t->out);
    free(t->shown);
    free(t);
}

void terminal_redraw(struct terminal *t)
{
    free(t->shown);
    t->shown = NULL;
}

void terminal_look(struct terminal *t, enum terminal_colors want, bool light, bool mouse)
{
    set_colors(t, want, light);
    mouseinterval(0);
    mousemask(mouse ? BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED : 0, NULL);
    terminal_redraw(t);
}

bool terminal_mono(const struct terminal *t)
{
    return t->colors == TERMINAL_MONO;
}

void terminal_size(const struct terminal *t, int *w, int *h)
{
    struct winsize size;
    (void)t;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;
    *w = known ? size.ws_col : 80;
    *h = known ? size.ws_row : 24;
}

/* Attributes can only be taken back all at once. */
static void set_style(struct terminal *t, struct cell c)
{
    emit(t, exit_attribute_mode);
    str_add(&t->out, t->color[c.paint]);
    if (c.attr & ATTR_BOLD)
        emit(t, enter_bold_mode);
    if (c.attr & ATTR_DIM)
        emit(t, enter_dim_mode);
    if (c.attr & ATTR_REVERSE)
        emit(t, enter_reverse_mode);
    if (c.attr & ATTR_UNDERLINE)
        emit(t, enter_underline_mode);
}

static void write_out(struct terminal *t)
{
    for (size_t done = 0; done < t->out.len;) {
        ssize_t n = write(STDOUT_FILENO, t->out.data + done, t->out.len - done);
        if (n < 0 && errno != EINTR)
            break; /* the terminal is gone: poll will say so */
        done += n > 0 ? (size_t)n : 0;
    }
    t->out.len = 0;
}

static bool prepare(struct terminal *t, const struct screen *s)
{
    size_t bytes = (size_t)s->w * (size_t)s->h * sizeof(*t->shown);
    if (t->shown && t->w == s->w && t->h == s->h)
        return true;
    free(t->shown);
    t->shown = malloc(bytes);
    if (!t->shown)
        return false;
    memset(t->shown, 0xff, bytes);
    t->w = s->w;
    t->h = s->h;
    emit(t, exit_attribute_mode);
    emit(t, clear_screen);
    return true;
}

static bool same_style(struct cell a, struct cell b)
{
    return a.paint == b.paint && a.attr == b.attr;
}

bool terminal_show(struct terminal *t, const struct screen *s)
{
    if (!prepare(t, s))
        return false;
    size_t cells = (size_t)s->w * (size_t)s->h,
           at = SIZE_MAX; /* at: where the terminal's cursor stands */
    /* where the last column wraps at once, a glyph in the last cell would scroll */
    size_t last = auto_right_margin && !eat_newline_glitch ? cells - 1 : cells;
    struct cell style = {.paint = UINT8_MAX};
    for (size_t i = 0; i < last; i++) {
        struct cell c = s->cells[i], *old = &t->shown[i];
        if (c.glyph == old->glyph && same_style(c, *old))
            continue;
        *old = c;
        if (!c.glyph)
            continue;
        if (at != i || i % (size_t)s->w == 0)
            emit(t, tparm(cursor_address, (int)(i / (size_t)s->w), (int)(i % (size_t)s->w)));
        if (!same_style(c, style))
            set_style(t, c);
        style = c;
        screen_glyph(&t->out, t->utf8 || c.glyph < 0x80 ? c.glyph : '?');
        at = i + 1 + (i + 1 < cells && !s->cells[i + 1].glyph);
    }
    if (t->out.len)
        emit(t, exit_attribute_mode);
    if (t->out.failed)
        return false;
    write_out(t);
    return true;
}

static uint32_t key_of(int code)
{
    static const struct {
        int curses;
        uint32_t key;
    } keys[] = {
        {KEY_UP,        TOP_KEY_UP         },
        {KEY_DOWN,      TOP_KEY_DOWN       },
        {KEY_LEFT,      TOP_KEY_LEFT       },
        {KEY_RIGHT,     TOP_KEY_RIGHT      },
        {KEY_SLEFT,     TOP_KEY_SHIFT_LEFT },
        {KEY_SRIGHT,    TOP_KEY_SHIFT_RIGHT},
        {KEY_HOME,      TOP_KEY_HOME       },
        {KEY_END,       TOP_KEY_END        },
        {KEY_PPAGE,     TOP_KEY_PAGE_UP    },
        {KEY_NPAGE,     TOP_KEY_PAGE_DOWN  },
        {KEY_BTAB,      TOP_KEY_BACKTAB    },
        {KEY_BACKSPACE, TOP_KEY_BACKSPACE  },
        {KEY_ENTER,     '\n'               },
        {KEY_DC,        TOP_KEY_BACKSPACE  },
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (keys[i].curses == code)
            return keys[i].key;
    if (code >= KEY_F(1) && code <= KEY_F(12))
        return TOP_KEY_F((uint32_t)(code - KEY_F0));
    return 0;
}

static struct terminal_input read_mouse(void)
{
    MEVENT e;
    if (getmouse(&e) != OK)
        return (struct terminal_input){.kind = INPUT_KEY};
    if (e.bstate & BUTTON4_PRESSED)
        return (struct terminal_input){.kind = INPUT_KEY, .key = TOP_KEY_UP};
    if (e.bstate & BUTTON5_PRESSED)
        return (struct terminal_input){.kind = INPUT_KEY, .key = TOP_KEY_DOWN};
    return (struct terminal_input){.kind = INPUT_CLICK, .x = e.x, .y = e.y};
}

struct terminal_input terminal_read(struct terminal *t)
{
    wint_t c;
    int kind = get_wch(&c);
    (void)t;
    if (kind == ERR)
        return (struct terminal_input){.kind = INPUT_NONE};
    if (kind == KEY_CODE_YES && c == KEY_RESIZE) {
        resize_term(1, 1);
        return (struct terminal_input){.kind = INPUT_RESIZE};
    }
    if (kind == KEY_CODE_YES && c == KEY_MOUSE)
        return read_mouse();
    uint32_t key = kind == KEY_CODE_YES ? key_of((int)c) : c == '\r' ? '\n' : (uint32_t)c;
    return (struct terminal_input){.kind = INPUT_KEY, .key = key};
}

void terminal_copy(struct terminal *t, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text);
    (void)t;
    fputs("\033]52;c;", stdout);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t a = (uint8_t)text[i], b = i + 1 < n ? (uint8_t)text[i + 1] : 0,
                 c = i + 2 < n ? (uint8_t)text[i + 2] : 0;
        putchar(digits[a >> 2]);
        putchar(digits[(a & 3) << 4 | b >> 4]);
        putchar(i + 1 < n ? digits[(b & 15) << 2 | c >> 6] : '=');
        putchar(i + 2 < n ? digits[c & 63] : '=');
    }
    fputs("\a", stdout);
    fflush(stdout);
}
