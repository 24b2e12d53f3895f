/* model: what we want to run: hyper-parameters, layers, tensors of one model, however it was named.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/arena.h"
#include "base/err.h"
#include "gguf/gguf.h"

enum {
    MODEL_MAX_LAYERS = 512, /* LLAMA_MAX_LAYERS of the engine */
    MODEL_MAX_EXPERTS = 1024,
};

enum tensor_role {
    ROLE_NONE = 0, /* a name we have no word for: counted in bytes, used by no graph */
#define GLOBAL(ROLE, name) ROLE_##ROLE,
#define LAYER(ROLE, name)  ROLE_##ROLE,
#include "model/tensors.def"
    ROLE_COUNT
};
enum tensor_part {
    PART_WEIGHT,
    PART_BIAS,
    PART_SCALE,
    PART_BARE,
    PART_COUNT
}; /* .weight .bias .scale, none */

struct model_tensor {
    const char *name;
    uint8_t type; /* enum gguf_type */
    uint8_t n_dims;
    uint8_t role;  /* enum tensor_role */
    uint8_t part;  /* enum tensor_part */
    int16_t layer; /* block number, -1 for model-wide tensors */
    uint64_t ne[4];
    uint64_t bytes; /* exact, without any device's padding */
};

/* What a layer remembers between tokens. */
enum kv_kind {
    KV_NONE,      /* no attention and no state */
    KV_FULL,      /* K and V for every cell of the context */
    KV_WINDOW,    /* sliding window: K and V for the window's cells */
    KV_CHUNKED,   /* as a window whose edge jumps (Llama 4) */
    KV_LATENT,    /* MLA: one latent vector per cell, no V */
    KV_RECURRENT, /* fixed state per sequence */
    KV_SHARED,    /* reads another layer's cache, has none of its own */
    KV_HYBRID,    /* attention and recurrent state in the same layer (Falcon-H1, Hymba) */
};

enum ffn_kind { FFN_NONE, FFN_DENSE, FFN_MOE };

/* Per layer, after per-layer arrays and patterns were resolved. Counts are elements, not bytes. */
struct model_layer {
    uint8_t kv;  /* enum kv_kind */
    uint8_t ffn; /* enum ffn_kind */
    bool nextn; /* a NextN/MTP block: counted in n_layer, neither loaded nor cached unless it drafts
                 */
    bool window;     /* attends within the window, whoever keeps its cache (KV_WINDOW, KV_CHUNKED,
                        KV_SHARED) */
    bool no_rope;    /* attention.rope_pattern: Q and K of this layer are not rotated */
    int16_t kv_from; /* layer whose cache is read when KV_SHARED, else -1 */
    uint32_t n_head, n_head_kv;
    uint32_t head_dim_k, head_dim_v;
    uint32_t n_ff;          /* feed_forward_length of this layer, 0 if none */
    uint32_t n_ff_exp;      /* expert_feed_forward_length of this layer, 0 if none */
    uint32_t n_expert_used; /* of this layer, 0 if it has no experts */
    uint32_t n_embd_k,
        n_embd_v;          /* elements of K and V per cell (n_head_kv * head_dim; MLA: latent, 0) */
    uint32_t n_embd_index; /* elements of a sparse-attention indexer's keys per cell, 0 none */
    uint64_t state_r, state_s; /* recurrent elements per sequence: convolution and state (F32) */
    int32_t tensor[ROLE_COUNT][PART_COUNT]; /* index into model.tensors, -1 none */
};

/* Hyper-parameters as the engine reads them; 0 means absent unless said otherwise. */
struct model_hparams {
    uint32_t n_vocab, n_ctx_train, n_embd;
    uint32_t n_layer;                /* block_count, NextN blocks included */
    uint32_t n_nextn;                /* NextN/MTP blocks at the end */
    uint32_t n_head, n_head_kv;      /* of layer 0 (or the largest) */
    uint32_t head_dim_k, head_dim_v; /* key_length, value_length, else n_embd / n_head */
    uint32_t head_dim_k_swa,
        head_dim_v_swa; /* of window layers where they differ (gemma4), else as above */
    uint32_t n_rot, n_rot_swa;
    uint32_t n_ff, n_ff_exp, n_ff_shexp, n_ff_chexp;
    uint32_t n_expert, n_expert_used, n_expert_shared, n_expert_groups, n_expert_group_used;
    uint32_t n_expert_dense_lead; /* leading dense blocks */
    uint32_t expert_gating; /* 0 none, 1 softmax, 2 sigmoid, 3 softmax over the chosen weights */
    bool expert_weights_norm;
    double expert_weights_scale;
    uint32_t moe_every;   /* interleave step: MoE in layers il with (il+1) % n == 0; 0 or 1: all */
    uint32_t n_swa;       /* window in tokens, 0: none */
    uint32_t swa_pattern; /* every n-th layer is full; 0: by array */
    bool swa_chunked;
    uint32_t n_lora_q, n_lora_kv;            /* MLA ranks */
    uint32_t head_dim_k_mla, head_dim_v_mla; /* key_length_mla, value_length_mla; 0: MLA is off */
    uint32_t ssm_conv, ssm_inner, ssm_state, ssm_dt_rank, ssm_groups;
    bool ssm_dt_b_c_norm;
    uint32_t shortconv_cache; /* LFM2 l_cache */
    uint32_t full_attention_interval;
    uint32_t kda_head_dim;
    uint32_t wkv_head_size;
    uint32_t n_embd_per_layer; /* gemma3n, gemma4 */
    uint32_t n_kv_shared_layers;
    uint32_t altup_inputs;
    double f_clamp_kqv, f_max_alibi_bias, f_logit_scale, f_residual_scale, f_embedding_scale,
        f_attention_scale, f_attn_logit_softcap, f_final_logit_softcap;
    uint32_t rope_sections[4];
    double rope_freq_base, rope_freq_scale;
    uint32_t rope_scaling; /* 0 none 1 linear 2 yarn 3 longrope */
    uint32_t rope_orig_ctx;
    uint32_t n_moe_latent;    /* nemotron_h_moe */
    uint32_t n_no_rope_every; /* llama4, smollm3, smallthinker: layers without rope; default 4 */
    uint32_t n_index_head, index_head_dim, index_top_k; /* sparse attention */
    uint32_t n_deepstack;      /* qwen3vl: layers that take picture vectors of their own */
    uint32_t token_shift;      /* RWKV, default 2 */
    uint32_t rescale_every;    /* RWKV 6: the stream is halved after every n-th layer, 0 never */
    double f_attn_value_scale; /* mimo2: attention's result is scaled, 0: it is not */
    double f_attn_temp_scale;  /* llama4, mistral3, deepseek2 of Mistral */
    bool kq_norm;              /* llama4: Scout and small ones normalise Q and K */
    bool norm_is_rms; /* attention.layer_norm_rms_epsilon is given (Cohere 2 MoE decides by it) */
    bool rope_finetuned; /* granite: whether rope is applied at all */
    bool use_parallel_residual, attn_causal;
    uint32_t pooling; /* 0 none */
};

struct model_family; /* row of the architecture table, see model/family.h */

struct model {
    const char *path;                  /* as it was named */
    const char *name;                  /* general.name, or made from the file's name */
    const char *architecture;          /* general.architecture */
    const struct model_family *family; /* never NULL: the last row is "unknown" */
    const char
        *quantization;   /* "Q4_K_M": from general.file_type, else the commonest type by bytes */
    uint64_t parameters; /* elements of all tensors */
    uint64_t file_bytes; /* of all shards; for profiles the size such a file would have */
    struct model_hparams hp;
    uint32_t n_layers; /* = hp.n_layer but where a law leaves out equal layers */
    const struct model_layer *layers;
    int32_t global[ROLE_COUNT][PART_COUNT];
    uint32_t n_tensors;
    const struct model_tensor *tensors;
    bool from_file; /* false: a profile or a YAML of hyper-parameters */
};

static inline const struct model_tensor *model_global(const struct model *m, enum tensor_role role,
                                                      enum tensor_part part)
{
    int32_t i = m->global[role][part];
    return i < 0 ? NULL : &m->tensors[i];
}
static inline const struct model_tensor *model_at(const struct model *m, uint32_t layer,
                                                  enum tensor_role role, enum tensor_part part)
{
    int32_t i = m->layers[layer].tensor[role][part];
    return i < 0 ? NULL : &m->tensors[i];
}

/* Build a model from a header: hyper-parameters checked (G27, G28), layers resolved, tensors sorted
 * into roles. Everything lives in arena. ERR_2003 names the key that is missing or absurd. */
bool model_from_gguf(const struct gguf *g, const char *path, struct arena *arena, struct model *out,
                     struct err *err);

/* Whatever a person may call a model (CONTRACT 2): a GGUF path (any shard), a directory holding one
 * (quant picks among several), http(s):// or hf: reference, built-in profile `name[:quant]`, YAML
 * of hyper-parameters. quant may be NULL. */
struct model_request {
    const char *ref;
    const char *quant;
};
bool model_open(const struct model_request *req, struct arena *arena, struct model *out,
                struct err *err);

/* The vision projector (mmproj) of a model: a GGUF of architecture clip, named as a model is. The
 * engine loads all of it onto one GPU. ERR_2003 when it is a language model. */
struct model_projector {
    const char *path, *name;
    uint64_t weight_bytes; /* exact, without any device's padding */
    uint32_t n_tensors;
    const struct model_tensor *tensors; /* roles unset */
};
bool model_projector(const char *ref, struct arena *arena, struct model_projector *out,
                     struct err *err);

/* What a directory holds. Broken files are listed with their reason. */
struct model_found {
    const char *path;                               /* of the first shard */
    const char *name, *architecture, *quantization; /* NULL when unusable */
    uint64_t file_bytes;                            /* of all shards */
    uint64_t parameters;
    uint32_t n_layers, n_shards;
    bool projector; /* a vision projector, not a model by itself */
    bool usable;
    const struct err *why; /* when it is not */
};
enum { MODEL_SCAN_DEPTH = 4, MODEL_SCAN_ENTRIES = 10000, MODEL_SCAN_FOUND = 1000 };
struct model_list {
    struct model_found *found; /* by path */
    size_t n;
    bool cut; /* a bound was reached: there may be more */
};

/* Look for *.gguf in dir and at most MODEL_SCAN_DEPTH levels below it; links to directories are not
 * followed, a file that is reached twice counts once. ERR_2001 or ERR_1202 for dir itself only. */
bool model_scan(const char *dir, struct arena *arena, struct model_list *out, struct err *err);

/* A built-in model. Any mix of llama-quantize can be asked of it (quantize.h). */
struct model_profile {
    const char *name;         /* what people type: "llama-3.1-8b" */
    const char *title;        /* "Llama 3.1 8B" */
    const char *quantization; /* when none is asked for */
    uint64_t parameters;
};
bool model_profiles(struct arena *arena, struct model_profile **out, size_t *n, struct err *err);

#endif
