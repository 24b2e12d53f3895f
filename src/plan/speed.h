/* speed: tokens per second of a placement: decode, prefill, many streams, each with a range. */
#ifndef PLAN_SPEED_H
#define PLAN_SPEED_H

#include "law/assign.h"
#include "law/law.h"

/* What the model is made of; docs/speed.md tells how each was found. All are above 0. */
enum speed_coef {
    /* Share of a card's nominal bandwidth that Q4_0 weights reach where SMs are no limit (above 1:
     * other costs were found smaller than LAUNCH says); REACH is that of Ampere and later. */
    SPEED_REACH,
    SPEED_REACH_TURING,
    SPEED_REACH_VOLTA,
    SPEED_REACH_PASCAL,
    SPEED_REACH_KEPLER,
    SPEED_REACH_RDNA,
    SPEED_REACH_AMD_HBM,
    SPEED_REACH_SHARED,
    SPEED_ECC,        /* factor of professional cards with GDDR memory */
    SPEED_SM,         /* GB/s that one SM can ask for per GHz of its clock */
    SPEED_LAUNCH_US,  /* per layer and token */
    SPEED_LAUNCH_GHZ, /* times (2 / GHz) to this: slower clocks start kernels later */
    SPEED_EXPERTS,    /* time per byte of experts against other weights: many small matrices */
    SPEED_HOP_US,     /* from one card to the next */
    SPEED_TYPE_FLOAT,
    SPEED_TYPE_K, /* time per byte against Q4_0 */
    SPEED_SCORE,  /* what a head adds for every cell without flash attention, as bytes of Q4_0 */
    /* Prefill of Ampere and later: TFLOPS = RATE * S * (W / S)^WATT * (GB/s / S)^BAND times what
     * follows; S = SMs * GHz. */
    SPEED_RATE,
    SPEED_RATE_WATT,
    SPEED_RATE_BAND,
    SPEED_RATE_ADA,
    SPEED_RATE_HBM,
    SPEED_RATE_FLOAT, /* F16 against Q4_0 */
    SPEED_RATE_K,     /* K quants against Q4_0 */
    SPEED_RATE_MOE,   /* mixtures against dense models */
    SPEED_SCORES,     /* bytes moved per head, cell and token of a prompt without flash attention */
    SPEED_QUEUE, /* layers of a card whose launches wait in its queue: what lets cards overlap */
    /* Prefill of the others: share of the INT8 peak. */
    SPEED_PEAK_TURING,
    SPEED_PEAK_VOLTA,
    SPEED_PEAK_PASCAL,
    SPEED_PEAK_KEPLER,
    SPEED_PEAK_RDNA,
    SPEED_PEAK_AMD_HBM,
    SPEED_PEAK_SHARED,
    SPEED_COEF_COUNT
};
extern const double speed_coefs[SPEED_COEF_COUNT]; /* fitted on published measurements */
extern const char *const speed_coef_names[SPEED_COEF_COUNT];

/* Cards that behave alike; a table row (speed_card.c) says which coefficients and ranges are
 * theirs. */
enum speed_class {
    SPEED_CLASS_UNKNOWN,
    SPEED_CLASS_GDDR,
    SPEED_CLASS_HBM,
    SPEED_CLASS_HBM_NEW,
    SPEED_CLASS_TURING,
    SPEED_CLASS_VOLTA,
    SPEED_CLASS_PASCAL,
    SPEED_CLASS_KEPLER,
    SPEED_CLASS_RDNA,
    SPEED_CLASS_AMD_HBM,
    SPEED_CLASS_SHARED,
    SPEED_CLASS_COUNT
};

/* Measured over predicted: nine of ten measurements lay between, or a guess where few are known. */
struct speed_spread {
    double decode_low, decode_high, prefill_low, prefill_high;
};

struct speed_class_row {
    const char *name;
    enum speed_coef reach, peak; /* peak unused by GDDR and HBM */
    struct speed_spread spread;
    int trust; /* 2 high, 1 medium, 0 low */
};
extern const struct speed_class_row speed_classes[SPEED_CLASS_COUNT];

/* What a card can do. read_gbs 0: nothing is known and no speed is said. */
struct speed_card {
    enum speed_class class;
    double read_gbs;     /* bytes of Q4_0 weights per ns */
    double tflops;       /* prefill of Q4_0, 0 unknown */
    double tflops_float; /* of F16 */
    double tflops_k;
    double launch;   /* factor of launch costs */
    double link_gbs; /* to other cards and the host, one way, as copies reach it */
    bool nvlink;
};
void speed_card_make(const double *coefs, const struct device *d, struct speed_card *out);

/* Groups of tensor types with the same time per byte. */
enum speed_type {
    SPEED_Q4_0,
    SPEED_FLOAT,
    SPEED_K,
    SPEED_IQ,
    SPEED_TYPES
}; /* IQ: with Q2_K, Q3_K */

/* What one layer (or the output layer) costs per token, apart from where it lies. */
struct speed_part {
    double bytes[SPEED_TYPES];        /* read for every token */
    double expert_bytes[SPEED_TYPES]; /* of the experts one token uses */
    double flops[SPEED_TYPES];        /* multiply and add, of one token */
    double expert_flops[SPEED_TYPES];
};
struct speed_layer {
    struct speed_part card,
        host;            /* host: what goes to the host wherever the layer lies (-ncmoe, -ot) */
    double kv_bytes;     /* per cell of the context that is looked at */
    double kv_cells_max; /* window; 0: no end */
    double state_bytes;  /* recurrent state, per sequence */
    double attn_flops;   /* per token and cell */
    double heads;        /* that look at the cells */
    double expert_ratio; /* used experts over all, 1 if none */
    bool loaded;         /* false: NextN blocks, which are no part of a token's way */
    bool drafts;         /* the NextN block that is run where it drafts */
    bool own_head;       /* it does not need the output layer */
};

/* A model under settings, ready to be asked about thousands of placements. */
struct speed_work {
    uint32_t n_layers; /* the output layer included */
    uint32_t n_embd;
    bool flash_on, moe, cache_on_host;
    struct speed_layer layer[MODEL_MAX_LAYERS + 1];
};
/* assignment (may be NULL) tells exactly which tensors an override sends away; without it -ncmoe,
 * -cmoe and -ncffn are followed and -ot rules are not seen. Overrides to another card count as
 * staying on the layer's. */
void speed_work_make(const struct model *m, const struct law_settings *s, bool flash_on,
                     const struct assignment *a, struct speed_work *out);

/* Host memory in GB/s that CPU inference reaches, guessed from the number of cores. */
double speed_host_gbs(const struct host *h);

enum { SPEED_EMPTY_CELLS = 64 }; /* an "empty" context: what tg128 of llama-bench sees on average */

/* Decode time of one layer on one card, cells tokens deep, in ns; < 0: unknown. Sums over layers
 * and hops give speed_estimate's decode. card NULL: on the host with host_gbs. */
double speed_layer_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                      const struct speed_card *card, double host_gbs, uint32_t cells);
/* The same for several streams that decode together, each cells deep: one step of all of them. */
double speed_layer_streams_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                              const struct speed_card *card, double host_gbs, uint32_t streams,
                              uint32_t cells);
double speed_hop_ns(const double *coefs);

struct speed_case;
/* Time of n tokens of one stream at an empty context, in ns: through the whole model, or through its NextN block (settings
 * with mtp) and the head. <= 0: unknown. */
enum speed_step { STEP_MODEL, STEP_NEXTN };
double speed_step_ns(const struct speed_case *in, enum speed_step step, uint32_t n);
/* One layer's part of it on one card, or on the host (card NULL); < 0: unknown. */
double speed_layer_step_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                           const struct speed_card *card, double host_gbs, enum speed_step step, uint32_t n);

struct speed_case {
    const struct model *model;
    const struct machine *machine; /* as the placement numbers it */
    const struct law_settings *settings;
    const struct law_result *placement;
    const struct assignment *assignment; /* or NULL, see speed_work_make */
    const struct speed_work *work;       /* or NULL: made here */
    const struct speed_card
        *cards; /* of machine.devices, or NULL: made here, which costs more than the rest */
    const double *coefs; /* or NULL: speed_coefs */
    uint32_t depth;      /* cells filled before decode_depth starts */
    uint32_t streams;    /* for throughput; 0: settings->n_seq_max */
    uint32_t prompt;     /* tokens of the prompt; 0: 512 */
    double host_gbs;     /* measured memory speed of the host, 0: guessed */
    double tp_overhead;  /* share of speed lost to -sm tensor, 0: from the link */
};

enum speed_limit {
    SPEED_LIMIT_NONE,
    SPEED_LIMIT_BANDWIDTH,
    SPEED_LIMIT_HOST,
    SPEED_LIMIT_COMPUTE,
    SPEED_LIMIT_LINK,
    SPEED_LIMIT_LAUNCH
};
enum speed_confidence { SPEED_NONE, SPEED_LOW, SPEED_MEDIUM, SPEED_HIGH };

struct speed_range {
    double tps, low, high; /* tokens per second, 0: unknown */
};

struct speed {
    struct speed_range decode;       /* one stream, empty context: as llama-bench tg128 */
    struct speed_range decode_depth; /* one stream at depth */
    struct speed_range throughput;   /* all streams together, at depth */
    struct speed_range prefill;      /* as llama-bench pp<prompt> */
    enum speed_confidence confidence;
    enum speed_limit limit; /* of decode */
    int limit_card;         /* place in machine.devices, -1 */
    char limited_by[40];    /* "memory bandwidth of GPU 1" */
};
const char *speed_confidence_name(enum speed_confidence c); /* "none" "low" "medium" "high" */

/* Pure, microseconds. False: nothing can be said (a card whose bandwidth is unknown); out then says
 * so too: zeros and SPEED_NONE. */
bool speed_estimate(const struct speed_case *in, struct speed *out);

#endif
