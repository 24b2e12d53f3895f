/* safetensors: reads the headers of safetensors files and sets in bounded memory; trusts nothing in
 * them. */
#ifndef SAFETENSORS_SAFETENSORS_H
#define SAFETENSORS_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* Where header bytes come from: a file (safetensors_source_file) or HTTP ranges (fetch). read_at
 * fills exactly len bytes or fails; size_bytes is the length of the whole file. */
struct safetensors_source {
    const char *name; /* for messages */
    uint64_t size_bytes;
    bool (*read_at)(void *ctx, uint64_t offset, void *out, size_t len, struct err *err);
    void (*close)(void *ctx); /* may be NULL */
    void *ctx;
};

/* Bounds of the reader; every one is checked before memory is taken. The format itself allows a
 * header of 100,000,000 bytes (safetensors, "Format"). */
enum {
    SAFETENSORS_MAX_HEADER = 100000000,
    SAFETENSORS_MAX_TENSORS = 1 << 18, /* of a set */
    SAFETENSORS_MAX_NAME = 512,
    SAFETENSORS_MAX_DIMS = 8,
    SAFETENSORS_MAX_DEPTH = 16, /* of skipped JSON */
    SAFETENSORS_MAX_SHARDS = 1024,
    SAFETENSORS_MAX_INDEX = 64 << 20, /* bytes of an index file */
};

/* X(NAME, bits): the format's element types. */
#define SAFETENSORS_TYPES(X)                                                               \
    X(BOOL, 8)                                                                             \
    X(F4, 4) X(F6_E2M3, 6) X(F6_E3M2, 6) X(U8, 8) X(I8, 8) X(F8_E5M2, 8) X(F8_E4M3, 8)     \
        X(F8_E8M0, 8) X(F8_E4M3FNUZ, 8) X(F8_E5M2FNUZ, 8) X(I16, 16) X(U16, 16) X(F16, 16) \
            X(BF16, 16) X(I32, 32) X(U32, 32) X(F32, 32) X(C64, 64) X(F64, 64) X(I64, 64)  \
                X(U64, 64)

enum safetensors_type {
#define X(NAME, bits) ST_##NAME,
    SAFETENSORS_TYPES(X)
#undef X
        ST_TYPE_COUNT
};
const char *safetensors_type_name(uint32_t type); /* "BF16"; NULL when unknown */
uint32_t safetensors_type_bits(uint32_t type);    /* 0 when unknown */

struct safetensors_tensor {
    const char *name; /* no NUL inside; escape before printing */
    uint8_t type;     /* enum safetensors_type */
    uint8_t n_dims;
    uint16_t shard; /* which file of the set it lies in */
    uint64_t shape[SAFETENSORS_MAX_DIMS];
    uint64_t bytes; /* exact */
    uint64_t begin; /* from the start of its file's data */
};

struct safetensors {
    uint32_t n_tensors; /* of all shards; within a shard by begin */
    const struct safetensors_tensor *tensors;
    uint32_t n_shards;
    uint64_t file_bytes, header_bytes, data_bytes; /* sums over the shards */
};

/* The header behind src: length, JSON, types, shapes that multiply to the bytes of their range,
 * ranges that cover the data without hole or overlap up to the end of the file. ERR_2009 with the
 * byte, ERR_1201. */
bool safetensors_read(const struct safetensors_source *src, struct arena *arena,
                      struct safetensors *out, struct err *err);

/* Opens the file `name` (a plain file name) that lies beside an index. */
struct safetensors_opener {
    bool (*open)(void *ctx, const char *name, struct safetensors_source *out, struct err *err);
    void *ctx;
};

/* The set that an index (model.safetensors.index.json, whole text) names: every shard is read,
 * every name of weight_map must be in the shard it names and nowhere else. One source is open at a
 * time. ERR_2004, ERR_2009. */
bool safetensors_read_set(const char *index_name, const char *text, size_t len,
                          const struct safetensors_opener *opener, struct arena *arena,
                          struct safetensors *out, struct err *err);

/* The names of the shards an index speaks of, sorted, each once. Shard names are plain file names:
 * no slash, no "..", no control bytes. ERR_2009. */
struct safetensors_entry {
    const char *tensor;
    uint32_t shard; /* index into shards */
};
struct safetensors_index {
    uint32_t n_shards, n_entries;
    const char *shards[SAFETENSORS_MAX_SHARDS];
    const struct safetensors_entry *entries; /* sorted by tensor */
};
bool safetensors_read_index(const char *name, const char *text, size_t len, struct arena *arena,
                            struct safetensors_index *out, struct err *err);

/* A regular file, symlinks followed; nothing else is opened for reading. ERR_2001, ERR_2008,
 * ERR_1202. */
bool safetensors_source_file(const char *path, struct safetensors_source *out, struct err *err);
void safetensors_source_close(struct safetensors_source *src);

static inline void own_safetensors_source(struct safetensors_source *src)
{
    safetensors_source_close(src);
}

#endif
