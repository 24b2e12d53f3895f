/* law: the whole answer for one command: refuse, assign, size caches, weigh, reserve compute. */
#include "law/law.h"

#include <string.h>

#include "law/assign.h"
#include "law/cache.h"
#include "law/compute.h"
#include "law/fold.h"
#include "law/nextn.h"
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

struct law_settings law_nextn_settings(const struct law_settings *main, uint32_t n_ctx,
                                       uint32_t type_k, uint32_t type_v)
{
    struct law_settings s = *main;
    s.context = CONTEXT_NEXTN;
    s.mtp = true;
    s.embeddings = false;
    s.n_ctx = n_ctx;
    s.type_k = type_k;
    s.type_v = type_v;
    s.n_outputs_max = s.n_seq_max;
    s.n_outputs_per_seq = 1;
    s.n_rs_seq = 0;
    return s;
}

bool law_can_draft(const struct model *model)
{
    struct err none = {0};
    return nextn_check(model, &none) && nextn_graph_for(model);
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

/* One question on its way to its answer. */
struct reckoning {
    const struct model *m; /* as the context sees it */
    const struct machine *mc;
    struct law_settings s;
    struct assignment a;
    struct cache_plan c;
    struct law_result result;
};

static void weigh(struct reckoning *r)
{
    struct law_result *out = &r->result;
    bool tensor = r->s.split == SPLIT_TENSOR, loads = r->s.context == CONTEXT_MAIN;
    if (loads)
        (tensor ? split_weigh : assign_weigh)(r->m, r->mc, &r->s, &r->a, out);
    (tensor ? split_weigh_cache : cache_weigh)(r->m, r->mc, &r->s, &r->a, &r->c, out);
    out->n_ctx = r->c.n_ctx;
    out->n_ctx_seq = r->c.n_ctx_seq;
    out->n_batch = r->c.n_batch;
    out->n_ubatch = r->c.n_ubatch;
    out->n_streams = r->c.n_streams;
    out->pipeline = r->a.pipeline;
    out->host_output =
        (uint64_t)r->s.n_seq_max * 4 * (r->m->hp.n_vocab + (r->s.embeddings ? r->m->hp.n_embd : 0));
}

/* Weights lie where they lie for the whole model; the draft context runs on a part of it. */
static bool take_draft_part(struct reckoning *r, struct arena *scratch, struct err *err)
{
    struct model *part = arena_new(scratch, struct model);
    if (!nextn_check(r->m, err))
        return false;
    if (!part || !nextn_model_make(r->m, scratch, part))
        return err_set(err, ERR_1201, "no memory for the draft context");
    r->m = part;
    return true;
}

/* Everything but compute. The V cache is laid out by what was asked, before it is known whether
 * flash attention can run. */
static bool reckon(struct reckoning *r, const struct model *m, const struct machine *mc,
                   const struct law_settings *asked, struct arena *scratch, struct err *err)
{
    *r = (struct reckoning){.m = m, .mc = mc, .s = settle(m, asked)};
    if (!refuse_check(m, mc, &r->s, err) || !assign_make(m, mc, &r->s, scratch, &r->a, err))
        return false;
    if (r->s.split == SPLIT_TENSOR && !split_check(m, &r->a, err))
        return false;
    if (r->s.context == CONTEXT_NEXTN && !take_draft_part(r, scratch, err))
        return false;
    r->result.flash_on = r->s.flash != FLASH_OFF;
    if (!cache_make(r->m, &r->s, &r->a, r->result.flash_on, &r->c, err))
        return false;
    report_layers(m, mc, &r->s, &r->a, &r->result);
    weigh(r);
    return true;
}

bool law_estimate_static(const struct model *model, const struct machine *machine,
                         const struct law_settings *settings, struct arena *scratch,
                         struct law_result *out, struct err *err)
{
    struct reckoning r;
    struct arena_mark mark = arena_mark(scratch);
    bool ok = reckon(&r, model, machine, settings, scratch, err);
    arena_rewind(scratch, mark);
    if (ok)
        *out = r.result;
    return ok;
}

static bool reserve_whole(struct reckoning *r, struct arena *scratch, struct err *err)
{
    struct compute_load load;
    return compute_reserve(r->m, r->mc, &r->s, &r->a, &r->c, scratch, &r->result, &load, err);
}

bool law_estimate(const struct model *model, const struct machine *machine,
                  const struct law_settings *settings, struct arena *scratch,
                  struct law_result *out, struct err *err)
{
    struct reckoning r;
    struct arena_mark mark = arena_mark(scratch);
    bool ok = reckon(&r, model, machine, settings, scratch, err) && reserve_whole(&r, scratch, err);
    arena_rewind(scratch, mark);
    if (ok)
        *out = r.result;
    return ok;
}

/* Norms are pinned where all layers are offloaded (build.c): the folded model keeps that answer. */
static int32_t folded_gpu_layers(const struct model *m, const struct law_settings *s)
{
    bool all = s->n_gpu_layers < 0 || (uint32_t)s->n_gpu_layers > m->n_layers;
    return all ? -1 : 1;
}

static bool reserve_folded(const struct reckoning *r, uint32_t kept, struct arena *scratch,
                           struct law_result *out, struct compute_load *load)
{
    struct folded *f = arena_new(scratch, struct folded);
    struct law_settings s = r->s;
    struct err quiet = {0};
    *out = r->result;
    if (!f || !fold_make(r->m, &r->a, &r->c, kept, scratch, f))
        return false;
    s.n_gpu_layers = folded_gpu_layers(r->m, &r->s);
    if (!compute_reserve(&f->model, r->mc, &s, &f->assignment, &f->cache, scratch, out, load,
                         &quiet))
        return false;
    double scale = (double)r->m->n_layers / (double)f->model.n_layers;
    return load->n_nodes * scale < load->most_nodes && load->n_keys * scale <= load->most_keys;
}

static bool same_compute(const struct law_result *x, const struct law_result *y)
{
    bool same = x->host.compute == y->host.compute;
    for (uint32_t i = 0; i < x->n_devices; i++)
        same &= x->device[i].bytes.compute == y->device[i].bytes.compute;
    return same;
}

/* Where layers are cut within themselves, what crosses may pile up from layer to layer: a period
 * more tells. False: the whole graph must be made. */
static bool reserve_quickly(struct reckoning *r, struct arena *scratch)
{
    struct law_result less, more;
    struct compute_load load;
    if (!reserve_folded(r, 0, scratch, &less, &load))
        return false;
    if (load.n_splits > r->a.n_devices + 1 &&
        (!reserve_folded(r, 1, scratch, &more, &load) || !same_compute(&less, &more)))
        return false;
    r->result = less;
    return true;
}

bool law_estimate_quick(const struct model *model, const struct machine *machine,
                        const struct law_settings *settings, struct arena *scratch,
                        struct law_result *out, struct err *err)
{
    struct reckoning r;
    struct arena_mark mark = arena_mark(scratch);
    bool ok = reckon(&r, model, machine, settings, scratch, err) &&
              (reserve_quickly(&r, scratch) || reserve_whole(&r, scratch, err));
    arena_rewind(scratch, mark);
    if (ok)
        *out = r.result;
    return ok;
}
