/* plan: decides how a model lies on these cards, says whether it fits, what is short, and what would help. */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "law/law.h"
#include "plan/speculate.h"

/* What to be best at where something is open (CONTRACT 2). GOAL_FEWEST is what happens without --goal. */
enum plan_goal {
    GOAL_FEWEST,    /* fewest cards at min(trained, 32768) tokens, then the largest context there */
    GOAL_BALANCED,  /* largest context up to 32768 within 10 % of the best speed */
    GOAL_CONTEXT,   /* largest context */
    GOAL_SPEED,     /* fastest single stream at the asked (or 8192) context */
    GOAL_THROUGHPUT /* most tokens per second over 8 streams */
};

/* Engine programs whose commands we emit or parse; each has defaults of its own (plan/tool.c). */
enum plan_tool {
    TOOL_SERVER,     /* llama-server */
    TOOL_CLI,        /* llama-cli: a server with one slot inside */
    TOOL_COMPLETION, /* llama-completion */
    TOOL_BENCH,      /* llama-bench */
    TOOL_FIT,        /* llama-fit-params */
};

/* Which settings a person gave; the rest is open and chosen. */
enum plan_given {
    GIVEN_CTX = 1 << 0, GIVEN_PARALLEL = 1 << 1, GIVEN_BATCH = 1 << 2, GIVEN_UBATCH = 1 << 3,
    GIVEN_TYPE_K = 1 << 4, GIVEN_TYPE_V = 1 << 5, GIVEN_FLASH = 1 << 6, GIVEN_GPU_LAYERS = 1 << 7,
    GIVEN_SPLIT_MODE = 1 << 8, GIVEN_TENSOR_SPLIT = 1 << 9, GIVEN_MAIN_GPU = 1 << 10,
    GIVEN_CPU_MOE = 1 << 11, GIVEN_OVERRIDE = 1 << 12, GIVEN_UNIFIED = 1 << 13,
    GIVEN_SPEC_TYPE = 1 << 14, GIVEN_DRAFT_MAX = 1 << 15, GIVEN_DRAFT_LAYERS = 1 << 16,
    GIVEN_DRAFT_CARDS = 1 << 17, GIVEN_DRAFT_TYPE_K = 1 << 18, GIVEN_DRAFT_TYPE_V = 1 << 19,
};

enum plan_strategy { PLACE_AUTO, PLACE_ONE, PLACE_EVEN, PLACE_PROPORTIONAL };

struct plan_wish {
    struct law_settings s; /* given values, defaults elsewhere */
    uint32_t given;        /* enum plan_given */
    bool ctx_max;          /* --ctx max: the largest context that fits */
    bool as_command;       /* a whole command was given: nothing is chosen, no margin decides */
    enum plan_tool tool;
    enum plan_goal goal;
    enum plan_strategy strategy;
    bool spread;           /* use every card */
    uint32_t max_gpus;     /* 0: no limit */
    bool allow_cpu;        /* layers may go to the host */
    uint64_t keep_free_bytes; /* valid when keep_free_set, else share and cap below */
    bool keep_free_set;
    double safety_margin;  /* share of each card kept free [0.1] */
    bool safety_margin_set; /* then the 1 GiB cap does not apply */
    uint64_t system_overhead_bytes; /* host memory kept free [2 GiB] */
    uint64_t host_memory_bytes;     /* 0: what the machine has */
    double kv_cache_factor;         /* [1.0] */
    double tp_overhead;             /* share of speed lost to tensor parallelism, 0: from the link */
    uint32_t min_context;           /* [128] */
    uint64_t projector_bytes;       /* --mmproj: weights on the main GPU, 0 none */
    bool projector_on_host;
    const struct model *draft;      /* --model-draft, NULL none */
    enum speculation speculation;   /* what --spec-type asks for, or a draft model implies */
    uint32_t drafted;               /* tokens drafted at once */
    int32_t draft_layers;           /* -ngld; -1 all */
    uint32_t draft_cards;           /* -devd, with GIVEN_DRAFT_CARDS: bit i, 0 the host */
    uint32_t draft_type_k, draft_type_v; /* where given, else the main cache's */
    const uint64_t *layer_extra;    /* [n_layer + 1] bytes of adapters on each layer's device, NULL none */
    bool cards_set;                 /* as_command: only these cards are visible to the engine */
    uint32_t cards;                 /* bit i: machine.devices[i] */
    uint64_t cache_ram_bytes;       /* --cache-ram; a ceiling, not a need */
    bool all_alternatives;
};

struct plan_wish plan_default_wish(void);

enum plan_verdict { VERDICT_FITS, VERDICT_TIGHT, VERDICT_PARTLY_CPU, VERDICT_NO_FIT };
const char *plan_verdict_name(enum plan_verdict v); /* "fits", "fits-tight", "partly-on-cpu", "does-not-fit" */

/* Sums to what a card must hold. All in bytes. */
struct plan_device {
    const struct device *card;
    int first_layer, last_layer; /* -1, -1: unused; the output layer has the number n_layer */
    uint64_t weights, kv, compute;
    uint64_t runtime, runtime_low, runtime_high; /* CUDA context and so on; 0 on unused cards */
    uint64_t projector, draft;   /* counted into weights in totals for people */
    uint64_t other;      /* held by other programs now */
    uint64_t keep_free;
    int64_t free_after;  /* free now minus ours; negative when short; keep_free is part of it */
    uint64_t shortfall;  /* bytes missing to hold it, without the kept-free room */
};

struct plan_host {
    uint64_t weights, kv, compute, repack, cache; /* cache: output buffer, checkpoints */
    uint64_t cache_ceiling; /* --cache-ram: may be used, is not needed */
    uint64_t total, free, keep_free;
    uint64_t shortfall;
};

struct plan_alternative {
    char key;             /* 'A', 'B', ... or '1', '2', ... in texts */
    const char *change;   /* "KV q8_0" */
    const char *flags;    /* what to add to the command line; "": it takes another file or card */
    uint32_t context;     /* 0: none fits */
    enum plan_verdict verdict;
    const char *price;
    uint64_t freed_bytes; /* against the asked plan, all cards together */
    int64_t short_bytes;  /* > 0: still short by this much */
    bool combination;     /* more than one change */
    bool other_cards;     /* needs cards that are not there: no flag does it */
    double decode_tps;    /* at an empty context; 0: unknown */
};

/* How sure the choice is the best there is, under the law and the speed model. */
struct plan_optimality {
    bool proved;          /* every set of cards, cache type and split was looked at or ruled out by a bound */
    uint64_t candidates;  /* placements worked out */
    const char *open;     /* what was not looked at, in words; NULL where it is proved */
    const char *objective; /* "context", "decode_tps", "throughput_tps", "cards"; NULL: nothing was chosen */
    double best;           /* when proved also the bound: no other choice gives more (of cards: takes fewer) */
    const char *runner_up; /* the next best choice in words, NULL: there is no other */
    double runner_up_value;
};

/* What best counts, in words, and its unit; NULL without an objective. */
const char *plan_value_of(const struct plan_optimality *o);
const char *plan_value_unit(const struct plan_optimality *o);

enum { PLAN_MAX_ALTERNATIVES = 12, PLAN_MAX_REASONS = 16 };

struct plan {
    const struct model *model;
    const struct machine *machine;
    struct plan_wish wish;       /* with the chosen values filled in */
    struct law_settings settings; /* what the engine is told */
    struct law_result law;
    enum plan_verdict verdict;
    bool user_asked_cpu;
    uint32_t n_devices;
    struct plan_device devices[MACHINE_MAX_DEVICES]; /* every card of --gpus, unused ones with zeros */
    struct plan_host host;
    bool flash_on;
    uint32_t used_mask;          /* bit i: devices[i] holds something */
    uint32_t placed_mask;        /* bit i: devices[i] is shown to the engine */
    uint32_t main_mask;          /* bit i: devices[i] is shown to the model itself */
    uint32_t draft_mask;         /* bit i: devices[i] is shown to the draft model, 0: none is */
    const struct model *draft;   /* the draft model, NULL none */
    struct law_settings draft_settings; /* of the second context, where there is one */
    struct law_result draft_law;        /* n_ctx 0: there is none; devices numbered within draft_mask */
    struct speculation_gain speculation; /* kind SPEC_NONE: nothing is drafted, or nothing can be said */
    uint32_t context_max[3];     /* f16, q8_0, q4_0; 0: none fits */
    double context_tps[3];       /* decode there, at an empty context; 0: unknown */
    uint32_t n_alternatives;
    struct plan_alternative alternatives[PLAN_MAX_ALTERNATIVES];
    uint32_t n_reasons;
    const char *reasons[PLAN_MAX_REASONS];
    struct speed speed;          /* confidence SPEED_NONE: nothing can be said */
    struct plan_optimality optimality;
    uint64_t needed_bytes, available_bytes; /* over used cards */
    const struct plan *spill; /* of a plan that does not fit: the same with layers in host memory, where that does */
};

/* Plan a model on a machine. Pure: no I/O. Refusals of the engine are errors; "does not fit" is a plan with a
 * verdict. Results live in arena. */
bool plan_make(const struct model *model, const struct machine *machine,
               const struct plan_wish *wish, struct arena *arena, struct plan *out, struct err *err);

/* What the law says of this card was checked against its backend; else it is CUDA's, taken as an estimate. */
bool plan_backend_exact(const struct device *d);

/* Process exit code of a finished plan (CONTRACT 2). */
int plan_exit_code(const struct plan *p);

/* What driver and libraries take on a card beside the engine's three buffers: an estimate with a range. */
struct plan_runtime { uint64_t bytes, low, high; };
struct plan_runtime plan_runtime_estimate(const struct device *d, enum law_split split, uint32_t n_cards);

#endif
