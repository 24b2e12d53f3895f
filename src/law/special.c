/* special: pieces of graph that recurrent, hybrid and latent families share. */
#include "law/special.h"

struct g_tensor *sp_fail(struct builder *b, const char *at)
{
    if (!b->g->failed) {
        b->g->failed = true;
        b->g->failed_at = at;
    }
    return &b->g->dud;
}

int sp_layers(const struct builder *b)
{
    return (int)(b->m->n_layers - b->m->hp.n_nextn);
}

bool sp_is_recurrent(const struct builder *b, int layer)
{
    uint8_t kv = b->m->layers[layer].kv;
    return kv == KV_RECURRENT || kv == KV_HYBRID;
}

struct g_tensor *sp_by_sequence(struct builder *b, struct g_tensor *x)
{
    return g_reshape_3d(b->g, x, x->ne[0], b->n_seq_tokens, b->n_seqs);
}

struct g_tensor *sp_by_token(struct builder *b, struct g_tensor *x)
{
    return g_reshape_2d(b->g, x, x->ne[0], b->n_seq_tokens * b->n_seqs);
}

struct g_tensor *sp_part(struct builder *b, struct g_tensor *x, int64_t n, int64_t from)
{
    return g_view_3d(b->g, x, n, x->ne[1], x->ne[2], x->nb[1], x->nb[2], (uint64_t)from * x->nb[0]);
}

struct g_tensor *sp_heads(struct builder *b, struct g_tensor *x, int64_t head, int64_t heads,
                          int64_t from)
{
    return g_view_4d(b->g, x, head, heads, b->n_seq_tokens, b->n_seqs, (uint64_t)head * x->nb[0],
                     x->nb[1], x->nb[2], (uint64_t)from * x->nb[0]);
}

struct g_tensor *sp_wanted(struct builder *b, int layer, struct g_tensor *x)
{
    return layer == sp_layers(b) - 1 ? b_take_outputs(b, x) : x;
}

void sp_finish(struct builder *b, struct g_tensor *x, enum tensor_role norm)
{
    x = b_norm_role(b, -1, x, norm, NORM_RMS);
    b_finish(b, x, b_output(b, x));
}

void sp_finish_nextn(struct builder *b, struct g_tensor *x)
{
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, NORM_RMS);
    g_set_output(x);
    x = b_take_outputs(b, x);
    b_finish(b, x, b_output(b, x));
}

struct g_tensor *sp_state_open(struct builder *b, struct g_tensor *state, int64_t size)
{
    struct g_tensor *rows = g_reshape_2d(b->g, state, size, state->ne[1]);
    struct g_tensor *first = g_view_1d(b->g, rows, size, 0);
    g_expand(b->g, g_scale_inplace(b->g, first));
    return rows;
}

void sp_state_close(struct builder *b, struct g_tensor *state, struct g_tensor *rows, int64_t size,
                    struct g_tensor *read)
{
    struct graph *g = b->g;
    g_expand(g, read);
    int64_t idle = b->rs_copy->ne[0] - b->n_seqs;
    struct g_tensor *extra = g_get_rows(g, rows, b->rs_copy_extra);
    struct g_tensor *into =
        g_view_2d(g, state, size, idle, state->nb[1], (uint64_t)b->n_seqs * state->nb[1]);
    g_expand(g, g_cpy(g, extra, into));
}

int64_t sp_snapshots(const struct builder *b)
{
    return (int64_t)b->s->n_rs_seq + 1;
}

void sp_store_tail(struct builder *b, struct g_tensor *conv_x, struct g_tensor *r, int64_t tail,
                   int64_t channels)
{
    struct graph *g = b->g;
    int64_t keep = sp_snapshots(b) < b->n_seq_tokens ? sp_snapshots(b) : b->n_seq_tokens;
    uint64_t row = (uint64_t)(tail * channels) * 4, slots = (uint64_t)b->rs_copy->ne[0];
    for (int64_t slot = 0; slot < keep && !g->failed; slot++) {
        struct g_tensor *last =
            g_view_3d(g, conv_x, tail, channels, b->n_seqs, conv_x->nb[1], conv_x->nb[2],
                      (uint64_t)(b->n_seq_tokens - slot) * conv_x->nb[0]);
        struct g_tensor *into =
            g_view_2d(g, r, tail * channels, b->n_seqs, r->nb[1], (uint64_t)slot * slots * row);
        g_expand(g, g_cpy(g, last, into));
    }
}
