/* budget: what of a card or the host may be used: kept-free room and what driver and libraries take. */
#ifndef PLAN_BUDGET_H
#define PLAN_BUDGET_H

#include "plan/plan.h"

uint64_t budget_keep_free(const struct plan_wish *w, const struct device *d);
/* Bytes of card that a plan may fill beside runtime: free - keep_free - runtime, not below 0. */
uint64_t budget_room(const struct plan_wish *w, const struct device *d, uint64_t runtime);

/* Host memory a plan may count on, and what is missing of it (the system's own share included, not --cache-ram's
 * ceiling). */
uint64_t budget_host_free(const struct plan_wish *w, const struct host *h);
uint64_t budget_host_missing(const struct plan_wish *w, const struct host *h, const struct law_result *r);

#endif
