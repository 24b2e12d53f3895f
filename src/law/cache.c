/* cache: sizes of the KV cache and of recurrent state, after the engine's own rounding. */
#include "law/cache.h"

#include <string.h>

#include "law/buffer.h"

enum { CELL_PAD = 256, MAX_CTX = INT32_MAX - 2 * CELL_PAD };

static uint32_t pad_cells(uint64_t n)
{
    return (uint32_t)((n + CELL_PAD - 1) / CELL_PAD * CELL_PAD);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

bool cache_can_roll_back(const struct model *m)
{
    static const char *const CAN[] = {"kimi-k3",   "qwen35",     "qwen35moe",      "qwen4exp",
                                      "deepseek4", "nemotron_h", "nemotron_h_moe", "lfm2",
                                      "lfm2moe",   "bailingmoe3"};
    for (size_t i = 0; i < sizeof(CAN) / sizeof(*CAN); i++)
        if (strcmp(m->architecture, CAN[i]) == 0)
            return true;
    return false;
}

/* llama.cpp src/llama-context.cpp, constructor, behaviour: the batch is cut by the context that was
 * asked for, before that is rounded up. */
static bool round_sizes(const struct model *m, const struct law_settings *s, struct cache_plan *c,
                        struct err *err)
{
    uint32_t asked = s->n_ctx ? s->n_ctx : m->hp.n_ctx_train;
    if (asked == 0 || asked > MAX_CTX) {
        err_set(err, ERR_2114, "a context of %u tokens cannot be made", asked);
        return err_fix(err, "-c 8192", "give a context from 1 to %d tokens", (int)MAX_CTX);
    }
    c->n_batch = m->hp.attn_causal ? least(asked, s->n_batch) : s->n_batch;
    c->n_ubatch = least(c->n_batch, s->n_ubatch ? s->n_ubatch : s->n_batch);
    c->n_ctx = pad_cells(asked);
    uint32_t n_seq = s->n_seq_max ? s->n_seq_max : 1;
    c->n_ctx_seq = s->kv_unified ? c->n_ctx : pad_cells(c->n_ctx / n_seq);
    if (!s->kv_unified)
        c->n_ctx = c->n_ctx_seq * n_seq;
    c->n_streams = s->kv_unified ? 1 : n_seq;
    c->cells = c->n_ctx_seq;
    c->rs_rows = n_seq * (1 + (cache_can_roll_back(m) ? s->n_rs_seq : 0));
    return true;
}

static bool is_window(const struct model_layer *l)
{
    return l->kv == KV_WINDOW || l->kv == KV_CHUNKED;
}

static bool has_cells(const struct model_layer *l)
{
    return is_window(l) || l->kv == KV_FULL || l->kv == KV_LATENT || l->kv == KV_HYBRID;
}

/* The window's cache holds what any sequence can still see plus the batch at hand, never more than
 * the full one. */
static uint32_t window_cells(const struct model *m, const struct law_settings *s,
                             const struct cache_plan *c)
{
    if (s->swa_full)
        return c->cells;
    uint64_t n_seq = s->n_seq_max ? s->n_seq_max : 1;
    uint64_t see = (uint64_t)m->hp.n_swa * (s->kv_unified ? n_seq : 1) + c->n_ubatch;
    return pad_cells(see < c->cells ? see : c->cells);
}

uint32_t cache_widest_v(const struct model *m)
{
    uint32_t most = 0;
    for (uint32_t il = 0; il < m->n_layers; il++)
        if (m->layers[il].n_embd_v > most)
            most = m->layers[il].n_embd_v;
    return most;
}

static bool rows_fit_type(const struct cache_layer *l, const struct law_settings *s)
{
    const struct gguf_type_info *k = gguf_type_info(s->type_k), *v = gguf_type_info(s->type_v);
    return l->k_row % k->block == 0 && l->v_row % v->block == 0 && l->index_row % k->block == 0;
}

bool cache_make(const struct model *m, const struct law_settings *s, const struct assignment *a,
                bool flash_on, struct cache_plan *out, struct err *err)
{
    struct cache_plan plan = {0}, *c = &plan;
    if (!round_sizes(m, s, c, err))
        return false;
    uint32_t v_most = flash_on ? 0 : cache_widest_v(m);
    for (uint32_t il = 0; il < m->n_layers; il++) {
        const struct model_layer *from = &m->layers[il];
        struct cache_layer *l = &c->layer[il];
        l->buffer = s->no_kv_offload ? LAW_HOST : a->layer_buffer[il];
        if (from->nextn)
            continue;
        if (from->kv == KV_RECURRENT || from->kv == KV_HYBRID) {
            l->r_elements = from->state_r * c->rs_rows;
            l->s_elements = from->state_s * c->rs_rows;
        }
        if (!has_cells(from))
            continue;
        l->window = is_window(from);
        if (l->window && c->cells_window == 0)
            c->cells_window = window_cells(m, s, c);
        l->cells = l->window ? c->cells_window : c->cells;
        l->k_row = from->n_embd_k;
        l->index_row = from->n_embd_index;
        l->v_row = from->kv == KV_LATENT ? 0 : flash_on ? from->n_embd_v : v_most;
        if (!rows_fit_type(l, s))
            return err_set(err, ERR_2110,
                           "rows of layer %u's cache (%u and %u elements) are no whole blocks of "
                           "the chosen cache types",
                           il, (unsigned)l->k_row, (unsigned)l->v_row);
    }
    *out = plan;
    return true;
}

static uint64_t cells_bytes(struct buffer_rule rule, uint32_t type, uint64_t row, uint64_t cells)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return buffer_bytes(rule, t, row, gguf_row_bytes(t, row) * cells);
}

void cache_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 const struct assignment *a, const struct cache_plan *c, struct law_result *out)
{
    for (uint32_t il = 0; il < m->n_layers; il++) {
        const struct cache_layer *l = &c->layer[il];
        struct law_bytes *to = &out->host;
        struct buffer_rule rule = buffer_rule_host();
        if (l->buffer != LAW_HOST) {
            int place = a->device_of[l->buffer];
            to = &out->device[place].bytes;
            rule = buffer_rule_device(mc->devices[place].backend);
        }
        uint64_t cells = (uint64_t)l->cells * c->n_streams;
        if (l->k_row)
            to->kv += cells_bytes(rule, s->type_k, l->k_row, cells);
        if (l->v_row)
            to->kv += cells_bytes(rule, s->type_v, l->v_row, cells);
        if (l->index_row)
            to->kv += cells_bytes(rule, s->type_k, l->index_row, cells);
        if (l->r_elements)
            to->kv += cells_bytes(rule, GGUF_TYPE_F32, l->r_elements, 1);
        if (l->s_elements)
            to->kv += cells_bytes(rule, GGUF_TYPE_F32, l->s_elements, 1);
    }
}
