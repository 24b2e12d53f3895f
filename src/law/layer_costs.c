/* layer_costs: what each layer would add to a device, for choosing a split before the exact
 * reckoning. */
#include "law/assign.h"
#include "law/cache.h"
#include "law/weight.h"

enum { ALIGN = 128 };

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t cache_bytes(const struct law_settings *s, const struct cache_plan *c,
                            const struct cache_layer *l)
{
    uint64_t cells = (uint64_t)l->cells * c->n_streams;
    uint64_t k = gguf_row_bytes(gguf_type_info(s->type_k), l->k_row) * cells;
    uint64_t v = gguf_row_bytes(gguf_type_info(s->type_v), l->v_row) * cells;
    return aligned(k) + aligned(v) + aligned(4 * l->r_elements) + aligned(4 * l->s_elements);
}

static void add_weights(const struct model *m, const struct assignment *a, uint64_t *costs)
{
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        int buffer = a->tensor_buffer[i];
        if (buffer == LAW_HOST || buffer == ASSIGN_NOT_LOADED)
            continue;
        uint32_t layer = t->layer >= 0 && (uint32_t)t->layer < m->n_layers ? (uint32_t)t->layer
                         : weight_place(m, t) == WEIGHT_OUTPUT             ? m->n_layers
                                                                           : 0;
        costs[layer] += aligned(t->bytes);
    }
    const struct model_tensor *embd = assign_copied_tensor(m);
    if (embd && a->output_copy_buffer != ASSIGN_NOT_LOADED && a->output_copy_buffer != LAW_HOST)
        costs[m->n_layers] += aligned(embd->bytes);
}

bool law_layer_costs(const struct model *model, const struct machine *machine,
                     const struct law_settings *settings, struct arena *scratch,
                     uint64_t costs[MODEL_MAX_LAYERS + 1], uint32_t *n_costs, struct err *err)
{
    struct machine one = {.host = machine->host, .n_devices = 1};
    struct law_settings s = *settings;
    struct arena_mark mark = arena_mark(scratch);
    struct cache_plan *c = arena_new(scratch, struct cache_plan);
    struct assignment *a = arena_new(scratch, struct assignment);
    if (!c || !a || !machine->n_devices)
        return err_set(err, ERR_1201, "no memory to size the layers");
    one.devices[0] = machine->devices[0];
    s.n_gpu_layers = -1;
    s.split = SPLIT_LAYER;
    s.n_tensor_split = 0;
    for (uint32_t i = 0; i < s.n_overrides; i++)
        if (s.overrides[i].target != LAW_HOST)
            s.overrides[i].target = 0;
    bool ok = assign_make(model, &one, &s, scratch, a, err) &&
              cache_make(model, &s, a, s.flash != FLASH_OFF, c, err);
    for (uint32_t i = 0; ok && i <= model->n_layers; i++)
        costs[i] = i < model->n_layers && !s.no_kv_offload ? cache_bytes(&s, c, &c->layer[i]) : 0;
    if (ok) {
        add_weights(model, a, costs);
        *n_costs = model->n_layers + 1;
    }
    arena_rewind(scratch, mark);
    return ok;
}
