/* world_read: a card at a moment: physics from the nearest known state, memory by process, faults
 * on top. */
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "sim/world_shared.h"

#define MIB ((uint64_t)1 << 20)
/* A state older than this is told to the other processes. */
#define KEEP_NS ((int64_t)60 * 1000000000)
/* What a driver counts as used and as no process's, once there is a process. */
#define UNACCOUNTED_BYTES (18 * MIB)

struct surroundings world_around(const struct world_shared *s, uint32_t gpu)
{
    struct surroundings a = {.faults = s->fault,
                             .n_faults =
                                 s->n_faults < SIM_FAULTS_MAX ? s->n_faults : SIM_FAULTS_MAX};
    for (uint32_t i = 0; i < s->n_children && i < WORLD_CHILDREN_MAX; i++)
        if (s->child[i].gpu == gpu)
            a.busy += s->child[i].busy;
    a.busy = a.busy > 1 ? 1 : a.busy;
    a.work = a.busy * 0.8;
    return a;
}

void world_keep(struct world *w, uint32_t gpu, int64_t t_ns)
{
    struct world_shared *s = w->shared;
    struct surroundings a = world_around(s, gpu);
    struct physics p = s->checkpoint[gpu];
    if (p.t_ns == 0 || p.t_ns > t_ns)
        physics_start(&w->scenario.gpu[gpu], &p);
    physics_advance(&w->scenario, gpu, &a, t_ns, &p);
    s->checkpoint[gpu] = p;
    s->use_changes[gpu]++;
}

/* Both locks held: the state at or before t, moved as near to t as steps go, and told to the
 * others. */
static void catch_up(struct world *w, uint32_t gpu, const struct surroundings *a, int64_t t)
{
    struct world_shared *s = w->shared;
    struct physics *p = &w->state[gpu], *known = &s->checkpoint[gpu];
    bool other = !w->begun[gpu] || w->use_changes[gpu] != s->use_changes[gpu] || p->t_ns > t;
    if (other)
        physics_start(&w->scenario.gpu[gpu], p);
    if (known->t_ns <= t && known->t_ns > p->t_ns)
        *p = *known;
    w->begun[gpu] = true;
    w->use_changes[gpu] = s->use_changes[gpu];
    int64_t grid = physics_step_ns(t);
    if (t / grid * grid > p->t_ns)
        physics_advance(&w->scenario, gpu, a, t / grid * grid, p);
    if (p->t_ns - known->t_ns >= KEEP_NS)
        *known = *p;
}

static bool wants(const struct sim_fault *f, uint32_t gpu)
{
    return f->gpu == SIM_ALL_GPUS || f->gpu == (int32_t)gpu;
}

static const size_t field_at[] = {0,
#define X(name, member) offsetof(struct reading, member),
                                  SIM_FIELDS(X)
#undef X
};

static void set_field(struct reading *r, enum sim_field field, uint64_t value)
{
    if (field <= SIM_FIELD_NONE || field >= SIM_FIELD_COUNT)
        return;
    memcpy((char *)r + field_at[field], &value, sizeof(value));
    bool sizes = field == SIM_FIELD_total_bytes || field == SIM_FIELD_used_bytes ||
                 field == SIM_FIELD_reserved_bytes;
    if (sizes)
        r->free_bytes =
            r->used_bytes <= r->total_bytes && r->total_bytes - r->used_bytes >= r->reserved_bytes
                ? r->total_bytes - r->used_bytes - r->reserved_bytes
                : 0;
}

static void apply_faults(struct world *w, uint32_t gpu, int64_t t, struct reading *r)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    const struct sim_gpu *g = &w->scenario.gpu[gpu];
    for (uint32_t i = 0; i < g->n_sets; i++)
        set_field(r, g->set[i].field, g->set[i].value);
    uint32_t n = world_faults(w, t, f);
    for (uint32_t i = 0; i < n; i++) {
        if (!wants(&f[i], gpu))
            continue;
        if (f[i].kind == SIM_FAULT_SET)
            set_field(r, f[i].field, f[i].value);
        else if (f[i].kind == SIM_FAULT_LINK_GEN)
            r->link_gen = f[i].value < r->link_gen ? f[i].value : r->link_gen;
        else if (f[i].kind == SIM_FAULT_LINK_WIDTH)
            r->link_width = f[i].value < r->link_width ? f[i].value : r->link_width;
    }
}

struct filling {
    uint64_t room, used;
};

static uint64_t fill(struct filling *f, uint64_t wanted)
{
    uint64_t got = wanted < f->room - f->used ? wanted : f->room - f->used;
    f->used += got;
    return got;
}

/* Who holds what, children first; no more than the card has. */
static uint32_t fill_card(struct world *w, uint32_t gpu, int64_t t, struct filling *f,
                          struct world_process *out, uint32_t cap)
{
    struct world_child child[WORLD_CHILDREN_MAX];
    const struct sim_scenario *s = &w->scenario;
    uint32_t n = 0, n_children = world_children(w, child);
    for (uint32_t i = 0; i < n_children; i++) {
        if (child[i].gpu != gpu)
            continue;
        struct world_process p = {.pid = child[i].pid,
                                  .kinds = SIM_COMPUTE,
                                  .mig = -1,
                                  .busy = child[i].busy,
                                  .bytes = fill(f, child[i].bytes)};
        if (n < cap)
            out[n++] = p;
    }
    for (uint32_t i = 0; i < s->n_processes; i++) {
        const struct sim_process *from = &s->process[i];
        for (uint32_t k = 0; k < from->n_shares; k++) {
            const struct sim_share *h = &from->share[k];
            if (h->gpu != gpu)
                continue;
            fill(f, load_orphaned(from, h, t));
            if (!load_alive(from, t))
                continue;
            struct world_process p = {.pid = load_pid(from, t),
                                      .kinds = from->kinds,
                                      .mig = h->mig,
                                      .name = from->name,
                                      .from = from,
                                      .share = h,
                                      .bytes = fill(f, load_bytes(from, h, t))};
            if (n < cap)
                out[n++] = p;
        }
    }
    return n;
}

void world_read(struct world *w, uint32_t gpu, int64_t t_ns, struct reading *out)
{
    struct world_shared *s = w->shared;
    struct world_process none;
    struct reading r;
    pthread_mutex_lock(&w->lock);
    world_lock(s);
    struct surroundings a = world_around(s, gpu);
    catch_up(w, gpu, &a, t_ns);
    struct physics p = w->state[gpu];
    physics_advance(&w->scenario, gpu, &a, t_ns, &p);
    physics_read(&w->scenario, gpu, &a, s->seed, &p, &r);
    world_unlock(s);
    pthread_mutex_unlock(&w->lock);
    const struct sim_card *c = &w->scenario.gpu[gpu].card;
    struct filling f = {.room = c->total_bytes - c->reserved_bytes};
    fill_card(w, gpu, t_ns, &f, &none, 0);
    if (f.used)
        fill(&f, UNACCOUNTED_BYTES);
    r.total_bytes = c->total_bytes;
    r.reserved_bytes = c->reserved_bytes;
    r.used_bytes = f.used;
    r.free_bytes = f.room - f.used;
    apply_faults(w, gpu, t_ns, &r);
    *out = r;
}

uint32_t world_processes(struct world *w, uint32_t gpu, int32_t mig, int64_t t_ns,
                         struct world_process *out, uint32_t cap)
{
    const struct sim_card *c = &w->scenario.gpu[gpu].card;
    struct filling f = {.room = c->total_bytes - c->reserved_bytes};
    uint32_t n = fill_card(w, gpu, t_ns, &f, out, cap), kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (mig < 0 || out[i].mig == mig)
            out[kept++] = out[i];
    return kept;
}
