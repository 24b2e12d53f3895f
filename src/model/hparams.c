/* hparams: the hyper-parameters every architecture has, with the engine's defaults
 * (llama.cpp src/llama-model.cpp load_hparams, behaviour). */
#include "model/keys.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void read_size(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    key_u32(r, "context_length", KEY_REQUIRED, MAX_CONTEXT, &hp->n_ctx_train);
    key_u32(r, "embedding_length", KEY_REQUIRED, MAX_WIDTH, &hp->n_embd);
    key_u32(r, "block_count", KEY_REQUIRED, MODEL_MAX_LAYERS, &hp->n_layer);
    key_u32(r, "nextn_predict_layers", KEY_OPTIONAL, MODEL_MAX_LAYERS, &hp->n_nextn);
    if (r->failed)
        return;
    if (hp->n_layer == 0)
        key_refuse(r, "block_count", "is 0; a model has 1 to %d layers", MODEL_MAX_LAYERS);
    if (hp->n_embd == 0)
        key_refuse(r, "embedding_length", "is 0");
    if (hp->n_nextn > hp->n_layer)
        key_refuse(r, "nextn_predict_layers", "is %" PRIu32 ", more than the %" PRIu32 " layers",
                   hp->n_nextn, hp->n_layer);
}

static uint32_t largest(const uint32_t *values, uint32_t n)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < n; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* The engine aborts on these contradictions. */
static void check_experts(struct key_reader *r)
{
    const struct model_hparams *hp = r->hp;

    if (hp->n_expert_used > hp->n_expert)
        key_refuse(r, "expert_used_count", "is %" PRIu32 " of only %" PRIu32 " experts",
                   hp->n_expert_used, hp->n_expert);
    if (hp->n_expert > 0 && hp->n_expert_used == 0)
        key_refuse(r, "expert_used_count", "is 0 of %" PRIu32 " experts", hp->n_expert);
    if (hp->n_expert_groups > 0 && hp->n_expert_groups >= hp->n_expert)
        key_refuse(r, "expert_group_count", "is %" PRIu32 " for %" PRIu32 " experts",
                   hp->n_expert_groups, hp->n_expert);
    if (hp->n_expert_groups > 1 && hp->n_expert % hp->n_expert_groups != 0)
        key_refuse(r, "expert_group_count", "%" PRIu32 " does not divide %" PRIu32 " experts",
                   hp->n_expert_groups, hp->n_expert);
    if (hp->n_expert_groups > 1 &&
        (hp->n_expert_group_used == 0 || hp->n_expert_group_used >= hp->n_expert_groups))
        key_refuse(r, "expert_group_used_count", "is %" PRIu32 " of %" PRIu32 " groups",
                   hp->n_expert_group_used, hp->n_expert_groups);
}

static void read_experts(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    uint32_t n = hp->n_layer;

    key_u32(r, "expert_count", KEY_OPTIONAL, MODEL_MAX_EXPERTS, &hp->n_expert);
    key_layers(r, "expert_used_count", KEY_OPTIONAL, MODEL_MAX_EXPERTS, n,
               r->layers->n_expert_used);
    key_u32(r, "expert_group_count", KEY_OPTIONAL, MODEL_MAX_EXPERTS, &hp->n_expert_groups);
    key_u32(r, "expert_group_used_count", KEY_OPTIONAL, MODEL_MAX_EXPERTS,
            &hp->n_expert_group_used);
    key_u32(r, "expert_shared_count", KEY_OPTIONAL, MODEL_MAX_EXPERTS, &hp->n_expert_shared);
    key_layers(r, "expert_feed_forward_length", KEY_OPTIONAL, MAX_FF, n, r->layers->n_ff_exp);
    key_u32(r, "expert_shared_feed_forward_length", KEY_OPTIONAL, MAX_FF, &hp->n_ff_shexp);
    key_u32(r, "expert_chunk_feed_forward_length", KEY_OPTIONAL, MAX_FF, &hp->n_ff_chexp);
    key_u32(r, "leading_dense_block_count", KEY_OPTIONAL, MODEL_MAX_LAYERS,
            &hp->n_expert_dense_lead);
    key_u32(r, "interleave_moe_layer_step", KEY_OPTIONAL, MODEL_MAX_LAYERS, &hp->moe_every);
    key_u32(r, "moe_latent_size", KEY_OPTIONAL, MAX_WIDTH, &hp->n_moe_latent);
    key_u32(r, "expert_gating_func", KEY_OPTIONAL, 4, &hp->expert_gating);
    key_bool(r, "expert_weights_norm", &hp->expert_weights_norm);
    key_f64(r, "expert_weights_scale", &hp->expert_weights_scale);
    if (hp->expert_gating == 0)
        hp->expert_gating = r->family->gating;
    if (hp->n_expert <= 1 &&
        (!strcmp(r->architecture, "hunyuan_vl") || !strcmp(r->architecture, "hunyuan-dense"))) {
        hp->n_expert = 0;
        memset(r->layers->n_expert_used, 0, sizeof r->layers->n_expert_used);
    }
    hp->n_expert_used = largest(r->layers->n_expert_used, n);
    hp->n_ff_exp = largest(r->layers->n_ff_exp, n);
    check_experts(r);
}

static void read_heads(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    struct layer_keys *l = r->layers;
    uint32_t n = hp->n_layer;

    key_layers(r, "feed_forward_length", KEY_OPTIONAL, MAX_FF, n, l->n_ff);
    key_layers(r, "attention.head_count", KEY_OPTIONAL, MAX_HEADS, n, l->n_head);
    memcpy(l->n_head_kv, l->n_head, sizeof l->n_head_kv);
    l->has_head_count_kv =
        key_layers(r, "attention.head_count_kv", KEY_OPTIONAL, MAX_HEADS, n, l->n_head_kv);
    hp->n_head = l->n_head[0];
    hp->n_head_kv = l->n_head_kv[0] ? l->n_head_kv[0] : largest(l->n_head_kv, n);
    hp->n_ff = largest(l->n_ff, n);

    uint32_t n_rot;
    if (l->n_head[0] > 0) {
        hp->head_dim_k = hp->head_dim_v = hp->n_embd / l->n_head[0];
        key_u32(r, "attention.key_length", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_k);
        key_u32(r, "attention.value_length", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_v);
        n_rot = hp->head_dim_k;
        key_u32(r, "rope.dimension_count", KEY_OPTIONAL, MAX_WIDTH, &n_rot);
        hp->n_rot = n_rot;
    }
    hp->head_dim_k_swa = hp->head_dim_k;
    hp->head_dim_v_swa = hp->head_dim_v;
    hp->n_rot_swa = hp->n_rot;
    key_u32(r, "attention.key_length_swa", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_k_swa);
    key_u32(r, "attention.value_length_swa", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_v_swa);
    key_u32(r, "rope.dimension_count_swa", KEY_OPTIONAL, MAX_WIDTH, &hp->n_rot_swa);
}

static void read_rope(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    const char *scaling;
    double factor = 0;
    uint32_t sections[MODEL_MAX_LAYERS];

    hp->rope_orig_ctx = hp->n_ctx_train;
    key_u32(r, "rope.scaling.original_context_length", KEY_OPTIONAL, MAX_CONTEXT,
            &hp->rope_orig_ctx);
    hp->rope_freq_base = 10000;
    key_f64(r, "rope.freq_base", &hp->rope_freq_base);
    if (!key_f64(r, "rope.scaling.factor", &factor))
        key_f64(r, "rope.scale_linear", &factor);
    hp->rope_freq_scale = factor == 0 ? 1 : 1 / factor;
    key_bool(r, "rope.scaling.finetuned", &hp->rope_finetuned);
    if (key_array(r, "rope.dimension_sections", KEY_OPTIONAL, MAX_WIDTH, sections))
        memcpy(hp->rope_sections, sections, sizeof hp->rope_sections);

    hp->rope_scaling = 1;
    const struct gguf_key *key = key_find(r, "rope.scaling.type");
    if (!key || r->failed)
        return;
    scaling = gguf_get_string(r->g, key->name);
    static const char *const names[] = {"none", "linear", "yarn", "longrope"};
    for (uint32_t i = 0; scaling && i < 4; i++) {
        if (!strcmp(scaling, names[i])) {
            hp->rope_scaling = i;
            return;
        }
    }
    key_refuse(r, "rope.scaling.type", "is none of none, linear, yarn, longrope");
}

static void read_scales(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    hp->norm_is_rms = key_find(r, "attention.layer_norm_rms_epsilon") != NULL;
    key_f64(r, "attention.clamp_kqv", &hp->f_clamp_kqv);
    key_f64(r, "attention.max_alibi_bias", &hp->f_max_alibi_bias);
    key_f64(r, "attention.scale", &hp->f_attention_scale);
    key_f64(r, "attention.temperature_scale", &hp->f_attn_temp_scale);
    key_f64(r, "logit_scale", &hp->f_logit_scale);
    key_f64(r, "residual_scale", &hp->f_residual_scale);
    key_f64(r, "embedding_scale", &hp->f_embedding_scale);
    key_f64(r, "attn_logit_softcapping", &hp->f_attn_logit_softcap);
    key_f64(r, "final_logit_softcapping", &hp->f_final_logit_softcap);
    key_bool(r, "use_parallel_residual", &hp->use_parallel_residual);
    hp->attn_causal = r->family->layers != RULE_NO_CACHE;
    key_bool(r, "attention.causal", &hp->attn_causal);
    key_u32(r, "pooling_type", KEY_OPTIONAL, 16, &hp->pooling);
}

static void read_state(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    bool ssm = r->family->state == STATE_SSM && model_family_known(r->family);

    key_u32(r, "ssm.conv_kernel", ssm || r->family->state == STATE_KDA, MAX_FF, &hp->ssm_conv);
    key_u32(r, "ssm.inner_size", ssm, MAX_FF, &hp->ssm_inner);
    key_u32(r, "ssm.state_size", ssm, MAX_FF, &hp->ssm_state);
    key_u32(r, "ssm.time_step_rank", ssm, MAX_FF, &hp->ssm_dt_rank);
    key_u32(r, "ssm.group_count", KEY_OPTIONAL, MAX_FF, &hp->ssm_groups);
    key_bool(r, "ssm.dt_b_c_rms", &hp->ssm_dt_b_c_norm);
    key_u32(r, "shortconv.l_cache", r->family->state == STATE_SHORTCONV, MAX_FF,
            &hp->shortconv_cache);
    key_u32(r, "kda.head_dim", r->family->state == STATE_KDA, MAX_WIDTH, &hp->kda_head_dim);
    key_u32(r, "wkv.head_size", r->family->state == STATE_RWKV, MAX_WIDTH, &hp->wkv_head_size);
    hp->token_shift = 2;
    key_u32(r, "token_shift_count", KEY_OPTIONAL, 64, &hp->token_shift);
    key_u32(r, "rescale_every_n_layers", KEY_OPTIONAL, MODEL_MAX_LAYERS, &hp->rescale_every);
    if (r->family->layers == RULE_RECURRENT_EXCEPT_EVERY)
        hp->full_attention_interval = r->family->every;
    key_u32(r, "full_attention_interval", KEY_OPTIONAL, MODEL_MAX_LAYERS,
            &hp->full_attention_interval);
    if (r->family->layers == RULE_RECURRENT_EXCEPT_EVERY && hp->full_attention_interval == 0)
        key_refuse(r, "full_attention_interval", "is 0");
}

static void read_latent(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;

    key_u32(r, "attention.q_lora_rank", KEY_OPTIONAL, MAX_WIDTH, &hp->n_lora_q);
    key_u32(r, "attention.kv_lora_rank", KEY_OPTIONAL, MAX_WIDTH, &hp->n_lora_kv);
    key_u32(r, "attention.indexer.head_count", KEY_OPTIONAL, MAX_HEADS, &hp->n_index_head);
    key_u32(r, "attention.indexer.key_length", KEY_OPTIONAL, MAX_WIDTH, &hp->index_head_dim);
    key_u32(r, "attention.indexer.top_k", KEY_OPTIONAL, MAX_CONTEXT, &hp->index_top_k);
    if (!(r->family->flags & FAMILY_MLA))
        return;
    key_u32(r, "attention.key_length_mla", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_k_mla);
    key_u32(r, "attention.value_length_mla", KEY_OPTIONAL, MAX_WIDTH, &hp->head_dim_v_mla);
    if ((hp->head_dim_k_mla == 0) != (hp->head_dim_v_mla == 0))
        key_refuse(r,
                   hp->head_dim_k_mla ? "attention.value_length_mla" : "attention.key_length_mla",
                   "is missing, but its counterpart is given");
}

/* The engine's vocabulary: the list of tokens, else the number a model without a tokenizer gives.
 */
static void read_vocab(struct key_reader *r)
{
    const struct gguf_key *tokens = gguf_find(r->g, "tokenizer.ggml.tokens");

    if (tokens && tokens->type == GGUF_ARRAY && tokens->count <= MAX_VOCAB)
        r->hp->n_vocab = (uint32_t)tokens->count;
    else
        key_u32(r, "vocab_size", KEY_OPTIONAL, MAX_VOCAB, &r->hp->n_vocab);
}

void hparams_read(struct key_reader *r)
{
    memset(r->hp, 0, sizeof *r->hp);
    memset(r->layers, 0, sizeof *r->layers);
    r->hp->n_no_rope_every = 4;
    r->hp->altup_inputs = 4;
    read_size(r);
    if (r->failed)
        return;
    read_vocab(r);
    read_experts(r);
    read_heads(r);
    read_rope(r);
    read_scales(r);
    read_state(r);
    read_latent(r);
    key_u32(r, "embedding_length_per_layer_input", KEY_OPTIONAL, MAX_WIDTH,
            &r->hp->n_embd_per_layer);
    key_u32(r, "attention.shared_kv_layers", KEY_OPTIONAL, MODEL_MAX_LAYERS,
            &r->hp->n_kv_shared_layers);
    if (!r->failed)
        adjust_hparams(r);
}
