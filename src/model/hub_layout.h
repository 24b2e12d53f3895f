/* hub_layout: a model in the hub's layout: config.json and safetensors headers, as an engine shares
 * it out. */
#ifndef MODEL_HUB_LAYOUT_H
#define MODEL_HUB_LAYOUT_H

#include "model/model.h"
#include "safetensors/safetensors.h"

enum {
    HUB_MAX_CONFIG = 4 << 20, /* bytes of config.json */
    HUB_MAX_WORD = 96,
};

enum hub_quant {
    HUB_PLAIN,
    HUB_AWQ,
    HUB_GPTQ,
    HUB_FP8,
    HUB_COMPRESSED,
    HUB_BNB,
    HUB_MXFP4,
    HUB_OTHER
};
const char *hub_quant_name(
    enum hub_quant q); /* "none", "awq" ... as vLLM's --quantization calls them */

/* What an attention layer keeps, in vLLM's sense of a cache spec. */
enum hub_kv { HUB_FULL, HUB_WINDOW, HUB_CHUNKED, HUB_LATENT, HUB_STATE, HUB_NO_KV };

/* config.json, checked: counts are elements; 0 means absent. */
struct hub_config {
    char architecture[HUB_MAX_WORD], model_type[HUB_MAX_WORD], dtype[16];
    uint32_t n_layers, hidden, heads, kv_heads, head_dim, ff, vocab, context;
    uint32_t window;                /* tokens, 0 none */
    uint8_t kind[MODEL_MAX_LAYERS]; /* enum hub_kv per layer */
    uint32_t experts, experts_used, ff_exp, ff_shared, dense_lead, moe_every;
    uint32_t q_rank, kv_rank, dim_nope, dim_rope, dim_v; /* MLA; kv_rank 0: none */
    uint32_t rotary_dim;
    bool tied, qk_norm, qkv_bias, pipeline; /* pipeline: vLLM can cut it into stages */
    uint32_t state_key_heads, state_value_heads, state_key_dim, state_value_dim, state_kernel;
    bool state_f32;
    uint32_t vision_heads, vision_layers, vision_hidden, vision_ff; /* 0: no tower */
    enum hub_quant quant;
    char quant_method[32];
    uint32_t bits, group; /* group 0: a whole row (group_size -1) */
    bool desc_act, bnb_8bit, fp8_block;
};

/* Bytes of one layer by the way tensor parallelism divides them. */
struct hub_bytes {
    uint64_t all;    /* on every rank: norms, routers, latent down-projections */
    uint64_t split;  /* 1/tp */
    uint64_t kv;     /* K and V projections: 1/min(tp, kv_heads) */
    uint64_t expert; /* routed experts: 1/tp, or whole experts with expert parallelism */
    uint64_t
        open; /* part of split + kv + expert that is plain 16 bit and could be quantised at load */
};

struct hub_layer {
    uint8_t kind; /* enum hub_kv */
    bool moe;
    struct hub_bytes bytes;
    uint64_t active; /* of bytes.expert: read for one token */
};

/* Everything the vLLM law needs. Bytes are those in GPU memory: plain weights count 2 a piece
 * whatever the file has, NextN layers and a tied head are left out. */
struct hub_model {
    const char *path, *name;
    struct hub_config config;
    bool from_headers; /* false: weights are computed from config.json */
    uint64_t file_bytes, parameters;
    uint32_t n_layers;
    const struct hub_layer *layers;
    uint64_t embed_bytes, head_bytes; /* whole; head 0: tied */
    struct hub_bytes rest;   /* final norm and what belongs to no layer: first and last stage */
    struct hub_bytes vision; /* tower and projector: first stage */
    uint64_t rope_bytes;     /* table of rotations, on every rank */
    uint64_t latent_extra;   /* MLA: unpacked copies of kv_b, per layer, 1/tp */
    uint32_t n_tensors;
    const struct safetensors_tensor *tensors;
};

/* Is ref a directory with a config.json, or the path of one? No error is made of anything. */
bool hub_is_layout(const char *ref);

/* A directory, a config.json in one, or hf:OWNER/REPO (headers only are read). Without safetensors
 * the weights are computed from the configuration. ERR_2001, ERR_2003, ERR_2004, ERR_2009, and
 * fetch_open's. */
bool hub_open(const char *ref, struct arena *arena, struct hub_model *out, struct err *err);

/* config.json as text. ERR_2003 names the key. */
bool hub_read_config(const char *name, const char *text, size_t len, struct hub_config *out,
                     struct err *err);

/* From a configuration and tensors (NULL: computed). */
bool hub_layout_make(const char *path, const struct hub_config *config,
                     const struct safetensors *headers, struct arena *arena, struct hub_model *out,
                     struct err *err);

/* The tensors such a model has, by the configuration alone. */
bool hub_shape(const struct hub_config *config, struct arena *arena, struct safetensors *out,
               struct err *err);

/* Which layer a tensor of that name belongs to; -1: to none that is loaded. */
int hub_tensor_layer(const struct hub_config *config, const char *name);

/* The same as struct model, for what shows models: layers, tensors (roles unset), sizes. No law
 * reads it. */
bool hub_to_model(const struct hub_model *hub, struct arena *arena, struct model *out,
                  struct err *err);

#endif
