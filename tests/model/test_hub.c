/* test_hub: config.json and safetensors headers of the hub's layout, real files, good and broken.
 */
#include <sys/stat.h>

#include "make.h"
#include "model/hub_layout.h"

static const char tiny[] =
    "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"torch_dtype\":"
    "\"bfloat16\","
    "\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":"
    "2,"
    "\"intermediate_size\":128,\"vocab_size\":1000,\"max_position_embeddings\":512}";

static void put(const char *dir, const char *name, const char *text, size_t len)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

/* The tensors from one to the other index as a file; its data is a hole. */
static void put_tensors(const char *dir, const char *name, const struct safetensors *st,
                        uint32_t from, uint32_t to)
{
    own(own_str) struct str json = {0};
    unsigned char len[8];
    char path[256];
    uint64_t at = 0;
    str_add(&json, "{");
    for (uint32_t i = from; i < to; i++) {
        const struct safetensors_tensor *t = &st->tensors[i];
        str_addf(&json, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i > from ? "," : "", t->name,
                 safetensors_type_name(t->type));
        for (int d = 0; d < t->n_dims; d++)
            str_addf(&json, "%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        str_addf(&json, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                 (unsigned long long)(at + t->bytes));
        at += t->bytes;
    }
    str_add(&json, "}");
    for (int i = 0; i < 8; i++)
        len[i] = (unsigned char)((uint64_t)json.len >> (8 * i));
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(len, 1, 8, f);
    fwrite(json.data, 1, json.len, f);
    fclose(f);
    assert_int_equal(truncate(path, (off_t)(8 + json.len + at)), 0);
}

static void config_alone(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model h;
    struct model m;
    struct err err = {0};
    char *dir = make_dir();
    (void)state;
    assert_false(hub_is_layout(dir));
    put(dir, "config.json", tiny, sizeof(tiny) - 1);
    assert_true(hub_is_layout(dir));
    assert_true(hub_open(dir, &arena, &h, &err));
    assert_false(h.from_headers);
    assert_int_equal(h.embed_bytes, 1000 * 64 * 2);
    assert_int_equal(h.head_bytes, 1000 * 64 * 2);
    assert_int_equal(h.layers[0].bytes.kv, 2 * 32 * (64 + 1) * 2);
    assert_int_equal(h.layers[0].bytes.all, 2 * 64 * 2);
    assert_int_equal(h.layers[0].bytes.split, (64 * 64 * 2 + 64 + 3 * 64 * 128) * 2);
    assert_true(hub_to_model(&h, &arena, &m, &err));
    assert_string_equal(m.architecture, "qwen2");
    assert_string_equal(m.quantization, "BF16");
    assert_int_equal(m.n_layers, 2);
    assert_int_equal(m.layers[1].n_embd_k, 32);
    assert_int_equal(m.parameters,
                     2 * 1000 * 64 + 64 +
                         2 * (64 * 64 * 2 + 64 + 3 * 64 * 128 + 2 * 32 * 65 + 2 * 64));
    make_dir_remove(dir);
}

/* The same bytes by the headers of one file, of a set, and by computing. */
static void headers_agree(void **state)
{
    own(own_arena) struct arena arena = {0};
    own(own_str) struct str index = {0};
    struct hub_model computed, single, set;
    struct hub_config c;
    struct safetensors shape;
    struct err err = {0};
    char *dir = make_dir(), path[256];
    (void)state;
    put(dir, "config.json", tiny, sizeof(tiny) - 1);
    assert_true(hub_open(dir, &arena, &computed, &err));
    c = computed.config;
    assert_true(hub_shape(&c, &arena, &shape, &err));
    put_tensors(dir, "model.safetensors", &shape, 0, shape.n_tensors);
    if (!hub_open(dir, &arena, &single, &err))
        fail_msg("%s", err.title);
    assert_true(single.from_headers);
    put_tensors(dir, "model-00001-of-00002.safetensors", &shape, 0, 7);
    put_tensors(dir, "model-00002-of-00002.safetensors", &shape, 7, shape.n_tensors);
    str_add(&index, "{\"weight_map\":{");
    for (uint32_t i = 0; i < shape.n_tensors; i++)
        str_addf(&index, "%s\"%s\":\"model-0000%d-of-00002.safetensors\"", i ? "," : "",
                 shape.tensors[i].name, i < 7 ? 1 : 2);
    str_add(&index, "}}");
    put(dir, "model.safetensors.index.json", index.data, index.len);
    if (!hub_open(dir, &arena, &set, &err))
        fail_msg("%s", err.title);
    for (uint32_t i = 0; i < 2; i++) {
        assert_memory_equal(&single.layers[i].bytes, &computed.layers[i].bytes,
                            sizeof(single.layers[i].bytes));
        assert_memory_equal(&set.layers[i].bytes, &computed.layers[i].bytes,
                            sizeof(set.layers[i].bytes));
    }
    assert_int_equal(set.parameters, computed.parameters);
    snprintf(path, sizeof(path), "%s/model-00002-of-00002.safetensors", dir);
    assert_int_equal(unlink(path), 0);
    assert_false(hub_open(dir, &arena, &set, &err));
    assert_int_equal(err.code, ERR_2001);
    make_dir_remove(dir);
}

static bool read_config(const char *text, struct hub_config *c, struct err *err)
{
    *err = (struct err){0};
    return hub_read_config("config.json", text, strlen(text), c, err);
}

#define BASE \
    "\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"vocab_size\":1000"

static void kinds(void **state)
{
    static const struct {
        const char *text;
        uint8_t kind[4];
    } cases[] = {
        {"{\"architectures\":[\"Gemma2ForCausalLM\"],\"sliding_window\":4096," BASE "}",
         {HUB_WINDOW, HUB_FULL, HUB_WINDOW, HUB_FULL}                                        },
        {"{\"architectures\":[\"MistralForCausalLM\"],\"sliding_window\":4096," BASE "}",
         {HUB_WINDOW, HUB_WINDOW, HUB_WINDOW, HUB_WINDOW}                                    },
        {"{\"architectures\":[\"MistralForCausalLM\"],\"sliding_window\":null," BASE "}", {0}},
        {"{\"architectures\":[\"Qwen2ForCausalLM\"],\"sliding_window\":4096,\"use_sliding_window\":"
         "false," BASE "}",
         {0}                                                                   },
        {"{\"architectures\":[\"GptOssForCausalLM\"],\"sliding_window\":128,\"layer_types\":["
         "\"sliding_attention\","
         "\"full_attention\",\"sliding_attention\",\"full_attention\"]," BASE "}",
         {HUB_WINDOW, HUB_FULL, HUB_WINDOW, HUB_FULL}               },
        {"{\"architectures\":[\"DeepseekV3ForCausalLM\"],\"kv_lora_rank\":512,\"qk_rope_head_dim\":"
         "64," BASE "}",
         {HUB_LATENT, HUB_LATENT, HUB_LATENT, HUB_LATENT}                       },
        {"{\"architectures\":[\"Qwen3NextForCausalLM\"],\"full_attention_interval\":4," BASE "}",
         {HUB_STATE, HUB_STATE, HUB_STATE, HUB_FULL}                                    },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hub_config c;
        struct err err;
        if (!read_config(cases[i].text, &c, &err))
            fail_msg("%s", err.title);
        assert_memory_equal(c.kind, cases[i].kind, 4);
    }
}

static void quantisation(void **state)
{
    static const struct {
        const char *q;
        enum hub_quant quant;
        uint32_t bits, group;
    } cases[] = {
        {"{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128}",   HUB_AWQ,   4,                                           128                             },
        {"{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":-1}",   HUB_GPTQ,  8,                                           0                               },
        {"{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}", HUB_FP8,   8,                                           0                               },
        {"{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}",  HUB_BNB,   4,                                           0                               },
        {"{\"quant_method\":\"mxfp4\"}",                               HUB_MXFP4, 0,                                           0                               },
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"group_0\":{\"weights\":{"
         "\"num_bits\":4,"
         "\"type\":\"int\",\"group_size\":32}}}}",                                                             HUB_COMPRESSED,                                4, 32},
        {"{\"quant_method\":\"new-one\"}",                                                            HUB_OTHER,                                      0,             0      },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hub_config c;
        struct err err;
        char text[512];
        snprintf(text, sizeof(text), "{" BASE ",\"quantization_config\":%s}", cases[i].q);
        if (!read_config(text, &c, &err))
            fail_msg("%s", err.title);
        assert_int_equal(c.quant, cases[i].quant);
        assert_int_equal(c.bits, cases[i].bits);
        assert_int_equal(c.group, cases[i].group);
    }
}

static void broken(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"",                                                                         "not the JSON object"         },
        {"[]",                                                                       "not the JSON object"         },
        {"{" BASE "} x",                                                             "not the JSON object"         },
        {"{\"hidden_size\":64}",                                                     "num_hidden_layers is missing"},
        {"{" BASE ",\"num_key_value_heads\":3}",                                     "cannot share 3"              },
        {"{" BASE ",\"num_key_value_heads\":0}",                                     "cannot share 0"              },
        {"{" BASE ",\"num_hidden_layers\":100000}",                                  "from 0 to 512"               },
        {"{" BASE ",\"vocab_size\":-1}",                                             "whole number"                },
        {"{" BASE ",\"head_dim\":\"x\"}",                                            "whole number"                },
        {"{" BASE ",\"layer_types\":[\"full_attention\"]}",                          "layer_types"                 },
        {"{" BASE ",\"layer_types\":[\"a\",\"b\",\"c\",\"d\"]}",                     "layer_types"                 },
        {"{" BASE ",\"hidden_size\":2}",                                             "heads of size 0"             },
        {"{" BASE ",\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":0}}",
         "weights of 0 bits"                                                                                       },
        {"{\"architectures\":[\"JambaForCausalLM\"]," BASE "}",                      "no law"                      },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hub_config c;
        struct err err;
        if (read_config(cases[i].text, &c, &err) || err.code != ERR_2003 ||
            !strstr(err.title, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.title);
    }
}

/* DeepSeek V3 from its configuration alone: 671 billion parameters. */
static void large_moe(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_config c;
    struct hub_model h;
    struct err err;
    (void)state;
    assert_true(read_config("{\"architectures\":[\"DeepseekV3ForCausalLM\"],\"hidden_size\":7168,"
                            "\"num_hidden_layers\":61,"
                            "\"num_attention_heads\":128,\"num_key_value_heads\":128,\"vocab_"
                            "size\":129280,\"intermediate_size\":18432,"
                            "\"moe_intermediate_size\":2048,\"n_routed_experts\":256,\"n_shared_"
                            "experts\":1,\"num_experts_per_tok\":8,"
                            "\"first_k_dense_replace\":3,\"q_lora_rank\":1536,\"kv_lora_rank\":512,"
                            "\"qk_nope_head_dim\":128,"
                            "\"qk_rope_head_dim\":64,\"v_head_dim\":128,\"max_position_"
                            "embeddings\":163840,\"quantization_config\":"
                            "{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}",
                            &c, &err));
    assert_true(hub_layout_make("v3", &c, NULL, &arena, &h, &err));
    assert_true(h.parameters > 670000000000ull && h.parameters < 672000000000ull);
    assert_false(h.layers[2].moe);
    assert_true(h.layers[3].moe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_alone), cmocka_unit_test(headers_agree),
        cmocka_unit_test(kinds),        cmocka_unit_test(quantisation),
        cmocka_unit_test(broken),       cmocka_unit_test(large_moe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
