/* test_source: files read over HTTP from a server that behaves, and from ones that do not. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "fetch/fetch.h"
#include "gguf/gguf.h"

#include "../../tools/gguf_write.h"

enum { SIZE = 5 << 20 };

static char location_file[96], location_token[128];

/* clang-format off: its columns break on named members */
static const struct route routes[] = {
    {"/file",         SERVE_RANGES, NULL, SIZE},
    {"/small",           SERVE_RANGES, "0123456789", 0},
    {"/empty",               SERVE_RANGES, NULL, 0},
    {"/whole",SERVE_WHOLE, NULL, SIZE},
    {"/chunked",              SERVE_CHUNKED, NULL, 5000},
    {"/cut",        SERVE_CUT, NULL, SIZE},
    {"/wrong-part",           SERVE_WRONG_PART, NULL, SIZE},
    {"/no-total",               SERVE_NO_TOTAL, NULL, SIZE},
    {"/growing",            SERVE_GROWING, NULL, SIZE},
    {"/new-etag",           SERVE_NEW_ETAG, NULL, SIZE},
    {"/moved",      SERVE_REDIRECT, .location = location_file},
    {"/loop",           SERVE_REDIRECT, .location = "/loop"},
    {"/to-ftp",               SERVE_REDIRECT, .location = "ftp://127.0.0.1/file"},
    {"/to-disk",SERVE_REDIRECT, .location = "file:///etc/hostname"},
    {"/away",           SERVE_REDIRECT, .location = location_token},
    {"/401",   SERVE_STATUS, .status = 401},
    {"/403",           SERVE_STATUS, .status = 403},
    {"/410",               SERVE_STATUS, .status = 410},
    {"/429",SERVE_STATUS, .status = 429},
    {"/500",           SERVE_STATUS, .status = 500},
    {"/304",      SERVE_STATUS, .status = 304},
    {"/silence",           SERVE_SILENCE},
    {"/drip",               SERVE_DRIP, NULL, 100000},
    {"/headers",SERVE_HEADERS},
    {"/noise",           SERVE_NOISE},
    {NULL       },
};
/* clang-format on */

static int start(void **state)
{
    static struct server s;

    unsetenv("HF_TOKEN");
    unsetenv("HF_TOKEN_PATH");
    setenv("HF_HOME", "/nonexistent", 1);
    setenv("no_proxy", "*", 1);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    server_start(&s, routes);
    snprintf(location_file, sizeof(location_file), "%s/file", s.url);
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    return 0;
}

static bool open_path(const struct server *s, const char *path, const struct fetch_options *options,
                      struct fetch_source *out, struct err *err)
{
    char url[256];

    snprintf(url, sizeof(url), "%s%s", s->url, path);
    *err = (struct err){0};
    return fetch_open(url, options, out, err);
}

static enum err_code open_code(const struct server *s, const char *path)
{
    struct fetch_source src = {0};
    struct err err;

    if (!open_path(s, path, NULL, &src, &err)) {
        assert_true(err.title[0] && err.n_fix > 0); /* every refusal says what to do */
        return err.code;
    }
    fetch_close(&src);
    return ERR_NONE;
}

static bool bytes_are_right(struct fetch_source *src, uint64_t offset, size_t len, struct err *err)
{
    own_free unsigned char *data = malloc(len);

    if (!src->read_at(src->ctx, offset, data, len, err))
        return false;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], server_byte(offset + i));
    return true;
}

static void a_file_is_read_by_ranges_over_one_connection(void **state)
{
    struct server *s = *state;
    struct fetch_source src = {0};
    struct err err;

    assert_true(open_path(s, "/file?download=true", NULL, &src, &err));
    assert_int_equal(src.size_bytes, SIZE);
    assert_null(strchr(src.name, '?'));
    for (uint64_t at = 0; at + 65536 <= SIZE; at += 65536)
        assert_true(bytes_are_right(&src, at, 65536, &err));
    fetch_close(&src);
    assert_int_equal(s->n_seen, 3); /* 1 + 2 + the rest of 4 MiB */
    assert_string_equal(s->seen[0].range, "bytes=0-1048575");
    assert_string_equal(s->seen[1].range, "bytes=1048576-3145727");
    assert_int_equal(s->n_connections, 1);
}

static void any_place_can_be_read(void **state)
{
    struct fetch_source src = {0};
    struct err err;

    assert_true(open_path(*state, "/file", NULL, &src, &err));
    assert_true(bytes_are_right(&src, SIZE - 1, 1, &err));
    assert_true(bytes_are_right(&src, 7, 100, &err));
    assert_true(bytes_are_right(&src, (1 << 20) - 10, 20, &err)); /* over the edge of a block */
    assert_true(bytes_are_right(&src, 100, 4 << 20, &err));
    assert_true(bytes_are_right(&src, SIZE, 0, &err));
    assert_false(bytes_are_right(&src, SIZE - 1, 2, &err));
    assert_false(bytes_are_right(&src, UINT64_MAX, 1, &err));
    fetch_close(&src);
}

static void small_and_empty_files_have_their_size(void **state)
{
    struct fetch_source src = {0};
    struct err err;
    char digits[4] = "";

    assert_true(open_path(*state, "/small", NULL, &src, &err));
    assert_int_equal(src.size_bytes, 10);
    assert_true(src.read_at(src.ctx, 7, digits, 3, &err));
    assert_string_equal(digits, "789");
    fetch_close(&src);
    assert_true(open_path(*state, "/empty", NULL, &src, &err));
    assert_int_equal(src.size_bytes, 0);
    fetch_close(&src);
}

static void a_server_that_ignores_ranges_is_cut_off(void **state)
{
    struct fetch_source src = {0};
    struct err err;

    assert_true(open_path(*state, "/whole", NULL, &src, &err));
    assert_int_equal(src.size_bytes, SIZE);
    assert_true(bytes_are_right(&src, 0, 65536, &err));
    assert_true(bytes_are_right(&src, 2 << 20, 65536, &err));
    assert_true(bytes_are_right(&src, SIZE - 100, 100, &err));
    fetch_close(&src);
}

static void answers_that_do_not_add_up_are_refused(void **state)
{
    static const char *const paths[] = {"/chunked",  "/cut",     "/wrong-part",
                                        "/no-total", "/headers", "/noise"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_int_equal(open_code(*state, paths[i]), ERR_2005);
}

static void a_file_that_changes_is_refused(void **state)
{
    static const char *const paths[] = {"/growing", "/new-etag"};

    for (int i = 0; i < 2; i++) {
        struct fetch_source src = {0};
        struct err err;
        assert_true(open_path(*state, paths[i], NULL, &src, &err));
        assert_true(bytes_are_right(&src, 0, 100, &err));
        assert_false(bytes_are_right(&src, 3 << 20, 100, &err));
        assert_int_equal(err.code, ERR_2005);
        assert_non_null(strstr(err.title, "changed"));
        fetch_close(&src);
    }
}

static void redirects_are_followed_once(void **state)
{
    struct server *s = *state;
    struct fetch_source src = {0};
    struct err err;

    assert_true(open_path(s, "/moved", NULL, &src, &err));
    assert_int_equal(src.size_bytes, SIZE);
    assert_true(bytes_are_right(&src, 2 << 20, 100, &err));
    fetch_close(&src);
    assert_int_equal(s->n_seen, 3);
    assert_string_equal(s->seen[0].path, "/moved");
    assert_string_equal(s->seen[2].path, "/file");
}

static void redirects_have_bounds(void **state)
{
    struct server *s = *state;

    assert_int_equal(open_code(s, "/loop"), ERR_2005);
    assert_int_equal(s->n_seen, FETCH_MAX_REDIRECTS + 1);
    assert_int_equal(open_code(s, "/to-ftp"), ERR_2005);
    assert_int_equal(open_code(s, "/to-disk"), ERR_2005);
}

static void a_status_becomes_its_error(void **state)
{
    assert_int_equal(open_code(*state, "/absent"), ERR_2001);
    assert_int_equal(open_code(*state, "/410"), ERR_2001);
    assert_int_equal(open_code(*state, "/401"), ERR_2006);
    assert_int_equal(open_code(*state, "/403"), ERR_2006);
    assert_int_equal(open_code(*state, "/429"), ERR_2005);
    assert_int_equal(open_code(*state, "/500"), ERR_2005);
    assert_int_equal(open_code(*state, "/304"), ERR_2005);
}

static void nobody_there_is_an_error(void **state)
{
    struct server closed = {.url = "http://127.0.0.1:1"};

    assert_int_equal(open_code(&closed, "/file"), ERR_2005);
}

static void time_has_a_bound(void **state)
{
    const struct fetch_options options = {.total_ms = 150};
    static const char *const paths[] = {"/silence", "/drip"};

    for (int i = 0; i < 2; i++) {
        struct fetch_source src = {0};
        struct err err;
        assert_false(open_path(*state, paths[i], &options, &src, &err));
        assert_int_equal(err.code, ERR_2005);
        assert_non_null(strstr(err.title, "too long"));
    }
}

static void bytes_have_a_bound(void **state)
{
    const struct fetch_options options = {.max_bytes = 2 << 20};
    struct fetch_source src = {0};
    struct err err;

    assert_true(open_path(*state, "/file", &options, &src, &err));
    assert_true(bytes_are_right(&src, 0, 1 << 20, &err));
    assert_false(bytes_are_right(&src, 1 << 20, 2 << 20, &err));
    assert_int_equal(err.code, ERR_2005);
    fetch_close(&src);
}

static void only_web_urls_without_users_are_fetched(void **state)
{
    static const char *const urls[] = {
        "file:///etc/hostname",
        "ftp://127.0.0.1/x",
        "http://",
        "http://[::1",
        "/etc/hostname",
        "",
        "http://me:secret@127.0.0.1/x",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct fetch_source src = {0};
        struct err err = {0};
        assert_false(fetch_open(urls[i], NULL, &src, &err));
        assert_int_equal(err.code, ERR_9002);
        assert_null(strstr(err.title, "secret"));
    }
    assert_true(fetch_is_url("HTTPS://host/x"));
    assert_false(fetch_is_url("httpx://host/x"));
}

static void the_token_goes_to_the_hub_and_nowhere_else(void **state)
{
    struct server *hub = *state, other;
    struct fetch_source src = {0};
    struct err err;
    char away[128];

    server_start(&other, routes);
    snprintf(location_token, sizeof(location_token), "%s/file", other.url);
    setenv("HF_ENDPOINT", hub->url, 1);
    setenv("HF_TOKEN", "hf_secret", 1);
    assert_true(open_path(hub, "/away", NULL, &src, &err));
    assert_true(bytes_are_right(&src, 2 << 20, 100, &err));
    fetch_close(&src);
    assert_string_equal(hub->seen[0].token, "Bearer hf_secret");
    assert_int_equal(other.n_seen, 2);
    assert_string_equal(other.seen[0].token, "");
    assert_string_equal(other.seen[1].token, "");
    /* a plain URL of another host */
    snprintf(away, sizeof(away), "%s/small", other.url);
    assert_true(fetch_open(away, NULL, &src, &err));
    fetch_close(&src);
    assert_string_equal(other.seen[2].token, "");
    server_stop(&other);
}

static void the_token_is_in_no_message(void **state)
{
    struct server *s = *state;
    static const char *const paths[] = {"/401", "/500", "/cut", "/headers"};

    setenv("HF_ENDPOINT", s->url, 1);
    setenv("HF_TOKEN", "hf_secret", 1);
    for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
        struct fetch_source src = {0};
        struct err err;
        assert_false(open_path(s, paths[p], NULL, &src, &err));
        assert_string_equal(s->seen[s->n_seen - 1].token, "Bearer hf_secret");
        assert_null(strstr(err.title, "secret"));
        for (int i = 0; i < err.n_why; i++)
            assert_null(strstr(err.why[i], "secret"));
        for (int i = 0; i < err.n_fix; i++)
            assert_true(!strstr(err.fix[i].text, "secret") &&
                        !strstr(err.fix[i].command, "secret"));
    }
}

static void texts_are_read_whole_or_not_at_all(void **state)
{
    struct server *s = *state;
    struct err err = {0};
    struct str text = {0};
    char url[128];

    snprintf(url, sizeof(url), "%s/small", s->url);
    assert_true(fetch_text(url, NULL, 10, &text, &err));
    assert_string_equal(text.data, "0123456789");
    assert_string_equal(s->seen[0].range, "");
    assert_false(fetch_text(url, NULL, 9, &text, &err));
    assert_int_equal(err.code, ERR_2005);
    str_finish(&text);
}

/* The two rooms together: a model of 3 GiB behind a URL, of which some megabytes are read. */
static void a_header_is_read_through_http(void **state)
{
    own(own_arena) struct arena arena = {0};
    own(own_gguf_write) struct gguf_write w;
    own(own_str) struct str header = {0};
    struct fetch_source src = {0};
    struct err err = {0};
    struct gguf g;
    struct server s;

    gguf_write_init(&w);
    gguf_write_vocabulary(&w, 150000, 200000);
    gguf_write_tensor(&w, "t", GGUF_TYPE_F32, 1, (uint64_t[]){64});
    assert_true(gguf_write_header(&w, &header));
    str_add_char(&header, '\0', 256);
    struct route model[] = {
        {"/m.gguf",    SERVE_RANGES, header.data, header.len},
        {NULL}
    };
    server_start(&s, model);
    assert_true(open_path(&s, "/m.gguf", NULL, &src, &err));
    struct gguf_source as_gguf = {src.name, src.size_bytes, src.read_at, src.close, src.ctx};
    assert_true(gguf_read(&as_gguf, 0, &arena, &g, &err));
    assert_int_equal(gguf_find(&g, "tokenizer.ggml.tokens")->count, 150000);
    gguf_source_close(&as_gguf);
    assert_true(s.n_seen <= 4);
    server_stop(&s);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, start, stop)
    const struct CMUnitTest tests[] = {
        SERVED(a_file_is_read_by_ranges_over_one_connection),
        SERVED(any_place_can_be_read),
        SERVED(small_and_empty_files_have_their_size),
        SERVED(a_server_that_ignores_ranges_is_cut_off),
        SERVED(answers_that_do_not_add_up_are_refused),
        SERVED(a_file_that_changes_is_refused),
        SERVED(redirects_are_followed_once),
        SERVED(redirects_have_bounds),
        SERVED(a_status_becomes_its_error),
        SERVED(nobody_there_is_an_error),
        SERVED(time_has_a_bound),
        SERVED(bytes_have_a_bound),
        SERVED(only_web_urls_without_users_are_fetched),
        SERVED(the_token_goes_to_the_hub_and_nowhere_else),
        SERVED(the_token_is_in_no_message),
        SERVED(texts_are_read_whole_or_not_at_all),
        SERVED(a_header_is_read_through_http),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
