/* make: models as a sampler would fill them, with every number known to the test. */
#ifndef TESTS_TUI_MAKE_H
#define TESTS_TUI_MAKE_H

#include "tui/draw.h"

enum { MAKE_SECONDS = 120 };

/* n GPUs: an RTX 5090 with a language model, then an RTX 4090 on a narrow link, in turns; two
 * minutes of history. */
void make_model(struct top_model *m, uint32_t n);
void make_finish(struct top_model *m);

void make_process(struct top_model *m, uint32_t gpu, uint32_t pid, const char *name, double gib);

/* Overview, ASCII symbols, no colours. */
void make_state(struct top_state *s);

/* The screen as text, of w x h; freed by the caller. */
char *make_screen(const struct top_model *m, const struct top_state *s, int w, int h);

void make_keys(struct top_state *s, const struct top_model *m, const char *keys);

#endif
