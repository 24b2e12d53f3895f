/* suggest: which cards of a catalogue would run a model as wished: fitted under the law, ranked by a stated order. */
#ifndef PLAN_SUGGEST_H
#define PLAN_SUGGEST_H

#include "base/str.h"
#include "plan/plan.h"

enum {
    SUGGEST_MOST_CARDS = 8,    /* of the catalogue in one combination */
    SUGGEST_CATALOGUE_MAX = 256,
    SUGGEST_ROWS = 12,         /* that meet the wish, unless all are asked for */
    SUGGEST_NEAR_ROWS = 4,     /* that do not */
    SUGGEST_USEFUL_CONTEXT = 4096
};

/* How well a combination does, best first. */
enum suggest_rank {
    SUGGEST_MEETS,     /* holds the context at the speed asked for */
    SUGGEST_SLOW,      /* holds it, but is slower, or nothing is known about its speed */
    SUGGEST_SHORT,     /* holds the model with less context */
    SUGGEST_TOO_SMALL, /* does not hold the model with a useful context */
};
const char *suggest_rank_name(enum suggest_rank r); /* "meets" "too-slow" "less-context" "too-small" */

struct suggest_wish {
    const struct plan_wish *wish; /* the engine's settings; their context counts where it was given */
    const struct card *cards;     /* the catalogue, at most SUGGEST_CATALOGUE_MAX rows; holes are 0 */
    size_t n_cards;
    const double *prices;         /* of cards[i], 0 where there is none; NULL: no prices at all */
    const struct machine *mine;   /* its host; its cards are part of every combination */
    uint32_t max_cards;           /* of the catalogue, 1 to SUGGEST_MOST_CARDS */
    double min_tps;               /* decode of one stream at an empty context; 0: any speed will do */
    bool all;                     /* every combination that holds the model */
};

struct suggest_part {
    const struct card *card;
    uint32_t count;
};

struct suggestion {
    enum suggest_rank rank;
    uint32_t n_parts;             /* 0: the cards that are there already */
    struct suggest_part parts[2]; /* the faster kind first */
    uint32_t n_cards;             /* of the catalogue */
    bool mine_idle;               /* the new cards alone hold it */
    uint32_t context_max;         /* with the wish's cache types; 0: none is useful */
    int kv_type;                  /* enum gguf_type of the cache at which the asked context fits here, -1: none or
                                     not needed */
    struct speed speed;           /* SPEED_NONE: nothing can be said */
    double watts;                 /* board limits of the cards that work, 0 unknown */
    double price;                 /* of the new cards together, 0 unknown */
    uint32_t n_devices;           /* cards that work, in the engine's order */
    uint32_t layers[MACHINE_MAX_DEVICES]; /* blocks on each, the output layer not counted */
    uint64_t short_bytes;         /* TOO_SMALL: missing at least; else 0 */
    char note[40];
};

struct suggestions {
    uint32_t context;        /* that was looked for */
    bool context_lowered;    /* nothing holds the usual one, and none was asked for */
    uint32_t n_combinations; /* looked at or ruled out by a bound */
    uint64_t candidates;     /* placements worked out */
    bool met;                /* the first row meets the wish */
    uint32_t n;
    struct suggestion *row;  /* best first */
};

/* Combinations are up to max_cards cards of one kind, and up to four of two kinds that people mix. Order: meets the
 * wish, holds the context, holds the model; among those too slow the faster; then the lower price (with prices; none
 * comes last), those that use the person's own cards, fewer new cards, fewer watts per token per second. Without `all`, combinations are left out that need not all of their cards, at most
 * SUGGEST_ROWS are named, alike many for each number of cards where there are, and SUGGEST_NEAR_ROWS that miss the wish. The split is
 * the one `plan` makes. Context where none was given: the smaller of the trained one and 32768; 8192 where no
 * combination holds that. Rows live in arena. Refusals of the engine are errors. Pure: no I/O. */
bool suggest_make(const struct model *model, const struct suggest_wish *wish, struct arena *arena,
                  struct suggestions *out, struct err *err);

/* "2x RTX 5090 + 3090": the shortest names that the catalogue still knows apart. */
void suggest_cards_text(const struct suggestion *s, struct str *out);
/* The same for --gpus: "rtx5090:count=2,rtx3090". */
void suggest_gpus_text(const struct suggestion *s, struct str *out);

#endif
