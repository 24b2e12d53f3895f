/* test_screens: whole pictures as text against files in screens/, and what must be on them. */
#include "../base/check.h"

#include <stdio.h>
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

static void again(uint32_t n)
{
    make_finish(&m);
    make_model(&m, n);
    make_state(&s);
}

/* With TUI_SCREENS_WRITE set the file is written anew, to be read before it is committed. */
static void expect_screen(const char *name, int w, int h)
{
    char path[512], *want = NULL, *have = make_screen(&m, &s, w, h);
    size_t room = 0;
    snprintf(path, sizeof(path), "%s/%s-%dx%d.txt", SCREENS, name, w, h);
    if (getenv("TUI_SCREENS_WRITE")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(have, f);
        fclose(f);
    }
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    ssize_t n = getdelim(&want, &room, 0, f);
    fclose(f);
    assert_true(n > 0);
    if (strcmp(want, have) != 0)
        print_error("%s is not\n%s\nbut\n%s", path, want, have);
    assert_string_equal(want, have);
    free(want);
    free(have);
}

static void expect_part(int w, int h, const char *part)
{
    char *have = make_screen(&m, &s, w, h);
    if (!strstr(have, part))
        print_error("no \"%s\" in\n%s", part, have);
    assert_non_null(strstr(have, part));
    free(have);
}

static void expect_none(int w, int h, const char *part)
{
    char *have = make_screen(&m, &s, w, h);
    assert_null(strstr(have, part));
    free(have);
}

static void two_gpus_at_every_size(void **state)
{
    (void)state;
    expect_screen("overview-2", 60, 16);
    expect_screen("overview-2", 80, 24);
    expect_screen("overview-2", 120, 40);
    expect_screen("overview-2", 200, 60);
}

static void one_and_eight_gpus(void **state)
{
    (void)state;
    again(1);
    expect_screen("overview-1", 80, 24);
    again(8);
    expect_screen("overview-8", 60, 16);
    expect_screen("overview-8", 80, 24);
    expect_screen("overview-8", 120, 40);
    again(16);
    expect_part(60, 16, "3 more GPUs");
}

static void symbols_of_charts(void **state)
{
    (void)state;
    s.symbols = SYMBOLS_BRAILLE;
    expect_screen("braille", 80, 24);
    s.symbols = SYMBOLS_BLOCK;
    expect_screen("block", 80, 24);
}

static void everything_of_one_gpu(void **state)
{
    (void)state;
    make_keys(&s, &m, "2");
    expect_screen("gpus", 80, 24);
    top_key(&s, &m, TOP_KEY_DOWN);
    expect_part(80, 24, ">1 RTX 4090");
    expect_part(80, 40, "largest link   gen4 x16");
}

static void help_and_settings_lie_over_it(void **state)
{
    (void)state;
    make_keys(&s, &m, "?");
    expect_screen("help", 80, 40);
    expect_part(60, 16, "dualgpuopt help keys");
    make_keys(&s, &m, "xS");
    expect_screen("setup", 80, 24);
}

/* A card that does not answer keeps its last numbers, dimmed, with their age. */
static void states_in_words(void **state)
{
    (void)state;
    m.gpu[1].health = (struct gpu_health){
        .state = GPU_HUNG, .since_ns = UINT64_C(12000000000), .age_ns = UINT64_C(13000000000)};
    snprintf(m.gpu[1].health.detail, sizeof(m.gpu[1].health.detail), "memory has not returned");
    expect_part(120, 40, "HUNG");
    expect_part(200, 60, "hangs for 12 s: memory has not returned; numbers are 13 s old");
    m.gpu[1].health.state = GPU_LOST;
    expect_part(80, 24, "LOST");
    m.gpu[1].health.state = GPU_DENIED;
    m.gpu[1].has_sample = false;
    m.gpu[1].processes.n = 0;
    expect_part(80, 24, "DENIED");
    expect_part(80, 24, "memory unknown");
    m.gpu[1].health.state = GPU_SUSPENDED;
    expect_part(60, 16, "asleep");
}

static void old_numbers_are_dim(void **state)
{
    (void)state;
    struct screen out = {0};
    assert_true(screen_init(&out, 80, 24));
    m.gpu[1].health.state = GPU_STALE;
    tui_draw(&m, &s, &out);
    for (int y = 0; y < out.h; y++)
        for (int x = 0; x + 4 < out.w; x++)
            if (out.cells[y * out.w + x].glyph == '8' &&
                out.cells[y * out.w + x + 1].glyph == '3' &&
                out.cells[y * out.w + x + 3].glyph == 'C')
                assert_true(out.cells[y * out.w + x].attr & ATTR_DIM);
    screen_finish(&out);
}

static void unknown_is_not_zero(void **state)
{
    (void)state;
    sample_clear(&m.gpu[0].sample, METRIC_TEMPERATURE);
    sample_clear(&m.gpu[0].sample, METRIC_UTILIZATION);
    expect_part(80, 24, "gen5 x16      -       fan 41%");
    m.gpu[0].processes.known = false;
    m.gpu[0].processes.n = 0;
    expect_part(80, 24, "whose: unknown");
}

static void filters(void **state)
{
    (void)state;
    make_keys(&s, &m, "\\temp>80\n");
    expect_screen("filter", 80, 24);
    top_key(&s, &m, TOP_KEY_ESC);
    make_keys(&s, &m, "\\comfy\n");
    expect_part(80, 24, "comfyui");
    expect_none(80, 24, "RTX 4090");
    top_key(&s, &m, TOP_KEY_ESC);
    make_keys(&s, &m, "\\temp>\n");
    expect_part(80, 24, "a number belongs here");
}

static void charts_have_markers_and_a_cursor(void **state)
{
    (void)state;
    make_keys(&s, &m, "mhot\nv");
    for (int i = 0; i < 10; i++)
        top_key(&s, &m, TOP_KEY_LEFT);
    expect_screen("cursor", 80, 24);
    expect_part(80, 24, "cursor -25 s");
    make_keys(&s, &m, "0");
    expect_none(80, 24, "cursor");
}

/* A name from outside cannot break a line or hide what stands behind it. */
static void hostile_names(void **state)
{
    (void)state;
    make_process(&m, 0, 6000,
                 "a\033[2Jb\nc\xff\xe2\x98\x83 \xe6\xbc\xa2\xe5\xad\x97 name that is long", 0.2);
    struct screen out = {0};
    assert_true(screen_init(&out, 80, 24));
    tui_draw(&m, &s, &out);
    for (int i = 0; i < out.w * out.h; i++)
        assert_true(out.cells[i].glyph == 0 ||
                    (out.cells[i].glyph >= ' ' && out.cells[i].glyph != 127));
    screen_finish(&out);
    expect_part(80, 24, "a?[2Jb?c?");
}

/* No size may write outside of its cells; the sanitizers watch. */
static void every_size_can_be_drawn(void **state)
{
    (void)state;
    again(16);
    for (int view = 0; view < 4; view++) {
        make_keys(&s, &m, view == 1 ? "2" : view == 2 ? "?" : view == 3 ? "xS" : "1");
        for (int w = 1; w < 230; w += 7)
            for (int h = 1; h < 70; h += 3)
                free(make_screen(&m, &s, w, h));
    }
    m.n = 0;
    free(make_screen(&m, &s, 80, 24));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_gpus_at_every_size),
        T(one_and_eight_gpus),
        T(symbols_of_charts),
        T(everything_of_one_gpu),
        T(help_and_settings_lie_over_it),
        T(states_in_words),
        T(old_numbers_are_dim),
        T(unknown_is_not_zero),
        T(filters),
        T(charts_have_markers_and_a_cursor),
        T(hostile_names),
        T(every_size_can_be_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
