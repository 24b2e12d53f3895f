/* shard: one file from its magic to the place of its data, in the order in which it is laid out. */
#include "gguf/shard.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"

enum {
    MAGIC = 0x46554747, /* "GGUF" */
    DEFAULT_ALIGNMENT = 32,
    MIN_ALIGNMENT = 8,
    MAX_ALIGNMENT = 64 << 10,
    MIN_KEY_BYTES = 8 + 1 + 4 + 1,    /* name of one byte, type, one byte of value */
    MIN_TENSOR_BYTES = 8 + 4 + 4 + 8, /* empty name, no dimensions, type, offset */
};

struct preamble {
    uint32_t version;
    uint32_t n_tensors, n_keys;
};

void *gguf_reader_take(struct gguf_reader *r, struct arena *arena, uint64_t count, size_t size,
                       struct err *err)
{
    uint64_t bytes;
    void *p;

    if (__builtin_mul_overflow(count, (uint64_t)size, &bytes) || bytes + 15 > r->budget ||
        bytes + 15 < bytes) {
        gguf_cursor_refuse(&r->in, r->in.pos, err,
                           "what the header wants kept exceeds the reader's bound of %zu MiB",
                           GGUF_MAX_ARENA_BYTES >> 20);
        return NULL;
    }
    p = arena_alloc(arena, bytes ? bytes : 1, 1);
    if (!p) {
        err_set(err, ERR_1201, "%s: no memory for %" PRIu64 " bytes of its header", r->in.src->name,
                bytes);
        return NULL;
    }
    r->budget -= (bytes + 15) & ~(uint64_t)15; /* as the arena pads */
    return p;
}

static bool check_version(const struct gguf_cursor *c, uint32_t version, struct err *err)
{
    uint32_t swapped = __builtin_bswap32(version);

    if (version == 2 || version == 3)
        return true;
    if (swapped >= 1 && swapped <= 3)
        return gguf_cursor_refuse(c, 4, err,
                                  "a big-endian file (version %u), made for machines "
                                  "of the other byte order",
                                  swapped);
    return gguf_cursor_refuse(c, 4, err, "GGUF version %u, only versions 2 and 3 can be loaded",
                              version);
}

static bool read_preamble(struct gguf_cursor *c, struct preamble *out, struct err *err)
{
    uint64_t tensors, keys, left;
    uint32_t magic;
    char shown[17];

    if (!gguf_cursor_u32(c, &magic, err))
        return false;
    if (magic != MAGIC)
        return gguf_cursor_refuse(c, 0, err, "starts with '%s' and not with 'GGUF'",
                                  str_printable((const char *)c->buf, 4, shown, sizeof(shown)));
    if (!gguf_cursor_u32(c, &out->version, err) || !check_version(c, out->version, err) ||
        !gguf_cursor_u64(c, &tensors, err) || !gguf_cursor_u64(c, &keys, err))
        return false;
    left = gguf_cursor_left(c);
    if (tensors > GGUF_MAX_TENSORS || tensors > left / MIN_TENSOR_BYTES)
        return gguf_cursor_refuse(
            c, 8, err, "promises %" PRIu64 " tensors, %" PRIu64 " bytes hold at most %" PRIu64,
            tensors, left,
            left / MIN_TENSOR_BYTES < GGUF_MAX_TENSORS ? left / MIN_TENSOR_BYTES
                                                       : GGUF_MAX_TENSORS);
    left -= tensors * MIN_TENSOR_BYTES;
    if (keys > GGUF_MAX_KEYS || keys > left / MIN_KEY_BYTES)
        return gguf_cursor_refuse(
            c, 16, err, "promises %" PRIu64 " keys, %" PRIu64 " bytes hold at most %" PRIu64, keys,
            left, left / MIN_KEY_BYTES < GGUF_MAX_KEYS ? left / MIN_KEY_BYTES : GGUF_MAX_KEYS);
    out->n_tensors = (uint32_t)tensors;
    out->n_keys = (uint32_t)keys;
    return true;
}

/* The engine wants a UINT32 and a power of two; below 8 and above 64 KiB nothing honest lies. */
static bool find_alignment(const struct gguf_reader *r, const struct gguf_shard *s, uint32_t *out,
                           struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(s->keys, s->n_keys, "general.alignment");

    *out = DEFAULT_ALIGNMENT;
    if (!key)
        return true;
    if (key->type != GGUF_U32)
        return gguf_cursor_refuse(&r->in, r->in.pos, err,
                                  "general.alignment is of type %d and not a 32 bit number",
                                  key->type);
    if (key->value.u < MIN_ALIGNMENT || key->value.u > MAX_ALIGNMENT ||
        (key->value.u & (key->value.u - 1)) != 0)
        return gguf_cursor_refuse(&r->in, r->in.pos, err,
                                  "general.alignment is %" PRIu64
                                  ", it must be a power of two from %d to %d",
                                  key->value.u, MIN_ALIGNMENT, MAX_ALIGNMENT);
    *out = (uint32_t)key->value.u;
    return true;
}

/* The last tensor's own bytes must be there, its padding need not (llama.cpp's loader, behaviour).
 */
static bool check_extent(const struct gguf_cursor *c, int flags, uint64_t data_end,
                         struct gguf_shard *s, struct err *err)
{
    uint64_t size = c->src->size_bytes;
    uint64_t start = (c->pos + s->alignment - 1) & ~(uint64_t)(s->alignment - 1);
    uint64_t need;

    if (s->n_tensors == 0)
        return true;
    if (!__builtin_add_overflow(start, data_end, &need) && need <= size)
        return true;
    s->header_only = size <= start; /* size >= pos: the header was read to its end */
    if (s->header_only && (flags & GGUF_ALLOW_HEADER_ONLY))
        return true;
    gguf_cursor_refuse(c, start, err,
                       "incomplete: %" PRIu64 " of %" PRIu64 " bytes of tensor data "
                       "are there",
                       size > start ? size - start : 0, data_end);
    return err_why(err, "the file has %" PRIu64 " bytes, its tensors end at byte %" PRIu64, size,
                   start + data_end);
}

bool gguf_shard_read(const struct gguf_source *src, int flags, struct gguf_reader *r,
                     struct gguf_shard *out, struct err *err)
{
    struct gguf_shard s = {0};
    struct preamble pre;
    uint64_t data_end;
    bool ok;

    ok = gguf_cursor_init(&r->in, src, r->header_budget, err) && read_preamble(&r->in, &pre, err);
    if (ok) {
        s.version = pre.version;
        s.n_keys = pre.n_keys;
        s.n_tensors = pre.n_tensors;
        ok = gguf_keys_read(r, s.n_keys, &s.keys, err) &&
             find_alignment(r, &s, &s.alignment, err) &&
             gguf_tensors_read(r, s.n_tensors, s.alignment, &s.tensors, &data_end, &s.data_bytes,
                               err) &&
             check_extent(&r->in, flags, data_end, &s, err);
    }
    s.header_bytes = r->in.pos;
    r->header_budget -= r->in.pos;
    gguf_cursor_finish(&r->in);
    if (ok)
        *out = s;
    return ok;
}
