/* speed_work: what one token reads and multiplies in every layer of a model, wherever the layers
 * lie. */
#include "plan/speed.h"

static enum speed_type type_group(uint32_t type)
{
    switch (type) {
    case GGUF_TYPE_F32:
    case GGUF_TYPE_F16:
    case GGUF_TYPE_BF16:
    case GGUF_TYPE_F64: return SPEED_FLOAT;
    case GGUF_TYPE_Q4_K:
    case GGUF_TYPE_Q5_K:
    case GGUF_TYPE_Q6_K:
    case GGUF_TYPE_Q8_K: return SPEED_K;
    case GGUF_TYPE_Q2_K:
    case GGUF_TYPE_Q3_K:
    case GGUF_TYPE_IQ1_S:
    case GGUF_TYPE_IQ1_M:
    case GGUF_TYPE_IQ2_XXS:
    case GGUF_TYPE_IQ2_XS:
    case GGUF_TYPE_IQ2_S:
    case GGUF_TYPE_IQ3_XXS:
    case GGUF_TYPE_IQ3_S:
    case GGUF_TYPE_TQ1_0:
    case GGUF_TYPE_TQ2_0: return SPEED_IQ;
    default: return SPEED_Q4_0; /* with the other simple blocks, IQ4 and the 4-bit floats */
    }
}

/* Tables of which a token reads one row, and what has no weight worth counting. */
static bool is_looked_up(uint8_t role)
{
    return role == ROLE_POSITION_EMBD || role == ROLE_TOKEN_TYPES ||
           role == ROLE_NEXTN_EMBED || role == ROLE_PER_LAYER_TOKEN_EMBD || role == ROLE_ROPE_FREQS ||
           role == ROLE_ROPE_FACTORS_LONG || role == ROLE_ROPE_FACTORS_SHORT;
}

static bool is_experts(const struct model *m, const struct model_tensor *t)
{
    return m->hp.n_expert > 1 && t->n_dims == 3 && t->ne[2] == m->hp.n_expert;
}

static bool is_dense_ffn(uint8_t role)
{
    return role == ROLE_FFN_UP || role == ROLE_FFN_GATE || role == ROLE_FFN_DOWN;
}

static bool goes_to_host(const struct model *m, const struct law_settings *s,
                         const struct assignment *a, uint32_t i)
{
    const struct model_tensor *t = &m->tensors[i];
    if (t->layer < 0)
        return false;
    if (a && a->tensor_buffer)
        return a->tensor_buffer[i] == LAW_HOST && a->layer_buffer[t->layer] != LAW_HOST;
    return ((uint32_t)t->layer < s->n_cpu_moe && is_experts(m, t)) ||
           ((uint32_t)t->layer < s->n_cpu_ffn && is_dense_ffn(t->role));
}

static void add_tensor(const struct model *m, const struct model_tensor *t,
                       struct speed_layer *layer, bool to_host)
{
    struct speed_part *p = to_host ? &layer->host : &layer->card;
    enum speed_type g = type_group(t->type);
    double flops = 2;
    for (int d = 0; d < t->n_dims && d < 4; d++)
        flops *= (double)t->ne[d];
    if (t->n_dims < 2)
        flops = 0;
    if (is_experts(m, t)) {
        p->expert_bytes[g] += (double)t->bytes * layer->expert_ratio;
        p->expert_flops[g] += flops * layer->expert_ratio;
    } else {
        p->bytes[g] += (double)t->bytes;
        p->flops[g] += flops;
    }
}

static double row_bytes(uint32_t type, double elements)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? elements / t->block * t->block_bytes : 2 * elements;
}

static void add_memory(const struct model *m, const struct law_settings *s, uint32_t il,
                       struct speed_layer *out)
{
    const struct model_layer *l = &m->layers[il];
    const struct model_layer *from =
        l->kv == KV_SHARED && l->kv_from >= 0 ? &m->layers[l->kv_from] : l;
    if (l->kv != KV_NONE && l->kv != KV_RECURRENT) {
        out->kv_bytes = row_bytes(s->type_k, from->n_embd_k) + row_bytes(s->type_v, from->n_embd_v);
        double width =
            l->kv == KV_LATENT ? 2.0 * l->n_embd_k : (double)l->head_dim_k + l->head_dim_v;
        out->attn_flops = 2 * l->n_head * width;
        out->heads = l->n_head;
        if (l->window || l->kv == KV_WINDOW || l->kv == KV_CHUNKED)
            out->kv_cells_max = m->hp.n_swa;
        else if (m->hp.index_top_k)
            out->kv_cells_max = m->hp.index_top_k;
    }
    out->state_bytes = 2 * 4 * (double)(l->state_r + l->state_s); /* F32, read and written */
}

void speed_work_make(const struct model *m, const struct law_settings *s, bool flash_on,
                     const struct assignment *a, struct speed_work *out)
{
    uint32_t n = m->hp.n_layer;
    out->n_layers = n + 1;
    out->n_embd = m->hp.n_embd;
    out->flash_on = flash_on;
    out->cache_on_host = s->no_kv_offload;
    out->moe = false;
    bool drafts = s->mtp;
    for (uint32_t il = 0; il <= n; il++) {
        struct speed_layer *layer = &out->layer[il];
        *layer = (struct speed_layer){.expert_ratio = 1,
                                      .loaded = il == n || !m->layers[il].nextn};
        layer->drafts = drafts && !layer->loaded;
        drafts = drafts && !layer->drafts; /* several take turns: one is run for a token */
        if (il == n || !(layer->loaded || layer->drafts))
            continue;
        if (m->hp.n_expert > 1 && m->layers[il].n_expert_used)
            layer->expert_ratio = (double)m->layers[il].n_expert_used / m->hp.n_expert;
        out->moe = out->moe || layer->expert_ratio < 1;
        add_memory(m, s, il, layer);
    }
    bool tied = !model_global(m, ROLE_OUTPUT, PART_WEIGHT);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        uint32_t il = t->layer < 0 || (uint32_t)t->layer > n ? n : (uint32_t)t->layer;
        bool is_input = t->role == ROLE_TOKEN_EMBD && !tied;
        out->layer[il].own_head = out->layer[il].own_head || t->role == ROLE_NEXTN_HEAD;
        bool counts = out->layer[il].loaded || out->layer[il].drafts;
        if (counts && !is_input && !is_looked_up(t->role))
            add_tensor(m, t, &out->layer[il], goes_to_host(m, s, a, i));
    }
}
