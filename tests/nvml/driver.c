/* driver: a libnvidia-ml with NVML's ABI and two fixed cards, to drive the loader through real dlopen calls.
 * TEST_NVML selects what goes wrong: init=CODE, lost=INDEX, nomem, old (only the oldest symbols answer). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int nvmlDeviceGetCount_v2(uint32_t *n)
{
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

int nvmlDeviceGetMemoryInfo(void *dev, uint64_t *m)
{
    const struct card *c = dev;
    if (has("nomem"))
        return 3;
    m[0] = c->total;
    m[1] = c->total - c->used - c->reserved;
    m[2] = c->used + c->reserved;
    return 0;
}

int nvmlDeviceGetMemoryInfo_v2(void *dev, void *m)
{
    const struct card *c = dev;
    uint64_t values[4] = {c->total, c->reserved, c->total - c->used - c->reserved, c->used};
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
    return list(n, out, dev == (void *)&cards[0] ? 2 : 0, pids, bytes);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *dev, uint32_t *n, void *out)
{
    static const uint32_t pids[] = {1};
    static const uint64_t bytes[] = {200 * MIB};
    return list(n, out, dev == (void *)&cards[0] ? 1 : 0, pids, bytes);
}
