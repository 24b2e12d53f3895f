/* nextn: the graph of one NextN block: token and hidden state joined, one layer, the shared head
 * (behaviour of graph_mtp in llama.cpp src/models/). */
#include "law/nextn.h"

#include <string.h>

#include "law/place.h"
#include "law/recipe.h"
#include "law/special.h"

typedef struct g_tensor *(*block_fn)(struct builder *b, int layer, struct g_tensor *x);

static const struct nextn_family {
    const char *architecture;
    block_fn block;
    int positions;      /* per token */
    bool outputs_early; /* the block itself drops tokens nobody asks about */
} families[] = {
    {"glm4moe",    recipe_block,    1, false},
    {"hy_v3",      recipe_block,    1, false},
    {"step35",     recipe_block,    1, false},
    {"mimo2",      recipe_block,    1, false},
    {"deepseek2",  deepseek2_block, 1, false},
    {"deepseek32", deepseek2_block, 1, false},
    {"glm-dsa",    deepseek2_block, 1, false},
    {"qwen3next",  qwen3next_block, 1, true },
    {"qwen35",     qwen35_block,    4, false},
    {"qwen35moe",  qwen35_block,    4, false},
};

static const struct nextn_family *family_of(const struct model *m)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i].architecture, m->architecture) == 0)
            return &families[i];
    return NULL;
}

static uint8_t cache_kind(const struct model *m, const struct model_layer *l)
{
    if (m->hp.head_dim_k_mla)
        return KV_LATENT;
    return l->window && m->hp.n_swa ? KV_WINDOW : KV_FULL;
}

bool nextn_model_make(const struct model *m, struct arena *arena, struct model *out)
{
    struct model_layer *layers = arena_array(arena, struct model_layer, m->n_layers);

    if (!layers)
        return false;
    for (uint32_t il = 0; il < m->n_layers; il++) {
        struct model_layer *l = &layers[il];

        *l = m->layers[il];
        if (!l->nextn) {
            l->kv = KV_NONE;
            continue;
        }
        l->nextn = false;
        l->kv = cache_kind(m, l);
        l->n_embd_k = l->n_head_kv * l->head_dim_k;
        l->n_embd_v = l->kv == KV_LATENT ? 0 : l->n_head_kv * l->head_dim_v;
    }
    *out = *m;
    out->layers = layers;
    return true;
}

static struct g_tensor *joined_input(struct builder *b, int layer)
{
    struct graph *g = b->g;
    bool own = b_has(b, layer, ROLE_NEXTN_EMBED, PART_WEIGHT);
    struct g_tensor *table = own ? b_weight(b, layer, ROLE_NEXTN_EMBED, PART_WEIGHT)
                                 : b_weight(b, -1, ROLE_TOKEN_EMBD, PART_WEIGHT);
    struct g_tensor *tokens = g_input(g, GGUF_TYPE_I32, b->n_tokens, 1, 1, 1, "inp_tokens");
    struct g_tensor *state =
        g_input(g, GGUF_TYPE_F32, b->m->hp.n_embd, b->n_tokens, 1, 1, "mtp_h_input");
    struct g_tensor *token = g_get_rows(g, table, tokens);

    state = b_norm_role(b, layer, state, ROLE_NEXTN_HNORM, NORM_RMS);
    token = b_norm_role(b, layer, token, ROLE_NEXTN_ENORM, NORM_RMS);
    return b_mm(b, layer, ROLE_NEXTN_EH_PROJ, g_concat(g, token, state, 0));
}

static struct g_tensor *head(struct builder *b, int layer, struct g_tensor *x)
{
    bool own = b_has(b, layer, ROLE_NEXTN_HEAD, PART_WEIGHT);

    return own ? b_mm(b, layer, ROLE_NEXTN_HEAD, x) : b_output(b, x);
}

static void graph_nextn(struct builder *b)
{
    const struct nextn_family *f = family_of(b->m);
    int layer = sp_layers(b); /* the first block; several of a kind take turns */
    bool own = b_has(b, layer, ROLE_NEXTN_HEAD_NORM, PART_WEIGHT);
    struct g_tensor *x, *state;

    b_inp_pos(b, f->positions);
    b_inp_out_ids(b);
    if (b->m->layers[layer].kv == KV_LATENT)
        b_attn_inputs_latent(b);
    else
        b_attn_inputs(b);
    x = f->block(b, layer, joined_input(b, layer));
    state = b_norm(b, -1, x,
                   own ? b_weight(b, layer, ROLE_NEXTN_HEAD_NORM, PART_WEIGHT)
                       : b_weight(b, -1, ROLE_OUTPUT_NORM, PART_WEIGHT),
                   NULL, NORM_RMS);
    x = f->outputs_early ? state : b_take_outputs(b, state);
    b_finish(b, state, head(b, layer, x));
}

graph_fn nextn_graph_for(const struct model *m)
{
    return family_of(m) ? graph_nextn : NULL;
}

bool nextn_check(const struct model *m, struct err *err)
{
    if (m->hp.n_nextn == 0 || m->hp.n_nextn >= m->n_layers)
        err_set(err, ERR_2114, "%s has no NextN blocks to draft with", m->name);
    else if (place_never_loads_nextn(m))
        err_set(err, ERR_2114, "the engine does not run the NextN blocks of %s", m->architecture);
    else
        return true;
    return err_fix(err, NULL, "leave --spec-type draft-mtp out");
}
