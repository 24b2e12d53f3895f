/* health: memory errors, replaced rows, and what else a driver says of a card's state. */
#include <string.h>

#include "sim/driver/call.h"

static bool has_ecc(const struct call *c)
{
    return !c->gpu->card.geforce && !c->gpu->unified;
}

static uint64_t errors(const struct call *c, unsigned type)
{
    return call_count(c, type == 0 ? SIM_FAULT_ECC_CORRECTED : SIM_FAULT_ECC_UNCORRECTED);
}

API int nvmlDeviceGetEccMode(void *device, unsigned *now, unsigned *pending)
{
    BEGIN_ON(device);
    NEED(now && pending);
    SUPPORT(has_ecc(&c));
    *now = *pending = 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetDefaultEccMode(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(has_ecc(&c));
    *out = 1;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetTotalEccErrors(void *device, unsigned type, unsigned counter, uint64_t *out)
{
    BEGIN_ON(device);
    NEED(out && type <= 1 && counter <= 1);
    SUPPORT(has_ecc(&c));
    *out = errors(&c, type);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetDetailedEccErrors(void *device, unsigned type, unsigned counter,
                                       struct nv_ecc_counts *out)
{
    BEGIN_ON(device);
    NEED(out && type <= 1 && counter <= 1);
    SUPPORT(has_ecc(&c));
    *out = (struct nv_ecc_counts){.memory = errors(&c, type)};
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMemoryErrorCounter(void *device, unsigned type, unsigned counter,
                                        unsigned place, uint64_t *out)
{
    BEGIN_ON(device);
    NEED(out && type <= 1 && counter <= 1 && place <= 7);
    SUPPORT(has_ecc(&c));
    *out = place == 2 ? errors(&c, type) : 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetSramEccErrorStatus(void *device, struct nv_sram *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_sram, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(has_ecc(&c));
    memset(out->counts, 0, sizeof(out->counts));
    out->threshold_exceeded = 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected,
                                  unsigned *pending, unsigned *failed)
{
    BEGIN_ON(device);
    NEED(corrected && uncorrected && pending && failed);
    SUPPORT(has_ecc(&c));
    *corrected = *failed = 0;
    *uncorrected = (unsigned)call_count(&c, SIM_FAULT_REMAPPED);
    *pending = *uncorrected > 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetRemappedRows_v2(void *device, struct nv_rows_v2 *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(has_ecc(&c));
    uint32_t rows = (uint32_t)call_count(&c, SIM_FAULT_REMAPPED);
    *out = (struct nv_rows_v2){.uncorrected = rows, .pending = rows > 0};
    END(NV_SUCCESS);
}

API int nvmlDeviceGetRowRemapperHistogram(void *device, struct nv_row_histogram *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(has_ecc(&c));
    *out = (struct nv_row_histogram){.max = 640};
    END(NV_SUCCESS);
}

API int nvmlDeviceGetRetiredPagesPendingStatus(void *device, unsigned *out)
{
    BEGIN_ON(device);
    NEED(out);
    SUPPORT(has_ecc(&c) && c.gpu->card.cc_major < 8);
    *out = 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetRepairStatus(void *device, struct nv_repair *out)
{
    BEGIN_ON(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_repair, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(has_ecc(&c));
    out->channel_pending = out->tpc_pending = 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceValidateInforom(void *device)
{
    BEGIN_ON(device);
    SUPPORT(!c.gpu->card.geforce);
    END(NV_SUCCESS);
}
