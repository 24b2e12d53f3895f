/* nvml_shared: the one open driver all NVIDIA cards read through, and how it is loaded anew. */
#include <stdlib.h>

#include "base/clock.h"
#include "telemetry/nvml_card.h"

enum { WAIT_FIRST_S = 1, WAIT_MOST_S = 30 };

struct nvml_driver *nvml_shared_driver(struct nvml_shared *s)
{
    pthread_mutex_lock(&s->lock);
    struct nvml_driver *d = s->driver ? nvml_driver_hold(s->driver) : NULL;
    pthread_mutex_unlock(&s->lock);
    return d;
}

void nvml_shared_drop(struct nvml_shared *s)
{
    if (atomic_fetch_sub(&s->references, 1) != 1)
        return;
    if (s->driver)
        nvml_driver_stop(s->driver);
    nvml_driver_drop(s->driver);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The driver went away under us (it was updated or unloaded): let go of it, and load it again once it is back. Only one
 * card tries at a time, with growing pauses; the lock is not held across the driver's calls. */
void nvml_load_again(struct nvml_card *c, uint64_t now_ns)
{
    struct nvml_shared *s = c->shared;
    pthread_mutex_lock(&s->lock);
    struct nvml_driver *old = NULL;
    if (s->driver == c->driver) {
        old = s->driver;
        s->driver = NULL;
    }
    bool mine = !s->driver && now_ns >= s->retry_ns;
    if (mine) {
        s->wait_ns = s->wait_ns ? s->wait_ns * 2 : WAIT_FIRST_S * (uint64_t)CLOCK_NS_PER_S;
        if (s->wait_ns > WAIT_MOST_S * (uint64_t)CLOCK_NS_PER_S)
            s->wait_ns = WAIT_MOST_S * (uint64_t)CLOCK_NS_PER_S;
        s->retry_ns = now_ns + s->wait_ns;
    }
    pthread_mutex_unlock(&s->lock);
    if (old)
        nvml_driver_stop(old);
    nvml_driver_drop(old);
    nvml_driver_drop(c->driver);
    c->driver = NULL;
    c->dev = NULL;
    c->watches_errors = false;
    c->watch_tries = 0;

    struct err why = {0};
    struct nvml_driver *fresh = NULL;
    if (!mine || !nvml_driver_open(&fresh, "", &why))
        return;
    pthread_mutex_lock(&s->lock);
    if (!s->driver) {
        s->driver = fresh;
        s->wait_ns = 0;
        fresh = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    nvml_driver_drop(fresh);
}
