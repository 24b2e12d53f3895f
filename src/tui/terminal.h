/* terminal: puts a screen onto the terminal, changed cells only, and reads keys and the mouse; the
 * one user of ncurses. */
#ifndef TUI_TERMINAL_H
#define TUI_TERMINAL_H

#include "base/err.h"
#include "tui/screen.h"

enum terminal_colors {
    TERMINAL_AUTO,
    TERMINAL_MONO,
    TERMINAL_16,
    TERMINAL_256,
    TERMINAL_TRUE
}; /* as in settings.def */

struct terminal;

enum input_kind { INPUT_NONE, INPUT_KEY, INPUT_CLICK, INPUT_RESIZE };
struct terminal_input {
    enum input_kind kind;
    uint32_t key; /* enum top_key */
    int x, y;
};

/* Takes over the terminal of stdin and stdout. ERR_9003 where there is none that can be drawn on.
 */
bool terminal_open(struct terminal **out, struct err *err);
void terminal_close(struct terminal *t);

/* Depth, ground and mouse from now on. 16 and 256 fall back to what terminfo has; auto takes 24
 * bits where COLORTERM or terminfo tell of them. */
void terminal_look(struct terminal *t, enum terminal_colors want, bool light, bool mouse);
bool terminal_mono(const struct terminal *t);
void terminal_size(const struct terminal *t, int *w, int *h);

/* False without memory for a screen of that size. */
bool terminal_show(struct terminal *t, const struct screen *s);
void terminal_redraw(struct terminal *t); /* the next show draws every cell */

/* What was typed, at once; INPUT_NONE when nothing was. */
struct terminal_input terminal_read(struct terminal *t);

/* OSC 52: into the clipboard of the person's terminal, where it allows that. */
void terminal_copy(struct terminal *t, const char *text);

#endif
