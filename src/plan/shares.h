/* shares: what a card takes beside its layers' own bytes, learned from splits that the law worked
 * out. A kind of run of layers takes the same in all splits. */
#ifndef PLAN_SHARES_H
#define PLAN_SHARES_H

#include "plan/place.h"
#include "plan/search.h"

enum { SHARES_KINDS = 1024, SHARES_BOOK = 8 };

/* Of one model under one set of settings, whatever the split. Runs of layers are of one kind when
 * they begin and end alike, hold layers of the same kinds, and are of the same length or both
 * longer than what settles in the engine's allocator (law/fold.h). */
struct shares {
    struct law_settings s;    /* the split left out */
    uint32_t first, n_layers; /* layers [0, first) lie on the host; the output layer is counted */
    uint64_t *bytes;          /* [n_layers]: of the layers from first on */
    uint16_t *kind;           /* [n_layers][n_layers + 1], as search_problem */
    uint32_t n_kinds;
    int64_t *extra; /* [devices][SHARES_KINDS]: least that was seen; 0 until something was */
    bool *seen;     /* [devices][SHARES_KINDS] */
    uint32_t streams, depth, drafted; /* that ns was made for; streams 0: it was not made */
    double *ns;                       /* [devices][n_layers] */
    uint64_t age;
    struct shares *draft; /* of a draft model that is cut where the model is, NULL: not seen yet */
    uint32_t draft_mask;  /* cards of a draft that lies elsewhere */
    uint64_t beside[MACHINE_MAX_DEVICES]; /* what it was seen to take there */
};

/* Memory for the settings asked last; one per model and machine. */
struct share_book {
    const struct model *model;
    const struct machine *machine;
    bool quick; /* learned from folded models */
    uint32_t n;
    struct shares entry[SHARES_BOOK];
    uint64_t clock;
    struct share_book *draft; /* of the wish's draft model, or NULL */
    struct plan_wish wish; /* of a draft's book: nothing is asked of its layers but what they are */
};

/* How a set of cards is searched: for the least time, or with streams 0 for the least fill. */
struct share_case {
    struct draft_spot spot;
    uint32_t streams, depth;
};

/* Room for n settings, at most SHARES_BOOK. Lives in the placer's arena; NULL without memory. */
struct share_book *shares_open(const struct placer *p, uint32_t n);

/* The entry of these settings, new and empty where it was not there. NULL: err says why. */
struct shares *shares_of(struct placer *p, struct share_book *book, const struct law_settings *s,
                         struct err *err);

/* Learns from a placement of whole layers that was worked out. False: a run took something else
 * than the same run on the same card did before, or what a draft takes does not go by runs. */
bool shares_learn(const struct placer *p, struct share_book *book, struct shares *h,
                  const struct placement *pl);

/* What the second context showed; of cards of the whole machine. Part of shares_learn. */
bool shares_learn_draft(const struct placer *p, struct share_book *book, struct shares *h,
                        const struct placement *pl);

/* One law's part of shares_learn: need[] of machine.devices, n_ctx of the law above 0. */
bool shares_learn_law(const struct placer *p, struct shares *h, uint32_t mask,
                      const struct law_result *law, const uint64_t *need);

/* Makes h->ns. of_draft: drafted tokens one by one and all of them again; else a pass that checks
 * them. */
bool shares_time(const struct placer *p, struct shares *h, const struct share_case *c,
                 bool of_draft, struct err *err);

/* The search for the cards of a case. Points into h and the placer's arena. */
bool shares_problem(struct placer *p, struct shares *h, const struct share_case *c,
                    struct search_problem *out, struct err *err);

/* Adds what a draft model takes beside the runs of the model's layers. Part of shares_problem. */
bool shares_add_draft(const struct placer *p, struct shares *h, const struct share_case *c,
                      struct search_problem *out, struct err *err);

/* What drafting adds to a pass at least, the draft on more than one card; 0 while nothing of it was
 * seen. */
bool shares_draft_ns(const struct placer *p, const struct shares *h, const struct share_case *c,
                     double *out, struct err *err);

/* Fill of the fullest card that only the draft lies on, as far as it was seen. */
double shares_draft_fill(const struct placer *p, const struct shares *h,
                         const struct draft_spot *spot);

#endif
