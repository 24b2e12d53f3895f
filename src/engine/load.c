/* load: the files beside the model that a command names: projector, draft model, adapters. */
#include "engine/load.h"

#include <stdio.h>
#include <string.h>

enum { DEVICE_ALIGN = 128 };

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

static bool load_projector(struct engine_request *r, struct arena *arena, struct err *err)
{
    struct gguf g;
    uint64_t bytes = 0;
    if (!gguf_read_path(r->mmproj_ref, 0, arena, &g, err))
        return err_prefix(err, "--mmproj");
    for (uint32_t i = 0; i < g.n_tensors; i++)
        bytes += aligned(g.tensors[i].size_bytes);
    r->wish.projector_bytes = bytes;
    r->wish.projector_on_host = r->mmproj_on_host;
    return true;
}

/* The engine looks at the last block of the file to see that it is a head, not a model (common/speculative.cpp,
 * behaviour). */
static bool is_head(const struct model *m)
{
    for (uint32_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i].role == ROLE_NEXTN_EH_PROJ && m->tensors[i].layer + 1 == (int)m->n_layers)
            return true;
    return false;
}

static bool load_draft(struct engine_request *r, struct arena *arena, struct err *err)
{
    struct model *draft = arena_new(arena, struct model);
    struct model_request req = {.ref = r->draft_ref};
    if (!draft)
        return err_set(err, ERR_1201, "no memory for the draft model");
    if (!model_open(&req, arena, draft, err))
        return err_prefix(err, "--model-draft");
    r->wish.draft = draft;
    if (is_head(draft))
        request_draft_is_head(r);
    return true;
}

/* Adapter tensors lie where their weights lie: by the block's number in the name, else with the output layer. */
static bool load_lora(const char *path, const struct model *m, uint64_t *extra, struct arena *arena,
                      struct err *err)
{
    struct gguf g;
    if (!gguf_read_path(path, 0, arena, &g, err))
        return err_prefix(err, "--lora");
    for (uint32_t i = 0; i < g.n_tensors; i++) {
        unsigned layer;
        bool in_block = sscanf(g.tensors[i].name, "blk.%u.", &layer) == 1 && layer < m->n_layers;
        extra[in_block ? layer : m->n_layers] += aligned(g.tensors[i].size_bytes);
    }
    return true;
}

bool request_load(struct engine_request *r, const struct model *model, struct arena *arena,
                  struct err *err)
{
    if (r->mmproj_ref && !load_projector(r, arena, err))
        return false;
    if (r->draft_ref && !load_draft(r, arena, err))
        return false;
    if (!r->n_loras && !r->n_control)
        return true;
    uint64_t *extra = arena_array(arena, uint64_t, model->n_layers + 1);
    if (!extra)
        return err_set(err, ERR_1201, "no memory for the adapters' sizes");
    for (uint32_t i = 0; i < r->n_loras; i++)
        if (!load_lora(r->loras[i], model, extra, arena, err))
            return false;
    /* A control vector is one F32 vector of the model's width on every layer but the first. */
    for (uint32_t il = 1; r->n_control && il < model->n_layers; il++)
        extra[il] += aligned(4ull * model->hp.n_embd);
    r->wish.layer_extra = extra;
    return true;
}
