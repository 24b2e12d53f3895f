/* gguf_write: makes GGUF headers, true or deliberately broken, and files with a hole for data. */
#ifndef TOOLS_GGUF_WRITE_H
#define TOOLS_GGUF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "gguf/gguf.h"

/* A header that grows key by key and tensor by tensor, in file order. Out of memory shows once, at
 * gguf_write_header. */
struct gguf_write {
    uint32_t version, alignment;
    uint64_t n_keys, n_tensors;
    struct str keys, tensors; /* as they stand in the file */
    uint64_t data_bytes;      /* of the data section so far, padding between tensors included */
};

void gguf_write_init(struct gguf_write *w); /* version 3, alignment 32 */
void gguf_write_finish(struct gguf_write *w);
static inline void own_gguf_write(struct gguf_write *w)
{
    gguf_write_finish(w);
}

void gguf_write_u32(struct gguf_write *w, const char *key, uint32_t value);
void gguf_write_u16(struct gguf_write *w, const char *key, uint16_t value);
void gguf_write_i32(struct gguf_write *w, const char *key, int32_t value);
void gguf_write_u64(struct gguf_write *w, const char *key, uint64_t value);
void gguf_write_f32(struct gguf_write *w, const char *key, float value);
void gguf_write_bool(struct gguf_write *w, const char *key, bool value);
void gguf_write_string(struct gguf_write *w, const char *key, const char *value);
void gguf_write_i32_array(struct gguf_write *w, const char *key, const int32_t *values, uint64_t n);
void gguf_write_u32_array(struct gguf_write *w, const char *key, const uint32_t *values,
                          uint64_t n);
void gguf_write_bool_array(struct gguf_write *w, const char *key, const bool *values, uint64_t n);
/* general.alignment and the padding of what follows; before the first tensor. */
void gguf_write_alignment(struct gguf_write *w, uint32_t alignment);
/* A BPE vocabulary of filler: tokens, token types and merges, about 20 bytes an entry. */
void gguf_write_vocabulary(struct gguf_write *w, uint32_t n_tokens, uint32_t n_merges);

/* The next tensor, at the offset that must follow. ne[0] is a multiple of the type's block. */
void gguf_write_tensor(struct gguf_write *w, const char *name, uint32_t type, uint32_t n_dims,
                       const uint64_t *ne);

/* Anything at all, for files that must be refused. A key's bytes follow its type id. */
void gguf_write_raw_key(struct gguf_write *w, const void *name, uint64_t name_len, uint32_t type,
                        const void *bytes, size_t len);
void gguf_write_raw_tensor(struct gguf_write *w, const void *name, size_t name_len, uint32_t n_dims,
                           const uint64_t *ne, uint32_t type, uint64_t offset);

/* The header, padded to where data begins if there are tensors. False without memory. */
bool gguf_write_header(const struct gguf_write *w, struct str *out);
/* Header, then a hole of data_bytes: takes no disk. Written whole or not at all. ERR_1202. */
bool gguf_write_file(const struct gguf_write *w, const char *path, struct err *err);

#endif
