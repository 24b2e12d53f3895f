/* fuzz_gguf: any bytes as a file; what is accepted must keep what the reader promises of it. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "gguf/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static bool read_input(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    const struct input *in = ctx;

    if (offset > in->size || len > in->size - offset)
        abort();
    memcpy(out, in->data + offset, len);
    return true;
}

static void check_tensors(const struct gguf *g)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (strlen(t->name) != t->name_len || !gguf_type_info(t->type) || t->n_dims > 4 ||
            t->offset % g->alignment != 0 || __builtin_add_overflow(bytes, t->size_bytes, &bytes))
            abort();
    }
    if (bytes != g->data_bytes || (!g->header_only && bytes > g->file_bytes))
        abort();
}

static void use_keys(const struct gguf *g)
{
    int64_t element;
    uint64_t u64;
    double f64;
    bool flag;

    for (uint32_t i = 0; i < g->n_keys; i++) {
        const struct gguf_key *key = &g->keys[i];
        const char *text = gguf_get_string(g, key->name);
        gguf_get_u64(g, key->name, &u64);
        gguf_get_bool(g, key->name, &flag);
        if (gguf_get_f64(g, key->name, &f64) && f64 - f64 != 0)
            abort();
        if (text && strlen(text) > key->count)
            abort();
        for (uint64_t e = 0; key->kept && e < key->count && e <= GGUF_MAX_KEPT_ARRAY; e++)
            gguf_array_i64(key, e, &element);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct gguf_source src = {
        .name = "input", .size_bytes = size, .read_at = read_input, .ctx = &in};

    for (int flags = 0; flags <= GGUF_ALLOW_HEADER_ONLY; flags++) {
        own(own_arena) struct arena arena = {0};
        struct err err = {0};
        struct gguf g;
        if (gguf_read(&src, flags, &arena, &g, &err)) {
            check_tensors(&g);
            use_keys(&g);
        } else if (err.code == ERR_NONE || arena.used_bytes != 0) {
            abort();
        }
    }
    return 0;
}
