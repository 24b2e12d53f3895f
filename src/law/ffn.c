/* ffn: the dense feed-forward block in all its forms. */
#include "law/build.h"

static struct g_tensor *impossible(struct graph *g, struct g_tensor *x)
{
    g->failed = true;
    g->failed_at = "activation";
    return x;
}

static struct g_tensor *gated(struct graph *g, struct g_tensor *gate, struct g_tensor *up,
                              enum ffn_act act)
{
    switch (act) {
    case ACT_SILU: return g_glu_split(g, gate, up, GLU_SWIGLU);
    case ACT_GELU: return g_glu_split(g, gate, up, GLU_GEGLU);
    case ACT_RELU: return g_glu_split(g, gate, up, GLU_REGLU);
    case ACT_SWIGLU_OAI: return g_glu_split(g, gate, up, GLU_SWIGLU_OAI);
    case ACT_RELU_SQR: return g_mul(g, g_sqr(g, g_unary(g, gate, U_RELU)), up);
    default: return impossible(g, up); /* the forms with both halves in one have no gate */
    }
}

static struct g_tensor *activated(struct graph *g, struct g_tensor *x, enum ffn_act act)
{
    switch (act) {
    case ACT_SILU: return g_unary(g, x, U_SILU);
    case ACT_GELU: return g_unary(g, x, U_GELU);
    case ACT_RELU: return g_unary(g, x, U_RELU);
    case ACT_RELU_SQR: return g_sqr(g, g_unary(g, x, U_RELU));
    case ACT_SWIGLU: return g_glu(g, x, GLU_SWIGLU, false);
    case ACT_GEGLU: return g_glu(g, x, GLU_GEGLU, false);
    case ACT_REGLU: return g_glu(g, x, GLU_REGLU, false);
    case ACT_XIELU: return g_unary(g, x, U_XIELU);
    default: return impossible(g, x); /* gpt-oss' form needs a gate */
    }
}

struct g_tensor *b_act(struct builder *b, struct g_tensor *gate, struct g_tensor *up,
                       enum ffn_act act)
{
    return gate ? gated(b->g, gate, up, act) : activated(b->g, up, act);
}

/* Here a scale comes after the bias, unlike everywhere else. */
static struct g_tensor *mm_bias_scale(struct builder *b, int layer, enum tensor_role role,
                                      struct g_tensor *x)
{
    struct g_tensor *bias = b_weight(b, layer, role, PART_BIAS);
    struct g_tensor *scale = b_weight(b, layer, role, PART_SCALE);

    x = g_mul_mat(b->g, b_weight(b, layer, role, PART_WEIGHT), x);
    if (bias)
        x = g_add(b->g, x, bias);
    return scale ? g_mul(b->g, x, scale) : x;
}

struct g_tensor *b_ffn_roles(struct builder *b, int layer, struct g_tensor *x, struct b_ffn_roles r,
                             enum ffn_act act, enum ffn_gate_kind gate)
{
    struct g_tensor *up = x;

    if (b_has(b, layer, r.up, PART_WEIGHT))
        up = mm_bias_scale(b, layer, r.up, x);
    if (!b_has(b, layer, r.gate, PART_WEIGHT))
        x = b_act(b, NULL, up, act);
    else if (gate == GATE_PAR)
        x = b_act(b, mm_bias_scale(b, layer, r.gate, x), up, act);
    else
        x = b_act(b, NULL, mm_bias_scale(b, layer, r.gate, up), act);
    if (b_has(b, layer, r.down, PART_WEIGHT))
        x = mm_bias_scale(b, layer, r.down, x);
    return x;
}

struct g_tensor *b_ffn(struct builder *b, int layer, struct g_tensor *x, enum ffn_act act,
                       enum ffn_gate_kind gate)
{
    static const struct b_ffn_roles dense = {ROLE_FFN_UP, ROLE_FFN_GATE, ROLE_FFN_DOWN};

    return b_ffn_roles(b, layer, x, dense, act, gate);
}
