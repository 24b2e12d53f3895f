/* refuse: the engine's refusals, in the order in which it meets them. */
#include "law/refuse.h"

#include <stdio.h>
#include <string.h>

#include "model/family.h"

enum { MAX_SEQUENCES = 256 }; /* LLAMA_MAX_SEQ */

static bool is_mla(const struct model *m)
{
    return m->hp.head_dim_k_mla != 0 && m->hp.head_dim_v_mla != 0;
}

/* Types the engine's -ctk and -ctv know. */
static bool is_cache_type(uint32_t type)
{
    switch (type) {
    case GGUF_TYPE_F32:
    case GGUF_TYPE_F16:
    case GGUF_TYPE_BF16:
    case GGUF_TYPE_Q8_0:
    case GGUF_TYPE_Q4_0:
    case GGUF_TYPE_Q4_1:
    case GGUF_TYPE_IQ4_NL:
    case GGUF_TYPE_Q5_0:
    case GGUF_TYPE_Q5_1: return true;
    default: return false;
    }
}

static bool check_cache_type(char which, uint32_t type, struct err *err)
{
    if (is_cache_type(type))
        return true;
    const struct gguf_type_info *t = type < GGUF_TYPE_LIMIT ? gguf_type_info(type) : NULL;
    err_set(err, ERR_2114, "%s is not a type the engine keeps its %c cache in",
            t ? t->name : "this", which);
    err_why(err, "it takes f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 and iq4_nl");
    return err_fix(err, which == 'K' ? "-ctk q8_0" : "-ctv q8_0", "choose one of these");
}

static bool check_ranges(const struct model *m, const struct law_settings *s, struct err *err)
{
    if (s->n_seq_max > MAX_SEQUENCES) {
        err_set(err, ERR_2114, "%u parallel sequences are more than the engine's %d", s->n_seq_max,
                MAX_SEQUENCES);
        return err_fix(err, "-np 256", "ask for at most %d", MAX_SEQUENCES);
    }
    if (s->n_batch == 0) {
        err_set(err, ERR_2114, "a batch of 0 tokens processes nothing");
        return err_fix(err, "-b 2048 -ub 512",
                       "give both batch sizes, or leave them to their defaults");
    }
    if (s->n_ctx == 0 && m->hp.n_ctx_train == 0) {
        err_set(err, ERR_2114,
                "no context was given and the model does not say for which it was trained");
        return err_fix(err, "-c 8192", "give a context");
    }
    return check_cache_type('K', s->type_k, err) && check_cache_type('V', s->type_v, err);
}

/* Every sequence must be able to ask for one row of logits: the engine aborts where their number is
 * above its limit. */
static bool check_outputs(const struct model *m, const struct law_settings *s, struct err *err)
{
    uint32_t n_ctx = s->n_ctx ? s->n_ctx : m->hp.n_ctx_train;
    uint32_t batch = m->hp.attn_causal && n_ctx < s->n_batch ? n_ctx : s->n_batch;
    uint32_t most = s->n_outputs_max ? s->n_outputs_max : batch;
    if (s->n_seq_max <= most)
        return true;
    char flag[48];
    snprintf(flag, sizeof(flag), "-np %u", most);
    err_set(err, ERR_2114,
            "%u parallel sequences need as many rows of logits, and %u can be asked for",
            s->n_seq_max, most);
    err_why(err, "a batch holds %u tokens (-b %u, at most the context of %u)", batch, s->n_batch,
            n_ctx);
    return err_fix(err, flag, "ask for fewer sequences, or raise -b and -c");
}

static bool check_row_split(const struct law_settings *s, struct err *err)
{
    const struct law_version *v = law_version_for(0);
    if (s->split != SPLIT_ROW || v->has_split_buffers)
        return true;
    err_set(err, ERR_2112, "-sm row is refused: \"device does not support split buffers\"");
    err_why(err, "the CUDA backend gave up buffers that are split by rows in June 2026; this is %s",
            v->title);
    err_fix(err, "-sm layer", "share out whole layers");
    return err_fix(err, "-sm tensor",
                   "split tensors, which needs flash attention and a family that knows it");
}

static bool check_tensor_split(const struct model *m, const struct machine *mc,
                               const struct law_settings *s, struct err *err)
{
    if (s->split != SPLIT_TENSOR)
        return true;
    if (!m->family->tensor_split) {
        err_set(err, ERR_2112, "-sm tensor is not made for the architecture %s", m->architecture);
        return err_fix(err, "-sm layer", "share out whole layers");
    }
    if (mc->n_devices == 0) {
        err_set(err, ERR_2112, "-sm tensor needs at least one GPU");
        return err_fix(err, "-sm layer", "leave the split to its default");
    }
    if (s->flash == FLASH_OFF) {
        err_set(err, ERR_2110, "-sm tensor needs flash attention, which is off");
        err_fix(err, "-fa on", "turn flash attention on");
        return err_fix(err, "-sm layer", "share out whole layers");
    }
    return true;
}

static bool check_latent(const struct model *m, const struct law_settings *s, struct err *err)
{
    bool latent = is_mla(m) || strcmp(m->architecture, "deepseek4") == 0;
    if (!latent || s->type_k == s->type_v)
        return true;
    const char *k = gguf_type_info(s->type_k)->name, *v = gguf_type_info(s->type_v)->name;
    err_set(err, ERR_2110, "the cache types %s (K) and %s (V) differ", k, v);
    err_why(err, "the model keeps one latent vector for both (multi-head latent attention), so "
                 "they must be equal");
    char flags[2][48];
    snprintf(flags[0], sizeof(flags[0]), "-ctk %s -ctv %s", k, k);
    snprintf(flags[1], sizeof(flags[1]), "-ctk %s -ctv %s", v, v);
    err_fix(err, flags[0], "keep both in %s", k);
    return err_fix(err, flags[1], "keep both in %s", v);
}

static bool check_quantised_v(const struct model *m, const struct law_settings *s, struct err *err)
{
    const struct gguf_type_info *v = gguf_type_info(s->type_v);
    bool grok = strcmp(m->architecture, "grok") == 0;
    if (!v->quantised || (s->flash != FLASH_OFF && !grok))
        return true;
    err_set(err, ERR_2110, "a V cache of type %s needs flash attention, which is off", v->name);
    if (grok)
        err_why(err, "the engine turns flash attention off for Grok, whatever is asked");
    else {
        err_why(err, "without it V is kept transposed, which blocks of %u values do not allow",
                v->block);
        err_fix(err, "-fa on", "turn flash attention on");
    }
    return err_fix(err, "-ctv f16", "keep V in f16");
}

/* Every layer counts, those without attention too: the engine asks for the head size by the kind of
 * layer only. */
static uint32_t head_dim(const struct model *m, uint32_t il, bool is_k)
{
    const struct model_hparams *hp = &m->hp;
    bool window = m->layers[il].window;
    if (is_k)
        return window && hp->head_dim_k_swa ? hp->head_dim_k_swa : hp->head_dim_k;
    return window && hp->head_dim_v_swa ? hp->head_dim_v_swa : hp->head_dim_v;
}

static bool check_blocks(const struct model *m, const struct law_settings *s, bool is_k,
                         struct err *err)
{
    const struct gguf_type_info *t = gguf_type_info(is_k ? s->type_k : s->type_v);
    if (!t->quantised || s->flash == FLASH_OFF)
        return true;
    for (uint32_t il = 0; il < m->n_layers; il++) {
        uint32_t dim = m->layers[il].nextn ? 0 : head_dim(m, il, is_k);
        if (dim % t->block == 0)
            continue;
        char which = is_k ? 'K' : 'V';
        err_set(err, ERR_2110, "a %c cache of type %s cannot hold heads of %u", which, t->name,
                dim);
        err_why(err, "its blocks of %u elements do not divide a head of layer %u", t->block, il);
        return err_fix(err, is_k ? "-ctk f16" : "-ctv f16", "keep %c in f16", which);
    }
    return true;
}

bool refuse_check(const struct model *m, const struct machine *mc, const struct law_settings *s,
                  struct err *err)
{
    return check_ranges(m, s, err) && check_outputs(m, s, err) && check_row_split(s, err) &&
           check_tensor_split(m, mc, s, err) && check_latent(m, s, err) &&
           check_quantised_v(m, s, err) && check_blocks(m, s, true, err) &&
           check_blocks(m, s, false, err);
}
