/* test_err: texts are cut and cleaned, codes have kinds, exit codes and help. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static void set_fills_and_returns_false(void **state)
{
    struct err err = {0};
    assert_false(err_set(&err, ERR_2104, "needs %d MiB more", 512));
    assert_false(err_why(&err, "GPU %d holds %s", 1, "24 GiB"));
    assert_false(err_fix(&err, "dualgpuopt plan m.gguf -c 4096", "a shorter context"));
    assert_false(err_fix(&err, NULL, "another card"));
    assert_int_equal(err.code, 2104);
    assert_string_equal(err.title, "needs 512 MiB more");
    assert_int_equal(err.n_why, 1);
    assert_string_equal(err.why[0], "GPU 1 holds 24 GiB");
    assert_int_equal(err.n_fix, 2);
    assert_string_equal(err.fix[0].command, "dualgpuopt plan m.gguf -c 4096");
    assert_string_equal(err.fix[1].command, "");
}

static void a_new_error_drops_the_old_one(void **state)
{
    struct err err = {0};
    err_set(&err, ERR_2001, "first");
    err_why(&err, "reason");
    err_set(&err, ERR_2002, "second, after: %s", err.title);
    assert_string_equal(err.title, "second, after: first");
    assert_int_equal(err.n_why, 0);
}

static void nothing_is_added_to_no_error(void **state)
{
    struct err err = {0};
    assert_false(err_set(NULL, ERR_2001, "nobody listens"));
    assert_false(err_why(NULL, "x"));
    err_why(&err, "x");
    err_fix(&err, "x", "x");
    err_prefix(&err, "x");
    assert_int_equal(err.n_why, 0);
    assert_int_equal(err.n_fix, 0);
    assert_string_equal(err.title, "");
}

static void surplus_reasons_are_dropped(void **state)
{
    struct err err = {0};
    err_set(&err, ERR_2001, "x");
    for (int i = 0; i < 10; i++) {
        err_why(&err, "why %d", i);
        err_fix(&err, NULL, "fix %d", i);
    }
    assert_int_equal(err.n_why, ERR_WHY_MAX);
    assert_string_equal(err.why[ERR_WHY_MAX - 1], "why 3");
    assert_int_equal(err.n_fix, ERR_FIX_MAX);
}

static void long_texts_are_cut(void **state)
{
    char longest[5000];
    struct err err = {0};
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    err_set(&err, ERR_2001, "%s", longest);
    assert_int_equal(strlen(err.title), ERR_TEXT_MAX - 1);
    err_prefix(&err, "%s", longest);
    assert_int_equal(strlen(err.title), ERR_TEXT_MAX - 1);
    /* half a command would be another command */
    err_fix(&err, longest, "try");
    assert_string_equal(err.fix[0].command, "");
    /* a cut never falls into a character */
    memset(longest, 0, sizeof(longest));
    for (int i = 0; i < 1000; i++)
        memcpy(longest + 3 * i, "\xe2\x82\xac", 3);
    err_set(&err, ERR_2001, "%s", longest);
    assert_int_equal(strlen(err.title) % 3, 0);
    assert_null(strstr(err.title, "\\x"));
}

static void control_bytes_from_outside_are_shown(void **state)
{
    struct err err = {0};
    err_set(&err, ERR_2001, "no file %s", "a\x1b[31mb\n\xff");
    assert_string_equal(err.title, "no file a\\x1B[31mb\\x0A\\xFF");
    err_fix(&err, "rm 'a\nb'", "x");
    assert_string_equal(err.fix[0].command, "");
}

static void prefix_names_the_object(void **state)
{
    struct err err = {0};
    err_set(&err, ERR_2003, "block_count is missing");
    err_prefix(&err, "%s", "m.gguf");
    assert_string_equal(err.title, "m.gguf: block_count is missing");
}

static void every_code_has_its_row(void **state)
{
    const enum err_code *codes;
    size_t n = err_codes(&codes);
    assert_true(n > 20);
    for (size_t i = 0; i < n; i++) {
        const char *help = err_help(codes[i]);
        assert_non_null(help);
        assert_int_equal(help[strlen(help) - 1], '.');
        assert_int_not_equal(err_kind(codes[i]), ERR_KIND_NONE);
        assert_true(err_exit_code(codes[i]) > 0);
        if (i)
            assert_true(codes[i] > codes[i - 1]);
    }
    assert_null(err_help((enum err_code)1));
}

static void kinds_become_exit_codes(void **state)
{
    assert_int_equal(err_exit_code(ERR_NONE), 0);
    assert_int_equal(err_exit_code(ERR_2002), 1);
    assert_int_equal(err_exit_code(ERR_9001), 2);
    assert_int_equal(err_exit_code(ERR_2001), 4);
    assert_int_equal(err_exit_code(ERR_2006), 5);
    assert_int_equal(err_exit_code(ERR_2104), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_and_returns_false),
        cmocka_unit_test(a_new_error_drops_the_old_one),
        cmocka_unit_test(nothing_is_added_to_no_error),
        cmocka_unit_test(surplus_reasons_are_dropped),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(control_bytes_from_outside_are_shown),
        cmocka_unit_test(prefix_names_the_object),
        cmocka_unit_test(every_code_has_its_row),
        cmocka_unit_test(kinds_become_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
