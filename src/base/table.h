/* table: rows of text in columns for people, or tab separated for scripts. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define TABLE_COLUMNS_MAX 16
#define TABLE_WIDTH       80

enum table_align { TABLE_LEFT, TABLE_RIGHT }; /* right is for numbers, which are never shortened */

/* Zeroed is a valid empty table. Cells are copied, with control bytes and broken UTF-8 shown as
 * \xNN. */
struct table {
    struct {
        const char *heading; /* kept, not copied */
        enum table_align align;
    } column[TABLE_COLUMNS_MAX];
    size_t n_columns, n_cells;
    struct str text; /* all cells, each with its NUL */
};

struct table_style {
    int width;  /* most columns of the terminal a line may take; 0 means TABLE_WIDTH */
    bool plain; /* one record per line, tabs between cells, no heading, nothing shortened */
    bool ascii; /* "..." where a text was shortened, not the one-column ellipsis */
    bool wrap;  /* texts go on in the lines below instead of being shortened */
    bool no_heading;
    int indent; /* blanks before each line, part of the width; not in plain mode */
};

void table_finish(struct table *t);
static inline void own_table(struct table *t)
{
    table_finish(t);
}

/* All columns first, then cells from left to right, row after row. A cell that is NULL or "" shows
 * "-". */
void table_column(struct table *t, const char *heading, enum table_align align);
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Two blanks between columns, none at the end of a line. What does not fit into the width is taken
 * from the text columns (with wrap from the widest), the last one first; where numbers alone are
 * too wide, lines are cut. A last row that lacks cells is not written. out->failed tells about
 * memory. */
void table_write(const struct table *t, const struct table_style *style, struct str *out);

#endif
