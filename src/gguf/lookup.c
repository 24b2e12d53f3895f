/* lookup: typed reads of metadata; a value of another type or range is as good as absent. */
#include "gguf/shard.h"

#include <math.h>
#include <string.h>

const struct gguf_key *gguf_keys_find(const struct gguf_key *keys, uint32_t n, const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < n; i++) {
        if (keys[i].name_len == len && memcmp(keys[i].name, name, len) == 0)
            return &keys[i];
    }
    return NULL;
}

bool gguf_key_u64(const struct gguf_key *key, uint64_t *out)
{
    switch (key->type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64: *out = key->value.u; return true;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64:
        if (key->value.i < 0)
            return false;
        *out = (uint64_t)key->value.i;
        return true;
    default: return false;
    }
}

const struct gguf_key *gguf_find(const struct gguf *g, const char *name)
{
    return gguf_keys_find(g->keys, g->n_keys, name);
}

bool gguf_get_u64(const struct gguf *g, const char *name, uint64_t *out)
{
    const struct gguf_key *key = gguf_find(g, name);

    return key && gguf_key_u64(key, out);
}

bool gguf_get_u32(const struct gguf *g, const char *name, uint32_t *out)
{
    uint64_t wide;

    if (!gguf_get_u64(g, name, &wide) || wide > UINT32_MAX)
        return false;
    *out = (uint32_t)wide;
    return true;
}

bool gguf_get_f64(const struct gguf *g, const char *name, double *out)
{
    const struct gguf_key *key = gguf_find(g, name);

    if (!key || (key->type != GGUF_F32 && key->type != GGUF_F64) || !isfinite(key->value.f))
        return false;
    *out = key->value.f;
    return true;
}

bool gguf_get_bool(const struct gguf *g, const char *name, bool *out)
{
    const struct gguf_key *key = gguf_find(g, name);

    if (!key || key->type != GGUF_BOOL)
        return false;
    *out = key->value.u != 0;
    return true;
}

const char *gguf_get_string(const struct gguf *g, const char *name)
{
    const struct gguf_key *key = gguf_find(g, name);

    return key && key->type == GGUF_STRING && key->kept ? key->value.string : NULL;
}

bool gguf_array_i64(const struct gguf_key *key, uint64_t i, int64_t *out)
{
    const unsigned char *p = key->value.array;
    uint64_t wide;

    if (key->type != GGUF_ARRAY || !key->kept || i >= key->count)
        return false;
    switch (key->array_type) {
    case GGUF_U8:
    case GGUF_BOOL: *out = p[i]; return true;
    case GGUF_I8: *out = (int8_t)p[i]; return true;
    case GGUF_U16: *out = p[2 * i] | p[2 * i + 1] << 8; return true;
    case GGUF_I16: *out = (int16_t)(p[2 * i] | p[2 * i + 1] << 8); return true;
    case GGUF_U32: *out = gguf_le32(p + 4 * i); return true;
    case GGUF_I32: *out = (int32_t)gguf_le32(p + 4 * i); return true;
    case GGUF_I64: *out = (int64_t)gguf_le64(p + 8 * i); return true;
    case GGUF_U64:
        wide = gguf_le64(p + 8 * i);
        if (wide > INT64_MAX)
            return false;
        *out = (int64_t)wide;
        return true;
    default: return false;
    }
}
