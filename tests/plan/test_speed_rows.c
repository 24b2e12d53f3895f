/* test_speed_rows: how far speeds may be from published ones on cards and models that the fit has
 * never seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "speed_rows.h"

static struct speed_rows rows;
static struct speed_range predicted[ROWS_MAX];

struct bound {
    const char *what;
    bool prefill;
    int group;
    double median, inside;
};

static void assert_bounds(bool by_model, const struct bound *bounds, size_t n)
{
    double full[FIT_COEF_COUNT];
    speed_fit_start(full);
    speed_left_out(&rows, full, by_model, predicted);
    for (size_t i = 0; i < n; i++) {
        struct speed_figures f =
            speed_figures_of(&rows, predicted, bounds[i].prefill, bounds[i].group);
        assert_true(f.n > 0);
        if (f.median > bounds[i].median || f.inside < bounds[i].inside)
            fail_msg("%s: median error %.1f %%, %.0f %% in range", bounds[i].what, 100 * f.median,
                     100 * f.inside);
    }
}

static void unseen_cards(void **state)
{
    (void)state;
    static const struct bound BOUNDS[] = {
        {"decode, GDDR",            false, SPEED_CLASS_GDDR, 0.04,  0.9},
        {"decode, HBM",             false, GROUP_HBM,        0.14,  0.9},
        {"decode, GDDR since 2025", false, GROUP_GDDR_TODAY, 0.06,  0.9},
        {"decode, all",             false, GROUP_ALL,        0.05,  0.9},
        {"prefill, all",            true,  GROUP_ALL,        0.105, 0.9},
    };
    assert_bounds(false, BOUNDS, sizeof(BOUNDS) / sizeof(BOUNDS[0]));
}

static void unseen_models(void **state)
{
    (void)state;
    static const struct bound BOUNDS[] = {
        {"decode, GDDR", false, SPEED_CLASS_GDDR, 0.05, 0.9},
        {"decode, HBM",  false, GROUP_HBM,        0.16, 0.9},
        {"decode, all",  false, GROUP_ALL,        0.06, 0.9},
        {"prefill, all", true,  GROUP_ALL,        0.12, 0.9},
    };
    assert_bounds(true, BOUNDS, sizeof(BOUNDS) / sizeof(BOUNDS[0]));
}

static void the_table_is_what_the_fit_finds(void **state)
{
    (void)state;
    double k[FIT_COEF_COUNT];
    speed_fit_start(k);
    speed_fit(&rows, NULL, false, 2, k);
    speed_fit(&rows, NULL, true, 2, k);
    for (int i = 0; i < SPEED_COEF_COUNT; i++)
        if (k[i] < 0.98 * speed_coefs[i] || k[i] > 1.02 * speed_coefs[i])
            fail_msg("%s: %.4g in the table, %.4g fitted", speed_coef_names[i], speed_coefs[i],
                     k[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_what_the_fit_finds),
        cmocka_unit_test(unseen_cards),
        cmocka_unit_test(unseen_models),
    };
    if (argc < 2 || !speed_rows_read(&rows, argv[1]))
        return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    speed_rows_free(&rows);
    return failed;
}
