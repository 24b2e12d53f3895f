/* goal: the best choice for --goal, exact under the law and the speed model: every set, cache type
 * and split. */
#ifndef PLAN_GOAL_H
#define PLAN_GOAL_H

#include "plan/sets.h"

/* s: the wish's settings, flash attention resolved. out->fits is false where nothing fits. Fills
 * p->best. */
bool goal_choose(struct placer *p, const struct law_settings *s, struct placement *out,
                 struct err *err);

#endif
