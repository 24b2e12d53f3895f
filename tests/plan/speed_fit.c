/* speed_fit: Gauss-Newton in the logarithms of the coefficients, with outliers damped and weak
 * priors. */
#include <math.h>
#include <string.h>

#include "speed_rows.h"

/* What one would say of a class without any measurement of it; how far a fit may go from there is
 * SIGMA. */
const double speed_priors[SPEED_COEF_COUNT] = {
    [SPEED_REACH] = 1,
    [SPEED_REACH_TURING] = 0.7,
    [SPEED_REACH_VOLTA] = 0.7,
    [SPEED_REACH_PASCAL] = 0.7,
    [SPEED_REACH_KEPLER] = 0.5,
    [SPEED_REACH_RDNA] = 0.7,
    [SPEED_REACH_AMD_HBM] = 0.5,
    [SPEED_REACH_SHARED] = 0.8,
    [SPEED_ECC] = 0.94,
    [SPEED_SM] = 8,
    [SPEED_LAUNCH_US] = 50,
    [SPEED_LAUNCH_HBM] = 1.3,
    [SPEED_MOE_US] = 40,
    [SPEED_HOP_US] = 200,
    [SPEED_TYPE_FLOAT] = 1,
    [SPEED_TYPE_K] = 1.1,
    [SPEED_KV] = 2,
    [SPEED_RATE] = 0.5,
    [SPEED_RATE_SIZE] = 0.9,
    [SPEED_RATE_WATT] = 0.4,
    [SPEED_RATE_ADA] = 1.2,
    [SPEED_RATE_HBM] = 1.5,
    [SPEED_RATE_K] = 0.85,
    [SPEED_RATE_MOE] = 0.5,
    [SPEED_PEAK_TURING] = 0.14,
    [SPEED_PEAK_VOLTA] = 0.73,
    [SPEED_PEAK_PASCAL] = 0.29,
    [SPEED_PEAK_KEPLER] = 0.3,
    [SPEED_PEAK_RDNA] = 0.25,
    [SPEED_PEAK_AMD_HBM] = 0.22,
    [SPEED_PEAK_SHARED] = 0.25,
};
#define SIGMA   0.5
#define OUTLIER 0.03
#define STEP    0.01

enum { FIRST_PREFILL = SPEED_RATE, MOST = SPEED_COEF_COUNT };

struct normal {
    double a[MOST][MOST], b[MOST];
};

static void add(struct normal *s, const double *gradient, int n, double residual, double weight)
{
    for (int i = 0; i < n; i++) {
        if (gradient[i] == 0)
            continue;
        for (int j = 0; j < n; j++)
            s->a[i][j] += weight * gradient[i] * gradient[j];
        s->b[i] -= weight * gradient[i] * residual;
    }
}

/* Solves a x = b, a positive definite by its priors, by elimination; x comes back in b. */
static void solve(struct normal *s, int n)
{
    for (int i = 0; i < n; i++)
        for (int r = i + 1; r < n; r++) {
            double f = s->a[r][i] / s->a[i][i];
            for (int c = i; c < n; c++)
                s->a[r][c] -= f * s->a[i][c];
            s->b[r] -= f * s->b[i];
        }
    for (int i = n - 1; i >= 0; i--) {
        for (int c = i + 1; c < n; c++)
            s->b[i] -= s->a[i][c] * s->b[c];
        s->b[i] /= s->a[i][i];
    }
}

static void add_row(struct normal *s, const struct speed_row *row, int first, int n,
                    const double *coefs)
{
    double k[SPEED_COEF_COUNT], gradient[MOST],
        was = log(speed_row_predict(row, coefs).tps / row->tps);
    if (!isfinite(was))
        return;
    memcpy(k, coefs, sizeof(k));
    for (int i = 0; i < n; i++) {
        k[first + i] *= 1 + STEP;
        gradient[i] = (log(speed_row_predict(row, k).tps / row->tps) - was) / log(1 + STEP);
        k[first + i] = coefs[first + i];
    }
    double damped = 1 / sqrt(1 + was * was / (OUTLIER * OUTLIER));
    add(s, gradient, n, was, row->weight * row->weight * damped);
}

/* Prompts longer than a ubatch belong to other laws (attention without flash attention, pipelines).
 */
static bool takes_part(const struct speed_row *r, bool prefill)
{
    if (r->prefill != prefill || r->disturbed)
        return false;
    return !prefill || (r->in.settings->split == SPLIT_LAYER &&
                        (r->tokens <= 512 || r->in.placement->flash_on));
}

void speed_fit(const struct speed_rows *rows, const bool *used, bool prefill, int rounds,
               double *coefs)
{
    int first = prefill ? FIRST_PREFILL : 0;
    int n = prefill ? SPEED_COEF_COUNT - FIRST_PREFILL : FIRST_PREFILL;
    for (int round = 0; round < rounds; round++) {
        struct normal s = {0};
        double tie = OUTLIER * OUTLIER / (SIGMA * SIGMA);
        for (uint32_t i = 0; i < rows->n; i++)
            if ((!used || used[i]) && takes_part(&rows->row[i], prefill))
                add_row(&s, &rows->row[i], first, n, coefs);
        for (int i = 0; i < n; i++) {
            s.a[i][i] += tie;
            s.b[i] -= tie * log(coefs[first + i] / speed_priors[first + i]);
        }
        solve(&s, n);
        for (int i = 0; i < n; i++)
            coefs[first + i] *= exp(fmax(fmin(s.b[i], 0.3), -0.3));
    }
}
