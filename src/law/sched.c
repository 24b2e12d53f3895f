/* sched: cuts a graph where the backend changes, copies what crosses, orders it. */
#include "law/sched_state.h"

#include <string.h>

#include "law/graph_make.h"

bool sched_supports(const struct sched_env *env, int backend, const struct g_tensor *op)
{
    return backend == (int)env->n_devices ? cpu_supports(op)
                                          : cuda_supports(&env->devices[backend], op);
}

void *sched_grow(struct sched_state *s, void **items, uint32_t *n, uint32_t *cap, size_t size)
{
    if (*n == *cap) {
        uint32_t wide = *cap ? 2 * *cap : 64;
        void *grown = arena_alloc(s->arena, wide, size);
        if (!grown) {
            s->why = "memory";
            return NULL;
        }
        if (*n)
            memcpy(grown, *items, *n * size);
        *items = grown;
        *cap = wide;
    }
    return (char *)*items + size * (*n)++;
}

struct crossing *sched_crossing(struct sched_state *s, const struct g_tensor *t, int backend)
{
    if (t->id >= s->n_ids)
        return NULL;
    for (int32_t i = s->crossing[t->id] - 1; i >= 0; i = s->crossings.item[i].next)
        if (s->crossings.item[i].backend == backend)
            return &s->crossings.item[i];
    return NULL;
}

static struct g_tensor *duplicate(struct sched_state *s, const struct g_tensor *t)
{
    struct g_tensor *d = g_make(s->g, OP_NONE, t->type, t->ne[0], t->ne[1], t->ne[2], t->ne[3]);
    memcpy(d->nb, t->nb, sizeof d->nb);
    d->name = t->name;
    return d;
}

/* With a pipeline copies are filled while earlier ones are still read: they are never given up. */
static bool add_crossing(struct sched_state *s, struct g_tensor *t, int backend,
                         bool first_is_itself)
{
    struct crossing *c = SCHED_ADD(s, s->crossings);
    if (!c)
        return false;
    *c = (struct crossing){.next = s->crossing[t->id] - 1, .backend = backend};
    s->crossing[t->id] = (int32_t)s->crossings.n;
    for (uint32_t i = 0; i < s->env->n_copies; i++) {
        c->copy[i] = i == 0 && first_is_itself ? t : duplicate(s, t);
        if (s->env->n_copies > 1)
            c->copy[i]->flags |= G_INPUT | G_OUTPUT;
    }
    return true;
}

/* Weights brought over from elsewhere: a new split lets the previous ones' room be used again. */
static bool brings_weights(const struct sched_state *s, const struct g_tensor *t, int cur)
{
    for (int j = 0; j < t->n_src; j++)
        if (t->src[j] && t->src[j]->flags & G_WEIGHT && !sched_is_at(s, t->src[j], cur))
            return true;
    return false;
}

static struct sched_split *open_split(struct sched_state *s, int backend, uint32_t from)
{
    struct sched_split *split = SCHED_ADD(s, s->splits);
    if (split)
        *split = (struct sched_split){.backend = backend, .from = from, .first_input = s->inputs.n};
    return split;
}

static bool bring_source(struct sched_state *s, struct sched_split *split, struct g_tensor *t,
                         int j)
{
    struct g_tensor *src = t->src[j];
    int at = s->backend[src->id];
    if (src->flags & G_INPUT && s->env->n_copies > 1 && !sched_crossing(s, src, at)) {
        struct g_tensor **slot = SCHED_ADD(s, s->graph_inputs);
        if (!slot || !add_crossing(s, src, at, true))
            return false;
        *slot = src;
    }
    if (sched_is_at(s, src, split->backend))
        return true;
    if (!sched_crossing(s, src, split->backend)) {
        struct g_tensor **slot = SCHED_ADD(s, s->inputs);
        if (!slot || !add_crossing(s, src, split->backend, false))
            return false;
        *slot = src;
        split->n_inputs++;
    }
    t->src[j] = sched_crossing(s, src, split->backend)->copy[0];
    return true;
}

bool sched_cut(struct sched_state *s)
{
    struct sched_split *split = NULL;
    for (uint32_t i = 0; i < s->g->n_nodes; i++) {
        struct g_tensor *t = s->g->nodes[i];
        if (g_is_view_op(t->op))
            continue;
        int b = s->backend[t->id];
        bool cut = split && (b != split->backend || (split->n_inputs && brings_weights(s, t, b)));
        if (cut)
            split->to = i;
        if (cut || !split)
            split = open_split(s, b, split ? i : 0);
        for (int j = 0; j < t->n_src && split; j++)
            if (t->src[j] && !bring_source(s, split, t, j))
                return false;
        if (!split)
            return false;
    }
    if (split)
        split->to = s->g->n_nodes;
    return true;
}

static void add_keep(void *ctx, struct g_tensor *t, uint32_t until)
{
    struct sched_state *s = ctx;
    for (uint32_t i = s->keeps.n; i > 0 && s->keeps.item[i - 1].until == until; i--)
        if (s->keeps.item[i - 1].t == t)
            return;
    struct keep_pair *pair = SCHED_ADD(s, s->keeps);
    if (pair)
        *pair = (struct keep_pair){until, t};
}

static uint16_t *count_uses(const struct sched_state *s)
{
    uint16_t *uses = arena_array(s->arena, uint16_t, (size_t)s->n_ids);
    for (uint32_t i = 0; uses && i < s->g->n_nodes; i++)
        for (int j = 0; j < s->g->nodes[i]->n_src; j++)
            if (s->g->nodes[i]->src[j])
                uses[s->g->nodes[i]->src[j]->id]++;
    return uses;
}

static bool fuses_any(const struct sched_env *env)
{
    for (uint32_t d = 0; d < env->n_devices; d++)
        if (!env->devices[d].passive)
            return true;
    return false;
}

static void find_keeps(struct sched_state *s, const uint16_t *uses)
{
    struct keep_sink sink = {add_keep, s};
    for (uint32_t i = 0; i < s->splits.n; i++) {
        const struct sched_split *split = &s->splits.item[i];
        if (split->backend == s->cpu || s->env->devices[split->backend].passive)
            continue;
        struct graph_part part = {s->g->nodes, uses, s->g->n_nodes, split->from, split->to};
        cuda_keep_for_fusion(&part, &sink);
    }
}

static void put_node(struct galloc_graph *out, struct g_tensor *t, int buffer)
{
    out->node_buffer[out->n_nodes] = (int8_t)buffer;
    out->nodes[out->n_nodes++] = t;
}

static void put_leafs(struct sched_state *s, struct galloc_graph *out, const struct g_tensor *t,
                      int backend)
{
    const struct crossing *c = sched_crossing(s, t, backend);
    for (uint32_t i = 0; i < s->env->n_copies; i++) {
        out->leaf_buffer[out->n_leafs] = (int8_t)backend;
        out->leafs[out->n_leafs++] = c->copy[i];
    }
}

/* Nodes that only hold their sources: nothing they look at is freed before them. */
static void put_keepers(struct sched_state *s, struct galloc_graph *out, uint32_t *at,
                        uint32_t until, int backend)
{
    while (*at < s->keeps.n && s->keeps.item[*at].until == until) {
        struct g_tensor *dep = g_make_same(s->g, OP_NONE, s->keeps.item[*at].t);
        while (dep->n_src < G_MAX_SRC && *at < s->keeps.n && s->keeps.item[*at].until == until)
            dep->src[dep->n_src++] = s->keeps.item[(*at)++].t;
        put_node(out, dep, backend);
    }
}

static bool make_room(struct sched_state *s, struct galloc_graph *out)
{
    size_t n = s->g->n_nodes + 2 * (size_t)s->inputs.n + s->keeps.n;
    size_t l = s->g->n_leafs + s->env->n_copies * (size_t)(s->inputs.n + s->graph_inputs.n);
    out->nodes = arena_array(s->arena, struct g_tensor *, n ? n : 1);
    out->node_buffer = arena_array(s->arena, int8_t, n ? n : 1);
    out->leafs = arena_array(s->arena, struct g_tensor *, l ? l : 1);
    out->leaf_buffer = arena_array(s->arena, int8_t, l ? l : 1);
    return out->nodes && out->node_buffer && out->leafs && out->leaf_buffer;
}

bool sched_arrange(struct sched_state *s, struct galloc_graph *out)
{
    if (!make_room(s, out))
        return false;
    uint32_t keep = 0;
    for (uint32_t i = 0; i < s->splits.n; i++) {
        const struct sched_split *split = &s->splits.item[i];
        for (uint32_t j = split->first_input; j < split->first_input + split->n_inputs; j++) {
            struct g_tensor *input = s->inputs.item[j];
            struct g_tensor *holder = g_make_same(s->g, OP_NONE, input);
            holder->n_src = 1;
            put_node(out, holder, s->backend[input->id]);
            put_node(out, sched_crossing(s, input, split->backend)->copy[0], split->backend);
        }
        for (uint32_t j = split->from; j < split->to; j++) {
            put_node(out, s->g->nodes[j], s->backend[s->g->nodes[j]->id]);
            put_keepers(s, out, &keep, j, split->backend);
        }
    }
    if (s->env->n_copies > 1) {
        for (uint32_t i = 0; i < s->graph_inputs.n; i++)
            put_leafs(s, out, s->graph_inputs.item[i], s->backend[s->graph_inputs.item[i]->id]);
        for (uint32_t i = 0; i < s->splits.n; i++)
            for (uint32_t j = 0; j < s->splits.item[i].n_inputs; j++)
                put_leafs(s, out, s->inputs.item[s->splits.item[i].first_input + j],
                          s->splits.item[i].backend);
    }
    for (uint32_t i = 0; i < s->g->n_leafs; i++) {
        out->leaf_buffer[out->n_leafs] = s->backend[s->g->leafs[i]->id];
        out->leafs[out->n_leafs++] = s->g->leafs[i];
    }
    out->n_tensors = s->g->n_tensors;
    return !s->g->failed;
}

static bool prepare(struct sched_state *s)
{
    s->n_ids = s->g->n_tensors;
    s->backend = arena_array(s->arena, int8_t, (size_t)s->n_ids + 1);
    s->crossing = arena_array(s->arena, int32_t, (size_t)s->n_ids + 1);
    if (!s->backend || !s->crossing)
        return false;
    memset(s->backend, SCHED_NOWHERE, (size_t)s->n_ids);
    return true;
}

bool sched_make(const struct sched_env *env, struct graph *g, struct arena *scratch,
                struct sched_plan *out, const char **why)
{
    struct sched_state s = {.env = env, .g = g, .arena = scratch, .cpu = (int)env->n_devices};
    bool fuses = fuses_any(env);
    uint16_t *uses = NULL;
    memset(out, 0, sizeof *out);
    bool ok =
        prepare(&s) && (!fuses || (uses = count_uses(&s))) && sched_assign(&s) && sched_cut(&s);
    if (ok && fuses)
        find_keeps(&s, uses);
    ok = ok && !s.why && sched_arrange(&s, &out->order);
    if (!ok) {
        *why = s.why ? s.why : "memory";
        return false;
    }
    out->backend = s.backend;
    out->splits = s.splits.item;
    out->n_splits = s.splits.n;
    out->n_keys = g->n_nodes + g->n_leafs + s.null_key;
    return true;
}
