/* test_suggest: `suggest` as people and scripts use it: the table, the forms, the exit code, wrong words. */
#include "run.h"

#include <math.h>
#include <stdio.h>

#define CARDS "DUALGPUOPT_NVML_PATH=" TEST_DRIVER " "
#define BIG   "suggest llama-3.3-70b:Q4_K_M --ctx 32k "

static void the_table_looks_as_promised(void **state)
{
    (void)state;
    struct ran r = run(BIG "--min-tps 15");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    assert_true(strncmp(r.out, "SIMULATED: no GPU is used. ", 27) == 0);
    expect_text(&r, "\nCARDS ");
    expect_text(&r, "FITS  MAX CTX");
    expect_text(&r, "\nRTX PRO 6000 Max-Q ");
    expect_text(&r, "split 41 + 39\n");
    expect_text(&r, "too slow\n");
    expect_text(&r, "Llama 3.3 70B Q4_K_M, 32,768 tokens, KV f16, at least 15 tok/s\n");
    expect_text(&r, "\n  dualgpuopt plan llama-3.3-70b:Q4_K_M --gpus ");
    assert_null(strstr(r.out, "nan"));
    assert_null(strstr(r.out, "inf"));
    assert_true(count_lines(r.out) <= 28);
}

static void every_text_is_at_most_80_columns(void **state)
{
    (void)state;
    static const char *const lines[] = {BIG, BIG "--max-cards 8 --ascii", BIG "--all", "suggest qwen3-235b-a22b",
                                        "suggest llama-3.1-8b --with-mine --gpus rtx3060,rtx4060ti",
                                        BIG "--accessible", "suggest deepseek-v3 --max-cards 1"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ran r = run("%s", lines[i]);
        if (widest_line(r.out) > 80)
            fail_msg("%s: %d columns", lines[i], widest_line(r.out));
        for (const char *p = r.out; i == 1 && *p; p++)
            assert_true((unsigned char)*p < 0x80);
    }
}

/* The command that is offered plans what was promised. */
static void what_is_offered_works(void **state)
{
    (void)state;
    struct ran r = run(BIG "--min-tps 20");
    const char *line = strstr(r.out, "\n  dualgpuopt plan ");
    assert_non_null(line);
    line += strlen("\n  dualgpuopt ");
    char words[200];
    snprintf(words, sizeof(words), "%.*s", (int)strcspn(line, "\n"), line);
    r = run("%s --json", words);
    assert_int_equal(r.code, 0);
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "verdict"), "fits");
    assert_int_equal(number_at(doc, "settings.context"), 32768);
    assert_true(json_object_get_double(at(doc, "speed.decode_tps")) >= 20);
    json_object_put(doc);
}

static void documents_are_as_published(void **state)
{
    (void)state;
    run_file("prices.csv", "name,price\nrtx3090,700\n# used\n\n\"RTX 5090\", 2400\r\n", false);
    static const char *const lines[] = {BIG "--json", BIG "--json --all", BIG "--json --prices prices.csv",
                                        BIG "--json --with-mine --gpus rtx3090", BIG "--json --max-cards 1 --min-tps 90",
                                        "suggest deepseek-v3 --max-cards 1 --json", "suggest mamba-2.8b --json"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ran r = run("%s", lines[i]);
        struct json_object *doc = run_json(&r, "suggestions");
        bool met = json_object_get_boolean(at(doc, "met"));
        assert_int_equal(r.code, met ? 0 : 8);
        assert_true(json_object_get_boolean(at(doc, "simulated")));
        assert_true(json_object_array_length(at(doc, "suggestions")) > 0);
        assert_true(json_object_get_boolean(at(doc, "suggestions.0.meets")) == met);
        json_object_put(doc);
    }
    struct ran r = run(BIG "--json=met,suggestions");
    assert_null(strstr(r.out, "\"wish\""));
}

static void one_small_card_is_never_enough(void **state)
{
    (void)state;
    struct ran r = run(BIG "--all --json");
    struct json_object *doc = run_json(&r, "suggestions"), *rows = at(doc, "suggestions");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        if (number_at(row, "n_cards") == 1 && number_at(row, "cards.0.total_bytes") <= 32ll << 30)
            fail_msg("%s cannot hold it", text_at(row, "gpus"));
    }
    json_object_put(doc);
}

static void plain_records_have_ten_fields(void **state)
{
    (void)state;
    struct ran r = run(BIG "--plain");
    assert_true(strncmp(r.out, "meets\trtx", 9) == 0);
    for (const char *p = r.out; *p; p = strchr(p, '\n') + 1) {
        int tabs = 0;
        for (const char *q = p; *q != '\n'; q++)
            tabs += *q == '\t';
        assert_int_equal(tabs, 9);
    }
}

static void nothing_that_meets_is_exit_8(void **state)
{
    (void)state;
    struct ran r = run(BIG "--max-cards 1 --min-tps 500");
    assert_int_equal(r.code, 8);
    expect_text(&r, "Nothing meets the wish");
    expect_text(&r, "too slow");
    assert_null(strstr(r.out, "dualgpuopt plan"));
    r = run("suggest llama-3.1-405b --max-cards 1 --ctx 8k");
    assert_int_equal(r.code, 8);
    expect_text(&r, "short by ");
}

static void own_cards_are_real_or_named(void **state)
{
    (void)state;
    struct ran r = run(CARDS BIG "--with-mine");
    assert_int_equal(r.code, 0);
    expect_text(&r, "beside RTX 5090, RTX 4090");
    expect_text(&r, "\nyours ");
    expect_text(&r, "no new card\n");
    r = run(BIG "--with-mine --gpus rtx3090,rtx3090");
    expect_text(&r, "\n+ ");
    expect_text(&r, "--gpus rtx3090,rtx3090,");
    r = run(BIG "--with-mine");
    expect_error(&r, 4, 0, "--gpus rtx3060");
}

static void prices_come_from_a_file(void **state)
{
    (void)state;
    run_file("p.csv", "rtx3090,700\nrtx5090,2400\n", false);
    struct ran r = run(BIG "--prices p.csv");
    assert_int_equal(r.code, 0);
    expect_text(&r, "PRICE");
    expect_text(&r, "\n3x RTX 3090 ");
    expect_text(&r, " 2100  ");
    static const struct {
        const char *text;
        int code, dgo;
        const char *part;
    } wrong[] = {
        {"rtx3090,700\nrtx5099,1\n", 2, 2101, "RTX 5090"}, {"rtx3090\n", 2, 9002, "NAME,PRICE"},
        {"rtx3090,-1\n", 2, 9002, ":1: "},                 {"rtx3090,0\n", 2, 9002, "is no price"},
        {"rtx3090,nan\n", 2, 9002, "is no price"},         {"rtx3090,1e300\n", 2, 9002, "is no price"},
        {"rtx3090,1\nrtx3090,2\n", 2, 9002, "already"},    {",5\n", 2, 2101, "no card"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        run_file("w.csv", wrong[i].text, false);
        r = run(BIG "--prices w.csv");
        expect_error(&r, wrong[i].code, wrong[i].dgo, wrong[i].part);
    }
    r = run(BIG "--prices none.csv");
    expect_error(&r, 1, 1202, "none.csv");
    r = run(BIG "--prices .");
    expect_error(&r, 1, 1202, "no regular file");
    char *large = malloc(70001);
    memset(large, '\n', 70000);
    large[70000] = '\0';
    run_file("large.csv", large, false);
    free(large);
    r = run(BIG "--prices large.csv");
    expect_error(&r, 2, 9002, "larger than");
}

static void wrong_words_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int dgo;
        const char *part;
    } rows[] = {
        {BIG "--min-tps 0", 9002, "0.01"},
        {BIG "--min-tps -3", 9002, "--min-tps"},
        {BIG "--min-tps nan", 9002, "--min-tps"},
        {BIG "--min-tps 1e9", 9002, "100000"},
        {BIG "--max-cards 0", 9002, "1 to 8"},
        {BIG "--max-cards 9", 9002, "1 to 8"},
        {BIG "--max-card 2", 9001, "--max-cards"},
        {BIG "--gpus rtx4090", 9003, "--with-mine"},
        {BIG "--with-mine --gpus rtx4091", 2101, "RTX 4090"},
        {BIG "--with-mine --gpus 24GiB:count=14", 2114, "--max-cards"},
        {BIG "-ts 1,2", 2113, "-ts"},
        {BIG "-ngl 20", 2113, "-ngl"},
        {BIG "-- llama-server -m x", 9001, "after --"},
        {"suggest", 9003, "MODEL"},
        {BIG "-fa off --kv q4_0", 2110, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ran r = run("%s", rows[i].line);
        expect_error(&r, 2, rows[i].dgo, rows[i].part);
    }
    struct ran r = run("suggest llama-3.3-70x");
    assert_int_equal(r.code, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_looks_as_promised),
        cmocka_unit_test(every_text_is_at_most_80_columns),
        cmocka_unit_test(what_is_offered_works),
        cmocka_unit_test(documents_are_as_published),
        cmocka_unit_test(one_small_card_is_never_enough),
        cmocka_unit_test(plain_records_have_ten_fields),
        cmocka_unit_test(nothing_that_meets_is_exit_8),
        cmocka_unit_test(own_cards_are_real_or_named),
        cmocka_unit_test(prices_come_from_a_file),
        cmocka_unit_test(wrong_words_are_named),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
