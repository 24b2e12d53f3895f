/* speed_fit: Gauss-Newton in the logarithms of the coefficients, with outliers damped and weak
 * priors. */
#include <math.h>
#include <string.h>

#include "speed_rows.h"

/* What one would say of a class without any measurement of it; how far a fit may go from there is
 * SIGMA. */
const double speed_priors[FIT_COEF_COUNT] = {
    [SPEED_REACH] = 1,           [SPEED_REACH_TURING] = 0.7,
    [SPEED_REACH_VOLTA] = 0.7,   [SPEED_REACH_PASCAL] = 0.7,
    [SPEED_REACH_KEPLER] = 0.5,  [SPEED_REACH_RDNA] = 0.7,
    [SPEED_REACH_AMD_HBM] = 0.5, [SPEED_REACH_SHARED] = 0.8,
    [SPEED_ECC] = 0.94,          [SPEED_SM] = 8,
    [SPEED_LAUNCH_US] = 50,      [SPEED_LAUNCH_GHZ] = 0.5,
    [SPEED_EXPERTS] = 1.5,       [SPEED_HOP_US] = 200,
    [SPEED_TYPE_FLOAT] = 1,      [SPEED_TYPE_K] = 1.1,
    [SPEED_SCORE] = 60,          [SPEED_RATE] = 0.3,
    [SPEED_RATE_WATT] = 0.3,     [SPEED_RATE_BAND] = 0.2,
    [SPEED_RATE_ADA] = 1.2,      [SPEED_RATE_HBM] = 1.5,
    [SPEED_RATE_FLOAT] = 1,      [SPEED_RATE_K] = 0.85,
    [SPEED_RATE_MOE] = 0.5,      [SPEED_SCORES] = 20,
    [SPEED_QUEUE] = 20,          [SPEED_PEAK_TURING] = 0.14,
    [SPEED_PEAK_VOLTA] = 0.73,   [SPEED_PEAK_PASCAL] = 0.29,
    [SPEED_PEAK_KEPLER] = 0.3,   [SPEED_PEAK_RDNA] = 0.25,
    [SPEED_PEAK_AMD_HBM] = 0.22, [SPEED_PEAK_SHARED] = 0.25,
    [FIT_LAUNCH_OLD] = 1.6,
};
#define SIGMA   0.5
#define OUTLIER 0.03
#define STEP    0.01

/* Gradients change slowly and cost most: they are found anew in every REFRESHth round only. */
enum { FIRST_PREFILL = SPEED_RATE, MOST = FIT_COEF_COUNT, REFRESH = 8 };

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

/* Which coefficients rows of decode, or of prefill, tell about. */
static int list_coefs(bool prefill, int *at)
{
    int n = 0;
    for (int i = 0; i < FIT_COEF_COUNT; i++)
        if ((i >= FIRST_PREFILL && i < SPEED_COEF_COUNT) == prefill)
            at[n++] = i;
    return n;
}

/* A class has coefficients of its own, which no row of another knows. */
static bool concerns(const struct speed_row *row, int coef)
{
    const struct speed_class_row *c = &speed_classes[row->class];
    if (coef <= SPEED_REACH_SHARED)
        return coef == (int)c->reach;
    return coef < SPEED_PEAK_TURING || coef > SPEED_PEAK_SHARED || coef == (int)c->peak;
}

static double residual_of(const struct speed_row *row, const double *coefs)
{
    return log(speed_row_predict(row, coefs).tps / row->tps);
}

static void find_gradient(const struct speed_row *row, const int *at, int n, const double *coefs,
                          double *gradient)
{
    double k[FIT_COEF_COUNT], was = residual_of(row, coefs);
    memcpy(k, coefs, sizeof(k));
    for (int i = 0; i < n; i++) {
        gradient[i] = 0;
        if (!concerns(row, at[i]))
            continue;
        k[at[i]] *= 1 + STEP;
        gradient[i] = (residual_of(row, k) - was) / log(1 + STEP);
        k[at[i]] = coefs[at[i]];
    }
}

static void add_row(struct normal *s, const struct speed_row *row, const double *gradient, int n,
                    const double *coefs)
{
    double residual = residual_of(row, coefs);
    if (!isfinite(residual))
        return;
    double damped = 1 / sqrt(1 + residual * residual / (OUTLIER * OUTLIER));
    add(s, gradient, n, residual, row->weight * row->weight * damped);
}

/* What -sm tensor costs is set, not fitted: its rows would bend the costs of layers. */
static bool takes_part(const struct speed_row *r, bool prefill)
{
    return r->prefill == prefill && !r->disturbed && r->in.settings->split == SPLIT_LAYER;
}

void speed_fit_start(double *coefs)
{
    memcpy(coefs, speed_priors, FIT_COEF_COUNT * sizeof(*coefs));
    memcpy(coefs, speed_coefs, SPEED_COEF_COUNT * sizeof(*coefs));
}

void speed_fit(const struct speed_rows *rows, const bool *used, bool prefill, int rounds,
               double *coefs)
{
    static double gradient[ROWS_MAX][MOST];
    int at[MOST], n = list_coefs(prefill, at);
    for (int round = 0; round < rounds; round++) {
        struct normal s = {0};
        double tie = OUTLIER * OUTLIER / (SIGMA * SIGMA);
        for (uint32_t i = 0; i < rows->n; i++)
            if ((!used || used[i]) && takes_part(&rows->row[i], prefill)) {
                if (round % REFRESH == 0)
                    find_gradient(&rows->row[i], at, n, coefs, gradient[i]);
                add_row(&s, &rows->row[i], gradient[i], n, coefs);
            }
        for (int i = 0; i < n; i++) {
            s.a[i][i] += tie;
            s.b[i] -= tie * log(coefs[at[i]] / speed_priors[at[i]]);
        }
        solve(&s, n);
        for (int i = 0; i < n; i++)
            coefs[at[i]] *= exp(fmax(fmin(s.b[i], 0.3), -0.3));
    }
}
