/* drm_use: counters to percent, clients to processes. */
#include "telemetry/drm_use.h"

#include <stdlib.h>
#include <string.h>

#include "telemetry/process_info.h"

void drm_use_finish(struct drm_use *u)
{
    free(u->client);
    *u = (struct drm_use){0};
}

static const struct drm_use_client *client_before(const struct drm_use *u, uint64_t id)
{
    uint32_t low = 0, high = u->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (u->client[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < u->n && u->client[low].id == id ? &u->client[low] : NULL;
}

static double capped(double percent)
{
    return percent > 100 ? 100 : percent;
}

/* One engine of one client: what it did between two scans, out of the time or the cycles that
 * passed. */
static void step(struct drm_use_client *c, const struct drm_use_client *before, int engine,
                 uint64_t passed_ns)
{
    uint64_t done = 0, of = passed_ns;
    c->percent[engine] = -1;
    if (!before || !c->engine[engine].known)
        return; /* an engine that was not listed before had done nothing */
    if (c->engine[engine].busy > before->engine[engine].busy)
        done = c->engine[engine].busy - before->engine[engine].busy;
    else
        c->engine[engine].busy = before->engine[engine].busy;
    if (c->engine[engine].total) {
        of = 0;
        if (c->engine[engine].total > before->engine[engine].total)
            of = c->engine[engine].total - before->engine[engine].total;
        else
            c->engine[engine].total = before->engine[engine].total;
    }
    if (of)
        c->percent[engine] = capped(100.0 * (double)done / (double)of);
}

bool drm_use_update(struct drm_use *u, const struct clients_found *found, uint64_t now_ns)
{
    struct drm_use_client *client = calloc(found->n ? found->n : 1, sizeof(*client));
    uint64_t passed_ns = u->now_ns && now_ns > u->now_ns ? now_ns - u->now_ns : 0;
    if (!client)
        return false;
    memset(u->percent, 0, sizeof(u->percent));
    for (uint32_t i = 0; i < found->n; i++) {
        const struct client *f = &found->at[i];
        struct drm_use_client *c = &client[i];
        const struct drm_use_client *before = client_before(u, f->id);
        c->pid = f->pid;
        c->id = f->id;
        for (int e = 0; e < CLIENT_ENGINE_COUNT; e++) {
            c->engine[e].known = f->engine[e].known;
            c->engine[e].busy = f->engine[e].busy;
            c->engine[e].total = f->engine[e].total;
            step(c, before, e, passed_ns);
            if (c->percent[e] > 0)
                u->percent[e] = capped(u->percent[e] + c->percent[e]);
        }
    }
    free(u->client);
    u->client = client;
    u->n = found->n;
    u->measured = passed_ns > 0;
    u->now_ns = now_ns;
    return true;
}

/* ---- processes ---- */

/* -1 is unknown; what is known adds up. */
static void add_share(float *to, double percent)
{
    if (percent >= 0)
        *to = (float)capped((*to < 0 ? 0 : *to) + percent);
}

static void add_client(struct process *p, const struct client *f, const struct drm_use_client *c,
                       bool unified)
{
    uint64_t bytes = f->local_bytes + (unified ? f->system_bytes : 0);
    if (f->knows_memory)
        p->memory_bytes = (p->memory_bytes == UINT64_MAX ? 0 : p->memory_bytes) + bytes;
    if (f->engine[CLIENT_COMPUTE].busy)
        p->type |= PROCESS_COMPUTE;
    if (f->engine[CLIENT_GRAPHICS].busy)
        p->type |= PROCESS_GRAPHICS;
    add_share(&p->sm, c->percent[CLIENT_GRAPHICS]);
    add_share(&p->sm, c->percent[CLIENT_COMPUTE]);
    add_share(&p->encoder, c->percent[CLIENT_ENCODE]);
    add_share(&p->decoder, c->percent[CLIENT_DECODE]);
}

static int by_memory(const void *a, const void *b)
{
    const struct process *x = a, *y = b;
    uint64_t p = x->memory_bytes == UINT64_MAX ? 0 : x->memory_bytes;
    uint64_t q = y->memory_bytes == UINT64_MAX ? 0 : y->memory_bytes;
    return p != q ? (p < q ? 1 : -1) : (x->pid > y->pid) - (x->pid < y->pid);
}

static struct process *process_of(struct process *all, uint32_t *n, uint32_t pid)
{
    for (uint32_t i = 0; i < *n; i++)
        if (all[i].pid == pid)
            return &all[i];
    struct process *p = &all[(*n)++];
    *p = (struct process){.pid = pid,
                          .uid = UINT32_MAX,
                          .memory_bytes = UINT64_MAX,
                          .sm = -1,
                          .memory_bus = -1,
                          .encoder = -1,
                          .decoder = -1};
    return p;
}

void drm_use_table(const struct drm_use *u, const struct clients_found *found,
                   const char *proc_root, bool unified, struct process_table *t)
{
    uint32_t n = 0;
    struct process *all = calloc(found->n ? found->n : 1, sizeof(*all));
    t->n = t->left_out = 0;
    t->unattributed_bytes = UINT64_MAX;
    t->known = all != NULL;
    for (uint32_t i = 0; all && i < found->n && i < u->n; i++)
        add_client(process_of(all, &n, found->at[i].pid), &found->at[i], &u->client[i], unified);
    if (n)
        qsort(all, n, sizeof(*all), by_memory);
    for (uint32_t i = 0; i < n && i < PROCESSES_MAX; i++) {
        process_info_read(proc_root, all[i].pid, &all[i]);
        t->process[t->n++] = all[i];
    }
    t->left_out = (uint16_t)(n - t->n);
    free(all);
}
