/* test_log: levels hold, lines stay whole between threads, time is written as people agreed. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

#define THREADS 4
#define LINES   200

static int open_log(void **file)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    *file = f;
    /* appending, so that the test does not depend on a shared offset */
    assert_int_equal(fcntl(fileno(f), F_SETFL, O_APPEND), 0);
    log_set_fd(fileno(f));
    return 0;
}

static int close_log(void **file)
{
    log_set_fd(STDERR_FILENO);
    log_set_level(LOG_LEVEL_WARN);
    fclose(*file);
    return 0;
}

static void levels_hold(void **file)
{
    char text[4096] = "";
    int evaluated = 0;
    log_error("one %d", 1);
    log_warn("two");
    log_info("three %d", ++evaluated);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("four\n%d", ++evaluated);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("five");
    assert_int_equal(evaluated, 1);
    rewind(*file);
    assert_true(fread(text, 1, sizeof(text) - 1, *file) > 0);
    assert_non_null(strstr(text, "Z error: one 1\n"));
    assert_non_null(strstr(text, "Z warn: two\n"));
    assert_non_null(strstr(text, "Z debug: four\\x0A1\n"));
    assert_null(strstr(text, "three"));
    assert_null(strstr(text, "five"));
}

static void long_lines_are_cut(void **file)
{
    char longest[3 * LOG_LINE_MAX], text[3 * LOG_LINE_MAX] = "";
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    log_error("%s", longest);
    rewind(*file);
    size_t n = fread(text, 1, sizeof(text) - 1, *file);
    assert_true(n > LOG_LINE_MAX / 2 && n <= LOG_LINE_MAX);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_error("%s", (const char *)arg);
    return NULL;
}

static void lines_of_threads_stay_whole(void **file)
{
    static char texts[THREADS][1200];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        memset(texts[i], 'a' + i, 300 * (size_t)(i + 1) - 1);
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, texts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rewind(*file);
    char line[2000];
    int n = 0;
    for (; fgets(line, sizeof(line), *file); n++) {
        char *text = strstr(line, "error: ");
        assert_non_null(text);
        text += 7;
        text[strlen(text) - 1] = '\0';
        assert_string_equal(text, texts[text[0] - 'a']);
    }
    assert_int_equal(n, THREADS * LINES);
}

static void time_is_rfc3339(void **state)
{
    char out[CLOCK_TEXT_MAX];
    assert_string_equal(clock_rfc3339(0, out), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_rfc3339(1769862896789000000, out), "2026-01-31T12:34:56.789Z");
    assert_string_equal(clock_rfc3339(-1, out), "1969-12-31T23:59:59.999Z");
    assert_true(strlen(clock_rfc3339(INT64_MAX, out)) < CLOCK_TEXT_MAX);
}

static void time_goes_forward(void **state)
{
    uint64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_wall_ns() > 1700000000 * CLOCK_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(levels_hold, open_log, close_log),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, open_log, close_log),
        cmocka_unit_test_setup_teardown(lines_of_threads_stay_whole, open_log, close_log),
        cmocka_unit_test(time_is_rfc3339),
        cmocka_unit_test(time_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
