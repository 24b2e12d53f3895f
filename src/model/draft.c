/* draft: a header that is built in memory. */
#include "model/draft.h"

#include <string.h>

void draft_init(struct draft *d, struct arena *arena, const char *architecture)
{
    memset(d, 0, sizeof *d);
    d->arena = arena;
    d->architecture = architecture;
}

static struct gguf_key *add_key(struct draft *d, const char *name, uint8_t type)
{
    char *full = arena_printf(d->arena, "%s.%s", d->architecture, name);
    struct gguf_key *key = NULL;

    if (!full) {
        d->failed = true;
        return NULL;
    }
    for (uint32_t i = 0; d->replace && i < d->n_keys; i++) {
        if (!strcmp(d->keys[i].name, full))
            key = &d->keys[i];
    }
    if (!key && d->n_keys == DRAFT_MAX_KEYS) {
        d->failed = true;
        return NULL;
    }
    if (!key)
        key = &d->keys[d->n_keys++];
    *key = (struct gguf_key){
        .name = full, .name_len = (uint16_t)strlen(full), .type = type, .kept = true, .count = 1};
    return key;
}

void draft_u32(struct draft *d, const char *name, uint64_t value)
{
    struct gguf_key *key = add_key(d, name, value > UINT32_MAX ? GGUF_U64 : GGUF_U32);

    if (key)
        key->value.u = value;
}

void draft_f64(struct draft *d, const char *name, double value)
{
    struct gguf_key *key = add_key(d, name, GGUF_F64);

    if (key)
        key->value.f = value;
}

void draft_bool(struct draft *d, const char *name, bool value)
{
    struct gguf_key *key = add_key(d, name, GGUF_BOOL);

    if (key)
        key->value.u = value;
}

void draft_string(struct draft *d, const char *name, const char *value)
{
    struct gguf_key *key = add_key(d, name, GGUF_STRING);

    if (!key)
        return;
    key->value.string = value;
    key->count = strlen(value);
}

void draft_array(struct draft *d, const char *name, const int32_t *values, uint32_t n)
{
    int32_t *copy = arena_array(d->arena, int32_t, n);
    struct gguf_key *key = copy ? add_key(d, name, GGUF_ARRAY) : NULL;

    if (!key) {
        d->failed = true;
        return;
    }
    memcpy(copy, values, sizeof *values * n);
    key->array_type = GGUF_I32;
    key->count = n;
    key->value.array = copy;
}

static struct gguf_tensor *find_tensor(struct draft *d, const char *name)
{
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        if (!strcmp(d->tensors[i].name, name))
            return &d->tensors[i];
    }
    return NULL;
}

static struct gguf_tensor *new_tensor(struct draft *d)
{
    if (d->n_tensors == d->cap) {
        uint32_t cap = d->cap ? 2 * d->cap : 512;
        struct gguf_tensor *grown = arena_array(d->arena, struct gguf_tensor, cap);
        if (!grown || cap > DRAFT_MAX_TENSORS) {
            d->failed = true;
            return NULL;
        }
        if (d->n_tensors)
            memcpy(grown, d->tensors, sizeof *grown * d->n_tensors);
        d->tensors = grown;
        d->cap = cap;
    }
    return &d->tensors[d->n_tensors++];
}

static bool set_size(struct gguf_tensor *t)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    uint64_t bytes;

    if (!info || t->ne[0] % info->block != 0)
        return false;
    bytes = gguf_row_bytes(info, t->ne[0]);
    for (int i = 1; i < 4; i++) {
        if (__builtin_mul_overflow(bytes, t->ne[i], &bytes))
            return false;
    }
    t->size_bytes = bytes;
    return true;
}

void draft_tensor(struct draft *d, int layer, const char *name, const uint64_t ne[4], uint8_t type)
{
    char *full =
        layer < 0 ? arena_strdup(d->arena, name) : arena_printf(d->arena, "blk.%d.%s", layer, name);
    struct gguf_tensor *t = full && d->replace ? find_tensor(d, full) : NULL;

    if (full && !t)
        t = new_tensor(d);
    if (!t || strlen(full) > GGUF_MAX_NAME) {
        d->failed = true;
        return;
    }
    *t = (struct gguf_tensor){
        .name = full, .name_len = (uint8_t)strlen(full), .type = type, .n_dims = 1};
    for (int i = 0; i < 4; i++) {
        t->ne[i] = ne[i] ? ne[i] : 1;
        if (t->ne[i] > 1)
            t->n_dims = (uint8_t)(i + 1);
    }
    if (!set_size(t))
        d->failed = true;
}

void draft_remove(struct draft *d, const char *name)
{
    struct gguf_tensor *t = find_tensor(d, name);
    size_t after;

    if (!t) {
        d->failed = true;
        return;
    }
    after = d->n_tensors - (size_t)(t - d->tensors) - 1;
    memmove(t, t + 1, sizeof *t * after);
    d->n_tensors--;
}

bool draft_finish(struct draft *d, const char *title, struct gguf *out, struct err *err)
{
    struct gguf_key *keys = arena_array(d->arena, struct gguf_key, d->n_keys + 2);
    uint64_t offset = 0;

    if (d->failed || !keys)
        return err_set(err, ERR_1201, "the description of %s is too large", title);
    memcpy(keys, d->keys, sizeof *keys * d->n_keys);
    keys[d->n_keys] = (struct gguf_key){.name = "general.architecture",
                                        .name_len = 20,
                                        .type = GGUF_STRING,
                                        .kept = true,
                                        .count = strlen(d->architecture),
                                        .value.string = d->architecture};
    keys[d->n_keys + 1] = (struct gguf_key){.name = "general.name",
                                            .name_len = 12,
                                            .type = GGUF_STRING,
                                            .kept = true,
                                            .count = strlen(title),
                                            .value.string = title};
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        d->tensors[i].offset = offset;
        if (__builtin_add_overflow(offset, (d->tensors[i].size_bytes + 31) & ~(uint64_t)31,
                                   &offset))
            return err_set(err, ERR_2007, "the tensors of %s are larger than 2^64 bytes", title);
    }
    *out = (struct gguf){.version = 3,
                         .alignment = 32,
                         .n_keys = d->n_keys + 2,
                         .keys = keys,
                         .n_tensors = d->n_tensors,
                         .tensors = d->tensors,
                         .n_shards = 1,
                         .file_bytes = offset,
                         .data_bytes = offset,
                         .header_only = true};
    return true;
}
