/* law: the whole answer for one command: refuse, assign, size caches, weigh, reserve compute. */
#include "law/law.h"

#include <string.h>

#include "law/assign.h"
#include "law/cache.h"
#include "law/compute.h"
#include "law/fold.h"
#include "law/refuse.h"
#include "law/split.h"

static const struct law_version VERSIONS[] = {
    {"llama.cpp", "llama.cpp 0.5.0-dev with ggml 0.25.1 (September 2026)", 0, false},
};

const struct law_version *law_version_for(uint32_t build)
{
    size_t n = sizeof(VERSIONS) / sizeof(*VERSIONS);
    for (size_t i = 0; build != 0 && i + 1 < n; i++)
        if (build >= VERSIONS[i].from_build)
            return &VERSIONS[i];
    return build == 0 ? &VERSIONS[0] : &VERSIONS[n - 1];
}

struct law_settings law_default_settings(void)
{
    return (struct law_settings){.n_batch = 2048,
                                 .n_ubatch = 512,
                                 .n_seq_max = 1,
                                 .type_k = GGUF_TYPE_F16,
                                 .type_v = GGUF_TYPE_F16,
                                 .flash = FLASH_AUTO,
                                 .n_gpu_layers = -1,
                                 .split = SPLIT_LAYER};
}

/* What the engine makes of the wishes before it builds anything. */
static struct law_settings settle(const struct model *m, const struct law_settings *asked)
{
    struct law_settings s = *asked;
    const struct gguf_type_info *v = gguf_type_info(s.type_v);
    if (strcmp(m->architecture, "grok") == 0)
        s.flash = FLASH_OFF;
    else if (s.flash == FLASH_AUTO && (s.split == SPLIT_TENSOR || v->quantised))
        s.flash = FLASH_ON;
    if (s.n_seq_max == 0)
        s.n_seq_max = 1;
    if (!cache_can_roll_back(m))
        s.n_rs_seq = 0;
    if (s.embeddings)
        s.n_outputs_max = s.n_outputs_per_seq = 0;
    return s;
}

static void report_layers(const struct model *m, const struct machine *mc,
                          const struct law_settings *s, const struct assignment *a,
                          struct law_result *out)
{
    out->n_devices = mc->n_devices;
    for (uint32_t i = 0; i < mc->n_devices; i++)
        out->device[i].first_layer = out->device[i].last_layer = -1;
    for (uint32_t il = 0; il <= m->n_layers; il++) {
        int buffer = a->layer_buffer[il];
        out->layer_device[il] = buffer == LAW_HOST ? LAW_HOST : a->device_of[buffer];
        for (uint32_t i = 0; i < mc->n_devices && buffer != LAW_HOST; i++) {
            struct law_device *d = &out->device[i];
            if ((int)i != a->device_of[buffer] && s->split != SPLIT_TENSOR)
                continue;
            if (d->first_layer < 0)
                d->first_layer = (int)il;
            d->last_layer = (int)il;
        }
    }
}

static void weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                  const struct assignment *a, const struct cache_plan *c, struct law_result *out)
{
    if (s->split == SPLIT_TENSOR) {
        split_weigh(m, mc, s, a, out);
        split_weigh_cache(m, mc, s, a, c, out);
    } else {
        assign_weigh(m, mc, s, a, out);
        cache_weigh(m, mc, s, a, c, out);
    }
    out->n_ctx = c->n_ctx;
    out->n_ctx_seq = c->n_ctx_seq;
    out->n_batch = c->n_batch;
    out->n_ubatch = c->n_ubatch;
    out->n_streams = c->n_streams;
    out->pipeline = a->pipeline;
    out->host_output =
        (uint64_t)s->n_seq_max * 4 * (m->hp.n_vocab + (s->embeddings ? m->hp.n_embd : 0));
}

/* Everything but compute. The V cache is laid out by what was asked, before it is known whether
 * flash attention can run. */
static bool estimate_static(const struct model *m, const struct machine *mc,
                            const struct law_settings *s, struct arena *scratch,
                            struct assignment *a, struct cache_plan *c, struct law_result *out,
                            struct err *err)
{
    if (!refuse_check(m, mc, s, err) || !assign_make(m, mc, s, scratch, a, err))
        return false;
    if (s->split == SPLIT_TENSOR && !split_check(m, a, err))
        return false;
    out->flash_on = s->flash != FLASH_OFF;
    if (!cache_make(m, s, a, out->flash_on, c, err))
        return false;
    report_layers(m, mc, s, a, out);
    weigh(m, mc, s, a, c, out);
    return true;
}

bool law_estimate_static(const struct model *model, const struct machine *machine,
                         const struct law_settings *settings, struct arena *scratch,
                         struct law_result *out, struct err *err)
{
    struct law_result result = {0};
    struct assignment a;
    struct cache_plan c;
    struct arena_mark mark = arena_mark(scratch);
    struct law_settings s = settle(model, settings);
    bool ok = estimate_static(model, machine, &s, scratch, &a, &c, &result, err);
    arena_rewind(scratch, mark);
    if (ok)
        *out = result;
    return ok;
}

bool law_estimate(const struct model *model, const struct machine *machine,
                  const struct law_settings *settings, struct arena *scratch,
                  struct law_result *out, struct err *err)
{
    struct law_result result = {0};
    struct assignment a;
    struct cache_plan c;
    struct arena_mark mark = arena_mark(scratch);
    struct law_settings s = settle(model, settings);
    bool ok = estimate_static(model, machine, &s, scratch, &a, &c, &result, err) &&
              compute_reserve(model, machine, &s, &a, &c, scratch, &result, err);
    arena_rewind(scratch, mark);
    if (ok)
        *out = result;
    return ok;
}

/* Norms are pinned where all layers are offloaded (build.c): the folded model keeps that answer. */
static int32_t folded_gpu_layers(const struct model *m, const struct law_settings *s)
{
    bool all = s->n_gpu_layers < 0 || (uint32_t)s->n_gpu_layers > m->n_layers;
    return all ? -1 : 1;
}

bool law_estimate_quick(const struct model *model, const struct machine *machine,
                        const struct law_settings *settings, struct arena *scratch,
                        struct law_result *out, struct err *err)
{
    struct law_result result = {0};
    struct assignment a;
    struct cache_plan c;
    struct arena_mark mark = arena_mark(scratch);
    struct law_settings s = settle(model, settings);
    struct folded *f = arena_new(scratch, struct folded);
    bool ok = f && estimate_static(model, machine, &s, scratch, &a, &c, &result, err);
    if (ok && fold_make(model, &a, &c, scratch, f)) {
        s.n_gpu_layers = folded_gpu_layers(model, &s);
        ok = compute_reserve(&f->model, machine, &s, &f->assignment, &f->cache, scratch, &result,
                             err);
    } else if (ok) {
        ok = compute_reserve(model, machine, &s, &a, &c, scratch, &result, err);
    }
    arena_rewind(scratch, mark);
    if (!f)
        return err_set(err, ERR_1201, "no memory for an estimate");
    if (ok)
        *out = result;
    return ok;
}
