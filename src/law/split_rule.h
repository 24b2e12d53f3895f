/* split_rule: along which dimension -sm tensor cuts a weight or a cache, and into what grains. */
#ifndef LAW_SPLIT_RULE_H
#define LAW_SPLIT_RULE_H

#include "law/law.h"

struct split_segment {
    uint64_t length; /* elements along the axis */
    uint64_t grain;  /* slices end on multiples of it */
    uint32_t count;  /* equal segments one after the other */
};

struct split_rule {
    int axis;
    uint32_t n_segments;
    struct split_segment segment[2];
};

enum split_cache { SPLIT_CACHE_KV, SPLIT_CACHE_R, SPLIT_CACHE_S };

/* False: every device holds the whole tensor. */
bool split_rule_weight(const struct model *m, uint32_t n_devices, const struct model_tensor *t,
                       struct split_rule *out);
bool split_rule_cache(const struct model *m, uint32_t n_devices, uint32_t layer,
                      enum split_cache kind, uint64_t length, struct split_rule *out);

/* Layers of one kind take turns in where the rounding goes: bit 0 recurrent, bit 1 sliding window.
 */
uint32_t split_layer_kind(const struct model *m, uint32_t layer);

/* The layer has the projection from which its slices' bounds are taken. */
bool split_layer_is_known(const struct model *m, uint32_t layer);

#endif
