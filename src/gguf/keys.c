/* keys: the metadata of a file; scalars and short values are kept, long ones are passed over. */
#include "gguf/shard.h"

#include <inttypes.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"

static const uint8_t widths[GGUF_VALUE_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static bool refuse_key(const struct gguf_reader *r, const struct gguf_key *key, uint64_t at,
                       struct err *err, const char *what, uint64_t number)
{
    char shown[128];

    return gguf_cursor_refuse(&r->in, at, err, "key '%s' %s %" PRIu64,
                              str_printable(key->name, key->name_len, shown, sizeof(shown)), what,
                              number);
}

static bool read_name(struct gguf_reader *r, struct gguf_key *key, struct gguf_names *names,
                      struct err *err)
{
    uint64_t at = r->in.pos, len;
    char *name;

    if (!gguf_cursor_u64(&r->in, &len, err))
        return false;
    if (len == 0 || len > GGUF_MAX_KEY)
        return gguf_cursor_refuse(&r->in, at, err,
                                  "a key's name has %" PRIu64 " bytes, 1 to %d are possible", len,
                                  GGUF_MAX_KEY);
    name = gguf_reader_take(r, r->keys, len + 1, 1, err);
    if (!name || !gguf_cursor_copy(&r->in, name, len, err))
        return false;
    key->name = name;
    key->name_len = (uint16_t)len;
    switch (gguf_names_add(names, name, len)) {
    case GGUF_NAMES_NEW: return true;
    case GGUF_NAMES_DUPLICATE:
        return refuse_key(r, key, at, err, "stands here a second time, entry", r->in.item + 1);
    case GGUF_NAMES_CROWDED:
        return refuse_key(r, key, at, err, "collides with more names than", GGUF_NAMES_PROBES);
    case GGUF_NAMES_NO_MEMORY: break;
    }
    return err_set(err, ERR_1201, "%s: no memory for %u names", r->in.src->name, names->count);
}

static void decode(struct gguf_key *key, const unsigned char *p)
{
    float f32;
    uint32_t u32;
    uint64_t u64;

    switch (key->type) {
    case GGUF_U8:
    case GGUF_BOOL: key->value.u = p[0]; break;
    case GGUF_I8: key->value.i = (int8_t)p[0]; break;
    case GGUF_U16: key->value.u = p[0] | (unsigned)p[1] << 8; break;
    case GGUF_I16: key->value.i = (int16_t)(p[0] | (unsigned)p[1] << 8); break;
    case GGUF_U32: key->value.u = gguf_le32(p); break;
    case GGUF_I32: key->value.i = (int32_t)gguf_le32(p); break;
    case GGUF_U64: key->value.u = gguf_le64(p); break;
    case GGUF_I64: key->value.i = (int64_t)gguf_le64(p); break;
    case GGUF_F32:
        u32 = gguf_le32(p);
        memcpy(&f32, &u32, sizeof(f32));
        key->value.f = f32;
        break;
    case GGUF_F64:
        u64 = gguf_le64(p);
        memcpy(&key->value.f, &u64, sizeof(u64));
        break;
    }
}

static bool read_scalar(struct gguf_reader *r, struct gguf_key *key, struct err *err)
{
    const unsigned char *p = gguf_cursor_peek(&r->in, widths[key->type], err);

    if (!p)
        return false;
    if (key->type == GGUF_BOOL && p[0] > 1)
        return refuse_key(r, key, r->in.pos, err, "is a bool with the value", p[0]);
    decode(key, p);
    key->count = 1;
    key->kept = true;
    r->in.pos += widths[key->type];
    return true;
}

static bool read_string(struct gguf_reader *r, struct gguf_key *key, struct err *err)
{
    char *text;

    if (!gguf_cursor_u64(&r->in, &key->count, err))
        return false;
    if (key->count > GGUF_MAX_KEPT_STRING || key->count > gguf_cursor_left(&r->in))
        return gguf_cursor_skip(&r->in, key->count, err);
    text = gguf_reader_take(r, r->keys, key->count + 1, 1, err);
    key->value.string = text;
    key->kept = true;
    return text && gguf_cursor_copy(&r->in, text, key->count, err);
}

static bool check_bools(const struct gguf_reader *r, const struct gguf_key *key, uint64_t at,
                        const unsigned char *p, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] > 1)
            return refuse_key(r, key, at + i, err, "holds a bool with the value", p[i]);
    }
    return true;
}

static bool skip_bools(struct gguf_reader *r, const struct gguf_key *key, struct err *err)
{
    uint64_t left = key->count;

    while (left > 0) {
        size_t step = left < GGUF_CURSOR_BYTES ? left : GGUF_CURSOR_BYTES;
        const unsigned char *p = gguf_cursor_peek(&r->in, step, err);
        if (!p || !check_bools(r, key, r->in.pos, p, step, err))
            return false;
        r->in.pos += step;
        left -= step;
    }
    return true;
}

static bool keep_elements(struct gguf_reader *r, struct gguf_key *key, struct err *err)
{
    uint64_t at = r->in.pos, bytes = key->count * widths[key->array_type];
    void *array = gguf_reader_take(r, r->keys, bytes, 1, err);

    if (!array || !gguf_cursor_copy(&r->in, array, bytes, err))
        return false;
    if (key->array_type == GGUF_BOOL && !check_bools(r, key, at, array, bytes, err))
        return false;
    key->value.array = array;
    key->kept = true;
    return true;
}

static bool read_array(struct gguf_reader *r, struct gguf_key *key, struct err *err)
{
    uint64_t at = r->in.pos, least;
    uint32_t type;

    if (!gguf_cursor_u32(&r->in, &type, err))
        return false;
    if (type >= GGUF_VALUE_TYPES || type == GGUF_ARRAY)
        return refuse_key(r, key, at, err, "is an array of the impossible type", type);
    key->array_type = (uint8_t)type;
    if (!gguf_cursor_u64(&r->in, &key->count, err))
        return false;
    least = type == GGUF_STRING ? 8 : widths[type];
    if (key->count > gguf_cursor_left(&r->in) / least)
        return refuse_key(r, key, at, err,
                          "is an array of more elements than a header has room for:", key->count);
    if (type == GGUF_STRING)
        return gguf_cursor_skip_strings(&r->in, key->count, err);
    if (key->count <= GGUF_MAX_KEPT_ARRAY)
        return keep_elements(r, key, err);
    if (type == GGUF_BOOL)
        return skip_bools(r, key, err);
    return gguf_cursor_skip(&r->in, key->count * widths[type], err);
}

static bool read_value(struct gguf_reader *r, struct gguf_key *key, struct err *err)
{
    uint64_t at = r->in.pos;
    uint32_t type;

    if (!gguf_cursor_u32(&r->in, &type, err))
        return false;
    if (type >= GGUF_VALUE_TYPES)
        return refuse_key(r, key, at, err, "is of the unknown type", type);
    key->type = (uint8_t)type;
    if (type == GGUF_ARRAY)
        return read_array(r, key, err);
    if (type == GGUF_STRING)
        return read_string(r, key, err);
    return read_scalar(r, key, err);
}

bool gguf_keys_read(struct gguf_reader *r, uint32_t count, const struct gguf_key **out,
                    struct err *err)
{
    own(own_gguf_names) struct gguf_names names = {0};
    struct gguf_key *keys = gguf_reader_take(r, r->keys, count, sizeof(*keys), err);

    if (!keys)
        return false;
    r->in.part = "the metadata";
    r->in.items = count;
    for (uint32_t i = 0; i < count; i++) {
        r->in.item = i;
        if (!read_name(r, &keys[i], &names, err) || !read_value(r, &keys[i], err))
            return false;
    }
    *out = keys;
    return true;
}
