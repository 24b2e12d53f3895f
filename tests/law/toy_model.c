/* toy_model: small models made by hand, placed and built into graphs. */
#include "toy_model.h"

#include "model/family.h"

#include <assert.h>
#include <string.h>

void toy_add(struct toy *t, int layer, enum tensor_role role, enum tensor_part part, uint64_t n0,
             uint64_t n1, uint64_t n2)
{
    uint32_t i = t->model.n_tensors++;
    struct model_tensor *x = &t->tensors[i];
    bool matrix = n1 > 1;

    assert(i < TOY_TENSORS);
    x->name = arena_printf(&t->arena, "l%d.r%d.p%d", layer, role, part);
    x->type = matrix ? GGUF_TYPE_F16 : GGUF_TYPE_F32;
    x->n_dims = (uint8_t)(n2 > 1 ? 3 : matrix ? 2 : 1);
    x->role = (uint8_t)role;
    x->part = (uint8_t)part;
    x->layer = (int16_t)layer;
    memcpy(x->ne, (uint64_t[4]){n0, n1, n2, 1}, sizeof x->ne);
    x->bytes = n0 * n1 * n2 * (matrix ? 2 : 4);
    if (layer < 0)
        t->model.global[role][part] = (int32_t)i;
    else
        t->layers[layer].tensor[role][part] = (int32_t)i;
}

void toy_drop(struct toy *t, int layer, enum tensor_role role)
{
    for (int part = 0; part < PART_COUNT; part++) {
        if (layer < 0)
            t->model.global[role][part] = -1;
        else
            t->layers[layer].tensor[role][part] = -1;
    }
}

static void add_layer(struct toy *t, int il)
{
    struct model_layer *l = &t->layers[il];

    *l = (struct model_layer){.kv = KV_FULL,
                              .ffn = FFN_DENSE,
                              .kv_from = -1,
                              .n_head = 4,
                              .n_head_kv = 2,
                              .head_dim_k = 16,
                              .head_dim_v = 16,
                              .n_ff = TOY_FF,
                              .n_embd_k = 32,
                              .n_embd_v = 32};
    memset(l->tensor, -1, sizeof l->tensor);
    toy_add(t, il, ROLE_ATTN_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
    toy_add(t, il, ROLE_ATTN_Q, PART_WEIGHT, TOY_EMBD, 64, 1);
    toy_add(t, il, ROLE_ATTN_K, PART_WEIGHT, TOY_EMBD, 32, 1);
    toy_add(t, il, ROLE_ATTN_V, PART_WEIGHT, TOY_EMBD, 32, 1);
    toy_add(t, il, ROLE_ATTN_OUT, PART_WEIGHT, 64, TOY_EMBD, 1);
    toy_add(t, il, ROLE_FFN_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
    toy_add(t, il, ROLE_FFN_GATE, PART_WEIGHT, TOY_EMBD, TOY_FF, 1);
    toy_add(t, il, ROLE_FFN_UP, PART_WEIGHT, TOY_EMBD, TOY_FF, 1);
    toy_add(t, il, ROLE_FFN_DOWN, PART_WEIGHT, TOY_FF, TOY_EMBD, 1);
}

void toy_add_experts(struct toy *t)
{
    t->model.hp.n_expert = TOY_EXPERTS;
    t->model.hp.n_expert_used = 2;
    for (int il = 0; il < TOY_LAYERS; il++) {
        toy_drop(t, il, ROLE_FFN_GATE);
        toy_drop(t, il, ROLE_FFN_UP);
        toy_drop(t, il, ROLE_FFN_DOWN);
        t->layers[il].ffn = FFN_MOE;
        t->layers[il].n_expert_used = 2;
        toy_add(t, il, ROLE_FFN_GATE_INP, PART_WEIGHT, TOY_EMBD, TOY_EXPERTS, 1);
        toy_add(t, il, ROLE_FFN_GATE_EXPS, PART_WEIGHT, TOY_EMBD, TOY_FF, TOY_EXPERTS);
        toy_add(t, il, ROLE_FFN_UP_EXPS, PART_WEIGHT, TOY_EMBD, TOY_FF, TOY_EXPERTS);
        toy_add(t, il, ROLE_FFN_DOWN_EXPS, PART_WEIGHT, TOY_FF, TOY_EMBD, TOY_EXPERTS);
    }
}

void toy_init(struct toy *t, const char *architecture)
{
    struct model *m = &t->model;

    memset(t, 0, sizeof *t);
    arena_init(&t->arena, (size_t)64 << 20);
    *m = (struct model){.name = "toy",
                        .architecture = architecture,
                        .family = model_family_find(architecture),
                        .n_layers = TOY_LAYERS,
                        .layers = t->layers,
                        .tensors = t->tensors};
    m->hp = (struct model_hparams){.n_vocab = TOY_VOCAB,
                                   .n_ctx_train = 4096,
                                   .n_embd = TOY_EMBD,
                                   .n_layer = TOY_LAYERS,
                                   .n_head = 4,
                                   .n_head_kv = 2,
                                   .head_dim_k = 16,
                                   .head_dim_v = 16,
                                   .head_dim_k_swa = 16,
                                   .head_dim_v_swa = 16,
                                   .n_rot = 16,
                                   .n_ff = TOY_FF,
                                   .rope_orig_ctx = 4096,
                                   .n_no_rope_every = 4,
                                   .attn_causal = true};
    memset(m->global, -1, sizeof m->global);
    toy_add(t, -1, ROLE_TOKEN_EMBD, PART_WEIGHT, TOY_EMBD, TOY_VOCAB, 1);
    toy_add(t, -1, ROLE_OUTPUT_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
    toy_add(t, -1, ROLE_OUTPUT, PART_WEIGHT, TOY_EMBD, TOY_VOCAB, 1);
    for (int il = 0; il < TOY_LAYERS; il++)
        add_layer(t, il);
    t->machine.n_devices = 1;
    t->machine.devices[0] = (struct device){.name = "toy card",
                                            .backend = BACKEND_CUDA,
                                            .total_bytes = (uint64_t)8 << 30,
                                            .free_bytes = (uint64_t)8 << 30,
                                            .cc_major = 8,
                                            .cc_minor = 6};
    t->settings = law_default_settings();
    t->settings.n_ctx = 1024;
    t->settings.flash = FLASH_ON;
}

void toy_finish(struct toy *t)
{
    arena_finish(&t->arena);
}

bool toy_build(struct toy *t, int64_t n_tokens, int64_t n_outputs)
{
    bool flash = t->settings.flash != FLASH_OFF;
    int64_t n_seqs = t->settings.n_seq_max;

    if (!assign_make(&t->model, &t->machine, &t->settings, &t->arena, &t->placed, NULL) ||
        !cache_make(&t->model, &t->settings, &t->placed, flash, &t->cache, NULL))
        return false;
    graph_init(&t->graph, &t->arena);
    t->builder = (struct builder){.g = &t->graph,
                                  .m = &t->model,
                                  .s = &t->settings,
                                  .a = &t->placed,
                                  .c = &t->cache,
                                  .flash_on = flash,
                                  .n_tokens = n_tokens,
                                  .n_seqs = n_seqs,
                                  .n_seq_tokens = n_tokens / n_seqs,
                                  .n_outputs = n_outputs};
    return build_graph(&t->builder);
}

uint32_t toy_count(const struct toy *t, enum g_op op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->graph.n_nodes; i++)
        n += t->graph.nodes[i]->op == op;
    return n;
}

const struct g_tensor *toy_find(const struct toy *t, enum g_op op, uint32_t nth)
{
    for (uint32_t i = 0; i < t->graph.n_nodes; i++) {
        if (t->graph.nodes[i]->op == op && nth-- == 0)
            return t->graph.nodes[i];
    }
    return NULL;
}

const struct g_tensor *toy_leaf(const struct toy *t, const char *name)
{
    for (uint32_t i = 0; i < t->graph.n_leafs; i++) {
        const char *mine = t->graph.leafs[i]->name;

        if (mine && strcmp(mine, name) == 0)
            return t->graph.leafs[i];
    }
    return NULL;
}

uint32_t toy_place(const struct toy *t, const struct g_tensor *node)
{
    for (uint32_t i = 0; i < t->graph.n_nodes; i++) {
        if (t->graph.nodes[i] == node)
            return i;
    }
    return UINT32_MAX;
}
