/* core: init, count, handles, versions, error texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "sim/driver/call.h"

API int nvmlInit(void)
{
    return driver_init(__func__);
}

API int nvmlInit_v2(void)
{
    return driver_init(__func__);
}

API int nvmlInitWithFlags(unsigned flags)
{
    return driver_init(__func__);
}

API int nvmlShutdown(void)
{
    return driver_shutdown(__func__);
}

API const char *nvmlErrorString(int code)
{
    static const char *const texts[] = {
        "Success",
        "Uninitialized",
        "Invalid Argument",
        "Not Supported",
        "Insufficient Permissions",
        "Already Initialized",
        "Not Found",
        "Insufficient Size",
        "Insufficient External Power",
        "Driver Not Loaded",
        "Timeout",
        "Interrupt Request Issue",
        "NVML Shared Library Not Found",
        "Function Not Found",
        "Corrupted infoROM",
        "GPU is lost",
        "GPU requires reset",
        "GPU access blocked by the operating system",
        "Driver/library version mismatch",
        "In use by another client",
        "Insufficient Memory",
        "No data",
        "vGPU ECC not supported",
        "Insufficient Resources",
        "Frequency not supported",
        "Argument version mismatch",
        "Deprecated",
        "Not ready",
        "GPU not found",
        "Invalid state",
        "Reset type not supported",
    };
    if (code < 0 || code >= (int)(sizeof(texts) / sizeof(texts[0])))
        return "Unknown Error";
    return texts[code];
}

API int nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    BEGIN;
    END(call_text(&c, c.scenario->driver_version, version, length));
}

API int nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    char text[64];
    BEGIN;
    snprintf(text, sizeof(text), "13.%.48s", c.scenario->driver_version);
    END(call_text(&c, text, version, length));
}

static int cuda_version(struct call *c, int *version)
{
    if (!version)
        return call_end(c, NV_INVALID_ARGUMENT);
    *version = c->scenario->cuda_version;
    return call_end(c, NV_SUCCESS);
}

API int nvmlSystemGetCudaDriverVersion(int *version)
{
    BEGIN;
    return cuda_version(&c, version);
}

API int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    BEGIN;
    return cuda_version(&c, version);
}

API int nvmlSystemGetDriverBranch(struct nv_branch *out, unsigned length)
{
    BEGIN;
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_branch, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    char text[8];
    snprintf(text, sizeof(text), "r%.3s", c.scenario->driver_version);
    END(call_text(&c, text, out->branch,
                  length < sizeof(out->branch) ? length : sizeof(out->branch)));
}

/* Names of simulated processes; real ones by their command line, as the driver does. */
API int nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length)
{
    char path[64], text[512] = {0};
    BEGIN;
    NEED(name && length);
    for (uint32_t i = 0; i < c.scenario->n_processes; i++) {
        const struct sim_process *p = &c.scenario->process[i];
        if (pid == load_pid(p, c.t_ns) && load_alive(p, c.t_ns)) {
            snprintf(name, length, "%s", p->name);
            END(NV_SUCCESS);
        }
    }
    snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    if (!n)
        END(NV_NOT_FOUND);
    snprintf(name, length, "%s", text);
    END(NV_SUCCESS);
}

static int count(struct call *c, unsigned *out)
{
    if (!out)
        return call_end(c, NV_INVALID_ARGUMENT);
    *out = c->list_count >= 0 ? (unsigned)c->list_count : c->scenario->n_gpus;
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetCount(unsigned *out)
{
    BEGIN;
    return count(&c, out);
}

API int nvmlDeviceGetCount_v2(unsigned *out)
{
    BEGIN;
    return count(&c, out);
}

static int give(struct call *c, uint32_t index, int32_t mig, void **out)
{
    int code = call_trouble(c->world, index, c->t_ns);
    if (!code)
        *out = handle_of(index, mig);
    return call_end(c, code);
}

static int by_index(struct call *c, unsigned index, void **out)
{
    if (!out || index >= c->scenario->n_gpus)
        return call_end(c, NV_INVALID_ARGUMENT);
    return give(c, index, -1, out);
}

API int nvmlDeviceGetHandleByIndex(unsigned index, void **out)
{
    BEGIN;
    return by_index(&c, index, out);
}

API int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out)
{
    BEGIN;
    return by_index(&c, index, out);
}

void mig_uuid(const struct sim_gpu *g, int32_t mig, char out[96]);
void mig_uuid(const struct sim_gpu *g, int32_t mig, char out[96])
{
    char seed[80];
    int n = snprintf(seed, sizeof(seed), "%s/%d", g->uuid, mig);
    uint64_t a = str_hash(seed, (size_t)n), b = str_hash(&a, sizeof(a));
    snprintf(out, 96, "MIG-%08x-%04x-%04x-%04x-%012llx", (uint32_t)(a >> 32),
             (uint32_t)(a >> 16) & 0xffff, (uint32_t)a & 0xffff, (uint32_t)(b >> 48),
             (unsigned long long)(b & 0xffffffffffff));
}

static int by_uuid(struct call *c, const char *uuid, void **out)
{
    char text[96];
    for (uint32_t i = 0; i < c->scenario->n_gpus; i++) {
        if (strcasecmp(c->scenario->gpu[i].uuid, uuid) == 0)
            return give(c, i, -1, out);
        for (int32_t k = 0; k < (int32_t)c->scenario->gpu[i].n_mig; k++) {
            mig_uuid(&c->scenario->gpu[i], k, text);
            if (strcasecmp(text, uuid) == 0)
                return give(c, i, k, out);
        }
    }
    return call_end(c, NV_NOT_FOUND);
}

API int nvmlDeviceGetHandleByUUID(const char *uuid, void **out)
{
    BEGIN;
    NEED(uuid && out);
    return by_uuid(&c, uuid, out);
}

API int nvmlDeviceGetHandleByUUIDV(const struct nv_uuid *uuid, void **out)
{
    char text[42] = {0};
    BEGIN;
    NEED(uuid && out);
    if (!call_version(&c, uuid->version, NV_VERSION(nv_uuid, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    NEED(uuid->type == 1);
    memcpy(text, uuid->value.text, 41);
    return by_uuid(&c, text, out);
}

API int nvmlDeviceGetHandleBySerial(const char *serial, void **out)
{
    BEGIN;
    NEED(serial && out);
    for (uint32_t i = 0; i < c.scenario->n_gpus; i++)
        if (!c.scenario->gpu[i].card.geforce && strcmp(c.scenario->gpu[i].serial, serial) == 0)
            return give(&c, i, -1, out);
    END(NV_NOT_FOUND);
}

static int by_bus(struct call *c, const char *text, void **out)
{
    unsigned domain = 0, bus, device;
    if (!text || !out)
        return call_end(c, NV_INVALID_ARGUMENT);
    if (sscanf(text, "%8x:%2x:%2x", &domain, &bus, &device) != 3) {
        domain = 0;
        if (sscanf(text, "%2x:%2x", &bus, &device) != 2)
            return call_end(c, NV_INVALID_ARGUMENT);
    }
    for (uint32_t i = 0; i < c->scenario->n_gpus; i++) {
        const struct sim_gpu *g = &c->scenario->gpu[i];
        if (g->pci_domain == domain && g->pci_bus == bus && g->pci_device == device)
            return give(c, i, -1, out);
    }
    return call_end(c, NV_NOT_FOUND);
}

API int nvmlDeviceGetHandleByPciBusId(const char *text, void **out)
{
    BEGIN;
    return by_bus(&c, text, out);
}

API int nvmlDeviceGetHandleByPciBusId_v2(const char *text, void **out)
{
    BEGIN;
    return by_bus(&c, text, out);
}

API int nvmlGetExcludedDeviceCount(unsigned *out)
{
    BEGIN;
    NEED(out);
    *out = 0;
    END(NV_SUCCESS);
}

API int nvmlUnitGetCount(unsigned *out)
{
    BEGIN;
    NEED(out);
    *out = 0;
    END(NV_SUCCESS);
}
