/* fuzz_model: any bytes as a header; a model that comes of it is within the bounds it promises. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "gguf/gguf.h"
#include "model/family.h"
#include "model/quantize.h"

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

static void check_layers(const struct model *m)
{
    for (uint32_t il = 0; il < m->n_layers; il++) {
        const struct model_layer *l = &m->layers[il];
        if (l->n_embd_k > 1u << 26 || l->n_embd_v > 1u << 26 || l->state_r >> 52 ||
            l->state_s >> 52)
            abort();
        if (l->kv == KV_SHARED && (l->kv_from < 0 || (uint32_t)l->kv_from >= il))
            abort();
        for (int role = 0; role < ROLE_COUNT; role++) {
            for (int part = 0; part < PART_COUNT; part++) {
                int32_t i = l->tensor[role][part];
                if (i >= (int32_t)m->n_tensors || (i >= 0 && m->tensors[i].layer != (int)il))
                    abort();
            }
        }
    }
}

static void check_model(const struct model *m, struct arena *arena)
{
    struct err err = {0};

    if (!m->name || !m->architecture || !m->family || !m->quantization || m->n_layers == 0 ||
        m->n_layers > MODEL_MAX_LAYERS)
        abort();
    check_layers(m);
    uint8_t *types = arena_array(arena, uint8_t, m->n_tensors);
    if (types && !quantize_types(m, "Q4_K_M", arena, types, &err))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct gguf_source src = {
        .name = "input", .size_bytes = size, .read_at = read_input, .ctx = &in};
    own(own_arena) struct arena header = {0}, arena = {0};
    struct err err = {0};
    struct model m;
    struct gguf g;

    if (!gguf_read(&src, GGUF_ALLOW_HEADER_ONLY, &header, &g, &err))
        return 0;
    if (model_from_gguf(&g, "input.gguf", &arena, &m, &err))
        check_model(&m, &arena);
    else if (err.code == ERR_NONE || arena.used_bytes != 0)
        abort();
    return 0;
}
