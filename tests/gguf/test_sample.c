/* test_sample: the files that make-sample writes are the built-in models, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "model/model.h"

static const char *tool;

static int run_tool(const char *ref, const char *path, const char *flags)
{
    char command[4096];

    snprintf(command, sizeof(command), "'%s' %s '%s' %s 2>/dev/null", tool, ref, path, flags);
    return system(command);
}

static void check_sample(const char *ref)
{
    own(own_arena) struct arena arena = {0};
    struct model_request written = {0}, built_in = {.ref = ref};
    char path[] = "/tmp/sample-XXXXXX.gguf";
    struct model a, b;
    struct err err = {0};
    struct stat st;
    own_fd int fd = mkstemps(path, 5);

    assert_true(fd >= 0);
    assert_int_equal(run_tool(ref, path, ""), 0);
    written.ref = path;
    assert_true(model_open(&written, &arena, &a, &err));
    assert_true(model_open(&built_in, &arena, &b, &err));
    assert_string_equal(a.architecture, b.architecture);
    assert_string_equal(a.quantization, b.quantization);
    assert_int_equal(a.parameters, b.parameters);
    assert_int_equal(a.n_layers, b.n_layers);
    assert_int_equal(a.hp.n_vocab, b.hp.n_vocab);
    assert_int_equal(a.n_tensors, b.n_tensors);
    for (uint32_t i = 0; i < a.n_tensors; i++) {
        assert_string_equal(a.tensors[i].name, b.tensors[i].name);
        assert_int_equal(a.tensors[i].type, b.tensors[i].type);
        assert_int_equal(a.tensors[i].bytes, b.tensors[i].bytes);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, a.file_bytes);
    assert_true((uint64_t)st.st_blocks * 512 < (uint64_t)64 << 20); /* the data is a hole */
    unlink(path);
}

static void samples_are_the_models_they_are_named_after(void **state)
{
    check_sample("llama-3.3-70b:Q4_K_M");
    check_sample("gpt-oss-20b");
    check_sample("qwen3-30b-a3b:Q8_0");
}

static void nothing_is_left_of_a_sample_that_fails(void **state)
{
    char path[] = "/tmp/sample-XXXXXX";

    assert_non_null(mkdtemp(path));
    assert_int_not_equal(run_tool("no-such-model", path, ""), 0);
    assert_int_not_equal(run_tool("llama-3.3-70b", path, ""), 0); /* a directory is in the way */
    assert_int_not_equal(run_tool("llama-3.3-70b", path, "--bogus"), 0);
    assert_int_equal(rmdir(path), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_the_models_they_are_named_after),
        cmocka_unit_test(nothing_is_left_of_a_sample_that_fails),
    };

    if (argc != 2)
        return 2;
    tool = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
