/* screen: a rectangle of cells that is drawn into, and the places on it that a mouse can hit. */
#ifndef TUI_SCREEN_H
#define TUI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum paint {
#define PAINT(id, c16, dark256, light256, dark_rgb, light_rgb) PAINT_##id,
#include "tui/paints.def"
#undef PAINT
    PAINT_COUNT
};

struct paint_colors {
    int c16, c256[2], rgb[2]; /* [0] on a dark ground, [1] on a light one; -1: the terminal's own */
};
extern const struct paint_colors paint_colors[PAINT_COUNT];

enum { ATTR_BOLD = 1, ATTR_DIM = 2, ATTR_REVERSE = 4, ATTR_UNDERLINE = 8 };

/* glyph 0: the right half of a wide character to its left. */
struct cell {
    uint32_t glyph;
    uint8_t paint, attr;
};

enum { SCREEN_COLUMNS_MAX = 400, SCREEN_LINES_MAX = 160, SCREEN_SPOTS_MAX = 96 };

/* Where a click means a key. */
struct spot {
    uint16_t x, y, w;
    uint32_t key;
};

struct screen {
    int w, h;
    struct cell *cells; /* w * h, line after line */
    int n_spots;
    struct spot spots[SCREEN_SPOTS_MAX];
};

/* Blank; false without memory. Larger than the maximum is cut to it. */
bool screen_init(struct screen *s, int w, int h);
void screen_finish(struct screen *s);
void screen_clear(struct screen *s);

/* Text from (x, y) in at most `room` columns, cut where it does not fit or leaves the screen;
 * control bytes and broken UTF-8 become '?'. Returns the columns that were taken. */
int screen_text(struct screen *s, int x, int y, int room, const char *text, enum paint paint,
                int attr);
int screen_textf(struct screen *s, int x, int y, int room, enum paint paint, int attr,
                 const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* The same, but text that does not fit ends in "..". */
int screen_short(struct screen *s, int x, int y, int room, const char *text, enum paint paint,
                 int attr);
void screen_put(struct screen *s, int x, int y, uint32_t glyph, enum paint paint, int attr);
void screen_fill(struct screen *s, int x, int y, int w, uint32_t glyph, enum paint paint, int attr);
void screen_mark(struct screen *s, int x, int y, int w,
                 int attr); /* attributes of what is there already */
void screen_blank(struct screen *s, int x, int y, int w, int h);

void screen_spot(struct screen *s, int x, int y, int w, uint32_t key);
uint32_t screen_hit(const struct screen *s, int x, int y); /* 0: nothing there */

/* A code point as UTF-8. */
void screen_glyph(struct str *out, uint32_t glyph);

/* As lines of text without colours, blanks at their ends cut; for tests and documents. */
void screen_dump(const struct screen *s, struct str *out);

#endif
