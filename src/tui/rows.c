/* rows: collects, filters, sorts. */
#include "tui/rows.h"

#include <stdlib.h>
#include <string.h>

enum sort {
    SORT_MEMORY,
    SORT_SM,
    SORT_GPU,
    SORT_PID,
    SORT_USER,
    SORT_NAME,
    SORT_SINCE
}; /* as in settings.def */

struct order {
    const struct top_model *m;
    enum sort by;
    bool reverse;
};

static int sign(double a, double b)
{
    return (a > b) - (a < b);
}

/* Unknown memory comes last. */
static double memory_of(const struct process *p)
{
    return p->memory_bytes == UINT64_MAX ? -1 : (double)p->memory_bytes;
}

static int compare(const void *pa, const void *pb, void *ctx)
{
    const struct order *o = ctx;
    struct row ra = *(const struct row *)pa, rb = *(const struct row *)pb;
    const struct process *a = row_process(o->m, ra), *b = row_process(o->m, rb);
    char ua[TOP_USER_MAX + 12], ub[TOP_USER_MAX + 12];
    int c = 0;
    switch (o->by) {
    case SORT_SM: c = sign((double)b->sm, (double)a->sm); break;
    case SORT_GPU: c = sign(ra.gpu, rb.gpu); break;
    case SORT_PID: c = sign(a->pid, b->pid); break;
    case SORT_USER:
        c = strcmp(top_user_text(o->m, a->uid, ua, sizeof(ua)),
                   top_user_text(o->m, b->uid, ub, sizeof(ub)));
        break;
    case SORT_NAME: c = strcmp(a->name, b->name); break;
    case SORT_SINCE: c = sign((double)a->since_s, (double)b->since_s); break;
    case SORT_MEMORY: break;
    }
    c = c ? c : sign(memory_of(b), memory_of(a));
    c = o->reverse ? -c : c;
    c = c ? c : sign(ra.gpu, rb.gpu);
    return c ? c : sign(a->pid, b->pid);
}

void rows_list(const struct top_model *m, const struct settings *s, struct rows *out)
{
    out->n = 0;
    for (uint32_t g = 0; g < m->n; g++) {
        const struct process_table *t = &m->gpu[g].processes;
        for (uint32_t i = 0; i < t->n && i < PROCESSES_MAX; i++)
            if (filter_process(&s->filter, m, g, &t->process[i]))
                out->row[out->n++] = (struct row){.gpu = (uint8_t)g, .at = (uint8_t)i};
    }
    struct order o = {
        .m = m, .by = (enum sort)s->value[SETTING_SORT], .reverse = s->value[SETTING_REVERSE] == 1};
    qsort_r(out->row, out->n, sizeof(out->row[0]), compare, &o);
}

int rows_find(const struct top_model *m, const struct rows *rows, uint32_t pid, uint32_t gpu,
              int fallback)
{
    for (uint32_t i = 0; i < rows->n; i++)
        if (rows->row[i].gpu == gpu && row_process(m, rows->row[i])->pid == pid)
            return (int)i;
    return fallback < (int)rows->n ? fallback : (int)rows->n - 1;
}
