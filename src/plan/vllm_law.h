/* vllm_law: what one rank of vLLM holds: weights by shard, cache pages by group, estimates of the
 * rest. */
#ifndef PLAN_VLLM_LAW_H
#define PLAN_VLLM_LAW_H

#include "plan/vllm.h"

/* KV cache groups as vllm/v1/core/kv_cache_utils.py forms them: layers of one kind, equally many in
 * each group, dealt out in turn so that every pipeline stage has some of each. */
struct vllm_group {
    uint8_t kind; /* enum hub_kv */
    uint32_t n_layers;
};

/* A model under one tp: prefix sums over layers, so that any stage is one subtraction. */
struct vllm_law {
    const struct hub_model *model;
    const struct vllm_wish *wish;
    uint32_t tp;
    uint32_t n_groups;
    struct vllm_group groups[VLLM_MAX_GROUPS];
    uint64_t page_bytes;
    uint32_t page_tokens;
    uint64_t weights[MODEL_MAX_LAYERS + 1]; /* of layers below i, one rank */
    uint64_t active[MODEL_MAX_LAYERS + 1];  /* the part read for one token */
    uint64_t dense[MODEL_MAX_LAYERS + 1];   /* of that, what every token reads */
    uint16_t *in_group[VLLM_MAX_GROUPS];    /* layers of the group below i */
    uint64_t embed, head, first_rest, last_rest, everywhere;
};

bool vllm_law_make(const struct hub_model *model, const struct vllm_wish *wish, uint32_t tp,
                   struct arena *arena, struct vllm_law *out, struct err *err);

/* Weights on a rank of the stage with layers [first, end). */
uint64_t vllm_law_weights(const struct vllm_law *law, uint32_t first, uint32_t end);
uint64_t vllm_law_active(const struct vllm_law *law, uint32_t first, uint32_t end);
uint64_t vllm_law_block(const struct vllm_law *law, uint32_t first,
                        uint32_t end); /* bytes, never 0 */

/* Peak of PyTorch's own memory in the profiling run. Fitted on seven measured rows (vLLM 0.11,
 * H100) to
 * +-0.03 GiB: the sampler's 9.6 copies of float32 logits for max_num_seqs, and one hidden state of
 * the batch; where that is small, the widest layer's forward pass. */
struct vllm_range vllm_activation(const struct vllm_law *law, bool first_stage, bool last_stage);
struct vllm_range vllm_non_torch(const struct vllm_wish *wish, uint32_t world);
struct vllm_range vllm_graphs(const struct vllm_wish *wish);
bool vllm_graphs_counted(const struct vllm_wish *wish);

uint64_t vllm_blocks_for(const struct vllm_law *law,
                         uint64_t tokens); /* blocks one request of that length takes */
uint64_t vllm_longest(const struct vllm_law *law,
                      uint64_t blocks); /* longest request, at most 2^31 */

/* Bytes one element of the cache takes: 1 for fp8, else 2. */
uint32_t vllm_kv_element(const struct vllm_wish *wish);

/* vLLM's own cut: L / pp, the remainder to the stages before the last (distributed/utils.py,
 * behaviour). */
void vllm_default_partition(uint32_t n_layers, uint32_t pp, uint32_t out[VLLM_MAX_RANKS]);

#endif
