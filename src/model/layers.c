/* layers: which layer remembers what: windows, recurrence, sharing, latent vectors
 * (llama.cpp src/llama-model.cpp create_memory, src/llama-hparams.cpp, behaviour). */
#include "model/keys.h"

#include <inttypes.h>
#include <string.h>

static uint32_t trunk(const struct model_hparams *hp)
{
    return hp->n_layer - hp->n_nextn;
}

static bool is_window_rule(const struct model_family *f)
{
    return f->layers == RULE_SWA_EVERY || f->layers == RULE_SWA_EVERY_FIRST ||
           f->layers == RULE_SWA_ARRAY || f->layers == RULE_SWA_ALL ||
           f->layers == RULE_CHUNKED_EVERY;
}

/* Sets hp->n_swa; false: this model has no windows at all. */
static bool read_window(struct key_reader *r)
{
    struct model_hparams *hp = r->hp;
    const struct model_family *f = r->family;
    bool there;

    if (f->window == WINDOW_NEVER)
        return false;
    there = key_u32(r, "attention.sliding_window", f->window == WINDOW_ALWAYS && !f->swa_default,
                    MAX_CONTEXT, &hp->n_swa);
    if (f->layers == RULE_CHUNKED_EVERY) {
        hp->n_swa = hp->swa_chunked ? f->swa_default : 0;
        return hp->swa_chunked;
    }
    if (!strcmp(f->architecture, "exaone4") && trunk(hp) != 64) {
        hp->n_swa = 0;
        return false;
    }
    if (f->window == WINDOW_IF_KEY && (!there || hp->n_swa == 0))
        return false;
    if (!there || (f->window == WINDOW_IF_KEY && f->swa_default))
        hp->n_swa = f->swa_default;
    return true;
}

/* Every n-th layer attends to all; n 0: none does, 1: all do. */
static void by_pattern(struct key_reader *r, uint32_t n, bool full_first)
{
    for (uint32_t il = 0; il < trunk(r->hp); il++) {
        bool full = n != 0 && (full_first ? il % n == 0 : (il + 1) % n == 0);
        r->layers->window[il] = !full;
    }
}

static void read_pattern(struct key_reader *r)
{
    static const char name[] = "attention.sliding_window_pattern";
    const struct model_family *f = r->family;
    uint32_t n = f->every;

    if (f->layers == RULE_SWA_ALL) {
        by_pattern(r, 0, false);
    } else if (!key_array(r, name, f->layers == RULE_SWA_ARRAY, UINT32_MAX, r->layers->window)) {
        key_u32(r, name, KEY_OPTIONAL, MODEL_MAX_LAYERS, &n);
        r->hp->swa_pattern = n;
        by_pattern(r, n, f->layers == RULE_SWA_EVERY_FIRST);
    }
}

static void check_windows(struct key_reader *r)
{
    for (uint32_t il = 0; il < r->hp->n_layer; il++) {
        if (r->layers->window[il])
            return;
    }
    key_refuse(r, "attention.sliding_window_pattern",
               "leaves no layer with a window, though the model has one of %" PRIu32 " tokens",
               r->hp->n_swa);
}

static void read_windows(struct key_reader *r)
{
    const struct model_family *f = r->family;

    if (!read_window(r) || r->failed)
        return;
    if (is_window_rule(f)) {
        read_pattern(r);
    } else if (f->layers == RULE_GUESS) {
        if (!key_find(r, "attention.sliding_window_pattern")) {
            r->hp->n_swa = 0;
            return;
        }
        read_pattern(r);
    } else { /* hybrids: every attention layer slides (LFM 2) */
        for (uint32_t il = 0; il < trunk(r->hp); il++)
            r->layers->window[il] = r->layers->n_head_kv[il] != 0;
    }
    if (!r->failed)
        check_windows(r);
}

static void read_recurrence(struct key_reader *r)
{
    struct layer_keys *l = r->layers;
    struct model_hparams *hp = r->hp;
    bool guess = r->family->layers == RULE_GUESS;
    bool every = r->family->layers == RULE_RECURRENT_EXCEPT_EVERY ||
                 (guess && hp->full_attention_interval > 0);

    if (every && key_layers(r, "attention.recurrent_layers", KEY_OPTIONAL, UINT32_MAX, hp->n_layer,
                            l->recurrent))
        return;
    for (uint32_t il = 0; il < trunk(hp); il++) {
        bool no_kv = l->n_head_kv[il] == 0;
        switch (r->family->layers) {
        case RULE_ALL_RECURRENT:
        case RULE_HYBRID_ALL: l->recurrent[il] = 1; break;
        case RULE_RECURRENT_IF_NO_KV: l->recurrent[il] = no_kv; break;
        case RULE_RECURRENT_IF_NOTHING: l->recurrent[il] = no_kv && l->n_ff[il] == 0; break;
        default:
            if (every)
                l->recurrent[il] = (il + 1) % hp->full_attention_interval != 0;
            else
                l->recurrent[il] = guess && no_kv && hp->ssm_inner > 0;
        }
    }
}

/* Sparse attention: which layers own an indexer. */
static void read_indexers(struct key_reader *r)
{
    enum { GLM_5_2_CONTEXT = 1048576 };
    const char *arch = r->architecture;
    bool glm = !strcmp(arch, "glm-dsa");

    if (!glm && strcmp(arch, "deepseek32") != 0)
        return;
    for (uint32_t il = 0; il < trunk(r->hp); il++) {
        bool shared = glm && r->hp->n_ctx_train >= GLM_5_2_CONTEXT && il >= 2 && (il - 2) % 4 != 0;
        r->layers->index[il] = !shared;
    }
    if (glm)
        key_layers(r, "attention.indexer.types", KEY_OPTIONAL, 1, trunk(r->hp), r->layers->index);
}

static void read_rope_pattern(struct key_reader *r)
{
    for (uint32_t il = 0; il < r->hp->n_layer; il++)
        r->layers->rope[il] = 1;
    if (!strcmp(r->architecture, "granite_swa"))
        key_array(r, "attention.rope_pattern", KEY_OPTIONAL, UINT32_MAX, r->layers->rope);
}

void layers_read(struct key_reader *r)
{
    if (!r->failed)
        read_rope_pattern(r);
    if (!r->failed)
        read_windows(r);
    if (!r->failed)
        read_recurrence(r);
    if (!r->failed)
        read_indexers(r);
}

static void set_state(const struct key_reader *r, struct model_layer *l)
{
    const struct model_hparams *hp = r->hp;
    uint64_t conv = hp->ssm_conv > 0 ? hp->ssm_conv - 1 : 0;

    switch (r->family->state) {
    case STATE_SSM:
        l->state_r = conv * (hp->ssm_inner + 2ull * hp->ssm_groups * hp->ssm_state);
        l->state_s = (uint64_t)hp->ssm_state * hp->ssm_inner;
        break;
    case STATE_SHORTCONV:
        l->state_r = (uint64_t)hp->n_embd * (hp->shortconv_cache ? hp->shortconv_cache - 1 : 0);
        break;
    case STATE_RWKV:
        l->state_r = (uint64_t)hp->token_shift * hp->n_embd;
        l->state_s = (uint64_t)hp->n_embd * hp->wkv_head_size;
        break;
    case STATE_KDA:
        l->state_r = 3 * (hp->ssm_conv > 0 ? conv : 3) * r->layers->n_head[0] * hp->kda_head_dim;
        l->state_s = (uint64_t)hp->kda_head_dim * hp->kda_head_dim * r->layers->n_head[0];
        break;
    case STATE_LINEAR:
        l->state_s = (uint64_t)hp->head_dim_k * hp->head_dim_k * r->layers->n_head[0];
        break;
    default: break;
    }
}

/* Attention without recurrence: full, window, chunks, latent; dims are set by the caller. */
static enum kv_kind attention_kind(const struct key_reader *r, const struct model_layer *l)
{
    if (r->hp->head_dim_k_mla)
        return KV_LATENT;
    if (l->window)
        return r->hp->swa_chunked ? KV_CHUNKED : KV_WINDOW;
    return KV_FULL;
}

static enum kv_kind kind_of(const struct key_reader *r, uint32_t il, struct model_layer *l)
{
    const struct model_hparams *hp = r->hp;
    uint32_t own = hp->n_layer - hp->n_kv_shared_layers;

    if (l->nextn || r->family->layers == RULE_NO_CACHE)
        return KV_NONE;
    if (r->family->layers == RULE_HYBRID_ALL)
        return KV_HYBRID;
    if (r->layers->recurrent[il])
        return KV_RECURRENT;
    if (r->family->layers == RULE_RECURRENT_IF_NOTHING && l->n_ff != 0)
        return KV_NONE;
    if (r->family->layers == RULE_GUESS && l->n_head_kv == 0)
        return KV_NONE;
    if ((r->family->flags & FAMILY_SHARES_KV) && il >= own && own >= 2) {
        l->kv_from = (int16_t)(own - (l->window ? 2 : 1));
        return KV_SHARED;
    }
    return attention_kind(r, l);
}

static bool set_widths(struct key_reader *r, struct model_layer *l)
{
    uint64_t k = (uint64_t)l->n_head_kv * l->head_dim_k, v = (uint64_t)l->n_head_kv * l->head_dim_v;

    if (k > MAX_KV_WIDTH || v > MAX_KV_WIDTH) {
        key_refuse(r, "attention.head_count_kv",
                   "times the head's size is %" PRIu64 " elements; at most %d are believed",
                   k > v ? k : v, MAX_KV_WIDTH);
        return false;
    }
    if (l->kv == KV_RECURRENT || l->kv == KV_NONE || l->kv == KV_SHARED)
        return true;
    l->n_embd_k = (uint32_t)k;
    l->n_embd_v = l->kv == KV_LATENT ? 0 : (uint32_t)v;
    if ((l->kv == KV_FULL || l->kv == KV_WINDOW || l->kv == KV_CHUNKED || l->kv == KV_LATENT) &&
        k == 0 && strcmp(r->architecture, "deci") != 0) {
        key_refuse(r, l->n_head_kv ? "attention.key_length" : "attention.head_count_kv",
                   "is 0 for a layer with attention");
        return false;
    }
    return true;
}

bool layers_make(struct key_reader *r, struct model_layer *out)
{
    const struct model_hparams *hp = r->hp;

    for (uint32_t il = 0; il < hp->n_layer && !r->failed; il++) {
        struct model_layer *l = &out[il];
        l->nextn = il >= trunk(hp);
        l->window = r->layers->window[il] != 0;
        l->no_rope = r->layers->rope[il] == 0;
        l->kv_from = -1;
        l->n_head = r->layers->n_head[il];
        l->n_head_kv = r->layers->n_head_kv[il];
        l->n_ff = r->layers->n_ff[il];
        l->n_ff_exp = r->layers->n_ff_exp[il];
        l->n_expert_used = r->layers->n_expert_used[il];
        l->head_dim_k = l->window ? hp->head_dim_k_swa : hp->head_dim_k;
        l->head_dim_v = l->window ? hp->head_dim_v_swa : hp->head_dim_v;
        l->kv = (uint8_t)kind_of(r, il, l);
        if (l->kv == KV_RECURRENT || l->kv == KV_HYBRID)
            set_state(r, l);
        if (l->kv == KV_LATENT && r->layers->index[il])
            l->n_embd_index = hp->index_head_dim;
        if (!set_widths(r, l))
            return false;
        if (l->n_head_kv && l->n_head % l->n_head_kv != 0)
            key_refuse(r, "attention.head_count",
                       "%" PRIu32 " is no multiple of head_count_kv %" PRIu32, l->n_head,
                       l->n_head_kv);
    }
    return !r->failed;
}
