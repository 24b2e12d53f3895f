/* source_nvml: NVIDIA cards through the driver's library; never a CUDA context. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "machine/machine.h"
#include "nvml/place.h"
#include "telemetry/nvml_card.h"

/* Calls of a tick: memory, utilisation, temperature, field values, and four more in turn. */
enum { TURN_CALLS = 4, WATCH_CALLS = 2, WATCH_TRIES = 5, UNKNOWN_MOST = 3 };
static const double believable_bytes = 1e14;

void source_note(struct source_gpu *g, const char *what, const char *why)
{
    char shown[64];
    size_t n = strlen(g->trouble);
    str_printable(why, strnlen(why, 60), shown, sizeof(shown));
    if (n + strlen(what) + strlen(shown) + 5 < sizeof(g->trouble))
        snprintf(g->trouble + n, sizeof(g->trouble) - n, "%s%s: %s", n ? ", " : "", what, shown);
}

/* ---- a card ---- */

static enum source_answer answer_of(struct source_gpu *g, struct nvml_card *c, int code)
{
    snprintf(g->trouble, sizeof(g->trouble), "%.60s (code %d)", nv_text(nvml_driver_calls(c->driver), code), code);
    return code == NV_NO_PERMISSION ? SOURCE_DENIED : SOURCE_LOST;
}

/* A card that was known is found by its UUID: its number may have changed. */
static bool open_card(struct source_gpu *g, struct nvml_card *c, enum source_answer *answer)
{
    if (!c->driver && !(c->driver = nvml_shared_driver(c->shared))) {
        snprintf(g->trouble, sizeof(g->trouble), "the driver is not loaded");
        *answer = SOURCE_LOST;
        nvml_load_again(c, clock_mono_ns());
        return false;
    }
    if (c->dev)
        return true;
    int code = NV_FUNCTION_NOT_FOUND;
    if (g->info.uuid[0])
        code = NVML_ASK(g, c, handle_by_uuid, g->info.uuid, &c->dev);
    if (code == NV_FUNCTION_NOT_FOUND)
        code = NVML_ASK(g, c, handle, c->index, &c->dev);
    if (code == NV_OK && c->dev) {
        if (!c->described)
            nvml_describe(g, c);
        return true;
    }
    c->dev = NULL;
    *answer = answer_of(g, c, code);
    if (code == NV_UNINITIALIZED || code == NV_DRIVER_NOT_LOADED || code == NV_LIB_RM_VERSION_MISMATCH)
        nvml_load_again(c, clock_mono_ns());
    return false;
}

static void host_memory(const char *proc_root, struct sample *s)
{
    struct host host;
    struct err ignored = {0};
    if (!machine_read_host(proc_root, &host, &ignored) || host.free_bytes > host.total_bytes)
        return;
    sample_set(s, METRIC_MEMORY_TOTAL, (double)host.total_bytes);
    sample_set(s, METRIC_MEMORY_FREE, (double)host.free_bytes);
    sample_set(s, METRIC_MEMORY_USED, (double)(host.total_bytes - host.free_bytes));
}

static void set_memory(struct source_gpu *g, const struct nv_memory_v2 *m, bool reserved_known, struct sample *s)
{
    if (m->total == 0 || (double)m->total > believable_bytes || m->used > m->total || m->free > m->total) {
        if (m->total)
            source_note(g, "memory", "the driver says more is used than there is");
        s->present &= ~(UINT64_C(1) << METRIC_MEMORY_TOTAL | UINT64_C(1) << METRIC_MEMORY_USED |
                        UINT64_C(1) << METRIC_MEMORY_FREE | UINT64_C(1) << METRIC_MEMORY_RESERVED);
        return;
    }
    sample_set(s, METRIC_MEMORY_TOTAL, (double)m->total);
    sample_set(s, METRIC_MEMORY_USED, (double)m->used);
    sample_set(s, METRIC_MEMORY_FREE, (double)m->free);
    if (reserved_known && m->reserved <= m->total)
        sample_set(s, METRIC_MEMORY_RESERVED, (double)m->reserved);
}

/* The second version tells what the driver reserves apart from what is used; the first counts both as used. Cards that
 * share the host's memory tell nothing: then it is the host's. */
static int read_memory(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick, struct sample *s)
{
    struct nv_memory_v2 m2 = {.version = NV_MEMORY_V2};
    struct nv_memory m1 = {0};
    int code = NVML_ASK(g, c, memory2, c->dev, &m2);
    if (code == NV_OK) {
        set_memory(g, &m2, true, s);
        return code;
    }
    if (nvml_lacks(code) && (code = NVML_ASK(g, c, memory, c->dev, &m1)) == NV_OK) {
        m2 = (struct nv_memory_v2){.total = m1.total, .free = m1.free, .used = m1.used};
        set_memory(g, &m2, false, s);
    }
    if (code == NV_NOT_SUPPORTED && !g->info.mig) {
        g->info.unified_memory = true;
        host_memory(tick->proc_root, s);
    }
    return code;
}

static void read_fast(struct source_gpu *g, struct nvml_card *c, struct sample *s)
{
    struct nv_utilization u = {0};
    uint32_t celsius = 0;
    int code = NVML_ASK(g, c, utilization, c->dev, &u);
    if (code == NV_OK && u.gpu <= 100 && u.memory <= 100) {
        sample_set(s, METRIC_UTILIZATION, u.gpu);
        sample_set(s, METRIC_MEMORY_UTILIZATION, u.memory);
    } else {
        if (code != NV_OK && !nvml_lacks(code) && sample_has(s, METRIC_UTILIZATION))
            source_note(g, "utilization", nv_text(nvml_driver_calls(c->driver), code));
        sample_clear(s, METRIC_UTILIZATION);
        sample_clear(s, METRIC_MEMORY_UTILIZATION);
    }
    code = NVML_ASK(g, c, temperature, c->dev, 0, &celsius);
    if (code == NV_OK && celsius > 0 && celsius < 200) {
        sample_set(s, METRIC_TEMPERATURE, celsius);
        return;
    }
    if (code != NV_OK && !nvml_lacks(code) && sample_has(s, METRIC_TEMPERATURE))
        source_note(g, "temperature", nv_text(nvml_driver_calls(c->driver), code));
    sample_clear(s, METRIC_TEMPERATURE);
}

static void read_errors(struct nvml_card *c, struct sample *s)
{
    uint32_t newest = 0;
    uint64_t count = 0;
    if (!c->watches_errors)
        return;
    nvml_driver_errors(c->driver, c->index, &newest, &count);
    sample_set(s, METRIC_XID_COUNT, (double)count);
    if (count)
        sample_set(s, METRIC_XID, newest);
}

/* A laptop's card that sleeps is woken by any question to the driver: ask the kernel first, once a second. */
static bool is_suspended(struct nvml_card *c, uint64_t now_ns)
{
    char text[16] = {0};
    if (!c->power_status[0] || (c->suspend_ns && now_ns - c->suspend_ns < (uint64_t)CLOCK_NS_PER_S))
        return c->suspended;
    own_fd int fd = open(c->power_status, O_RDONLY | O_CLOEXEC);
    c->suspend_ns = now_ns;
    c->suspended = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && str_starts(text, "suspended");
    return c->suspended;
}

/* The driver's word that the card is gone; an unknown error only when it stays. */
static bool is_gone(struct nvml_card *c, int code)
{
    c->unknown_errors = code == NV_UNKNOWN ? c->unknown_errors + 1 : 0;
    return code == NV_GPU_IS_LOST || code == NV_RESET_REQUIRED || code == NV_UNINITIALIZED ||
           code == NV_DRIVER_NOT_LOADED || code == NV_LIB_RM_VERSION_MISMATCH || code == NV_GPU_NOT_FOUND ||
           c->unknown_errors >= UNKNOWN_MOST;
}

static enum source_answer read_card(struct source_gpu *g, const struct source_tick *tick, struct sample *s,
                                    struct process_table *t)
{
    struct nvml_card *c = g->at;
    enum source_answer answer = SOURCE_READ;
    g->trouble[0] = 0;
    if (is_suspended(c, tick->now_ns))
        return SOURCE_SUSPENDED;
    if (!open_card(g, c, &answer))
        return answer;
    int code = read_memory(g, c, tick, s);
    if (is_gone(c, code) || code == NV_NO_PERMISSION) {
        c->dev = NULL;
        answer = answer_of(g, c, code);
        if (code == NV_UNINITIALIZED || code == NV_DRIVER_NOT_LOADED || code == NV_LIB_RM_VERSION_MISMATCH)
            nvml_load_again(c, tick->now_ns);
        return answer;
    }
    if (code != NV_OK && !nvml_lacks(code))
        source_note(g, "memory", nv_text(nvml_driver_calls(c->driver), code));
    read_fast(g, c, s);
    nvml_read_fields(g, c, tick, s);
    int turn = tick->first ? NVML_ITEMS : TURN_CALLS;
    if (tick->processes) {
        nvml_read_processes(g, c, tick, s, t);
        turn -= tick->first ? 0 : NVML_PROCESS_CALLS;
    }
    if (!c->watches_errors && c->watch_tries < WATCH_TRIES && c->slow_fields_ns == tick->now_ns && turn >= WATCH_CALLS) {
        c->watch_tries++;
        c->watches_errors = nvml_driver_watch_errors(c->driver, c->index, c->dev);
        turn -= WATCH_CALLS;
    }
    read_errors(c, s);
    nvml_read_items(g, c, tick, turn, s);
    return SOURCE_READ;
}

static void close_card(struct source_gpu *g)
{
    struct nvml_card *c = g->at;
    nvml_driver_drop(c->driver);
    nvml_shared_drop(c->shared);
    free(c->scratch);
    free(c);
    g->at = NULL;
}

/* ---- finding them ---- */

static bool add_card(struct nvml_shared *shared, uint32_t index, struct source_gpu *out)
{
    struct nvml_card *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    c->shared = shared;
    c->index = index;
    atomic_fetch_add(&shared->references, 1);
    *out = (struct source_gpu){.at = c, .read = read_card, .close = close_card};
    out->info.source = SOURCE_NVML;
    out->info.simulated = nvml_driver_calls(shared->driver)->simulated;
    return true;
}

bool source_nvml_find(const char *sysfs_root, struct source_gpu *list, uint32_t *n, struct err *err)
{
    struct nvml_driver *driver = NULL;
    if (!nvml_driver_open(&driver, sysfs_root, err))
        return false;
    struct nvml_shared *shared = calloc(1, sizeof(*shared));
    if (!shared) {
        nvml_driver_drop(driver);
        return err_set(err, ERR_1201, "no memory for the NVIDIA driver's cards");
    }
    pthread_mutex_init(&shared->lock, NULL);
    shared->driver = driver;
    atomic_init(&shared->references, 1);
    uint32_t count = 0;
    if (nvml_driver_calls(driver)->count(&count) != NV_OK)
        count = 0;
    char slot[NVML_SLOTS_MOST][NVML_SLOT_MAX];
    const char *root = sysfs_root ? sysfs_root : "";
    int slots = nvml_driver_calls(driver)->simulated ? 0 : nvml_pci_slots(root, slot);
    for (uint32_t i = 0; i < count && *n < TELEMETRY_MAX_GPUS; i++) {
        if (!add_card(shared, i, &list[*n]))
            break;
        struct nvml_card *c = list[(*n)++].at;
        if (slots == (int)count) /* else it is not certain which is which */
            snprintf(c->power_status, sizeof(c->power_status), "%.32s/sys/bus/pci/devices/%.31s/power/runtime_status",
                     root, slot[i]);
    }
    nvml_shared_drop(shared);
    return true;
}
