/* gguf: reads the header of a GGUF file or split set in bounded memory; trusts nothing in it. */
#ifndef GGUF_GGUF_H
#define GGUF_GGUF_H

#include "base/arena.h"
#include "base/err.h"
#include "gguf/type.h"

/* Where header bytes come from: a file (gguf_source_file) or HTTP ranges (fetch). read_at fills
 * exactly len bytes or fails; size is the length of the whole file, known before the first read. */
struct gguf_source {
    const char *name; /* for messages */
    uint64_t size_bytes;
    bool (*read_at)(void *ctx, uint64_t offset, void *out, size_t len, struct err *err);
    void (*close)(void *ctx); /* may be NULL */
    void *ctx;
};

/* Bounds of the reader; every one is checked before memory is taken. */
enum {
    GGUF_MAX_TENSORS = 1 << 18,
    GGUF_MAX_KEYS = 1 << 16,
    GGUF_MAX_NAME = 63, /* tensor names, as the engine has it */
    GGUF_MAX_KEY = 255,
    GGUF_MAX_KEPT_STRING = 4096, /* longer ones (chat templates) are skipped, their length kept */
    GGUF_MAX_KEPT_ARRAY = 4096,  /* longer ones, and those of strings: skipped, their count kept */
    GGUF_MAX_SPLITS = 4096,
};
#define GGUF_MAX_HEADER_BYTES ((uint64_t)512 << 20)
#define GGUF_MAX_ARENA_BYTES  ((size_t)256 << 20) /* stated bound of the reader's memory */

enum gguf_value_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_VALUE_TYPES
};

struct gguf_key {
    const char *name; /* NUL terminated; name_len counts embedded NULs of hostile files */
    uint16_t name_len;
    uint8_t type;       /* enum gguf_value_type */
    uint8_t array_type; /* of the elements when type is GGUF_ARRAY */
    bool kept;          /* false: value was skipped (too long, or an array of strings) */
    uint64_t count;     /* array elements, or string bytes; 1 for scalars */
    union {
        uint64_t u; /* unsigned and bool */
        int64_t i;  /* signed */
        double f;
        const char *string;
        const void *array; /* elements as they stand in the file, array_type wide, aligned to 16 */
    } value;
};

struct gguf_tensor {
    const char *name; /* no NUL inside (such files are refused), escape before printing */
    uint8_t type;     /* enum gguf_type */
    uint8_t n_dims;
    uint16_t shard; /* which file of the set it lies in */
    uint8_t name_len;
    uint64_t ne[4];      /* unused dimensions are 1 */
    uint64_t size_bytes; /* exact, checked against overflow and against the file's length */
    uint64_t offset;     /* from the start of its file's data section */
};

struct gguf {
    uint32_t version;   /* 2 or 3 */
    uint32_t alignment; /* power of two, 8 to 65536 */
    uint32_t n_keys;    /* of the first shard */
    const struct gguf_key *keys;
    uint32_t n_tensors; /* of all shards, in file order */
    const struct gguf_tensor *tensors;
    uint32_t n_shards;
    const char *const *shard_names;
    uint64_t file_bytes;   /* all shards */
    uint64_t header_bytes; /* read or skipped, all shards */
    uint64_t data_bytes;   /* sum of size_bytes */
    bool header_only;      /* the data section is absent (allowed only where the caller says so) */
};

enum gguf_flags {
    GGUF_ALLOW_HEADER_ONLY = 1, /* accept a file that ends exactly where its data would begin */
};

/* Read the header behind src into arena. Every rule of facts G01-G31 holds: on any doubt the file
 * is refused with ERR_2002 (or ERR_2004 for split sets). One shard only; see gguf_read_path for
 * sets. */
bool gguf_read(const struct gguf_source *src, int flags, struct arena *arena, struct gguf *out,
               struct err *err);

/* Open a path (any shard of a split set), check it is a regular file, read all its shards.
 * ERR_2001 not there, ERR_2008 not a regular file, else as gguf_read. The path itself may be a
 * symlink (model managers use them); the other shards of its set, whose names come from the file,
 * may be symlinks only to files beside the named one, either where it was named or where it really
 * lies. */
bool gguf_read_path(const char *path, int flags, struct arena *arena, struct gguf *out,
                    struct err *err);

/* A split set over any transport: open opens first_name and names of the form
 * "prefix-%05d-of-%05d.gguf" that are made by us from first_name (ERR_2001: not there).
 * GGUF_MAX_HEADER_BYTES and GGUF_MAX_ARENA_BYTES bound the whole set; one source is open at a time.
 */
struct gguf_opener {
    bool (*open)(void *ctx, const char *name, struct gguf_source *out, struct err *err);
    void *ctx;
};
bool gguf_read_set(const struct gguf_opener *opener, const char *first_name, int flags,
                   struct arena *arena, struct gguf *out, struct err *err);

/* A regular file, symlinks followed; nothing else is ever opened for reading. ERR_2001, ERR_2008,
 * ERR_1202. */
bool gguf_source_file(const char *path, struct gguf_source *out, struct err *err);
void gguf_source_close(struct gguf_source *src);

/* Typed, bounded look-ups. Return false when the key is absent or of a type or range that cannot be
 * read as asked; integers of any width are accepted, floats never as integers. Keys are unique. */
const struct gguf_key *gguf_find(const struct gguf *g, const char *name);
bool gguf_get_u32(const struct gguf *g, const char *name, uint32_t *out);
bool gguf_get_u64(const struct gguf *g, const char *name, uint64_t *out);
bool gguf_get_f64(const struct gguf *g, const char *name, double *out); /* finite only */
bool gguf_get_bool(const struct gguf *g, const char *name, bool *out);
const char *gguf_get_string(const struct gguf *g, const char *name);
/* Element i of an integer or bool array as i64. */
bool gguf_array_i64(const struct gguf_key *key, uint64_t i, int64_t *out);

#endif
