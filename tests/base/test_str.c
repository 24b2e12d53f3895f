/* test_str: texts grow, numbers and sizes go both ways, text from outside becomes harmless. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"

static void texts_grow(void **state)
{
    own(own_str) struct str s = {0};
    str_add(&s, "ab");
    str_add_char(&s, '.', 3);
    str_add_char(&s, '!', -1);
    str_addf(&s, "%d-%s", 42, "x");
    str_add_n(&s, "yz!", 2);
    assert_string_equal(s.data, "ab...42-xyz");
    assert_int_equal(s.len, 11);
    for (int i = 0; i < 1000; i++)
        str_addf(&s, "%0100d", i);
    assert_int_equal(s.len, 11 + 100000);
    assert_int_equal(strlen(s.data), s.len);
}

static void take_hands_over(void **state)
{
    struct str s = {0};
    own_free char *empty = str_take(&s);
    assert_string_equal(empty, "");
    str_add(&s, "text");
    own_free char *text = str_take(&s);
    assert_string_equal(text, "text");
    assert_null(s.data);
}

static void failed_growth_sticks(void **state)
{
    own(own_str) struct str s = {0};
    str_add(&s, "a");
    str_add_n(&s, "", SIZE_MAX);
    assert_true(s.failed);
    str_add(&s, "b");
    assert_string_equal(s.data, "a");
    assert_null(str_take(&s));
}

static void numbers_are_grouped(void **state)
{
    char out[32];
    assert_string_equal(str_grouped(0, out), "0");
    assert_string_equal(str_grouped(999, out), "999");
    assert_string_equal(str_grouped(1000, out), "1,000");
    assert_string_equal(str_grouped(1234567, out), "1,234,567");
    assert_string_equal(str_grouped(UINT64_MAX, out), "18,446,744,073,709,551,615");
}

static void bytes_are_shown_as_gib(void **state)
{
    char out[32];
    assert_string_equal(str_gib((uint64_t)24 << 30, 1, out), "24.0");
    assert_string_equal(str_gib(42520395776u, 1, out), "39.6");
    assert_string_equal(str_gib(42520395776u, 2, out), "39.60");
    assert_string_equal(str_gib(0, 0, out), "0");
    assert_string_equal(str_gib(UINT64_MAX, 1, out), "17179869184.0");
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"24GiB",      (uint64_t)24 << 30 },
        {"800 MiB",    (uint64_t)800 << 20},
        {"24GB",       24000000000u       },
        {"1.5GiB",     (uint64_t)3 << 29  },
        {"512KiB",     512 << 10          },
        {"123B",       123                },
        {"8192",       (uint64_t)8 << 30  },
        {" 24 gib ",   (uint64_t)24 << 30 },
        {"80000mIb",   80000ull << 20     },
        {"0",          0                  },
        {"0.5",        512 << 10          },
        {"1TiB",       (uint64_t)1 << 40  },
        {"1000MB",     1000000000         },
        {"1048576TiB", (uint64_t)1 << 60  },
        {"0.1GiB",     107374182          },
        {"007 B",      7                  },
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 1;
        assert_true(str_parse_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
}

static void other_sizes_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "GiB",
        "-1GiB",
        "+1",
        "1,5GiB",
        "1.GiB",
        ".5GiB",
        "1.2.3",
        "1e3",
        "0x10",
        "12 34",
        "24G",
        "1PB",
        "24GiBs",
        "24 Gi B",
        "nan",
        "1048576.1TiB",
        "99999999999999999999",
        "1.0000000000001B",
        "18446744073709551615GiB",
        "24GiB,",
        "1152921504606846977B",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 77;
        assert_false(str_parse_size(bad[i], &bytes));
        assert_int_equal(bytes, 77);
    }
}

static void whole_numbers_are_read(void **state)
{
    int64_t n = 0;
    assert_true(str_parse_i64("-12", -100, 100, false, &n));
    assert_int_equal(n, -12);
    assert_true(str_parse_i64("32k", 0, 1 << 20, true, &n));
    assert_int_equal(n, 32768);
    assert_true(str_parse_i64("9223372036854775807", INT64_MIN, INT64_MAX, false, &n));
    assert_true(n == INT64_MAX);
    assert_true(str_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, false, &n));
    assert_true(n == INT64_MIN);
    n = 5;
    static const char *const bad[] = {"",
                                      "-",
                                      " 1",
                                      "1 ",
                                      "1.5",
                                      "0x1",
                                      "101",
                                      "-1",
                                      "1kk",
                                      "9223372036854775808",
                                      "9223372036854775807k",
                                      "+1",
                                      "k"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_parse_i64(bad[i], 0, 100, true, &n));
    assert_false(str_parse_i64("1k", 0, 10000, false, &n));
    assert_int_equal(n, 5);
}

static void fractions_are_read(void **state)
{
    double x = 0;
    assert_true(str_parse_f64("0.25", 0, 1, &x));
    assert_true(x == 0.25);
    assert_true(str_parse_f64("-1e2", -1000, 1, &x));
    assert_true(x == -100);
    static const char *const bad[] = {"",      " 1",    "1x", "nan", "inf",
                                      "0x1p3", "1e999", "2",  "-",   "e"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_parse_f64(bad[i], 0, 1, &x));
}

static void words_are_compared(void **state)
{
    assert_true(str_eq_fold("RTX 5090", "rtx 5090"));
    assert_false(str_eq_fold("rtx", "rtx5"));
    assert_true(str_starts("hf:a/b", "hf:"));
    assert_false(str_starts("h", "hf:"));
    assert_true(str_ends("m.gguf", ".gguf"));
    assert_false(str_ends("gguf", ".gguf"));
}

static void the_nearest_word_is_found(void **state)
{
    static const char *const words[] = {"plan",    "model",  "doctor",
                                        "version", "status", "--ctx-size"};
    size_t n = sizeof(words) / sizeof(words[0]);
    assert_string_equal(str_nearest("pln", words, n), "plan");
    assert_string_equal(str_nearest("modle", words, n), "model");
    assert_string_equal(str_nearest("DOCTER", words, n), "doctor");
    assert_string_equal(str_nearest("--ctxsize", words, n), "--ctx-size");
    assert_string_equal(str_nearest("verison", words, n), "version");
    assert_null(str_nearest("zebra", words, n));
    assert_null(str_nearest("", words, n));
    assert_null(str_nearest("xy", words, n));
    char longest[300];
    memset(longest, 'p', sizeof(longest));
    longest[299] = '\0';
    assert_null(str_nearest(longest, words, n));
    assert_null(str_nearest("plan", NULL, 0));
}

static void text_from_outside_becomes_printable(void **state)
{
    char out[64];
    assert_string_equal(str_printable("a\0b\x7f", 4, out, sizeof(out)), "a\\x00b\\x7F");
    assert_string_equal(str_printable("\xc3\xa4\xff", 3, out, sizeof(out)), "\xc3\xa4\\xFF");
    assert_string_equal(str_printable("\xc0\x80", 2, out, sizeof(out)), "\\xC0\\x80");
    assert_string_equal(str_printable("\xed\xa0\x80", 3, out, sizeof(out)), "\\xED\\xA0\\x80");
    assert_string_equal(str_printable("\xc2\x9b", 2, out, sizeof(out)), "\\xC2\\x9B");
    assert_string_equal(str_printable("x\xe2\x80\xae", 4, out, sizeof(out)), "x\\xE2\\x80\\xAE");
    assert_string_equal(str_printable("\xe2\x82", 2, out, sizeof(out)), "\\xE2\\x82");
    assert_string_equal(str_printable("abcdef", 6, out, 4), "abc");
    assert_string_equal(str_printable("ab\n", 3, out, 6), "ab");
    assert_string_equal(str_printable("a", 1, out, 1), "");
}

static void columns_are_counted(void **state)
{
    assert_int_equal(str_columns("plan"), 4);
    assert_int_equal(str_columns("\xe2\x96\x88\xe2\x96\x91"), 2);
    assert_int_equal(str_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(str_columns("e\xcc\x81"), 1);
    assert_int_equal(str_columns("\xff\xff"), 2);
}

static void words_are_quoted_for_the_shell(void **state)
{
    static const struct {
        const char *word, *quoted;
    } rows[] = {
        {"llama-server",  "llama-server"   },
        {"/m/a_b-1.gguf", "/m/a_b-1.gguf"  },
        {"3,1",           "3,1"            },
        {"",              "''"             },
        {"a b",           "'a b'"          },
        {"it's",          "'it'\\''s'"     },
        {"$HOME;`x`",     "'$HOME;`x`'"    },
        {"~root",         "'~root'"        },
        {"*",             "'*'"            },
        {"blk\\.1=CUDA0", "'blk\\.1=CUDA0'"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        own(own_str) struct str s = {0};
        str_add_shell(&s, rows[i].word);
        assert_string_equal(s.data, rows[i].quoted);
        /* the shell itself reads the same word back */
        own(own_str) struct str command = {0};
        str_addf(&command, "printf %%s %s", s.data);
        FILE *pipe = popen(command.data, "r");
        char back[100] = "";
        size_t n = fread(back, 1, sizeof(back) - 1, pipe);
        pclose(pipe);
        assert_int_equal(n, strlen(rows[i].word));
        assert_string_equal(back, rows[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_grow),
        cmocka_unit_test(take_hands_over),
        cmocka_unit_test(failed_growth_sticks),
        cmocka_unit_test(numbers_are_grouped),
        cmocka_unit_test(bytes_are_shown_as_gib),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(whole_numbers_are_read),
        cmocka_unit_test(fractions_are_read),
        cmocka_unit_test(words_are_compared),
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(text_from_outside_becomes_printable),
        cmocka_unit_test(columns_are_counted),
        cmocka_unit_test(words_are_quoted_for_the_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
