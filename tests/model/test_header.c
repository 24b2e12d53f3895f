/* test_header: headers that lie: every hyper-parameter is bounded, every refusal names key and
 * value. */
#include "make.h"
#include "model/family.h"

#include <math.h>

/* A small model of any architecture; `skip` is a key left out, so that a case can put its own
 * there. */
static void base_header(struct gguf_write *w, const char *arch, const char *skip)
{
    static const struct {
        const char *name;
        uint32_t value;
    } keys[] = {
        {"block_count",             4  },
        {"context_length",          512},
        {"embedding_length",        64 },
        {"feed_forward_length",     128},
        {"attention.head_count",    4  },
        {"attention.head_count_kv", 2  },
        {"vocab_size",              100}
    };
    uint64_t embd[2] = {64, 100};
    char name[128];

    gguf_write_init(w);
    gguf_write_string(w, "general.architecture", arch);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(name, sizeof name, "%s.%s", arch, keys[i].name);
        if (!skip || strcmp(skip, keys[i].name) != 0)
            gguf_write_u32(w, name, keys[i].value);
    }
    gguf_write_tensor(w, "token_embd.weight", GGUF_TYPE_F16, 2, embd);
}

static bool open_header(struct gguf_write *w, struct arena *arena, struct model *m, struct err *err)
{
    own(own_arena) struct arena header = {0};
    char path[] = "/tmp/dualgpuopt-header-XXXXXX";
    struct gguf g;
    int fd = mkstemp(path);
    bool ok;

    assert_true(fd >= 0);
    close(fd);
    assert_true(gguf_write_file(w, path, err));
    assert_true(gguf_read_path(path, 0, &header, &g, err));
    ok = model_from_gguf(&g, path, arena, m, err);
    unlink(path);
    gguf_write_finish(w);
    return ok;
}

static void expect_refused(struct gguf_write *w, const char *in_title)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_false(open_header(w, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2003);
    if (!strstr(err.title, in_title))
        fail_msg("\"%s\" does not say \"%s\"", err.title, in_title);
}

static void numbers_out_of_range(void **state)
{
    static const struct {
        const char *key;
        uint32_t value;
        const char *says;
    } cases[] = {
        {"block_count",             0,          "llama.block_count is 0"                     },
        {"block_count",             513,        "llama.block_count is 513"                   },
        {"block_count",             1u << 31,   "llama.block_count is 2147483648"            },
        {"embedding_length",        0,          "llama.embedding_length is 0"                },
        {"embedding_length",        0xffffffff, "llama.embedding_length is 4294967295"       },
        {"context_length",          0xffffffff, "llama.context_length"                       },
        {"attention.head_count",    0,          "llama.attention"                            },
        {"attention.head_count",    0x80000000, "llama.attention.head_count is 2147483648"   },
        {"attention.head_count_kv", 0,          "llama.attention.head_count_kv is 0"         },
        {"attention.head_count_kv", 3,          "llama.attention.head_count 4 is no multiple"},
        {"attention.key_length",    0,          "llama."                                     },
        {"attention.key_length",    0xffffffff, "llama.attention.key_length is 4294967295"   },
        {"rope.dimension_count",    8,          "llama.rope.dimension_count is 8"            },
        {"expert_count",            1025,       "llama.expert_count is 1025"                 },
        {"expert_count",            8,          "llama.expert_used_count is 0 of 8"          },
        {"expert_used_count",       2,          "llama.expert_used_count is 2 of only 0"     },
        {"nextn_predict_layers",    5,          "llama.nextn_predict_layers is 5"            },
        {"feed_forward_length",     0xffffffff, "llama.feed_forward_length is 4294967295"    },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gguf_write w;
        char name[128];
        base_header(&w, "llama", cases[i].key);
        snprintf(name, sizeof name, "llama.%s", cases[i].key);
        gguf_write_u32(&w, name, cases[i].value);
        expect_refused(&w, cases[i].says);
    }
}

static void missing_keys(void **state)
{
    static const char *const keys[] = {"block_count", "context_length", "embedding_length"};

    for (size_t i = 0; i < 3; i++) {
        struct gguf_write w;
        base_header(&w, "llama", keys[i]);
        expect_refused(&w, keys[i]);
    }
}

static void arrays(void **state)
{
    static const int32_t three[] = {2, 2, 2}, bad[] = {2, -1, 2, 2}, huge[] = {2, 2, 1 << 30, 2};
    struct gguf_write w;

    base_header(&w, "llama", "attention.head_count_kv");
    gguf_write_i32_array(&w, "llama.attention.head_count_kv", three, 3);
    expect_refused(&w, "llama.attention.head_count_kv has 3 entries for 4 layers");
    base_header(&w, "llama", "attention.head_count_kv");
    gguf_write_i32_array(&w, "llama.attention.head_count_kv", bad, 4);
    expect_refused(&w, "llama.attention.head_count_kv is -1");
    base_header(&w, "llama", "attention.head_count_kv");
    gguf_write_i32_array(&w, "llama.attention.head_count_kv", huge, 4);
    expect_refused(&w, "llama.attention.head_count_kv is 1073741824");
    base_header(&w, "llama", "block_count");
    gguf_write_i32_array(&w, "llama.block_count", three, 3);
    expect_refused(&w, "llama.block_count is an array");
    base_header(&w, "gemma4", NULL);
    gguf_write_u32(&w, "gemma4.attention.sliding_window", 512);
    gguf_write_u32(&w, "gemma4.attention.sliding_window_pattern", 6);
    expect_refused(&w, "gemma4.attention.sliding_window_pattern is a number");
}

static void floats(void **state)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    struct gguf_write w;

    for (size_t i = 0; i < 3; i++) {
        base_header(&w, "llama", NULL);
        gguf_write_f32(&w, "llama.rope.freq_base", values[i]);
        expect_refused(&w, "llama.rope.freq_base is no finite number");
        base_header(&w, "llama", NULL);
        gguf_write_f32(&w, "llama.attention.scale", values[i]);
        expect_refused(&w, "llama.attention.scale is no finite number");
    }
    base_header(&w, "llama", "block_count");
    gguf_write_f32(&w, "llama.block_count", 4.0f);
    expect_refused(&w, "llama.block_count is no whole number");
}

static void contradictions(void **state)
{
    uint64_t ne[2] = {64, 64}, embd[2] = {32, 100};
    struct gguf_write w;

    base_header(&w, "llama", NULL);
    gguf_write_tensor(&w, "blk.4.attn_q.weight", GGUF_TYPE_F16, 2, ne);
    expect_refused(&w, "blk.4.attn_q.weight belongs to a layer the model does not have");
    base_header(&w, "llama", "embedding_length");
    gguf_write_u32(&w, "llama.embedding_length", 32);
    expect_refused(&w, "token_embd.weight is 64 x 100, not 32 x 100");
    base_header(&w, "gemma3", NULL);
    gguf_write_u32(&w, "gemma3.attention.sliding_window", 512);
    gguf_write_u32(&w, "gemma3.attention.sliding_window_pattern", 1);
    expect_refused(&w, "leaves no layer with a window");
    base_header(&w, "qwen3next", NULL);
    gguf_write_u32(&w, "qwen3next.full_attention_interval", 0);
    expect_refused(&w, "qwen3next.");
    base_header(&w, "mamba", NULL);
    expect_refused(&w, "mamba.ssm.conv_kernel is missing");
    gguf_write_init(&w);
    gguf_write_string(&w, "general.architecture", "clip");
    gguf_write_tensor(&w, "v.patch_embd.weight", GGUF_TYPE_F16, 2, embd);
    expect_refused(&w, "vision projector");
    gguf_write_init(&w);
    gguf_write_tensor(&w, "token_embd.weight", GGUF_TYPE_F16, 2, embd);
    expect_refused(&w, "general.architecture");
    gguf_write_init(&w);
    gguf_write_string(&w, "general.architecture", "llama");
    expect_refused(&w, "holds no tensors");
}

/* What the keys say wins over the family's defaults. */
static void window_keys(void **state)
{
    own(own_arena) struct arena arena = {0};
    static const bool slides[] = {true, false, false, true};
    struct err err = {0};
    struct gguf_write w;
    struct model m;

    base_header(&w, "gemma3", NULL);
    gguf_write_u32(&w, "gemma3.attention.sliding_window", 512);
    gguf_write_bool_array(&w, "gemma3.attention.sliding_window_pattern", slides, 4);
    assert_true(open_header(&w, &arena, &m, &err));
    for (int il = 0; il < 4; il++)
        assert_int_equal(m.layers[il].kv, slides[il] ? KV_WINDOW : KV_FULL);
    base_header(&w, "gemma3", NULL);
    gguf_write_u32(&w, "gemma3.attention.sliding_window", 512);
    gguf_write_u32(&w, "gemma3.attention.sliding_window_pattern", 2);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_WINDOW);
    assert_int_equal(m.layers[1].kv, KV_FULL);
    base_header(&w, "gemma3", NULL);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_FULL);
    base_header(&w, "llama4", NULL);
    gguf_write_u32(&w, "llama4.attention.sliding_window", 0);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_FULL);
    base_header(&w, "gemma2", NULL);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.hp.n_swa, 4096);
    base_header(&w, "llama", NULL);
    gguf_write_u32(&w, "llama.attention.sliding_window", 4096);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_FULL);
}

static void unknown_architecture(void **state)
{
    own(own_arena) struct arena arena = {0};
    static const int32_t heads[] = {2, 0, 2, 0};
    struct err err = {0};
    struct gguf_write w;
    struct model m;

    base_header(&w, "nova9", NULL);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_string_equal(m.architecture, "nova9");
    assert_string_equal(m.family->architecture, "unknown");
    assert_false(model_family_known(m.family));
    assert_int_equal(m.layers[3].kv, KV_FULL);
    assert_int_equal(m.layers[3].n_embd_k, 32);
    base_header(&w, "nova9", "attention.head_count_kv");
    gguf_write_i32_array(&w, "nova9.attention.head_count_kv", heads, 4);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_FULL);
    assert_int_equal(m.layers[1].kv, KV_NONE);
}

static void names_for_people(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf_write w;
    struct model m;

    base_header(&w, "llama", NULL);
    gguf_write_string(&w, "general.name", "Nova");
    gguf_write_string(&w, "general.size_label", "8B");
    gguf_write_u32(&w, "general.file_type", 15);
    assert_true(open_header(&w, &arena, &m, &err));
    assert_string_equal(m.name, "Nova 8B");
    assert_string_equal(m.quantization, "Q4_K_M");
    base_header(&w, "llama", NULL);
    gguf_write_string(&w, "general.name", "Nova 8B\033[31m");
    gguf_write_string(&w, "general.size_label", "8B");
    assert_true(open_header(&w, &arena, &m, &err));
    assert_null(strchr(m.name, '\033'));
    assert_string_equal(m.quantization, "F16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(missing_keys),
        cmocka_unit_test(arrays),
        cmocka_unit_test(floats),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(window_keys),
        cmocka_unit_test(unknown_architecture),
        cmocka_unit_test(names_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
