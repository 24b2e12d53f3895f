/* plan_lengths: `plan --lengths FILE`: reads the list and shows what it means for slots and
 * batches. */
#ifndef CLI_PLAN_LENGTHS_H
#define CLI_PLAN_LENGTHS_H

#include "cli/plan_job.h"
#include "plan/batching.h"

/* Without --lengths *out stays NULL. A list that cannot be used is ERR_9002 with its line, a file
 * that cannot be read ERR_1202. */
bool plan_lengths_make(struct cli *c, const struct plan *p, const struct batching_advice **out,
                       struct err *err);
void plan_lengths_text(const struct batching_advice *a, const struct look *look, struct str *out);

#endif
