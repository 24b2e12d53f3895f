/* draw: the whole picture from a model and what was chosen; pure. */
#ifndef TUI_DRAW_H
#define TUI_DRAW_H

#include "tui/screen.h"
#include "tui/state.h"

enum { DRAW_COLUMNS_LEAST = 40, DRAW_LINES_LEAST = 8 };

void tui_draw(const struct top_model *m, const struct top_state *s, struct screen *out);

#endif
