/* test_history: what was measured is found again by time, while threads write it. */
#include "../base/check.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "history/history.h"

static const uint64_t second = 1000000000;

static struct sample sample_at(uint32_t gpu, uint64_t mono_ns, double util)
{
    struct sample s = {.gpu = (uint16_t)gpu, .mono_ns = mono_ns};
    sample_set(&s, METRIC_UTILIZATION, util);
    return s;
}

static struct history *make(uint32_t gpus, double hz, double seconds)
{
    struct history *h = NULL;
    struct err err = {0};
    assert_true(history_new(&h, gpus, hz, seconds, &err));
    return h;
}

/* A13: theirs keeps 60 entries; at four a second that is a quarter of the minute it promises. */
static void sixty_seconds_are_sixty_seconds_at_any_rate(void **state)
{
    (void)state;
    static const double rates[] = {0.5, 1, 4, 50};
    static struct sample out[4000];
    for (int i = 0; i < 4; i++) {
        struct history *h = make(1, rates[i], 60);
        uint64_t step = (uint64_t)(1e9 / rates[i]), t = second;
        for (uint64_t end = 301 * second; t < end; t += step) {
            struct sample s = sample_at(0, t, 1);
            history_push(h, &s);
        }
        uint64_t newest = t - step;
        size_t n = history_since(h, 0, newest - 60 * second, out, 4000);
        assert_int_equal(n, (size_t)(60 * rates[i]) + 1);
        assert_int_equal(out[n - 1].mono_ns, newest);
        assert_true(out[0].mono_ns < out[n - 1].mono_ns);
        history_free(h);
    }
}

static void windows_by_time_and_gpu(void **state)
{
    (void)state;
    struct history *h = make(3, 1, 60);
    struct sample out[100], s;
    for (uint64_t t = 1; t <= 50; t++) {
        for (uint32_t g = 0; g < 2; g++) {
            s = sample_at(g, t * second, (double)(t + g * 100));
            history_push(h, &s);
        }
    }
    /* A12: the last 30 s of GPU 1 */
    assert_int_equal(history_since(h, 1, 21 * second, out, 100), 30);
    assert_true(out[0].value[METRIC_UTILIZATION] == 121 && out[29].value[METRIC_UTILIZATION] == 150);
    assert_int_equal(history_since(h, 1, 0, out, 10), 10); /* the newest ten */
    assert_true(out[9].value[METRIC_UTILIZATION] == 150);
    assert_int_equal(history_since(h, 2, 0, out, 100), 0);
    assert_int_equal(history_since(h, 7, 0, out, 100), 0); /* A11: no such GPU */
    assert_false(history_newest(h, 2, &s) || history_newest(h, 7, &s));
    assert_true(history_newest(h, 0, &s) && s.value[METRIC_UTILIZATION] == 50);
    history_free(h);
}

/* A14: means over GPUs, of those that have the metric. */
static void means_over_gpus(void **state)
{
    (void)state;
    struct history *h = make(3, 1, 10);
    struct sample a = sample_at(0, second, 30), b = sample_at(1, second, 40), c = {.gpu = 2, .mono_ns = second};
    sample_set(&b, METRIC_POWER, 45);
    history_push(h, &a);
    history_push(h, &b);
    history_push(h, &c);
    assert_true(history_mean(h, METRIC_UTILIZATION) == 35);
    assert_true(history_mean(h, METRIC_POWER) == 45);
    assert_true(isnan(history_mean(h, METRIC_FAN)));
    history_free(h);
}

static void bins_keep_peaks_and_gaps(void **state)
{
    (void)state;
    struct history *h = make(1, 10, 60);
    double low[4], mean[4], high[4];
    for (uint64_t i = 0; i < 400; i++) {
        if (i / 100 == 2) /* nothing from 20 s to 30 s */
            continue;
        struct sample s = sample_at(0, second + i * second / 10, i == 50 ? 99 : 10);
        history_push(h, &s);
    }
    size_t n = history_bins(h, 0, METRIC_UTILIZATION, second, 41 * second, 4, low, mean, high);
    assert_int_equal(n, 300);
    assert_true(high[0] == 99 && low[0] == 10 && mean[0] > 10.8 && mean[0] < 11);
    assert_true(high[1] == 10 && isnan(low[2]) && isnan(mean[2]) && isnan(high[2]) && low[3] == 10);
    assert_int_equal(history_bins(h, 0, METRIC_FAN, second, 41 * second, 4, low, mean, high), 0);
    assert_int_equal(history_bins(h, 0, METRIC_UTILIZATION, second, second, 4, low, mean, high), 0);
    history_free(h);
}

static void wild_sizes_are_refused(void **state)
{
    (void)state;
    struct history *h = NULL;
    struct err err = {0};
    assert_false(history_new(&h, 0, 1, 60, &err));
    assert_false(history_new(&h, 99, 1, 60, &err));
    assert_false(history_new(&h, 1, 1e9, 60, &err));
    assert_false(history_new(&h, 1, NAN, 60, &err));
    assert_false(history_new(&h, 1, 1, 1e12, &err));
    assert_null(h);
}

struct writer {
    struct history *h;
    uint32_t gpu;
};

static void *write_samples(void *arg)
{
    struct writer *w = arg;
    static _Thread_local struct process_table table;
    for (uint64_t i = 1; i <= 20000; i++) {
        struct sample s = sample_at(w->gpu, i * 1000, (double)i);
        sample_set(&s, METRIC_POWER, (double)i);
        history_push(w->h, &s);
        if (i % 64 == 0) {
            table.gpu = (uint16_t)w->gpu;
            table.mono_ns = i;
            table.left_out = (uint16_t)i;
            history_push_processes(w->h, &table);
        }
    }
    return NULL;
}

/* No reader sees half of a sample. */
static void readers_and_writers_share_it(void **state)
{
    (void)state;
    struct history *h = make(2, 50, 2);
    struct writer w[2] = {{h, 0}, {h, 1}};
    pthread_t thread[2];
    static struct process_table table;
    struct sample s;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, write_samples, &w[i]), 0);
    for (int i = 0; i < 20000; i++) {
        uint32_t g = (uint32_t)i % 2;
        if (history_newest(h, g, &s))
            assert_true(s.gpu == g && s.value[METRIC_UTILIZATION] == s.value[METRIC_POWER] &&
                        s.mono_ns == (uint64_t)s.value[METRIC_POWER] * 1000);
        if (history_processes(h, g, &table))
            assert_true(table.left_out == (uint16_t)table.mono_ns);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_true(history_newest(h, 1, &s) && s.value[METRIC_POWER] == 20000);
    history_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_seconds_are_sixty_seconds_at_any_rate),
        cmocka_unit_test(windows_by_time_and_gpu),
        cmocka_unit_test(means_over_gpus),
        cmocka_unit_test(bins_keep_peaks_and_gaps),
        cmocka_unit_test(wild_sizes_are_refused),
        cmocka_unit_test(readers_and_writers_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
