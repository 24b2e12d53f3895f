/* library: NVML's ABI as far as we use it, and the table of its calls found at run time. */
#ifndef NVML_LIBRARY_H
#define NVML_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Return codes of NVML's ABI that are told apart. */
enum nv_code {
    NV_OK = 0,
    NV_UNINITIALIZED = 1,
    NV_INVALID_ARGUMENT = 2,
    NV_NOT_SUPPORTED = 3,
    NV_NO_PERMISSION = 4,
    NV_NOT_FOUND = 6,
    NV_INSUFFICIENT_SIZE = 7,
    NV_DRIVER_NOT_LOADED = 9,
    NV_TIMEOUT = 10,
    NV_FUNCTION_NOT_FOUND = 13,
    NV_GPU_IS_LOST = 15,
    NV_RESET_REQUIRED = 16,
    NV_LIB_RM_VERSION_MISMATCH = 18,
    NV_ARGUMENT_VERSION_MISMATCH = 25,
    NV_DEPRECATED = 26,
    NV_GPU_NOT_FOUND = 28,
    NV_UNKNOWN = 999,
};

typedef void *nv_device;
typedef void *nv_event_set;
struct nv_memory { uint64_t total, free, used; };
struct nv_memory_v2 { uint32_t version; uint64_t total, reserved, free, used; };
struct nv_pci {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
struct nv_process_v1 { uint32_t pid; uint64_t bytes; };
struct nv_process_v2 { uint32_t pid; uint64_t bytes; uint32_t gpu_instance, compute_instance; };
struct nv_utilization { uint32_t gpu, memory; };
struct nv_process_use { uint32_t pid; uint64_t time_us; uint32_t sm, memory, encoder, decoder; };
union nv_value { double d; int32_t i; uint32_t u; uint64_t ull; int64_t ll; uint16_t us; };
struct nv_field {
    uint32_t id, scope;
    int64_t time_us, latency_us;
    uint32_t type; /* 0 double, 1 u32, 2 unsigned long, 3 u64, 4 i64, 5 i32, 6 u16 */
    int code;
    union nv_value value;
};
struct nv_event { nv_device device; uint64_t type, data; uint32_t gpu_instance, compute_instance; };
_Static_assert(sizeof(struct nv_pci) == 68 && sizeof(struct nv_field) == 40 && sizeof(struct nv_event) == 32 &&
                   sizeof(struct nv_process_use) == 32 && sizeof(struct nv_process_v2) == 24,
               "layouts of NVML's ABI (nvml.h 13.3)");

#define NV_MEMORY_V2 ((uint32_t)(sizeof(struct nv_memory_v2) | (2u << 24)))
#define NV_EVENT_XID UINT64_C(0x8)

/* One row per call: field, parameters, newest symbol first. */
#define NV_CALLS(X)                                                                             \
    X(init, (void), "nvmlInit_v2", "nvmlInit")                                                  \
    X(shutdown, (void), "nvmlShutdown", NULL)                                                   \
    X(count, (uint32_t *), "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")                       \
    X(handle, (uint32_t, nv_device *), "nvmlDeviceGetHandleByIndex_v2",                         \
      "nvmlDeviceGetHandleByIndex")                                                             \
    X(handle_by_uuid, (const char *, nv_device *), "nvmlDeviceGetHandleByUUID", NULL)           \
    X(driver, (char *, uint32_t), "nvmlSystemGetDriverVersion", NULL)                           \
    X(name, (nv_device, char *, uint32_t), "nvmlDeviceGetName", NULL)                           \
    X(uuid, (nv_device, char *, uint32_t), "nvmlDeviceGetUUID", NULL)                           \
    X(pci, (nv_device, struct nv_pci *), "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2")  \
    X(memory2, (nv_device, struct nv_memory_v2 *), "nvmlDeviceGetMemoryInfo_v2", NULL)          \
    X(memory, (nv_device, struct nv_memory *), "nvmlDeviceGetMemoryInfo", NULL)                 \
    X(capability, (nv_device, int *, int *), "nvmlDeviceGetCudaComputeCapability", NULL)        \
    X(cores, (nv_device, uint32_t *), "nvmlDeviceGetNumGpuCores", NULL)                         \
    X(bus_width, (nv_device, uint32_t *), "nvmlDeviceGetMemoryBusWidth", NULL)                  \
    X(mig_mode, (nv_device, uint32_t *, uint32_t *), "nvmlDeviceGetMigMode", NULL)              \
    X(pcie_gen_max, (nv_device, uint32_t *), "nvmlDeviceGetMaxPcieLinkGeneration", NULL)        \
    X(pcie_width_max, (nv_device, uint32_t *), "nvmlDeviceGetMaxPcieLinkWidth", NULL)           \
    X(pcie_gen, (nv_device, uint32_t *), "nvmlDeviceGetCurrPcieLinkGeneration", NULL)           \
    X(pcie_width, (nv_device, uint32_t *), "nvmlDeviceGetCurrPcieLinkWidth", NULL)              \
    X(utilization, (nv_device, struct nv_utilization *), "nvmlDeviceGetUtilizationRates", NULL) \
    X(temperature, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetTemperature", NULL)         \
    X(threshold, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetTemperatureThreshold", NULL)  \
    X(power, (nv_device, uint32_t *), "nvmlDeviceGetPowerUsage", NULL)                          \
    X(power_limit, (nv_device, uint32_t *), "nvmlDeviceGetEnforcedPowerLimit",                  \
      "nvmlDeviceGetPowerManagementLimit")                                                      \
    X(power_asked, (nv_device, uint32_t *), "nvmlDeviceGetPowerManagementLimit", NULL)          \
    X(power_range, (nv_device, uint32_t *, uint32_t *),                                         \
      "nvmlDeviceGetPowerManagementLimitConstraints", NULL)                                     \
    X(power_default, (nv_device, uint32_t *), "nvmlDeviceGetPowerManagementDefaultLimit", NULL) \
    X(set_power_limit, (nv_device, uint32_t), "nvmlDeviceSetPowerManagementLimit", NULL)        \
    X(energy, (nv_device, uint64_t *), "nvmlDeviceGetTotalEnergyConsumption", NULL)             \
    X(clock, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetClockInfo", NULL)                 \
    X(clock_max, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetMaxClockInfo", NULL)          \
    X(fan, (nv_device, uint32_t *), "nvmlDeviceGetFanSpeed", NULL)                              \
    X(encoder, (nv_device, uint32_t *, uint32_t *), "nvmlDeviceGetEncoderUtilization", NULL)    \
    X(decoder, (nv_device, uint32_t *, uint32_t *), "nvmlDeviceGetDecoderUtilization", NULL)    \
    X(throttle, (nv_device, uint64_t *), "nvmlDeviceGetCurrentClocksEventReasons",              \
      "nvmlDeviceGetCurrentClocksThrottleReasons")                                              \
    X(pstate, (nv_device, uint32_t *), "nvmlDeviceGetPerformanceState", NULL)                   \
    X(fields, (nv_device, int, struct nv_field *), "nvmlDeviceGetFieldValues", NULL)            \
    X(compute2, (nv_device, uint32_t *, struct nv_process_v2 *),                                \
      "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")     \
    X(graphics2, (nv_device, uint32_t *, struct nv_process_v2 *),                               \
      "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2")   \
    X(mps2, (nv_device, uint32_t *, struct nv_process_v2 *),                                    \
      "nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2") \
    X(compute1, (nv_device, uint32_t *, struct nv_process_v1 *),                                \
      "nvmlDeviceGetComputeRunningProcesses", NULL)                                             \
    X(process_use, (nv_device, struct nv_process_use *, uint32_t *, uint64_t),                  \
      "nvmlDeviceGetProcessUtilization", NULL)                                                  \
    X(process_name, (uint32_t, char *, uint32_t), "nvmlSystemGetProcessName", NULL)             \
    X(topology, (nv_device, nv_device, uint32_t *), "nvmlDeviceGetTopologyCommonAncestor", NULL) \
    X(p2p, (nv_device, nv_device, uint32_t, uint32_t *), "nvmlDeviceGetP2PStatus", NULL)        \
    X(nvlink_state, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetNvLinkState", NULL)        \
    X(nvlink_remote, (nv_device, uint32_t, struct nv_pci *),                                    \
      "nvmlDeviceGetNvLinkRemotePciInfo_v2", "nvmlDeviceGetNvLinkRemotePciInfo")                \
    X(nvlink_kind, (nv_device, uint32_t, uint32_t *), "nvmlDeviceGetNvLinkRemoteDeviceType", NULL) \
    X(event_create, (nv_event_set *), "nvmlEventSetCreate", NULL)                               \
    X(event_free, (nv_event_set), "nvmlEventSetFree", NULL)                                     \
    X(event_types, (nv_device, uint64_t *), "nvmlDeviceGetSupportedEventTypes", NULL)           \
    X(event_register, (nv_device, uint64_t, nv_event_set), "nvmlDeviceRegisterEvents", NULL)    \
    X(event_wait, (nv_event_set, struct nv_event *, uint32_t), "nvmlEventSetWait_v2",           \
      "nvmlEventSetWait")

/* A missing call is NULL; init, shutdown, count and handle are always there. */
struct nv {
    void *lib;
    bool simulated; /* the library is the simulated driver */
    const char *(*error_string)(int);
#define X(field, params, newest, older) int(*field) params;
    NV_CALLS(X)
#undef X
};

/* Load (DUALGPUOPT_NVML_PATH, then libnvidia-ml.so.1, .so, then WSL's folder) and start the driver's library. root is
 * where reasons are looked for, as nvml_place_read's. Errors: ERR_1101 no library (err_why says what was seen: WSL, a
 * container, nouveau, no device), ERR_1102, ERR_1103 versions differ, ERR_1104 no permission. */
bool nv_open(struct nv *nv, const char *root, struct err *err);
void nv_close(struct nv *nv); /* accepts a zeroed struct; of a struct that was opened, also shuts down */

/* How many calls of the table the library has under no name; the first cap of their names. */
size_t nv_missing_calls(const char **names, size_t cap);

bool nv_library_found(void); /* it can be loaded; whether it answers is another matter */

const char *nv_text(const struct nv *nv, int code); /* the driver's words, never NULL */

/* Seconds that a driver gets: to start (cards that nobody holds open are woken one after the other), and to answer once
 * it has started. */
enum { NVML_START_S = 10, NVML_ANSWER_S = 3 };

/* ERR_1105: it has not answered within so many seconds. */
bool nvml_silent(int seconds, struct err *err);

#endif
