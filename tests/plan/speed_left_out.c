/* speed_left_out: predictions by fits that never saw the row's card or model, and how far off they
 * are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "speed_rows.h"

enum { ROUNDS = 24 };

static const char *key_of(const struct speed_row *r, bool by_model)
{
    return by_model ? r->model : r->card;
}

void speed_left_out(const struct speed_rows *rows, const double *full, bool by_model,
                    struct speed_range *predicted)
{
    static bool used[ROWS_MAX], done[ROWS_MAX];
    memset(done, 0, sizeof(done));
    for (uint32_t i = 0; i < rows->n; i++) {
        if (done[i])
            continue;
        double k[FIT_COEF_COUNT];
        memcpy(k, full, sizeof(k));
        for (uint32_t j = 0; j < rows->n; j++)
            used[j] = strcmp(key_of(&rows->row[i], by_model), key_of(&rows->row[j], by_model)) != 0;
        speed_fit(rows, used, false, ROUNDS, k);
        speed_fit(rows, used, true, ROUNDS, k);
        for (uint32_t j = 0; j < rows->n; j++)
            if (!used[j]) {
                done[j] = true;
                predicted[j] = speed_row_predict(&rows->row[j], k);
            }
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint32_t n, double q)
{
    return n ? sorted[(uint32_t)(q * (n - 1) + 0.5)] : 0;
}

static bool is_hbm(enum speed_class c)
{
    return c == SPEED_CLASS_HBM || c == SPEED_CLASS_HBM_NEW || c == SPEED_CLASS_VOLTA ||
           c == SPEED_CLASS_AMD_HBM;
}

static bool belongs(const struct speed_row *r, int group)
{
    switch (group) {
    case GROUP_GDDR_TODAY: return r->class == SPEED_CLASS_GDDR && !r->old;
    case GROUP_HBM: return is_hbm(r->class);
    case GROUP_TODAY: return !r->old;
    case GROUP_ALL: return true;
    default: return (int)r->class == group;
    }
}

struct speed_figures speed_figures_of(const struct speed_rows *rows,
                                      const struct speed_range *predicted, bool prefill, int group)
{
    static double error[ROWS_MAX], ratio[ROWS_MAX];
    struct speed_figures f = {0};
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct speed_row *r = &rows->row[i];
        if (r->prefill != prefill || !belongs(r, group))
            continue;
        error[f.n] = fabs(predicted[i].tps / r->tps - 1);
        ratio[f.n++] = r->tps / predicted[i].tps;
        f.inside += r->tps >= predicted[i].low && r->tps <= predicted[i].high;
    }
    qsort(error, f.n, sizeof(*error), ascending);
    qsort(ratio, f.n, sizeof(*ratio), ascending);
    f.median = quantile(error, f.n, 0.5);
    f.ninth = quantile(error, f.n, 0.9);
    f.low = quantile(ratio, f.n, 0.05);
    f.high = quantile(ratio, f.n, 0.95);
    f.inside = f.n ? f.inside / f.n : 0;
    return f;
}
