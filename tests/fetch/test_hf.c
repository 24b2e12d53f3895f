/* test_hf: names on the hub: how they are taken apart, and which file they mean. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "fetch/hf.h"

static const char tree[] =
    "[{\"type\":\"directory\",\"path\":\"BF16\"},{\"type\":\"file\",\"path\":\"README.md\"},"
    "{\"type\":\"file\",\"path\":\"BF16/m-BF16-00001-of-00002.gguf\"},"
    "{\"type\":\"file\",\"path\":\"BF16/m-BF16-00002-of-00002.gguf\"},"
    "{\"type\":\"file\",\"path\":\"../../etc/evil-Q4_K_M.gguf\",\"size\":1},"
    "{\"type\":\"file\",\"path\":\"mmproj-m-Q8_0.gguf\"},"
    "{\"type\":\"file\",\"path\":\"m-Q4_K_M.gguf\",\"size\":4},"
    "{\"type\":\"file\",\"path\":\"m-Q4_K_S.gguf\"},{\"path\":7},3,null]";

#define EIGHT_DEEP "[[[[[[[["

/* clang-format off: its columns break on named members */
static const struct route routes[] = {
    {"/api/models/o/tree/tree/main",                                                     SERVE_WHOLE, tree},
    {"/api/models/o/siblings",                                                                              SERVE_WHOLE,
     "{\"id\":\"o/siblings\",\"siblings\":[{\"rfilename\":\"a b+\\u00e9-Q8_0.gguf\"}]}"},
    {"/api/models/o/gated/tree/main",                                                           SERVE_STATUS, .status = 401},
    {"/api/models/o/empty/tree/main", SERVE_WHOLE, "[]"},
    {"/api/models/o/empty",                                                    SERVE_WHOLE, "{\"siblings\":[]}"},
    {"/api/models/o/broken/tree/main",                                                                     SERVE_WHOLE, "[{\"path\":"},
    {"/api/models/o/deep/tree/main",                                                    SERVE_WHOLE,
     EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP EIGHT_DEEP "["},
    {"/api/models/o/trailing/tree/main",                                                                              SERVE_WHOLE, "[] nonsense"},
    {NULL                                                             },
};
/* clang-format on */

static int start(void **state)
{
    static struct server s;

    unsetenv("HF_TOKEN");
    unsetenv("HF_TOKEN_PATH");
    setenv("HF_HOME", "/nonexistent", 1);
    setenv("no_proxy", "*", 1);
    server_start(&s, routes);
    setenv("HF_ENDPOINT", s.url, 1);
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    return 0;
}

static void references_are_taken_apart(void **state)
{
    struct hf_ref r;
    struct err err = {0};

    assert_true(hf_parse("hf:owner/repo-GGUF", &r, &err));
    assert_string_equal(r.owner, "owner");
    assert_string_equal(r.repo, "repo-GGUF");
    assert_string_equal(r.quant, "");
    assert_true(hf_parse("HF:a.b/c_d:UD-Q4_K_XL", &r, &err));
    assert_string_equal(r.quant, "UD-Q4_K_XL");
    assert_true(hf_parse("hf:o/r/Q4_K_M/m-00001-of-00003.gguf", &r, &err));
    assert_string_equal(r.file, "Q4_K_M/m-00001-of-00003.gguf");
}

static void nonsense_is_no_reference(void **state)
{
    static const char *const bad[] = {
        "hf:",
        "hf:owner",
        "hf:/repo",
        "hf:o/",
        "hf:o/r:",
        "hf:o/r/",
        "hf:o/r/README.md",
        "hf:o/../x",
        "hf:../r",
        "hf:o/r/../../x.gguf",
        "hf:o/r/a//b.gguf",
        "hf:o/r:Q4 K",
        "hf:o?/r",
        "hf:o/r%2f",
        "owner/repo",
        "hf:o/r/\x1b[2J.gguf",
        "hf:o/r:0123456789012345678901234567890123456789",
    };
    struct hf_ref r;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_false(hf_parse(bad[i], &r, &err));
        assert_int_equal(err.code, ERR_9002);
        assert_null(strchr(err.title, '\x1b'));
    }
}

static const char *choose(const char *quant, const char *const *files, size_t n)
{
    struct hf_ref r = {0};

    snprintf(r.quant, sizeof(r.quant), "%s", quant);
    return hf_choose(&r, files, n);
}

static void the_quant_decides_among_files(void **state)
{
    static const char *const files[] = {
        "imatrix-Q4_K_M.gguf",
        "mmproj-F16.gguf",
        "m-F16-00002-of-00002.gguf",
        "m-F16-00001-of-00002.gguf",
        "m-Q4_K_S.gguf",
        "m-Q8_0.gguf",
        "m.Q4_K_M.gguf",
        "Q6_K/m-Q6_K-00001-of-00002.gguf",
    };

    assert_string_equal(choose("", files, 8), "m.Q4_K_M.gguf");
    assert_string_equal(choose("", files, 6), "m-Q8_0.gguf");
    assert_string_equal(choose("", files, 5), "m-F16-00001-of-00002.gguf");
    assert_string_equal(choose("q4_k_m", files, 8), "m.Q4_K_M.gguf");
    assert_string_equal(choose("F16", files, 8), "m-F16-00001-of-00002.gguf");
    assert_string_equal(choose("Q6_K", files, 8), "Q6_K/m-Q6_K-00001-of-00002.gguf");
    assert_null(choose("Q4_K", files, 8)); /* not the start of another name */
    assert_null(choose("Q2_K", files, 8));
    assert_null(choose("", files, 3));
}

static bool resolve(const char *ref, const char *quant, char *path, struct err *err)
{
    own(own_arena) struct arena arena = {0};
    const char *url;

    *err = (struct err){0};
    if (!hf_resolve(ref, quant, NULL, &arena, &url, err))
        return false;
    assert_int_equal(strncmp(url, getenv("HF_ENDPOINT"), strlen(getenv("HF_ENDPOINT"))), 0);
    snprintf(path, 256, "%s", url + strlen(getenv("HF_ENDPOINT")));
    return true;
}

static void a_repository_is_listed(void **state)
{
    char path[256];
    struct err err;

    assert_true(resolve("hf:o/tree", NULL, path, &err));
    assert_string_equal(path, "/o/tree/resolve/main/m-Q4_K_M.gguf");
    assert_true(resolve("hf:o/tree:BF16", NULL, path, &err));
    assert_string_equal(path, "/o/tree/resolve/main/BF16/m-BF16-00001-of-00002.gguf");
    assert_true(resolve("hf:o/tree", "q4_k_s", path, &err));
    assert_string_equal(path, "/o/tree/resolve/main/m-Q4_K_S.gguf");
    assert_true(resolve("hf:o/tree:BF16", "q4_k_s", path, &err)); /* the reference's own counts */
    assert_string_equal(path, "/o/tree/resolve/main/BF16/m-BF16-00001-of-00002.gguf");
}

static void a_hub_without_trees_is_asked_for_siblings(void **state)
{
    char path[256];
    struct err err;

    assert_true(resolve("hf:o/siblings", NULL, path, &err));
    assert_string_equal(path, "/o/siblings/resolve/main/a%20b%2B%C3%A9-Q8_0.gguf");
}

static void a_named_file_needs_no_list(void **state)
{
    struct server *s = *state;
    char path[256];
    struct err err;

    assert_true(resolve("hf:o/unlisted/sub/m.gguf", NULL, path, &err));
    assert_string_equal(path, "/o/unlisted/resolve/main/sub/m.gguf");
    assert_int_equal(s->n_seen, 0);
}

static void what_cannot_be_resolved_says_why(void **state)
{
    char path[256];
    struct err err;

    assert_false(resolve("hf:o/tree:IQ1_S", NULL, path, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_non_null(strstr(err.why[0], "m-Q4_K_S.gguf"));
    assert_null(strstr(err.why[0], "evil"));
    assert_false(resolve("hf:o/absent", NULL, path, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_non_null(strstr(err.title, "hf:o/absent"));
    assert_false(resolve("hf:o/empty", NULL, path, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_false(resolve("hf:o/gated", NULL, path, &err));
    assert_int_equal(err.code, ERR_2006);
    assert_false(resolve("hf:o/broken", NULL, path, &err));
    assert_int_equal(err.code, ERR_2005);
    assert_false(resolve("hf:o/deep", NULL, path, &err));
    assert_int_equal(err.code, ERR_2005);
    assert_false(resolve("hf:o/trailing", NULL, path, &err));
    assert_int_equal(err.code, ERR_2005);
    assert_false(resolve("hf:o/tree", "Q4 K", path, &err));
    assert_int_equal(err.code, ERR_9002);
}

static void the_endpoint_comes_from_the_environment(void **state)
{
    char out[FETCH_MAX_URL];
    struct err err = {0};

    setenv("HF_ENDPOINT", "https://mirror.example//", 1);
    assert_true(hf_endpoint(out, &err));
    assert_string_equal(out, "https://mirror.example");
    setenv("HF_ENDPOINT", "file:///etc", 1);
    assert_false(hf_endpoint(out, &err));
    assert_int_equal(err.code, ERR_9002);
    unsetenv("HF_ENDPOINT");
    assert_true(hf_endpoint(out, &err));
    assert_true(strncmp(out, "https://", 8) == 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_token_comes_from_the_environment_or_its_file(void **state)
{
    char dir[] = "/tmp/hf-home-XXXXXX", path[64], token[HF_MAX_TOKEN + 1];

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/token", dir);
    setenv("HF_HOME", dir, 1);
    assert_false(hf_token(token));
    write_file(path, "hf_fromfile\n");
    assert_true(hf_token(token));
    assert_string_equal(token, "hf_fromfile");
    setenv("HF_TOKEN", " hf_fromenv ", 1);
    assert_true(hf_token(token));
    assert_string_equal(token, "hf_fromenv");
    setenv("HF_TOKEN", "two\r\nX-Header: words", 1); /* never into a header */
    assert_false(hf_token(token));
    unsetenv("HF_TOKEN");
    write_file(path, "");
    assert_false(hf_token(token));
    unlink(path);
    rmdir(dir);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, start, stop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_taken_apart),
        cmocka_unit_test(nonsense_is_no_reference),
        cmocka_unit_test(the_quant_decides_among_files),
        SERVED(a_repository_is_listed),
        SERVED(a_hub_without_trees_is_asked_for_siblings),
        SERVED(a_named_file_needs_no_list),
        SERVED(what_cannot_be_resolved_says_why),
        SERVED(the_endpoint_comes_from_the_environment),
        SERVED(the_token_comes_from_the_environment_or_its_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
