/* build: leafs for weights, and the small blocks every family's graph is made of. */
#include "law/build.h"
#include "model/family.h"

static bool engine_pins_norms(const struct builder *b)
{
    bool all_layers = b->s->n_gpu_layers < 0 || (uint32_t)b->s->n_gpu_layers > b->m->n_layers;

    return b->n_tokens < 32 || all_layers;
}

bool build_graph(struct builder *b)
{
    graph_fn build = graph_for(b->m, b->s);

    if (!build)
        return false;
    b->weight = arena_array(b->g->arena, struct g_tensor *, b->m->n_tensors);
    if (!b->weight)
        return false;
    b->pin_norms = engine_pins_norms(b);
    b->v_trans = b->s->flash == FLASH_OFF;
    b->two_caches = b->c->cells_window > 0;
    b->no_cache = b->m->family->layers == RULE_NO_CACHE;
    b->n_rot = (int)b->m->hp.n_rot;
    build(b);
    return !b->g->failed;
}

static int32_t weight_index(const struct builder *b, int layer, enum tensor_role role,
                            enum tensor_part part)
{
    int32_t i = layer < 0 ? b->m->global[role][part] : b->m->layers[layer].tensor[role][part];

    if (i >= 0 && b->a->tensor_buffer[i] == ASSIGN_NOT_LOADED)
        i = -1;
    return i;
}

static struct g_tensor *weight_leaf(struct builder *b, const struct model_tensor *t, int buffer)
{
    uint32_t i = (uint32_t)(t - b->m->tensors);
    int64_t ne[4];
    int flags = G_WEIGHT;

    for (int d = 0; d < 4; d++)
        ne[d] = d < t->n_dims ? (int64_t)t->ne[d] : 1;
    if (buffer == LAW_HOST && b->mc && assign_is_repacked(b->m, b->mc, b->s, b->a, i))
        flags |= G_REPACK;
    return g_leaf(b->g, t->type, t->n_dims, ne, flags, buffer, t->name);
}

bool b_has(const struct builder *b, int layer, enum tensor_role role, enum tensor_part part)
{
    return weight_index(b, layer, role, part) >= 0;
}

struct g_tensor *b_weight(struct builder *b, int layer, enum tensor_role role,
                          enum tensor_part part)
{
    int32_t i = weight_index(b, layer, role, part);

    if (i < 0)
        return NULL;
    if (!b->weight[i])
        b->weight[i] = weight_leaf(b, &b->m->tensors[i], b->a->tensor_buffer[i]);
    return b->weight[i];
}

static struct g_tensor *tied_output(struct builder *b)
{
    const struct model_tensor *t = model_global(b->m, ROLE_TOKEN_EMBD, PART_WEIGHT);

    if (b->a->output_copy_buffer == ASSIGN_NOT_LOADED || !t)
        return b_weight(b, -1, ROLE_TOKEN_EMBD, PART_WEIGHT);
    if (!b->output_copy)
        b->output_copy = weight_leaf(b, t, b->a->output_copy_buffer);
    return b->output_copy;
}

struct g_tensor *b_output(struct builder *b, struct g_tensor *x)
{
    struct g_tensor *w = b_weight(b, -1, ROLE_OUTPUT, PART_WEIGHT);
    struct g_tensor *scale = b_weight(b, -1, ROLE_OUTPUT, PART_SCALE);
    struct g_tensor *bias = b_weight(b, -1, ROLE_OUTPUT, PART_BIAS);

    x = g_mul_mat(b->g, w ? w : tied_output(b), x);
    if (scale)
        x = g_mul(b->g, x, scale);
    if (bias)
        x = g_add(b->g, x, bias);
    return x;
}

void b_finish(struct builder *b, struct g_tensor *embeddings, struct g_tensor *logits)
{
    if (b->g->failed)
        return;
    g_set_output(embeddings);
    g_set_output(logits);
    g_expand(b->g, logits);
    if (b->s->embeddings)
        b_pool(b, embeddings);
}

struct g_tensor *b_norm(struct builder *b, int layer, struct g_tensor *x, struct g_tensor *w,
                        struct g_tensor *bias, enum norm_kind kind)
{
    x = kind == NORM_RMS ? g_rms_norm(b->g, x) : g_norm(b->g, x);
    if (layer >= 0 && b->pin_norms && (w || bias))
        x->backend = (int8_t)b->a->layer_buffer[layer];
    if (w)
        x = g_mul(b->g, x, w);
    if (bias)
        x = g_add(b->g, x, bias);
    return x;
}

struct g_tensor *b_norm_role(struct builder *b, int layer, struct g_tensor *x,
                             enum tensor_role role, enum norm_kind kind)
{
    return b_norm(b, layer, x, b_weight(b, layer, role, PART_WEIGHT),
                  b_weight(b, layer, role, PART_BIAS), kind);
}

struct g_tensor *b_mm(struct builder *b, int layer, enum tensor_role role, struct g_tensor *x)
{
    struct g_tensor *scale = b_weight(b, layer, role, PART_SCALE);

    x = g_mul_mat(b->g, b_weight(b, layer, role, PART_WEIGHT), x);
    return scale ? g_mul(b->g, x, scale) : x;
}

struct g_tensor *b_mm_bias(struct builder *b, int layer, enum tensor_role role, struct g_tensor *x)
{
    struct g_tensor *bias = b_weight(b, layer, role, PART_BIAS);

    x = b_mm(b, layer, role, x);
    return bias ? g_add(b->g, x, bias) : x;
}

struct g_tensor *b_take_outputs(struct builder *b, struct g_tensor *x)
{
    return g_get_rows(b->g, x, b->out_ids);
}

struct g_tensor *b_rope_factors(struct builder *b, int layer)
{
    const struct model *m = b->m;
    uint32_t trained = m->hp.rope_orig_ctx ? m->hp.rope_orig_ctx : m->hp.n_ctx_train;
    const struct model_tensor *t = model_global(m, ROLE_ROPE_FREQS, PART_WEIGHT);

    if (!t)
        t = model_global(
            m, b->c->n_ctx_seq > trained ? ROLE_ROPE_FACTORS_LONG : ROLE_ROPE_FACTORS_SHORT,
            PART_WEIGHT);
    if (!t)
        return NULL;
    int buffer = assign_rope_buffer(m, b->a, t, (uint32_t)layer);
    if (!b->factors[buffer])
        b->factors[buffer] = weight_leaf(b, t, buffer);
    return b->factors[buffer];
}

struct g_tensor *b_rope(struct builder *b, struct g_tensor *x, struct g_tensor *factors, int mode)
{
    return g_rope(b->g, x, b->pos, factors, b->n_rot, mode);
}
