/* driver: a libnvidia-ml with NVML's ABI and two fixed cards, to drive the loader through real dlopen calls.
 * TEST_NVML selects what goes wrong: init=CODE, lost=INDEX, nomem, old (only the oldest symbols answer), hot=INDEX,
 * denypower (limits are root's), hangtopo, hangcount (that call never returns), fakeslow (power takes 10 W less);
 * and what there is: nvlink=N, holder=PID (4 GiB of card 1 while that process lives). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define MIB ((uint64_t)1 << 20)

struct card {
    const char *name, *uuid;
    uint32_t bus, cores;
    int major, minor;
    uint64_t total, used, reserved;
};

static const struct card cards[2] = {
    {"NVIDIA GeForce RTX 5090", "GPU-5090aaaa-0000-0000-0000-000000000001", 1, 21760, 12, 0, 32607 * MIB,
     900 * MIB, 480 * MIB},
    {"NVIDIA GeForce RTX 4090", "GPU-4090bbbb-0000-0000-0000-000000000002", 0x41, 16384, 8, 9, 24564 * MIB,
     20 * MIB, 400 * MIB},
};

static long asked(const char *what, long otherwise)
{
    const char *env = getenv("TEST_NVML"), *at = env ? strstr(env, what) : NULL;
    return at ? strtol(at + strlen(what), NULL, 10) : otherwise;
}

static int has(const char *word)
{
    const char *env = getenv("TEST_NVML");
    return env && strstr(env, word) != NULL;
}

API int nvmlInit_v2(void);
API int nvmlShutdown(void);
API const char *nvmlErrorString(int code);
API int nvmlDeviceGetCount_v2(uint32_t *n);
API int nvmlDeviceGetHandleByIndex_v2(uint32_t i, void **dev);
API int nvmlSystemGetDriverVersion(char *out, uint32_t cap);
API int nvmlDeviceGetName(void *dev, char *out, uint32_t cap);
API int nvmlDeviceGetUUID(void *dev, char *out, uint32_t cap);
API int nvmlDeviceGetPciInfo_v3(void *dev, char *pci);
API int nvmlDeviceGetMemoryInfo(void *dev, uint64_t *m);
API int nvmlDeviceGetMemoryInfo_v2(void *dev, void *m);
API int nvmlDeviceGetCudaComputeCapability(void *dev, int *major, int *minor);
API int nvmlDeviceGetComputeRunningProcesses_v3(void *dev, uint32_t *n, void *list);
API int nvmlDeviceGetGraphicsRunningProcesses_v3(void *dev, uint32_t *n, void *list);
API int nvmlDeviceGetHandleByUUID(const char *uuid, void **dev);
API int nvmlDeviceGetTemperature(void *dev, uint32_t sensor, uint32_t *celsius);
API int nvmlDeviceGetTemperatureThreshold(void *dev, uint32_t kind, uint32_t *celsius);
API int nvmlDeviceGetPowerManagementLimitConstraints(void *dev, uint32_t *least, uint32_t *most);
API int nvmlDeviceGetPowerManagementDefaultLimit(void *dev, uint32_t *mw);
API int nvmlDeviceGetPowerManagementLimit(void *dev, uint32_t *mw);
API int nvmlDeviceGetEnforcedPowerLimit(void *dev, uint32_t *mw);
API int nvmlDeviceSetPowerManagementLimit(void *dev, uint32_t mw);
API int nvmlDeviceGetTopologyCommonAncestor(void *a, void *b, uint32_t *level);
API int nvmlDeviceGetP2PStatus(void *a, void *b, uint32_t what, uint32_t *status);
API int nvmlDeviceGetNvLinkState(void *dev, uint32_t link, uint32_t *active);
API int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *dev, uint32_t link, char *pci);

int nvmlInit_v2(void)
{
    return (int)asked("init=", 0);
}

int nvmlShutdown(void)
{
    return 0;
}

const char *nvmlErrorString(int code)
{
    return code == 15 ? "GPU is lost" : code == 4 ? "Insufficient Permissions" : "Unknown Error";
}

static void hang(const char *word)
{
    while (has(word))
        pause();
}

int nvmlDeviceGetCount_v2(uint32_t *n)
{
    hang("hangcount");
    *n = 2;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(uint32_t i, void **dev)
{
    if (i > 1)
        return 2;
    if (asked("lost=", -1) == (long)i)
        return 15;
    *dev = (void *)&cards[i];
    return 0;
}

int nvmlSystemGetDriverVersion(char *out, uint32_t cap)
{
    snprintf(out, cap, "610.57");
    return 0;
}

int nvmlDeviceGetName(void *dev, char *out, uint32_t cap)
{
    snprintf(out, cap, "%s%s", ((struct card *)dev)->name, has("hostile") ? "\x1b[31m" : "");
    return 0;
}

int nvmlDeviceGetUUID(void *dev, char *out, uint32_t cap)
{
    snprintf(out, cap, "%s", ((struct card *)dev)->uuid);
    return 0;
}

int nvmlDeviceGetPciInfo_v3(void *dev, char *pci)
{
    memset(pci, 0, 68);
    memcpy(pci + 20, &((struct card *)dev)->bus, 4);
    return 0;
}

/* A process that has ended but was not waited for holds nothing. */
static uint32_t holder(void *dev)
{
    long pid = asked("holder=", 0);
    char path[64], text[256] = "";
    if (!pid || dev != (void *)&cards[1])
        return 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    const char *end = n ? strrchr(text, ')') : NULL;
    return end && end[1] == ' ' && end[2] != 'Z' && end[2] != 'X' ? (uint32_t)pid : 0;
}

static uint64_t used(void *dev)
{
    return ((struct card *)dev)->used + (holder(dev) ? 4096 * MIB : 0);
}

int nvmlDeviceGetMemoryInfo(void *dev, uint64_t *m)
{
    const struct card *c = dev;
    if (has("nomem"))
        return 3;
    m[0] = c->total;
    m[1] = c->total - used(dev) - c->reserved;
    m[2] = used(dev) + c->reserved;
    return 0;
}

int nvmlDeviceGetMemoryInfo_v2(void *dev, void *m)
{
    const struct card *c = dev;
    uint64_t values[4] = {c->total, c->reserved, c->total - used(dev) - c->reserved, used(dev)};
    uint32_t version;
    memcpy(&version, m, 4);
    if (version != (40u | 2u << 24))
        return 25;
    if (has("nomem") || has("old"))
        return 3;
    memcpy((char *)m + 8, values, sizeof(values));
    return 0;
}

int nvmlDeviceGetCudaComputeCapability(void *dev, int *major, int *minor)
{
    *major = ((struct card *)dev)->major;
    *minor = ((struct card *)dev)->minor;
    return 0;
}

static int list(uint32_t *n, void *out, uint32_t count, const uint32_t *pids, const uint64_t *bytes)
{
    if (*n < count) {
        *n = count;
        return 7;
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy((char *)out + 24 * i, &pids[i], 4);
        memcpy((char *)out + 24 * i + 8, &bytes[i], 8);
    }
    *n = count;
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *dev, uint32_t *n, void *out)
{
    static const uint32_t pids[] = {1, 4194300};
    static const uint64_t bytes[] = {600 * MIB, UINT64_MAX};
    uint32_t pid = holder(dev);
    const uint64_t held = 4096 * MIB;
    if (pid)
        return list(n, out, 1, &pid, &held);
    return list(n, out, dev == (void *)&cards[0] ? 2 : 0, pids, bytes);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *dev, uint32_t *n, void *out)
{
    static const uint32_t pids[] = {1};
    static const uint64_t bytes[] = {200 * MIB};
    return list(n, out, dev == (void *)&cards[0] ? 1 : 0, pids, bytes);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **dev)
{
    for (uint32_t i = 0; i < 2; i++)
        if (strcmp(cards[i].uuid, uuid) == 0)
            return nvmlDeviceGetHandleByIndex_v2(i, dev);
    return 6;
}

int nvmlDeviceGetTemperature(void *dev, uint32_t sensor, uint32_t *celsius)
{
    *celsius = asked("hot=", -1) == (long)(dev == (void *)&cards[1]) ? 88 : 45;
    return sensor ? 3 : 0;
}

int nvmlDeviceGetTemperatureThreshold(void *dev, uint32_t kind, uint32_t *celsius)
{
    *celsius = kind ? 90 : 95;
    return dev ? 0 : 2;
}

static uint32_t power_mw[2] = {575000, 450000};

int nvmlDeviceGetPowerManagementLimitConstraints(void *dev, uint32_t *least, uint32_t *most)
{
    *least = 150000;
    *most = dev == (void *)&cards[0] ? 600000 : 500000;
    return 0;
}

int nvmlDeviceGetPowerManagementDefaultLimit(void *dev, uint32_t *mw)
{
    *mw = dev == (void *)&cards[0] ? 575000 : 450000;
    return 0;
}

int nvmlDeviceGetPowerManagementLimit(void *dev, uint32_t *mw)
{
    *mw = power_mw[dev == (void *)&cards[1]];
    return 0;
}

int nvmlDeviceGetEnforcedPowerLimit(void *dev, uint32_t *mw)
{
    return nvmlDeviceGetPowerManagementLimit(dev, mw);
}

int nvmlDeviceSetPowerManagementLimit(void *dev, uint32_t mw)
{
    uint32_t least, most;
    nvmlDeviceGetPowerManagementLimitConstraints(dev, &least, &most);
    if (has("denypower"))
        return 4;
    if (mw < least || mw > most)
        return 2;
    power_mw[dev == (void *)&cards[1]] = has("fakeslow") ? mw - 10000 : mw;
    return 0;
}

int nvmlDeviceGetTopologyCommonAncestor(void *a, void *b, uint32_t *level)
{
    hang("hangtopo");
    *level = 30;
    return a != b ? 0 : 2;
}

int nvmlDeviceGetP2PStatus(void *a, void *b, uint32_t what, uint32_t *status)
{
    *status = asked("nvlink=", 0) ? 0 : what == 0 ? 1 : 4;
    return a != b ? 0 : 2;
}

int nvmlDeviceGetNvLinkState(void *dev, uint32_t link, uint32_t *active)
{
    if (!asked("nvlink=", 0))
        return 3;
    if (link >= 6)
        return 2;
    *active = link < (uint32_t)asked("nvlink=", 0);
    return dev ? 0 : 2;
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *dev, uint32_t link, char *pci)
{
    return link < 6 ? nvmlDeviceGetPciInfo_v3((void *)&cards[dev == (void *)&cards[0]], pci) : 2;
}
