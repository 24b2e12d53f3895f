/* suggest_fit: one combination of cards: what it may reach at best, what it reaches, and the rest of its row. */
#ifndef PLAN_SUGGEST_FIT_H
#define PLAN_SUGGEST_FIT_H

#include "plan/place.h"
#include "plan/suggest.h"

/* A card of the catalogue as a device, and what no layer of the model can undercut on it. */
struct suggest_kind {
    const struct card *card;
    struct device device;
    struct speed_card speed;
    double rate;   /* least ns per byte of any layer, 0 unknown */
    uint64_t room; /* for weights, cache and compute */
    double price;
    bool mixes, alone; /* alone: a whole machine, never one of several */
};

struct combination {
    uint16_t kind[2], count[2]; /* count[1] 0: one kind; count[0] 0: only the cards that are there */
    bool worked_out, done, shown, checked_need, needless;
    bool idle; /* worked out: the person's own cards are not needed */
    double score;  /* watts per token per second, INFINITY unknown; a bound until it is worked out */
    double tps;    /* 0 unknown; a bound until it is worked out */
    double price;  /* INFINITY unknown */
    struct suggestion s;
    uint32_t mask; /* of the machine: own cards first, then the new ones */
    struct placement *placed; /* after suggest_work_out */
};

struct suggest_quest {
    const struct model *model;
    const struct suggest_wish *wish;
    struct arena *arena;
    struct law_settings s; /* with the asked context */
    uint32_t small;        /* the least context worth a row */
    uint32_t n_kinds;
    struct suggest_kind *kinds;
    struct suggest_kind mine[MACHINE_MAX_DEVICES];
    uint64_t need, need_small; /* weights and cache at the asked and the least context */
    double layer_bytes;        /* of all layers */
    uint64_t candidates;
    uint32_t n_placed;  /* combinations that the engine did not refuse */
    struct err refused; /* the first refusal */
};

/* Kinds, needs and bounds for the settings of q->s. */
bool suggest_prepare(struct suggest_quest *q, struct err *err);

/* Rank and score that no placement of the combination can beat. */
void suggest_bound(const struct suggest_quest *q, struct combination *c);

/* Rank and score as they are. False: memory ran out. */
bool suggest_work_out(struct suggest_quest *q, struct combination *c, struct err *err);

/* Whole graphs, largest context, note. The rank may turn out worse than it was. */
bool suggest_finish(struct suggest_quest *q, struct combination *c, struct err *err);

/* Slower than the wish, or of unknown speed where the wish has one. */
bool suggest_is_slow(const struct suggest_quest *q, const struct combination *c);
bool suggest_write_note(const struct suggest_quest *q, struct combination *c, struct err *err);

#endif
