/* family: one table row per architecture: what its keys mean and which layer holds which memory. */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "model/model.h"

/* How the family decides which layers slide, remember or recur; resolved into model_layer.kv. */
enum layer_rule {
    RULE_ALL_FULL,
    RULE_SWA_EVERY, /* full where (il + 1) % pattern == 0, window otherwise; an array overrides */
    RULE_SWA_EVERY_FIRST, /* full where il % pattern == 0 */
    RULE_SWA_ARRAY,       /* the key sliding_window_pattern must be an array */
    RULE_SWA_ALL,         /* every attention layer slides */
    RULE_CHUNKED_EVERY,   /* as RULE_SWA_EVERY with Llama 4's chunks */
    RULE_ALL_RECURRENT,
    RULE_RECURRENT_IF_NO_KV,   /* recurrent where head_count_kv[il] == 0 */
    RULE_RECURRENT_IF_NOTHING, /* recurrent where head_count_kv[il] and feed_forward_length[il] are
                                  0, no memory where only the latter is not (Nemotron-H) */
    RULE_RECURRENT_EXCEPT_EVERY, /* recurrent except where (il + 1) % full_attention_interval == 0
                                  */
    RULE_HYBRID_ALL,             /* both kinds in every layer */
    RULE_NO_CACHE,               /* encoders and diffusion models keep nothing between tokens */
    RULE_GUESS,                  /* unknown architecture: by whichever keys are there */
};

/* When RULE_SWA_* apply. */
enum window_rule {
    WINDOW_NEVER,
    WINDOW_ALWAYS, /* the key, else swa_default; without either the header is refused */
    WINDOW_IF_KEY, /* only where the key is there and above 0 */
};

enum state_rule {
    STATE_NONE,
    STATE_SSM,       /* Mamba 1 and 2, gated delta nets: conv and state by the ssm.* keys */
    STATE_SHORTCONV, /* LFM2: convolution only */
    STATE_RWKV,      /* token shift and wkv heads */
    STATE_KDA,       /* Kimi delta attention */
    STATE_LINEAR,    /* MiniMax 01: one head_dim^2 matrix per head */
};

enum family_flag {
    FAMILY_MLA = 1,       /* reads key_length_mla: K latent, no V, where it is given */
    FAMILY_SHARES_KV = 2, /* the last layers read the cache of earlier ones */
};

struct model_family {
    const char *architecture; /* value of general.architecture; "unknown" in the last row */
    const char *title;        /* for people: "Llama", "DeepSeek 2 and 3" */
    uint8_t layers;           /* enum layer_rule */
    uint8_t window;           /* enum window_rule */
    uint8_t state;            /* enum state_rule */
    uint8_t every;        /* default of sliding_window_pattern or full_attention_interval, 0 none */
    uint32_t swa_default; /* window where the key is absent, 0 none */
    uint8_t gating;       /* default of expert_gating_func, 0 none */
    bool tensor_split;    /* -sm tensor is accepted by the engine for it */
    uint8_t flags;        /* enum family_flag */
};

extern const struct model_family model_families[];
extern const size_t model_family_count;
const struct model_family *model_family_find(const char *architecture); /* never NULL */
bool model_family_known(const struct model_family *family);

#endif
