/* test_help: help, completion and the published page come from the tables and are complete. */
#include "run.h"

#include <stdio.h>

#include "cli/cli.h"

static void help_of_every_command(void **state)
{
    (void)state;
    size_t n;
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++) {
        struct ran r = run("%s --help", c[i].words);
        assert_int_equal(r.code, 0);
        assert_true(strncmp(r.out, "Example: ", 9) == 0);
        assert_non_null(strstr(r.out, c[i].example));
        assert_true(widest_line(r.out) <= 80);
        assert_true(count_lines(r.out) <= 60);
        struct ran again = run("help %s", c[i].words), before = run("-h %s", c[i].words);
        assert_string_equal(r.out, again.out);
        assert_string_equal(r.out, before.out);
    }
}

static void help_works_anywhere(void **state)
{
    (void)state;
    struct ran plan = run("plan --help");
    assert_string_equal(run("plan llama-3.1-8b --gpus nonsense -h").out, plan.out);
    assert_string_equal(run("plan --nonsense --help").out, plan.out);
    struct ran all = run("--help");
    assert_int_equal(all.code, 0);
    assert_true(count_lines(all.out) <= 60);
    assert_true(widest_line(all.out) <= 80);
    assert_string_equal(run("help").out, all.out);
}

/* It is status then; without a GPU that says what can be done anyway. */
static void alone_it_suggests_what_to_type(void **state)
{
    (void)state;
    struct ran r = run(" ");
    expect_error(&r, 4, 1101, "--gpus rtx5090,rtx4090");
}

static void every_topic_and_code(void **state)
{
    (void)state;
    static const char *const topics[] = {"gpus",     "sizes",       "exit-codes",
                                         "settings", "environment", "errors"};
    const enum err_code *codes;
    size_t n = err_codes(&codes);
    for (size_t i = 0; i < 6; i++) {
        struct ran r = run("help %s", topics[i]);
        assert_int_equal(r.code, 0);
        assert_true(widest_line(r.out) <= 80);
    }
    for (size_t i = 0; i < n; i++) {
        struct ran r = run("help DGO%04d", codes[i]);
        assert_int_equal(r.code, 0);
        assert_true(strlen(r.out) > 20);
    }
}

/* Every option and setting of a table stands in some help. */
static void nothing_is_left_out(void **state)
{
    (void)state;
    size_t n;
    const struct option *o = option_table(&n);
    struct ran page = run("help --markdown");
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(o[i].names, " "), o[i].names);
        expect_text(&page, name);
    }
    struct ran settings = run("help settings");
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(f[i].names, " "), f[i].names);
        if (f[i].id == FLAG_HARMLESS)
            continue;
        expect_text(&settings, name);
        expect_text(&page, name);
    }
    const struct variable *v = variable_table(&n);
    struct ran environment = run("help environment");
    for (size_t i = 0; i < n; i++)
        expect_text(&environment, v[i].name);
}

static void the_published_page_is_current(void **state)
{
    (void)state;
    struct ran r = run("help --markdown");
    FILE *f = fopen(COMMANDS_PAGE, "r");
    assert_non_null(f);
    char *page = calloc(1, 1 << 20);
    size_t n = fread(page, 1, (1 << 20) - 1, f);
    fclose(f);
    if (n != strlen(r.out) || strcmp(page, r.out) != 0)
        fail_msg("docs/commands.md is old: dualgpuopt help --markdown > docs/commands.md");
    free(page);
}

static void completion_scripts_are_sound(void **state)
{
    (void)state;
    struct ran r = run("completion bash");
    run_file("completion.bash", r.out, false);
    r = run_program("bash -n completion.bash");
    assert_int_equal(r.code, 0);
    r = run_program(
        "bash -c '. ./completion.bash; COMP_WORDS=(dualgpuopt plan --gp); COMP_CWORD=2; "
        "_dualgpuopt; echo ${COMPREPLY[@]}'");
    assert_string_equal(r.out, "--gpus --gpu-memory-utilization --gpu-layers --gpu-layers-draft\n");
    r = run_program(
        "bash -c '. ./completion.bash; COMP_WORDS=(dualgpuopt mo); COMP_CWORD=1; "
        "_dualgpuopt; echo ${COMPREPLY[@]}; COMP_WORDS=(dualgpuopt model s); COMP_CWORD=2; "
        "_dualgpuopt; echo ${COMPREPLY[@]}'");
    assert_string_equal(r.out, "model\nshow scan\n");
    r = run("completion zsh");
    expect_text(&r, "#compdef dualgpuopt");
    r = run("completion fish");
    expect_text(&r, "complete -c dualgpuopt");
    expect_text(&r, "-l gpus");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_of_every_command),
        cmocka_unit_test(help_works_anywhere),
        cmocka_unit_test(alone_it_suggests_what_to_type),
        cmocka_unit_test(every_topic_and_code),
        cmocka_unit_test(nothing_is_left_out),
        cmocka_unit_test(the_published_page_is_current),
        cmocka_unit_test(completion_scripts_are_sound),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
