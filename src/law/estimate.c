/* estimate: closed forms for families without a graph of their own, and honest ranges. */
#include "law/estimate.h"

struct phases {
    uint64_t mask, layer, logits, cross;
};

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t f32(uint64_t a, uint64_t b)
{
    return 4 * a * b;
}

/* Feed-forward, attention with its scores or its FP16 copies of the cache, and the masks they read.
 */
static struct phases measure(const struct model *m, const struct law_settings *s,
                             const struct cache_plan *c, bool flash_on)
{
    const struct model_hparams *hp = &m->hp;
    uint64_t u = c->n_ubatch < c->n_ctx ? c->n_ubatch : c->n_ctx, cells = c->cells;
    uint64_t outputs = s->n_outputs_max && s->n_outputs_max < u ? s->n_outputs_max : u;
    uint64_t e = f32(hp->n_embd, u), heads = (uint64_t)hp->n_head * hp->head_dim_k;
    uint64_t attn = f32(heads, u), ff = f32(hp->n_ff, u);
    uint64_t experts = f32((uint64_t)hp->n_expert_used * hp->n_ff_exp, u);
    uint64_t score = 2 * e + 2 * attn;
    if (!flash_on)
        score += f32((uint64_t)hp->n_head * cells, u);
    else if (gguf_type_info(s->type_k)->quantised || gguf_type_info(s->type_v)->quantised)
        score += 2 * cells * c->n_streams * hp->n_head_kv * (hp->head_dim_k + hp->head_dim_v);
    uint64_t forward =
        max_u64(3 * ff + 2 * e + attn, 3 * experts + (2 * hp->n_expert_used + 5) * e);
    uint64_t per_cell = flash_on ? 2 : 4;
    return (struct phases){.mask = per_cell * u * (cells + c->cells_window),
                           .layer = max_u64(score, forward),
                           .logits = f32(outputs, (uint64_t)hp->n_vocab + hp->n_embd),
                           .cross = e};
}

static void set(struct law_result *out, uint32_t i, uint64_t *bytes, uint64_t n, uint64_t low,
                uint64_t high)
{
    *bytes = n;
    out->compute_low[i] = low;
    out->compute_high[i] = high;
}

void estimate_compute(const struct model *m, const struct machine *mc, const struct law_settings *s,
                      const struct assignment *a, const struct cache_plan *c,
                      struct law_result *out)
{
    out->flash_on = s->flash != FLASH_OFF;
    struct phases p = measure(m, s, c, out->flash_on);
    uint64_t copies = a->pipeline ? 4 : 1;
    for (uint32_t i = 0; i < a->n_devices; i++) {
        uint64_t n = copies * p.mask + p.layer + (a->pipeline ? copies * p.cross : 0);
        if (a->layer_buffer[m->n_layers] == (int)i)
            n = max_u64(n, copies * (p.mask + p.cross) + p.logits);
        int at = a->device_of[i];
        set(out, (uint32_t)at, &out->device[at].bytes.compute, n, n / 2, 2 * n);
    }
    for (uint32_t i = 0; s->split == SPLIT_TENSOR && i < mc->n_devices;
         i++) /* all hold all activations */
        set(out, i, &out->device[i].bytes.compute, p.mask + max_u64(p.layer, p.logits), p.layer / 2,
            2 * (p.mask + max_u64(p.layer, p.logits)));
    uint64_t n = 2 * p.cross + copies * p.mask;
    if (a->layer_buffer[0] == LAW_HOST)
        n += p.layer;
    if (a->layer_buffer[m->n_layers] == LAW_HOST)
        n += p.logits;
    set(out, mc->n_devices, &out->host.compute, n, n / 2, 2 * n);
    out->compute_exact = false;
}

void estimate_range(const struct machine *mc, const struct assignment *a, struct law_result *out)
{
    out->compute_exact = true;
    for (uint32_t i = 0; i < mc->n_devices; i++)
        out->compute_low[i] = out->compute_high[i] = out->device[i].bytes.compute;
    out->compute_low[mc->n_devices] = out->compute_high[mc->n_devices] = out->host.compute;
    for (uint32_t i = 0; i < a->n_devices; i++) {
        const struct device *d = &mc->devices[a->device_of[i]];
        if (d->backend == BACKEND_CUDA || d->backend == BACKEND_RPC)
            continue;
        uint64_t n = out->device[a->device_of[i]].bytes.compute;
        out->compute_low[a->device_of[i]] = n - n / 4;
        out->compute_high[a->device_of[i]] = n + n / 2;
        out->compute_high[mc->n_devices] = out->host.compute + out->host.compute / 2;
        out->compute_exact = false;
    }
}
