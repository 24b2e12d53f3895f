/* parts: the pieces that draw.c puts together. */
#ifndef TUI_PARTS_H
#define TUI_PARTS_H

#include "tui/screen.h"
#include "tui/state.h"

struct area {
    int x, y, w, h;
};

/* The GPUs that the filter leaves, in order; returns how many. */
uint32_t draw_shown(const struct top_model *m, const struct top_state *s,
                    uint32_t list[TELEMETRY_MAX_GPUS]);

void draw_rule(struct screen *out, int x, int y, int w, const struct top_state *s);

/* A GPU in 1 to 3 lines; cell_bytes is the scale of all bars. */
void draw_gpu(struct screen *out, struct area at, const struct top_model *m,
              const struct top_state *s, uint32_t gpu, double cell_bytes, bool chosen);
int draw_gpu_bar_room(int lines,
                      int w); /* cells a memory bar may take there, frame included; 0: none */

/* Heading and processes; lines it would like to have. */
void draw_table(struct screen *out, struct area at, const struct top_model *m,
                const struct top_state *s);
int draw_table_wish(const struct top_model *m, const struct top_state *s);

/* Everything known of one GPU; returns the lines taken. */
int draw_detail(struct screen *out, struct area at, const struct top_model *m,
                const struct top_state *s, uint32_t gpu);

void draw_overlay(struct screen *out, const struct top_state *s);
void draw_footer(struct screen *out, const struct top_model *m, const struct top_state *s);
void draw_notice(struct screen *out, int y, const struct top_model *m, const struct top_state *s);

#endif
