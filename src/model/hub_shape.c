/* hub_shape: the tensors a configuration implies, where no safetensors header is there to name
 * them. */
#include <stdio.h>
#include <string.h>

#include "model/hub_layout.h"

struct shape {
    const struct hub_config *c;
    struct arena *arena;
    struct safetensors_tensor *tensors;
    uint32_t n, cap;
    bool failed;
};

static void add(struct shape *s, const char *name, uint8_t type, uint64_t a, uint64_t b, uint64_t d)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? 2 * s->cap : 1024;
        struct safetensors_tensor *larger =
            cap <= SAFETENSORS_MAX_TENSORS ? arena_array(s->arena, struct safetensors_tensor, cap)
                                           : NULL;
        if (!larger) {
            s->failed = true;
            return;
        }
        if (s->n)
            memcpy(larger, s->tensors, s->n * sizeof(*larger));
        s->tensors = larger;
        s->cap = cap;
    }
    struct safetensors_tensor *t = &s->tensors[s->n++];
    *t = (struct safetensors_tensor){
        .name = arena_strdup(s->arena, name),
        .type = type,
        .n_dims = (uint8_t)(d   ? 3
                            : b ? 2
                                : 1),
        .shape = {a, b, d}
    };
    uint64_t bits = safetensors_type_bits(type);
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(bits, t->shape[i], &bits))
            s->failed = true;
    t->bytes = bits / 8;
    s->failed = s->failed || !t->name;
}

static void part(struct shape *s, const char *module, const char *what, uint8_t type, uint64_t a,
                 uint64_t b)
{
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", module, what);
    add(s, name, type, a, b, 0);
}

static void add_packed(struct shape *s, const char *module, uint64_t out, uint64_t in)
{
    const struct hub_config *c = s->c;
    uint64_t bits = c->bits ? c->bits : 4, group = c->group && c->group < in ? c->group : in;
    uint64_t groups = (in + group - 1) / group;
    if (c->quant == HUB_COMPRESSED) {
        part(s, module, "weight_packed", ST_I32, out, (in * bits + 31) / 32);
        part(s, module, "weight_scale", ST_BF16, out, groups);
        return;
    }
    bool awq = c->quant == HUB_AWQ;
    part(s, module, "qweight", ST_I32, awq ? in : (in * bits + 31) / 32,
         awq ? (out * bits + 31) / 32 : out);
    part(s, module, "qzeros", ST_I32, groups, (out * bits + 31) / 32);
    part(s, module, "scales", ST_F16, groups, out);
    if (!awq)
        part(s, module, "g_idx", ST_I32, in, 0);
}

/* One linear layer's weight as the checkpoint's quantisation stores it. */
static void linear(struct shape *s, const char *module, uint64_t out, uint64_t in)
{
    const struct hub_config *c = s->c;
    if (out == 0 || in == 0)
        return;
    switch (c->quant) {
    case HUB_FP8:
        part(s, module, "weight", ST_F8_E4M3, out, in);
        if (c->fp8_block)
            part(s, module, "weight_scale_inv", ST_F32, (out + 127) / 128, (in + 127) / 128);
        else
            part(s, module, "weight_scale", ST_F32, out, 1);
        break;
    case HUB_AWQ:
    case HUB_GPTQ:
    case HUB_COMPRESSED: add_packed(s, module, out, in); break;
    case HUB_BNB:
        part(s, module, "weight", ST_U8, c->bnb_8bit ? out * in : (out * in + 1) / 2, 1);
        part(s, module, "weight.absmax", c->bnb_8bit ? ST_F32 : ST_U8,
             c->bnb_8bit ? out : (out * in + 63) / 64, 1);
        break;
    default: part(s, module, "weight", ST_BF16, out, in); break;
    }
}

static void module_linear(struct shape *s, uint32_t layer, const char *rest, uint64_t out,
                          uint64_t in)
{
    char name[160];
    snprintf(name, sizeof(name), "model.layers.%u.%s", layer, rest);
    linear(s, name, out, in);
}

static void layer_plain(struct shape *s, uint32_t layer, const char *rest, uint64_t a, uint64_t b)
{
    char name[160];
    snprintf(name, sizeof(name), "model.layers.%u.%s", layer, rest);
    add(s, name, ST_BF16, a, b, 0);
}

static void attention(struct shape *s, uint32_t il)
{
    const struct hub_config *c = s->c;
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    enum hub_quant keep = c->quant;
    struct hub_config plain = *c;
    plain.quant = HUB_PLAIN;
    if (keep == HUB_MXFP4) /* only the experts are packed */
        s->c = &plain;
    module_linear(s, il, "self_attn.q_proj", q, c->hidden);
    module_linear(s, il, "self_attn.k_proj", kv, c->hidden);
    module_linear(s, il, "self_attn.v_proj", kv, c->hidden);
    module_linear(s, il, "self_attn.o_proj", c->hidden, q);
    s->c = c;
    if (c->qkv_bias) {
        layer_plain(s, il, "self_attn.q_proj.bias", q, 0);
        layer_plain(s, il, "self_attn.k_proj.bias", kv, 0);
        layer_plain(s, il, "self_attn.v_proj.bias", kv, 0);
    }
    if (c->qk_norm) {
        layer_plain(s, il, "self_attn.q_norm.weight", c->head_dim, 0);
        layer_plain(s, il, "self_attn.k_norm.weight", c->head_dim, 0);
    }
}

static void latent_attention(struct shape *s, uint32_t il)
{
    const struct hub_config *c = s->c;
    uint64_t key = (uint64_t)c->dim_nope + c->dim_rope;
    if (c->q_rank) {
        module_linear(s, il, "self_attn.q_a_proj", c->q_rank, c->hidden);
        layer_plain(s, il, "self_attn.q_a_layernorm.weight", c->q_rank, 0);
        module_linear(s, il, "self_attn.q_b_proj", c->heads * key, c->q_rank);
    } else {
        module_linear(s, il, "self_attn.q_proj", c->heads * key, c->hidden);
    }
    module_linear(s, il, "self_attn.kv_a_proj_with_mqa", (uint64_t)c->kv_rank + c->dim_rope,
                  c->hidden);
    layer_plain(s, il, "self_attn.kv_a_layernorm.weight", c->kv_rank, 0);
    module_linear(s, il, "self_attn.kv_b_proj", (uint64_t)c->heads * (c->dim_nope + c->dim_v),
                  c->kv_rank);
    module_linear(s, il, "self_attn.o_proj", c->hidden, (uint64_t)c->heads * c->dim_v);
}

static void linear_attention(struct shape *s, uint32_t il)
{
    const struct hub_config *c = s->c;
    uint64_t key = (uint64_t)c->state_key_heads * c->state_key_dim;
    uint64_t value = (uint64_t)c->state_value_heads * c->state_value_dim;
    module_linear(s, il, "linear_attn.in_proj_qkvz", 2 * key + 2 * value, c->hidden);
    module_linear(s, il, "linear_attn.in_proj_ba", 2ull * c->state_value_heads, c->hidden);
    layer_plain(s, il, "linear_attn.conv1d.weight", 2 * key + value, c->state_kernel);
    module_linear(s, il, "linear_attn.out_proj", c->hidden, value);
}

static void dense(struct shape *s, uint32_t il, const char *at, uint64_t ff)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    char rest[96];
    for (int i = 0; i < 3; i++) {
        snprintf(rest, sizeof(rest), "%s.%s", at, names[i]);
        module_linear(s, il, rest, i < 2 ? ff : s->c->hidden, i < 2 ? s->c->hidden : ff);
    }
}

/* gpt-oss keeps all experts of a layer in one tensor each, two values a byte and one scale for 32.
 */
static void packed_experts(struct shape *s, uint32_t il)
{
    const struct hub_config *c = s->c;
    struct {
        const char *name;
        uint64_t out, in;
    } parts[] = {
        {"gate_up_proj", 2ull * c->ff_exp, c->hidden},
        {"down_proj",    c->hidden,        c->ff_exp}
    };
    char name[160];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "model.layers.%u.mlp.experts.%s_blocks", il, parts[i].name);
        add(s, name, ST_U8, c->experts, parts[i].out, parts[i].in / 2);
        snprintf(name, sizeof(name), "model.layers.%u.mlp.experts.%s_scales", il, parts[i].name);
        add(s, name, ST_U8, c->experts, parts[i].out, parts[i].in / 32);
        snprintf(name, sizeof(name), "model.layers.%u.mlp.experts.%s_bias", il, parts[i].name);
        add(s, name, ST_BF16, c->experts, parts[i].out, 0);
    }
}

static void feed_forward(struct shape *s, uint32_t il)
{
    const struct hub_config *c = s->c;
    bool moe = c->experts && il >= c->dense_lead && (il + 1) % c->moe_every == 0;
    char at[64];
    if (!moe) {
        dense(s, il, "mlp", c->ff);
        return;
    }
    layer_plain(s, il, "mlp.gate.weight", c->experts, c->hidden);
    if (c->quant == HUB_MXFP4)
        packed_experts(s, il);
    for (uint32_t e = 0; e < c->experts && c->quant != HUB_MXFP4 && !s->failed; e++) {
        snprintf(at, sizeof(at), "mlp.experts.%u", e);
        dense(s, il, at, c->ff_exp);
    }
    if (c->ff_shared)
        dense(s, il, "mlp.shared_experts", c->ff_shared);
}

static void vision(struct shape *s)
{
    const struct hub_config *c = s->c;
    uint64_t h = c->vision_hidden, ff = c->vision_ff ? c->vision_ff : 4 * h;
    char name[96];
    for (uint32_t i = 0; i < c->vision_layers && h; i++) {
        snprintf(name, sizeof(name), "vision_tower.layers.%u.attention.weight", i);
        add(s, name, ST_BF16, 4 * h, h, 0);
        snprintf(name, sizeof(name), "vision_tower.layers.%u.feed_forward.weight", i);
        add(s, name, ST_BF16, 3 * ff, h, 0);
    }
    if (h)
        add(s, "multi_modal_projector.weight", ST_BF16, c->hidden, h + c->hidden, 0);
}

bool hub_shape(const struct hub_config *config, struct arena *arena, struct safetensors *out,
               struct err *err)
{
    struct shape s = {.c = config, .arena = arena};
    add(&s, "model.embed_tokens.weight", ST_BF16, config->vocab, config->hidden, 0);
    for (uint32_t il = 0; il < config->n_layers && !s.failed; il++) {
        if (config->kv_rank)
            latent_attention(&s, il);
        else if (config->kind[il] == HUB_STATE)
            linear_attention(&s, il);
        else
            attention(&s, il);
        feed_forward(&s, il);
        layer_plain(&s, il, "input_layernorm.weight", config->hidden, 0);
        layer_plain(&s, il, "post_attention_layernorm.weight", config->hidden, 0);
    }
    add(&s, "model.norm.weight", ST_BF16, config->hidden, 0, 0);
    if (!config->tied)
        add(&s, "lm_head.weight", ST_BF16, config->vocab, config->hidden, 0);
    vision(&s);
    if (s.failed)
        return err_set(err, ERR_2003, "the model is larger than any that can be planned");
    *out = (struct safetensors){.n_tensors = s.n, .tensors = s.tensors};
    for (uint32_t i = 0; i < s.n; i++)
        if (__builtin_add_overflow(out->data_bytes, s.tensors[i].bytes, &out->data_bytes))
            return err_set(err, ERR_2003, "the model is larger than 2^64 bytes");
    return true;
}
