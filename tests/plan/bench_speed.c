/* bench_speed: how far predicted speeds are from published ones, each card (each model) left out of
 * the fit that predicts it. bench_speed ROWS.csv [--fit|--rows|--rows-model] also prints fitted
 * coefficients or every row. */
#include <stdio.h>
#include <string.h>

#include "speed_rows.h"

enum { FULL_ROUNDS = 80 };

static const char *group_name(int group)
{
    switch (group) {
    case GROUP_GDDR_TODAY: return "GDDR, 2025 and later";
    case GROUP_HBM: return "HBM of every maker";
    case GROUP_TODAY: return "all, 2025 and later";
    case GROUP_ALL: return "all";
    default: return speed_classes[group].name;
    }
}

static void print_table(const struct speed_rows *rows, const struct speed_range *predicted,
                        bool prefill, const char *left_out)
{
    printf("\n%s, every %s left out once\n  %-22s %5s %10s %10s %10s   %s\n",
           prefill ? "prefill" : "decode", left_out, "class", "rows", "median", "p90", "in range",
           "measured/predicted");
    for (int group = 0; group < GROUP_COUNT; group++) {
        struct speed_figures f = speed_figures_of(rows, predicted, prefill, group);
        if (f.n)
            printf("  %-22s %5u %8.1f %% %8.1f %% %8.0f %%   %.2f-%.2f\n", group_name(group), f.n,
                   100 * f.median, 100 * f.ninth, 100 * f.inside, f.low, f.high);
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
    double full[FIT_COEF_COUNT];
    const char *mode = argc > 2 ? argv[2] : "";
    if (argc < 2 || !speed_rows_read(&rows, argv[1])) {
        fprintf(stderr, "usage: bench_speed ROWS.csv [--fit|--rows|--rows-model]\n");
        return 2;
    }
    speed_fit_start(full);
    if (strcmp(mode, "--fit") == 0) {
        memcpy(full, speed_priors, sizeof(full));
        speed_fit(&rows, NULL, false, FULL_ROUNDS, full);
        speed_fit(&rows, NULL, true, FULL_ROUNDS, full);
        for (int i = 0; i < SPEED_COEF_COUNT; i++)
            printf("    X(%s, %.4g)\n", speed_coef_names[i], full[i]);
        printf("    launches of engines before 2025: times %.4g\n", full[FIT_LAUNCH_OLD]);
    }
    printf("%u measurements, %u of others left aside\n", rows.n, rows.skipped);
    for (uint32_t i = 0; i < rows.n; i++)
        predicted[i] = speed_row_predict(&rows.row[i], full);
    print_table(&rows, predicted, false, "row fitted, none");
    for (int by_model = 0; by_model < 2; by_model++) {
        speed_left_out(&rows, full, by_model, predicted);
        if (strcmp(mode, by_model ? "--rows-model" : "--rows") == 0)
            print_rows(&rows, predicted);
        print_table(&rows, predicted, false, by_model ? "model" : "card");
        print_table(&rows, predicted, true, by_model ? "model" : "card");
    }
    speed_rows_free(&rows);
    return 0;
}
