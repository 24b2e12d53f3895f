/* recipe: a row per ordinary transformer family, and the builder that makes a graph of a row. */
#ifndef LAW_RECIPE_H
#define LAW_RECIPE_H

#include "law/build.h"

enum recipe_rope_kind {
    ROPE_KIND_NONE = -1,
    ROPE_KIND_NORM = 0,
    ROPE_KIND_NEOX = 2,
    ROPE_KIND_MROPE = 8,
    ROPE_KIND_IMROPE = 40,
};
enum recipe_rope_where {
    ROPE_EVERYWHERE,
    ROPE_WINDOW,             /* in window layers */
    ROPE_WINDOW_ONLY_IF_ANY, /* in window layers where the model has a window, else everywhere */
    ROPE_NOT_EVERY,          /* not where (layer + 1) is a multiple of the step */
    ROPE_NOT_FIRST,          /* not where layer is a multiple of the step */
    ROPE_IF_FINETUNED,
    ROPE_WINDOW_OR_LEAD, /* in window layers and the leading dense ones */
    ROPE_BY_PATTERN,     /* as attention.rope_pattern says */
    ROPE_SHORT,          /* Baichuan: the 7B only */
};
enum recipe_qk_norm {
    QK_NONE,
    QK_HEADS,       /* each head, before rope, where there are weights */
    QK_HEADS_AFTER, /* each head, after rope */
    QK_ROWS,        /* the whole row, before it is shaped into heads */
    QK_ROWS_BACK,   /* the whole row, shaped back from heads (MPT) */
    QK_BARE_AFTER,  /* each head without weights after rope, where the model says so (Llama 4) */
};
enum recipe_residual {
    RES_SEQUENTIAL, /* x + attention, then + feed-forward of its norm */
    RES_FALCON,     /* (ffn(attn norm) + attention) + x */
    RES_PHI2,       /* (attention + ffn(attn norm)) + x */
    RES_COHERE,     /* (ffn(attn norm) + x) + attention */
    RES_NEOX,       /* (ffn(norm of x) + x) + attention, where the model says so, else sequential */
};
enum recipe_temperature { TEMP_NONE, TEMP_NO_ROPE_LAYERS, TEMP_IF_SCALED };
enum recipe_gate { ATTN_GATE_NONE, ATTN_GATE_SIGMOID, ATTN_GATE_SOFTPLUS };
enum recipe_post { POST_NONE, POST_PINNED, POST_FREE }; /* free: not nailed to the layer's device */
enum recipe_late { LATE_NO, LATE_BEFORE_NORM, LATE_AFTER_NORM, LATE_NEVER };
enum recipe_moe_norm { MOE_NORM_NO, MOE_NORM_YES, MOE_NORM_AS_MODEL };
enum recipe_shared { SHARED_SUM, SHARED_GATED, SHARED_HALVED };
enum recipe_softcap { SOFTCAP_NONE, SOFTCAP_AS_MODEL, SOFTCAP_ALWAYS };
enum recipe_logits { LOGITS_PLAIN, LOGITS_SCALE_IF, LOGITS_SCALE };

struct recipe {
    const char *architecture;
    enum norm_kind norm; /* of all norms */
    bool norm_as_model;  /* RMS where the file gives its epsilon */
    bool qk_layer_norm;  /* but Q's and K's are LayerNorm */
    enum recipe_rope_kind rope;
    bool qkv_by_heads; /* the fused projection is cut after it was shaped into heads (OpenELM) */
    enum recipe_rope_where rope_where;
    bool mrope_if_sections; /* positions have four parts where the model has rope sections */
    bool factors;           /* rope takes frequency factors where the model has them */
    bool factors_full_only; /* but not in window layers */
    enum recipe_qk_norm qk_norm;
    bool q_scale; /* Q is scaled by an op of its own */
    enum recipe_temperature temperature;
    enum recipe_gate attn_gate;
    bool attn_softcap;
    bool attn_sub_norm; /* norms before the output projection and before down (BitNet) */
    enum recipe_residual residual;
    bool pre_norm_optional;     /* a layer without attn_norm has none (ModernBERT's first) */
    bool no_pre_norm;           /* norms come after attention and feed-forward only */
    bool ffn_norm_optional;     /* without a second norm feed-forward reads the first (StableLM) */
    enum recipe_post attn_post; /* norm of attention's result */
    enum tensor_role attn_post_role; /* ROLE_NONE: post_attention_norm */
    bool attn_post_of_all;           /* before the last layer drops tokens nobody asks about */
    enum tensor_role ffn_norm;       /* ROLE_NONE: ffn_norm */
    enum recipe_post ffn_post;
    bool attn_sum_swapped, ffn_sum_swapped; /* residual + result instead of result + residual */
    enum ffn_act act;
    enum ffn_gate_kind gate;
    enum recipe_moe_norm moe_norm;
    bool moe_no_scale;
    enum moe_gating moe_gating; /* 0: as the model says */
    bool moe_weights_first;
    enum ffn_act moe_act;
    enum recipe_shared shared;
    bool shared_merged;        /* the shared expert's up holds its gate */
    bool dense_beside_experts; /* a dense feed-forward's result is joined to the experts' (Grok) */
    bool chunk_experts;        /* small experts chosen along with the large ones (GroveMoE) */
    bool deepstack;            /* picture vectors are added after the first layers, too */
    bool router_reads_input;   /* the router sees the layer's input (SmallThinker) */
    bool embd_scale, embd_norm, embd_bare_norm, learned_positions;
    bool logits_from_embd; /* token_embd itself makes the logits, where it lies (BitNet) */
    bool encoder;          /* ends with embeddings, no logits */
    uint32_t window_every; /* encoders: as builder.window_every */
    bool window_full_first;
    enum recipe_late late_outputs; /* all tokens go through the last layer, its norm, to the end */
    enum recipe_softcap final_softcap;
    enum recipe_logits logits;
};

/* NULL when the architecture has no row. */
const struct recipe *recipe_find(const char *architecture);
const struct recipe *recipe_table(size_t *n);
void graph_recipe(struct builder *b);
/* One layer of the family, as its NextN blocks are. */
struct g_tensor *recipe_block(struct builder *b, int layer, struct g_tensor *x);

#endif
