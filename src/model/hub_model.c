/* hub_model: a safetensors model in the words of struct model, for what shows models. */
#include <string.h>

#include "base/str.h"
#include "model/family.h"
#include "model/hub_layout.h"

/* Types that GGUF knows keep their name; packed and 8 bit ones are counted as bytes. */
static uint8_t type_of(uint8_t type)
{
    switch (type) {
    case ST_F32: return GGUF_TYPE_F32;
    case ST_F16: return GGUF_TYPE_F16;
    case ST_BF16: return GGUF_TYPE_BF16;
    case ST_I32:
    case ST_U32: return GGUF_TYPE_I32;
    case ST_I16:
    case ST_U16: return GGUF_TYPE_I16;
    case ST_I64:
    case ST_U64: return GGUF_TYPE_I64;
    case ST_F64: return GGUF_TYPE_F64;
    default: return GGUF_TYPE_I8;
    }
}

static void make_layer(const struct hub_model *h, uint32_t il, struct model_layer *l)
{
    static const uint8_t kinds[] = {KV_FULL,   KV_WINDOW,    KV_CHUNKED,
                                    KV_LATENT, KV_RECURRENT, KV_NONE};
    const struct hub_config *c = &h->config;
    *l = (struct model_layer){.kv = kinds[h->layers[il].kind],
                              .ffn = h->layers[il].moe ? FFN_MOE : FFN_DENSE,
                              .kv_from = -1,
                              .n_head = c->heads,
                              .n_head_kv = c->kv_heads,
                              .head_dim_k = c->head_dim,
                              .head_dim_v = c->head_dim,
                              .n_ff = c->ff};
    l->window = l->kv == KV_WINDOW || l->kv == KV_CHUNKED;
    if (l->ffn == FFN_MOE) {
        l->n_ff_exp = c->ff_exp;
        l->n_expert_used = c->experts_used;
    }
    if (l->kv == KV_LATENT)
        l->n_embd_k = c->kv_rank + c->dim_rope;
    else if (l->kv != KV_RECURRENT && l->kv != KV_NONE)
        l->n_embd_k = l->n_embd_v = c->kv_heads * c->head_dim;
    memset(l->tensor, -1, sizeof(l->tensor));
}

static void make_hparams(const struct hub_model *h, struct model_hparams *hp)
{
    const struct hub_config *c = &h->config;
    *hp = (struct model_hparams){.n_vocab = c->vocab,
                                 .n_ctx_train = c->context,
                                 .n_embd = c->hidden,
                                 .n_layer = c->n_layers,
                                 .n_head = c->heads,
                                 .n_head_kv = c->kv_heads,
                                 .head_dim_k = c->head_dim,
                                 .head_dim_v = c->head_dim,
                                 .n_rot = c->rotary_dim,
                                 .n_ff = c->ff,
                                 .n_ff_exp = c->ff_exp,
                                 .n_expert = c->experts,
                                 .n_expert_used = c->experts_used,
                                 .n_swa = c->window};
}

static const char *quantization_of(const struct hub_config *c, struct arena *arena)
{
    if (c->quant == HUB_PLAIN)
        return strstr(c->dtype, "float16") && c->dtype[0] == 'f' ? "F16"
               : strstr(c->dtype, "32")                          ? "F32"
                                                                 : "BF16";
    if (c->bits && c->quant != HUB_FP8)
        return arena_printf(arena, "%s-%ubit", hub_quant_name(c->quant), c->bits);
    return hub_quant_name(c->quant);
}

bool hub_to_model(const struct hub_model *h, struct arena *arena, struct model *out,
                  struct err *err)
{
    struct model m = {.path = h->path,
                      .name = h->name,
                      .parameters = h->parameters,
                      .file_bytes = h->file_bytes,
                      .n_layers = h->n_layers,
                      .n_tensors = h->n_tensors,
                      .from_file = h->from_headers};
    struct model_layer *layers = arena_array(arena, struct model_layer, h->n_layers);
    struct model_tensor *tensors = arena_array(arena, struct model_tensor, h->n_tensors + 1);
    m.architecture = arena_strdup(arena, h->config.model_type[0] ? h->config.model_type
                                                                 : h->config.architecture);
    m.family = model_family_find(m.architecture);
    m.quantization = quantization_of(&h->config, arena);
    if (!layers || !tensors || !m.architecture || !m.quantization)
        return err_set(err, ERR_1201, "no memory for the model's layers");
    make_hparams(h, &m.hp);
    for (uint32_t i = 0; i < h->n_layers; i++)
        make_layer(h, i, &layers[i]);
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        const struct safetensors_tensor *t = &h->tensors[i];
        tensors[i] = (struct model_tensor){
            .name = t->name,
            .type = type_of(t->type),
            .layer = hub_tensor_layer(&h->config, t->name),
            .n_dims = t->n_dims > 4 ? 4 : t->n_dims,
            .ne = {1, 1, 1, 1},
            .bytes = t->bytes
        };
        for (int d = 0; d < t->n_dims;
             d++) /* GGUF counts dimensions from the innermost; further ones multiply */
            tensors[i].ne[d < 4 ? d : 3] *= t->shape[t->n_dims - 1 - d];
    }
    memset(m.global, -1, sizeof(m.global));
    m.layers = layers;
    m.tensors = tensors;
    *out = m;
    return true;
}
