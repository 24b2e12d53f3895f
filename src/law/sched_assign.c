/* sched_assign: a backend for every node: where its weights lie, else where neighbours run. */
#include "law/sched_state.h"

int sched_home(const struct sched_state *s, const struct g_tensor *t)
{
    int buffer = t->view_src ? t->view_src->buffer : t->buffer;
    return buffer == LAW_HOST ? s->cpu : buffer;
}

/* Is t in memory that this backend reads? */
bool sched_is_at(const struct sched_state *s, const struct g_tensor *t, int backend)
{
    int at = sched_home(s, t);
    if (at == G_NO_BUFFER)
        at = s->backend[t->id];
    if (at == SCHED_NOWHERE && t->view_src)
        at = s->backend[t->view_src->id];
    return at == backend;
}

static bool can(const struct sched_state *s, int backend, const struct g_tensor *op)
{
    return sched_supports(s->env, backend, op);
}

static int by_weight(const struct sched_state *s, const struct g_tensor *t)
{
    if (t->op == OP_ROPE || t->op == OP_FLASH_ATTN_EXT)
        return SCHED_NOWHERE;
    for (int i = 0; i < t->n_src; i++) {
        const struct g_tensor *w = t->src[i];
        if (!w || !(w->flags & G_WEIGHT))
            continue;
        int home = sched_home(s, w);
        if (!can(s, home, t))
            return SCHED_NOWHERE;
        if (s->env->op_offload && home == s->cpu && !(w->flags & G_REPACK))
            for (int b = 0; b < s->cpu; b++)
                if (can(s, b, t) && cuda_offloads(&s->env->devices[b], t))
                    return b;
        return home;
    }
    return SCHED_NOWHERE;
}

/* Pass 1: what is nailed down by where memory lies. False: the engine aborts. */
static bool place(struct sched_state *s, struct g_tensor *t)
{
    int8_t *b = &s->backend[t->id];
    if (t->backend >= 0) {
        int pinned = t->backend == LAW_HOST ? s->cpu : t->backend;
        if (can(s, pinned, t)) {
            *b = (int8_t)pinned;
            return true;
        }
    }
    int home = sched_home(s, t);
    if (home != G_NO_BUFFER) {
        *b = (int8_t)home;
        if (!can(s, home, t))
            s->why = "a result lies in memory of a backend that cannot compute it";
        return !s->why;
    }
    *b = (int8_t)(t->flags & G_INPUT ? s->cpu : by_weight(s, t));
    return true;
}

/* Pass 2: carry backends over to unassigned neighbours that they can run. */
static void expand(struct sched_state *s, bool down, bool with_cpu)
{
    int n = (int)s->g->n_nodes, cur = SCHED_NOWHERE;
    for (int k = 0; k < n; k++) {
        const struct g_tensor *t = s->g->nodes[down ? k : n - 1 - k];
        if (g_is_view_op(t->op))
            continue;
        int8_t *b = &s->backend[t->id];
        if (*b != SCHED_NOWHERE)
            cur = *b == s->cpu && !with_cpu ? SCHED_NOWHERE : *b;
        else if (cur != SCHED_NOWHERE && can(s, cur, t))
            *b = (int8_t)cur;
    }
}

/* Pass 3: what is left goes where most of its sources are. */
static void follow_sources(struct sched_state *s, const struct g_tensor *t)
{
    int best = -1;
    for (int b = 0; b <= s->cpu; b++) {
        if (!can(s, b, t))
            continue;
        int n = 0;
        for (int j = 0; j < t->n_src; j++) {
            const struct g_tensor *src = t->src[j];
            if (!src)
                continue;
            bool known = s->backend[src->id] != SCHED_NOWHERE;
            if (!known && !src->view_src)
                s->null_key = true;
            else if (!known)
                known = s->backend[src->view_src->id] != SCHED_NOWHERE;
            n += known && sched_is_at(s, src, b);
        }
        if (n > best) {
            best = n;
            s->backend[t->id] = (int8_t)b;
        }
    }
}

/* Pass 4: views go with what they look at, other sources with their reader. */
static bool settle(struct sched_state *s, const struct g_tensor *t)
{
    int8_t *b = &s->backend[t->id];
    if (t->view_src && *b == SCHED_NOWHERE)
        *b = s->backend[t->view_src->id];
    for (int j = 0; j < t->n_src; j++) {
        const struct g_tensor *src = t->src[j];
        if (src && s->backend[src->id] == SCHED_NOWHERE)
            s->backend[src->id] = src->view_src ? s->backend[src->view_src->id] : *b;
    }
    for (int k = 0; k <= s->cpu && *b == SCHED_NOWHERE; k++)
        if (can(s, k, t))
            *b = (int8_t)k;
    if (*b == SCHED_NOWHERE)
        s->why = "no backend can compute a result";
    return !s->why;
}

bool sched_assign(struct sched_state *s)
{
    struct graph *g = s->g;
    for (uint32_t i = 0; i < g->n_leafs; i++)
        if (!place(s, g->leafs[i]))
            return false;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!place(s, g->nodes[i]))
            return false;
    expand(s, true, false);
    expand(s, false, false);
    expand(s, true, true);
    expand(s, false, true);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (s->backend[g->nodes[i]->id] == SCHED_NOWHERE && !g_is_view_op(g->nodes[i]->op))
            follow_sources(s, g->nodes[i]);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!settle(s, g->nodes[i]))
            return false;
    return true;
}
