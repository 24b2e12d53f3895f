/* vllm_speed: how long a token takes on vLLM's stages, by the speed model of plan/speed. */
#ifndef PLAN_VLLM_SPEED_H
#define PLAN_VLLM_SPEED_H

#include "plan/speed.h"
#include "plan/vllm_layout.h"

/* Streams of --goal throughput, and the tokens each has in the cache. */
enum { VLLM_STREAMS = 8, VLLM_STREAM_CONTEXT = 4096 };

/* One rank's share of every layer under one tp, on each card of a machine. */
struct vllm_pace {
    const struct vllm_law *law;
    const struct machine *machine;
    struct arena *arena;
    struct speed_work work;
    struct speed_card cards[MACHINE_MAX_DEVICES];
    double *below[MACHINE_MAX_DEVICES][VLLM_STREAMS + 1];
};

/* NULL: no memory. law and machine are kept. */
struct vllm_pace *vllm_pace_make(const struct vllm_law *law, const struct machine *machine,
                                 struct arena *arena);

/* ns of the layers below i on a card, [n_layers + 1] with the head; alike cards share the array.
 * streams 1: an empty context, more: VLLM_STREAM_CONTEXT each. NULL: no memory. */
const double *vllm_pace_below(struct vllm_pace *p, uint32_t device, uint32_t streams);

/* Both all-reduces of one layer over the ranks of a stage. */
double vllm_reduce_ns(const struct vllm_pace *p, const uint8_t *cards, uint32_t tp,
                      uint32_t streams);

/* What comes into a stage from the one before it. */
double vllm_hop_ns(const struct vllm_pace *p, const struct device *from, const struct device *to,
                   uint32_t streams);

/* Streams that one stage works on at once when all of VLLM_STREAMS are shared out over replicas
 * and stages. */
uint32_t vllm_micro_batch(const struct vllm_layout *l);

/* Times of a finished layout. Slowest stage: of many streams. False: no memory. */
struct vllm_times {
    double decode_ns, slowest_ns;
};
bool vllm_times_make(struct vllm_pace *p, const struct vllm_layout *l, struct vllm_times *out);

/* Tokens per second with ranges; confidence is low at best, SPEED_NONE where a card's bandwidth is
 * unknown. depth: tokens that decode_depth has in the cache. */
void vllm_speed_make(struct vllm_pace *p, const struct vllm_layout *l, uint32_t depth,
                     struct speed *out);

#endif
