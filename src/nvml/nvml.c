/* nvml: loads the driver's library, asks each card a few questions, and lets go of it again. */
#include "nvml/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"

/* Return codes of NVML's ABI that are told apart here. */
enum {
    NV_OK = 0,
    NV_NO_PERMISSION = 4,
    NV_DRIVER_NOT_LOADED = 9,
    NV_LIB_RM_VERSION_MISMATCH = 18,
};

typedef void *nv_device;
struct nv_memory { uint64_t total, free, used; };
struct nv_memory_v2 { uint32_t version; uint64_t total, reserved, free, used; };
struct nv_pci {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
struct nv_process_v1 { uint32_t pid; uint64_t bytes; };
struct nv_process_v2 { uint32_t pid; uint64_t bytes; uint32_t gpu_instance, compute_instance; };

#define NV_MEMORY_V2 ((uint32_t)(sizeof(struct nv_memory_v2) | (2u << 24)))

/* One row per call: field, return and parameters, newest symbol first. Rows marked HARD must be there. */
#define NV_CALLS(X)                                                                             \
    X(init, (void), "nvmlInit_v2", "nvmlInit")                                                  \
    X(shutdown, (void), "nvmlShutdown", NULL)                                                   \
    X(count, (uint32_t *), "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")                       \
    X(handle, (uint32_t, nv_device *), "nvmlDeviceGetHandleByIndex_v2",                         \
      "nvmlDeviceGetHandleByIndex")                                                             \
    X(driver, (char *, uint32_t), "nvmlSystemGetDriverVersion", NULL)                           \
    X(name, (nv_device, char *, uint32_t), "nvmlDeviceGetName", NULL)                           \
    X(uuid, (nv_device, char *, uint32_t), "nvmlDeviceGetUUID", NULL)                           \
    X(pci, (nv_device, struct nv_pci *), "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2")  \
    X(memory2, (nv_device, struct nv_memory_v2 *), "nvmlDeviceGetMemoryInfo_v2", NULL)          \
    X(memory, (nv_device, struct nv_memory *), "nvmlDeviceGetMemoryInfo", NULL)                 \
    X(capability, (nv_device, int *, int *), "nvmlDeviceGetCudaComputeCapability", NULL)        \
    X(cores, (nv_device, uint32_t *), "nvmlDeviceGetNumGpuCores", NULL)                         \
    X(pcie_gen, (nv_device, uint32_t *), "nvmlDeviceGetMaxPcieLinkGeneration", NULL)            \
    X(pcie_width, (nv_device, uint32_t *), "nvmlDeviceGetMaxPcieLinkWidth", NULL)               \
    X(compute2, (nv_device, uint32_t *, struct nv_process_v2 *),                                \
      "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")     \
    X(graphics2, (nv_device, uint32_t *, struct nv_process_v2 *),                               \
      "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2")   \
    X(compute1, (nv_device, uint32_t *, struct nv_process_v1 *),                                \
      "nvmlDeviceGetComputeRunningProcesses", NULL)

struct nv {
    void *lib;
    const char *(*error_string)(int);
#define X(field, params, newest, older) int(*field) params;
    NV_CALLS(X)
#undef X
};

static void nv_close(struct nv *nv)
{
    if (nv->lib)
        dlclose(nv->lib);
    nv->lib = NULL;
}

static void *find(void *lib, const char *newest, const char *older)
{
    void *p = dlsym(lib, newest);
    return p || !older ? p : dlsym(lib, older);
}

static void *open_library(void)
{
    const char *named = getenv("DUALGPUOPT_NVML_PATH");
    if (named && *named)
        return dlopen(named, RTLD_LAZY | RTLD_LOCAL);
    static const char *const names[] = {"libnvidia-ml.so.1", "libnvidia-ml.so",
                                        "/usr/lib/wsl/lib/libnvidia-ml.so.1"};
    void *lib = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !lib; i++)
        lib = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    return lib;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Why a machine has no library: the likeliest reason first, each with its own way out. */
static bool explain_absence(struct err *err)
{
    err_set(err, ERR_1101, "no NVIDIA driver library found");
    if (exists("/usr/lib/wsl/lib")) {
        err_why(err, "this is WSL, but /usr/lib/wsl/lib/libnvidia-ml.so.1 cannot be loaded");
        err_fix(err, NULL, "update the Windows NVIDIA driver; do not install a Linux one inside WSL");
    } else if (exists("/.dockerenv") || exists("/run/.containerenv")) {
        err_why(err, "this is a container without the driver's libraries");
        err_fix(err, "docker run --gpus all ...", "start the container with its GPUs");
    } else if (exists("/sys/module/nouveau")) {
        err_why(err, "the nouveau driver holds the card");
        err_fix(err, NULL, "install NVIDIA's driver and reboot");
    } else if (exists("/proc/driver/nvidia")) {
        err_why(err, "the kernel driver is loaded, its library libnvidia-ml.so.1 is not on the loader's path");
        err_fix(err, NULL, "install the driver's libraries, or set DUALGPUOPT_NVML_PATH");
    } else {
        err_why(err, "no NVIDIA driver is loaded on this machine");
    }
    return err_fix(err, "dualgpuopt plan MODEL --gpus rtx5090,rtx4090", "plan for imagined cards");
}

static bool load(struct nv *nv, struct err *err)
{
    nv->lib = open_library();
    if (!nv->lib)
        return explain_absence(err);
#define X(field, params, newest, older) *(void **)&nv->field = find(nv->lib, newest, older);
    NV_CALLS(X)
#undef X
    *(void **)&nv->error_string = find(nv->lib, "nvmlErrorString", NULL);
    if (!nv->init || !nv->shutdown || !nv->count || !nv->handle) {
        err_set(err, ERR_1102, "the NVIDIA driver library lacks calls that every version has");
        return err_fix(err, NULL, "check what libnvidia-ml.so.1 is: it may be a stub");
    }
    return true;
}

static bool init_failed(const struct nv *nv, int code, struct err *err)
{
    const char *text = nv->error_string ? nv->error_string(code) : "no text";
    if (code == NV_LIB_RM_VERSION_MISMATCH) {
        err_set(err, ERR_1103, "the loaded NVIDIA driver and its library have different versions");
        return err_fix(err, NULL, "reboot, or reload the nvidia kernel modules");
    }
    if (code == NV_NO_PERMISSION) {
        err_set(err, ERR_1104, "the NVIDIA driver refuses access: %s", text);
        return err_fix(err, "ls -l /dev/nvidia*", "see who may open the devices");
    }
    err_set(err, ERR_1102, "the NVIDIA driver does not start: %s (code %d)", text, code);
    if (code == NV_DRIVER_NOT_LOADED)
        err_fix(err, "sudo modprobe nvidia", "load the kernel driver");
    return false;
}

static const char *read_comm(uint32_t pid, struct arena *arena)
{
    char path[64], raw[64], shown[256];
    snprintf(path, sizeof(path), "/proc/%u/comm", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(raw, 1, sizeof(raw), f) : 0;
    if (f)
        fclose(f);
    while (n && (raw[n - 1] == '\n' || raw[n - 1] == 0))
        n--;
    return n ? arena_strdup(arena, str_printable(raw, n, shown, sizeof(shown))) : "?";
}

/* The driver lists a pid in both lists when it computes and draws: one entry, the larger size. */
static void add_process(struct nvml_process *list, uint32_t *n, uint32_t pid, uint64_t bytes)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i].pid == pid) {
            if (list[i].bytes == UINT64_MAX || (bytes != UINT64_MAX && bytes > list[i].bytes))
                list[i].bytes = bytes;
            return;
        }
    }
    if (*n < NVML_MAX_PROCESSES)
        list[(*n)++] = (struct nvml_process){.pid = pid, .bytes = bytes};
}

static void list_processes(int (*call)(nv_device, uint32_t *, struct nv_process_v2 *), nv_device dev,
                           struct nvml_process *list, uint32_t *n)
{
    if (!call)
        return;
    uint32_t count = NVML_MAX_PROCESSES;
    own_free struct nv_process_v2 *raw = calloc(count, sizeof(*raw));
    if (!raw || call(dev, &count, raw) != NV_OK)
        return;
    for (uint32_t i = 0; i < count && i < NVML_MAX_PROCESSES; i++)
        add_process(list, n, raw[i].pid, raw[i].bytes);
}

/* Oldest drivers: entries of 16 bytes, and only the compute list. */
static void list_processes_v1(const struct nv *nv, nv_device dev, struct nvml_process *list,
                              uint32_t *n)
{
    uint32_t count = NVML_MAX_PROCESSES;
    own_free struct nv_process_v1 *raw = calloc(count, sizeof(*raw));
    if (!nv->compute1 || !raw || nv->compute1(dev, &count, raw) != NV_OK)
        return;
    for (uint32_t i = 0; i < count && i < NVML_MAX_PROCESSES; i++)
        add_process(list, n, raw[i].pid, raw[i].bytes);
}

static int by_size(const void *a, const void *b)
{
    const struct nvml_process *x = a, *y = b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static void read_processes(const struct nv *nv, nv_device dev, struct arena *arena,
                           struct nvml_card *card)
{
    own_free struct nvml_process *list = calloc(NVML_MAX_PROCESSES, sizeof(*list));
    if (!list)
        return;
    uint32_t n = 0;
    list_processes(nv->compute2, dev, list, &n);
    list_processes(nv->graphics2, dev, list, &n);
    if (!nv->compute2)
        list_processes_v1(nv, dev, list, &n);
    qsort(list, n, sizeof(*list), by_size);
    struct nvml_process *kept = n ? arena_array(arena, struct nvml_process, n) : NULL;
    if (!kept)
        return;
    memcpy(kept, list, n * sizeof(*list));
    for (uint32_t i = 0; i < n; i++)
        kept[i].name = read_comm(kept[i].pid, arena);
    card->processes = kept;
    card->n_processes = n;
}

static bool read_memory(const struct nv *nv, nv_device dev, struct nvml_card *card)
{
    struct nv_memory_v2 m2 = {.version = NV_MEMORY_V2};
    struct nv_memory m1 = {0};
    if (nv->memory2 && nv->memory2(dev, &m2) == NV_OK) {
        card->total_bytes = m2.total;
        card->free_bytes = m2.free;
        card->reserved_bytes = m2.reserved;
    } else if (nv->memory && nv->memory(dev, &m1) == NV_OK) {
        card->total_bytes = m1.total;
        card->free_bytes = m1.free;
    }
    if (card->free_bytes > card->total_bytes)
        card->free_bytes = card->total_bytes;
    return card->total_bytes > 0;
}

static const char *read_text(int (*call)(nv_device, char *, uint32_t), nv_device dev,
                             struct arena *arena)
{
    char raw[128] = {0}, shown[300];
    if (!call || call(dev, raw, sizeof(raw) - 1) != NV_OK || !raw[0])
        return NULL;
    return arena_strdup(arena, str_printable(raw, strlen(raw), shown, sizeof(shown)));
}

static void read_card(const struct nv *nv, uint32_t index, struct arena *arena,
                      struct nvml_card *card)
{
    nv_device dev = NULL;
    card->index = index;
    int code = nv->handle(index, &dev);
    if (code != NV_OK) {
        card->trouble = arena_printf(arena, "the driver does not open it: %s",
                                     nv->error_string ? nv->error_string(code) : "no text");
        return;
    }
    card->name = read_text(nv->name, dev, arena);
    card->uuid = read_text(nv->uuid, dev, arena);
    struct nv_pci pci = {0};
    if (nv->pci && nv->pci(dev, &pci) == NV_OK)
        card->pci = arena_printf(arena, "%08x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
    if (!read_memory(nv, dev, card))
        card->trouble = "the driver does not tell its memory";
    int major = 0, minor = 0;
    if (nv->capability && nv->capability(dev, &major, &minor) == NV_OK && major > 0) {
        card->cc_major = (uint32_t)major;
        card->cc_minor = (uint32_t)minor;
    }
    if (nv->cores)
        nv->cores(dev, &card->cores);
    if (nv->pcie_gen)
        nv->pcie_gen(dev, &card->pcie_gen_max);
    if (nv->pcie_width)
        nv->pcie_width(dev, &card->pcie_width_max);
    read_processes(nv, dev, arena, card);
}

bool nvml_read_inventory(struct arena *arena, struct nvml_inventory *out, struct err *err)
{
    own(nv_close) struct nv nv = {0};
    if (!load(&nv, err))
        return false;
    int code = nv.init();
    if (code != NV_OK)
        return init_failed(&nv, code, err);

    uint32_t n = 0;
    if (nv.count(&n) != NV_OK)
        n = 0;
    if (n > NVML_MAX_CARDS)
        n = NVML_MAX_CARDS;
    struct nvml_card *cards = arena_array(arena, struct nvml_card, n ? n : 1);
    bool ok = cards != NULL;
    char version[96] = {0};
    for (uint32_t i = 0; ok && i < n; i++)
        read_card(&nv, i, arena, &cards[i]);
    if (nv.driver && nv.driver(version, sizeof(version) - 1) != NV_OK)
        version[0] = 0;
    nv.shutdown();
    if (!ok)
        return err_set(err, ERR_1201, "no memory for the list of %u cards", n);
    *out = (struct nvml_inventory){
        .driver_version = version[0] ? arena_strdup(arena, version) : NULL,
        .n_cards = n,
        .cards = cards,
    };
    return true;
}
