/* rows: the processes to be listed, filtered and in order. */
#ifndef TUI_ROWS_H
#define TUI_ROWS_H

#include "tui/settings.h"

struct row {
    uint8_t gpu, at; /* process[at] of that GPU's table */
};

enum { ROWS_MAX = TELEMETRY_MAX_GPUS * PROCESSES_MAX };

struct rows {
    uint32_t n;
    struct row row[ROWS_MAX];
};

void rows_list(const struct top_model *m, const struct settings *s, struct rows *out);

static inline const struct process *row_process(const struct top_model *m, struct row r)
{
    return &m->gpu[r.gpu].processes.process[r.at];
}

/* The row of that process on that GPU, or `fallback` cut to the list; -1 when it is empty. */
int rows_find(const struct top_model *m, const struct rows *rows, uint32_t pid, uint32_t gpu,
              int fallback);

#endif
