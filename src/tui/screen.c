/* screen: cells, text into cells, places for the mouse. */
#include "tui/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const struct paint_colors paint_colors[PAINT_COUNT] = {
#define PAINT(id, base, dark, light, dark_rgb, light_rgb) \
    [PAINT_##id] = {base, {dark, light}, {dark_rgb, light_rgb}},
#include "tui/paints.def"
#undef PAINT
};
/* clang-format on */

enum { TEXT_MAX = 512, FIRST_ODD_WIDTH = 0x300 };

bool screen_init(struct screen *s, int w, int h)
{
    w = w < 1 ? 1 : w > SCREEN_COLUMNS_MAX ? SCREEN_COLUMNS_MAX : w;
    h = h < 1 ? 1 : h > SCREEN_LINES_MAX ? SCREEN_LINES_MAX : h;
    struct cell *cells = calloc((size_t)w * (size_t)h, sizeof(*cells));
    if (!cells)
        return false;
    s->cells = cells;
    s->w = w;
    s->h = h;
    screen_clear(s);
    return true;
}

void screen_finish(struct screen *s)
{
    free(s->cells);
    *s = (struct screen){0};
}

void screen_clear(struct screen *s)
{
    screen_blank(s, 0, 0, s->w, s->h);
    s->n_spots = 0;
}

void screen_blank(struct screen *s, int x, int y, int w, int h)
{
    for (int line = y; line < y + h; line++)
        screen_fill(s, x, line, w, ' ', PAINT_PLAIN, 0);
}

void screen_put(struct screen *s, int x, int y, uint32_t glyph, enum paint paint, int attr)
{
    if (x < 0 || y < 0 || x >= s->w || y >= s->h)
        return;
    s->cells[y * s->w + x] =
        (struct cell){.glyph = glyph, .paint = (uint8_t)paint, .attr = (uint8_t)attr};
}

void screen_fill(struct screen *s, int x, int y, int w, uint32_t glyph, enum paint paint, int attr)
{
    for (int i = 0; i < w; i++)
        screen_put(s, x + i, y, glyph, paint, attr);
}

void screen_mark(struct screen *s, int x, int y, int w, int attr)
{
    for (int i = x < 0 ? 0 : x; i < x + w && i < s->w; i++)
        if (y >= 0 && y < s->h)
            s->cells[y * s->w + i].attr |= (uint8_t)attr;
}

/* Columns of one character. */
static int width_of(const char *text, size_t bytes, uint32_t glyph)
{
    if (glyph < FIRST_ODD_WIDTH)
        return 1;
    char one[8];
    memcpy(one, text, bytes);
    one[bytes] = 0;
    return (int)str_columns(one);
}

int screen_text(struct screen *s, int x, int y, int room, const char *text, enum paint paint,
                int attr)
{
    size_t len = strlen(text);
    int taken = 0;
    while (len) {
        uint32_t glyph;
        size_t n = str_utf8(text, len, &glyph);
        int width = n ? width_of(text, n, glyph) : 1;
        if (!n || glyph < ' ' || (glyph >= 0x7f && glyph < 0xa0))
            glyph = '?';
        n = n ? n : 1;
        if (taken + width > room || x + taken + width > s->w)
            break;
        if (width)
            screen_put(s, x + taken, y, glyph, paint, attr);
        if (width == 2)
            screen_put(s, x + taken + 1, y, 0, paint, attr);
        taken += width;
        text += n;
        len -= n;
    }
    return taken;
}

int screen_short(struct screen *s, int x, int y, int room, const char *text, enum paint paint,
                 int attr)
{
    if ((int)str_columns(text) <= room || room < 4)
        return screen_text(s, x, y, room, text, paint, attr);
    int taken = screen_text(s, x, y, room - 2, text, paint, attr);
    return taken + screen_text(s, x + taken, y, 2, "..", paint, attr);
}

int screen_textf(struct screen *s, int x, int y, int room, enum paint paint, int attr,
                 const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return screen_text(s, x, y, room, text, paint, attr);
}

void screen_spot(struct screen *s, int x, int y, int w, uint32_t key)
{
    if (s->n_spots < SCREEN_SPOTS_MAX && x >= 0 && y >= 0 && w > 0)
        s->spots[s->n_spots++] =
            (struct spot){.x = (uint16_t)x, .y = (uint16_t)y, .w = (uint16_t)w, .key = key};
}

uint32_t screen_hit(const struct screen *s, int x, int y)
{
    for (int i = s->n_spots - 1; i >= 0; i--)
        if (s->spots[i].y == y && x >= s->spots[i].x && x < s->spots[i].x + s->spots[i].w)
            return s->spots[i].key;
    return 0;
}

static char tail(uint32_t c)
{
    return (char)(0x80 | (c & 0x3f));
}

void screen_glyph(struct str *out, uint32_t c)
{
    if (c < 0x80)
        str_add_char(out, (char)c, 1);
    else if (c < 0x800)
        str_add_n(out, (char[]){(char)(0xc0 | c >> 6), tail(c)}, 2);
    else if (c < 0x10000)
        str_add_n(out, (char[]){(char)(0xe0 | c >> 12), tail(c >> 6), tail(c)}, 3);
    else
        str_add_n(out, (char[]){(char)(0xf0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)}, 4);
}

void screen_dump(const struct screen *s, struct str *out)
{
    for (int y = 0; y < s->h; y++) {
        int last = s->w;
        while (last > 0 && s->cells[y * s->w + last - 1].glyph == ' ')
            last--;
        for (int x = 0; x < last; x++)
            if (s->cells[y * s->w + x].glyph)
                screen_glyph(out, s->cells[y * s->w + x].glyph);
        str_add(out, "\n");
    }
}
