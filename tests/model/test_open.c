/* test_open: everything a person may name as a model, and what is said when nothing fits the name.
 */
#include "make.h"

#include "base/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

static char *dir;

static int start(void **state)
{
    char path[300];

    dir = make_dir();
    snprintf(path, sizeof path, "%s/one", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/one/Tiny-Q4_K_M.gguf", dir);
    make_profile_file("qwen3-0.6b", path);
    snprintf(path, sizeof path, "%s/one/Tiny-Q8_0.gguf", dir);
    make_profile_file("smollm2-135m", path);
    snprintf(path, sizeof path, "%s/one/deep", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/one/deep/broken.gguf", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("GGUF and no more", f);
    fclose(f);
    return 0;
}

static int stop(void **state)
{
    make_dir_remove(dir);
    return 0;
}

static const char *at(const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void directories(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_true(open_model(at("one"), "Q8_0", &arena, &m, &err));
    assert_string_equal(m.name, "SmolLM2 135M");
    assert_true(m.from_file);
    assert_true(open_model(at("one/"), "q4_k_m", &arena, &m, &err));
    assert_string_equal(m.name, "Qwen3 0.6B");
    assert_false(open_model(at("one"), NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_9003);
    assert_non_null(strstr(err.title, "2 models"));
    assert_int_equal(err.n_fix, 2);
    assert_false(open_model(at("one"), "Q5_K_M", &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_false(open_model(dir, NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_true(open_model(at("one/deep/../Tiny-Q8_0.gguf"), NULL, &arena, &m, &err));
}

static void names_that_fit_nothing(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_false(open_model("llama-3.3-70", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_non_null(strstr(err.fix[0].text, "llama-3.3-70b"));
    assert_string_equal(err.fix[0].command, "dualgpuopt plan llama-3.3-70b");
    assert_false(open_model("/nowhere/at/all.gguf", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_false(open_model("", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_9003);
    assert_false(open_model("/dev/zero", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2008);
    assert_false(open_model(at("one/deep/broken.gguf"), NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2002);
}

static void quantisations(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m, other;

    assert_true(open_model("LLAMA-3.3-70b:q8_0", NULL, &arena, &m, &err));
    assert_string_equal(m.quantization, "Q8_0");
    assert_true(open_model("llama-3.3-70b", NULL, &arena, &other, &err));
    assert_string_equal(other.quantization, "Q4_K_M");
    assert_true(other.file_bytes < m.file_bytes);
    assert_true(open_model("gpt-oss-20b", NULL, &arena, &m, &err));
    assert_string_equal(m.quantization, "MXFP4_MOE");
    assert_true(open_model("deepseek-r1", "IQ4_XS", &arena, &m, &err));
    assert_string_equal(m.quantization, "IQ4_XS");
    assert_false(open_model("llama-3.3-70b:Q8_0", "Q4_0", &arena, &m, &err));
    assert_int_equal(err.code, ERR_2113);
    assert_false(open_model(at("one/Tiny-Q8_0.gguf"), "Q8_0", &arena, &m, &err));
    assert_int_equal(err.code, ERR_2113); /* its tensors are F16, whatever its name says */
}

static void scans(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct model_list list;
    struct err err = {0};

    assert_int_equal(symlink(dir, at("one/deep/loop")), 0);
    assert_int_equal(symlink("../Tiny-Q8_0.gguf", at("one/deep/again.gguf")), 0);
    assert_true(model_scan(dir, &arena, &list, &err));
    assert_int_equal(list.n, 3);
    assert_false(list.cut);
    assert_true(list.found[0].usable);
    assert_string_equal(list.found[0].architecture, "qwen3");
    assert_string_equal(list.found[0].quantization, "F16");
    assert_int_equal(list.found[0].n_layers, 28);
    assert_true(list.found[1].usable);
    assert_false(list.found[2].usable);
    assert_int_equal(list.found[2].why->code, ERR_2002);
    assert_false(model_scan(at("nothing"), &arena, &list, &err));
    assert_int_equal(err.code, ERR_2001);
}

static void projectors(void **state)
{
    own(own_arena) struct arena arena = {0};
    own(own_gguf_write) struct gguf_write w;
    uint64_t ne[2] = {64, 32}, bias[1] = {32};
    struct model_projector p;
    struct model_list list;
    struct err err = {0};
    struct model m;
    char path[300];

    gguf_write_init(&w);
    gguf_write_string(&w, "general.architecture", "clip");
    gguf_write_string(&w, "general.name", "Eyes");
    gguf_write_tensor(&w, "v.patch_embd.weight", GGUF_TYPE_F16, 2, ne);
    gguf_write_tensor(&w, "v.patch_embd.bias", GGUF_TYPE_F32, 1, bias);
    snprintf(path, sizeof path, "%s", at("mmproj-eyes.gguf"));
    assert_true(gguf_write_file(&w, path, &err));
    assert_true(model_projector(path, &arena, &p, &err));
    assert_string_equal(p.name, "Eyes");
    assert_int_equal(p.weight_bytes, 64 * 32 * 2 + 32 * 4);
    assert_false(open_model(path, NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2003);
    assert_false(model_projector(at("one/Tiny-Q8_0.gguf"), &arena, &p, &err));
    assert_true(model_scan(dir, &arena, &list, &err));
    assert_true(list.found[0].projector);
}

/* A header is read once; a changed file is read again. */
static void header_cache(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct cache_stats before, after, all[8];
    struct err err = {0};
    struct model m;
    char path[300];
    size_t n;

    snprintf(path, sizeof path, "%s", at("cached.gguf"));
    make_profile_file("qwen3-0.6b", path);
    assert_true(open_model(path, NULL, &arena, &m, &err));
    n = cache_list(all, 8);
    assert_true(n >= 1);
    before = all[0];
    assert_string_equal(before.name, "headers");
    assert_true(open_model(path, NULL, &arena, &m, &err));
    assert_string_equal(m.tensors[0].name, "token_embd.weight");
    cache_list(all, 8);
    assert_int_equal(all[0].hits, before.hits + 1);
    make_profile_file("smollm2-135m", path);
    assert_true(open_model(path, NULL, &arena, &m, &err));
    assert_string_equal(m.name, "SmolLM2 135M");
    cache_list(all, 8);
    after = all[0];
    assert_int_equal(after.misses, before.misses + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories),   cmocka_unit_test(names_that_fit_nothing),
        cmocka_unit_test(quantisations), cmocka_unit_test(scans),
        cmocka_unit_test(projectors),    cmocka_unit_test(header_cache),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
