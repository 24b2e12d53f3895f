/* vllm: decides tensor and pipeline parallelism for vLLM over these cards, by its memory identity.
 */
#ifndef PLAN_VLLM_H
#define PLAN_VLLM_H

#include "base/str.h"
#include "machine/machine.h"
#include "model/hub_layout.h"
#include "plan/plan.h"

/* Bytes with the range they are known in; low = high for what is exact. */
struct vllm_range {
    uint64_t low, value, high;
};

enum {
    VLLM_MAX_RANKS = MACHINE_MAX_DEVICES,
    VLLM_MAX_GROUPS = 64,
    VLLM_MAX_REASONS = 16,
    VLLM_MAX_BATCH = 1 << 20
};

/* Fields that are 0 or NULL are open: chosen, or vLLM's own default where a whole command was
 * given. */
struct vllm_wish {
    uint32_t tp, pp;
    uint32_t dp;                   /* replicas, 0 is 1 */
    uint32_t max_len;              /* --max-model-len, tokens */
    uint32_t max_seqs, max_tokens; /* --max-num-seqs, --max-num-batched-tokens */
    uint32_t block_size;           /* tokens, 0 is 16 */
    double utilization;            /* (0, 1], 0: from free memory, or [0.92] of a command */
    uint64_t kv_cache_bytes;       /* --kv-cache-memory-bytes, per rank */
    bool activation_given, non_torch_given;
    uint64_t activation_bytes, non_torch_bytes; /* measured: taken instead of the estimates */
    const char *kv_dtype;                       /* "auto", "fp8", ... NULL is auto */
    const char *dtype;                          /* "auto", "half", "bfloat16" ... */
    const char *quantization; /* "fp8" or "bitsandbytes" quantise plain weights at load */
    bool eager, expert_parallel, no_custom_all_reduce, ray;
    bool vision_data; /* --mm-encoder-tp-mode data: the tower is whole on every rank */
    uint32_t n_partition;
    uint32_t partition[VLLM_MAX_RANKS]; /* layers per stage */
    uint32_t release;                   /* 11 for 0.11.x, 0: the newest known */
    bool nodes;                         /* --nnodes: joined without Ray */
    bool graphs_uncounted;              /* VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 */
    enum plan_goal goal;
    bool spread;
    uint32_t max_gpus; /* 0 no limit */
    uint32_t streams, stream_depth; /* what throughput is said for, 0: 8 streams of 4096 tokens */
    bool keep_free_set;
    uint64_t keep_free_bytes;
    uint32_t min_context;
    bool as_command;
    bool cards_set;
    uint32_t n_cards;
    uint8_t cards[VLLM_MAX_RANKS]; /* indexes into machine.devices, in rank order */
};

struct vllm_wish vllm_default_wish(void);

/* One worker. requested = utilization * total = weights + activation + non_torch + graphs (if
 * counted) + kv. */
struct vllm_rank {
    const struct device *card;
    uint32_t device; /* index into machine.devices */
    uint32_t replica, stage, tp_rank;
    uint32_t first_layer, last_layer;
    uint64_t requested;
    uint64_t weights; /* exact where headers were read */
    struct vllm_range activation, non_torch, graphs;
    struct vllm_range kv;     /* what remains; 0 where nothing does */
    struct vllm_range blocks; /* of this rank alone */
    uint64_t block_bytes;     /* one block over all layers of the stage */
    uint64_t runtime;         /* driver's context, outside of the identity */
    int64_t free_after;       /* free now - requested - runtime */
};

/* What tp x pp gives, for the plan and for the runner-up. */
struct vllm_choice {
    uint32_t tp, pp, n_cards;
    uint64_t kv_tokens;    /* at the estimate's low end */
    uint32_t context;      /* largest at the low end, 0: none */
    uint64_t short_bytes;  /* that weights and profiling lack on all ranks where none fits */
    double decode_ms;      /* one token of one stream */
    double throughput_tps; /* 8 streams */
};

struct vllm_plan {
    const struct hub_model *model;
    const struct machine *machine;
    struct vllm_wish wish; /* with every setting filled in */
    enum plan_verdict verdict;
    bool starts; /* free >= utilization * total on every card */
    bool context_given;
    uint32_t tp, pp, dp, n_ranks;
    struct vllm_rank ranks[VLLM_MAX_RANKS];
    bool cut_for_speed;    /* stages are cut for time, not for room */
    bool partition_needed; /* VLLM_PP_LAYER_PARTITION differs from vLLM's own cut */
    double utilization;
    uint32_t limiting;    /* rank with the fewest blocks */
    uint32_t n_groups;    /* KV cache groups (window and full layers apart) */
    uint64_t page_bytes;  /* one layer's block on one rank */
    uint32_t page_tokens; /* block size after unifying pages */
    struct vllm_range blocks, kv_tokens, max_context;
    uint64_t blocks_needed; /* for one request of max_len */
    double concurrency; /* requests of max_len at once, at the estimate */
    uint64_t shortfall; /* bytes missing on the limiting rank for max_len, at the estimate */
    struct vllm_choice choice, runner_up;
    bool enough;            /* holds what the goal asks for, at the estimate's low end */
    bool proved;            /* every set, group, order and cut was looked at */
    struct speed speed;     /* confidence SPEED_NONE: a card's bandwidth is unknown */
    bool has_runner_up;
    uint64_t candidates;
    uint32_t n_reasons;
    const char *reasons[VLLM_MAX_REASONS];
    uint32_t n_alternatives; /* vllm_options_make fills them in */
    struct plan_alternative alternatives[PLAN_MAX_ALTERNATIVES];
};

/* Pure. What vLLM would refuse is an error (ERR_2110, ERR_2112, ERR_2113, ERR_2114) that names the
 * nearest legal value; too little memory is a plan with a verdict. */
bool vllm_plan_make(const struct hub_model *model, const struct machine *machine,
                    const struct vllm_wish *wish, struct arena *arena, struct vllm_plan *out,
                    struct err *err);

/* The other plans worth knowing: of one that fits what else would do, of one that does not the ways
 * to yes. wish: as it was asked. Each is a plan of its own; what vLLM would refuse is left out. */
bool vllm_options_make(const struct vllm_wish *wish, struct arena *arena, struct vllm_plan *plan,
                       struct err *err);

/* May vLLM divide this model by tp? ERR_2112 with the reason and the nearest tp up to most that is
 * legal. */
bool vllm_check_tp(const struct hub_model *model, const struct vllm_wish *wish, uint32_t tp,
                   uint32_t most, struct err *err);
bool vllm_check_pp(const struct hub_model *model, const struct vllm_wish *wish, uint32_t pp,
                   struct err *err);

/* Settings against the model and the cards: types and compute capability, lengths, batches. */
bool vllm_check_settings(const struct hub_model *model, const struct machine *machine,
                         uint32_t mask, const struct vllm_wish *wish, struct err *err);

/* The identity of every rank with its numbers, one line a term. */
void vllm_explain(const struct vllm_plan *plan, struct str *out);

int vllm_exit_code(const struct vllm_plan *plan);

#endif
