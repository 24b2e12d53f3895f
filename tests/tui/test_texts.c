/* test_texts: filters, settings as YAML, sentences. */
#include "../base/check.h"

#include <string.h>

#include "make.h"
#include "base/own.h"
#include "tui/linear.h"

static struct top_model m;

static int setup(void **state)
{
    (void)state;
    make_model(&m, 2);
    return m.history ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    make_finish(&m);
    return 0;
}

static bool shows(const char *expression, uint32_t gpu)
{
    struct filter f = {0};
    struct err err = {0};
    if (!filter_parse(expression, &f, &err))
        print_error("%s: %s\n", expression, err.title);
    assert_int_equal(err.code, ERR_NONE);
    return filter_gpu(&f, &m, gpu);
}

static void filters_compare_and_combine(void **state)
{
    (void)state;
    assert_false(shows("temp>80", 0));
    assert_true(shows("temp > 80", 1));
    assert_true(shows("temp>=83C & util<65%", 1));
    assert_true(shows("temp>90 | mem>90", 0));
    assert_true(shows("temp>90 or mem>90 and gpu=0", 0));
    assert_true(shows("!(gpu=1)", 0));
    assert_false(shows("not_there_word", 0));
    assert_true(shows("5090", 0));
    assert_true(shows("used>28GiB", 0));
    assert_false(shows("used>30GiB", 0));
    assert_true(shows("state=HOT", 1));
    assert_true(shows("", 0));
    sample_clear(&m.gpu[0].sample, METRIC_TEMPERATURE);
    assert_false(shows("temp<1000", 0)); /* unknown is no number */
    assert_false(shows("temp!=5", 0));
}

static void filters_on_processes(void **state)
{
    (void)state;
    struct filter f;
    struct err err = {0};
    assert_true(filter_parse("pmem>2GiB & user=ana", &f, &err));
    assert_true(filter_process(&f, &m, 0, &m.gpu[0].processes.process[0]));
    assert_false(filter_process(&f, &m, 0, &m.gpu[0].processes.process[1]));
    assert_true(filter_shows_gpu(&f, &m, 0));
    assert_false(filter_gpu(&f, &m, 0));
}

static void filters_say_where_they_break(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "temp>",   "temp>hot", "nosuch>5",
        "(temp>1", "temp>1)",  "& 5",
        "!",       "name>5",   "((((((((((((((((((((((1))))))))))))))))))))))"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct filter f = {0};
        struct err err = {0};
        assert_false(filter_parse(broken[i], &f, &err));
        assert_int_equal(err.code, ERR_9005);
    }
}

static void settings_come_back(void **state)
{
    (void)state;
    own(own_str) struct str text = {0};
    struct settings a, b;
    struct err err = {0};
    settings_default(&a);
    a.value[SETTING_SYMBOLS] = 3;
    a.value[SETTING_MOUSE] = 1;
    assert_true(filter_parse("name=it's & temp>80", &a.filter, &err));
    settings_write(&a, &text);
    assert_true(settings_parse("top.yaml", text.data, text.len, &b, &err));
    assert_memory_equal(a.value, b.value, sizeof(a.value));
    assert_string_equal(a.filter.text, b.filter.text);
}

static void settings_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"symbols: ascii\nsymbol: ascii\n",  "line 2, column 1: symbol is no setting"                        },
        {"symbols: roman\n",                 "line 1, column 10: symbols is one of: auto braille block ascii"},
        {"symbols: [ascii]\n",               "line 1, column 10: a single value"                             },
        {"symbols: ascii\nsymbols: ascii\n", "line 2, column 1: this key was given before"                   },
        {"- a\n",                            "lines of \"key: value\""                                       },
        {"filter: 'temp>'\n",                "a number belongs here"                                         },
        {"a: {b: \n",                        "top.yaml: line"                                                },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct settings s;
        struct err err = {0};
        assert_false(settings_parse("top.yaml", bad[i].text, strlen(bad[i].text), &s, &err));
        assert_int_equal(err.code, ERR_9006);
        if (!strstr(err.title, bad[i].part))
            print_error("%s\n", err.title);
        assert_non_null(strstr(err.title, bad[i].part));
    }
    struct settings s;
    struct err err = {0};
    assert_true(settings_parse("top.yaml", "", 0, &s, &err));
    static char large[SETTINGS_TEXT_MAX + 1];
    memset(large, ' ', sizeof(large));
    assert_false(settings_parse("top.yaml", large, sizeof(large), &s, &err));
}

static void sentences_for_what_changes(void **state)
{
    (void)state;
    own(own_str) struct str out = {0};
    struct linear last = {0};
    linear_changes(&last, &m, &out);
    assert_non_null(
        strstr(out.data, "GPU 1 RTX 4090: 21.5 of 24.0 GiB used. Held by llama-server 21.0 GiB."));
    out.len = 0;
    linear_changes(&last, &m, &out);
    assert_int_equal(out.len, 0);
    m.gpu[0].sample.value[METRIC_TEMPERATURE] = 68;
    linear_changes(&last, &m, &out);
    assert_int_equal(out.len, 0);
    m.gpu[0].sample.value[METRIC_TEMPERATURE] = 69;
    m.gpu[1].health = (struct gpu_health){
        .state = GPU_HUNG, .since_ns = UINT64_C(3000000000), .age_ns = UINT64_MAX};
    m.gpu[1].processes.n = 0;
    make_process(&m, 0, 77, "python3", 2);
    linear_changes(&last, &m, &out);
    assert_non_null(strstr(out.data, "GPU 0: 69 C temperature, was 64 C\n"));
    assert_non_null(strstr(out.data, "GPU 1: hung: it hangs for 3 s"));
    assert_non_null(strstr(out.data, "GPU 0: python3 (77) has come, 2.0 GiB\n"));
    assert_non_null(strstr(out.data, "GPU 1: process 5201 has gone\n"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(filters_compare_and_combine), T(filters_on_processes),   T(filters_say_where_they_break),
        T(settings_come_back),          T(settings_name_the_line), T(sentences_for_what_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
