/* names: open addressing with a bound on probes, so that chosen collisions cannot make it slow. */
#include "gguf/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct gguf_names_slot {
    const char *name; /* NULL: free */
    uint32_t hash;
    uint32_t len;
};

static uint32_t spread(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0x9e3779b97f4a7c15u; /* FNV's low bits alone cluster names that differ in one digit */
    return (uint32_t)(hash >> 32);
}

static enum gguf_names_result place(struct gguf_names *set, struct gguf_names_slot entry)
{
    uint32_t mask = set->capacity - 1;

    for (uint32_t probe = 0; probe < GGUF_NAMES_PROBES && probe <= mask; probe++) {
        struct gguf_names_slot *slot = &set->slots[(entry.hash + probe) & mask];
        if (!slot->name) {
            *slot = entry;
            set->count++;
            return GGUF_NAMES_NEW;
        }
        if (slot->hash == entry.hash && slot->len == entry.len &&
            memcmp(slot->name, entry.name, entry.len) == 0)
            return GGUF_NAMES_DUPLICATE;
    }
    return GGUF_NAMES_CROWDED;
}

static enum gguf_names_result grow(struct gguf_names *set)
{
    struct gguf_names bigger = {.capacity = set->capacity ? set->capacity * 2 : 256};

    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots)
        return GGUF_NAMES_NO_MEMORY;
    for (uint32_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].name && place(&bigger, set->slots[i]) != GGUF_NAMES_NEW) {
            gguf_names_finish(&bigger);
            return GGUF_NAMES_CROWDED;
        }
    }
    gguf_names_finish(set);
    *set = bigger;
    return GGUF_NAMES_NEW;
}

enum gguf_names_result gguf_names_add(struct gguf_names *set, const char *name, size_t len)
{
    if (set->count * 2 >= set->capacity) {
        enum gguf_names_result grown = grow(set);
        if (grown != GGUF_NAMES_NEW)
            return grown;
    }
    return place(set, (struct gguf_names_slot){
                          .name = name, .hash = spread(str_hash(name, len)), .len = (uint32_t)len});
}

void gguf_names_finish(struct gguf_names *set)
{
    free(set->slots);
    *set = (struct gguf_names){0};
}
