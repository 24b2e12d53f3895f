/* options: the other plans worth knowing: what else would fit, what each change frees, what it costs. */
#ifndef PLAN_OPTIONS_H
#define PLAN_OPTIONS_H

#include "plan/place.h"

/* Largest contexts for KV f16, q8_0 and q4_0 on the cards of out->used_mask. */
bool options_contexts(struct placer *p, struct plan *out, struct err *err);

/* Other plans of a plan that fits; ways to fit of one that does not. */
bool options_make(struct placer *p, struct plan *out, struct err *err);

#endif
