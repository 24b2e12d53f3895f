/* test_hub_remote: safetensors models by hub reference from a server of the test's own; headers
 * only. */
#include "../fetch/server.h"
#include "make.h"
#include "model/hub_layout.h"

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"num_hidden_layers\":1,\"num_"
    "attention_heads\":4,"
    "\"vocab_size\":100,\"intermediate_size\":128,\"tie_word_embeddings\":true}";
static const char index_text[] =
    "{\"weight_map\":{\"model.embed_tokens.weight\":\"model-1.safetensors\","
    "\"model.layers.0.self_attn.q_proj.weight\":\"model-2.safetensors\"}}";
static const char up_text[] = "{\"weight_map\":{\"a\":\"../../other/model.safetensors\"}}";

/* length, header, data */
static char *body(const char *json, uint64_t data, uint64_t *size)
{
    size_t len = strlen(json);
    *size = 8 + len + data;
    char *b = calloc(1, *size);
    assert_non_null(b);
    b[0] = (char)len;
    memcpy(b + 8, json, len);
    return b;
}

static struct route routes[8];

static void add(int i, const char *path, const char *text, uint64_t size)
{
    routes[i] = (struct route){.path = path, .conduct = SERVE_RANGES, .body = text, .size = size};
}

static int start(void **state)
{
    static struct server s;
    uint64_t one, two;
    char *a = body("{\"model.embed_tokens.weight\":{\"dtype\":\"BF16\",\"shape\":[100,64],\"data_"
                   "offsets\":[0,12800]}}",
                   12800, &one);
    char *b =
        body("{\"model.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[64,64],"
             "\"data_offsets\":[0,8192]}}",
             8192, &two);
    unsetenv("HF_TOKEN");
    unsetenv("HF_TOKEN_PATH");
    setenv("HF_HOME", "/nonexistent", 1);
    setenv("no_proxy", "*", 1);
    add(0, "/me/set/resolve/main/config.json", config, 0);
    add(1, "/me/set/resolve/main/model.safetensors.index.json", index_text, 0);
    add(2, "/me/set/resolve/main/model-1.safetensors", a, one);
    add(3, "/me/set/resolve/main/model-2.safetensors", b, two);
    add(4, "/me/bare/resolve/main/config.json", config, 0);
    add(5, "/me/up/resolve/main/config.json", config, 0);
    add(6, "/me/up/resolve/main/model.safetensors.index.json", up_text, 0);
    server_start(&s, routes);
    setenv("HF_ENDPOINT", s.url, 1);
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    free((char *)routes[2].body);
    free((char *)routes[3].body);
    return 0;
}

static void a_set(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model h;
    struct err err = {0};
    (void)state;
    if (!hub_open("hf:me/set", &arena, &h, &err))
        fail_msg("%s", err.title);
    assert_true(h.from_headers);
    assert_string_equal(h.name, "set");
    assert_int_equal(h.embed_bytes, 12800);
    assert_int_equal(h.layers[0].bytes.split, 8192);
}

static void without_weights(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model h;
    struct err err = {0};
    (void)state;
    if (!hub_open("hf:me/bare", &arena, &h, &err))
        fail_msg("%s", err.title);
    assert_false(h.from_headers);
    assert_int_equal(h.embed_bytes, 12800);
}

static void refused(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model h;
    struct err err = {0};
    (void)state;
    assert_false(hub_open("hf:me/up", &arena, &h, &err));
    assert_int_equal(err.code, ERR_2009);
    assert_false(hub_open("hf:me/none", &arena, &h, &err));
    assert_int_equal(err.code, ERR_2001);
    assert_false(hub_open("hf:me/set:Q4_K_M", &arena, &h, &err));
    assert_int_equal(err.code, ERR_9002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_set), cmocka_unit_test(without_weights),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, start, stop);
}
