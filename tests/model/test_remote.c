/* test_remote: models by URL and by hub reference, whole and in shards, from a server of the test's
 * own. */
#include "../fetch/server.h"
#include "make.h"

static char *bodies[4];
static uint64_t sizes[4];
static struct route routes[8];

/* Shard no of count (count 0: a whole model) of a model with two layers, data included. */
static void make_body(int slot, uint16_t no, uint16_t count)
{
    own(own_gguf_write) struct gguf_write w;
    own(own_str) struct str header = {0};
    uint64_t embd[2] = {64, 100}, square[2] = {64, 64};

    gguf_write_init(&w);
    if (no == 0) {
        gguf_write_string(&w, "general.architecture", "llama");
        gguf_write_string(&w, "general.name", count ? "Parts" : "Whole");
        gguf_write_u32(&w, "llama.block_count", 2);
        gguf_write_u32(&w, "llama.context_length", 512);
        gguf_write_u32(&w, "llama.embedding_length", 64);
        gguf_write_u32(&w, "llama.attention.head_count", 4);
        gguf_write_u32(&w, "llama.vocab_size", 100);
        gguf_write_u32(&w, "general.file_type", 1);
    }
    if (count) {
        gguf_write_u16(&w, "split.no", no);
        gguf_write_u16(&w, "split.count", count);
        gguf_write_i32(&w, "split.tensors.count", 3);
    }
    if (no == 0)
        gguf_write_tensor(&w, "token_embd.weight", GGUF_TYPE_F16, 2, embd);
    if (no == 1 || count == 0) {
        gguf_write_tensor(&w, "blk.0.attn_q.weight", GGUF_TYPE_F16, 2, square);
        gguf_write_tensor(&w, "blk.1.attn_q.weight", GGUF_TYPE_F16, 2, square);
    }
    assert_true(gguf_write_header(&w, &header));
    sizes[slot] = header.len + w.data_bytes;
    bodies[slot] = calloc(1, sizes[slot]);
    assert_non_null(bodies[slot]);
    memcpy(bodies[slot], header.data, header.len);
}

static void add_route(int i, const char *path, int slot)
{
    routes[i] = (struct route){
        .path = path, .conduct = SERVE_RANGES, .body = bodies[slot], .size = sizes[slot]};
}

static int start(void **state)
{
    static struct server s;

    unsetenv("HF_TOKEN");
    unsetenv("HF_TOKEN_PATH");
    setenv("HF_HOME", "/nonexistent", 1);
    setenv("no_proxy", "*", 1);
    make_body(0, 0, 0);
    make_body(1, 0, 2);
    make_body(2, 1, 2);
    add_route(0, "/whole.gguf", 0);
    add_route(1, "/parts-00001-of-00002.gguf", 1);
    add_route(2, "/parts-00002-of-00002.gguf", 2);
    add_route(3, "/o/r/resolve/main/whole-F16.gguf", 0);
    routes[4] = (struct route){.path = "/api/models/o/r/tree/main",
                               .conduct = SERVE_WHOLE,
                               .body = "[{\"type\":\"file\",\"path\":\"whole-F16.gguf\"}]"};
    routes[5] = (struct route){.path = "/gone.gguf", .conduct = SERVE_STATUS, .status = 404};
    server_start(&s, routes);
    setenv("HF_ENDPOINT", s.url, 1);
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    for (int i = 0; i < 4; i++)
        free(bodies[i]);
    return 0;
}

static void by_url(void **state)
{
    own(own_arena) struct arena arena = {0};
    const struct server *s = *state;
    struct err err = {0};
    struct model m;
    char url[256];

    snprintf(url, sizeof url, "%s/whole.gguf", s->url);
    if (!open_model(url, NULL, &arena, &m, &err))
        fail_msg("%s", err.title);
    assert_string_equal(m.name, "Whole");
    assert_string_equal(m.path, url);
    assert_int_equal(m.file_bytes, sizes[0]);
    snprintf(url, sizeof url, "%s/gone.gguf", s->url);
    assert_false(open_model(url, NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
}

/* Any part may be named; the layers lie in the second. */
static void in_parts(void **state)
{
    const struct server *s = *state;

    for (int part = 1; part <= 2; part++) {
        own(own_arena) struct arena arena = {0};
        struct err err = {0};
        struct model m;
        char url[256];
        snprintf(url, sizeof url, "%s/parts-%05d-of-00002.gguf", s->url, part);
        if (!open_model(url, NULL, &arena, &m, &err))
            fail_msg("%s", err.title);
        assert_string_equal(m.name, "Parts");
        assert_int_equal(m.n_tensors, 3);
        assert_non_null(model_at(&m, 1, ROLE_ATTN_Q, PART_WEIGHT));
        assert_int_equal(m.file_bytes, sizes[1] + sizes[2]);
    }
}

static void by_reference(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    if (!open_model("hf:o/r:F16", NULL, &arena, &m, &err))
        fail_msg("%s", err.title);
    assert_string_equal(m.quantization, "F16");
    assert_string_equal(m.path, "hf:o/r:F16");
    assert_true(open_model("hf:o/r", "f16", &arena, &m, &err));
    assert_false(open_model("hf:o/r:Q4_K_M", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_url),
        cmocka_unit_test(in_parts),
        cmocka_unit_test(by_reference),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
