/* table: lays out rows of cells. */
#include "base/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define GAP       2
#define TEXT_KEEP 12 /* a text column gives up no more than this before all others gave theirs */
#define TEXT_LAST 4

void table_finish(struct table *t)
{
    str_finish(&t->text);
    *t = (struct table){0};
}

void table_column(struct table *t, const char *heading, enum table_align align)
{
    if (t->n_columns >= TABLE_COLUMNS_MAX || t->n_cells)
        abort();
    t->column[t->n_columns].heading = heading;
    t->column[t->n_columns].align = align;
    t->n_columns++;
}

void table_cell(struct table *t, const char *text)
{
    if (!t->n_columns)
        abort();
    if (!text || !*text)
        text = "-";
    str_add_printable(&t->text, text, strlen(text));
    str_add_n(&t->text, "", 1);
    t->n_cells++;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    own(own_str) struct str text = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (text.failed)
        t->text.failed = true;
    table_cell(t, text.data);
}

static size_t n_rows(const struct table *t)
{
    return t->n_columns ? t->n_cells / t->n_columns : 0;
}

static void measure(const struct table *t, const struct table_style *style, int *widths)
{
    const char *cell = t->text.data;
    for (size_t c = 0; c < t->n_columns; c++)
        widths[c] = style->no_heading ? 0 : (int)str_columns(t->column[c].heading);
    for (size_t i = 0; i < n_rows(t) * t->n_columns; i++, cell += strlen(cell) + 1) {
        int n = (int)str_columns(cell), *width = &widths[i % t->n_columns];
        if (n > *width)
            *width = n;
    }
}

/* Takes `over` columns from texts wider than `keep`, the last first; returns what is left over. */
static int shorten(const struct table *t, int *widths, int keep, int over)
{
    for (size_t c = t->n_columns; c-- > 0 && over > 0;) {
        if (t->column[c].align != TABLE_LEFT || widths[c] <= keep)
            continue;
        int give = widths[c] - keep < over ? widths[c] - keep : over;
        widths[c] -= give;
        over -= give;
    }
    return over;
}

static void fit(const struct table *t, const struct table_style *style, int *widths)
{
    int over = style->indent - (style->width > 0 ? style->width : TABLE_WIDTH);
    for (size_t c = 0; c < t->n_columns; c++)
        over += widths[c] + (c ? GAP : 0);
    over = shorten(t, widths, TEXT_KEEP, over);
    shorten(t, widths, TEXT_LAST, over);
}

/* As much of text as takes at most `columns`, with a mark at the end if some is left out. */
static void add_short(struct str *out, const char *text, int columns, bool ascii)
{
    int taken = 0, room = columns - (ascii ? 3 : 1);
    size_t len = strlen(text);
    if ((int)str_columns(text) <= columns) {
        str_add(out, text);
        return;
    }
    while (len) {
        uint32_t c;
        char one[5] = "";
        size_t n = str_utf8(text, len, &c);
        n = n ? n : 1;
        memcpy(one, text, n);
        taken += (int)str_columns(one);
        if (taken > room)
            break;
        str_add(out, one);
        text += n;
        len -= n;
    }
    str_add(out, ascii ? &"..."[columns < 3 ? 3 - columns : 0] : columns > 0 ? "\xe2\x80\xa6" : "");
}

/* The part of *text that goes on this line of its column, at most `columns` wide and cut at a
 * blank; *text moves on. */
static void add_part(struct str *out, const char **text, int columns, bool ascii)
{
    own(own_str) struct str part = {0};
    const char *end = *text, *blank = NULL;
    for (const char *p = *text;; p++) {
        if (*p && *p != ' ')
            continue;
        str_finish(&part);
        str_add_n(&part, *text, (size_t)(p - *text));
        if (part.len && (int)str_columns(part.data) > columns)
            break;
        end = p;
        blank = *p ? p : NULL;
        if (!*p)
            break;
    }
    if (end == *text) { /* one word is too long */
        add_short(out, *text, columns, ascii);
        *text = "";
        return;
    }
    const char *last = end;
    while (last > *text && last[-1] == ' ')
        last--;
    str_add_n(out, *text, (size_t)(last - *text));
    *text = (blank ? blank : end) + strspn(blank ? blank : end, " ");
}

/* One line of a row; false when nothing is left for another. */
static bool add_line(const struct table *t, const struct table_style *style, const int *widths,
                     const char **cells, struct str *out)
{
    own(own_str) struct str line = {0}, cell = {0};
    int blanks = style->indent, width = style->width > 0 ? style->width : TABLE_WIDTH;
    bool more = false;
    for (size_t c = 0; c < t->n_columns; c++) {
        bool left = t->column[c].align == TABLE_LEFT;
        str_finish(&cell);
        if (left && style->wrap) {
            add_part(&cell, &cells[c], widths[c], style->ascii);
        } else {
            add_short(&cell, cells[c], left ? widths[c] : TABLE_COLUMNS_MAX * width, style->ascii);
            cells[c] = "";
        }
        more = more || *cells[c];
        int pad = widths[c] - (cell.data ? (int)str_columns(cell.data) : 0);
        if (!left)
            blanks += pad;
        if (cell.len) {
            str_add_char(&line, ' ', blanks);
            str_add(&line, cell.data);
            blanks = 0;
        }
        blanks += GAP + (left ? pad : 0);
    }
    if (line.failed || cell.failed)
        out->failed = true;
    add_short(out, line.data ? line.data : "", width, style->ascii);
    str_add(out, "\n");
    return more;
}

static void add_row(const struct table *t, const struct table_style *style, const int *widths,
                    const char *const *cells, struct str *out)
{
    const char *rest[TABLE_COLUMNS_MAX];
    for (size_t c = 0; c < t->n_columns; c++)
        rest[c] = cells[c];
    while (add_line(t, style, widths, rest, out)) {
    }
}

static void write_plain(const struct table *t, struct str *out)
{
    const char *cell = t->text.data;
    for (size_t i = 1; i <= n_rows(t) * t->n_columns; i++, cell += strlen(cell) + 1) {
        str_add(out, cell);
        str_add(out, i % t->n_columns ? "\t" : "\n");
    }
}

void table_write(const struct table *t, const struct table_style *style, struct str *out)
{
    int widths[TABLE_COLUMNS_MAX] = {0};
    const char *cells[TABLE_COLUMNS_MAX], *cell = t->text.data;
    if (t->text.failed) {
        out->failed = true;
        return;
    }
    if (style->plain) {
        write_plain(t, out);
        return;
    }
    measure(t, style, widths);
    fit(t, style, widths);
    for (size_t c = 0; c < t->n_columns; c++)
        cells[c] = t->column[c].heading;
    if (!style->no_heading && t->n_columns)
        add_row(t, style, widths, cells, out);
    for (size_t row = 0; row < n_rows(t); row++) {
        for (size_t c = 0; c < t->n_columns; c++, cell += strlen(cell) + 1)
            cells[c] = cell;
        add_row(t, style, widths, cells, out);
    }
}
