/* hub_config: reads config.json of the hub's layout, every number with its bounds, strictly. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "model/hub_layout.h"

typedef struct json_object json_t;

struct source {
    const char *name;
    json_t *root, *text; /* text: where the language model's numbers stand */
    struct err *err;
    bool failed;
};

enum arch_flag {
    QK_NORM = 1,
    QKV_BIAS = 2,
    WINDOW_ALL = 4,
    WINDOW_EVEN = 8,
    WINDOW_SIX = 16,
    WINDOW_FOUR = 32,
    HEAD_256 = 64,
    TIED = 128,
    NO_PIPELINE = 256,
    CHUNKED = 512,
    WINDOW_ASKED = 1024
};

/* What the class says and config.json does not (transformers and vllm/model_executor/models,
 * behaviour). */
static const struct {
    const char *name;
    uint32_t flags;
} archs[] = {
    {"LlamaForCausalLM",                   0                                     },
    {"MistralForCausalLM",                 WINDOW_ALL                            },
    {"Mistral3ForConditionalGeneration",   0                                     },
    {"PixtralForConditionalGeneration",    0                                     },
    {"MixtralForCausalLM",                 WINDOW_ALL                            },
    {"Qwen2ForCausalLM",                   QKV_BIAS | WINDOW_ASKED               },
    {"Qwen2MoeForCausalLM",                QKV_BIAS | WINDOW_ASKED               },
    {"Qwen2VLForConditionalGeneration",    QKV_BIAS | WINDOW_ASKED               },
    {"Qwen2_5_VLForConditionalGeneration", QKV_BIAS | WINDOW_ASKED               },
    {"Qwen3ForCausalLM",                   QK_NORM | WINDOW_ASKED                },
    {"Qwen3MoeForCausalLM",                QK_NORM | WINDOW_ASKED                },
    {"Qwen3NextForCausalLM",               QK_NORM                               },
    {"Qwen3VLForConditionalGeneration",    QK_NORM                               },
    {"Qwen3VLMoeForConditionalGeneration", QK_NORM                               },
    {"GemmaForCausalLM",                   HEAD_256 | TIED                       },
    {"Gemma2ForCausalLM",                  HEAD_256 | TIED | WINDOW_EVEN         },
    {"Gemma3ForCausalLM",                  HEAD_256 | TIED | WINDOW_SIX | QK_NORM},
    {"Gemma3ForConditionalGeneration",     HEAD_256 | TIED | WINDOW_SIX | QK_NORM},
    {"Phi3ForCausalLM",                    WINDOW_ALL                            },
    {"PhiMoEForCausalLM",                  WINDOW_ALL                            },
    {"DeepseekV2ForCausalLM",              0                                     },
    {"DeepseekV3ForCausalLM",              0                                     },
    {"KimiK2ForCausalLM",                  0                                     },
    {"GptOssForCausalLM",                  QKV_BIAS                              },
    {"Glm4ForCausalLM",                    QKV_BIAS                              },
    {"Glm4MoeForCausalLM",                 QKV_BIAS                              },
    {"Cohere2ForCausalLM",                 TIED | WINDOW_FOUR                    },
    {"CohereForCausalLM",                  TIED                                  },
    {"Llama4ForConditionalGeneration",     CHUNKED                               },
    {"WhisperForConditionalGeneration",    NO_PIPELINE                           },
};

/* State spaces whose cache this program has no law for. */
static const char *const unknown_state[] = {
    "Mamba",  "Jamba",         "FalconH1",   "NemotronH", "Bamba", "Zamba", "GraniteMoeHybrid",
    "Plamo2", "MiniMaxText01", "KimiLinear", "Rwkv",      "Lfm2"};

static uint32_t arch_flags(const char *name)
{
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        if (strcmp(archs[i].name, name) == 0)
            return archs[i].flags;
    return 0;
}

static json_t *member(json_t *object, const char *key)
{
    json_t *value;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value))
        return NULL;
    return value;
}

/* A count in [0, max]; absent and null leave it as it is. */
static bool number_in(struct source *s, json_t *object, const char *key, uint64_t max,
                      uint32_t *out)
{
    json_t *v = member(object, key);
    if (s->failed || !v)
        return false;
    int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
    if (n < 0 || (uint64_t)n > max) {
        s->failed = true;
        err_set(s->err, ERR_2003, "%s: %s is not a whole number from 0 to %" PRIu64, s->name, key,
                max);
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool number(struct source *s, const char *key, uint64_t max, uint32_t *out)
{
    return number_in(s, s->text, key, max, out);
}

static void required(struct source *s, const char *key, uint64_t max, uint32_t *out)
{
    number(s, key, max, out);
    if (!s->failed && *out == 0) {
        s->failed = true;
        err_set(s->err, ERR_2003, "%s: %s is missing or 0", s->name, key);
    }
}

static bool truth(json_t *object, const char *key, bool otherwise)
{
    json_t *v = member(object, key);
    return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}

static void word(json_t *v, char *out, size_t cap)
{
    if (json_object_is_type(v, json_type_string))
        str_printable(json_object_get_string(v), (size_t)json_object_get_string_len(v), out, cap);
}

static void read_experts(struct source *s, struct hub_config *c)
{
    static const char *const counts[] = {"n_routed_experts", "num_local_experts", "num_experts"};
    for (int i = 0; i < 3 && !c->experts; i++)
        number(s, counts[i], MODEL_MAX_EXPERTS, &c->experts);
    if (!c->experts)
        return;
    uint32_t shared = 0, step = 1;
    number(s, "num_experts_per_tok", c->experts, &c->experts_used);
    if (!number(s, "moe_intermediate_size", 1 << 22, &c->ff_exp))
        c->ff_exp = c->ff;
    number(s, "n_shared_experts", 64, &shared);
    c->ff_shared = shared * c->ff_exp;
    number(s, "shared_expert_intermediate_size", 1 << 22, &c->ff_shared);
    number(s, "first_k_dense_replace", MODEL_MAX_LAYERS, &c->dense_lead);
    if (!number(s, "decoder_sparse_step", MODEL_MAX_LAYERS, &step))
        number(s, "interleave_moe_layer_step", MODEL_MAX_LAYERS, &step);
    c->moe_every = step ? step : 1;
    if (!c->experts_used)
        c->experts_used = c->experts < 2 ? c->experts : 2;
}

static void read_attention(struct source *s, struct hub_config *c, uint32_t flags)
{
    required(s, "num_attention_heads", 1 << 14, &c->heads);
    if (s->failed)
        return;
    c->kv_heads = c->heads;
    number(s, "num_key_value_heads", 1 << 14, &c->kv_heads);
    if (!s->failed && (c->kv_heads == 0 || c->heads % c->kv_heads)) {
        s->failed = true;
        err_set(s->err, ERR_2003, "%s: %u attention heads cannot share %u key-value heads", s->name,
                c->heads, c->kv_heads);
        return;
    }
    c->head_dim = flags & HEAD_256 ? 256 : c->hidden / c->heads;
    number(s, "head_dim", 1 << 12, &c->head_dim);
    number(s, "kv_lora_rank", 1 << 14, &c->kv_rank);
    number(s, "q_lora_rank", 1 << 14, &c->q_rank);
    number(s, "qk_nope_head_dim", 1 << 12, &c->dim_nope);
    number(s, "qk_rope_head_dim", 1 << 12, &c->dim_rope);
    number(s, "v_head_dim", 1 << 12, &c->dim_v);
    if (!s->failed && c->head_dim == 0 && c->kv_rank == 0) {
        s->failed = true;
        err_set(s->err, ERR_2003, "%s: hidden_size %u over %u heads leaves heads of size 0",
                s->name, c->hidden, c->heads);
    }
    c->rotary_dim = c->kv_rank ? c->dim_rope : c->head_dim;
    json_t *part = member(s->text, "partial_rotary_factor");
    double share = part ? json_object_get_double(part) : 1;
    if (share > 0 && share < 1)
        c->rotary_dim = (uint32_t)(share * c->rotary_dim);
    c->qk_norm = flags & QK_NORM || truth(s->text, "use_qk_norm", false);
    c->qkv_bias = truth(s->text, "attention_bias", flags & QKV_BIAS);
}

/* "sliding_attention" ... per layer. */
static bool read_layer_types(struct source *s, struct hub_config *c)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } names[] = {
        {"full_attention",    HUB_FULL   },
        {"sliding_attention", HUB_WINDOW },
        {"chunked_attention", HUB_CHUNKED},
        {"linear_attention",  HUB_STATE  }
    };
    json_t *list = member(s->text, "layer_types");
    if (!json_object_is_type(list, json_type_array))
        return false;
    size_t n = json_object_array_length(list);
    for (size_t i = 0; i < c->n_layers && i < n; i++) {
        json_t *v = json_object_array_get_idx(list, i);
        const char *name =
            json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
        bool known = false;
        for (size_t k = 0; k < 4 && !known; k++) {
            known = strcmp(name, names[k].name) == 0;
            if (known)
                c->kind[i] = names[k].kind;
        }
        if (!known || n < c->n_layers) {
            s->failed = true;
            err_set(s->err, ERR_2003, "%s: layer_types says nothing usable about layer %zu",
                    s->name, known ? n : i);
            return false;
        }
    }
    return true;
}

static void read_kinds(struct source *s, struct hub_config *c, uint32_t flags)
{
    uint32_t pattern = flags & WINDOW_SIX    ? 6
                       : flags & WINDOW_FOUR ? 4
                       : flags & WINDOW_EVEN ? 2
                       : flags & CHUNKED     ? 4
                                             : 0;
    uint32_t interval = 0;
    number(s, "sliding_window", UINT32_MAX, &c->window);
    number(s, "attention_chunk_size", UINT32_MAX, &c->window);
    number(s, "sliding_window_pattern", MODEL_MAX_LAYERS, &pattern);
    number(s, "full_attention_interval", MODEL_MAX_LAYERS, &interval);
    if (flags & WINDOW_ASKED && !truth(s->text, "use_sliding_window", false))
        c->window = 0;
    bool listed = (!(flags & WINDOW_ASKED) || c->window) && read_layer_types(s, c);
    for (uint32_t i = 0; i < c->n_layers && !listed; i++) {
        if (c->kv_rank)
            c->kind[i] = HUB_LATENT;
        else if (interval)
            c->kind[i] = (i + 1) % interval ? HUB_STATE : HUB_FULL;
        else if (c->window && flags & WINDOW_ALL)
            c->kind[i] = HUB_WINDOW;
        else if (c->window && pattern)
            c->kind[i] =
                (i + 1) % pattern ? (flags & CHUNKED ? HUB_CHUNKED : HUB_WINDOW) : HUB_FULL;
    }
    for (uint32_t i = 0; i < c->n_layers; i++)
        if ((c->kind[i] == HUB_WINDOW || c->kind[i] == HUB_CHUNKED) && !c->window)
            c->kind[i] = HUB_FULL;
    number(s, "linear_num_key_heads", 1 << 12, &c->state_key_heads);
    number(s, "linear_num_value_heads", 1 << 12, &c->state_value_heads);
    number(s, "linear_key_head_dim", 1 << 12, &c->state_key_dim);
    number(s, "linear_value_head_dim", 1 << 12, &c->state_value_dim);
    number(s, "linear_conv_kernel_dim", 64, &c->state_kernel);
    char dtype[16] = "";
    word(member(s->text, "mamba_ssm_dtype"), dtype, sizeof(dtype));
    c->state_f32 = strcmp(dtype, "float32") == 0;
}

static void read_vision(struct source *s, struct hub_config *c)
{
    json_t *v = member(s->root, "vision_config");
    if (!json_object_is_type(v, json_type_object))
        return;
    if (!number_in(s, v, "num_attention_heads", 1 << 12, &c->vision_heads))
        number_in(s, v, "num_heads", 1 << 12, &c->vision_heads);
    if (!number_in(s, v, "num_hidden_layers", 512, &c->vision_layers))
        number_in(s, v, "depth", 512, &c->vision_layers);
    if (!number_in(s, v, "hidden_size", 1 << 16, &c->vision_hidden))
        number_in(s, v, "embed_dim", 1 << 16, &c->vision_hidden);
    number_in(s, v, "intermediate_size", 1 << 18, &c->vision_ff);
    if (!c->vision_heads && !s->failed)
        c->vision_heads = 16; /* transformers' default of every tower that leaves it out */
}

/* The first group of compressed-tensors says how wide its weights are. */
static void read_compressed(struct source *s, json_t *q, struct hub_config *c)
{
    json_t *groups = member(q, "config_groups");
    char type[16] = "", strategy[16] = "";
    if (!json_object_is_type(groups, json_type_object))
        return;
    struct json_object_iterator it = json_object_iter_begin(groups),
                                end = json_object_iter_end(groups);
    if (json_object_iter_equal(&it, &end))
        return;
    json_t *w = member(json_object_iter_peek_value(&it), "weights");
    number_in(s, w, "num_bits", 32, &c->bits);
    number_in(s, w, "group_size", 1 << 16, &c->group);
    word(member(w, "type"), type, sizeof(type));
    word(member(w, "strategy"), strategy, sizeof(strategy));
    c->fp8_block = strcmp(strategy, "block") == 0;
    if (strcmp(type, "float") == 0 && c->bits == 8)
        c->quant = HUB_FP8;
}

static void read_quant(struct source *s, struct hub_config *c)
{
    static const struct {
        const char *name;
        enum hub_quant quant;
    } methods[] = {
        {"awq",                HUB_AWQ       },
        {"awq_marlin",         HUB_AWQ       },
        {"gptq",               HUB_GPTQ      },
        {"gptq_marlin",        HUB_GPTQ      },
        {"fp8",                HUB_FP8       },
        {"compressed-tensors", HUB_COMPRESSED},
        {"bitsandbytes",       HUB_BNB       },
        {"mxfp4",              HUB_MXFP4     }
    };
    json_t *q = member(s->root, "quantization_config");
    if (!q)
        q = member(s->text, "quantization_config");
    if (!q)
        q = member(s->root, "compression_config");
    if (!json_object_is_type(q, json_type_object))
        return;
    word(member(q, "quant_method"), c->quant_method, sizeof(c->quant_method));
    c->quant = HUB_OTHER;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(c->quant_method, methods[i].name) == 0)
            c->quant = methods[i].quant;
    json_t *group = member(q, "group_size");
    if (!number_in(s, q, "bits", 32, &c->bits))
        number_in(s, q, "w_bit", 32, &c->bits);
    if (json_object_is_type(group, json_type_int) && json_object_get_int64(group) > 0)
        number_in(s, q, "group_size", 1 << 16, &c->group);
    else if (!group)
        number_in(s, q, "q_group_size", 1 << 16, &c->group);
    c->desc_act = truth(q, "desc_act", false);
    c->bnb_8bit = truth(q, "load_in_8bit", false);
    c->fp8_block = json_object_is_type(member(q, "weight_block_size"), json_type_array);
    if (c->quant == HUB_COMPRESSED)
        read_compressed(s, q, c);
    if (c->quant == HUB_BNB)
        c->bits = c->bnb_8bit ? 8 : 4;
    if (c->quant == HUB_FP8)
        c->bits = 8;
    if (!s->failed && (c->quant == HUB_AWQ || c->quant == HUB_GPTQ) &&
        (c->bits < 2 || c->bits > 8)) {
        s->failed = true;
        err_set(s->err, ERR_2003, "%s: quantization_config says weights of %u bits", s->name,
                c->bits);
    }
}

static bool check_architecture(struct source *s, const struct hub_config *c)
{
    for (size_t i = 0; i < sizeof(unknown_state) / sizeof(unknown_state[0]); i++) {
        if (strstr(c->architecture, unknown_state[i])) {
            err_set(s->err, ERR_2003, "%s: no law is known for the state that vLLM keeps for %s",
                    s->name, c->architecture);
            return err_fix(s->err, NULL, "plan a GGUF file of this model for llama.cpp instead");
        }
    }
    return true;
}

static void read_text(struct source *s, struct hub_config *c)
{
    uint32_t flags = arch_flags(c->architecture);
    required(s, "num_hidden_layers", MODEL_MAX_LAYERS, &c->n_layers);
    required(s, "hidden_size", 1 << 18, &c->hidden);
    required(s, "vocab_size", 1 << 26, &c->vocab);
    number(s, "intermediate_size", 1 << 22, &c->ff);
    c->context = 2048;
    if (!number(s, "max_position_embeddings", 1 << 30, &c->context))
        number(s, "n_positions", 1 << 30, &c->context);
    if (!c->context)
        c->context = 2048;
    read_experts(s, c);
    read_attention(s, c, flags);
    if (s->failed)
        return;
    c->tied =
        truth(s->root, "tie_word_embeddings", truth(s->text, "tie_word_embeddings", flags & TIED));
    c->pipeline = !(flags & NO_PIPELINE);
    read_kinds(s, c, flags);
    read_vision(s, c);
    read_quant(s, c);
}

static void put_json(json_t **o)
{
    json_object_put(*o);
}

static json_t *parse(const char *text, size_t len)
{
    struct json_tokener *tok = json_tokener_new_ex(32);
    json_t *root;
    if (!tok)
        return NULL;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    root = json_tokener_parse_ex(tok, text, (int)len);
    if (json_tokener_get_error(tok) != json_tokener_success ||
        json_tokener_get_parse_end(tok) != len) {
        json_object_put(root);
        root = NULL;
    }
    json_tokener_free(tok);
    return root;
}

bool hub_read_config(const char *name, const char *text, size_t len, struct hub_config *out,
                     struct err *err)
{
    static const char *const nested[] = {"text_config", "llm_config", "language_config"};
    struct hub_config c = {0};
    struct source s = {.name = name, .err = err};
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    own(put_json) json_t *root = len && len <= HUB_MAX_CONFIG ? parse(text, len) : NULL;
    if (!json_object_is_type(root, json_type_object))
        return err_set(err, ERR_2003, "%s is not the JSON object of a model's configuration", name);
    s.root = s.text = root;
    json_t *list = member(root, "architectures");
    if (json_object_is_type(list, json_type_array))
        word(json_object_array_get_idx(list, 0), c.architecture, sizeof(c.architecture));
    word(member(root, "model_type"), c.model_type, sizeof(c.model_type));
    for (int i = 0; i < 3; i++)
        if (json_object_is_type(member(root, nested[i]), json_type_object))
            s.text = member(root, nested[i]);
    word(member(s.text, "torch_dtype"), c.dtype, sizeof(c.dtype));
    if (!c.dtype[0])
        word(member(root, "torch_dtype"), c.dtype, sizeof(c.dtype));
    if (!c.dtype[0])
        word(member(s.text, "dtype"), c.dtype, sizeof(c.dtype));
    if (!c.dtype[0])
        word(member(root, "dtype"), c.dtype, sizeof(c.dtype));
    if (!check_architecture(&s, &c))
        return false;
    read_text(&s, &c);
    if (s.failed)
        return false;
    *out = c;
    return true;
}
