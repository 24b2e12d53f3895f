/* shard: the header of one file: preamble, metadata, tensor table, the data's extent. */
#ifndef GGUF_SHARD_H
#define GGUF_SHARD_H

#include "gguf/cursor.h"
#include "gguf/names.h"

/* What one file says of itself. Keys and tensors live in the arenas of the reader. */
struct gguf_shard {
    uint32_t version, alignment;
    uint32_t n_keys, n_tensors;
    const struct gguf_key *keys;
    const struct gguf_tensor *tensors;
    uint64_t header_bytes, data_bytes;
    bool header_only;
};

/* Where a reader puts things, and how much it may still put there. */
struct gguf_reader {
    struct gguf_cursor in;
    struct arena *keys, *tensors; /* may be the same */
    struct gguf_names *names;     /* of the tensors of the whole set */
    size_t budget;                /* bytes of arena left of GGUF_MAX_ARENA_BYTES */
    uint64_t header_budget;       /* bytes of header left of GGUF_MAX_HEADER_BYTES */
    uint16_t number;              /* of the shard in its set */
};

/* Read one file's header. names and the budgets carry over from shard to shard. */
bool gguf_shard_read(const struct gguf_source *src, int flags, struct gguf_reader *r,
                     struct gguf_shard *out, struct err *err);

/* Memory for count things of size bytes from arena; NULL: err is set (ERR_2002 over budget). */
void *gguf_reader_take(struct gguf_reader *r, struct arena *arena, uint64_t count, size_t size,
                       struct err *err);

/* Both parse `count` entries at the cursor; count has been compared with the bytes that are left.
 */
bool gguf_keys_read(struct gguf_reader *r, uint32_t count, const struct gguf_key **out,
                    struct err *err);
bool gguf_tensors_read(struct gguf_reader *r, uint32_t count, uint32_t alignment,
                       const struct gguf_tensor **out, uint64_t *data_end, uint64_t *data_bytes,
                       struct err *err);

/* The key of that name among n, or NULL. */
const struct gguf_key *gguf_keys_find(const struct gguf_key *keys, uint32_t n, const char *name);
/* An integer of any width as u64; false for another type or a negative value. */
bool gguf_key_u64(const struct gguf_key *key, uint64_t *out);

#endif
