/* metrics: use, clocks, power, heat, fans: single readings of a card. */
#include <string.h>

#include "sim/driver/call.h"

/* A reading of a whole card into *out. */
#define READING(function, type, condition, expression) \
    API int function(void *device, type *out)          \
    {                                                  \
        BEGIN_WHOLE(device);                           \
        NEED(out);                                     \
        SUPPORT(condition);                            \
        struct reading r = call_read(&c);              \
        (void)r;                                       \
        *out = (type)(expression);                     \
        END(NV_SUCCESS);                               \
    }

READING(nvmlDeviceGetPowerUsage, unsigned, true, r.power_mw)
READING(nvmlDeviceGetTotalEnergyConsumption, uint64_t, true, r.energy_mj)
READING(nvmlDeviceGetPowerManagementLimit, unsigned, true, r.limit_mw)
READING(nvmlDeviceGetEnforcedPowerLimit, unsigned, true, r.limit_mw)
READING(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, true, c.gpu->card.board_w * 1000)
READING(nvmlDeviceGetPowerManagementMode, unsigned, true, 1)
READING(nvmlDeviceGetPowerSource, unsigned, true, 0)
READING(nvmlDeviceGetPerformanceState, unsigned, true, r.pstate)
READING(nvmlDeviceGetPowerState, unsigned, true, r.pstate)
READING(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, true, r.reasons)
READING(nvmlDeviceGetCurrentClocksThrottleReasons, uint64_t, true, r.reasons)
READING(nvmlDeviceGetSupportedClocksEventReasons, uint64_t, true, 0x1ff)
READING(nvmlDeviceGetSupportedClocksThrottleReasons, uint64_t, true, 0x1ff)
READING(nvmlDeviceGetFanSpeed, unsigned, c.gpu->fan, r.fan)
READING(nvmlDeviceGetNumFans, unsigned, true, c.gpu->fan ? 2 : 0)
READING(nvmlDeviceGetAdaptiveClockInfoStatus, unsigned, true, 1)

API int nvmlDeviceGetUtilizationRates(void *device, struct nv_utilization *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    SUPPORT(c.gpu->n_mig == 0);
    struct reading r = call_read(&c);
    *out = (struct nv_utilization){(uint32_t)r.util, (uint32_t)r.mem_util};
    END(NV_SUCCESS);
}

static int engine(struct call *c, unsigned *use, unsigned *period, int which)
{
    if (c->code || !use || !period)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (c->gpu->n_mig)
        return call_end(c, NV_NOT_SUPPORTED);
    struct reading r = call_read(c);
    *use = which == 0 ? (unsigned)r.encoder : which == 1 ? (unsigned)r.decoder : 0;
    *period = 167000;
    return call_end(c, NV_SUCCESS);
}

#define ENGINE(function, which)                                     \
    API int function(void *device, unsigned *use, unsigned *period) \
    {                                                               \
        struct call c = call_begin_whole(__func__, device);         \
        return engine(&c, use, period, which);                      \
    }
ENGINE(nvmlDeviceGetEncoderUtilization, 0)
ENGINE(nvmlDeviceGetDecoderUtilization, 1)
ENGINE(nvmlDeviceGetJpgUtilization, 2)
ENGINE(nvmlDeviceGetOfaUtilization, 3)

API int nvmlDeviceGetDynamicPstatesInfo(void *device, struct nv_dynamic_pstates *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    struct reading r = call_read(&c);
    memset(out, 0, sizeof(*out));
    const uint64_t use[] = {r.util, r.mem_util, r.encoder, 0};
    for (int i = 0; i < 4; i++) {
        out->domain[i].present = 1;
        out->domain[i].percentage = (uint32_t)use[i];
    }
    END(NV_SUCCESS);
}

API int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned *least, unsigned *most)
{
    BEGIN_WHOLE(device);
    NEED(least && most);
    *least = (unsigned)(c.gpu->card.least_w * 1000);
    *most = (unsigned)(c.gpu->card.most_w * 1000);
    END(NV_SUCCESS);
}

static unsigned clock_of(const struct call *c, unsigned type, bool most)
{
    const struct sim_card *k = &c->gpu->card;
    struct reading r = call_read(c);
    if (type == 2)
        return most ? k->mem_mhz : (unsigned)r.mem_mhz;
    if (type == 3)
        return most ? k->video_mhz : (unsigned)r.video_mhz;
    return most ? k->sm_mhz : (unsigned)r.sm_mhz;
}

API int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && type <= 3);
    *out = clock_of(&c, type, false);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMaxClockInfo(void *device, unsigned type, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && type <= 3);
    *out = clock_of(&c, type, true);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetClock(void *device, unsigned type, unsigned id, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && type <= 3 && id <= 3);
    SUPPORT(id == 0 || !c.gpu->card.geforce);
    *out = clock_of(&c, type, id != 0);
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMaxCustomerBoostClock(void *device, unsigned type, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && type <= 3);
    SUPPORT(!c.gpu->card.geforce && type < 2);
    *out = clock_of(&c, type, true);
    END(NV_SUCCESS);
}

/* `count` clocks from the highest down in equal steps. */
static int clock_list(struct call *c, unsigned highest, unsigned lowest, unsigned down,
                      unsigned *count, unsigned *out)
{
    unsigned n = (highest - lowest) / down + 1;
    if (!count)
        return call_end(c, NV_INVALID_ARGUMENT);
    if (*count < n || !out) {
        *count = n;
        return call_end(c, NV_INSUFFICIENT_SIZE);
    }
    for (unsigned i = 0; i < n; i++)
        out[i] = highest - i * down;
    *count = n;
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetSupportedMemoryClocks(void *device, unsigned *count, unsigned *out)
{
    BEGIN_WHOLE(device);
    const struct sim_card *k = &c.gpu->card;
    unsigned span = k->mem_mhz - k->mem_idle_mhz;
    return clock_list(&c, k->mem_mhz, k->mem_idle_mhz, span ? span : 1, count, out);
}

API int nvmlDeviceGetSupportedGraphicsClocks(void *device, unsigned memory, unsigned *count,
                                             unsigned *out)
{
    BEGIN_WHOLE(device);
    const struct sim_card *k = &c.gpu->card;
    if (memory != k->mem_mhz && memory != k->mem_idle_mhz)
        END(NV_NOT_FOUND);
    return clock_list(&c, k->sm_mhz, k->sm_idle_mhz, 15, count, out);
}

API int nvmlDeviceGetViolationStatus(void *device, unsigned policy, struct nv_violation *out)
{
    BEGIN_WHOLE(device);
    NEED(out && (policy <= 5 || policy == 10 || policy == 11));
    struct reading r = call_read(&c);
    out->reference_us = (uint64_t)c.t_ns / 1000;
    out->time_ns = policy == 0   ? r.power_cap_ns
                   : policy == 1 ? r.sw_thermal_ns + r.hw_thermal_ns
                                 : 0;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && sensor == 0);
    *out = (unsigned)call_read(&c).temperature;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetTemperatureV(void *device, struct nv_temperature *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_temperature, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    NEED(out->sensor == 0);
    out->temperature = (int32_t)(uint32_t)call_read(&c).temperature;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetTemperatureThreshold(void *device, unsigned which, unsigned *out)
{
    BEGIN_WHOLE(device);
    NEED(out && which <= 7);
    const struct sim_card *k = &c.gpu->card;
    SUPPORT(k->geforce && (which <= 1 || which == 3));
    *out = which == 0 ? k->shutdown_c : which == 1 ? k->slowdown_c : k->target_c;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMarginTemperature(void *device, struct nv_margin *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_margin, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    out->margin = (int32_t)c.gpu->card.target_c - (int32_t)(uint32_t)call_read(&c).temperature;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetThermalSettings(void *device, unsigned sensor, struct nv_thermal *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    memset(out, 0, sizeof(*out));
    out->count = 1;
    out->sensor[0].controller = 1;
    out->sensor[0].most = (int32_t)c.gpu->card.shutdown_c;
    out->sensor[0].now = (int32_t)(uint32_t)call_read(&c).temperature;
    out->sensor[0].target = 1;
    END(NV_SUCCESS);
}

static int fan_percent(struct call *c, unsigned fan, unsigned *out)
{
    if (c->code || !out)
        return call_end(c, c->code ? c->code : NV_INVALID_ARGUMENT);
    if (!c->gpu->fan)
        return call_end(c, NV_NOT_SUPPORTED);
    if (fan > 1)
        return call_end(c, NV_INVALID_ARGUMENT);
    *out = (unsigned)call_read(c).fan;
    return call_end(c, NV_SUCCESS);
}

API int nvmlDeviceGetFanSpeed_v2(void *device, unsigned fan, unsigned *out)
{
    struct call c = call_begin_whole(__func__, device);
    return fan_percent(&c, fan, out);
}

API int nvmlDeviceGetTargetFanSpeed(void *device, unsigned fan, unsigned *out)
{
    struct call c = call_begin_whole(__func__, device);
    return fan_percent(&c, fan, out);
}

API int nvmlDeviceGetFanSpeedRPM(void *device, struct nv_fan_speed *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_fan_speed, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(c.gpu->fan);
    NEED(out->fan <= 1);
    out->rpm = (uint32_t)call_read(&c).fan_rpm;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetMinMaxFanSpeed(void *device, unsigned *least, unsigned *most)
{
    BEGIN_WHOLE(device);
    NEED(least && most);
    SUPPORT(c.gpu->fan);
    *least = 30;
    *most = 100;
    END(NV_SUCCESS);
}

API int nvmlDeviceGetCoolerInfo(void *device, struct nv_cooler *out)
{
    BEGIN_WHOLE(device);
    NEED(out);
    if (!call_version(&c, out->version, NV_VERSION(nv_cooler, 1)))
        END(NV_ARGUMENT_VERSION_MISMATCH);
    SUPPORT(c.gpu->fan);
    out->signal = 2;
    out->target = 1;
    END(NV_SUCCESS);
}
