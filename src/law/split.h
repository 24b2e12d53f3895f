/* split: -sm tensor: a slice of most weights and caches per device, and a copy of the rest. */
#ifndef LAW_SPLIT_H
#define LAW_SPLIT_H

#include "law/assign.h"
#include "law/cache.h"

/* ERR_2112 when a layer lacks the projection that the engine takes a slice's bounds from (it would
 * abort). */
bool split_check(const struct model *m, const struct assignment *a, struct err *err);

/* As assign_weigh and cache_weigh, for SPLIT_TENSOR: bytes of every device's slices, host parts
 * too. Law: llama.cpp src/llama-model.cpp llama_meta_device_get_split_state, ggml-backend-meta.cpp,
 * behaviour. */
void split_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 const struct assignment *a, struct law_result *out);
void split_weigh_cache(const struct model *m, const struct machine *mc,
                       const struct law_settings *s, const struct assignment *a,
                       const struct cache_plan *c, struct law_result *out);

#endif
