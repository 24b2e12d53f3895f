/* estimate: compute buffers from closed forms, with a range, where no graph is known. */
#ifndef LAW_ESTIMATE_H
#define LAW_ESTIMATE_H

#include "law/cache.h"

/* Fills compute bytes of out (device and host) from the sizes of the largest phases of a
 * transformer layer, and the range they may lie in: half to double. Fitted to reservations of
 * llama.cpp for dense and MoE families. */
void estimate_compute(const struct model *m, const struct machine *mc, const struct law_settings *s,
                      const struct assignment *a, const struct cache_plan *c,
                      struct law_result *out);

/* Widens exact CUDA figures to the range for cards of other kinds (HIP, Vulkan), whose kernels keep
 * other scratch. */
void estimate_range(const struct machine *mc, const struct assignment *a, struct law_result *out);

#endif
