/* model_json: writes the model document. */
#include "api/model_json.h"

const char *model_family_title(const struct model *m)
{
    return model_family_known(m->family) ? m->family->title : "unknown";
}

const char *model_kv_name(enum kv_kind kind)
{
    static const char *const names[] = {"none",   "full",      "window", "chunked",
                                        "latent", "recurrent", "shared", "hybrid"};
    return names[kind];
}

static uint64_t row_bytes(uint32_t type, uint32_t elements)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? ((uint64_t)elements + t->block - 1) / t->block * t->block_bytes : 0;
}

uint64_t model_cell_bytes(const struct model_layer *l, uint32_t type_k, uint32_t type_v)
{
    if (l->kv == KV_NONE || l->kv == KV_RECURRENT || l->kv == KV_SHARED)
        return 0;
    return row_bytes(type_k, l->n_embd_k) + row_bytes(type_v, l->n_embd_v) +
           row_bytes(type_k, l->n_embd_index);
}

uint64_t model_layer_bytes(const struct model *m, uint32_t layer)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < m->n_tensors; i++)
        all += m->tensors[i].layer == (int)layer ? m->tensors[i].bytes : 0;
    return all;
}

static void whole(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n ? json_add_u64(j, n) : json_add_null(j);
}

static void decimal(struct json *j, const char *key, double n)
{
    json_key(j, key);
    n != 0 ? json_add_f64(j, n) : json_add_null(j);
}

static void add_attention(struct json *j, const struct model_hparams *h)
{
    whole(j, "heads", h->n_head);
    whole(j, "kv_heads", h->n_head_kv);
    whole(j, "head_dim_k", h->head_dim_k);
    whole(j, "head_dim_v", h->head_dim_v);
    whole(j, "rope_dimensions", h->n_rot);
    decimal(j, "rope_freq_base", h->rope_freq_base);
    whole(j, "window", h->n_swa);
    whole(j, "window_pattern", h->swa_pattern);
    json_key_bool(j, "window_chunked", h->swa_chunked);
    whole(j, "head_dim_k_window", h->head_dim_k_swa);
    whole(j, "head_dim_v_window", h->head_dim_v_swa);
    whole(j, "lora_rank_q", h->n_lora_q);
    whole(j, "lora_rank_kv", h->n_lora_kv);
    whole(j, "head_dim_k_mla", h->head_dim_k_mla);
    whole(j, "head_dim_v_mla", h->head_dim_v_mla);
    whole(j, "kv_shared_layers", h->n_kv_shared_layers);
    whole(j, "indexer_heads", h->n_index_head);
    whole(j, "indexer_head_dim", h->index_head_dim);
    whole(j, "indexer_top_k", h->index_top_k);
    decimal(j, "attention_softcap", h->f_attn_logit_softcap);
    decimal(j, "final_softcap", h->f_final_logit_softcap);
    json_key_bool(j, "causal", h->attn_causal);
}

static void add_experts(struct json *j, const struct model_hparams *h)
{
    whole(j, "experts", h->n_expert);
    whole(j, "experts_used", h->n_expert_used);
    whole(j, "experts_shared", h->n_expert_shared);
    whole(j, "expert_groups", h->n_expert_groups);
    whole(j, "expert_groups_used", h->n_expert_group_used);
    whole(j, "expert_feed_forward", h->n_ff_exp);
    whole(j, "shared_expert_feed_forward", h->n_ff_shexp);
    whole(j, "leading_dense_layers", h->n_expert_dense_lead);
    whole(j, "expert_interleave", h->moe_every);
}

static void add_state(struct json *j, const struct model_hparams *h)
{
    whole(j, "ssm_conv", h->ssm_conv);
    whole(j, "ssm_inner", h->ssm_inner);
    whole(j, "ssm_state", h->ssm_state);
    whole(j, "ssm_dt_rank", h->ssm_dt_rank);
    whole(j, "ssm_groups", h->ssm_groups);
    whole(j, "shortconv_cache", h->shortconv_cache);
    whole(j, "full_attention_interval", h->full_attention_interval);
    whole(j, "kda_head_dim", h->kda_head_dim);
    whole(j, "wkv_head_size", h->wkv_head_size);
    whole(j, "embedding_per_layer", h->n_embd_per_layer);
}

static void add_hparams(struct json *j, const struct model *m)
{
    const struct model_hparams *h = &m->hp;
    json_key(j, "hyperparameters");
    json_open_object(j);
    whole(j, "layers", h->n_layer);
    json_key_u64(j, "nextn_layers", h->n_nextn);
    whole(j, "context_train", h->n_ctx_train);
    whole(j, "vocabulary", h->n_vocab);
    whole(j, "embedding", h->n_embd);
    whole(j, "feed_forward", h->n_ff);
    add_attention(j, h);
    add_experts(j, h);
    add_state(j, h);
    json_close_object(j);
}

static void add_layer(struct json *j, const struct model *m, uint32_t i)
{
    static const char *const ffn[] = {"none", "dense", "moe"};
    const struct model_layer *l = &m->layers[i];
    json_open_object(j);
    json_key_u64(j, "layer", i);
    json_key_u64(j, "weights_bytes", model_layer_bytes(m, i));
    json_key_str(j, "kv", model_kv_name(l->kv));
    json_key_u64(j, "kv_cell_bytes", model_cell_bytes(l, GGUF_TYPE_F16, GGUF_TYPE_F16));
    json_key_u64(j, "state_bytes", 4 * (l->state_r + l->state_s));
    json_key(j, "kv_from");
    l->kv_from < 0 ? json_add_null(j) : json_add_i64(j, l->kv_from);
    json_key_str(j, "feed_forward_kind", ffn[l->ffn]);
    json_key_u64(j, "heads", l->n_head);
    json_key_u64(j, "kv_heads", l->n_head_kv);
    json_key_bool(j, "nextn", l->nextn);
    json_close_object(j);
}

static void add_tensor(struct json *j, const struct model_tensor *t)
{
    const struct gguf_type_info *type = gguf_type_info(t->type);
    json_open_object(j);
    json_key_str(j, "name", t->name);
    json_key_str(j, "type", type ? type->name : NULL);
    json_key(j, "shape");
    json_open_array(j);
    for (int d = 0; d < t->n_dims && d < 4; d++)
        json_add_u64(j, t->ne[d]);
    json_close_array(j);
    json_key(j, "layer");
    t->layer < 0 ? json_add_null(j) : json_add_i64(j, t->layer);
    json_key_u64(j, "bytes", t->bytes);
    json_close_object(j);
}

void model_json(struct json *j, const struct model *m, bool tensors)
{
    json_key_str(j, "path", m->path);
    json_key_str(j, "name", m->name);
    json_key_str(j, "architecture", m->architecture);
    json_key_str(j, "family", model_family_title(m));
    json_key_str(j, "quantization", m->quantization);
    json_key_u64(j, "parameters", m->parameters);
    json_key_u64(j, "file_bytes", m->file_bytes);
    json_key_bool(j, "from_file", m->from_file);
    add_hparams(j, m);
    json_key(j, "layers");
    json_open_array(j);
    for (uint32_t i = 0; i < m->n_layers; i++)
        add_layer(j, m, i);
    json_close_array(j);
    json_key(j, "tensors");
    if (!tensors) {
        json_add_null(j);
        return;
    }
    json_open_array(j);
    for (uint32_t i = 0; i < m->n_tensors; i++)
        add_tensor(j, &m->tensors[i]);
    json_close_array(j);
}
