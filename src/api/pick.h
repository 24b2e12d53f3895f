/* pick: which GPUs a task of some size should use: the fewest, then the best fit, and why not the
 * others. */
#ifndef API_PICK_H
#define API_PICK_H

#include "api/watch.h"
#include "plan/budget.h"

enum { PICK_TEXT_MAX = 240 };

struct pick_card {
    bool chosen;
    bool usable;         /* healthy, known, and has a UUID to name it by */
    uint64_t free_bytes; /* as the driver says; valid when free_known */
    bool free_known;
    uint64_t keep_free_bytes;
    uint64_t room_bytes;     /* free less what is kept free */
    char why[PICK_TEXT_MAX]; /* a sentence about this card */
};

struct pick {
    uint32_t n, n_chosen; /* 0 chosen: the CPU */
    struct pick_card card[TELEMETRY_MAX_GPUS];
    char reason[PICK_TEXT_MAX];
};

/* wish says what is kept free (budget_keep_free). Exactly enough is enough. Texts keep the "GB" of
 * 2^30 bytes that guides for such set-ups use. */
void pick_make(const struct gpu_view *views, uint32_t n, uint64_t need_bytes,
               const struct plan_wish *wish, struct pick *out);

#endif
