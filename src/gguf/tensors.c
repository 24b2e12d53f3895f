/* tensors: the tensor table of a file; sizes are checked products, offsets must follow. */
#include "gguf/shard.h"

#include <inttypes.h>

#include "base/str.h"

static bool refuse_tensor(const struct gguf_reader *r, const struct gguf_tensor *t, uint64_t at,
                          struct err *err, const char *what, uint64_t number)
{
    char shown[GGUF_MAX_NAME * 4 + 1];

    return gguf_cursor_refuse(&r->in, at, err, "tensor '%s' %s %" PRIu64,
                              str_printable(t->name, t->name_len, shown, sizeof(shown)), what,
                              number);
}

static bool read_name(struct gguf_reader *r, struct gguf_tensor *t, struct err *err)
{
    uint64_t at = r->in.pos, len;
    char *name;

    if (!gguf_cursor_u64(&r->in, &len, err))
        return false;
    if (len > GGUF_MAX_NAME)
        return gguf_cursor_refuse(&r->in, at, err,
                                  "a tensor's name has %" PRIu64 " bytes, the engine takes %d", len,
                                  GGUF_MAX_NAME);
    name = gguf_reader_take(r, r->tensors, len + 1, 1, err);
    if (!name || !gguf_cursor_copy(&r->in, name, len, err))
        return false;
    t->name = name;
    t->name_len = (uint8_t)len;
    for (uint64_t i = 0; i < len; i++) {
        if (name[i] == '\0')
            return refuse_tensor(r, t, at, err, "has a NUL in its name at place", i);
    }
    switch (gguf_names_add(r->names, name, len)) {
    case GGUF_NAMES_NEW: return true;
    case GGUF_NAMES_DUPLICATE:
        return refuse_tensor(r, t, at, err, "stands here a second time, entry", r->in.item + 1);
    case GGUF_NAMES_CROWDED:
        return refuse_tensor(r, t, at, err, "collides with more names than", GGUF_NAMES_PROBES);
    case GGUF_NAMES_NO_MEMORY: break;
    }
    return err_set(err, ERR_1201, "%s: no memory for %u names", r->in.src->name, r->names->count);
}

/* Elements as a checked product that fits an int64; dimensions of 0 are left out of the product, so
 * that {2^32, 2^32, 0} is refused as {2^32, 2^32} is. */
static bool read_shape(struct gguf_reader *r, struct gguf_tensor *t, uint64_t *elements,
                       struct err *err)
{
    uint64_t at = r->in.pos, product = 1;
    uint32_t n_dims;
    bool empty = false;

    if (!gguf_cursor_u32(&r->in, &n_dims, err))
        return false;
    if (n_dims > 4)
        return refuse_tensor(r, t, at, err, "has more than 4 dimensions:", n_dims);
    t->n_dims = (uint8_t)n_dims;
    for (uint32_t i = 0; i < 4; i++) {
        t->ne[i] = 1;
        if (i < n_dims && !gguf_cursor_u64(&r->in, &t->ne[i], err))
            return false;
        if (t->ne[i] > INT64_MAX)
            return refuse_tensor(r, t, at, err, "has a negative size in dimension", i);
        if (t->ne[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, t->ne[i], &product) || product > INT64_MAX)
            return refuse_tensor(r, t, at, err, "has more elements than can be counted, dimension",
                                 i);
    }
    *elements = empty ? 0 : product;
    return true;
}

static bool read_type(struct gguf_reader *r, struct gguf_tensor *t, uint64_t elements,
                      struct err *err)
{
    uint64_t at = r->in.pos;
    const struct gguf_type_info *info;
    uint32_t type;

    if (!gguf_cursor_u32(&r->in, &type, err))
        return false;
    info = gguf_type_info(type);
    if (!info)
        return refuse_tensor(r, t, at, err, "is of the unknown type", type);
    t->type = (uint8_t)type;
    if (t->ne[0] % info->block != 0)
        return refuse_tensor(r, t, at, err,
                             "has rows that are no whole number of blocks, elements:", t->ne[0]);
    if (__builtin_mul_overflow(elements / info->block, info->block_bytes, &t->size_bytes) ||
        t->size_bytes > INT64_MAX)
        return refuse_tensor(r, t, at, err,
                             "has more bytes than can be counted, elements:", elements);
    return true;
}

/* The offset must be where the tensors before it end, padded; then *data_end moves past this one.
 */
static bool read_offset(struct gguf_reader *r, struct gguf_tensor *t, uint32_t alignment,
                        uint64_t *data_end, struct err *err)
{
    uint64_t at = r->in.pos, start, end;

    if (!gguf_cursor_u64(&r->in, &t->offset, err))
        return false;
    if (__builtin_add_overflow(*data_end, alignment - 1, &start))
        return refuse_tensor(r, t, at, err, "starts past all that can be counted, at", t->offset);
    start &= ~(uint64_t)(alignment - 1);
    if (t->offset != start) {
        refuse_tensor(r, t, at, err, "lies at a wrong offset:", t->offset);
        return err_why(err, "the tensors before it end at %" PRIu64 " with padding to %u bytes",
                       start, alignment);
    }
    if (__builtin_add_overflow(start, t->size_bytes, &end) || end > INT64_MAX)
        return refuse_tensor(r, t, at, err,
                             "ends past all that can be counted, bytes:", t->size_bytes);
    *data_end = end;
    return true;
}

bool gguf_tensors_read(struct gguf_reader *r, uint32_t count, uint32_t alignment,
                       const struct gguf_tensor **out, uint64_t *data_end, uint64_t *data_bytes,
                       struct err *err)
{
    struct gguf_tensor *tensors = gguf_reader_take(r, r->tensors, count, sizeof(*tensors), err);
    uint64_t end = 0, bytes = 0, elements = 0;

    if (!tensors)
        return false;
    r->in.part = "the tensor table";
    r->in.items = count;
    for (uint32_t i = 0; i < count; i++) {
        struct gguf_tensor *t = &tensors[i];
        r->in.item = i;
        t->shard = r->number;
        if (!read_name(r, t, err) || !read_shape(r, t, &elements, err) ||
            !read_type(r, t, elements, err) || !read_offset(r, t, alignment, &end, err))
            return false;
        bytes += t->size_bytes; /* cannot wrap: offsets are sequential and below INT64_MAX */
    }
    *out = tensors;
    *data_end = end;
    *data_bytes = bytes;
    return true;
}
