/* split: cuts weights and caches into slices: whole head groups, rotated from layer to layer. */
#include "law/split.h"

#include <string.h>

#include "law/buffer.h"
#include "law/split_rule.h"
#include "law/weight.h"

struct slicer {
    const struct model *m;
    const struct machine *mc;
    const struct law_settings *s;
    const struct assignment *a;
    struct law_result *out;
    uint32_t n;                              /* devices */
    int place[MACHINE_MAX_DEVICES];          /* RPC first, as the engine lists them */
    uint16_t rotation[MODEL_MAX_LAYERS + 1]; /* [n_layers]: of model-wide tensors */
};

static void slicer_init(struct slicer *w, const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a,
                        struct law_result *out)
{
    *w = (struct slicer){.m = m, .mc = mc, .s = s, .a = a, .out = out};
    for (int rpc = 1; rpc >= 0; rpc--)
        for (uint32_t i = 0; i < mc->n_devices; i++)
            if ((mc->devices[i].backend == BACKEND_RPC) == rpc)
                w->place[w->n++] = (int)i;
    uint32_t kinds[4] = {0}; /* layers so far that are recurrent, windowed, both, neither */
    for (uint32_t il = 0; il < m->n_layers; il++) {
        uint32_t *seen = &kinds[split_layer_kind(m, il)];
        w->rotation[il] = (uint16_t)((*seen)++ % w->n);
    }
    w->rotation[m->n_layers] = (uint16_t)((m->n_layers - m->hp.n_nextn) % w->n);
}

/* The engine's own arithmetic: integers when the split is even, floats when -ts is given. */
static void cut(const struct slicer *w, const struct split_rule *r, uint32_t rotation, uint64_t *ne)
{
    float scan[MACHINE_MAX_DEVICES], sum = 0.0f;
    for (uint32_t j = 0; j < w->n; j++) {
        uint32_t at = (j + rotation) % w->n;
        sum += at < w->s->n_tensor_split ? (float)w->s->tensor_split[at] : 0.0f;
        scan[j] = sum;
    }
    memset(ne, 0, w->n * sizeof(*ne));
    for (uint32_t i = 0; i < r->n_segments; i++) {
        int64_t len = (int64_t)r->segment[i].length, low = 0;
        for (uint32_t j = 0; j < w->n; j++) {
            int64_t high = len;
            if (j + 1 < w->n) {
                high = sum == 0.0f ? len * (j + 1) / w->n : (int64_t)((float)len * scan[j] / sum);
                high -= high % (int64_t)r->segment[i].grain;
            }
            ne[(j + rotation) % w->n] += (uint64_t)(high - low) * r->segment[i].count;
            low = high;
        }
    }
}

static uint64_t *weights_of(const struct slicer *w, uint32_t j)
{
    return &w->out->device[w->place[j]].bytes.weights;
}

static struct buffer_rule rule_of(const struct slicer *w, uint32_t j)
{
    return buffer_rule_device(w->mc->devices[w->place[j]].backend);
}

/* Bytes of a tensor of these dimensions in device j's buffer; an empty slice of a quantised tensor
 * still takes its row padding. */
static uint64_t slice_bytes(const struct slicer *w, uint32_t j, uint32_t type, const uint64_t *ne)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    uint64_t bytes = gguf_row_bytes(t, ne[0]) * ne[1] * ne[2] * ne[3];
    return buffer_bytes(rule_of(w, j), t, ne[0], bytes);
}

static void add_mirrored(const struct slicer *w, const struct model_tensor *t)
{
    for (uint32_t j = 0; j < w->n; j++)
        *weights_of(w, j) += slice_bytes(w, j, t->type, t->ne);
}

static void add_tensor(const struct slicer *w, const struct model_tensor *t)
{
    struct split_rule r;
    if (!split_rule_weight(w->m, w->n, t, &r)) {
        add_mirrored(w, t);
        return;
    }
    uint64_t part[MACHINE_MAX_DEVICES], ne[4];
    cut(w, &r, w->rotation[t->layer < 0 ? (int)w->m->n_layers : t->layer], part);
    for (uint32_t j = 0; j < w->n; j++) {
        memcpy(ne, t->ne, sizeof(ne));
        ne[r.axis] = part[j];
        *weights_of(w, j) += slice_bytes(w, j, t->type, ne);
    }
}

bool split_check(const struct model *m, const struct assignment *a, struct err *err)
{
    for (uint32_t il = 0; il < m->n_layers; il++) {
        if (a->layer_buffer[il] == LAW_HOST || split_layer_is_known(m, il))
            continue;
        err_set(err, ERR_2112,
                "-sm tensor cannot split this model: layer %u has no attn_output and no ssm_out",
                il);
        err_why(err, "the engine takes the bounds of the slices from these and would abort");
        return err_fix(err, "-sm layer", "share out whole layers");
    }
    return true;
}

void split_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 const struct assignment *a, struct law_result *out)
{
    struct slicer w;
    slicer_init(&w, m, mc, s, a, out);
    struct law_result host = {0};
    assign_weigh(m, mc, s, a,
                 &host); /* its one device stands for all; only the host's part is as it says */
    out->host.weights += host.host.weights;
    out->host_repack += host.host_repack;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        if (weight_is_rope_factor(t) ? assign_copies_rope_factor(m, a, t, 0)
                                     : a->tensor_buffer[i] == 0)
            add_tensor(&w, t);
    }
    if (a->output_copy_buffer == 0)
        add_mirrored(&w, model_global(m, ROLE_TOKEN_EMBD, PART_WEIGHT));
}

static void add_cache(const struct slicer *w, uint32_t il, enum split_cache kind, uint32_t type,
                      const uint64_t *ne)
{
    struct split_rule r;
    bool sliced = split_rule_cache(w->m, w->n, il, kind, ne[0], &r);
    uint64_t part[MACHINE_MAX_DEVICES], own_ne[4];
    if (sliced)
        cut(w, &r, w->rotation[il], part);
    for (uint32_t j = 0; j < w->n; j++) {
        memcpy(own_ne, ne, sizeof(own_ne));
        if (sliced)
            own_ne[0] = part[j];
        w->out->device[w->place[j]].bytes.kv += slice_bytes(w, j, type, own_ne);
    }
}

void split_weigh_cache(const struct model *m, const struct machine *mc,
                       const struct law_settings *s, const struct assignment *a,
                       const struct cache_plan *c, struct law_result *out)
{
    struct slicer w;
    slicer_init(&w, m, mc, s, a, out);
    struct law_result host = {0};
    cache_weigh(m, mc, s, a, c, &host);
    out->host.kv += host.host.kv;
    for (uint32_t il = 0; il < m->n_layers; il++) {
        const struct cache_layer *l = &c->layer[il];
        if (l->buffer == LAW_HOST)
            continue;
        uint64_t rows = c->rs_rows ? c->rs_rows : 1;
        if (l->k_row)
            add_cache(&w, il, SPLIT_CACHE_KV, s->type_k,
                      (uint64_t[]){l->k_row, l->cells, c->n_streams, 1});
        if (l->v_row)
            add_cache(&w, il, SPLIT_CACHE_KV, s->type_v,
                      (uint64_t[]){l->v_row, l->cells, c->n_streams, 1});
        if (l->r_elements)
            add_cache(&w, il, SPLIT_CACHE_R, GGUF_TYPE_F32,
                      (uint64_t[]){l->r_elements / rows, rows, 1, 1});
        if (l->s_elements)
            add_cache(&w, il, SPLIT_CACHE_S, GGUF_TYPE_F32,
                      (uint64_t[]){l->s_elements / rows, rows, 1, 1});
    }
}
