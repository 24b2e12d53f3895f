/* draft: a header that is built in memory, for models that are described and not read from a file.
 */
#ifndef MODEL_DRAFT_H
#define MODEL_DRAFT_H

#include "gguf/gguf.h"

enum { DRAFT_MAX_KEYS = 96, DRAFT_MAX_TENSORS = 16384 };

struct draft {
    struct arena *arena;
    const char *architecture; /* prefix of the keys; set first */
    struct gguf_key keys[DRAFT_MAX_KEYS];
    uint32_t n_keys;
    struct gguf_tensor *tensors;
    uint32_t n_tensors, cap;
    bool replace; /* a tensor or key of the same name is replaced, not added */
    bool failed;  /* a bound was reached or memory ran out */
};

void draft_init(struct draft *d, struct arena *arena, const char *architecture);

/* name is without the architecture; a NULL name of draft_string stands for general.architecture
 * itself. */
void draft_u32(struct draft *d, const char *name, uint64_t value);
void draft_f64(struct draft *d, const char *name, double value);
void draft_bool(struct draft *d, const char *name, bool value);
void draft_string(struct draft *d, const char *name, const char *value);
void draft_array(struct draft *d, const char *name, const int32_t *values, uint32_t n);

/* Unused dimensions are 0 or 1. layer -1: model-wide, else the block's number goes before the name.
 */
void draft_tensor(struct draft *d, int layer, const char *name, const uint64_t ne[4], uint8_t type);
void draft_remove(struct draft *d, const char *name);

/* The header: bytes and offsets as a writer with alignment 32 would lay them out. */
bool draft_finish(struct draft *d, const char *title, struct gguf *out, struct err *err);

#endif
