/* fold: the same model with most of its equal layers left out, for searches that need compute
 * buffers quickly. */
#include "law/fold.h"

#include <string.h>

enum { MAX_PERIOD = 8, KEPT_PERIODS = 2, KEPT_LEAST = 3 };

struct folder {
    const struct model *m;
    const struct assignment *a;
    const struct cache_plan *c;
    uint32_t more;  /* periods kept beyond those that settle */
    uint32_t n;     /* layers kept so far */
    uint32_t *kept; /* [n_layers] */
    uint64_t *sign; /* [n_layers] */
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15u ^ hash >> 29;
}

/* What the nodes of a layer depend on: kinds and widths, and which tensors it has, of what shape,
 * where. Of equal value for layers that make the same nodes; a chance of 2^-64 to be equal for
 * others is one a search can take. */
static uint64_t signature(const struct folder *f, uint32_t il)
{
    const struct model_layer *l = &f->m->layers[il];
    const struct cache_layer *c = &f->c->layer[il];
    const int32_t *tensor = &l->tensor[0][0];
    uint64_t h = mix(l->kv, (uint64_t)l->ffn << 8 | l->nextn);
    h = mix(mix(h, (uint64_t)l->n_head << 32 | l->n_head_kv),
            (uint64_t)l->head_dim_k << 32 | l->head_dim_v);
    h = mix(mix(mix(h, l->n_ff), (uint64_t)c->cells << 1 | c->window),
            (uint64_t)c->k_row << 32 | c->v_row);
    h = mix(mix(mix(h, (uint64_t)(uint32_t)c->buffer), c->r_elements), c->s_elements);
    for (uint32_t k = 0; k < ROLE_COUNT * PART_COUNT; k++) {
        if (tensor[k] < 0)
            continue;
        const struct model_tensor *t = &f->m->tensors[tensor[k]];
        int buffer = f->a->tensor_buffer[tensor[k]];
        h = mix(mix(h, (uint64_t)k << 32 | (uint64_t)(uint8_t)buffer << 8 |
                           (buffer == LAW_HOST ? t->type : 0)),
                t->ne[0]);
        h = mix(mix(h, t->ne[1]), t->ne[2]);
    }
    return h;
}

/* Length of the run from `at` in which every layer equals the one `period` before it. */
static uint32_t run_length(const struct folder *f, uint32_t at, uint32_t end, uint32_t period)
{
    uint32_t i = at + period;
    while (i < end && f->sign[i] == f->sign[i - period])
        i++;
    return i - at;
}

static void keep(struct folder *f, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        f->kept[f->n++] = i;
}

/* Folds layers [at, end) of one buffer: the longest periodic run at its head loses its middle
 * periods. */
static void fold_segment(struct folder *f, uint32_t at, uint32_t end)
{
    while (at < end) {
        uint32_t best = 0, best_period = 1;
        for (uint32_t period = 1; period <= MAX_PERIOD && at + period <= end; period++) {
            uint32_t n = run_length(f, at, end, period);
            if (n >= 2 * period && n > best + best_period) {
                best = n;
                best_period = period;
            }
        }
        uint32_t least =
            best_period * KEPT_PERIODS > KEPT_LEAST ? best_period * KEPT_PERIODS : KEPT_LEAST;
        if (best < 2 * least + (f->more + 1) * best_period) {
            keep(f, at, at + 1);
            at++;
            continue;
        }
        uint32_t dropped = ((best - 2 * least) / best_period - f->more) * best_period;
        keep(f, at, at + least);
        keep(f, at + least + dropped, at + best);
        at += best;
    }
}

static bool can_fold(const struct model *m)
{
    if (m->hp.n_embd_per_layer || m->hp.n_kv_shared_layers)
        return false;
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layers[i].kv == KV_SHARED)
            return false;
    return m->n_layers > 2 * KEPT_LEAST + 1;
}

bool fold_make(const struct model *m, const struct assignment *a, const struct cache_plan *c,
               uint32_t more, struct arena *arena, struct folded *out)
{
    struct folder f = {m,
                       a,
                       c,
                       more,
                       0,
                       arena_array(arena, uint32_t, m->n_layers),
                       arena_array(arena, uint64_t, m->n_layers)};
    struct model_layer *layers = arena_array(arena, struct model_layer, m->n_layers);
    if (!f.kept || !f.sign || !layers || !can_fold(m))
        return false;
    for (uint32_t i = 0; i < m->n_layers; i++)
        f.sign[i] = signature(&f, i);
    for (uint32_t from = 0, to; from < m->n_layers; from = to) {
        to = from + 1;
        while (to < m->n_layers && a->layer_buffer[to] == a->layer_buffer[from])
            to++;
        fold_segment(&f, from, to);
    }
    if (f.n == m->n_layers)
        return false;
    out->model = *m;
    out->assignment = *a;
    out->cache = *c;
    for (uint32_t i = 0; i < f.n; i++) {
        layers[i] = m->layers[f.kept[i]];
        out->assignment.layer_buffer[i] = a->layer_buffer[f.kept[i]];
        out->cache.layer[i] = c->layer[f.kept[i]];
    }
    out->assignment.layer_buffer[f.n] = a->layer_buffer[m->n_layers];
    out->model.layers = layers;
    out->model.n_layers = f.n; /* hp.n_layer stays: some families choose a variant by it */
    return true;
}
