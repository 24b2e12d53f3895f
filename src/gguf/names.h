/* names: a set of names that finds a duplicate without comparing every pair. */
#ifndef GGUF_NAMES_H
#define GGUF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf_names_slot;

/* Zeroed is an empty set. Names are borrowed: they must live as long as the set. */
struct gguf_names {
    struct gguf_names_slot *slots;
    uint32_t capacity; /* power of two, at least twice count */
    uint32_t count;
};

enum gguf_names_result {
    GGUF_NAMES_NEW,
    GGUF_NAMES_DUPLICATE,
    GGUF_NAMES_CROWDED, /* more collisions than honest names have: the file was made to be slow */
    GGUF_NAMES_NO_MEMORY,
};

/* Names are compared by length and bytes. At most GGUF_NAMES_PROBES comparisons. */
enum { GGUF_NAMES_PROBES = 512 };
enum gguf_names_result gguf_names_add(struct gguf_names *set, const char *name, size_t len);
void gguf_names_finish(struct gguf_names *set);
static inline void own_gguf_names(struct gguf_names *set)
{
    gguf_names_finish(set);
}

#endif
