/* fuzz_safetensors: any bytes as a file and as an index; what is accepted must keep what the reader
 * promises. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "safetensors/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static bool read_input(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    const struct input *in = ctx;
    (void)err;
    if (offset > in->size || len > in->size - offset)
        abort();
    memcpy(out, in->data + offset, len);
    return true;
}

static void check(const struct safetensors *st, size_t size)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < st->n_tensors; i++) {
        const struct safetensors_tensor *t = &st->tensors[i];
        if (t->begin != at || !safetensors_type_name(t->type) || t->n_dims > SAFETENSORS_MAX_DIMS)
            abort();
        at += t->bytes;
    }
    if (at != st->data_bytes || st->header_bytes + at != size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_arena) struct arena arena = {0};
    struct input in = {data, size};
    struct safetensors_source src = {
        .name = "input", .size_bytes = size, .read_at = read_input, .ctx = &in};
    struct safetensors st;
    struct safetensors_index *index = arena_new(&arena, struct safetensors_index);
    struct err err = {0};
    if (safetensors_read(&src, &arena, &st, &err))
        check(&st, size);
    else if (err.code == ERR_NONE)
        abort();
    err = (struct err){0};
    if (!safetensors_read_index("index", (const char *)data, size, &arena, index, &err))
        return 0;
    for (uint32_t i = 0; i < index->n_shards; i++)
        if (strchr(index->shards[i], '/') || strstr(index->shards[i], ".."))
            abort();
    return 0;
}
