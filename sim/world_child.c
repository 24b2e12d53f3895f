/* world_child: memory and use of real processes; what a process had goes with it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "sim/world_shared.h"

enum { LOOK_EVERY_NS = 20000000 };

/* Field 22 of /proc/PID/stat, 0 where there is no such process. */
static uint64_t starttime_of(uint32_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *p = strrchr(text, ')'), *save = NULL;
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p = strtok_r(p + 2, " ", &save);
    for (int field = 3; p && field < 22; field++)
        p = strtok_r(NULL, " ", &save);
    return p ? strtoull(p, NULL, 10) : 0;
}

/* lock held */
static void drop(struct world *w, uint32_t i, int64_t now)
{
    struct world_shared *s = w->shared;
    uint32_t gpu = s->child[i].gpu;
    if (s->child[i].busy > 0)
        world_keep(w, gpu, now);
    s->child[i] = s->child[--s->n_children];
}

static void bury_dead(struct world *w)
{
    struct world_shared *s = w->shared;
    uint64_t mono = clock_mono_ns();
    bool told = false;
    world_lock(s);
    int64_t now = world_now(s, mono);
    for (uint32_t i = s->n_children < WORLD_CHILDREN_MAX ? s->n_children : WORLD_CHILDREN_MAX;
         i-- > 0;) {
        if (starttime_of(s->child[i].pid) != s->child[i].starttime) {
            drop(w, i, now);
            told = true;
        }
    }
    world_unlock(s);
    if (told)
        world_tell(s);
}

uint32_t world_children(struct world *w, struct world_child *out)
{
    struct world_shared *s = w->shared;
    world_lock(s);
    uint32_t n = s->n_children;
    world_unlock(s);
    if (!n)
        return 0;
    uint64_t mono = clock_mono_ns();
    pthread_mutex_lock(&w->lock);
    bool look = mono - w->children_mono_ns >= LOOK_EVERY_NS;
    w->children_mono_ns = look ? mono : w->children_mono_ns;
    pthread_mutex_unlock(&w->lock);
    if (look)
        bury_dead(w);
    world_lock(s);
    n = s->n_children < WORLD_CHILDREN_MAX ? s->n_children : WORLD_CHILDREN_MAX;
    memcpy(out, s->child, n * sizeof(*out));
    world_unlock(s);
    return n;
}

/* lock held; the entry of the calling process on that card, new if there is none; NULL when full */
static struct world_child *own_entry(struct world *w, uint32_t gpu, int64_t now)
{
    struct world_shared *s = w->shared;
    uint32_t pid = (uint32_t)getpid();
    uint64_t start = starttime_of(pid);
    for (uint32_t i = 0; i < s->n_children && i < WORLD_CHILDREN_MAX; i++)
        if (s->child[i].pid == pid && s->child[i].gpu == gpu && s->child[i].starttime == start)
            return &s->child[i];
    if (s->n_children >= WORLD_CHILDREN_MAX)
        return NULL;
    struct world_child *c = &s->child[s->n_children++];
    *c = (struct world_child){.pid = pid, .gpu = gpu, .starttime = start, .since_ns = now};
    return c;
}

bool world_allocate(struct world *w, uint32_t gpu, int64_t delta_bytes)
{
    struct world_shared *s = w->shared;
    struct reading r;
    if (gpu >= w->scenario.n_gpus)
        return false;
    bury_dead(w);
    struct world_clock c = world_clock(w);
    world_read(w, gpu, c.now_ns, &r);
    if (delta_bytes > 0 && (uint64_t)delta_bytes > r.free_bytes)
        return false;
    world_lock(s);
    struct world_child *e = own_entry(w, gpu, c.now_ns);
    bool ok = e && (delta_bytes >= 0 || (uint64_t)-delta_bytes <= e->bytes);
    if (ok)
        e->bytes += (uint64_t)delta_bytes;
    if (e && e->bytes == 0 && e->busy <= 0)
        drop(w, (uint32_t)(e - s->child), c.now_ns);
    world_unlock(s);
    world_tell(s);
    return ok;
}

bool world_use(struct world *w, uint32_t gpu, double busy)
{
    struct world_shared *s = w->shared;
    if (gpu >= w->scenario.n_gpus || !(busy >= 0 && busy <= 1))
        return false;
    struct world_clock c = world_clock(w);
    world_lock(s);
    struct world_child *e = own_entry(w, gpu, c.now_ns);
    if (e) {
        world_keep(w, gpu, c.now_ns);
        e->busy = busy;
    }
    world_unlock(s);
    world_tell(s);
    return e != NULL;
}
