/* plamo2: PLaMo 2: attention and a state space layer of its own (behaviour of llama.cpp
 * src/models/plamo2.cpp). */
#include "law/special.h"

/* Norms whose weights the file names without .weight. */
static struct g_tensor *bare_norm(struct builder *b, int layer, struct g_tensor *x,
                                  enum tensor_role role)
{
    return b_norm(b, layer, x, b_weight(b, layer, role, PART_BARE), NULL, NORM_RMS);
}

struct plamo_sizes {
    int64_t inner, state, heads, head, dt, tail;
};

/* Input projection with z and x interleaved per head; x goes through the convolution. */
static struct g_tensor *plamo_convolved(struct builder *b, int layer, struct g_tensor *x,
                                        const struct plamo_sizes *z, struct g_tensor **gate)
{
    struct graph *g = b->g;
    int64_t T = b->n_seq_tokens, N = b->n_seqs;
    struct g_tensor *r = b_r_state(b, layer);
    struct g_tensor *conv = b_rs_gather(b, r, z->tail * z->inner);
    conv = g_reshape_3d(g, conv, z->tail, z->inner, N);
    struct g_tensor *zx = b_mm(b, layer, ROLE_SSM_IN, sp_by_sequence(b, x));
    zx = g_permute(g, zx, 0, 2, 1, 3);
    zx = g_cont_4d(g, zx, z->head * 2, z->heads, T, N);
    x = g_view_4d(g, zx, z->head, z->heads, T, N, zx->nb[1], zx->nb[2], zx->nb[3],
                  (uint64_t)z->head * 4);
    x = g_cont_3d(g, x, z->inner, T, N);
    *gate = g_view_4d(g, zx, z->head, z->heads, T, N, zx->nb[1], zx->nb[2], zx->nb[3], 0);

    struct g_tensor *conv_x = g_concat(g, conv, g_transpose(g, x), 0);
    struct g_tensor *last =
        g_view_3d(g, conv_x, z->tail, z->inner, N, conv_x->nb[1], conv_x->nb[2], (uint64_t)T * 4);
    g_expand(g, g_cpy(g, last, g_view_1d(g, r, z->tail * z->inner * N, 0)));
    x = g_ssm_conv(g, conv_x, b_weight(b, layer, ROLE_SSM_CONV1D, PART_WEIGHT));
    return g_unary(g, x, U_SILU);
}

static struct g_tensor *plamo_scan(struct builder *b, int layer, struct g_tensor *x,
                                   const struct plamo_sizes *z)
{
    struct graph *g = b->g;
    int64_t T = b->n_seq_tokens, N = b->n_seqs, size = z->inner * z->state;
    struct g_tensor *s = b_s_state(b, layer), *a = b_weight(b, layer, ROLE_SSM_A, PART_BARE);
    struct g_tensor *bcdt = b_mm(b, layer, ROLE_SSM_X, x);
    struct g_tensor *B = bare_norm(b, layer, sp_part(b, bcdt, z->state, 0), ROLE_SSM_B_NORM);
    struct g_tensor *C = bare_norm(b, layer, sp_part(b, bcdt, z->state, z->state), ROLE_SSM_C_NORM);
    struct g_tensor *dt =
        bare_norm(b, layer, sp_part(b, bcdt, z->dt, 2 * z->state), ROLE_SSM_DT_NORM);
    dt = b_mm_bias(b, layer, ROLE_SSM_DT, dt);
    a = g_reshape_2d(g, a, 1, z->heads);
    uint64_t nb1 = (uint64_t)z->head * 4, nb2 = (uint64_t)z->inner * 4, nb3 = nb2 * (uint64_t)T;
    x = g_view_4d(g, x, z->head, z->heads, T, N, nb1, nb2, nb3, 0);
    B = sp_heads(b, B, z->state, 1, 0);
    C = sp_heads(b, C, z->state, 1, 0);

    struct g_tensor *rows = sp_state_open(b, s, size);
    struct g_tensor *states = g_reshape_4d(g, rows, z->state, z->head, z->heads, b->rs_copy->ne[0]);
    struct g_tensor *scan = g_ssm_scan(g, states, x, dt, a, B, C, b->rs_copy_main, 1);
    sp_state_close(b, s, rows, size, scan);
    struct g_tensor *last = g_view_1d(g, scan, size * N, nb3 * (uint64_t)N);
    g_expand(g, g_cpy(g, last, g_view_1d(g, s, size * N, 0)));
    struct g_tensor *y = g_view_4d(g, scan, z->head, z->heads, T, N, nb1, nb2, nb3, 0);
    struct g_tensor *d = g_reshape_2d(g, b_weight(b, layer, ROLE_SSM_D, PART_BARE), 1, z->heads);
    return g_add(g, y, g_mul(g, x, d));
}

static struct g_tensor *plamo_mamba(struct builder *b, int layer, struct g_tensor *x)
{
    const struct model_hparams *hp = &b->m->hp;
    struct graph *g = b->g;
    struct plamo_sizes z = {.inner = hp->ssm_inner,
                            .state = hp->ssm_state,
                            .heads = hp->ssm_dt_rank,
                            .tail = (int64_t)hp->ssm_conv - 1,
                            .dt = hp->n_embd / 16 > 64 ? hp->n_embd / 16 : 64};
    struct g_tensor *gate;
    if (z.heads <= 0 || z.inner % z.heads)
        return sp_fail(b, "plamo2: ssm.inner_size is not a multiple of ssm.time_step_rank");
    z.head = z.inner / z.heads;
    x = plamo_convolved(b, layer, x, &z, &gate);
    struct g_tensor *y = plamo_scan(b, layer, x, &z);
    y = g_glu_split(g, g_cont(g, gate), y, GLU_SWIGLU);
    y = g_view_3d(g, y, z.inner, b->n_seq_tokens, b->n_seqs, y->nb[2], y->nb[3], 0);
    return sp_by_token(b, b_mm(b, layer, ROLE_SSM_OUT, y));
}

static struct g_tensor *plamo_attention(struct builder *b, int layer, struct g_tensor *x)
{
    struct b_qkv p = b_make_qkv(b, layer, x);
    p.q = b_norm_role(b, layer, p.q, ROLE_ATTN_Q_NORM, NORM_RMS);
    p.q = b_rope(b, p.q, NULL, ROPE_NEOX);
    p.k = b_norm_role(b, layer, p.k, ROLE_ATTN_K_NORM, NORM_RMS);
    p.k = b_rope(b, p.k, NULL, ROPE_NEOX);
    return b_attn(b, layer, &(struct b_attn_args){.q = p.q, .k = p.k, .v = p.v});
}

void graph_plamo2(struct builder *b)
{
    struct graph *g = b->g;
    struct g_tensor *x = b_inp_embd(b);
    b_inp_pos(b, 1);
    b_rs_inputs(b);
    b_attn_inputs(b);
    b_inp_out_ids(b);
    for (int il = 0; il < sp_layers(b) && !g->failed; il++) {
        struct g_tensor *cur = b_norm_role(b, il, x, ROLE_ATTN_NORM, NORM_RMS);
        cur = sp_is_recurrent(b, il) ? plamo_mamba(b, il, cur) : plamo_attention(b, il, cur);
        cur = bare_norm(b, il, sp_wanted(b, il, cur), ROLE_ATTN_POST_NORM);
        struct g_tensor *mid = g_add(g, cur, sp_wanted(b, il, x));
        cur = b_norm_role(b, il, mid, ROLE_FFN_NORM, NORM_RMS);
        cur = bare_norm(b, il, b_ffn(b, il, cur, ACT_SWIGLU, GATE_SEQ), ROLE_FFN_POST_NORM);
        x = g_add(g, cur, mid);
    }
    sp_finish(b, x, ROLE_OUTPUT_NORM);
}
