/* chart: one metric of one or more GPUs over time, in braille dots, half blocks or the GPU's digit.
 */
#ifndef TUI_CHART_H
#define TUI_CHART_H

#include "tui/screen.h"
#include "tui/state.h"

enum { CHART_ALL = 0xffff }; /* mask of GPUs */

struct chart_place {
    int x, y, w, h; /* the axis is the lowest line */
};

/* Lines, axes, markers, cursor. GPUs of the mask that the filter hides are left out. */
void chart_draw(struct screen *out, struct chart_place at, const struct top_model *m,
                const struct top_state *s, enum metric metric, uint32_t mask);

/* "utilization  last 1 min   0 36%  1 64%" in one line: what it shows, and the newest values or
 * those at the cursor. */
void chart_title(struct screen *out, int x, int y, int room, const struct top_model *m,
                 const struct top_state *s, enum metric metric, uint32_t mask);

#endif
