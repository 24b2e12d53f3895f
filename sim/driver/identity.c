/* identity: what a card is: name, ids, place, architecture, modes. */
#include <stdio.h>
#include <string.h>

#include "sim/driver/call.h"

void mig_uuid(const struct sim_gpu *g, int32_t mig, char out[96]);

#define NUMBER(function, type, expression)    \
    API int function(void *device, type *out) \
    {                                         \
        BEGIN_ON(device);                     \
        NEED(out);                            \
        *out = (type)(expression);            \
        END(NV_SUCCESS);                      \
    }
#define TEXT(function, condition, expression)                  \
    API int function(void *device, char *out, unsigned length) \
    {                                                          \
        BEGIN_ON(device);                                      \
        SUPPORT(condition);                                    \
        END(call_text(&c, expression, out, length));           \
    }

API int nvmlDeviceGetName(void *device, char *out, unsigned length)
{
    char text[192];
    BEGIN_ON(device);
    snprintf(text, sizeof(text), "%s%s%s", c.gpu->name, c.mig >= 0 ? " MIG " : "",
             c.mig >= 0 ? c.gpu->mig[c.mig].profile : "");
    END(call_text(&c, text, out, length));
}

API int nvmlDeviceGetUUID(void *device, char *out, unsigned length)
{
    char text[96];
    BEGIN_ON(device);
    if (c.mig >= 0)
        mig_uuid(c.gpu, c.mig, text);
    else
        snprintf(text, sizeof(text), "%s", c.gpu->uuid);
    END(call_text(&c, text, out, length));
}

TEXT(nvmlDeviceGetSerial, !c.gpu->card.geforce, c.gpu->serial)
TEXT(nvmlDeviceGetBoardPartNumber, !c.gpu->card.geforce, "900-00000-0000-000")
TEXT(nvmlDeviceGetVbiosVersion, true, "95.02.18.80.01")
TEXT(nvmlDeviceGetInforomImageVersion, !c.gpu->card.geforce, "G001.0000.01.04")
NUMBER(nvmlDeviceGetIndex, unsigned, c.index)
NUMBER(nvmlDeviceGetMinorNumber, unsigned, c.index)
NUMBER(nvmlDeviceGetBoardId, unsigned, c.gpu->pci_bus << 8)
NUMBER(nvmlDeviceGetMultiGpuBoard, unsigned, 0)
NUMBER(nvmlDeviceGetModuleId, unsigned, c.index)
NUMBER(nvmlDeviceGetNumaNodeId, unsigned, c.gpu->numa)
NUMBER(nvmlDeviceGetNumGpuCores, unsigned, c.gpu->card.cores)
NUMBER(nvmlDeviceGetMemoryBusWidth, unsigned, c.gpu->card.bus_bits)
NUMBER(nvmlDeviceGetPersistenceMode, unsigned, 1)
NUMBER(nvmlDeviceGetComputeMode, unsigned, 0)
NUMBER(nvmlDeviceGetDisplayMode, unsigned, 0)
NUMBER(nvmlDeviceGetDisplayActive, unsigned, 0)
NUMBER(nvmlDeviceGetVirtualizationMode, unsigned, 0)
NUMBER(nvmlDeviceGetIrqNum, unsigned, 100 + c.index)
NUMBER(nvmlDeviceGetBusType, unsigned, 2)

API int nvmlDeviceGetInforomVersion(void *device, unsigned object, char *out, unsigned length)
{
    BEGIN_ON(device);
    NEED(object <= 3);
    SUPPORT(!c.gpu->card.geforce);
    END(call_text(&c, "2.1", out, length));
}

API int nvmlDeviceGetBrand(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    const char *n = c.gpu->card.name;
    *out = strncmp(n, "GeForce RTX", 11) == 0  ? 15
           : strncmp(n, "GeForce", 7) == 0     ? 5
           : strncmp(n, "TITAN", 5) == 0       ? 16
           : strncmp(n, "Quadro RTX", 10) == 0 ? 12
           : strncmp(n, "Tesla", 5) == 0       ? 2
           : strncmp(n, "RTX", 3) == 0         ? 13
                                               : 14;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetArchitecture(void *device, unsigned *out)
{
    static const struct {
        const char *name;
        unsigned number;
    } names[] = {
        {"Kepler",       2 },
        {"Maxwell",      3 },
        {"Pascal",       4 },
        {"Volta",        5 },
        {"Turing",       6 },
        {"Ampere",       7 },
        {"Ada Lovelace", 8 },
        {"Hopper",       9 },
        {"Blackwell",    10}
    };
    BEGIN_ON(device);
    NEED(out);
    unsigned number = UINT32_MAX;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, c.gpu->card.arch) == 0)
            number = names[i].number;
    *out = number;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor)
{
    BEGIN_ON(device);
    NEED(major && minor);
    *major = (int)c.gpu->card.cc_major;
    *minor = (int)c.gpu->card.cc_minor;
    END(NV_SUCCESS);
}

static void fill_bus(const struct sim_gpu *g, char out[32], char legacy[16])
{
    snprintf(out, 32, "%08X:%02X:%02X.0", g->pci_domain, g->pci_bus & 0xff, g->pci_device & 0x1f);
    snprintf(legacy, 16, "%04X:%02X:%02X.0", g->pci_domain & 0xffff, g->pci_bus & 0xff,
             g->pci_device & 0x1f);
}

static int pci(struct call *c, struct nv_pci *out)
{
    const struct sim_gpu *g = c->gpu;
    if (c->code || !out)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    memset(out, 0, sizeof(*out));
    fill_bus(g, out->bus_id, out->bus_id_legacy);
    out->domain = g->pci_domain;
    out->bus = g->pci_bus;
    out->device = g->pci_device;
    out->device_id = g->card.device_id;
    out->subsystem_id = g->card.subsystem_id;
    if (c->endless) {
        memset(out->bus_id, 'A', sizeof(out->bus_id));
        memset(out->bus_id_legacy, 'A', sizeof(out->bus_id_legacy));
    }
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetPciInfo(void *device, struct nv_pci *out)
{
    struct call c = call_begin_on(__func__, device);
    return pci(&c, out);
}

API int nvmlDeviceGetPciInfo_v2(void *device, struct nv_pci *out)
{
    struct call c = call_begin_on(__func__, device);
    return pci(&c, out);
}

API int nvmlDeviceGetPciInfo_v3(void *device, struct nv_pci *out)
{
    struct call c = call_begin_on(__func__, device);
    return pci(&c, out);
}

API int nvmlDeviceGetPciInfoExt(void *device, struct nv_pci_ext *out)
{
    char legacy[16];
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_pci_ext, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    const struct sim_gpu *g = c.gpu;
    *out = (struct nv_pci_ext){.version = out->version,
                               .domain = g->pci_domain,
                               .bus = g->pci_bus,
                               .device = g->pci_device,
                               .device_id = g->card.device_id,
                               .subsystem_id = g->card.subsystem_id,
                               .base_class = 3,
                               .sub_class = 2};
    fill_bus(g, out->bus_id, legacy);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetGspFirmwareVersion(void *device, char *out)
{
    BEGIN_ON(device);
    NEED(out);
    snprintf(out, 64, "%.60s", c.scenario->driver_version);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetGspFirmwareMode(void *device, unsigned *enabled, unsigned *standard)
{
    BEGIN_ON(device);
    NEED(enabled && standard);
    *enabled = *standard = 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetAddressingMode(void *device, struct nv_addressing *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_addressing, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    out->mode = c.gpu->unified ? 2 : 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetC2cModeInfoV(void *device, struct nv_c2c *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(c.gpu->unified);
    out->enabled = 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetPdi(void *device, struct nv_pdi *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_pdi, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    out->value = 0x51a0000000000000u + c.index;
    END(NV_SUCCESS);
}

API int nvmlDeviceOnSameBoard(void *a, void *b, int *out)
{
    BEGIN_ON(a);
    NEED(out);
    *out = a == b;
    END(NV_SUCCESS);
}

/* Linux has no driver models. */
API int nvmlDeviceGetDriverModel_v2(void *device, unsigned *now, unsigned *later)
{
    BEGIN_ON(device);
    NEED(now && later);
    SUPPORT(c.scenario->wsl);
    *now = *later = 0;
    END(NV_SUCCESS);
}
