/* child: lets a real process hold memory of a simulated card: by two calls, or by a variable and a
 * preload. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sim/driver/call.h"
#include "sim/scenario.h"

enum { WISHES_MAX = 16 };

API int dualgpuopt_sim_alloc(unsigned gpu, uint64_t bytes)
{
    struct world *w = driver_world();
    if (!w)
        return NV_DRIVER_NOT_LOADED;
    if (gpu >= world_scenario(w)->n_gpus || bytes > (uint64_t)1 << 45)
        return NV_INVALID_ARGUMENT;
    int code = call_trouble(w, gpu, world_clock(w).now_ns);
    return code ? code : world_allocate(w, gpu, (int64_t)bytes) ? NV_SUCCESS : NV_MEMORY;
}

API int dualgpuopt_sim_free(unsigned gpu, uint64_t bytes)
{
    struct world *w = driver_world();
    if (!w)
        return NV_DRIVER_NOT_LOADED;
    if (gpu >= world_scenario(w)->n_gpus || bytes > (uint64_t)1 << 45)
        return NV_INVALID_ARGUMENT;
    return world_allocate(w, gpu, -(int64_t)bytes) ? NV_SUCCESS : NV_INVALID_ARGUMENT;
}

API int dualgpuopt_sim_load(unsigned gpu, double busy)
{
    struct world *w = driver_world();
    if (!w)
        return NV_DRIVER_NOT_LOADED;
    return world_use(w, gpu, busy) ? NV_SUCCESS : NV_INVALID_ARGUMENT;
}

/* "GPU:SIZE[@TIME]": so much on that card, TIME simulated after the start. */
struct wish {
    uint32_t gpu;
    uint64_t bytes;
    int64_t at_ns;
};

static bool wish_read(char *text, struct wish *out)
{
    int64_t gpu;
    char *size = strchr(text, ':'), *at = strchr(text, '@');
    *out = (struct wish){0};
    if (!size)
        return false;
    *size++ = 0;
    if (at)
        *at++ = 0;
    if (!str_parse_i64(text, 0, SIM_GPUS_MAX - 1, false, &gpu) ||
        !str_parse_size(size, &out->bytes) || (at && !scenario_time(at, &out->at_ns)))
        return false;
    out->gpu = (uint32_t)gpu;
    return true;
}

static struct wish wishes[WISHES_MAX];
static unsigned n_wishes;
static int64_t begun_ns; /* simulated: when the process asked */

static void grant(const struct wish *w)
{
    int code = dualgpuopt_sim_alloc(w->gpu, w->bytes);
    if (code)
        fprintf(stderr, "simulated driver: no %llu MiB on GPU %u: code %d\n",
                (unsigned long long)(w->bytes >> 20), w->gpu, code);
}

/* The later ones, in their order of time. */
static void *grant_later(void *nothing)
{
    struct world *world = driver_world();
    for (bool left = world != NULL; left;) {
        int64_t now = world_clock(world).now_ns - begun_ns;
        left = false;
        for (unsigned i = 0; i < n_wishes; i++) {
            if (wishes[i].at_ns == 0)
                continue;
            if (wishes[i].at_ns <= now) {
                grant(&wishes[i]);
                wishes[i].at_ns = 0;
            } else {
                left = true;
            }
        }
        if (left)
            world_wait(world, 20);
    }
    driver_leave();
    return nothing;
}

__attribute__((constructor)) static void take_variable(void)
{
    const char *text = getenv("DUALGPUOPT_SIM_ALLOC");
    char copy[1024], *save = NULL;
    bool later = false;
    pthread_t thread;
    if (!text || !*text)
        return;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, ", ", &save); word && n_wishes < WISHES_MAX;
         word = strtok_r(NULL, ", ", &save)) {
        if (!wish_read(word, &wishes[n_wishes])) {
            fprintf(stderr, "simulated driver: DUALGPUOPT_SIM_ALLOC is like 0:8GiB,1:2GiB@2s\n");
            return;
        }
        n_wishes++;
    }
    struct world *world = driver_world();
    begun_ns = world ? world_clock(world).now_ns : 0;
    for (unsigned i = 0; i < n_wishes; i++) {
        if (wishes[i].at_ns == 0)
            grant(&wishes[i]);
        later = later || wishes[i].at_ns > 0;
    }
    if (!later)
        return;
    Dl_info own;
    /* the thread outlives a dlclose */
    if (dladdr((void *)&n_wishes, &own))
        dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    driver_enter();
    if (pthread_create(&thread, NULL, grant_later, NULL) == 0)
        pthread_detach(thread);
    else
        driver_leave();
}
