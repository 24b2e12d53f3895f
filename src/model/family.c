/* family: the table of architectures, after llama.cpp's src/llama-arch.cpp and src/models/ (names
 * and behaviour). */
#include "model/family.h"

#include <string.h>

#define ROW(name, title, layers, window, state, every, swa, gating, split, flags)              \
    {                                                                                          \
        name, title, RULE_##layers, WINDOW_##window, STATE_##state, every, swa, gating, split, \
            flags                                                                              \
    }
#define FULL(name, title)        ROW(name, title, ALL_FULL, NEVER, NONE, 0, 0, 0, true, 0)
#define FULL_MIRROR(name, title) ROW(name, title, ALL_FULL, NEVER, NONE, 0, 0, 0, false, 0)
#define NO_CACHE(name, title)    ROW(name, title, NO_CACHE, NEVER, NONE, 0, 0, 0, true, 0)

/* Columns: architecture, title, layers, window, state, every, swa_default, gating, tensor_split,
 * flags. */
/* clang-format off */
const struct model_family model_families[] = {
    FULL("llama", "Llama"),
    ROW("llama4", "Llama 4", CHUNKED_EVERY, ALWAYS, NONE, 4, 8192, 0, true, 0),
    FULL("deci", "DeciLM and Nemotron NAS"),
    FULL("falcon", "Falcon"),
    ROW("falcon-h1", "Falcon H1", HYBRID_ALL, NEVER, SSM, 0, 0, 0, false, 0),
    FULL_MIRROR("grok", "Grok"),
    FULL("gpt2", "GPT-2"),
    FULL("gptneox", "GPT-NeoX and Pythia"),
    FULL_MIRROR("mpt", "MPT"),
    FULL("baichuan", "Baichuan"),
    FULL("starcoder", "StarCoder"),
    FULL("starcoder2", "StarCoder 2"),
    FULL("refact", "Refact"),
    FULL("bloom", "BLOOM"),
    FULL("stablelm", "StableLM"),
    FULL("qwen", "Qwen"),
    FULL("qwen2", "Qwen 2 and 2.5"),
    FULL("qwen2moe", "Qwen 2 MoE"),
    FULL("qwen2vl", "Qwen 2 VL"),
    FULL("qwen3", "Qwen 3"),
    FULL("qwen3moe", "Qwen 3 MoE"),
    FULL("qwen3vl", "Qwen 3 VL"),
    FULL("qwen3vlmoe", "Qwen 3 VL MoE"),
    ROW("qwen3next", "Qwen 3 Next", RECURRENT_EXCEPT_EVERY, NEVER, SSM, 4, 0, 0, true, 0),
    ROW("qwen35", "Qwen 3.5", RECURRENT_EXCEPT_EVERY, NEVER, SSM, 4, 0, 0, true, 0),
    ROW("qwen35moe", "Qwen 3.5 MoE", RECURRENT_EXCEPT_EVERY, NEVER, SSM, 4, 0, 0, true, 0),
    FULL("phi2", "Phi 2"),
    FULL("phi3", "Phi 3 and 4"),
    FULL("phimoe", "Phi 3.5 MoE"),
    FULL("plamo", "PLaMo"),
    ROW("plamo2", "PLaMo 2", RECURRENT_IF_NO_KV, NEVER, SSM, 0, 0, 0, false, 0),
    ROW("plamo3", "PLaMo 3", SWA_EVERY, IF_KEY, NONE, 8, 0, 0, true, 0),
    FULL("codeshell", "CodeShell"),
    FULL("orion", "Orion"),
    FULL("internlm2", "InternLM 2 and 3"),
    FULL("minicpm", "MiniCPM"),
    FULL_MIRROR("minicpm3", "MiniCPM 3"),
    FULL("gemma", "Gemma"),
    ROW("gemma2", "Gemma 2", SWA_EVERY, ALWAYS, NONE, 2, 4096, 0, true, 0),
    ROW("gemma3", "Gemma 3", SWA_EVERY, IF_KEY, NONE, 6, 0, 0, true, 0),
    ROW("gemma3n", "Gemma 3n", SWA_EVERY, ALWAYS, NONE, 5, 0, 0, false, FAMILY_SHARES_KV),
    ROW("gemma4", "Gemma 4", SWA_ARRAY, ALWAYS, NONE, 0, 0, 0, true, FAMILY_SHARES_KV),
    NO_CACHE("gemma-embedding", "Gemma Embedding"),
    ROW("mamba", "Mamba", ALL_RECURRENT, NEVER, SSM, 0, 0, 0, false, 0),
    ROW("mamba2", "Mamba 2", ALL_RECURRENT, NEVER, SSM, 0, 0, 0, false, 0),
    ROW("maple", "Maple", SWA_ARRAY, ALWAYS, NONE, 0, 0, 0, true, 0),
    ROW("jamba", "Jamba", RECURRENT_IF_NO_KV, NEVER, SSM, 0, 0, 0, false, 0),
    FULL("xverse", "XVERSE"),
    FULL("command-r", "Command R"),
    ROW("cohere2", "Command R7B and A", SWA_EVERY, ALWAYS, NONE, 4, 0, 0, true, 0),
    ROW("cohere2moe", "Cohere 2 MoE", SWA_EVERY_FIRST, ALWAYS, NONE, 4, 0, 2, true, 0),
    FULL("dbrx", "DBRX"),
    FULL("olmo", "OLMo"),
    ROW("olmo2", "OLMo 2 and 3", SWA_EVERY, IF_KEY, NONE, 4, 0, 0, false, 0),
    FULL_MIRROR("olmoe", "OLMoE"),
    ROW("muse-glimmer", "Muse Glimmer", SWA_EVERY, ALWAYS, NONE, 4, 0, 0, true, 0),
    FULL("openelm", "OpenELM"),
    FULL("arctic", "Arctic"),
    FULL("deepseek", "DeepSeek MoE"),
    ROW("deepseek2", "DeepSeek 2 and 3", ALL_FULL, NEVER, NONE, 0, 0, 1, false, FAMILY_MLA),
    ROW("deepseek2-ocr", "DeepSeek OCR", ALL_FULL, NEVER, NONE, 0, 0, 1, true, 0),
    ROW("deepseek32", "DeepSeek 3.2", ALL_FULL, NEVER, NONE, 0, 0, 0, false, FAMILY_MLA),
    FULL("chatglm", "ChatGLM and GLM 4"),
    FULL("glm4", "GLM 4"),
    ROW("glm4moe", "GLM 4.5 and 4.6", ALL_FULL, NEVER, NONE, 0, 0, 2, true, 0),
    ROW("glm-dsa", "GLM 5", ALL_FULL, NEVER, NONE, 0, 0, 2, false, FAMILY_MLA),
    FULL_MIRROR("bitnet", "BitNet"),
    FULL("jais", "Jais"),
    FULL("jais2", "Jais 2"),
    FULL("nemotron", "Nemotron"),
    ROW("nemotron_h", "Nemotron H", RECURRENT_IF_NOTHING, NEVER, SSM, 0, 0, 0, false, 0),
    ROW("nemotron_h_moe", "Nemotron H MoE", RECURRENT_IF_NOTHING, NEVER, SSM, 0, 0, 0, false, 0),
    FULL("exaone", "EXAONE"),
    ROW("exaone4", "EXAONE 4", SWA_EVERY, ALWAYS, NONE, 4, 4096, 0, true, 0),
    ROW("exaone-moe", "EXAONE MoE", SWA_EVERY, ALWAYS, NONE, 4, 0, 0, true, 0),
    ROW("rwkv6", "RWKV 6", ALL_RECURRENT, NEVER, RWKV, 0, 0, 0, true, 0),
    ROW("rwkv6qwen2", "RWKV 6 of Qwen 2", ALL_RECURRENT, NEVER, RWKV, 0, 0, 0, true, 0),
    ROW("rwkv7", "RWKV 7", ALL_RECURRENT, NEVER, RWKV, 0, 0, 0, true, 0),
    ROW("arwkv7", "ARWKV 7", ALL_RECURRENT, NEVER, RWKV, 0, 0, 0, true, 0),
    FULL("granite", "Granite"),
    FULL("granitemoe", "Granite MoE"),
    ROW("granitehybrid", "Granite 4 hybrid", RECURRENT_IF_NO_KV, NEVER, SSM, 0, 0, 0, false, 0),
    ROW("granite_swa", "Granite with windows", SWA_ARRAY, ALWAYS, NONE, 0, 0, 0, true, 0),
    FULL("chameleon", "Chameleon"),
    FULL("plm", "PLM"),
    FULL("bailingmoe", "Ling"),
    FULL("bailingmoe2", "Ling 2"),
    ROW("bailingmoe3", "Ling 3", RECURRENT_IF_NO_KV, NEVER, KDA, 0, 0, 0, false, FAMILY_MLA),
    FULL("dots1", "dots.llm1"),
    FULL("arcee", "Arcee"),
    ROW("afmoe", "AFMoE", SWA_EVERY, IF_KEY, NONE, 4, 0, 2, true, 0),
    ROW("laguna", "Laguna", SWA_EVERY_FIRST, IF_KEY, NONE, 4, 0, 2, true, 0),
    FULL("ernie4_5", "ERNIE 4.5"),
    FULL("ernie4_5-moe", "ERNIE 4.5 MoE"),
    FULL("paddleocr", "PaddleOCR VL"),
    FULL("hunyuan-moe", "Hunyuan MoE"),
    FULL("hunyuan-dense", "Hunyuan"),
    FULL("hunyuan_vl", "Hunyuan VL"),
    ROW("hy_v3", "Hunyuan 3", ALL_FULL, NEVER, NONE, 0, 0, 2, true, 0),
    FULL("smollm3", "SmolLM 3"),
    ROW("gpt-oss", "gpt-oss", SWA_EVERY, ALWAYS, NONE, 2, 0, 0, true, 0),
    ROW("lfm2", "LFM 2", RECURRENT_IF_NO_KV, IF_KEY, SHORTCONV, 0, 0, 0, true, 0),
    ROW("lfm2moe", "LFM 2 MoE", RECURRENT_IF_NO_KV, NEVER, SHORTCONV, 0, 0, 0, true, 0),
    ROW("smallthinker", "SmallThinker", SWA_EVERY_FIRST, IF_KEY, NONE, 4, 4096, 0, true, 0),
    FULL("seed_oss", "Seed OSS"),
    FULL("grovemoe", "GroveMoE"),
    FULL("apertus", "Apertus"),
    ROW("minimax-01", "MiniMax 01", RECURRENT_EXCEPT_EVERY, NEVER, LINEAR, 8, 0, 0, false, 0),
    FULL_MIRROR("minimax-m2", "MiniMax M2"),
    FULL("cogvlm", "CogVLM"),
    FULL("pangu-embedded", "Pangu Embedded"),
    FULL("mistral3", "Ministral 3"),
    ROW("mistral4", "Mistral 4", ALL_FULL, NEVER, NONE, 0, 0, 1, false, FAMILY_MLA),
    ROW("mimo2", "MiMo 2", SWA_ARRAY, ALWAYS, NONE, 0, 0, 0, true, 0),
    ROW("step35", "Step 3.5", SWA_ARRAY, ALWAYS, NONE, 0, 0, 2, true, 0),
    ROW("spark2_5", "Spark 2.5", SWA_ARRAY, ALWAYS, NONE, 0, 0, 0, true, 0),
    ROW("mellum", "Mellum", SWA_EVERY, IF_KEY, NONE, 4, 0, 0, true, 0),
    FULL("maincoder", "Maincoder"),
    ROW("kimi-linear", "Kimi Linear", RECURRENT_IF_NO_KV, NEVER, KDA, 0, 0, 0, false, FAMILY_MLA),
    ROW("kimi-k3", "Kimi K3", RECURRENT_IF_NO_KV, NEVER, KDA, 0, 0, 0, false, FAMILY_MLA),
    FULL("talkie", "Talkie"),
    NO_CACHE("bert", "BERT"),
    NO_CACHE("modern-bert", "ModernBERT"),
    NO_CACHE("nomic-bert", "Nomic BERT"),
    NO_CACHE("nomic-bert-moe", "Nomic BERT MoE"),
    NO_CACHE("neo-bert", "NeoBERT"),
    NO_CACHE("jina-bert-v2", "Jina BERT 2"),
    NO_CACHE("jina-bert-v3", "Jina BERT 3"),
    NO_CACHE("eurobert", "EuroBERT"),
    FULL("llama-embed", "Llama Embed"),
    NO_CACHE("dream", "Dream"),
    NO_CACHE("llada", "LLaDA"),
    NO_CACHE("llada-moe", "LLaDA MoE"),
    NO_CACHE("rnd1", "RND1"),
    ROW("unknown", "unknown architecture", GUESS, IF_KEY, SSM, 0, 0, 0, true, FAMILY_MLA),
};
/* clang-format on */

const size_t model_family_count = sizeof model_families / sizeof *model_families;

const struct model_family *model_family_find(const char *architecture)
{
    size_t last = model_family_count - 1;

    for (size_t i = 0; architecture && i < last; i++) {
        if (!strcmp(model_families[i].architecture, architecture))
            return &model_families[i];
    }
    return &model_families[last];
}

bool model_family_known(const struct model_family *family)
{
    return family != &model_families[model_family_count - 1];
}
