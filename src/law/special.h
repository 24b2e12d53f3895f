/* special: what the builders of recurrent, hybrid and latent families share. */
#ifndef LAW_SPECIAL_H
#define LAW_SPECIAL_H

#include "law/build.h"

/* Mark the graph void; returns its dud. */
struct g_tensor *sp_fail(struct builder *b, const char *at);

/* Layers that are run: NextN blocks at the end are not. */
int sp_layers(const struct builder *b);
bool sp_is_recurrent(const struct builder *b, int layer);

/* [row, n_seq_tokens, n_seqs] and back. */
struct g_tensor *sp_by_sequence(struct builder *b, struct g_tensor *x);
struct g_tensor *sp_by_token(struct builder *b, struct g_tensor *x);

/* Part of every row of a 3-D tensor: n elements from element `from`. */
struct g_tensor *sp_part(struct builder *b, struct g_tensor *x, int64_t n, int64_t from);
/* The same as heads: [head, heads, n_seq_tokens, n_seqs]. */
struct g_tensor *sp_heads(struct builder *b, struct g_tensor *x, int64_t head, int64_t heads,
                          int64_t from);

/* In the last layer only the rows that are asked for go on. */
struct g_tensor *sp_wanted(struct builder *b, int layer, struct g_tensor *x);

/* Final norm of this role, logits, results marked, all of it appended. */
void sp_finish(struct builder *b, struct g_tensor *x, enum tensor_role norm);
/* The same where the engine keeps the normalised state of every token for a draft head. */
void sp_finish_nextn(struct builder *b, struct g_tensor *x);

/* Reading recurrent state in two halves, for readers that are more than a choice of rows:
 * sp_state_open zeroes the row of a new sequence and returns the rows; sp_state_close appends what
 * was read from them and moves the rows of idle sequences (llama.cpp src/llama-graph.cpp build_rs,
 * behaviour). */
struct g_tensor *sp_state_open(struct builder *b, struct g_tensor *state, int64_t size);
void sp_state_close(struct builder *b, struct g_tensor *state, struct g_tensor *rows, int64_t size,
                    struct g_tensor *read);

/* Snapshots kept per sequence, the live state included. */
int64_t sp_snapshots(const struct builder *b);

/* Write the convolution's tail into rows of r: one copy per snapshot. conv_x [tail + tokens,
 * channels, n_seqs]. */
void sp_store_tail(struct builder *b, struct g_tensor *conv_x, struct g_tensor *r, int64_t tail,
                   int64_t channels);

struct g_tensor *b_mamba1(struct builder *b, int layer, struct g_tensor *x);
struct g_tensor *b_mamba2(struct builder *b, int layer, struct g_tensor *x);
struct g_tensor *b_shortconv(struct builder *b, int layer, struct g_tensor *x);

/* Gated delta rule: q, k, v, gate, beta are [x, heads, n_seq_tokens, n_seqs], state [S, S, heads,
 * n_seqs]; b_delta_attend also writes the new state to the layer's s. */
struct b_delta {
    struct g_tensor *q, *k, *v, *gate, *beta, *state;
};
struct b_delta_out {
    struct g_tensor *out, *state;
};
struct b_delta_out b_delta_rule(struct builder *b, int layer, const struct b_delta *in);
struct g_tensor *b_delta_conv(struct builder *b, int layer, struct g_tensor *qkv, int64_t kernel,
                              int64_t channels);
struct g_tensor *b_delta_attend(struct builder *b, int layer, const struct b_delta *in);

/* Sizes of one head: the part that carries no position, the part that does, and the value. */
struct mla_sizes {
    int64_t heads, nope, rope, value, rank;
};

/* The compressed row: latent part and the rotated key that all heads share. */
struct mla_row {
    struct g_tensor *latent, *k_pe;
};

struct mla_sizes mla_sizes_of(const struct builder *b);
struct mla_row mla_compress(struct builder *b, int layer, struct g_tensor *x,
                            const struct mla_sizes *z);
/* One latent key for all heads: the query is taken into the latent space. top_k: cells to attend
 * to, NULL all. */
struct g_tensor *mla_absorbed(struct builder *b, int layer, struct g_tensor *q, struct mla_row row,
                              const struct mla_sizes *z, struct g_tensor *top_k);
/* Sums, norm and feed-forward behind attention; the last layer goes on with what is asked for. */
struct g_tensor *mla_after_attention(struct builder *b, int layer, struct g_tensor *attn,
                                     struct g_tensor *x);
/* Leading dense layers, then routed and shared experts. norm: normalise the chosen weights. */
struct g_tensor *sp_routed_ffn(struct builder *b, int layer, struct g_tensor *x, bool norm);

/* One layer as the family's NextN blocks are. */
struct g_tensor *deepseek2_block(struct builder *b, int layer, struct g_tensor *x);
struct g_tensor *qwen3next_block(struct builder *b, int layer, struct g_tensor *x);
struct g_tensor *qwen35_block(struct builder *b, int layer, struct g_tensor *x);

void graph_deepseek2(struct builder *b);
void graph_deepseek32(struct builder *b);
void graph_minicpm3(struct builder *b);
void graph_plm(struct builder *b);
void graph_mamba(struct builder *b);
void graph_jamba(struct builder *b);
void graph_granite_hybrid(struct builder *b);
void graph_nemotron_h(struct builder *b);
void graph_falcon_h1(struct builder *b);
void graph_plamo2(struct builder *b);
void graph_lfm2(struct builder *b);
void graph_qwen3next(struct builder *b);
void graph_qwen35(struct builder *b);
void graph_kimi_linear(struct builder *b);
void graph_gemma3n(struct builder *b);
void graph_gemma4(struct builder *b);
void graph_rwkv(struct builder *b);

#endif
