/* test_probe: learns an engine's flags from real child processes: good, silent, endless, missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/probe.h"
#include "../scratch.h"

static char root[64], program[128];

static void write_program(const char *body)
{
    FILE *f = fopen(program, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\necho run >>%s/runs\n%s\n", root, body);
    fclose(f);
    assert_int_equal(chmod(program, 0755), 0);
}

static int runs(void)
{
    char path[128];
    int n = 0, c;
    snprintf(path, sizeof(path), "%s/runs", root);
    FILE *f = fopen(path, "r");
    while (f && (c = fgetc(f)) != EOF)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/probeXXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(program, sizeof(program), "%s/llama-server", root);
    setenv("XDG_CACHE_HOME", root, 1);
    return 0;
}

static int drop_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

static const char *const good = "case $1 in --version) echo 'version: 10825 (de3ff815)' >&2;;\n"
                                "--help) echo '-c, --ctx-size N   size'; echo '-fit, --fit [on|off]';; esac";

static void learns_version_and_flags_once(void **state)
{
    (void)state;
    struct arena a = {0};
    struct engine_probe p;
    struct err err = {0};
    write_program(good);
    assert_true(probe_engine(program, &a, &p, &err));
    assert_int_equal(p.build, 10825);
    assert_string_equal(p.version, "10825 (de3ff815)");
    assert_true(probe_knows(&p, "--fit") && probe_knows(&p, "-c"));
    assert_false(probe_knows(&p, "--fi"));
    assert_false(probe_knows(&p, "--ctx"));
    int before = runs();
    assert_true(probe_engine(program, &a, &p, &err));
    assert_int_equal(p.build, 10825);
    assert_int_equal(runs(), before);
    arena_finish(&a);
}

static void another_file_is_asked_anew(void **state)
{
    (void)state;
    struct arena a = {0};
    struct engine_probe p;
    struct err err = {0};
    write_program("case $1 in --version) echo 'version: 7 (x)';; --help) echo '-c, --ctx-size N';; esac # other");
    assert_true(probe_engine(program, &a, &p, &err));
    assert_int_equal(p.build, 7);
    assert_false(probe_knows(&p, "--fit"));
    arena_finish(&a);
}

static void is_found_on_path(void **state)
{
    (void)state;
    struct arena a = {0};
    struct engine_probe p;
    struct err err = {0};
    char *old = strdup(getenv("PATH")), path[4200];
    snprintf(path, sizeof(path), "%s:%s", root, old);
    setenv("PATH", path, 1);
    write_program(good);
    assert_true(probe_engine("llama-server", &a, &p, &err));
    assert_string_equal(p.path, program);
    setenv("PATH", "/nonexistent", 1);
    assert_false(probe_engine("llama-server", &a, &p, &err));
    assert_int_equal(err.code, ERR_3001);
    assert_true(err.n_fix > 0);
    setenv("PATH", old, 1);
    free(old);
    arena_finish(&a);
}

static void endless_output_is_cut(void **state)
{
    (void)state;
    struct arena a = {0};
    struct engine_probe p;
    struct err err = {0};
    write_program("exec yes");
    assert_false(probe_engine(program, &a, &p, &err));
    assert_int_equal(err.code, ERR_3002);
    arena_finish(&a);
}

static void what_is_no_program_is_not_run(void **state)
{
    (void)state;
    struct arena a = {0};
    struct engine_probe p;
    struct err err = {0};
    assert_false(probe_engine(root, &a, &p, &err));
    assert_int_equal(err.code, ERR_3001);
    assert_int_equal(chmod(program, 0644), 0);
    err = (struct err){0};
    assert_false(geteuid() != 0 && probe_engine(program, &a, &p, &err));
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_version_and_flags_once), cmocka_unit_test(another_file_is_asked_anew),
        cmocka_unit_test(is_found_on_path),              cmocka_unit_test(endless_output_is_cut),
        cmocka_unit_test(what_is_no_program_is_not_run),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
