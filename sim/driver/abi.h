/* abi: NVML's structs and numbers as they lie in memory (API 13.3, LP64), in our own words. */
#ifndef SIM_DRIVER_ABI_H
#define SIM_DRIVER_ABI_H

#include <stdint.h>

enum nv_code {
    NV_SUCCESS = 0,
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
    NV_VERSION_MISMATCH = 18,
    NV_MEMORY = 20,
    NV_ARGUMENT_VERSION_MISMATCH = 25,
    NV_UNKNOWN = 999,
};

#define NV_VERSION(type, n) ((uint32_t)(sizeof(struct type) | (uint32_t)(n) << 24))
#define NV_NOT_AVAILABLE    UINT64_MAX
#define NV_NO_INSTANCE      UINT32_MAX

struct nv_pci {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
struct nv_pci_ext {
    uint32_t version, domain, bus, device, device_id, subsystem_id, base_class, sub_class;
    char bus_id[32];
};
struct nv_utilization {
    uint32_t gpu, memory;
};
struct nv_memory {
    uint64_t total, free, used;
};
struct nv_memory_v2 {
    uint32_t version;
    uint64_t total, reserved, free, used;
};
struct nv_bar1 {
    uint64_t total, free, used;
};
struct nv_process_v1 {
    uint32_t pid;
    uint64_t used;
};
struct nv_process {
    uint32_t pid;
    uint64_t used;
    uint32_t gpu_instance, compute_instance;
};
struct nv_process_detail {
    uint32_t pid;
    uint64_t used;
    uint32_t gpu_instance, compute_instance;
    uint64_t protected_used;
};
struct nv_process_details {
    uint32_t version, mode, count;
    struct nv_process_detail *list;
};
struct nv_process_sample {
    uint32_t pid;
    uint64_t time_us;
    uint32_t sm, memory, encoder, decoder;
};
struct nv_process_use {
    uint64_t time_us;
    uint32_t pid, sm, memory, encoder, decoder, jpeg, ofa;
};
struct nv_process_uses {
    uint32_t version, count;
    uint64_t last_us;
    struct nv_process_use *list;
};

union nv_value {
    double d;
    int32_t si;
    uint32_t ui;
    unsigned long ul;
    uint64_t ull;
    int64_t sll;
    uint16_t us;
};
enum nv_value_type {
    NV_DOUBLE = 0,
    NV_UINT = 1,
    NV_ULONG = 2,
    NV_ULLONG = 3,
    NV_LLONG = 4,
    NV_INT = 5,
    NV_USHORT = 6
};
struct nv_sample {
    uint64_t time_us;
    union nv_value value;
};
struct nv_field {
    uint32_t id, scope;
    int64_t time_us, latency_us;
    uint32_t type;
    int32_t code;
    union nv_value value;
};
struct nv_event {
    void *device;
    uint64_t type, data;
    uint32_t gpu_instance, compute_instance;
};

struct nv_thermal {
    uint32_t count;
    struct {
        uint32_t controller;
        int32_t least, most, now;
        uint32_t target;
    } sensor[3];
};
struct nv_temperature {
    uint32_t version, sensor;
    int32_t temperature;
};
struct nv_margin {
    uint32_t version;
    int32_t margin;
};
struct nv_fan_speed {
    uint32_t version, fan, rpm;
};
struct nv_cooler {
    uint32_t version, index, signal, target;
};
struct nv_attributes {
    uint32_t sms, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
    uint64_t memory_mb;
};
struct nv_ecc_counts {
    uint64_t l1, l2, memory, registers;
};
struct nv_sram {
    uint32_t version;
    uint64_t counts[11];
    uint32_t threshold_exceeded;
};
struct nv_rows_v2 {
    uint32_t corrected, corrected_inactive, uncorrected, uncorrected_inactive, pending, failed;
};
struct nv_row_histogram {
    uint32_t max, high, partial, low, none;
};
struct nv_violation {
    uint64_t reference_us, time_ns;
};
struct nv_dynamic_pstates {
    uint32_t flags;
    struct {
        uint32_t present, percentage, up, down;
    } domain[8];
};
struct nv_gpm_support {
    uint32_t version, supported;
};
struct nv_gpm_metric {
    uint32_t id;
    int32_t code;
    double value;
    char *short_name, *long_name, *unit;
};
struct nv_gpm_get {
    uint32_t version, count;
    void *sample1, *sample2;
    struct nv_gpm_metric metric[333];
};
struct nv_platform {
    uint32_t version;
    uint8_t guid[16], chassis[16], slot, tray, host, peer, module;
};
struct nv_c2c {
    uint32_t enabled;
};
struct nv_addressing {
    uint32_t version, mode;
};
struct nv_repair {
    uint32_t version, channel_pending, tpc_pending;
};
struct nv_pdi {
    uint32_t version;
    uint64_t value;
};
struct nv_uuid {
    uint32_t version, type;
    union {
        char text[41];
        uint8_t bytes[16];
    } value;
};
struct nv_branch {
    uint32_t version;
    char branch[80];
};
struct nv_fbc {
    uint32_t sessions, fps, latency_us;
};
struct nv_clock_text {
    uint32_t version;
    char text[2048];
};
struct nv_accounting {
    uint32_t gpu, memory;
    uint64_t most_bytes, time_ms, start_us;
    uint32_t running, reserved[5];
};
struct nv_excluded {
    struct nv_pci pci;
    char uuid[80];
};

#endif
