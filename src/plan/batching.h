/* batching: how requests of known lengths are best put together: groups, buckets, back-off, and the
 * slots a plan holds. */
#ifndef PLAN_BATCHING_H
#define PLAN_BATCHING_H

#include "plan/plan.h"

enum {
    BATCHING_MAX_BYTES = 1 << 20, /* of a list of lengths */
    BATCHING_MAX_LINES = 100000,
    BATCHING_MAX_LENGTH = 10485760, /* tokens of one prompt */
    BATCHING_MAX_SEQUENCES = 256,   /* LLAMA_MAX_SEQ of the engine */
    BATCHING_REPLY = 512,           /* tokens of a slot that are left for the answer */
};

/* Lengths of prompts in tokens, in the order of the list. */
struct batching_lengths {
    uint32_t n;
    uint32_t *tokens;
};

/* One whole number from 1 to BATCHING_MAX_LENGTH a line; blanks around it and empty lines do not
 * count. Anything else is ERR_9002 with `name` and the number of the line. */
bool batching_parse(const char *name, const char *text, size_t len, struct arena *arena,
                    struct batching_lengths *out, struct err *err);

/* When a batch is closed: full, a long prompt behind much shorter ones, too many tokens. */
struct batching_rules {
    uint32_t max_items;  /* [32] */
    uint32_t threshold;  /* prompts up to this length may stand with any shorter ones [256] */
    uint32_t ratio;      /* a longer one is at most so many times the longest before it [2] */
    uint32_t max_tokens; /* of a batch, padding not counted [16384] */
};
struct batching_rules batching_default_rules(void);

struct batching_batch {
    uint32_t first, count; /* places in batching_groups.order */
    uint32_t longest;
    uint64_t tokens;
    bool oversize; /* one prompt that alone is over max_tokens */
};

struct batching_groups {
    uint32_t n_items, n_batches, n_oversize;
    uint32_t *order; /* places in the list, shortest prompt first, equal ones in the list's order */
    struct batching_batch *batches;
    uint64_t tokens;
    uint64_t padded;          /* every prompt as long as the longest of its batch */
    uint64_t padded_in_order; /* the same for batches of max_items in the list's order */
};

/* Never an empty batch. False when memory runs out (ERR_1201). */
bool batching_group(const struct batching_lengths *lengths, const struct batching_rules *rules,
                    struct arena *arena, struct batching_groups *out, struct err *err);

/* 32, or the next power of two that is not below length. */
uint32_t batching_pow2_bucket(uint32_t length);

/* The least edge that is not below length, where edges start at base (1 or more) and each is at
 * most ratio (above 1.0) times the one before: no prompt from base on is padded by more than that.
 */
uint32_t batching_ratio_bucket(uint32_t length, uint32_t base, double ratio);

/* What an out-of-memory does to a batch size: three quarters of it, 1 at least. */
uint32_t batching_reduce(uint32_t batch);

/* Share of the full batch size that is used. An out-of-memory takes it to 0.75 of what it was, not
 * below 0.25; from the fifth clean batch in a row on each one adds a tenth, up to 0.95 under
 * pressure; above 0.9 the pressure is over and the next clean batches bring it back to 1. */
struct batching_backoff {
    double scale;
    uint32_t clean;
    bool pressure;
};
struct batching_backoff batching_backoff_make(void);
void batching_backoff_oom(struct batching_backoff *b);
void batching_backoff_clean(struct batching_backoff *b);

/* Most sequences of so many tokens each (a slot of the engine, rounded up to 256) that the plan's
 * cards hold with the room kept free, worked out with the exact cache and compute of each number;
 * 0: not even one, or more cells than the engine counts. ubatch 0: the plan's. candidates (may be
 * NULL) is raised by the placements looked at. */
bool batching_largest(const struct plan *p, uint32_t length, uint32_t ubatch, struct arena *arena,
                      uint32_t *sequences, uint64_t *candidates, struct err *err);

/* Slots for prompts up to one percentile. */
struct batching_slots {
    uint32_t percentile;  /* 50, 95, 100 */
    uint32_t prompt;      /* tokens of that prompt */
    uint32_t slot;        /* tokens of a slot: prompt and answer */
    uint32_t parallel;    /* -np; 0: not one fits */
    uint64_t context;     /* -c */
    uint32_t ubatch;      /* -ub */
    double wasted;        /* share of the slots' cells that stays empty on the mean */
    double served;        /* share of the prompts that fit into a slot */
    bool beyond_training; /* a slot is longer than the model was trained for */
};

enum { BATCHING_ROWS = 3 };

struct batching_advice {
    uint32_t n;
    uint32_t shortest, p50, p95, longest;
    double mean;
    struct batching_slots rows[BATCHING_ROWS];
    int chosen; /* the row for the longest prompt if it gives a slot, else the longest that does;
                   -1: none */
    struct batching_rules rules;
    struct batching_groups groups;
};

/* Advice for a plan that was made (whatever its verdict). -np and -ub that the wish gives are kept.
 */
bool batching_advise(const struct plan *p, const struct batching_lengths *lengths,
                     struct arena *arena, struct batching_advice *out, struct err *err);

#endif
