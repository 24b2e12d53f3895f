/* small_case: random small models, cards and wishes, for which every plan there is can be worked
 * out. */
#ifndef TESTS_PLAN_SMALL_CASE_H
#define TESTS_PLAN_SMALL_CASE_H

#include "plan/plan.h"

struct small_case {
    struct arena arena;
    struct model model;
    struct machine machine;
    struct plan_wish wish;
};

/* The same number gives the same case. False: err says what was wrong with the model's text. */
bool small_case_make(uint32_t number, struct small_case *out, struct err *err);
void small_case_print(const struct small_case *c);

#endif
