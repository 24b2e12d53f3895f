/* call: begins and ends calls: is there a world, is the handle one, which faults hold for this
 * call. */
#include "sim/driver/call.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "sim/driver/record.h"

static struct {
    pthread_mutex_t lock;
    _Atomic(struct world *)
        world; /* joined once; stays mapped when init and shutdown come and go */
    _Atomic int users;
    _Atomic int inside;      /* calls that have not come back */
    struct world *joined[32]; /* all that are mapped, the oldest first */
    unsigned n_joined;
} driver = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One byte for every card and MIG device: a handle is the address of its byte. */
static char handles[SIM_GPUS_MAX][SIM_MIG_MAX + 1];

void *handle_of(uint32_t gpu, int32_t mig)
{
    return &handles[gpu][mig + 1];
}

bool handle_read(const void *handle, uint32_t *gpu, int32_t *mig)
{
    uintptr_t at = (uintptr_t)handle, first = (uintptr_t)handles;
    if (at < first || at >= first + sizeof(handles))
        return false;
    *gpu = (uint32_t)((at - first) / sizeof(handles[0]));
    *mig = (int32_t)((at - first) % sizeof(handles[0])) - 1;
    return true;
}

static double scale_wish(void)
{
    double scale = 1;
    const char *text = getenv("DUALGPUOPT_SIM_SCALE");
    return text && str_parse_f64(text, 0, 3600, &scale) ? scale : 1;
}

static struct world *join(void)
{
    const char *scenario = getenv("DUALGPUOPT_SIM_SCENARIO");
    const char *seed = getenv("DUALGPUOPT_SIM_SEED");
    struct world_wish wish = {.scenario = scenario && *scenario ? scenario : NULL,
                              .scale = scale_wish()};
    struct world *w = NULL;
    struct err err = {0};
    wish.seed = seed ? strtoull(seed, NULL, 0) : 1;
    if (!world_open(&wish, &w, &err)) {
        fprintf(stderr, "simulated driver: %s\n", err.title);
        return NULL;
    }
    return w;
}

/* lock held; the oldest mapping is let go, unless a call may be inside of it */
static struct world *replace_oldest(void)
{
    if (atomic_load(&driver.inside) > 1)
        return NULL;
    world_close(driver.joined[0]);
    driver.n_joined--;
    memmove(driver.joined, driver.joined + 1, driver.n_joined * sizeof(driver.joined[0]));
    return join();
}

void driver_enter(void)
{
    atomic_fetch_add(&driver.inside, 1);
}

void driver_leave(void)
{
    atomic_fetch_sub(&driver.inside, 1);
}

/* When the library is unloaded; threads that are still inside keep what they use. */
__attribute__((destructor)) static void let_go(void)
{
    if (atomic_load(&driver.inside) > 0)
        return;
    for (unsigned i = 0; i < driver.n_joined; i++)
        world_close(driver.joined[i]);
    driver.n_joined = 0;
    atomic_store(&driver.world, NULL);
}

struct world *driver_world(void)
{
    struct world *w = atomic_load(&driver.world);
    if (w && !world_stopped(w))
        return w;
    pthread_mutex_lock(&driver.lock);
    w = atomic_load(&driver.world);
    if (!w || world_stopped(w)) {
        /* the old mapping stays: another thread may be inside of it */
        w = driver.n_joined < sizeof(driver.joined) / sizeof(driver.joined[0]) ? join()
                                                                               : replace_oldest();
        if (w) {
            driver.joined[driver.n_joined++] = w;
            atomic_store(&driver.world, w);
        }
    }
    pthread_mutex_unlock(&driver.lock);
    return w;
}

static bool for_call(const struct sim_fault *f, const struct call *c)
{
    return !f->call[0] || strcmp(f->call, c->name) == 0;
}

/* Faults of a card hold for calls on it, others for all. */
static bool for_card(const struct sim_fault *f, const struct call *c)
{
    return f->gpu == SIM_ALL_GPUS || (c->gpu && f->gpu == (int32_t)c->index);
}

static bool still_holds(struct world *w, const struct sim_fault *f)
{
    struct sim_fault now[2 * SIM_FAULTS_MAX];
    uint32_t n = world_faults(w, world_clock(w).now_ns, now);
    for (uint32_t i = 0; i < n; i++)
        if (now[i].kind == f->kind && now[i].id == f->id && now[i].at_ns == f->at_ns &&
            now[i].gpu == f->gpu)
            return true;
    return false;
}

static void hang(struct world *w, const struct sim_fault *f)
{
    while (!world_stopped(w) && still_holds(w, f))
        world_wait(w, 50);
}

static void delay(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    while (nanosleep(&t, &t) != 0)
        ;
}

static int trouble_of(const struct sim_fault *f)
{
    return f->kind == SIM_FAULT_LOST      ? NV_GPU_IS_LOST
           : f->kind == SIM_FAULT_UNKNOWN ? NV_UNKNOWN
           : f->kind == SIM_FAULT_DENIED  ? NV_NO_PERMISSION
                                          : 0;
}

int call_trouble(struct world *w, uint32_t index, int64_t t_ns)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    uint32_t n = world_faults(w, t_ns, f);
    for (uint32_t i = 0; i < n; i++)
        if ((f[i].gpu == SIM_ALL_GPUS || f[i].gpu == (int32_t)index) && trouble_of(&f[i]))
            return trouble_of(&f[i]);
    return 0;
}

static void suffer(struct call *c)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    uint32_t n = world_faults(c->world, c->t_ns, f);
    int code = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!for_call(&f[i], c) || !for_card(&f[i], c))
            continue;
        if (f[i].kind == SIM_FAULT_HANG)
            hang(c->world, &f[i]);
        else if (f[i].kind == SIM_FAULT_SLOW)
            delay(f[i].value);
        else if (f[i].kind == SIM_FAULT_ERROR)
            code = (int)(f[i].value & 0xffff);
        else if (f[i].kind == SIM_FAULT_HIDE)
            code = NV_FUNCTION_NOT_FOUND;
        else if (f[i].kind == SIM_FAULT_COUNT)
            c->list_count = (int64_t)(f[i].value & 0xffffffff);
        else if (f[i].kind == SIM_FAULT_ENDLESS)
            c->endless = true;
        else if (c->gpu && trouble_of(&f[i]))
            code = trouble_of(&f[i]);
    }
    if (code)
        c->code = code;
}

static struct call begin(const char *name, const void *device, bool on_card)
{
    struct call c = {.name = name, .mig = -1, .list_count = -1, .begun_ns = clock_mono_ns()};
    driver_enter();
    c.world = atomic_load(&driver.world);
    if (!c.world || atomic_load(&driver.users) == 0) {
        c.code = NV_UNINITIALIZED;
        return c;
    }
    c.scenario = world_scenario(c.world);
    c.t_ns = world_clock(c.world).now_ns;
    if (on_card) {
        if (!handle_read(device, &c.index, &c.mig) || c.index >= c.scenario->n_gpus ||
            c.mig >= (int32_t)c.scenario->gpu[c.index].n_mig) {
            c.code = NV_INVALID_ARGUMENT;
            return c;
        }
        c.gpu = &c.scenario->gpu[c.index];
    }
    suffer(&c);
    if (!c.code && world_stopped(c.world))
        c.code = on_card ? NV_GPU_IS_LOST : NV_UNKNOWN;
    return c;
}

struct call call_begin(const char *name)
{
    return begin(name, NULL, false);
}

struct call call_begin_on(const char *name, const void *device)
{
    return begin(name, device, true);
}

struct call call_begin_whole(const char *name, const void *device)
{
    struct call c = begin(name, device, true);
    if (!c.code && c.mig >= 0)
        c.code = NV_NOT_SUPPORTED;
    return c;
}

int call_end(const struct call *c, int code)
{
    driver_leave();
    record_call(c->name, c->gpu ? (int)c->index : -1, code, c->begun_ns, c->t_ns);
    return code;
}

struct reading call_read(const struct call *c)
{
    struct reading r;
    world_read(c->world, c->index, c->t_ns, &r);
    return r;
}

uint64_t call_count(const struct call *c, enum sim_fault_kind kind)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    uint64_t sum = 0;
    uint32_t n = world_history(c->world, c->t_ns, f);
    for (uint32_t i = 0; i < n; i++)
        if (f[i].kind == kind && for_card(&f[i], c))
            sum += f[i].value;
    return sum;
}

bool call_version(const struct call *c, uint32_t said, uint32_t expected)
{
    return said == expected || (c->scenario->lenient && (said == expected >> 24 || said == 0));
}

int call_text(const struct call *c, const char *text, char *out, uint32_t room)
{
    size_t len = strlen(text);
    if (!out)
        return NV_INVALID_ARGUMENT;
    if (c->endless) {
        memset(out, 'A', room);
        return NV_SUCCESS;
    }
    if (room <= len)
        return NV_INSUFFICIENT_SIZE;
    memcpy(out, text, len + 1);
    return NV_SUCCESS;
}

static int init_code(struct world *w)
{
    struct sim_fault f[2 * SIM_FAULTS_MAX];
    uint32_t n = world_faults(w, world_clock(w).now_ns, f);
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].kind == SIM_FAULT_MISMATCH)
            return NV_VERSION_MISMATCH;
        if (f[i].kind == SIM_FAULT_UNLOADED)
            return NV_DRIVER_NOT_LOADED;
    }
    return NV_SUCCESS;
}

int driver_init(const char *name)
{
    struct call c = {.name = name, .mig = -1, .list_count = -1, .begun_ns = clock_mono_ns()};
    driver_enter();
    c.world = driver_world();
    int code = c.world ? init_code(c.world) : NV_DRIVER_NOT_LOADED;
    if (!code) {
        c.scenario = world_scenario(c.world);
        c.t_ns = world_clock(c.world).now_ns;
        suffer(&c);
        code = c.code;
    }
    if (!code)
        atomic_fetch_add(&driver.users, 1);
    return call_end(&c, code);
}

int driver_shutdown(const char *name)
{
    struct call c = {.name = name, .mig = -1, .begun_ns = clock_mono_ns()};
    driver_enter();
    int users = atomic_load(&driver.users);
    while (users > 0 && !atomic_compare_exchange_weak(&driver.users, &users, users - 1))
        ;
    return call_end(&c, users > 0 ? NV_SUCCESS : NV_UNINITIALIZED);
}
