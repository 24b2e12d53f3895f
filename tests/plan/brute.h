/* brute: the best plan of a small case, found by working out every one of them under the same law
 * and speed model. */
#ifndef TESTS_PLAN_BRUTE_H
#define TESTS_PLAN_BRUTE_H

#include "small_case.h"

enum { BRUTE_KEYS = 4 };

/* What a goal counts, the first first; larger is better. */
struct brute_value {
    bool fits;
    double key[BRUTE_KEYS];
};

/* The best there is, and what a finished plan (may be NULL) is worth under the same eyes. False:
 * the engine refuses. */
bool brute_compare(const struct small_case *c, const struct plan *p, struct brute_value *best,
                   struct brute_value *plan, struct err *err);
/* Fewest layers or expert layers on the host with which this set holds these settings; -1: not even
 * all. */
int brute_host_layers(const struct small_case *c, uint32_t mask, const struct law_settings *s,
                      struct err *err);

#endif
