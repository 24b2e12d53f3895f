/* speed_rows: published measurements as cases of the speed model, and a fit of its coefficients to
 * them. */
#ifndef TESTS_SPEED_ROWS_H
#define TESTS_SPEED_ROWS_H

#include "plan/speed.h"

enum { ROWS_MAX = 1000 };

/* The model's coefficients, and one that only old rows need. */
enum {
    FIT_LAUNCH_OLD = SPEED_COEF_COUNT, /* launches of engines before 2025 against today's */
    FIT_COEF_COUNT
};

struct speed_row {
    const char *card, *model, *quantization, *year;
    bool old; /* measured before 2025 */
    uint32_t n_cards;
    bool prefill;
    bool disturbed; /* its neighbours show that something else slowed it down: judged by, not fitted
                       to */
    uint32_t tokens, depth;
    double tps;
    double
        weight; /* of a row in the fit: runs of one card and model count less than as many others */
    enum speed_class class;
    struct speed_case in; /* coefs and cards are the asker's */
};

struct speed_rows {
    uint32_t n, skipped;
    struct speed_row *row; /* ROWS_MAX */
    struct arena arena;
};

/* Rows of decode or prefill that the model speaks of: no old row split, no runs on unknown cards or
 * models. */
bool speed_rows_read(struct speed_rows *rows, const char *path);
void speed_rows_free(struct speed_rows *rows);

/* Predicted tokens per second under coefs. */
struct speed_range speed_row_predict(const struct speed_row *row, const double *coefs);

/* Least squares of log(predicted / measured), outliers damped; rows with used[i] == false take no
 * part. What the rows say nothing about stays near its prior. coefs is the start and the result. */
void speed_fit(const struct speed_rows *rows, const bool *used, bool prefill, int rounds,
               double *coefs);
extern const double speed_priors[FIT_COEF_COUNT];
void speed_fit_start(double *coefs); /* those of the product */

/* Predicts every row by a fit to the rows of all other cards, or all other models; full is where
 * the fits start. */
void speed_left_out(const struct speed_rows *rows, const double *full, bool by_model,
                    struct speed_range *predicted);

/* Groups of rows: an enum speed_class, or one of these. */
enum { GROUP_GDDR_TODAY = SPEED_CLASS_COUNT, GROUP_HBM, GROUP_TODAY, GROUP_ALL, GROUP_COUNT };
struct speed_figures {
    uint32_t n;
    double median, ninth, inside; /* |predicted / measured - 1|; share inside the range */
    double low, high;             /* measured / predicted, 5 % and 95 % */
};
struct speed_figures speed_figures_of(const struct speed_rows *rows,
                                      const struct speed_range *predicted, bool prefill, int group);

#endif
