/* explain: the sentences that say why a plan is as it is, and every formula with this model's numbers in it. */
#ifndef PLAN_EXPLAIN_H
#define PLAN_EXPLAIN_H

#include "base/str.h"
#include "plan/plan.h"

/* Fill p->reasons; texts live in arena. False when out of memory. */
bool explain_reasons(struct plan *p, struct arena *arena);

/* --explain: the whole reckoning, lines of at most 80 columns. */
void explain_write(const struct plan *p, struct arena *scratch, struct str *out);

/* Its part about the time of one token; nothing where no speed is known. */
void explain_speed_write(const struct plan *p, struct arena *scratch, struct str *out);

#endif
