/* cursor: walks forward over a source through one small buffer, never past the bounds. */
#ifndef GGUF_CURSOR_H
#define GGUF_CURSOR_H

#include "gguf/gguf.h"

enum { GGUF_CURSOR_BYTES = 64 << 10 };

/* Numbers in the file are little endian; a read may stand at any byte. */
struct gguf_cursor {
    const struct gguf_source *src;
    uint64_t pos;       /* next byte, from the start of the file */
    uint64_t end;       /* first byte that may not be read: the file's length or the header's cap */
    uint64_t base;      /* where in the file buf[0] lies */
    size_t have;        /* bytes of buf that are filled */
    unsigned char *buf; /* GGUF_CURSOR_BYTES, heap */
    const char *part;   /* what is being read, for messages: "the metadata" */
    uint64_t item, items; /* entry of part that is being read, and how many it says it has */
};

/* At most cap bytes will be read. ERR_1201 without memory. Finish accepts a zeroed cursor. */
bool gguf_cursor_init(struct gguf_cursor *c, const struct gguf_source *src, uint64_t cap,
                      struct err *err);
void gguf_cursor_finish(struct gguf_cursor *c);

static inline uint64_t gguf_cursor_left(const struct gguf_cursor *c)
{
    return c->end - c->pos;
}

/* Refuse the file: ERR_2002 "NAME: <text> (byte N)", with the fix most people need. Returns false.
 */
bool gguf_cursor_refuse(const struct gguf_cursor *c, uint64_t at, struct err *err, const char *fmt,
                        ...) __attribute__((format(printf, 4, 5)));

/* len (at most GGUF_CURSOR_BYTES) bytes at pos, valid until the next call; NULL: err is set. pos
 * stays. */
const unsigned char *gguf_cursor_peek(struct gguf_cursor *c, size_t len, struct err *err);

bool gguf_cursor_u32(struct gguf_cursor *c, uint32_t *out, struct err *err);
bool gguf_cursor_u64(struct gguf_cursor *c, uint64_t *out, struct err *err);
bool gguf_cursor_copy(struct gguf_cursor *c, void *out, uint64_t len, struct err *err);
bool gguf_cursor_skip(struct gguf_cursor *c, uint64_t len, struct err *err); /* reads nothing */

/* Pass `count` strings (length, bytes) without keeping any; every length is checked. */
bool gguf_cursor_skip_strings(struct gguf_cursor *c, uint64_t count, struct err *err);

static inline uint32_t gguf_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t gguf_le64(const unsigned char *p)
{
    return gguf_le32(p) | (uint64_t)gguf_le32(p + 4) << 32;
}

#endif
