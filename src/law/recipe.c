/* recipe: builds an ordinary transformer's graph from its family's row. */
#include "law/recipe_walk.h"

/* sigmoid(gate) as the engine computes it: silu divided by its argument. */
static struct g_tensor *shared_gate(struct builder *b, int layer, struct g_tensor *x)
{
    struct g_tensor *gate = b_mm(b, layer, ROLE_FFN_GATE_INP_SHEXP, x);

    return g_div(b->g, g_unary(b->g, gate, U_SILU), gate);
}

static struct g_tensor *chunked_experts(struct builder *b, int layer, struct g_tensor *x,
                                        struct b_moe_args args)
{
    struct g_tensor *large, *small;

    args.logits_in = b_mm(b, layer, ROLE_FFN_GATE_INP, x);
    args.choose_sigmoid = true;
    large = b_moe(b, layer, x, &args);
    args.chunks = true;
    small = b_moe(b, layer, large, &args); /* which read the large ones' result */
    return g_add(b->g, large, g_scale(b->g, small));
}

static struct g_tensor *experts(struct walk *w, int layer, struct g_tensor *x)
{
    static const struct b_ffn_roles shared = {ROLE_FFN_UP_SHEXP, ROLE_FFN_GATE_SHEXP,
                                              ROLE_FFN_DOWN_SHEXP};
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    struct b_moe_args args = {
        .act = r->moe_act,
        .norm_w = r->moe_norm == MOE_NORM_AS_MODEL ? b->m->hp.expert_weights_norm
                                                   : r->moe_norm == MOE_NORM_YES,
        .scale_w = !r->moe_no_scale,
        .gating = r->moe_gating,
        .weights_first = r->moe_weights_first,
        .n_used = b->m->layers[layer].n_expert_used,
    };
    struct g_tensor *out, *more;

    if (r->router_reads_input) {
        args.logits_in = b_mm(b, layer, ROLE_FFN_GATE_INP, w->layer_input);
        if (w->outputs_only)
            args.logits_in = b_take_outputs(b, args.logits_in);
    }
    if (r->chunk_experts)
        return chunked_experts(b, layer, x, args);
    out = b_moe(b, layer, x, &args);
    if (r->dense_beside_experts && b_has(b, layer, ROLE_FFN_UP, PART_WEIGHT)) {
        more = b_ffn(b, layer, x, r->act, r->gate);
        return g_scale(b->g, g_add(b->g, more, out));
    }
    if (!b_has(b, layer, ROLE_FFN_UP_SHEXP, PART_WEIGHT))
        return out;
    more = b_ffn_roles(b, layer, x, shared, r->shared_merged ? ACT_SWIGLU : r->moe_act, GATE_PAR);
    if (r->shared == SHARED_GATED)
        more = g_mul(b->g, more, shared_gate(b, layer, x));
    out = g_add(b->g, out, more);
    return r->shared == SHARED_HALVED ? g_scale(b->g, out) : out;
}

static struct g_tensor *feed_forward(struct walk *w, int layer, struct g_tensor *x)
{
    static const struct b_ffn_roles up_only = {ROLE_FFN_UP, ROLE_FFN_GATE, ROLE_NONE};
    struct builder *b = w->b;

    if (b_has(b, layer, ROLE_FFN_GATE_INP, PART_WEIGHT))
        return experts(w, layer, x);
    if (!w->r->attn_sub_norm)
        return b_ffn(b, layer, x, w->r->act, w->r->gate);
    x = b_ffn_roles(b, layer, x, up_only, w->r->act, w->r->gate);
    x = b_norm_role(b, layer, x, ROLE_FFN_SUB_NORM, w->norm);
    return b_mm(b, layer, ROLE_FFN_DOWN, x);
}

static struct g_tensor *scale_residual(struct walk *w, struct g_tensor *x)
{
    return w->b->m->hp.f_residual_scale != 0.0 ? g_scale(w->b->g, x) : x;
}

/* Attention and feed-forward read the same norm (or each its own norm of x) and are summed at the
 * end. */
static struct g_tensor *parallel_sum(struct walk *w, int layer, struct g_tensor *x,
                                     struct g_tensor *norm, struct g_tensor *attn)
{
    struct graph *g = w->b->g;
    struct g_tensor *ffn;

    if (w->r->residual == RES_NEOX)
        norm = b_norm_role(w->b, layer, x, ROLE_FFN_NORM, w->norm);
    ffn = feed_forward(w, layer, norm);
    switch (w->r->residual) {
    case RES_FALCON: return g_add(g, g_add(g, ffn, attn), x);
    case RES_PHI2: return g_add(g, g_add(g, attn, ffn), x);
    default: return g_add(g, g_add(g, ffn, x), attn);
    }
}

static struct g_tensor *post_norm(struct walk *w, int layer, struct g_tensor *x,
                                  enum tensor_role role, enum recipe_post post)
{
    struct builder *b = w->b;
    bool bare = b_has(b, layer, role, PART_BARE); /* PLaMo 3 names them without .weight */

    if (post == POST_NONE)
        return x;
    return b_norm(b, post == POST_PINNED ? layer : -1, x,
                  b_weight(b, layer, role, bare ? PART_BARE : PART_WEIGHT),
                  b_weight(b, layer, role, PART_BIAS), w->norm);
}

static struct g_tensor *attn_post(struct walk *w, int layer, struct g_tensor *x)
{
    enum tensor_role role = w->r->attn_post_role;

    return post_norm(w, layer, x, role ? role : ROLE_ATTN_POST_NORM, w->r->attn_post);
}

/* Picture vectors for this layer lie beside the embeddings. */
static struct g_tensor *add_deepstack(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    uint64_t n_embd = b->m->hp.n_embd;

    if (!w->r->deepstack || (uint32_t)layer >= b->m->hp.n_deepstack)
        return x;
    return g_add(b->g, x,
                 g_view_2d(b->g, b->inp_embd, (int64_t)n_embd, b->n_tokens, b->inp_embd->nb[1],
                           ((uint64_t)layer + 1) * n_embd * 4));
}

static struct g_tensor *sequential_sum(struct walk *w, int layer, struct g_tensor *x,
                                       struct g_tensor *norm, struct g_tensor *attn)
{
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    enum tensor_role role = r->ffn_norm ? r->ffn_norm : ROLE_FFN_NORM;
    struct g_tensor *mid, *out;

    attn = scale_residual(w, attn);
    mid = r->attn_sum_swapped ? g_add(b->g, x, attn) : g_add(b->g, attn, x);
    if (r->no_pre_norm)
        out = mid;
    else if (r->ffn_norm_optional && !b_has(b, layer, role, PART_WEIGHT))
        out = norm;
    else
        out = b_norm_role(b, layer, mid, role, w->norm);
    out = feed_forward(w, layer, out);
    out = post_norm(w, layer, out, ROLE_FFN_POST_NORM, r->ffn_post);
    out = scale_residual(w, out);
    return r->ffn_sum_swapped ? g_add(b->g, mid, out) : g_add(b->g, out, mid);
}

static bool is_parallel(const struct walk *w)
{
    return w->r->residual == RES_NEOX ? w->b->m->hp.use_parallel_residual
                                      : w->r->residual != RES_SEQUENTIAL;
}

static struct g_tensor *layer_of(struct walk *w, int layer, struct g_tensor *x)
{
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    struct g_tensor *norm = x, *attn;

    w->layer_input = x;
    if (!r->no_pre_norm && !(r->pre_norm_optional && !b_has(b, layer, ROLE_ATTN_NORM, PART_WEIGHT)))
        norm = b_norm_role(b, layer, x, ROLE_ATTN_NORM, w->norm);
    if (b_has(b, layer, ROLE_ATTN_NORM_2, PART_WEIGHT))
        attn = recipe_attention(w, layer, b_norm_role(b, layer, x, ROLE_ATTN_NORM_2, w->norm));
    else
        attn = recipe_attention(w, layer, norm);
    if (r->attn_post_of_all)
        attn = attn_post(w, layer, attn);
    w->outputs_only = layer == w->n_layers - 1 && r->late_outputs == LATE_NO;
    if (w->outputs_only) {
        attn = b_take_outputs(b, attn);
        x = b_take_outputs(b, x);
        norm = b_take_outputs(b, norm);
    }
    if (!r->attn_post_of_all)
        attn = attn_post(w, layer, attn);
    return is_parallel(w) ? parallel_sum(w, layer, x, norm, attn)
                          : sequential_sum(w, layer, x, norm, attn);
}

static struct g_tensor *inputs(struct walk *w)
{
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    const uint32_t *sections = b->m->hp.rope_sections;
    bool parts = r->rope >= ROPE_KIND_MROPE;
    struct g_tensor *x = b_inp_embd(b);

    if (r->mrope_if_sections && sections[0] > 0 && sections[1] > 0) {
        w->rope_mode = ROPE_KIND_MROPE;
        parts = true;
    }
    b_inp_pos(b, parts ? 4 : 1);
    if (r->temperature == TEMP_NO_ROPE_LAYERS || b->m->hp.f_attn_temp_scale != 0.0)
        b->attn_scale = g_input(b->g, GGUF_TYPE_F32, 1, 1, b->n_tokens, 1, "inp_attn_scale");
    b_attn_inputs(b);
    b_inp_out_ids(b);
    if (r->embd_scale)
        x = g_scale(b->g, x);
    if (r->embd_bare_norm)
        x = b_norm(b, -1, x, NULL, NULL, w->norm);
    if (r->embd_norm)
        x = b_norm(b, 0, x, b_weight(b, -1, ROLE_TOKEN_EMBD_NORM, PART_WEIGHT),
                   b_weight(b, -1, ROLE_TOKEN_EMBD_NORM, PART_BIAS), w->norm);
    if (r->learned_positions && b_has(b, -1, ROLE_POSITION_EMBD, PART_WEIGHT))
        x = g_add(b->g, x,
                  g_get_rows(b->g, b_weight(b, -1, ROLE_POSITION_EMBD, PART_WEIGHT), b->pos));
    return x;
}

static void finish(struct walk *w, struct g_tensor *x)
{
    struct builder *b = w->b;
    const struct recipe *r = w->r;
    struct g_tensor *logits;

    if (r->late_outputs == LATE_BEFORE_NORM) {
        g_set_output(x);
        x = b_take_outputs(b, x);
    }
    x = b_norm_role(b, -1, x, ROLE_OUTPUT_NORM, w->norm);
    if (r->late_outputs == LATE_AFTER_NORM) {
        g_set_output(x);
        x = b_take_outputs(b, x);
    }
    if (r->encoder) {
        b_finish(b, x, x);
        return;
    }
    logits = r->logits_from_embd ? b_mm(b, -1, ROLE_TOKEN_EMBD, x) : b_output(b, x);
    if (r->logits == LOGITS_SCALE ||
        (r->logits == LOGITS_SCALE_IF && b->m->hp.f_logit_scale != 0.0))
        logits = g_scale(b->g, logits);
    if (r->final_softcap == SOFTCAP_ALWAYS ||
        (r->final_softcap == SOFTCAP_AS_MODEL && b->m->hp.f_final_logit_softcap != 0.0)) {
        logits = g_scale(b->g, logits);
        logits = g_unary(b->g, logits, U_TANH);
        logits = g_scale(b->g, logits);
    }
    b_finish(b, x, logits);
}

static void start(struct walk *w, struct builder *b)
{
    const struct model_hparams *hp = &b->m->hp;

    w->b = b;
    w->r = recipe_find(b->m->architecture);
    w->norm = w->r->norm_as_model && !hp->norm_is_rms ? NORM_LAYER : w->r->norm;
    w->n_layers = (int)(b->m->n_layers - hp->n_nextn);
    w->rope_mode = w->r->rope;
    b->window_every = hp->n_swa > 0 ? w->r->window_every : 0;
    b->window_full_first = w->r->window_full_first;
    b->alibi = hp->f_max_alibi_bias > 0.0;
    b->softcap = w->r->attn_softcap;
    b->clamp_qkv = hp->f_clamp_kqv > 0.0;
}

struct g_tensor *recipe_block(struct builder *b, int layer, struct g_tensor *x)
{
    struct walk w = {0};

    start(&w, b);
    return layer_of(&w, layer, x);
}

void graph_recipe(struct builder *b)
{
    struct walk w = {0};
    struct g_tensor *x;

    start(&w, b);
    x = inputs(&w);
    for (int layer = 0; layer < w.n_layers && !b->g->failed; layer++)
        x = add_deepstack(&w, layer, layer_of(&w, layer, x));
    finish(&w, x);
}
