/* vllm_law: what one rank of vLLM holds. */
#include "plan/vllm_law.h"

#include <string.h>

#define GIB ((double)((uint64_t)1 << 30))
#define MIB ((uint64_t)1 << 20)

enum { VOCAB_PAD = 64, LOGITS_COPIES_TENTHS = 96, NEWEST_RELEASE = 21, GRAPHS_SINCE = 21 };

uint32_t vllm_kv_element(const struct vllm_wish *w)
{
    return w->kv_dtype && strncmp(w->kv_dtype, "fp8", 3) == 0 ? 1 : 2;
}

bool vllm_graphs_counted(const struct vllm_wish *w)
{
    uint32_t release = w->release ? w->release : NEWEST_RELEASE;
    return release >= GRAPHS_SINCE && !w->graphs_uncounted && !w->eager;
}

/* What --quantization makes of plain 16 bit weights: share of their bytes that is left. */
static double requantized(const struct hub_model *m, const struct vllm_wish *w)
{
    if (!w->quantization || m->config.quant != HUB_PLAIN)
        return 1;
    if (strcmp(w->quantization, "fp8") == 0)
        return 0.5;
    return strcmp(w->quantization, "bitsandbytes") == 0 ? 0.25 + 0.03125
                                                        : 1; /* nf4, one float for 64 */
}

static uint64_t experts_on_rank(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                                uint64_t bytes)
{
    uint32_t ranks = tp * (w->dp ? w->dp : 1);
    if (!w->expert_parallel || !m->config.experts)
        return bytes / tp;
    return bytes / m->config.experts * ((m->config.experts + ranks - 1) / ranks);
}

static uint64_t share(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                      const struct hub_bytes *b)
{
    uint32_t kv_parts = tp < m->config.kv_heads ? tp : m->config.kv_heads;
    uint64_t divided = b->split / tp + b->kv / kv_parts + experts_on_rank(m, w, tp, b->expert);
    uint64_t whole = b->split + b->kv + b->expert;
    double open = whole ? (double)b->open / (double)whole : 0;
    double left = 1 - open * (1 - requantized(m, w));
    return b->all + (left < 1 ? (uint64_t)(left * (double)divided) : divided);
}

static uint64_t page_of(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                        uint32_t tokens)
{
    const struct hub_config *c = &m->config;
    if (c->kv_rank)
        return (uint64_t)tokens * (c->kv_rank + c->dim_rope) * vllm_kv_element(w);
    uint32_t heads = c->kv_heads > tp ? c->kv_heads / tp : 1;
    return 2ull * tokens * heads * c->head_dim * vllm_kv_element(w);
}

/* A recurrent layer's state of one sequence: convolution and matrix of every head. */
static uint64_t state_of(const struct hub_model *m, uint32_t tp)
{
    const struct hub_config *c = &m->config;
    uint64_t conv = 2ull * c->state_key_heads * c->state_key_dim +
                    (uint64_t)c->state_value_heads * c->state_value_dim;
    uint64_t matrix = (uint64_t)c->state_value_heads * c->state_key_dim * c->state_value_dim;
    uint32_t kernel = c->state_kernel ? c->state_kernel - 1 : 0;
    return (conv * kernel * 2 + matrix * (c->state_f32 ? 4 : 2)) / tp;
}

static void make_pages(struct vllm_law *l)
{
    const struct hub_model *m = l->model;
    uint32_t block = l->wish->block_size ? l->wish->block_size : 16;
    bool state = false;
    for (uint32_t i = 0; i < m->n_layers; i++)
        state = state || m->layers[i].kind == HUB_STATE;
    uint64_t token = page_of(m, l->wish, l->tp, 1), need = state ? state_of(m, l->tp) : 0;
    /* attention blocks grow until a page holds a state: pages of all layers must be equal */
    if (token && need > token * block)
        block = (uint32_t)((need + token * block - 1) / (token * block)) * block;
    l->page_tokens = block;
    l->page_bytes = token * block;
}

static bool make_groups(struct vllm_law *l, struct arena *arena, struct err *err)
{
    const struct hub_model *m = l->model;
    uint32_t count[HUB_NO_KV + 1] = {0}, least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < m->n_layers; i++)
        count[m->layers[i].kind]++;
    for (int k = 0; k < HUB_NO_KV; k++) {
        least = count[k] && count[k] < least ? count[k] : least;
        most = count[k] > most ? count[k] : most;
    }
    uint32_t size = 2 * most < 3 * least ? most : least;
    for (int k = 0; k < HUB_NO_KV && most; k++) {
        uint32_t groups = (count[k] + size - 1) / size;
        if (l->n_groups + groups > VLLM_MAX_GROUPS)
            return err_set(err, ERR_2003, "%s: its layers form more than %d cache groups", m->name,
                           VLLM_MAX_GROUPS);
        for (uint32_t g = 0; g < groups; g++) {
            uint16_t *below = arena_array(arena, uint16_t, m->n_layers + 1);
            if (!below)
                return err_set(err, ERR_1201, "no memory for the cache's groups");
            for (uint32_t i = 0, seen = 0; i < m->n_layers; i++) {
                bool mine = m->layers[i].kind == k && seen++ % groups == g;
                below[i + 1] = (uint16_t)(below[i] + mine);
            }
            l->in_group[l->n_groups] = below;
            l->groups[l->n_groups++] = (struct vllm_group){(uint8_t)k, below[m->n_layers]};
        }
    }
    return true;
}

bool vllm_law_make(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                   struct arena *arena, struct vllm_law *l, struct err *err)
{
    uint64_t row = m->embed_bytes / m->config.vocab, pad = VOCAB_PAD * (uint64_t)tp;
    uint64_t vocab = (m->config.vocab + pad - 1) / pad * pad;
    *l = (struct vllm_law){.model = m, .wish = w, .tp = tp};
    for (uint32_t i = 0; i < m->n_layers; i++) {
        struct hub_bytes once = m->layers[i].bytes;
        l->weights[i + 1] = l->weights[i] + share(m, w, tp, &once) + m->latent_extra / tp;
        once.expert = m->layers[i].active;
        once.open = once.open < once.split + once.kv + once.expert
                        ? once.open
                        : once.split + once.kv + once.expert;
        l->active[i + 1] = l->active[i] + share(m, w, tp, &once);
        once.open = once.expert < once.open ? once.open - once.expert : 0;
        once.expert = 0;
        l->dense[i + 1] = l->dense[i] + share(m, w, tp, &once);
    }
    l->embed = row * vocab / tp;
    l->head = m->head_bytes ? m->head_bytes / m->config.vocab * vocab / tp : 0;
    struct hub_bytes vision = m->vision;
    if (w->vision_data) {
        vision.all += vision.split;
        vision.split = 0;
    }
    l->first_rest = share(m, w, tp, &vision);
    l->last_rest = share(m, w, tp, &m->rest);
    l->everywhere = m->rope_bytes;
    make_pages(l);
    return make_groups(l, arena, err);
}

uint64_t vllm_law_weights(const struct vllm_law *l, uint32_t first, uint32_t end)
{
    bool is_first = first == 0, is_last = end == l->model->n_layers;
    uint64_t bytes = l->weights[end] - l->weights[first] + l->everywhere;
    if (is_first)
        bytes += l->embed + l->first_rest;
    if (is_last)
        bytes += l->head + l->last_rest;
    if (is_last && !is_first && l->model->head_bytes == 0)
        bytes += l->embed; /* a tied head needs its own copy on the last stage */
    return bytes;
}

uint64_t vllm_law_active(const struct vllm_law *l, uint32_t first, uint32_t end)
{
    uint64_t bytes = l->active[end] - l->active[first];
    return end == l->model->n_layers ? bytes + (l->head ? l->head : l->embed) : bytes;
}

uint64_t vllm_law_block(const struct vllm_law *l, uint32_t first, uint32_t end)
{
    uint32_t most = 0;
    for (uint32_t g = 0; g < l->n_groups; g++) {
        uint32_t n = l->in_group[g][end] - l->in_group[g][first];
        most = n > most ? n : most;
    }
    uint64_t bytes = l->page_bytes * most;
    return bytes ? bytes : 1;
}

uint64_t vllm_blocks_for(const struct vllm_law *l, uint64_t tokens)
{
    uint64_t blocks = 0, page = l->page_tokens, window = l->model->config.window;
    uint64_t batch = l->wish->max_tokens;
    for (uint32_t g = 0; g < l->n_groups; g++) {
        uint64_t held = tokens;
        if (l->groups[g].kind == HUB_STATE) {
            blocks += 1;
            continue;
        }
        if (l->groups[g].kind == HUB_WINDOW && window + batch - 1 < held)
            held = window + batch - 1;
        if (l->groups[g].kind == HUB_CHUNKED && window + batch < held)
            held = window + batch;
        blocks += (held + page - 1) / page + (l->groups[g].kind == HUB_WINDOW);
    }
    return blocks;
}

uint64_t vllm_longest(const struct vllm_law *l, uint64_t blocks)
{
    uint64_t low = 0, high = (uint64_t)1 << 31;
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if (vllm_blocks_for(l, middle) <= blocks)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t forward_bytes(const struct hub_config *c, uint32_t tp, uint64_t tokens)
{
    uint64_t wide = 3ull * c->ff / tp,
             heads = (uint64_t)(c->heads + 2 * c->kv_heads) * c->head_dim / tp;
    if (c->experts) {
        uint64_t up = 2ull * c->ff_exp / tp;
        uint64_t moe =
            c->experts_used * ((up > c->hidden ? up : c->hidden) + (uint64_t)c->ff_exp / tp);
        wide = moe > wide ? moe : wide;
    }
    return tokens * 2 * (2ull * c->hidden + (wide > heads ? wide : heads));
}

static struct vllm_range around(double value, double low, double high)
{
    return (struct vllm_range){(uint64_t)(low > 0 ? low : 0), (uint64_t)value, (uint64_t)high};
}

struct vllm_range vllm_activation(const struct vllm_law *l, bool first_stage, bool last_stage)
{
    const struct hub_config *c = &l->model->config;
    uint64_t batch = l->wish->max_tokens,
             seqs = l->wish->max_seqs < batch ? l->wish->max_seqs : batch;
    double hidden = (double)batch * c->hidden * 2, forward = (double)forward_bytes(c, l->tp, batch);
    double logits = LOGITS_COPIES_TENTHS / 10.0 * 4 * c->vocab;
    if (l->wish->activation_given)
        return around((double)l->wish->activation_bytes, (double)l->wish->activation_bytes,
                      (double)l->wish->activation_bytes);
    double full = last_stage ? hidden + logits * (double)seqs : 0,
           value = full > forward ? full : forward;
    if (!c->vision_heads || !first_stage)
        return around(value, 0.9 * value - 64 * (double)MIB, 1.15 * value + 192 * (double)MIB);
    /* one measured row with a tower: 2.12 GiB, far below the sampler's law; pictures take 0.84 of
     * it */
    double small = hidden + logits * (double)(seqs < 256 ? seqs : 256) + 0.84 * GIB;
    value = !last_stage ? forward + 0.84 * GIB : small > forward ? small : forward;
    return around(value, 0.8 * value, 1.15 * (value > full ? value : full) + 192 * (double)MIB);
}

/* Measured: 0.13 to 0.14 GiB on one card, 0.54 to 0.55 on two (communicator and its buffers); 0.39
 * on an older one. */
struct vllm_range vllm_non_torch(const struct vllm_wish *w, uint32_t world)
{
    if (w->non_torch_given)
        return around((double)w->non_torch_bytes, (double)w->non_torch_bytes,
                      (double)w->non_torch_bytes);
    if (world == 1)
        return around(0.13 * GIB, 0.1 * GIB, 0.4 * GIB);
    return around(0.55 * GIB, 0.45 * GIB, 1.0 * GIB);
}

/* Measured -0.88 to 1.03 GiB beside the identity; what is below 0 was memory given back. */
struct vllm_range vllm_graphs(const struct vllm_wish *w)
{
    if (w->eager)
        return (struct vllm_range){0};
    return around(0.4 * GIB, 0, 1.03 * GIB);
}

void vllm_default_partition(uint32_t n_layers, uint32_t pp, uint32_t out[VLLM_MAX_RANKS])
{
    uint32_t rest = n_layers % pp;
    for (uint32_t i = 0; i < pp; i++)
        out[i] = n_layers / pp;
    for (uint32_t i = 2; i < rest + 2 && i <= pp; i++)
        out[pp - i]++;
}
