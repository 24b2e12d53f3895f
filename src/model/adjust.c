/* adjust: what single architectures read differently from the rest (llama.cpp src/models/,
 * load_arch_hparams, behaviour). */
#include "model/keys.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void default_f64(struct key_reader *r, const char *name, double *value, double absent)
{
    if (!key_find(r, name))
        *value = absent;
}

/* Llama, Deci and Falcon are refused where rope covers only a part of the head. */
static void whole_rope(struct key_reader *r)
{
    if (r->hp->n_rot != r->hp->head_dim_k)
        key_refuse(r, "rope.dimension_count", "is %" PRIu32 ", but the head has %" PRIu32,
                   r->hp->n_rot, r->hp->head_dim_k);
}

static void llama4(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    hp->kq_norm = hp->n_expert != 128;
    hp->swa_chunked = true;
    hp->f_attn_temp_scale = 0.1;
    const struct gguf_key *key = key_find(r, "attention.sliding_window");
    uint64_t window;
    if (key && gguf_get_u64(r->g, key->name, &window) && window == 0) {
        hp->swa_chunked = false;
        hp->f_attn_temp_scale = 0;
        hp->n_no_rope_every = hp->n_layer - hp->n_nextn;
    }
}

static void deepseek2(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    uint32_t n = hp->n_layer - hp->n_nextn;
    bool lite = n == 27 || n == 26 || (n == 48 && hp->n_vocab == 128256);

    if (lite)
        hp->n_lora_q = 0;
    else if (hp->n_lora_q == 0)
        key_refuse(r, "attention.q_lora_rank", "is missing from the header");
    if (!key_find(r, "expert_gating_func") && (n == 47 || n == 48) && hp->n_vocab == 154880)
        hp->expert_gating = 2;
}

/* No groups: these read no ssm.group_count. */
static void first_mamba(struct key_reader *r)
{
    r->hp->ssm_groups = 0;
}

static void gemma2(struct key_reader *r)
{
    default_f64(r, "attn_logit_softcapping", &r->hp->f_attn_logit_softcap, 50);
    default_f64(r, "final_logit_softcapping", &r->hp->f_final_logit_softcap, 30);
}

static void gemma3n(struct key_reader *r)
{
    enum { OWN_CACHE = 20, PER_LAYER = 256 };
    struct model_hparams *hp = r->hp;

    hp->n_kv_shared_layers = hp->n_layer > OWN_CACHE ? hp->n_layer - OWN_CACHE : 0;
    hp->n_embd_per_layer = PER_LAYER;
    hp->f_final_logit_softcap = 30;
}

static void gemma4(struct key_reader *r)
{
    default_f64(r, "final_logit_softcapping", &r->hp->f_final_logit_softcap, 30);
    if (r->hp->n_kv_shared_layers + 2 > r->hp->n_layer)
        key_refuse(r, "attention.shared_kv_layers", "is %" PRIu32 " of %" PRIu32 " layers",
                   r->hp->n_kv_shared_layers, r->hp->n_layer);
}

static void grok(struct key_reader *r)
{
    default_f64(r, "logit_scale", &r->hp->f_logit_scale, 1 / sqrt(3));
    default_f64(r, "embedding_scale", &r->hp->f_embedding_scale, 78.38367176906169);
    default_f64(r, "attn_logit_softcapping", &r->hp->f_attn_logit_softcap, 30);
    default_f64(r, "final_logit_softcapping", &r->hp->f_final_logit_softcap, 0);
}

static void minicpm(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    default_f64(r, "embedding_scale", &hp->f_embedding_scale, 12);
    default_f64(r, "residual_scale", &hp->f_residual_scale,
                1.4 / sqrt((double)(hp->n_layer - hp->n_nextn)));
    default_f64(r, "logit_scale", &hp->f_logit_scale, 256.0 / hp->n_embd);
    hp->rope_finetuned = true;
}

static void granite(struct key_reader *r)
{
    if (!key_find(r, "rope.scaling.finetuned"))
        r->hp->rope_finetuned = true;
}

static void granite_moe(struct key_reader *r)
{
    r->hp->rope_finetuned = true;
}

static void lfm2(struct key_reader *r)
{
    r->hp->n_expert_dense_lead = r->hp->n_layer - r->hp->n_nextn;
}

static void plamo2(struct key_reader *r)
{
    key_u32(r, "attention.key_length", KEY_OPTIONAL, MAX_WIDTH, &r->hp->head_dim_k);
    key_u32(r, "attention.value_length", KEY_OPTIONAL, MAX_WIDTH, &r->hp->head_dim_v);
}

static void step35(struct key_reader *r)
{
    r->hp->n_rot /= 2;
}

static void shared_width(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    if (hp->n_expert_shared == 0)
        hp->n_expert_shared = 1;
    if (hp->n_ff_shexp == 0)
        hp->n_ff_shexp = hp->n_ff_exp; /* times the shared experts, bounded below */
    uint64_t width = (uint64_t)hp->n_ff_shexp * hp->n_expert_shared;
    if (!key_find(r, "expert_shared_feed_forward_length") && width <= MAX_FF)
        hp->n_ff_shexp = (uint32_t)width;
}

/* No cache, but masks with a window. */
static void encoder_window(struct key_reader *r)
{
    key_u32(r, "attention.sliding_window", KEY_OPTIONAL, MAX_CONTEXT, &r->hp->n_swa);
}

static void mimo2(struct key_reader *r)
{
    key_f64(r, "attention.value_scale", &r->hp->f_attn_value_scale);
    if (r->hp->f_attn_value_scale == 1)
        r->hp->f_attn_value_scale = 0;
}

static void deepstack(struct key_reader *r)
{
    key_u32(r, "n_deepstack_layers", KEY_OPTIONAL, MODEL_MAX_LAYERS, &r->hp->n_deepstack);
}

static void alibi(struct key_reader *r)
{
    r->hp->f_max_alibi_bias = 8;
}

/* Only the 13B has no rope. */
static void baichuan(struct key_reader *r)
{
    if (r->hp->n_layer - r->hp->n_nextn == 40)
        r->hp->f_max_alibi_bias = 8;
}

static void smallthinker(struct key_reader *r)
{
    const struct gguf_key *key = key_find(r, "attention.sliding_window");
    uint64_t window;

    if (!key || (gguf_get_u64(r->g, key->name, &window) && window == 0))
        r->hp->n_no_rope_every = r->hp->n_layer - r->hp->n_nextn;
}

static const struct {
    const char *architecture;
    void (*adjust)(struct key_reader *r);
} adjustments[] = {
    {"llama",           whole_rope    },
    {"deci",            whole_rope    },
    {"falcon",          whole_rope    },
    {"llama-embed",     whole_rope    },
    {"llama4",          llama4        },
    {"deepseek2",       deepseek2     },
    {"mistral4",        deepseek2     },
    {"mamba",           first_mamba   },
    {"jamba",           first_mamba   },
    {"gemma2",          gemma2        },
    {"gemma3n",         gemma3n       },
    {"gemma4",          gemma4        },
    {"grok",            grok          },
    {"minicpm",         minicpm       },
    {"granite",         granite       },
    {"granitehybrid",   granite       },
    {"granitemoe",      granite_moe   },
    {"lfm2",            lfm2          },
    {"plamo2",          plamo2        },
    {"step35",          step35        },
    {"laguna",          shared_width  },
    {"bailingmoe3",     shared_width  },
    {"bloom",           alibi         },
    {"refact",          alibi         },
    {"baichuan",        baichuan      },
    {"smallthinker",    smallthinker  },
    {"modern-bert",     encoder_window},
    {"gemma-embedding", encoder_window},
    {"mimo2",           mimo2         },
    {"qwen3vl",         deepstack     },
    {"qwen3vlmoe",      deepstack     },
};

void adjust_hparams(struct key_reader *r)
{
    for (size_t i = 0; i < sizeof adjustments / sizeof *adjustments; i++) {
        if (!strcmp(adjustments[i].architecture, r->architecture))
            adjustments[i].adjust(r);
    }
}
