/* test_watch: status, gpu show, gpu watch, record and replay, on the simulated driver, as a person uses them. */
#include "run.h"

#include <stdio.h>
#include <unistd.h>

#define NO_OTHER "DUALGPUOPT_NVML_PATH= "

/* A world of this test's own; time stands still, so that two looks see the same. */
static void start_world(const char *scenario, const char *options)
{
    struct ran r = run("sim start %s %s", scenario, options);
    if (r.code != 0)
        fail_msg("sim start: %s", r.err);
}

static void status_shows_every_gpu(void **state)
{
    (void)state;
    start_world("dual-basic", "");
    struct ran r = run(NO_OTHER "status");
    assert_int_equal(r.code, 0);
    expect_text(&r, "SIMULATED");
    expect_text(&r, "0 RTX 4090        4.9/24.0   50%  60 C  200/450 W  gen4 x16  ok");
    expect_text(&r, "1 RTX 4080        2.9/16.0   30%  50 C  150/320 W  gen4 x16  ok");
    assert_true(widest_line(r.out) <= 80);
    r = run(NO_OTHER "status --plain");
    assert_int_equal(count_lines(r.out), 2);
    expect_text(&r, "\tok\t5242880000\t25769803776\t50\t60\t200\t450\t");
    r = run(NO_OTHER "status --accessible");
    expect_text(&r, "GPU 0 RTX 4090 (simulated): 4.9 of 24.0 GiB used. 50% busy. 60 C. 200 W.");
    r = run(NO_OTHER "status --json");
    struct json_object *doc = run_json(&r, "status");
    assert_true(json_object_get_boolean(at(doc, "simulated")));
    assert_int_equal(number_at(doc, "gpus.0.used_bytes"), 5000ll << 20);
    assert_int_equal(number_at(doc, "gpus.1.free_bytes"), 13384ll << 20);
    assert_int_equal(number_at(doc, "gpus.1.sample.power_watts"), 150);
    assert_string_equal(text_at(doc, "gpus.0.state"), "ok");
    assert_string_equal(text_at(doc, "gpus.0.level"), "NORMAL");
    json_object_put(doc);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    start_world("dual-basic", "");
    assert_int_equal(run("sim inject lost gpu=1").code, 0);
    struct ran r = run(NO_OTHER "status");
    assert_int_equal(r.code, 0);
    expect_text(&r, "LOST");
    expect_text(&r, "! GPU 1 is lost");
    expect_text(&r, "1 ?                      -     -     -          -  -         LOST");
    r = run(NO_OTHER "gpu ls --json");
    struct json_object *doc = run_json(&r, "gpus");
    assert_true(at(doc, "gpus.1.total_bytes") == NULL || json_object_get_type(at(doc, "gpus.1.total_bytes")) == json_type_null);
    assert_string_equal(text_at(doc, "gpus.1.state"), "lost");
    json_object_put(doc);
    assert_int_equal(run("sim clear").code, 0);
    assert_int_equal(run("sim inject hang gpu=0").code, 0);
    r = run(NO_OTHER "status");
    expect_text(&r, "HUNG");
    expect_text(&r, "has not returned");
    expect_text(&r, "1 RTX 4080        2.9/16.0");
    assert_int_equal(run("sim clear").code, 0);
    start_world("none", "");
    r = run(NO_OTHER "status");
    assert_int_equal(r.code, 0);
    expect_text(&r, "0 GPUs");
}

static void one_gpu_is_shown_whole(void **state)
{
    (void)state;
    start_world("duo", "--scale 0 --at 5m");
    struct ran r = run(NO_OTHER "gpu show 1");
    assert_int_equal(r.code, 0);
    expect_text(&r, "GPU 1 RTX 4090   SIMULATED");
    expect_text(&r, "  memory bandwidth     1008 GB/s\n");
    expect_text(&r, "  memory_total         24.0 GiB\n");
    expect_text(&r, "llama-server");
    assert_true(widest_line(r.out) <= 80);
    r = run(NO_OTHER "gpu show 0 --json");
    struct json_object *doc = run_json(&r, "gpu");
    char uuid[96];
    snprintf(uuid, sizeof(uuid), "%s", text_at(doc, "gpu.uuid"));
    json_object_put(doc);
    assert_int_equal(run(NO_OTHER "gpu show %s", uuid).code, 0);
    uuid[12] = 0;
    assert_int_equal(run(NO_OTHER "gpu show %s", uuid).code, 0);
    assert_int_equal(run(NO_OTHER "gpu show 0000:01:00.0").code, 0);
    r = run(NO_OTHER "gpu show 2");
    expect_error(&r, 4, 1106, "no GPU \"2\"");
    r = run(NO_OTHER "gpu show GPU");
    expect_error(&r, 4, 1106, NULL);
}

static void samples_come_as_lines(void **state)
{
    (void)state;
    start_world("dual-basic", "");
    struct ran r = run(NO_OTHER "gpu watch --interval 0.05 --seconds 0.5");
    assert_int_equal(r.code, 0);
    expect_text(&r, "  50%  5000/24576 MB (20.3%)");
    assert_true(count_lines(r.out) > 6 && widest_line(r.out) <= 80);
    r = run(NO_OTHER "gpu watch 1 -q --interval 0.05 --seconds 0.3");
    assert_null(strstr(r.out, "24576"));
    expect_text(&r, "3000/16384 MB (18.3%)");
    r = run(NO_OTHER "gpu watch --plain --interval 0.05 --seconds 0.2");
    assert_true(strncmp(r.out, "time\tgpu\tstate\tutilization\t", 27) == 0);
    r = run(NO_OTHER "gpu watch --json --interval 0.05 --seconds 0.2");
    struct json_object *doc = json_tokener_parse(r.out); /* the first line */
    assert_non_null(doc);
    assert_string_equal(text_at(doc, "kind"), "sample");
    assert_int_equal(number_at(doc, "sample.memory_used_bytes"), 5000ll << 20);
    json_object_put(doc);
    r = run(NO_OTHER "gpu watch --interval 0");
    expect_error(&r, 2, 9002, "--interval");
    r = run(NO_OTHER "gpu watch --seconds never");
    expect_error(&r, 2, 9002, "--seconds");
}

static void a_recording_is_played_back(void **state)
{
    (void)state;
    char path[512];
    start_world("dual-basic", "");
    struct ran r = run(NO_OTHER "record run.trace --interval 0.05 --seconds 0.5");
    assert_int_equal(r.code, 0);
    expect_text(&r, "samples of 2 GPUs");
    r = run(NO_OTHER "record run.trace --seconds 0.2"); /* never written over */
    expect_error(&r, 1, 1202, "run.trace");
    assert_int_equal(run("sim stop").code, 0);
    r = run(NO_OTHER "replay run.trace --speed 3600");
    assert_int_equal(r.code, 0);
    expect_text(&r, "GPU 0 RTX 4090   SIMULATED");
    expect_text(&r, "5000/24576 MB (20.3%)");
    expect_text(&r, "3000/16384 MB (18.3%)");

    snprintf(path, sizeof(path), "%s/run.trace", run_folder());
    assert_int_equal(truncate(path, 600), 0);
    r = run(NO_OTHER "replay run.trace --speed 3600");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err, "ends within a record"));
    run_file("text.trace", "this is no trace", false);
    r = run(NO_OTHER "replay text.trace");
    expect_error(&r, 1, 1301, "not a trace");
    r = run(NO_OTHER "replay nothing.trace");
    expect_error(&r, 4, 2001, "nothing.trace");
    r = run(NO_OTHER "replay run.trace --speed fast");
    expect_error(&r, 2, 9002, "--speed");
}

static void a_full_disk_is_said(void **state)
{
    (void)state;
    start_world("dual-basic", "");
    struct ran r = run_program(NO_OTHER "sh -c 'trap \"\" XFSZ; ulimit -f 1; exec %s record full.trace --interval 0.02 --seconds 5'",
                               PROGRAM);
    expect_error(&r, 1, 1202, "full.trace");
}

static int tear_down(void **state)
{
    run("sim stop");
    return run_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_shows_every_gpu),   cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(one_gpu_is_shown_whole),   cmocka_unit_test(samples_come_as_lines),
        cmocka_unit_test(a_recording_is_played_back), cmocka_unit_test(a_full_disk_is_said),
    };
    return cmocka_run_group_tests(tests, run_setup, tear_down);
}
