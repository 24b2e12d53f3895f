/* world_fault: faults of run time in the shared file, and which ones hold when. */
#include <string.h>

#include "base/clock.h"
#include "sim/world_shared.h"

/* A free place, else the one that ended first. */
static struct sim_fault *free_place(struct world_shared *s, int64_t now)
{
    if (s->n_faults < SIM_FAULTS_MAX)
        return &s->fault[s->n_faults++];
    struct sim_fault *best = NULL;
    for (uint32_t i = 0; i < SIM_FAULTS_MAX; i++) {
        struct sim_fault *f = &s->fault[i];
        if (f->until_ns <= now && (!best || f->until_ns < best->until_ns))
            best = f;
    }
    return best;
}

bool world_inject(struct world *w, const struct sim_fault *f, uint32_t *id, struct err *err)
{
    struct world_shared *s = w->shared;
    if (f->gpu >= (int32_t)w->scenario.n_gpus)
        return err_set(err, ERR_1501, "no GPU %d in scenario %s, which has %u", f->gpu,
                       w->scenario.name, w->scenario.n_gpus);
    world_lock(s);
    int64_t now = world_now(s, clock_mono_ns());
    struct sim_fault *to = free_place(s, now);
    if (to) {
        *to = *f;
        to->id = s->next_id++;
        to->at_ns = f->at_ns + now;
        to->until_ns = f->until_ns == SIM_NEVER ? SIM_NEVER : f->until_ns + now;
        if (id)
            *id = to->id;
    }
    world_unlock(s);
    world_tell(s);
    return to || err_set(err, ERR_1502, "%d faults hold at once, no more are kept", SIM_FAULTS_MAX);
}

bool world_clear(struct world *w, uint32_t id)
{
    struct world_shared *s = w->shared;
    bool any = false;
    world_lock(s);
    int64_t now = world_now(s, clock_mono_ns());
    for (uint32_t i = 0; i < s->n_faults && i < SIM_FAULTS_MAX; i++) {
        struct sim_fault *f = &s->fault[i];
        if ((id == 0 || f->id == id) && f->until_ns > now) {
            f->until_ns = now;
            if (f->at_ns > now)
                f->at_ns = now;
            any = true;
        }
    }
    world_unlock(s);
    world_tell(s);
    return any;
}

static uint32_t collect(struct world *w, int64_t t, bool all, struct sim_fault *out)
{
    const struct sim_scenario *c = &w->scenario;
    struct world_shared *s = w->shared;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_faults; i++)
        if (t >= c->fault[i].at_ns && (all || t < c->fault[i].until_ns))
            out[n++] = c->fault[i];
    world_lock(s);
    for (uint32_t i = 0; i < s->n_faults && i < SIM_FAULTS_MAX; i++)
        if (t >= s->fault[i].at_ns && (all || t < s->fault[i].until_ns))
            out[n++] = s->fault[i];
    world_unlock(s);
    return n;
}

uint32_t world_faults(struct world *w, int64_t t_ns, struct sim_fault *out)
{
    return collect(w, t_ns, false, out);
}

uint32_t world_history(struct world *w, int64_t t_ns, struct sim_fault *out)
{
    return collect(w, t_ns, true, out);
}
