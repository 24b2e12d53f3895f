/* vllm_layout: one way to lay a model over ranks: which card is which rank, where the stages are
 * cut. */
#ifndef PLAN_VLLM_LAYOUT_H
#define PLAN_VLLM_LAYOUT_H

#include "plan/vllm_law.h"

struct vllm_pace;

/* What stages are cut for: the most blocks on the rank with the fewest; or, as long as each keeps
 * the blocks that are needed, the least time of one token, or of the slowest stage. */
enum vllm_aim { VLLM_AIM_ROOM, VLLM_AIM_SPEED, VLLM_AIM_PACE };

struct vllm_layout {
    const struct vllm_law *law; /* of this tp; its wish has every setting filled in */
    const struct machine *machine;
    uint32_t tp, pp, dp, n_ranks;
    double utilization;
    uint8_t
        cards[VLLM_MAX_RANKS]; /* rank to device; ranks run over tp, then stages, then replicas */
    uint32_t bounds[VLLM_MAX_RANKS + 1]; /* first layer of each stage, and n_layers */
    bool uneven;                         /* not vLLM's own cut */
    struct vllm_range blocks;            /* smallest over the ranks */
    uint32_t limiting;                   /* rank with the fewest blocks */
    struct vllm_pace *pace;              /* NULL: stages are cut as vLLM does */
    enum vllm_aim aim;
    int64_t need; /* blocks */
};

/* The share of every card that can be asked for: (free - kept free - the driver's context) / total
 * of the card where that is least, down to a thousandth, at most 0.98. 0 where a card is full. */
double vllm_utilization(const struct machine *machine, const struct vllm_wish *wish,
                        const uint8_t *cards, uint32_t n);
uint64_t vllm_keep_free(const struct vllm_wish *wish, const struct device *d);
uint64_t vllm_runtime(const struct device *d);

uint64_t vllm_requested(const struct vllm_layout *l, uint32_t rank);

/* Terms of the identity beside the weights, of a stage. */
struct vllm_terms {
    struct vllm_range activation, non_torch, graphs;
};
struct vllm_terms vllm_terms_of(const struct vllm_layout *l, bool first, bool last);

/* Bounds: the wish's partition, else the best for the aim, proved by dynamic programming over
 * layers x stages at the estimates' low end; vLLM's own where it is as good. Where no cut has what
 * is needed: the one with the most room. */
void vllm_cut_choose(struct vllm_layout *l);

/* Cut the stages and fill in blocks. */
void vllm_cut(struct vllm_layout *l);

void vllm_fill_rank(const struct vllm_layout *l, uint32_t rank, struct vllm_rank *out);

#endif
