/* recipes: the rows: what makes each ordinary transformer family's graph its own (behaviour of
 * llama.cpp src/models/ARCHITECTURE.cpp). */
#include "law/recipe.h"

#include <string.h>

#define NORMAL          .rope = ROPE_KIND_NORM
#define NEOX            .rope = ROPE_KIND_NEOX
#define NO_ROPE         .rope = ROPE_KIND_NONE
#define LAYER_NORM      .norm = NORM_LAYER, .qk_layer_norm = true
#define GATED_SILU      .act = ACT_SILU, .gate = GATE_PAR
#define GATED_GELU      .act = ACT_GELU, .gate = GATE_PAR
#define PLAIN_GELU      .act = ACT_GELU, .gate = GATE_SEQ
#define RELU_SQUARED    .act = ACT_RELU_SQR, .gate = GATE_SEQ
#define MERGED_SWIGLU   .act = ACT_SWIGLU, .gate = GATE_SEQ
#define MOE_SOFTMAX     .moe_norm = MOE_NORM_YES, .moe_gating = GATING_SOFTMAX
#define MOE_SOFTMAX_RAW .moe_norm = MOE_NORM_NO, .moe_gating = GATING_SOFTMAX
#define MOE_AS_MODEL    .moe_norm = MOE_NORM_AS_MODEL
#define GEMMA_POST      .attn_post = POST_PINNED, .ffn_post = POST_FREE
#define POST_ONLY       .no_pre_norm = true, .attn_post = POST_PINNED, .ffn_post = POST_FREE

/* clang-format off */
static const struct recipe recipes[] = {
    {"llama", NORMAL, .factors = true, GATED_SILU, MOE_SOFTMAX},
    {"llama4", NORMAL, .factors = true, .rope_where = ROPE_NOT_EVERY, .qk_norm = QK_BARE_AFTER,
      .temperature = TEMP_NO_ROPE_LAYERS, GATED_SILU, .moe_gating = GATING_SIGMOID,
      .moe_weights_first = true},
    {"mistral3", NORMAL, .factors = true, .temperature = TEMP_IF_SCALED, GATED_SILU, MOE_SOFTMAX},
    {"arcee", NORMAL, .factors = true, RELU_SQUARED},
    {"smollm3", NORMAL, .rope_where = ROPE_NOT_EVERY, GATED_SILU},
    {"xverse", NORMAL, GATED_SILU},
    {"internlm2", NORMAL, GATED_SILU},
    {"baichuan", NORMAL, .rope_where = ROPE_SHORT, GATED_SILU},
    {"maincoder", NORMAL, .qk_norm = QK_HEADS_AFTER, GATED_SILU},
    {"ernie4_5", NORMAL, GATED_SILU},
    {"ernie4_5-moe", NORMAL, GATED_SILU, MOE_SOFTMAX},
    {"deepseek", NORMAL, .factors = true, GATED_SILU, MOE_SOFTMAX_RAW},
    {"bailingmoe", NORMAL, .factors = true, GATED_SILU, .moe_norm = MOE_NORM_AS_MODEL,
      .moe_gating = GATING_SOFTMAX},
    {"bailingmoe2", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_AS_MODEL},
    {"dots1", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_AS_MODEL},
    {"granite", NORMAL, .factors = true, .rope_where = ROPE_IF_FINETUNED, GATED_SILU, MOE_SOFTMAX,
      .logits = LOGITS_SCALE},
    {"granitemoe", NORMAL, .factors = true, .rope_where = ROPE_IF_FINETUNED, GATED_SILU,
      MOE_SOFTMAX, .logits = LOGITS_SCALE},
    {"minicpm", NORMAL, .factors = true, .rope_where = ROPE_IF_FINETUNED, GATED_SILU, MOE_SOFTMAX,
      .logits = LOGITS_SCALE},
    {"chatglm", NORMAL, MERGED_SWIGLU},
    {"glm4", NORMAL, .mrope_if_sections = true, .attn_post = POST_PINNED, .ffn_post = POST_PINNED,
      MERGED_SWIGLU},
    {"glm4moe", NEOX, .mrope_if_sections = true, .qk_norm = QK_HEADS,
      .ffn_norm = ROLE_ATTN_POST_NORM, GATED_SILU, MOE_AS_MODEL},
    {"command-r", NORMAL, LAYER_NORM, .qk_norm = QK_HEADS, .residual = RES_COHERE, GATED_SILU,
      .logits = LOGITS_SCALE_IF},
    {"cohere2", NORMAL, LAYER_NORM, .factors = true, .rope_where = ROPE_WINDOW,
      .residual = RES_COHERE, GATED_SILU, .logits = LOGITS_SCALE_IF},
    {"olmo", NORMAL, LAYER_NORM, GATED_SILU},
    {"olmo2", NEOX, .qk_norm = QK_ROWS, POST_ONLY, GATED_SILU},
    {"olmoe", NEOX, .qk_norm = QK_ROWS, GATED_SILU, MOE_SOFTMAX_RAW},
    {"qwen", NEOX, GATED_SILU},
    {"qwen2", NEOX, GATED_SILU},
    {"qwen2moe", NEOX, GATED_SILU, MOE_SOFTMAX_RAW, .shared = SHARED_GATED},
    {"qwen2vl", .rope = ROPE_KIND_MROPE, GATED_SILU},
    {"paddleocr", .rope = ROPE_KIND_MROPE, GATED_SILU},
    {"qwen3", NEOX, .qk_norm = QK_HEADS, GATED_SILU},
    {"qwen3moe", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX},
    {"qwen3vl", .rope = ROPE_KIND_IMROPE, .deepstack = true, .qk_norm = QK_HEADS, GATED_SILU},
    {"qwen3vlmoe", .rope = ROPE_KIND_IMROPE, .deepstack = true, .qk_norm = QK_HEADS, GATED_SILU,
      MOE_SOFTMAX},
    {"gemma", NEOX, .q_scale = true, .embd_scale = true, GATED_GELU},
    {"gemma2", NEOX, .q_scale = true, .embd_scale = true, .attn_softcap = true, GEMMA_POST,
      GATED_GELU, .final_softcap = SOFTCAP_ALWAYS},
    {"gemma3", NEOX, .qk_norm = QK_HEADS, .q_scale = true, .embd_scale = true, GEMMA_POST,
      GATED_GELU, .final_softcap = SOFTCAP_AS_MODEL},
    {"phi2", NEOX, LAYER_NORM, .q_scale = true, .residual = RES_PHI2, PLAIN_GELU},
    {"phi3", NEOX, .factors = true, .q_scale = true, .ffn_sum_swapped = true, MERGED_SWIGLU,
      MOE_SOFTMAX},
    {"phimoe", NEOX, .factors = true, .q_scale = true, .ffn_sum_swapped = true, MERGED_SWIGLU,
      MOE_SOFTMAX},
    {"stablelm", NEOX, LAYER_NORM, .qk_norm = QK_HEADS, .ffn_norm_optional = true, GATED_SILU},
    {"starcoder", NO_ROPE, LAYER_NORM, .learned_positions = true, PLAIN_GELU},
    {"starcoder2", NEOX, LAYER_NORM, PLAIN_GELU},
    {"codeshell", NEOX, LAYER_NORM, PLAIN_GELU},
    {"gpt2", NO_ROPE, LAYER_NORM, .learned_positions = true, PLAIN_GELU},
    {"gptneox", NEOX, LAYER_NORM, .residual = RES_NEOX, PLAIN_GELU},
    {"mpt", NO_ROPE, LAYER_NORM, .qk_norm = QK_ROWS_BACK, .learned_positions = true, PLAIN_GELU},
    {"bloom", NO_ROPE, LAYER_NORM, .embd_norm = true, PLAIN_GELU},
    {"refact", NO_ROPE, GATED_SILU},
    {"jais", NO_ROPE, LAYER_NORM, GATED_SILU},
    {"jais2", NEOX, LAYER_NORM, RELU_SQUARED},
    {"falcon", NEOX, LAYER_NORM, .residual = RES_FALCON, PLAIN_GELU},
    {"plamo", NEOX, .residual = RES_FALCON, GATED_SILU},
    {"plamo3", NEOX, .qk_norm = QK_HEADS, .attn_post = POST_PINNED, .ffn_post = POST_PINNED,
      MERGED_SWIGLU},
    {"orion", NEOX, LAYER_NORM, GATED_SILU},
    {"nemotron", NEOX, LAYER_NORM, RELU_SQUARED},
    {"exaone", NEOX, .factors = true, GATED_SILU},
    {"exaone4", NEOX, .factors = true, .rope_where = ROPE_WINDOW_ONLY_IF_ANY, .qk_norm = QK_HEADS,
      POST_ONLY, GATED_SILU},
    {"exaone-moe", NEOX, .factors = true, .rope_where = ROPE_WINDOW, .qk_norm = QK_HEADS,
      GATED_SILU, MOE_AS_MODEL},
    {"seed_oss", NEOX, .ffn_norm = ROLE_ATTN_POST_NORM, GATED_SILU},
    {"dbrx", NEOX, LAYER_NORM, .ffn_norm = ROLE_ATTN_OUT_NORM, GATED_SILU, MOE_SOFTMAX},
    {"gpt-oss", NEOX, .ffn_norm = ROLE_ATTN_POST_NORM, .moe_act = ACT_SWIGLU_OAI,
      .moe_gating = GATING_SOFTMAX_WEIGHT, .late_outputs = LATE_BEFORE_NORM},
    {"hunyuan-moe", NEOX, .factors = true, .qk_norm = QK_HEADS_AFTER, GATED_SILU, MOE_SOFTMAX},
    {"hunyuan-dense", NEOX, .mrope_if_sections = true, .factors = true, .qk_norm = QK_HEADS_AFTER,
      GATED_SILU},
    {"hunyuan_vl", NEOX, .mrope_if_sections = true, .factors = true, .qk_norm = QK_HEADS_AFTER,
      GATED_SILU},
    {"hy_v3", NEOX, .factors = true, .qk_norm = QK_HEADS, GATED_SILU, MOE_AS_MODEL,
      .late_outputs = LATE_AFTER_NORM},
    {"minimax-m2", NEOX, .qk_norm = QK_ROWS, GATED_SILU, .moe_norm = MOE_NORM_YES},
    {"pangu-embedded", NEOX, GATED_SILU},
    {"apertus", NEOX, .factors = true, .qk_norm = QK_HEADS, .act = ACT_XIELU, .gate = GATE_SEQ},
    {"bitnet", NEOX, .attn_sub_norm = true, GATED_SILU, .logits_from_embd = true},
    {"openelm", NEOX, .qkv_by_heads = true, .qk_norm = QK_HEADS, .attn_sum_swapped = true,
      GATED_SILU},
    {"smallthinker", NEOX, .rope_where = ROPE_NOT_FIRST, .router_reads_input = true,
      .moe_act = ACT_RELU, .moe_norm = MOE_NORM_YES},
    {"afmoe", NEOX, .attn_post_of_all = true, .rope_where = ROPE_NOT_EVERY,
      .qk_norm = QK_HEADS, .embd_scale = true,
      .attn_gate = ATTN_GATE_SIGMOID, .attn_post = POST_PINNED, .ffn_post = POST_PINNED,
      GATED_SILU, MOE_AS_MODEL},
    {"laguna", NEOX, .qk_norm = QK_HEADS, .attn_gate = ATTN_GATE_SOFTPLUS, GATED_SILU,
      MOE_AS_MODEL},
    {"spark2_5", NEOX, .attn_gate = ATTN_GATE_SIGMOID, GATED_GELU},
    {"muse-glimmer", NORMAL, .rope_where = ROPE_WINDOW, .qk_norm = QK_HEADS,
      .embd_bare_norm = true, .attn_gate = ATTN_GATE_SIGMOID, .attn_post = POST_FREE,
      .attn_post_of_all = true, .ffn_post = POST_FREE, GATED_SILU, .logits = LOGITS_SCALE,
      .final_softcap = SOFTCAP_AS_MODEL},
    {"maple", NEOX, .rope_where = ROPE_WINDOW, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX,
      .moe_no_scale = true},
    {"grok", NEOX, .attn_softcap = true, .attn_post = POST_PINNED,
      .attn_post_role = ROLE_ATTN_OUT_NORM, .ffn_post = POST_PINNED, GATED_GELU,
      .moe_act = ACT_GELU, MOE_SOFTMAX, .dense_beside_experts = true, .logits = LOGITS_SCALE,
      .final_softcap = SOFTCAP_AS_MODEL},
    {"grovemoe", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX, .chunk_experts = true},
    {"granite_swa", NORMAL, .factors = true, .rope_where = ROPE_BY_PATTERN, GATED_SILU,
      MOE_SOFTMAX, .shared_merged = true, .logits = LOGITS_SCALE},
    {"cohere2moe", NORMAL, .norm_as_model = true, .factors = true,
      .rope_where = ROPE_WINDOW_OR_LEAD, .residual = RES_COHERE, GATED_SILU, MOE_AS_MODEL,
      .shared = SHARED_HALVED, .late_outputs = LATE_AFTER_NORM, .logits = LOGITS_SCALE_IF},
    {"step35", NEOX, .factors = true, .factors_full_only = true, .qk_norm = QK_HEADS,
      .attn_gate = ATTN_GATE_SIGMOID, GATED_SILU, MOE_AS_MODEL,
      .late_outputs = LATE_BEFORE_NORM},
    {"cogvlm", NEOX, GATED_SILU, .late_outputs = LATE_NEVER},
    {"dream", NEOX, GATED_SILU},
    {"llada", NORMAL, GATED_SILU},
    {"llada-moe", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX_RAW},
    {"rnd1", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX},
    {"eurobert", NEOX, GATED_SILU, .encoder = true},
    {"gemma-embedding", NEOX, .qk_norm = QK_HEADS, .q_scale = true, .embd_scale = true,
      GEMMA_POST, GATED_GELU, .encoder = true, .window_every = 6},
    {"modern-bert", NEOX, LAYER_NORM, .embd_norm = true, .pre_norm_optional = true,
      .act = ACT_GEGLU, .gate = GATE_SEQ, .encoder = true, .window_every = 3,
      .window_full_first = true},
    {"mellum", NEOX, .qk_norm = QK_HEADS, GATED_SILU, MOE_SOFTMAX},
    {"mimo2", NEOX, GATED_SILU, .moe_norm = MOE_NORM_YES, .moe_gating = GATING_SIGMOID},
};
/* clang-format on */

const struct recipe *recipe_find(const char *architecture)
{
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        if (strcmp(recipes[i].architecture, architecture) == 0)
            return &recipes[i];
    }
    return NULL;
}

const struct recipe *recipe_table(size_t *n)
{
    *n = sizeof recipes / sizeof *recipes;
    return recipes;
}
