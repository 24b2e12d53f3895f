/* vllm_make: configurations of well-known models, and cards, for the tests of vLLM's plans. */
#ifndef TESTS_PLAN_VLLM_MAKE_H
#define TESTS_PLAN_VLLM_MAKE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "plan/vllm.h"

#define MAYBE_UNUSED __attribute__((unused))
#define GIB          ((double)((uint64_t)1 << 30))
#define CONFIG(arch, rest) \
    "{\"architectures\":[\"" arch "\"],\"torch_dtype\":\"bfloat16\"," rest "}"
#define SIZES(layers, hidden, heads, kv, ff, vocab, ctx)               \
    "\"num_hidden_layers\":" #layers ",\"hidden_size\":" #hidden       \
    ",\"num_attention_heads\":" #heads ",\"num_key_value_heads\":" #kv \
    ",\"intermediate_size\":" #ff ",\"vocab_size\":" #vocab ",\"max_position_embeddings\":" #ctx

MAYBE_UNUSED static const char llama_8b[] =
    CONFIG("LlamaForCausalLM", SIZES(32, 4096, 32, 8, 14336, 128256, 131072));
MAYBE_UNUSED static const char llama_70b_fp8[] = CONFIG(
    "LlamaForCausalLM",
    SIZES(80, 8192, 64, 8, 28672, 128256,
          131072) ",\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_"
                  "groups\":{\"group_0\":"
                  "{\"weights\":{\"num_bits\":8,\"type\":\"float\",\"strategy\":\"channel\"}}}}");
MAYBE_UNUSED static const char llama_70b_awq[] =
    CONFIG("LlamaForCausalLM", SIZES(80, 8192, 64, 8, 28672, 128256,
                                     131072) ",\"quantization_config\":{\"quant_method\":\"awq\","
                                             "\"bits\":4,\"group_size\":128}");
MAYBE_UNUSED static const char qwen3_06b[] =
    CONFIG("Qwen3ForCausalLM", SIZES(28, 1024, 16, 8, 3072, 151936,
                                     40960) ",\"head_dim\":128,\"tie_word_embeddings\":true");
MAYBE_UNUSED static const char qwen3_32b[] =
    CONFIG("Qwen3ForCausalLM", SIZES(64, 5120, 64, 8, 25600, 151936, 40960) ",\"head_dim\":128");
MAYBE_UNUSED static const char qwen2_72b_gptq[] =
    CONFIG("Qwen2ForCausalLM", SIZES(80, 8192, 64, 8, 29568, 152064,
                                     32768) ",\"quantization_config\":{\"quant_method\":\"gptq\","
                                            "\"bits\":4,\"group_size\":128}");
#define QUANT(rest) ",\"quantization_config\":{" rest "}"
#define AWQ4        QUANT("\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128")
#define GPTQ4       QUANT("\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128")
MAYBE_UNUSED static const char qwen25_vl_72b_awq[] =
    CONFIG("Qwen2_5_VLForConditionalGeneration",
           SIZES(80, 8192, 64, 8, 29568, 152064,
                 128000) AWQ4 ",\"vision_config\":{\"hidden_size\":1280,\"depth\":32,\"num_heads\":"
                              "16,\"intermediate_size\":3456}");
MAYBE_UNUSED static const char qwen2_72b_w8a16[] =
    CONFIG("Qwen2ForCausalLM",
           SIZES(80, 8192, 64, 8, 29568, 152064, 32768)
               QUANT("\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"group_0\":{"
                     "\"weights\":{\"num_bits\":8,\"type\":\"int\",\"strategy\":\"channel\"}}}"));
MAYBE_UNUSED static const char qwen15_14b_gptq[] =
    CONFIG("Qwen2ForCausalLM", SIZES(40, 5120, 40, 40, 13696, 152064, 32768) GPTQ4);
MAYBE_UNUSED static const char llama_33b[] =
    CONFIG("LlamaForCausalLM", SIZES(60, 6656, 52, 52, 17920, 32000, 2048));
MAYBE_UNUSED static const char qwen3_235b_fp8[] =
    CONFIG("Qwen3MoeForCausalLM",
           SIZES(94, 4096, 64, 4, 12288, 151936,
                 40960) ",\"head_dim\":128,\"num_experts\":128,\"num_experts_per_tok\":8,"
                        "\"moe_intermediate_size\":1536,\"decoder_sparse_step\":1"
               QUANT("\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]"));
MAYBE_UNUSED static const char bnb_8b[] =
    CONFIG("LlamaForCausalLM", SIZES(32, 4096, 32, 8, 14336, 128256,
                                     131072) ",\"quantization_config\":{\"quant_method\":"
                                             "\"bitsandbytes\",\"load_in_4bit\":true}");
MAYBE_UNUSED static const char qwen25_7b[] =
    CONFIG("Qwen2ForCausalLM", SIZES(28, 3584, 28, 4, 18944, 152064, 32768));
MAYBE_UNUSED static const char kv4_heads24[] =
    CONFIG("LlamaForCausalLM", SIZES(32, 3072, 24, 4, 8192, 128256, 32768));
MAYBE_UNUSED static const char mistral_small[] =
    "{\"architectures\":[\"Mistral3ForConditionalGeneration\"],\"torch_dtype\":\"bfloat16\",\"text_"
    "config\":{" SIZES(40, 5120, 32, 8, 32768, 131072,
                       131072) ",\"head_dim\":128,\"tie_word_embeddings\":false},"
                               "\"tie_word_embeddings\":false,\"vision_config\":{\"hidden_size\":"
                               "1024,\"num_hidden_layers\":24,"
                               "\"num_attention_heads\":16,\"intermediate_size\":4096}}";
#define GPT_OSS(layers, experts)                                                                   \
    CONFIG("GptOssForCausalLM", SIZES(layers, 2880, 64, 8, 2880, 201088,                           \
                                      131072) ",\"head_dim\":64,\"sliding_window\":128,\"sliding_" \
                                              "window_pattern\":2,\"num_local_experts\":" #experts \
                                              ",\"num_experts_per_tok\":4,\"quantization_"         \
                                              "config\":{\"quant_method\":\"mxfp4\"}")
MAYBE_UNUSED static const char gpt_oss_20b[] = GPT_OSS(24, 32), gpt_oss_120b[] = GPT_OSS(36, 128);

static inline struct hub_model make_hub(const char *config, struct arena *arena)
{
    struct hub_config c;
    struct hub_model m = {0};
    struct err err = {0};
    if (!hub_read_config("config.json", config, strlen(config), &c, &err) ||
        !hub_layout_make("config.json", &c, NULL, arena, &m, &err))
        fail_msg("%s", err.title);
    return m;
}

static inline void add_card(struct machine *m, double total_gib, double free_gib, uint32_t cc,
                            double gbs)
{
    struct device *d = &m->devices[m->n_devices];
    *d = (struct device){.index = (int)m->n_devices,
                         .name = "card",
                         .total_bytes = (uint64_t)(total_gib * GIB),
                         .free_bytes = (uint64_t)(free_gib * GIB),
                         .cc_major = cc / 10,
                         .cc_minor = cc % 10,
                         .bandwidth_gbs = gbs,
                         .simulated = true};
    m->n_devices++;
}

#endif
