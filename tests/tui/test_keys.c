/* test_keys: what keys and clicks do: selection, signals that are asked for twice, charts,
 * settings. */
#include "../base/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "make.h"

static struct top_model m;
static struct top_state s;

static int setup(void **state)
{
    (void)state;
    make_model(&m, 2);
    make_state(&s);
    return m.history ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    make_finish(&m);
    return 0;
}

static uint32_t chosen_pid(void)
{
    struct rows rows;
    rows_list(&m, &s.settings, &rows);
    int at = top_chosen(&s, &m, &rows);
    return at < 0 ? 0 : row_process(&m, rows.row[at])->pid;
}

static void no_key_means_two_things(void **state)
{
    (void)state;
    for (int a = 0; a < ACTION_NONE; a++)
        for (int k = 0; k < 3; k++)
            if (key_info[a].code[k])
                assert_int_equal(key_action(key_info[a].code[k]), a);
}

static void quit_works_everywhere(void **state)
{
    (void)state;
    assert_int_equal(top_key(&s, &m, 'q'), EFFECT_QUIT);
    make_keys(&s, &m, "?");
    assert_int_equal(top_key(&s, &m, 'q'), EFFECT_QUIT);
    make_keys(&s, &m, "\\abc");
    assert_int_equal(top_key(&s, &m, TOP_KEY_F(10)), EFFECT_QUIT);
}

static void a_signal_needs_a_second_key_and_names_its_victim(void **state)
{
    (void)state;
    assert_int_equal(top_key(&s, &m, TOP_KEY_F(8)), EFFECT_NONE);
    char *text = make_screen(&m, &s, 100, 24);
    assert_non_null(strstr(text, "y: send SIGTERM to 4211 llama-server (ana, GPU 0, 26.5 GiB)"));
    free(text);
    assert_int_equal(top_key(&s, &m, 'n'), EFFECT_NONE);
    assert_string_equal(s.message, "nothing was sent");
    top_key(&s, &m, 'x');
    assert_int_equal(top_key(&s, &m, '\n'), EFFECT_NONE);
    top_key(&s, &m, 'x');
    assert_int_equal(top_key(&s, &m, 'y'), EFFECT_SIGNAL);
    assert_int_equal(s.victim.local_pid, 4211);
    assert_int_equal(s.signal, SIGTERM);
    make_keys(&s, &m, "j");
    top_key(&s, &m, TOP_KEY_F(9));
    assert_int_equal(top_key(&s, &m, 'k'), EFFECT_NONE);
    assert_int_equal(top_key(&s, &m, 'y'), EFFECT_SIGNAL);
    assert_int_equal(s.signal, SIGKILL);
    assert_int_equal(s.victim.local_pid, 5201);
}

static void readonly_and_foreign_pids_get_none(void **state)
{
    (void)state;
    s.readonly = true;
    top_key(&s, &m, TOP_KEY_F(8));
    assert_int_equal(s.prompt, PROMPT_NONE);
    assert_int_equal(top_key(&s, &m, 'y'), EFFECT_COPY);
    s.readonly = false;
    m.gpu[0].processes.process[0].local_pid = 0;
    top_key(&s, &m, TOP_KEY_F(8));
    assert_int_equal(s.prompt, PROMPT_NONE);
    assert_non_null(strstr(s.message, "host:4211"));
}

static void the_choice_follows_its_process(void **state)
{
    (void)state;
    assert_int_equal(chosen_pid(), 4211);
    make_keys(&s, &m, "jj");
    assert_int_equal(chosen_pid(), 5200);
    make_keys(&s, &m, "og");
    assert_int_equal(chosen_pid(), 5200);
    make_keys(&s, &m, "I");
    assert_int_equal(chosen_pid(), 5200);
    top_key(&s, &m, TOP_KEY_HOME);
    assert_int_equal(chosen_pid(), 5201);
    m.gpu[1].processes.n = 0; /* it ends: the choice stays in the list */
    assert_true(chosen_pid() != 0);
}

static void find_goes_to_the_next(void **state)
{
    (void)state;
    make_keys(&s, &m, "/LLAMA\n");
    assert_int_equal(chosen_pid(), 5201);
    make_keys(&s, &m, "n");
    assert_int_equal(chosen_pid(), 4211);
    make_keys(&s, &m, "/nobody\n");
    assert_string_equal(s.message, "no process with \"nobody\"");
}

static void chart_zooms_and_pans_within_the_history(void **state)
{
    (void)state;
    uint64_t from, until;
    make_keys(&s, &m, "+");
    top_chart_span(&s, &m, &from, &until);
    assert_int_equal((until - from) / 1000000000, 30);
    make_keys(&s, &m, "[");
    assert_true(s.chart.until_ns && s.chart.until_ns < m.now_ns);
    make_keys(&s, &m, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    top_chart_span(&s, &m, &from, &until);
    assert_int_equal(from, m.started_ns);
    make_keys(&s, &m, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_int_equal(s.chart.until_ns, 0);
    make_keys(&s, &m, "------------++++++++++++++++++++");
    top_chart_span(&s, &m, &from, &until);
    assert_int_equal((until - from) / 1000000000, 10);
    make_keys(&s, &m, "w");
    top_chart_span(&s, &m, &from, &until);
    assert_int_equal((until - from) / 1000000000, 120);
}

static void setup_changes_and_marks_unsaved(void **state)
{
    (void)state;
    make_keys(&s, &m, "S");
    top_key(&s, &m, TOP_KEY_DOWN);
    top_key(&s, &m, TOP_KEY_RIGHT);
    assert_int_equal(s.settings.value[SETTING_ROWS], 1);
    assert_true(s.unsaved);
    assert_int_equal(top_key(&s, &m, 'W'), EFFECT_SAVE);
    top_key(&s, &m, TOP_KEY_DOWN);
    assert_int_equal(top_key(&s, &m, TOP_KEY_LEFT), EFFECT_LOOK);
    assert_int_equal(s.settings.value[SETTING_SYMBOLS], 3);
}

static void clicks_are_keys(void **state)
{
    (void)state;
    struct screen out = {0};
    assert_true(screen_init(&out, 80, 24));
    tui_draw(&m, &s, &out);
    assert_int_equal(screen_hit(&out, 16, 1), '2');
    assert_int_equal(screen_hit(&out, 1, 23), TOP_KEY_F(1));
    top_key(&s, &m, screen_hit(&out, 30, 12));
    assert_int_equal(chosen_pid(), 5201);
    top_key(&s, &m, screen_hit(&out, 2, 6));
    assert_int_equal(s.settings.value[SETTING_SCREEN], 1);
    assert_int_equal(s.gpu, 1);
    screen_finish(&out);
}

static void pause_holds_and_markers_are_bounded(void **state)
{
    (void)state;
    make_keys(&s, &m, "p");
    assert_true(s.paused);
    make_keys(&s, &m, "m1\nm2\nm3\nm4\nm5\nm6\nm7\nm8\nm9\nm10\n");
    assert_int_equal(s.chart.n_markers, TOP_MARKERS_MAX);
    make_keys(&s, &m, "MMMMMMMMMMMM");
    assert_int_equal(s.chart.n_markers, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(no_key_means_two_things),
        T(quit_works_everywhere),
        T(a_signal_needs_a_second_key_and_names_its_victim),
        T(readonly_and_foreign_pids_get_none),
        T(the_choice_follows_its_process),
        T(find_goes_to_the_next),
        T(chart_zooms_and_pans_within_the_history),
        T(setup_changes_and_marks_unsaved),
        T(clicks_are_keys),
        T(pause_holds_and_markers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
