/* planner: opens models and makes plans through two caches: headers by file, plans by everything
 * they depend on. */
#ifndef API_PLANNER_H
#define API_PLANNER_H

#include "base/cache.h"
#include "plan/plan.h"

struct planner;

/* entries: most headers, and most plans, that are kept. plan_ttl_ns: age at which a plan is made
 * anew; 0: never. NULL when memory is short. Thread safe. */
struct planner *planner_new(size_t entries, uint64_t plan_ttl_ns);
void planner_free(struct planner *p); /* no loan may be out */

/* The model of that name, read again only if its file changed (device, inode, size, time of change;
 * all other names count as they are written). It lives as long as the loan. quant may be NULL.
 * Errors as model_open's. */
bool planner_open(struct planner *p, const char *ref, const char *quant, struct cache_loan *loan,
                  const struct model **out, struct err *err);

/* plan_make with the model of a loan of planner_open; given again to whoever asks the same of an
 * unchanged machine. The plan and all it points to live as long as its loan. With a draft model or
 * adapters, which only the caller knows, it is made in arena and loan stays empty. */
bool planner_plan(struct planner *p, const struct cache_loan *model, const struct machine *machine,
                  const struct plan_wish *wish, struct arena *arena, struct cache_loan *loan,
                  const struct plan **out, struct err *err);

#endif
