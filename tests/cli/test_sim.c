/* test_sim: the simulated driver from the command line: begun, shown, disturbed, ended; and every
 * answer says so. */
#include "run.h"

#include <stdio.h>

/* What is started is seen where no other library is asked for. */
#define NO_OTHER "DUALGPUOPT_NVML_PATH= "

static void starts_shows_and_stops(void **state)
{
    (void)state;
    struct ran r = run("sim start duo --scale 0 --at 5m");
    assert_int_equal(r.code, 0);
    expect_text(&r, "Simulated driver \"duo\" is on");
    r = run("sim show");
    expect_text(&r, "simulated: duo at 0x since 5 min 0 s");
    expect_text(&r, "RTX 5090");
    expect_text(&r, "llama-server");
    assert_in_range(widest_line(r.out), 1, 80);
    r = run(NO_OTHER "gpu ls");
    expect_text(&r, "SIMULATED");
    r = run("sim show --json");
    struct json_object *doc = run_json(&r, "sim");
    assert_int_equal(number_at(doc, "gpus.0.total_bytes"), 32607ll << 20);
    json_object_put(doc);
    r = run("sim stop");
    assert_int_equal(r.code, 0);
    r = run("sim stop");
    expect_error(&r, 3, 1503, "no simulated driver");
    r = run("gpu ls");
    expect_error(&r, 4, 1101, NULL);
}

static void every_way_to_ask_gives_the_fixed_pair(void **state)
{
    (void)state;
    static const char *const lines[] = {"--mock gpu ls --json",
                                        "gpu ls --json --sim dual-basic",
                                        "DUALGPUOPT_MOCK_GPU=1 gpu ls --json",
                                        "DUALGPUOPT_MOCK_GPU=true gpu ls --json",
                                        "DUALGPUOPT_MOCK_TELEMETRY=on gpu ls --json",
                                        "DUALGPUOPT_SIM_SCENARIO=dual-basic gpu ls --json"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ran r = run("%s", lines[i]);
        struct json_object *doc = run_json(&r, "gpus");
        assert_true(json_object_get_boolean(at(doc, "simulated")));
        assert_int_equal(number_at(doc, "gpus.0.total_bytes"), 24576ll << 20);
        assert_int_equal(number_at(doc, "gpus.1.total_bytes"), 16384ll << 20);
        json_object_put(doc);
    }
    struct ran r = run("DUALGPUOPT_MOCK_GPU=no gpu ls");
    expect_error(&r, 4, 1101, NULL);
    r = run("DUALGPUOPT_MOCK_GPU=perhaps gpu ls");
    expect_error(&r, 2, 9002, "DUALGPUOPT_MOCK_GPU");
    r = run("--mock --sim duo gpu ls");
    expect_error(&r, 2, 2113, "--mock");
}

static void plans_over_simulated_cards_say_so(void **state)
{
    (void)state;
    struct ran r = run("--sim vision plan llama-3.1-8b:Q4_K_M --ctx 4096");
    expect_text(&r, "simulated cards: ");
    r = run("--sim vision plan llama-3.1-8b:Q4_K_M --ctx 4096 --gpus 1 --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_true(json_object_get_boolean(at(doc, "simulated")));
    json_object_put(doc);
    r = run("--sim duo doctor");
    expect_text(&r, ", simulated");
}

static void faults_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(run("sim start duo --scale 0").code, 0);
    struct ran r = run("sim inject lost gpu=1");
    expect_text(&r, "fault 1 is on");
    r = run(NO_OTHER "gpu ls");
    expect_text(&r, "GPU is l");
    r = run("sim show");
    expect_text(&r, "fault 1: lost on GPU 1");
    assert_int_equal(run("sim clear 1").code, 0);
    r = run(NO_OTHER "gpu ls --plain");
    assert_null(strstr(r.out, "lost"));
    r = run("sim inject lsot gpu=1");
    expect_error(&r, 2, 1501, "lost");
    r = run("sim clear 7");
    expect_error(&r, 2, 1501, "7");
    assert_int_equal(run("sim stop").code, 0);
}

static void lists_what_there_is(void **state)
{
    (void)state;
    struct ran r = run("sim ls --json");
    struct json_object *doc = run_json(&r, "scenarios");
    assert_int_equal(json_object_array_length(at(doc, "scenarios")), 11);
    json_object_put(doc);
    r = run("sim ls");
    assert_in_range(widest_line(r.out), 1, 80);
}

static void mistakes_are_explained(void **state)
{
    (void)state;
    run_file("own.yaml", "gpus:\n  - card: RTX 4090\n    totl: 8GiB\n", false);
    struct ran r = run("--sim ./own.yaml gpu ls");
    expect_error(&r, 2, 1501, "./own.yaml:3:5: \"totl\" is not known here; did you mean total?");
    r = run("sim start dou");
    expect_error(&r, 2, 1501, "duo");
    r = run("sim start duo --scale 9999");
    expect_error(&r, 2, 9002, "9999");
    r = run("sim start duo --at soon");
    expect_error(&r, 2, 9002, "soon");
    r = run("sim show");
    expect_error(&r, 3, 1503, "sim start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_shows_and_stops),
        cmocka_unit_test(every_way_to_ask_gives_the_fixed_pair),
        cmocka_unit_test(plans_over_simulated_cards_say_so),
        cmocka_unit_test(faults_come_and_go),
        cmocka_unit_test(lists_what_there_is),
    };
    const struct CMUnitTest fresh[] = {
        cmocka_unit_test(mistakes_are_explained),
    };
    int failed = cmocka_run_group_tests(tests, run_setup, run_teardown);
    return failed + cmocka_run_group_tests(fresh, run_setup, run_teardown);
}
