/* keys: bounded reads of ARCH.something keys, each error naming the key and its value. */
#include "model/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *full_name(const struct key_reader *r, const char *name, char *out, size_t cap)
{
    snprintf(out, cap, "%s.%s", r->architecture, name);
    return out;
}

const struct gguf_key *key_find(const struct key_reader *r, const char *name)
{
    char full[GGUF_MAX_KEY + 1];

    return gguf_find(r->g, full_name(r, name, full, sizeof full));
}

void key_refuse(struct key_reader *r, const char *name, const char *fmt, ...)
{
    char full[GGUF_MAX_KEY + 1], text[200];
    va_list ap;

    if (r->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(r->err, ERR_2003, "%s %s", full_name(r, name, full, sizeof full), text);
    r->failed = true;
}

static void refuse_missing(struct key_reader *r, const char *name)
{
    key_refuse(r, name, "is missing from the header");
    err_why(r->err, "every %s model needs it: without it layers and caches have no size",
            r->architecture);
}

static bool checked(struct key_reader *r, const char *name, int64_t value, uint32_t max,
                    uint32_t *out)
{
    if (value < 0 || value > (int64_t)max) {
        key_refuse(r, name, "is %" PRId64 "; 0 to %" PRIu32 " can be meant", value, max);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool key_u32(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t *out)
{
    const struct gguf_key *key = r->failed ? NULL : key_find(r, name);
    uint64_t value;

    if (!key) {
        if (required && !r->failed)
            refuse_missing(r, name);
        return false;
    }
    if (!gguf_get_u64(r->g, key->name, &value)) {
        key_refuse(r, name,
                   key->type == GGUF_ARRAY ? "is an array; a number is expected"
                                           : "is no whole number from 0 up");
        return false;
    }
    return checked(r, name, value > INT64_MAX ? INT64_MAX : (int64_t)value, max, out);
}

bool key_f64(struct key_reader *r, const char *name, double *out)
{
    const struct gguf_key *key = r->failed ? NULL : key_find(r, name);

    if (!key)
        return false;
    if (!gguf_get_f64(r->g, key->name, out)) {
        key_refuse(r, name, "is no finite number");
        return false;
    }
    return true;
}

bool key_bool(struct key_reader *r, const char *name, bool *out)
{
    const struct gguf_key *key = r->failed ? NULL : key_find(r, name);
    uint64_t value;

    if (!key)
        return false;
    if (gguf_get_bool(r->g, key->name, out))
        return true;
    if (gguf_get_u64(r->g, key->name, &value) && value <= 1) {
        *out = value == 1;
        return true;
    }
    key_refuse(r, name, "is neither true nor false");
    return false;
}

bool key_array(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t *out)
{
    const struct gguf_key *key = r->failed ? NULL : key_find(r, name);

    if (r->failed)
        return false;
    if (!key || key->type != GGUF_ARRAY) {
        if (required)
            key_refuse(r, name,
                       key ? "is a number; an array with one entry per layer is expected"
                           : "is missing from the header");
        return false;
    }
    if (!key->kept || key->count > MODEL_MAX_LAYERS) {
        key_refuse(r, name, "has %" PRIu64 " entries; at most %d layers exist", key->count,
                   MODEL_MAX_LAYERS);
        return false;
    }
    memset(out, 0, sizeof *out * MODEL_MAX_LAYERS);
    for (uint64_t i = 0; i < key->count; i++) {
        int64_t value;
        if (!gguf_array_i64(key, i, &value)) {
            key_refuse(r, name, "has an entry that is no whole number (number %" PRIu64 ")", i);
            return false;
        }
        if (!checked(r, name, value, max, &out[i]))
            return false;
    }
    return true;
}

bool key_layers(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t n,
                uint32_t *out)
{
    const struct gguf_key *key = r->failed ? NULL : key_find(r, name);
    uint32_t value;

    if (key && key->type == GGUF_ARRAY) {
        if (key->count != n) {
            key_refuse(r, name, "has %" PRIu64 " entries for %" PRIu32 " layers", key->count, n);
            return false;
        }
        return key_array(r, name, required, max, out);
    }
    if (!key_u32(r, name, required, max, &value))
        return false;
    for (uint32_t i = 0; i < n; i++)
        out[i] = value;
    return true;
}
