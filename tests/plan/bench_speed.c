/* bench_speed: how far predicted speeds are from published ones, each card (each model) left out of
 * the fit that predicts it. bench_speed ROWS.csv [--fit|--rows] also prints fitted coefficients or
 * every row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speed_rows.h"

enum { FULL_ROUNDS = 12, LEFT_OUT_ROUNDS = 3 };

struct figures {
    uint32_t n, inside;
    double error[ROWS_MAX], ratio[ROWS_MAX]; /* |predicted / measured - 1|, measured / predicted */
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, uint32_t n, double q)
{
    qsort(v, n, sizeof(*v), ascending);
    return n ? v[(uint32_t)(q * (n - 1) + 0.5)] : 0;
}

static void count(const struct speed_row *row, const struct speed_range *predicted,
                  struct figures *f)
{
    f->error[f->n] = fabs(predicted->tps / row->tps - 1);
    f->ratio[f->n++] = row->tps / predicted->tps;
    f->inside += row->tps >= predicted->low && row->tps <= predicted->high;
}

static void print_line(const char *name, struct figures *f)
{
    if (f->n)
        printf("  %-22s %5u %8.1f %% %8.1f %% %8.0f %%   %.2f-%.2f\n", name, f->n,
               100 * quantile(f->error, f->n, 0.5), 100 * quantile(f->error, f->n, 0.9),
               100.0 * f->inside / f->n, quantile(f->ratio, f->n, 0.05),
               quantile(f->ratio, f->n, 0.95));
}

static void print_table(const struct speed_rows *rows, const struct speed_range *predicted,
                        bool prefill, const char *left_out)
{
    static struct figures f;
    printf("\n%s, every %s left out once%s\n  %-22s %5s %10s %10s %10s   %s\n",
           prefill ? "prefill" : "decode", left_out,
           prefill ? " (prompts of one ubatch, or with flash attention)" : "", "class", "rows",
           "median", "p90", "in range", "measured/predicted");
    for (int c = 0; c <= SPEED_CLASS_COUNT + 2; c++) {
        f.n = f.inside = 0;
        for (uint32_t i = 0; i < rows->n; i++) {
            const struct speed_row *r = &rows->row[i];
            bool mine = c < SPEED_CLASS_COUNT    ? (int)r->class == c
                        : c == SPEED_CLASS_COUNT ? r->class == SPEED_CLASS_GDDR && r->year[3] >= '5'
                        : c == SPEED_CLASS_COUNT + 1 ? r->year[3] >= '5'
                                                     : true;
            if (r->prefill == prefill && mine &&
                (!prefill || r->tokens <= 512 || r->in.placement->flash_on))
                count(r, &predicted[i], &f);
        }
        print_line(c < SPEED_CLASS_COUNT        ? speed_classes[c].name
                   : c == SPEED_CLASS_COUNT     ? "GDDR, 2025 and later"
                   : c == SPEED_CLASS_COUNT + 1 ? "all, 2025 and later"
                                                : "all",
                   &f);
    }
}

static const char *key_of(const struct speed_row *r, bool by_model)
{
    return by_model ? r->model : r->card;
}

static void leave_out(const struct speed_rows *rows, const double *full, bool by_model,
                      struct speed_range *predicted)
{
    static bool used[ROWS_MAX], done[ROWS_MAX];
    memset(done, 0, sizeof(done));
    for (uint32_t i = 0; i < rows->n; i++) {
        if (done[i])
            continue;
        double k[SPEED_COEF_COUNT];
        memcpy(k, full, sizeof(k));
        for (uint32_t j = 0; j < rows->n; j++)
            used[j] = strcmp(key_of(&rows->row[i], by_model), key_of(&rows->row[j], by_model)) != 0;
        speed_fit(rows, used, false, LEFT_OUT_ROUNDS, k);
        speed_fit(rows, used, true, LEFT_OUT_ROUNDS, k);
        for (uint32_t j = 0; j < rows->n; j++)
            if (!used[j]) {
                done[j] = true;
                predicted[j] = speed_row_predict(&rows->row[j], k);
            }
    }
}

static void print_rows(const struct speed_rows *rows, const struct speed_range *predicted)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct speed_row *r = &rows->row[i];
        printf("%s %2ux %-36s %-24s %-8s %s %s%u@%u %9.2f %9.2f %+6.1f %%\n", r->year, r->n_cards,
               r->card, r->model, r->quantization, speed_classes[r->class].name,
               r->prefill ? "pp" : "tg", r->tokens, r->depth, r->tps, predicted[i].tps,
               100 * (predicted[i].tps / r->tps - 1));
    }
}

int main(int argc, char **argv)
{
    static struct speed_rows rows;
    static struct speed_range predicted[ROWS_MAX];
    double full[SPEED_COEF_COUNT];
    const char *mode = argc > 2 ? argv[2] : "";
    if (argc < 2 || !speed_rows_read(&rows, argv[1])) {
        fprintf(stderr, "usage: bench_speed ROWS.csv [--fit|--rows]\n");
        return 2;
    }
    memcpy(full, speed_coefs, sizeof(full));
    if (strcmp(mode, "--fit") == 0) {
        memcpy(full, speed_priors, sizeof(full));
        speed_fit(&rows, NULL, false, FULL_ROUNDS, full);
        speed_fit(&rows, NULL, true, FULL_ROUNDS, full);
        for (int i = 0; i < SPEED_COEF_COUNT; i++)
            printf("    X(%s, %.4g)\n", speed_coef_names[i], full[i]);
    }
    printf("%u measurements, %u of others left aside\n", rows.n, rows.skipped);
    for (uint32_t i = 0; i < rows.n; i++)
        predicted[i] = speed_row_predict(&rows.row[i], full);
    print_table(&rows, predicted, false, "row fitted, none");
    for (int by_model = 0; by_model < 2; by_model++) {
        leave_out(&rows, full, by_model, predicted);
        if (strcmp(mode, "--rows") == 0 && !by_model)
            print_rows(&rows, predicted);
        print_table(&rows, predicted, false, by_model ? "model" : "card");
        print_table(&rows, predicted, true, by_model ? "model" : "card");
    }
    speed_rows_free(&rows);
    return 0;
}
