/* test_level: how serious a reading is, and what samples say in words. */
#include "../base/check.h"

#include <string.h>

#include "telemetry/level.h"

static const double mib = 1048576;

static struct sample memory_of(double used_mib, double total_mib)
{
    struct sample s = {0};
    sample_set(&s, METRIC_MEMORY_USED, used_mib * mib);
    sample_set(&s, METRIC_MEMORY_TOTAL, total_mib * mib);
    return s;
}

static enum level level_of(const struct sample *s)
{
    struct level_reading r;
    level_read(s, &level_table_default, &r);
    return r.level;
}

static void memory_levels_are_inclusive(void **state)
{
    (void)state;
    static const struct {
        double used, total;
        enum level level;
    } rows[] = {
        {6144, 8192, LEVEL_WARNING},   /* A1: 75.0 % */
        {7373, 8192, LEVEL_CRITICAL},  /* A2: 90.0 % */
        {7800, 8192, LEVEL_EMERGENCY}, /* A3: 95.2 % */
        {6143, 8192, LEVEL_NORMAL},
    };
    for (size_t i = 0; i < 4; i++) {
        struct sample s = memory_of(rows[i].used, rows[i].total);
        assert_int_equal(level_of(&s), rows[i].level);
    }
}

static void temperature_and_power_levels(void **state)
{
    (void)state;
    static const double celsius[] = {69, 70, 80, 90}; /* A4 */
    for (int i = 0; i < 4; i++) {
        struct sample s = {0};
        sample_set(&s, METRIC_TEMPERATURE, celsius[i]);
        assert_int_equal(level_of(&s), LEVEL_NORMAL + i);
    }
    static const struct {
        double watts;
        enum level level;
    } power[] = {{179, LEVEL_NORMAL}, {180, LEVEL_WARNING}, {196, LEVEL_CRITICAL}, {200, LEVEL_CRITICAL}}; /* A5 */
    for (int i = 0; i < 4; i++) {
        struct sample s = {0};
        sample_set(&s, METRIC_POWER, power[i].watts);
        sample_set(&s, METRIC_POWER_LIMIT, 200);
        assert_int_equal(level_of(&s), power[i].level);
    }
}

static void the_highest_level_wins_and_says_why(void **state)
{
    (void)state;
    struct sample s = memory_of(6144, 8192); /* A6 */
    struct level_reading r;
    sample_set(&s, METRIC_TEMPERATURE, 91);
    level_read(&s, &level_table_default, &r);
    assert_int_equal(r.level, LEVEL_EMERGENCY);
    assert_int_equal(r.memory, LEVEL_WARNING);
    assert_string_equal(r.reasons, "temperature 91 C >= 90 C; memory 75.0 % >= 75 %");
}

/* A7: theirs raises an alert with every tick of 89.9, 90.1, 89.9 ... */
static void a_level_does_not_flap(void **state)
{
    (void)state;
    struct level_hold hold = {0};
    enum level before = LEVEL_NORMAL;
    int raised = 0, cleared = 0;
    for (uint64_t t = 1; t <= 120; t++) {
        struct sample s = memory_of(t > 60 ? 4096 : t % 2 ? 7360 : 7385, 8192);
        s.mono_ns = t * 1000000000;
        enum level now = level_steady(&hold, &s, &level_table_default);
        raised += now > before;
        cleared += now < before;
        if (t > 2 && t < 65)
            assert_int_equal(now, LEVEL_CRITICAL);
        before = now;
    }
    assert_int_equal(before, LEVEL_NORMAL);
    assert_in_range(raised, 1, 2); /* by way of WARNING */
    assert_int_equal(cleared, 1);
}

static void thresholds_are_of_each_card(void **state)
{
    (void)state;
    struct level_table own = level_table_default;
    struct level_reading r;
    struct sample s = {0};
    own.temperature[LEVEL_WARNING] = 95;
    own.temperature[LEVEL_CRITICAL] = own.temperature[LEVEL_EMERGENCY] = 0;
    sample_set(&s, METRIC_TEMPERATURE, 94);
    level_read(&s, &own, &r);
    assert_int_equal(r.level, LEVEL_NORMAL);
    assert_string_equal(r.reasons, "");
}

/* A8: theirs calls a card of unknown size 0 % full. */
static void a_total_of_nothing_is_unknown(void **state)
{
    (void)state;
    struct sample s = memory_of(0, 0);
    char text[64];
    assert_true(sample_memory_percent(&s) < 0);
    assert_int_equal(level_of(&s), LEVEL_NORMAL);
    assert_string_equal(sample_memory_text(&s, text, sizeof(text)), "n/a");
}

static void texts_of_memory_and_link(void **state)
{
    (void)state;
    char text[64];
    struct sample s = memory_of(4096, 8192);
    assert_string_equal(sample_memory_text(&s, text, sizeof(text)), "4096/8192 MB (50.0%)"); /* A9 */
    sample_set(&s, METRIC_PCIE_TX, 5000 * 1024.0);
    sample_set(&s, METRIC_PCIE_RX, 3000 * 1024.0);
    assert_string_equal(sample_pcie_text(&s, text, sizeof(text)), "TX: 4.9 MB/s, RX: 2.9 MB/s"); /* A10 */
}

/* A16: a missing sensor is nothing, not 0. */
static void what_is_unknown_says_nothing(void **state)
{
    (void)state;
    struct sample s = {0};
    char text[64];
    assert_int_equal(level_of(&s), LEVEL_NORMAL);
    assert_string_equal(sample_pcie_text(&s, text, sizeof(text)), "");
    for (int m = 0; m < METRIC_COUNT; m++)
        assert_false(sample_has(&s, (enum metric)m));
}

static void metrics_have_names_of_their_own(void **state)
{
    (void)state;
    enum metric found;
    for (int m = 0; m < METRIC_COUNT; m++) {
        assert_true(metric_find(metric_info[m].name, &found));
        assert_int_equal(found, m);
    }
    assert_false(metric_find("memory", &found));
}

static void values_in_words(void **state)
{
    (void)state;
    static const struct {
        enum metric m;
        double value;
        const char *text;
    } rows[] = {
        {METRIC_UTILIZATION, 36, "36%"},
        {METRIC_MEMORY_USED, 32319209472.0, "30.1 GiB"},
        {METRIC_TEMPERATURE, 64, "64 C"},
        {METRIC_POWER, 262.4, "262 W"},
        {METRIC_CLOCK_SM, 2610, "2.61 GHz"},
        {METRIC_CLOCK_SM, 405, "405 MHz"},
        {METRIC_PCIE_RX, 1003487232, "957.0 MiB/s"},
        {METRIC_ENERGY, 7.2e6, "2.000 kWh"},
        {METRIC_ENERGY, 1200, "1200.0 J"},
        {METRIC_PCIE_GEN, 4, "4"},
    };
    char text[METRIC_TEXT_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(metric_text(rows[i].m, rows[i].value, text), rows[i].text);
    char words[64];
    assert_string_equal(throttle_text(THROTTLE_POWER_CAP | THROTTLE_THERMAL | THROTTLE_IDLE, words, sizeof(words)),
                        "heat, power cap");
    assert_string_equal(throttle_text(THROTTLE_IDLE, words, sizeof(words)), "");
    char small[8];
    assert_string_equal(throttle_text(0x1ff, small, sizeof(small)), "heat (h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_levels_are_inclusive),
        cmocka_unit_test(temperature_and_power_levels),
        cmocka_unit_test(the_highest_level_wins_and_says_why),
        cmocka_unit_test(a_level_does_not_flap),
        cmocka_unit_test(thresholds_are_of_each_card),
        cmocka_unit_test(a_total_of_nothing_is_unknown),
        cmocka_unit_test(texts_of_memory_and_link),
        cmocka_unit_test(what_is_unknown_says_nothing),
        cmocka_unit_test(metrics_have_names_of_their_own),
        cmocka_unit_test(values_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
