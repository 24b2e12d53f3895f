/* build: what a family's graph builder gets, and the blocks that many families share. */
#ifndef LAW_BUILD_H
#define LAW_BUILD_H

#include "law/assign.h"
#include "law/cache.h"
#include "law/graph.h"

/* The attention inputs of one cache (the engine's llm_graph_input_attn_kv and friends). */
struct attn_input {
    struct g_tensor *k_idxs, *v_idxs, *mask, *k_rot, *v_rot;
};

struct builder {
    /* What the caller of build_graph fills in. */
    struct graph *g;
    const struct model *m;
    const struct law_settings *s;
    const struct assignment *a;
    const struct cache_plan *c;
    const struct machine *mc; /* tells which host weights are repacked; NULL: none */
    bool flash_on;
    int64_t n_tokens, n_seqs, n_seq_tokens; /* of this ubatch; n_tokens = n_seqs * n_seq_tokens */
    int64_t n_outputs;
    bool unfused_delta_one, unfused_delta_many; /* the probe found no device op for the gated delta
                                                   rule of one token, of more tokens per sequence */

    /* What build_graph and the blocks add. */
    bool pin_norms;  /* the engine nails norms to their layer's device in this ubatch */
    bool v_trans;    /* V lies transposed in the cache: flash attention was off from the start */
    bool two_caches; /* full and window cache beside each other */
    bool no_cache;   /* K and V of this ubatch only (encoders, diffusion) */
    uint32_t window_every;  /* no_cache: all layers but every n-th use the window's mask; 0: none */
    bool window_full_first; /* and counting starts with one that does not */
    bool alibi, softcap, clamp_qkv; /* set by the family before its first b_attn, b_make_qkv */
    int n_rot;                      /* set by build_graph, families may change it */
    struct g_tensor *inp_embd, *pos, *out_ids, *attn_scale;
    struct attn_input full, window, index; /* made by b_attn_inputs*, b_index_inputs */
    struct g_tensor *rs_copy, *rs_copy_main, *rs_copy_extra; /* of recurrent state */
    struct g_tensor **weight;     /* [n_tensors] leaf per model tensor, made on first use */
    struct g_tensor *output_copy; /* leaf of a tied model's second token_embd */
    struct g_tensor *factors[LAW_HOST + 1]; /* RoPE factors: the engine keeps one copy per buffer */
    struct g_tensor *k_cache[MODEL_MAX_LAYERS], *v_cache[MODEL_MAX_LAYERS],
        *index_cache[MODEL_MAX_LAYERS];
    struct g_tensor *r_state[MODEL_MAX_LAYERS], *s_state[MODEL_MAX_LAYERS];
};

/* Build the graph of one ubatch into b->g (which was graph_init-ed). False: unknown family, or
 * b->g->failed. b is zeroed but for the caller's part. */
bool build_graph(struct builder *b);

/* Contract with the scheduler (law/sched.h): what the engine's graph callback nails down is set
 * here as t->backend = a->layer_buffer[layer] (pin_norms: n_tokens < 32 or all layers and the
 * output offloaded; for the result of the bare norm inside b_norm and for l_last), without asking
 * whether the backend supports the op. A FLASH_ATTN_EXT gets t->layer. Repacked host weights get
 * G_REPACK beside G_WEIGHT. A t->name is needed on tensors whose names the engine's backends look
 * at, and helps everywhere else when a dump is compared. */

enum norm_kind { NORM_RMS, NORM_LAYER };
enum ffn_act {
    /* of the gate where there is one, else of up */
    ACT_SILU,
    ACT_GELU,
    ACT_RELU,
    ACT_RELU_SQR,
    /* up holds both halves, there is no gate */
    ACT_SWIGLU,
    ACT_GEGLU,
    ACT_REGLU,
    /* needs a gate (gpt-oss); has none (Apertus) */
    ACT_SWIGLU_OAI,
    ACT_XIELU,
};
enum ffn_gate_kind { GATE_SEQ, GATE_PAR };

/* Weight of a role as a graph leaf; NULL when the model has none (or it is not loaded). layer -1:
 * global. */
struct g_tensor *b_weight(struct builder *b, int layer, enum tensor_role role,
                          enum tensor_part part);
bool b_has(const struct builder *b, int layer, enum tensor_role role, enum tensor_part part);
/* logits = output.weight (or the tied copy of token_embd) times x, with scale and bias where
 * present. */
struct g_tensor *b_output(struct builder *b, struct g_tensor *x);
/* Mark the results that the engine keeps (embeddings after the last norm, logits) and expand the
 * logits. */
void b_finish(struct builder *b, struct g_tensor *embeddings, struct g_tensor *logits);
/* Then, when embeddings are served: one row per sequence, as the model says. b_finish calls it. */
void b_pool(struct builder *b, struct g_tensor *embeddings);

/* layer -1: never nailed to a device, as the engine's build_norm with il -1. w and bias may be
 * NULL. */
struct g_tensor *b_norm(struct builder *b, int layer, struct g_tensor *x, struct g_tensor *w,
                        struct g_tensor *bias, enum norm_kind kind);
/* With .weight and .bias where present. */
struct g_tensor *b_norm_role(struct builder *b, int layer, struct g_tensor *x,
                             enum tensor_role role, enum norm_kind kind);
struct g_tensor *b_mm(struct builder *b, int layer, enum tensor_role role,
                      struct g_tensor *x); /* (+ .scale); no weight -> failed */
struct g_tensor *b_mm_bias(struct builder *b, int layer, enum tensor_role role,
                           struct g_tensor *x); /* and .bias if present */

struct g_tensor *b_inp_embd(struct builder *b);
struct g_tensor *b_inp_pos(struct builder *b, int per_token); /* 1, or 4 with sections (MRoPE) */
struct g_tensor *b_inp_out_ids(struct builder *b);
void b_attn_inputs(
    struct builder *b); /* full cache, or full and window, as the cache plan has them */
void b_attn_inputs_latent(struct builder *b); /* K only (MLA) */
void b_index_inputs(struct builder *b);       /* of a sparse-attention indexer */
struct g_tensor *b_rope_factors(struct builder *b,
                                int layer); /* rope_freqs or long/short factors, NULL none */
struct g_tensor *b_rope(struct builder *b, struct g_tensor *x, struct g_tensor *factors, int mode);

/* The layer's row of out_ids: x reduced to the tokens whose logits are wanted. */
struct g_tensor *b_take_outputs(struct builder *b, struct g_tensor *x);

struct b_qkv {
    struct g_tensor *q, *k, *v;
};
/* Fused or separate, with biases, clamp, scales; shaped {head_dim, heads, tokens}. */
struct b_qkv b_make_qkv(struct builder *b, int layer, struct g_tensor *x);
/* Rows {width, tokens} that lie on their own, for norms of the whole row; never clamped. */
struct b_qkv b_make_qkv_rows(struct builder *b, int layer, struct g_tensor *x);

/* Store k and v in the layer's cache (those that are given), attend, project with attn_output (+
 * scale, bias). */
struct b_attn_args {
    struct g_tensor *q, *k, *v;
    struct g_tensor *kq_b; /* added to the scores; turns flash attention off for this layer */
    struct g_tensor *sinks;
    struct g_tensor *v_mla; /* MLA: decompresses the result */
    bool latent;            /* MLA: k is the latent row, v says only how much of it is V */
    struct g_tensor *top_k; /* MLA: attend to these cells only */
    bool no_wo;             /* leave the projection to the caller */
    enum tensor_role wo;    /* ROLE_NONE: attn_output */
    int layer;              /* for b_attn_mha; b_attn sets it */
};
struct g_tensor *b_attn(struct builder *b, int layer, const struct b_attn_args *args);
/* The attention alone, from views of a cache or plain tensors to {n_embd, tokens}; expanded. */
struct g_tensor *b_attn_mha(struct builder *b, struct g_tensor *q, struct g_tensor *k,
                            struct g_tensor *v, struct g_tensor *mask,
                            const struct b_attn_args *args);
struct g_tensor *b_k_cache(struct builder *b, int layer); /* leaf {k_row, cells, streams} */
struct g_tensor *b_v_cache(struct builder *b, int layer);
/* Keys of a sparse-attention indexer: store this ubatch's, then read them all as {row, 1, cells,
 * streams}. */
void b_store_index(struct builder *b, int layer, struct g_tensor *keys, struct g_tensor *at);
struct g_tensor *b_index_view(struct builder *b, int layer);
struct g_tensor *b_rotate(struct builder *b, struct g_tensor *x,
                          struct g_tensor *rot); /* Hadamard; rot NULL: x */

/* The activation between up (and gate, NULL none) and down. */
struct g_tensor *b_act(struct builder *b, struct g_tensor *gate, struct g_tensor *up,
                       enum ffn_act act);

struct b_ffn_roles {
    enum tensor_role up, gate, down;
};
/* Up, gate and down as far as the model has them, with scales and biases. */
struct g_tensor *b_ffn(struct builder *b, int layer, struct g_tensor *x, enum ffn_act act,
                       enum ffn_gate_kind gate);
/* The same for an explicit set of roles (shared experts): */
struct g_tensor *b_ffn_roles(struct builder *b, int layer, struct g_tensor *x, struct b_ffn_roles r,
                             enum ffn_act act, enum ffn_gate_kind gate);

enum moe_gating {
    GATING_SOFTMAX = 1,
    GATING_SIGMOID = 2,
    GATING_SOFTMAX_WEIGHT = 3,
    GATING_SQRT_SOFTPLUS = 4
};
struct b_moe_args {
    struct g_tensor *logits_in; /* computed elsewhere, or NULL: from ffn_gate_inp */
    enum ffn_act act;
    bool norm_w;         /* normalise the chosen weights */
    bool scale_w;        /* multiply them by expert_weights_scale when that is neither 0 nor 1 */
    uint32_t gating;     /* enum moe_gating; 0: as the model says */
    bool weights_first;  /* Llama 4: chosen by logits, weights applied to the input */
    bool choose_sigmoid; /* chosen by sigmoid, whatever weighs them (GroveMoE) */
    bool chunks;         /* the chunk experts that belong to the chosen large ones (GroveMoE) */
    bool down_f32;   /* the product with down asks for F32 input, which CUDA does not offer (Mistral
                        4) */
    uint32_t n_used; /* 0: expert_used_count */
};
struct g_tensor *b_moe(struct builder *b, int layer, struct g_tensor *x,
                       const struct b_moe_args *args);
struct g_tensor *b_mm_id(struct builder *b, int layer, enum tensor_role role, struct g_tensor *x,
                         struct g_tensor *ids);

/* Recurrent state: its inputs, its leafs, and its rows for this ubatch's sequences (engine's
 * build_rs). */
void b_rs_inputs(struct builder *b);
struct g_tensor *b_r_state(struct builder *b, int layer); /* leaf {elements, rows} */
struct g_tensor *b_s_state(struct builder *b, int layer);
bool b_uses_delta(
    const struct model *m); /* some layer computes the gated delta rule, fused or not */
struct g_tensor *b_rs_gather(struct builder *b, struct g_tensor *state, int64_t state_size);

/* A family's graph: from tokens to logits; the result is expanded into b->g. */
typedef void (*graph_fn)(struct builder *b);
/* NULL: unknown family. */
graph_fn graph_for(const struct model *m, const struct law_settings *s);

#endif
