/* hub_layout: shares a checkpoint's tensors out by the way tensor parallelism divides them. */
#include "model/hub_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/family.h"

enum share { SHARE_ALL, SHARE_SPLIT, SHARE_KV, SHARE_EXPERT, SHARE_QKV };
enum place { PLACE_LAYER, PLACE_EMBED, PLACE_HEAD, PLACE_REST, PLACE_VISION, PLACE_SKIP };

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static bool is_vision(const char *n)
{
    static const char *const parts[] = {"vision_tower.",          "visual.",
                                        "vision_model.",          "vision_encoder.",
                                        "multi_modal_projector.", "vision_language_adapter.",
                                        "patch_merger.",          "vision_embed_tokens.",
                                        "audio_tower.",           "embed_vision."};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (has(n, parts[i]))
            return true;
    return false;
}

/* The number behind "layers." or "h.", -1 without. */
static long layer_of(const char *name)
{
    const char *p = strstr(name, "layers.");
    if (p)
        p += 7;
    else if ((p = strstr(name, ".h.")))
        p += 3;
    if (!p || *p < '0' || *p > '9')
        return -1;
    return strtol(p, NULL, 10);
}

static enum place place_of(const struct hub_config *c, const char *name, long *layer)
{
    *layer = -1;
    if (is_vision(name))
        return PLACE_VISION;
    if (str_starts(name, "mtp.") || has(name, "rotary_emb.inv_freq"))
        return PLACE_SKIP;
    *layer = layer_of(name);
    if (*layer >= 0)
        return *layer < (long)c->n_layers ? PLACE_LAYER : PLACE_SKIP;
    if (has(name, "embed_tokens.") || has(name, "tok_embeddings.") || has(name, "wte.") ||
        has(name, "word_embeddings."))
        return PLACE_EMBED;
    if (has(name, "lm_head.") || has(name, "embed_out.") || str_starts(name, "output."))
        return c->tied ? PLACE_SKIP : PLACE_HEAD;
    return PLACE_REST;
}

int hub_tensor_layer(const struct hub_config *config, const char *name)
{
    long layer;
    return place_of(config, name, &layer) == PLACE_LAYER ? (int)layer : -1;
}

/* Column and row parallel linears are divided, what stands before or beside them is on every rank
 * (vllm/model_executor/layers/linear.py and the models' load_weights, behaviour). */
static enum share share_of(const char *n, const struct safetensors_tensor *t)
{
    static const char *const whole[] = {"norm",
                                        ".q_a_proj",
                                        "kv_a_proj",
                                        "fused_qkv_a",
                                        ".router",
                                        "mlp.gate.",
                                        ".gate.weight",
                                        ".gate.bias",
                                        "e_score_correction_bias",
                                        "shared_expert_gate",
                                        "input_scale",
                                        "indexer.wk",
                                        "weights_proj"};
    uint64_t elements = 1;
    for (int i = 0; i < t->n_dims; i++)
        elements *= t->shape[i] ? t->shape[i] : 1;
    if (has(n, ".experts.") || has(n, "experts_"))
        return SHARE_EXPERT;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (has(n, whole[i]))
            return SHARE_ALL;
    if (elements == 1)
        return SHARE_ALL;
    if (has(n, "qkv_proj") || has(n, "query_key_value") || has(n, "Wqkv"))
        return SHARE_QKV;
    if (has(n, ".k_proj") || has(n, ".v_proj"))
        return SHARE_KV;
    bool row = has(n, "o_proj") || has(n, "down_proj") || has(n, "out_proj") || has(n, ".w2.");
    if (row && str_ends(n, ".bias"))
        return SHARE_ALL;
    if (t->n_dims >= 2 || has(n, "_proj.") || has(n, "sinks") || has(n, "A_log") ||
        has(n, "dt_bias"))
        return SHARE_SPLIT;
    return SHARE_ALL;
}

/* Bytes in GPU memory. Plain weights are cast to the model's 16 bit type; scales and packed ones
 * stay. MXFP4 values lie in rows of a multiple of 256 (measured: 13.47 and 64.38 GiB of gpt-oss 20b
 * and 120b on H100, vLLM 0.11; see docs/vllm.md). */
static uint64_t bytes_of(const struct safetensors_tensor *t)
{
    bool scale = has(t->name, "scale") || has(t->name, "absmax") || has(t->name, "quant_map") ||
                 has(t->name, "e_score_correction_bias") || has(t->name, "A_log");
    if (t->type == ST_F32 && !scale)
        return t->bytes / 2;
    if (has(t->name, "_blocks") && t->n_dims >= 3 && t->type == ST_U8) {
        uint64_t values = 2;
        for (int i = 2; i < t->n_dims; i++)
            if (__builtin_mul_overflow(values, t->shape[i], &values))
                return t->bytes;
        if (values && values < (1 << 24))
            return t->bytes / values * ((values + 255) / 256 * 256);
    }
    return t->bytes;
}

static bool is_open(const struct safetensors_tensor *t)
{
    return t->n_dims >= 2 && (t->type == ST_BF16 || t->type == ST_F16 || t->type == ST_F32) &&
           str_ends(t->name, "weight");
}

static void take(const struct hub_config *c, const struct safetensors_tensor *t, enum share share,
                 struct hub_bytes *to)
{
    uint64_t bytes = bytes_of(t);
    switch (share) {
    case SHARE_ALL: to->all += bytes; break;
    case SHARE_SPLIT: to->split += bytes; break;
    case SHARE_KV: to->kv += bytes; break;
    case SHARE_EXPERT: to->expert += bytes; break;
    case SHARE_QKV: {
        uint64_t kv = bytes / (c->heads + 2ull * c->kv_heads) * 2 * c->kv_heads;
        to->kv += kv;
        to->split += bytes - kv;
        break;
    }
    }
    if (share != SHARE_ALL && is_open(t))
        to->open += bytes;
}

static uint64_t parameters_of(const struct hub_config *c, const struct safetensors_tensor *t)
{
    static const char *const not_weights[] = {"scale",     "qzeros",      "g_idx",       "absmax",
                                              "quant_map", "quant_state", "weight_shape"};
    for (size_t i = 0; i < sizeof(not_weights) / sizeof(not_weights[0]); i++)
        if (has(t->name, not_weights[i]))
            return 0;
    uint32_t bits = safetensors_type_bits(t->type);
    bool packed =
        t->type == ST_I32 || (t->type == ST_U8 && (has(t->name, "_blocks") || c->quant == HUB_BNB));
    uint32_t wide = packed ? (c->bits ? c->bits : 4) : bits;
    return t->bytes * 8 / (wide ? wide : 8);
}

static uint64_t state_rope_bytes(const struct hub_config *c)
{
    return (uint64_t)c->context * c->rotary_dim * 2;
}

static bool sort_tensors(struct hub_model *m, struct hub_layer *layers, struct err *err)
{
    const struct hub_config *c = &m->config;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct safetensors_tensor *t = &m->tensors[i];
        long layer;
        enum place at = place_of(c, t->name, &layer);
        if (__builtin_add_overflow(seen, t->bytes, &seen) || seen > (uint64_t)1 << 50)
            return err_set(err, ERR_2003, "%s: its tensors have more than 2^50 bytes", m->path);
        m->parameters += at == PLACE_SKIP ? 0 : parameters_of(c, t);
        switch (at) {
        case PLACE_LAYER:
            take(c, t, share_of(t->name, t), &layers[layer].bytes);
            layers[layer].moe = layers[layer].moe || layers[layer].bytes.expert > 0;
            break;
        case PLACE_EMBED: m->embed_bytes += bytes_of(t); break;
        case PLACE_HEAD: m->head_bytes += bytes_of(t); break;
        case PLACE_VISION: take(c, t, t->n_dims >= 2 ? SHARE_SPLIT : SHARE_ALL, &m->vision); break;
        case PLACE_REST: take(c, t, share_of(t->name, t), &m->rest); break;
        case PLACE_SKIP: break;
        }
    }
    m->vision.open = m->rest.open = 0; /* neither is quantised at load */
    return true;
}

static const char *name_of(const char *path, struct arena *arena)
{
    size_t len = strlen(path);
    if (len >= 12 && strcmp(path + len - 12, "/config.json") == 0)
        len -= 12;
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t from = len;
    while (from > 0 && path[from - 1] != '/' && path[from - 1] != ':')
        from--;
    char shown[256];
    return arena_strdup(arena, str_printable(path + from, len - from, shown, sizeof(shown)));
}

bool hub_layout_make(const char *path, const struct hub_config *config,
                     const struct safetensors *headers, struct arena *arena, struct hub_model *out,
                     struct err *err)
{
    struct hub_model m = {
        .config = *config, .n_layers = config->n_layers, .from_headers = headers != NULL};
    struct hub_layer *layers = arena_array(arena, struct hub_layer, config->n_layers);
    struct safetensors shape;
    if (!headers && !hub_shape(config, arena, &shape, err))
        return false;
    const struct safetensors *from = headers ? headers : &shape;
    m.path = arena_strdup(arena, path);
    m.name = name_of(path, arena);
    if (!layers || !m.path || !m.name)
        return err_set(err, ERR_1201, "no memory for the model's layers");
    m.tensors = from->tensors;
    m.n_tensors = from->n_tensors;
    m.file_bytes = headers ? headers->file_bytes : shape.data_bytes;
    if (!sort_tensors(&m, layers, err))
        return false;
    for (uint32_t i = 0; i < m.n_layers; i++) {
        layers[i].kind = config->kind[i];
        if (layers[i].moe && config->experts)
            layers[i].active = layers[i].bytes.expert / config->experts * config->experts_used;
    }
    if (m.embed_bytes == 0)
        return err_set(err, ERR_2003, "%s: no embedding (embed_tokens) among its %u tensors", path,
                       m.n_tensors);
    m.rope_bytes = state_rope_bytes(config);
    if (config->kv_rank)
        m.latent_extra =
            (uint64_t)config->heads * (config->dim_nope + config->dim_v) * config->kv_rank * 2;
    m.layers = layers;
    *out = m;
    return true;
}

const char *hub_quant_name(enum hub_quant q)
{
    static const char *const names[] = {
        "none", "awq", "gptq", "fp8", "compressed-tensors", "bitsandbytes", "mxfp4", "other"};
    return names[q];
}
