/* bar: a GPU's memory as one stacked bar, and shares as a row of marks. */
#ifndef TUI_BAR_H
#define TUI_BAR_H

#include "tui/screen.h"
#include "tui/state.h"

/* Bytes of one cell, a round size, so that the largest card of the model takes at most `cells`; 0:
 * no card's size is known. One scale for all cards: a smaller card has a shorter bar. */
double bar_cell_bytes(const struct top_model *m, int cells);

/* "|ooo llama-server ooo..R|" at (x, y); cut at `room` columns. Returns the columns it took. */
int bar_memory(struct screen *out, int x, int y, int room, const struct gpu_view *g,
               double cell_bytes, const struct top_state *s);

/* "|####......|" of `cells` marks; NAN: empty with a '?'. */
void bar_share(struct screen *out, int x, int y, int cells, double percent, enum paint paint,
               int attr, const struct top_state *s);

/* The letters of bar_memory and what they mean: "o O programs, by process  R reserved ..." Returns
 * columns taken. */
int bar_legend(struct screen *out, int x, int y, int room, double cell_bytes,
               const struct top_state *s);

#endif
