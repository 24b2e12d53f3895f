/* driver: references to the open library, and one thread that waits for its events. */
#include "nvml/driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/deadline.h"

enum { WAIT_MS = 1000, FAILURES_MOST = 10 };

struct nvml_driver {
    struct nv nv;
    atomic_int references;
    atomic_bool stop;
    pthread_mutex_t setup; /* held across driver calls, so it is only ever tried, never waited for */
    nv_event_set set;
    bool watching;
    pthread_mutex_t lock; /* of the counts; held for a moment only */
    nv_device device[NVML_DRIVER_MAX_CARDS];
    uint32_t newest[NVML_DRIVER_MAX_CARDS];
    uint64_t count[NVML_DRIVER_MAX_CARDS];
};

bool nvml_driver_open(struct nvml_driver **out, const char *root, struct err *err)
{
    struct nvml_driver *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(err, ERR_1201, "no memory for the NVIDIA driver's calls");
    if (!nv_open(&d->nv, root, err)) {
        free(d);
        return false;
    }
    atomic_init(&d->references, 1);
    pthread_mutex_init(&d->setup, NULL);
    pthread_mutex_init(&d->lock, NULL);
    *out = d;
    return true;
}

struct nvml_driver *nvml_driver_hold(struct nvml_driver *d)
{
    atomic_fetch_add(&d->references, 1);
    return d;
}

void nvml_driver_drop(struct nvml_driver *d)
{
    if (!d || atomic_fetch_sub(&d->references, 1) != 1)
        return;
    if (d->set && d->nv.event_free)
        d->nv.event_free(d->set);
    nv_close(&d->nv);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->setup);
    free(d);
}

const struct nv *nvml_driver_calls(const struct nvml_driver *d)
{
    return &d->nv;
}

static void count_error(struct nvml_driver *d, const struct nv_event *e)
{
    pthread_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < NVML_DRIVER_MAX_CARDS; i++) {
        /* XID 0 comes with clock events and means nothing */
        if (d->device[i] && d->device[i] == e->device && (e->type & NV_EVENT_XID) && e->data) {
            d->newest[i] = (uint32_t)e->data;
            d->count[i]++;
        }
    }
    pthread_mutex_unlock(&d->lock);
}

static void *wait_for_errors(void *arg)
{
    struct nvml_driver *d = arg;
    for (int failures = 0; failures < FAILURES_MOST && !atomic_load(&d->stop);) {
        struct nv_event e = {0};
        int code = d->nv.event_wait(d->set, &e, WAIT_MS);
        if (code == NV_OK)
            count_error(d, &e);
        failures = code == NV_OK || code == NV_TIMEOUT ? 0 : failures + 1;
        if (failures) /* some drivers return at once: do not spin */
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    nvml_driver_drop(d);
    deadline_leave();
    return NULL;
}

/* With setup held. */
static bool start_watching(struct nvml_driver *d)
{
    pthread_t thread;
    if (d->watching)
        return true;
    nvml_driver_hold(d);
    deadline_enter();
    if (pthread_create(&thread, NULL, wait_for_errors, d) != 0) {
        deadline_leave();
        atomic_fetch_sub(&d->references, 1);
        return false;
    }
    pthread_detach(thread);
    return d->watching = true;
}

bool nvml_driver_watch_errors(struct nvml_driver *d, uint32_t index, nv_device device)
{
    const struct nv *nv = &d->nv;
    uint64_t types = 0;
    if (index >= NVML_DRIVER_MAX_CARDS || !nv->event_create || !nv->event_free || !nv->event_register ||
        !nv->event_wait || !nv->event_types || nv->event_types(device, &types) != NV_OK || !(types & NV_EVENT_XID))
        return false;
    if (pthread_mutex_trylock(&d->setup) != 0)
        return false;
    bool ok = d->set || nv->event_create(&d->set) == NV_OK;
    ok = ok && nv->event_register(device, NV_EVENT_XID, d->set) == NV_OK;
    pthread_mutex_lock(&d->lock);
    if (ok)
        d->device[index] = device;
    pthread_mutex_unlock(&d->lock);
    ok = ok && start_watching(d);
    pthread_mutex_unlock(&d->setup);
    return ok;
}

void nvml_driver_errors(struct nvml_driver *d, uint32_t index, uint32_t *newest, uint64_t *count)
{
    pthread_mutex_lock(&d->lock);
    *newest = index < NVML_DRIVER_MAX_CARDS ? d->newest[index] : 0;
    *count = index < NVML_DRIVER_MAX_CARDS ? d->count[index] : 0;
    pthread_mutex_unlock(&d->lock);
}

void nvml_driver_stop(struct nvml_driver *d)
{
    atomic_store(&d->stop, true);
}
