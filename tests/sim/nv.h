/* nv: a scratch world and calls into the simulated library by name, as any client makes them. */
#ifndef TESTS_SIM_NV_H
#define TESTS_SIM_NV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/driver/abi.h"
#include "sim/sim.h"

#define SECOND ((int64_t)1000000000)
#define MIB    ((uint64_t)1 << 20)

static char state[64];
static struct world *world; /* what the test itself maps */
static void *library;

/* No prototypes: every argument is an int, a pointer or 64 bits wide. */
static int (*nv_find(const char *name))()
{
    if (!library)
        library = dlopen(SIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    int (*call)();
    *(void **)&call = dlsym(library, name);
    if (!call)
        fail_msg("no symbol %s", name);
    return call;
}
#define NV(name, ...) nv_find(#name)(__VA_ARGS__)

/* A scenario in words into a file of the scratch folder; its path. */
static inline const char *nv_file(const char *text)
{
    static char path[80];
    snprintf(path, sizeof(path), "%s.yaml", state);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static inline void nv_scratch(void)
{
    snprintf(state, sizeof(state), "/tmp/test-sim-%ld.world", (long)getpid());
    setenv("DUALGPUOPT_SIM_STATE", state, 1);
    unsetenv("DUALGPUOPT_SIM_SCENARIO");
}

/* A world of a shipped name or of a text with a newline, standing still at `at`; the library joins
 * it. */
static inline void nv_begin(const char *scenario, int64_t at)
{
    struct err err = {0};
    nv_scratch();
    struct sim_options o = {
        .scenario = strchr(scenario, '\n') ? nv_file(scenario) : scenario, .seed = 7, .at_ns = at};
    if (!sim_start(&o, &err))
        fail_msg("%s", err.title);
    struct world_wish wish = {0};
    if (!world_open(&wish, &world, &err))
        fail_msg("%s", err.title);
}

static inline void *nv_card(unsigned index)
{
    void *card = NULL;
    assert_int_equal(NV(nvmlInit_v2), 0);
    assert_int_equal(NV(nvmlDeviceGetHandleByIndex_v2, index, &card), 0);
    return card;
}

static inline int nv_end(void **unused)
{
    struct err err = {0};
    char path[80];
    while (NV(nvmlShutdown) == 0)
        ;
    sim_stop(NULL, &err);
    world_close(world);
    world = NULL;
    snprintf(path, sizeof(path), "%s.yaml", state);
    unlink(path);
    return 0;
}

static inline void nv_fault(const char *text)
{
    struct err err = {0};
    if (!sim_inject(NULL, text, NULL, &err))
        fail_msg("%s", err.title);
}

static inline void nv_calm(void)
{
    struct err err = {0};
    assert_true(sim_clear(NULL, 0, &err));
}

static inline unsigned nv_temperature(void *card)
{
    unsigned c = 0;
    assert_int_equal(NV(nvmlDeviceGetTemperature, card, 0, &c), 0);
    return c;
}

static inline struct nv_memory_v2 nv_memory(void *card)
{
    struct nv_memory_v2 m = {.version = 0x02000028};
    assert_int_equal(NV(nvmlDeviceGetMemoryInfo_v2, card, &m), 0);
    return m;
}

#endif
