/* override: which tensors a command sends elsewhere: -ot rules, -ncmoe, -cmoe, -ncffn. */
#ifndef LAW_OVERRIDE_H
#define LAW_OVERRIDE_H

#include <regex.h>

#include "law/law.h"

enum { OVERRIDE_NONE = -1 };

/* Zeroed is a valid empty set. */
struct override_set {
    uint32_t n;
    regex_t rule[LAW_MAX_OVERRIDES];
    int target[LAW_MAX_OVERRIDES]; /* place in machine.devices, or LAW_HOST */
    uint32_t n_cpu_moe, n_cpu_ffn;
    uint32_t cpu_moe_at, cpu_ffn_at; /* rules that come before theirs */
};

/* Compiles the rules. ERR_2114 names the pattern that cannot be understood. */
bool override_set_init(struct override_set *set, const struct law_settings *s, struct err *err);
void override_set_finish(struct override_set *set);
static inline void own_override_set(struct override_set *set)
{
    override_set_finish(set);
}

/* Target of the first rule that finds the name, or OVERRIDE_NONE; -ncmoe, -cmoe and -ncffn stand
 * for the patterns of llama.cpp common/common.h (behaviour). layer: block number of the
 * name, -1 none. */
int override_find(const struct override_set *set, const char *name, int layer);

/* True if any rule exists; the engine gives up pipeline parallelism then, whatever the rules match.
 */
bool override_any(const struct law_settings *s);

#endif
