/* mamba: the selective state space layers of the first and second kind, and the families made of
 * them alone (behaviour of llama.cpp src/models/mamba-base.cpp, mamba.cpp). */
#include <string.h>

#include "law/special.h"

/* x_db holds dt, B and C side by side; some variants normalise all three. */
struct mamba1_inputs {
    struct g_tensor *dt, *B, *C;
};

static struct mamba1_inputs mamba1_split(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    int64_t rank = hp->ssm_dt_rank, state = hp->ssm_state;
    struct g_tensor *db = b_mm(b, layer, ROLE_SSM_X, x);
    struct mamba1_inputs in = {
        .dt = sp_part(b, db, rank, 0),
        .B = sp_heads(b, db, state, 1, rank),
        .C = sp_heads(b, db, state, 1, rank + state),
    };
    bool norms = b_has(b, layer, ROLE_SSM_DT_NORM, PART_WEIGHT) &&
                 b_has(b, layer, ROLE_SSM_B_NORM, PART_WEIGHT) &&
                 b_has(b, layer, ROLE_SSM_C_NORM, PART_WEIGHT);
    if (hp->ssm_dt_b_c_norm || norms) {
        in.dt = b_norm_role(b, layer, in.dt, ROLE_SSM_DT_NORM, NORM_RMS);
        in.B = b_norm_role(b, layer, in.B, ROLE_SSM_B_NORM, NORM_RMS);
        in.C = b_norm_role(b, layer, in.C, ROLE_SSM_C_NORM, NORM_RMS);
    } else {
        in.dt = g_cont(g, in.dt);
    }
    in.dt = b_mm(b, layer, ROLE_SSM_DT, in.dt);
    in.dt = g_add(g, in.dt, b_weight(b, layer, ROLE_SSM_DT, PART_BIAS));
    return in;
}

/* Scan over the tokens; the new state is written back; the result is [inner, tokens, sequences]. */
static struct g_tensor *mamba1_scan(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    int64_t inner = hp->ssm_inner, state = hp->ssm_state;
    struct mamba1_inputs in = mamba1_split(b, layer, x);
    struct g_tensor *flat = x, *s = b_s_state(b, layer);
    x = g_reshape_4d(g, x, 1, inner, b->n_seq_tokens, b->n_seqs);

    struct g_tensor *rows = sp_state_open(b, s, state * inner);
    struct g_tensor *states = g_reshape_4d(g, rows, state, 1, inner, b->rs_copy->ne[0]);
    struct g_tensor *scan =
        g_ssm_scan(g, states, x, in.dt, b_weight(b, layer, ROLE_SSM_A, PART_BARE), in.B, in.C,
                   b->rs_copy_main, 1);
    sp_state_close(b, s, rows, state * inner, scan);

    struct g_tensor *last =
        g_view_1d(g, scan, state * inner * b->n_seqs, x->nb[3] * (uint64_t)x->ne[3]);
    g_expand(g, g_cpy(g, last, g_view_1d(g, s, state * inner * b->n_seqs, 0)));
    struct g_tensor *y =
        g_view_3d(g, scan, inner, b->n_seq_tokens, b->n_seqs, x->nb[2], x->nb[3], 0);
    return g_add(g, y, g_mul(g, flat, b_weight(b, layer, ROLE_SSM_D, PART_BARE)));
}

struct g_tensor *b_mamba1(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    int64_t tail = (int64_t)hp->ssm_conv - 1, inner = hp->ssm_inner;
    struct g_tensor *r = b_r_state(b, layer);

    struct g_tensor *conv = b_rs_gather(b, r, tail * inner);
    conv = g_reshape_3d(g, conv, tail, inner, b->n_seqs);
    struct g_tensor *xz = b_mm(b, layer, ROLE_SSM_IN, sp_by_sequence(b, x));
    struct g_tensor *z = sp_part(b, xz, inner, inner);
    x = sp_part(b, xz, inner, 0);

    struct g_tensor *conv_x = g_concat(g, conv, g_transpose(g, x), 0);
    struct g_tensor *last = g_view_3d(g, conv_x, tail, inner, b->n_seqs, conv_x->nb[1],
                                      conv_x->nb[2], (uint64_t)b->n_seq_tokens * 4);
    g_expand(g, g_cpy(g, last, g_view_1d(g, r, tail * inner * b->n_seqs, 0)));
    x = g_ssm_conv(g, conv_x, b_weight(b, layer, ROLE_SSM_CONV1D, PART_WEIGHT));
    x = g_add(g, x, b_weight(b, layer, ROLE_SSM_CONV1D, PART_BIAS));
    x = g_unary(g, x, U_SILU);

    struct g_tensor *y = mamba1_scan(b, layer, x);
    y = g_glu_split(g, g_cont(g, z), y, GLU_SWIGLU);
    return sp_by_token(b, b_mm(b, layer, ROLE_SSM_OUT, y));
}

/* The scan of the second kind; zxBCdt is the joint projection, xBC its convolved middle part. */
static struct g_tensor *mamba2_scan(struct builder *b, int layer, struct g_tensor *xBC,
                                    struct g_tensor *dt)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    int64_t inner = hp->ssm_inner, state = hp->ssm_state, groups = hp->ssm_groups;
    int64_t heads = hp->ssm_dt_rank, head = inner / heads, size = state * inner;
    struct g_tensor *s = b_s_state(b, layer);
    struct g_tensor *x = sp_heads(b, xBC, head, heads, 0);
    struct g_tensor *B = sp_heads(b, xBC, state, groups, inner);
    struct g_tensor *C = sp_heads(b, xBC, state, groups, inner + groups * state);
    dt = g_add(g, g_cont(g, dt), b_weight(b, layer, ROLE_SSM_DT, PART_BIAS));

    int64_t keep = sp_snapshots(b);
    struct g_tensor *rows = sp_state_open(b, s, size);
    struct g_tensor *states = g_reshape_4d(g, rows, state, head, heads, s->ne[1]);
    struct g_tensor *scan = g_ssm_scan(g, states, x, dt, b_weight(b, layer, ROLE_SSM_A, PART_BARE),
                                       B, C, b->rs_copy_main, keep);
    sp_state_close(b, s, rows, size, scan);

    int64_t written = keep < b->n_seq_tokens ? keep : b->n_seq_tokens;
    uint64_t row = (uint64_t)size * 4, outputs = (uint64_t)(inner * b->n_tokens) * 4;
    struct g_tensor *last =
        g_view_3d(g, scan, size, b->n_seqs, written, row, row * (uint64_t)b->n_seqs, outputs);
    struct g_tensor *into =
        g_view_3d(g, s, size, b->n_seqs, written, s->nb[1], row * (uint64_t)b->rs_copy->ne[0], 0);
    g_expand(g, g_cpy(g, last, into));

    uint64_t nb1 = x->nb[1], nb2 = (uint64_t)heads * nb1;
    struct g_tensor *y = g_view_4d(g, scan, head, heads, b->n_seq_tokens, b->n_seqs, nb1, nb2,
                                   (uint64_t)b->n_seq_tokens * nb2, 0);
    return g_add(g, y, g_mul(g, x, b_weight(b, layer, ROLE_SSM_D, PART_BARE)));
}

/* The convolution of the second kind: state in front, tail written back, bias where there is one.
 */
static struct g_tensor *mamba2_conv(struct builder *b, int layer, struct g_tensor *conv,
                                    struct g_tensor *xBC, int64_t tail, int64_t channels)
{
    struct graph *g = b->g;
    struct g_tensor *conv_x = g_concat(g, conv, g_transpose(g, xBC), 0);
    sp_store_tail(b, conv_x, b_r_state(b, layer), tail, channels);
    xBC = g_ssm_conv(g, conv_x, b_weight(b, layer, ROLE_SSM_CONV1D, PART_WEIGHT));
    xBC = g_add(g, xBC, b_weight(b, layer, ROLE_SSM_CONV1D, PART_BIAS));
    return g_unary(g, xBC, U_SILU);
}

struct g_tensor *b_mamba2(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    int64_t tail = (int64_t)hp->ssm_conv - 1, inner = hp->ssm_inner, groups = hp->ssm_groups;
    int64_t channels = inner + 2 * groups * hp->ssm_state, heads = hp->ssm_dt_rank;
    if (heads <= 0 || groups <= 0 || inner % heads || inner % groups)
        return sp_fail(b, "mamba2: ssm.inner_size is not a multiple of its heads and groups");

    struct g_tensor *conv = b_rs_gather(b, b_r_state(b, layer), tail * channels);
    conv = g_reshape_3d(g, conv, tail, channels, b->n_seqs);
    struct g_tensor *in = sp_by_sequence(b, b_mm(b, layer, ROLE_SSM_IN, x));
    struct g_tensor *z = sp_heads(b, in, inner / heads, heads, 0);
    struct g_tensor *xBC = sp_part(b, in, channels, inner);
    struct g_tensor *dt = sp_part(b, in, heads, inner + channels);

    xBC = mamba2_conv(b, layer, conv, xBC, tail, channels);
    struct g_tensor *y = mamba2_scan(b, layer, xBC, dt);
    y = g_glu_split(g, g_cont(g, z), y, GLU_SWIGLU);
    if (b_has(b, layer, ROLE_SSM_NORM, PART_WEIGHT)) {
        y = g_reshape_4d(g, y, inner / groups, groups, b->n_seq_tokens, b->n_seqs);
        y = b_norm_role(b, layer, y, ROLE_SSM_NORM, NORM_RMS);
    }
    y = g_reshape_2d(g, y, inner, b->n_tokens);
    return b_mm(b, layer, ROLE_SSM_OUT, y);
}

void graph_mamba(struct builder *b)
{
    bool second = strcmp(b->m->architecture, "mamba2") == 0;
    struct g_tensor *x = b_inp_embd(b);
    b_rs_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !b->g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = second ? b_mamba2(b, il, cur) : b_mamba1(b, il, cur);
        cur = sp_wanted(b, il, cur);
        x = g_add(b->g, cur, sp_wanted(b, il, x));
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
