/* inputs: what the engine fills in before a graph runs: tokens, positions, masks, cache places. */
#include "law/build.h"

struct g_tensor *b_inp_embd(struct builder *b)
{
    struct graph *g = b->g;
    int64_t n_embd = b->m->hp.n_embd, n_more = n_embd * b->m->hp.n_deepstack;
    struct g_tensor *tokens = g_input(g, GGUF_TYPE_I32, b->n_tokens, 1, 1, 1, "inp_tokens");
    struct g_tensor *vectors =
        g_input(g, GGUF_TYPE_F32, n_embd + n_more, b->n_tokens, 1, 1, "inp_embd");
    bool tied =
        !b_has(b, -1, ROLE_TOKEN_EMBD, PART_WEIGHT); /* CodeShell keeps output.weight only */
    struct g_tensor *x =
        g_get_rows(g, b_weight(b, -1, tied ? ROLE_OUTPUT : ROLE_TOKEN_EMBD, PART_WEIGHT), tokens);

    if (n_more)
        x = g_pad(g, x, n_more, 0, 0, 0);
    /* The graph holds the way in for ready-made vectors too, though it is not taken. */
    g_expand(g, x);
    g_expand(g, vectors);
    if (n_more)
        x = g_view_2d(g, x, n_embd, b->n_tokens, x->nb[1], 0);
    b->inp_embd = x;
    if (b->m->hp.f_embedding_scale != 0.0)
        x = g_scale(g, n_more ? g_cont(g, x) : x);
    g_expand(g, x);
    return x;
}

struct g_tensor *b_inp_pos(struct builder *b, int per_token)
{
    b->pos = g_input(b->g, GGUF_TYPE_I32, b->n_tokens * per_token, 1, 1, 1, "inp_pos");
    return b->pos;
}

struct g_tensor *b_inp_out_ids(struct builder *b)
{
    b->out_ids = g_input(b->g, GGUF_TYPE_I32, b->n_outputs, 1, 1, 1, "out_ids");
    return b->out_ids;
}

static struct g_tensor *mask_input(struct builder *b, uint32_t cells, bool half)
{
    int64_t streams = b->s->kv_unified ? 1 : b->n_seqs;
    uint32_t type = half ? GGUF_TYPE_F16 : GGUF_TYPE_F32;

    return g_input(b->g, type, cells, b->n_tokens / streams, 1, streams, "attn_inp_kq_mask");
}

/* Head size that all layers of a cache share, 0 if they differ or there are none. */
static uint32_t common_head(const struct builder *b, bool window, bool of_v)
{
    uint32_t head = 0;

    for (uint32_t il = 0; il < b->m->n_layers; il++) {
        const struct cache_layer *c = &b->c->layer[il];
        const struct model_layer *l = &b->m->layers[il];
        uint32_t mine = of_v ? l->head_dim_v : l->head_dim_k;

        if (c->window != window || (of_v ? c->v_row : c->k_row) == 0)
            continue;
        if (head && head != mine)
            return 0;
        head = mine;
    }
    return head;
}

static bool is_quantised(uint32_t type)
{
    const struct gguf_type_info *t = gguf_type_info(type);

    return t && t->quantised;
}

/* Quantised K and V are turned by a Hadamard matrix, so that no channel stands out
 * (llama.cpp src/llama-kv-cache.cpp, build_input_k_rot and build_input_v_rot, behaviour). */
static void rotation_inputs(struct builder *b, bool window, struct attn_input *in)
{
    const struct model_layer *first = &b->m->layers[0];
    uint32_t head_k = common_head(b, window, false);
    uint32_t head_v = common_head(b, window, true);

    if (head_k && is_quantised(b->s->type_k) && first->head_dim_k % 64 == 0) {
        int64_t n = 64;

        do {
            n *= 2;
        } while (head_k % n == 0);
        n /= 2;
        in->k_rot = g_input(b->g, GGUF_TYPE_F32, n, n, 1, 1, "attn_inp_k_rot");
    }
    if (head_v && is_quantised(b->s->type_v) && first->head_dim_v % 64 == 0)
        in->v_rot = g_input(b->g, GGUF_TYPE_F32, 64, 64, 1, 1, "attn_inp_v_rot");
}

static void cache_inputs(struct builder *b, uint32_t cells, bool window, struct attn_input *in)
{
    int64_t v_rows = b->v_trans ? b->n_tokens * (int64_t)cache_widest_v(b->m) : b->n_tokens;

    in->k_idxs = g_input(b->g, GGUF_TYPE_I64, b->n_tokens, 1, 1, 1, "attn_inp_k_idxs");
    in->v_idxs = g_input(b->g, GGUF_TYPE_I64, v_rows, 1, 1, 1, "attn_inp_v_idxs");
    in->mask = mask_input(b, cells, b->flash_on);
    rotation_inputs(b, window, in);
}

static struct g_tensor *plain_mask(struct builder *b)
{
    uint32_t type = b->flash_on ? GGUF_TYPE_F16 : GGUF_TYPE_F32;

    return g_input(b->g, type, b->n_tokens, b->n_tokens, 1, 1, "self_kq_mask");
}

void b_attn_inputs(struct builder *b)
{
    if (b->no_cache) {
        b->full.mask = plain_mask(b);
        b->window.mask = plain_mask(b);
        return;
    }
    cache_inputs(b, b->c->cells, false, &b->full);
    if (b->two_caches)
        cache_inputs(b, b->c->cells_window, true, &b->window);
}

void b_attn_inputs_latent(struct builder *b)
{
    b->full.k_idxs = g_input(b->g, GGUF_TYPE_I64, b->n_tokens, 1, 1, 1, "attn_inp_k_idxs");
    b->full.mask = mask_input(b, b->c->cells, b->flash_on);
}

/* Keys are always turned here, and the fused op reads a half-precision mask. */
void b_index_inputs(struct builder *b)
{
    int64_t head = b->m->hp.index_head_dim, n = 64;

    while (head > 0 && head % (2 * n) == 0)
        n *= 2;
    b->index.k_idxs = g_input(b->g, GGUF_TYPE_I64, b->n_tokens, 1, 1, 1, "attn_inp_k_idxs");
    b->index.mask = mask_input(b, b->c->cells, true);
    b->index.k_rot = g_input(b->g, GGUF_TYPE_F32, n, n, 1, 1, "attn_inp_k_rot");
}

/* Rows of live state; the rest of rs_rows are snapshots to roll back to. */
static int64_t live_rows(const struct builder *b)
{
    return b->c->rs_rows / (1 + b->s->n_rs_seq);
}

void b_rs_inputs(struct builder *b)
{
    int64_t rows = live_rows(b);

    b->rs_copy = g_input(b->g, GGUF_TYPE_I32, rows, 1, 1, 1, "rs_s_copy");
    b->rs_copy_main = g_view_1d(b->g, b->rs_copy, b->n_seqs, 0);
    b->rs_copy_extra = g_view_1d(b->g, b->rs_copy, rows - b->n_seqs, (uint64_t)b->n_seqs * 4);
}

static struct g_tensor *state_leaf(struct builder *b, int layer, uint64_t elements,
                                   const char *name)
{
    int64_t ne[2] = {(int64_t)elements, b->c->rs_rows};

    return g_leaf(b->g, GGUF_TYPE_F32, 2, ne, G_CACHE, b->c->layer[layer].buffer, name);
}

struct g_tensor *b_r_state(struct builder *b, int layer)
{
    if (!b->r_state[layer])
        b->r_state[layer] = state_leaf(b, layer, b->m->layers[layer].state_r, "cache_r");
    return b->r_state[layer];
}

struct g_tensor *b_s_state(struct builder *b, int layer)
{
    if (!b->s_state[layer])
        b->s_state[layer] = state_leaf(b, layer, b->m->layers[layer].state_s, "cache_s");
    return b->s_state[layer];
}

/* The engine clears one row, gathers this ubatch's rows and moves the other live rows into place.
 */
struct g_tensor *b_rs_gather(struct builder *b, struct g_tensor *state, int64_t state_size)
{
    struct graph *g = b->g;
    int64_t others = live_rows(b) - b->n_seqs;
    struct g_tensor *rows, *mine, *extra;

    rows = g_reshape_2d(g, state, state_size, state->ne[1]);
    g_expand(g, g_scale_inplace(g, g_view_1d(g, rows, state_size, 0)));
    mine = g_get_rows(g, rows, b->rs_copy_main);
    g_expand(g, mine);
    extra = g_get_rows(g, rows, b->rs_copy_extra);
    g_expand(g, g_cpy(g, extra,
                      g_view_2d(g, state, state_size, others, state->nb[1],
                                (uint64_t)b->n_seqs * state->nb[1])));
    return mine;
}
