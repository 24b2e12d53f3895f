/* test_look: the other commands, and how all of them look: colour, ASCII, plain records, documents.
 */
#include "run.h"

#include <stdio.h>

#define CARDS "DUALGPUOPT_NVML_PATH=" TEST_DRIVER " "

static void colour_only_where_it_is_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool color;
    } rows[] = {
        {"plan llama-3.1-8b --gpus 24GiB",                             false}, /* a pipe */
        {"plan llama-3.1-8b --gpus 24GiB --color always",              true },
        {"CLICOLOR_FORCE=1 plan llama-3.1-8b --gpus 24GiB",            true },
        {"CLICOLOR_FORCE=0 plan llama-3.1-8b --gpus 24GiB",            false},
        {"CLICOLOR_FORCE=1 NO_COLOR=1 plan llama-3.1-8b --gpus 24GiB", false},
        {"NO_COLOR=1 plan llama-3.1-8b --gpus 24GiB --color always",   true }, /* a flag counts more */
        {"--color always plan llama-3.1-8b --gpus 24GiB --no-color",   false},
        {"--color=always doctor",                                      true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ran r = run("%s", rows[i].line);
        if ((strchr(r.out, '\x1b') != NULL) != rows[i].color)
            fail_msg("%s: colour is wrong", rows[i].line);
    }
}

/* With a terminal behind it, made by script(1). */
static void colour_on_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *env;
        bool color;
    } rows[] = {
        {"TERM=xterm",            true },
        {"TERM=dumb",             false},
        {"TERM=xterm NO_COLOR=1", false}
    };
    if (run_program("which script").code != 0)
        skip();
    for (size_t i = 0; i < 3; i++) {
        struct ran r = run_program("%s script -qec '%s plan llama-3.1-8b --gpus 24GiB' /dev/null",
                                   rows[i].env, PROGRAM);
        if ((strstr(r.out, "\x1b[") != NULL) != rows[i].color)
            fail_msg("%s: colour is wrong", rows[i].env);
    }
}

static void letters_without_blocks(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB --color always");
    assert_non_null(strstr(r.out, "█"));
    r = run("plan llama-3.1-8b --gpus 24GiB --color always --ascii");
    for (const char *p = r.out; *p; p++)
        assert_true((unsigned char)*p < 0x80);
    r = run("LC_ALL=C plan llama-3.1-8b --gpus 24GiB --color always");
    for (const char *p = r.out; *p; p++)
        assert_true((unsigned char)*p < 0x80);
    r = run("LC_ALL=C model ls");
    for (const char *p = r.out; *p; p++)
        assert_true((unsigned char)*p < 0x80);
}

static void flags_stand_before_and_after_the_verb(void **state)
{
    (void)state;
    struct ran a = run("--plain --ascii plan llama-3.1-8b --gpus 24GiB --host-memory 64GiB"),
               b = run("plan --plain llama-3.1-8b --ascii --gpus=24GiB --host-memory=64GiB"),
               c = run("plan llama-3.1-8b --host-memory 64GiB --gpus 24GiB --ascii --plain");
    assert_string_equal(a.out, b.out);
    assert_string_equal(a.out, c.out);
}

static void gpu_ls_lists_real_cards(void **state)
{
    (void)state;
    struct ran r = run(CARDS "gpu ls");
    assert_int_equal(r.code, 0);
    expect_text(&r, "0 RTX 5090");
    expect_text(&r, "41:00.0");
    assert_true(widest_line(r.out) <= 80);
    r = run(CARDS "gpu ls --json");
    struct json_object *doc = run_json(&r, "gpus");
    assert_int_equal(json_object_array_length(at(doc, "gpus")), 2);
    assert_int_equal(number_at(doc, "gpus.0.total_bytes"), 32607ll << 20);
    json_object_put(doc);
    r = run(CARDS "gpu ls --plain");
    expect_text(&r, "\tGPU-4090bbbb-0000-0000-0000-000000000002\t");
    r = run(CARDS "TEST_NVML=lost=1 gpu ls --json");
    doc = run_json(&r, "gpus");
    assert_true(json_object_get_type(at(doc, "gpus.1.trouble")) == json_type_string);
    json_object_put(doc);
}

static void doctor_finds_and_mends(void **state)
{
    (void)state;
    struct ran r = run("doctor");
    assert_int_equal(r.code, 7); /* no driver here */
    expect_text(&r, "FAIL  driver.nvml ");
    expect_text(&r, "ok    memory.host ");
    expect_text(&r, "1 failure\n");
    assert_true(widest_line(r.out) <= 80);
    r = run(CARDS "doctor --json");
    assert_int_equal(r.code, 0);
    struct json_object *doc = run_json(&r, "doctor");
    assert_string_equal(text_at(doc, "checks.0.id"), "driver.nvml");
    assert_string_equal(text_at(doc, "checks.0.level"), "ok");
    assert_string_equal(text_at(doc, "caches.0.name"), "headers");
    assert_int_equal(number_at(doc, "caches.0.maxsize"), 64);
    assert_int_equal(number_at(doc, "caches.0.hits"), 0);
    assert_string_equal(text_at(doc, "caches.1.name"), "plans");
    json_object_put(doc);
    r = run(CARDS "DUALGPUOPT_PROFILE_CACHE=7 doctor --json");
    doc = run_json(&r, "doctor");
    assert_int_equal(number_at(doc, "caches.0.maxsize"), 7);
    json_object_put(doc);
}

static void check_deps_names_packages(void **state)
{
    (void)state;
    struct ran r = run("--check-deps");
    assert_int_equal(r.code, 0);
    expect_text(&r, "required: package libc6");
    expect_text(&r, "core: package libyaml-0-2");
    expect_text(&r, "optional: package libcurl4");
    assert_null(strstr(r.out, "driver.nvml"));
    assert_string_equal(run("doctor --check-deps").out, run("--check-deps").out);
}

static void engines_on_path(void **state)
{
    (void)state;
    struct ran r = run("engine ls");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "");
    assert_int_equal(run_program("mkdir -p bin").code, 0);
    run_file("bin/llama-server",
             "#!/bin/sh\n[ \"$1\" = --version ] && echo 'version: 9876 (abc)' && exit 0\n"
             "echo '-m, --model F'; echo '-c, --ctx-size N'\n",
             true);
    r = run("engine ls");
    expect_text(&r, "llama-server");
    expect_text(&r, "9876");
    r = run("engine ls --json");
    json_object_put(run_json(&r, "engines"));
    r = run("engine probe --json");
    struct json_object *doc = run_json(&r, "engine");
    assert_int_equal(number_at(doc, "build"), 9876);
    assert_true(json_object_get_boolean(at(doc, "settings.-c")));
    assert_false(json_object_get_boolean(at(doc, "settings.-fit")));
    json_object_put(doc);
    r = run("engine probe");
    expect_text(&r, "not known: ");
    r = run(CARDS "doctor");
    expect_text(&r, "ok    engine.llamacpp ");
    assert_int_equal(run_program("rm -r bin").code, 0);
}

static void models_are_listed_and_shown(void **state)
{
    (void)state;
    assert_int_equal(run_program("mkdir -p models/below").code, 0);
    assert_int_equal(run_program("%s llama-3.2-1b:Q4_K_M models/below/one.gguf", MAKE_SAMPLE).code,
                     0);
    run_file("models/broken.gguf", "GGUF", false);
    struct ran r = run("model scan models");
    assert_int_equal(r.code, 0);
    expect_text(&r, "Llama 3.2 1B");
    assert_non_null(strstr(r.err, "broken.gguf"));
    r = run("model scan models --json");
    struct json_object *doc = run_json(&r, "models");
    assert_int_equal(json_object_array_length(at(doc, "found")), 2);
    json_object_put(doc);
    r = run("model ls");
    expect_text(&r, "llama-3.3-70b ");
    expect_text(&r, "one.gguf"); /* ~/models is looked at */
    assert_true(widest_line(r.out) <= 80);
    r = run("model ls --json");
    json_object_put(run_json(&r, "models"));
    r = run("model show models/below/one.gguf");
    expect_text(&r, "Llama 3.2 1B");
    expect_text(&r, "0-");
    assert_true(widest_line(r.out) <= 80);
    r = run("model show models/below/one.gguf --tensors --plain");
    expect_text(&r, "blk.0.attn_q.weight\t");
    r = run("model show models/below/one.gguf --tensors --json");
    doc = run_json(&r, "model");
    assert_int_equal(number_at(doc, "hyperparameters.heads"), 32);
    assert_int_equal(number_at(doc, "layers.0.kv_cell_bytes"), 2048);
    json_object_put(doc);
}

static void version_tells_the_law(void **state)
{
    (void)state;
    struct ran r = run("version");
    assert_true(strncmp(r.out, "dualgpuopt ", 11) == 0);
    expect_text(&r, "llama.cpp");
    r = run("version --json");
    json_object_put(run_json(&r, "version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colour_only_where_it_is_wanted),
        cmocka_unit_test(colour_on_a_terminal),
        cmocka_unit_test(letters_without_blocks),
        cmocka_unit_test(flags_stand_before_and_after_the_verb),
        cmocka_unit_test(gpu_ls_lists_real_cards),
        cmocka_unit_test(doctor_finds_and_mends),
        cmocka_unit_test(check_deps_names_packages),
        cmocka_unit_test(engines_on_path),
        cmocka_unit_test(models_are_listed_and_shown),
        cmocka_unit_test(version_tells_the_law),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
