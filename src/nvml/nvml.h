/* nvml: the NVIDIA driver's inventory through libnvidia-ml, loaded at run time; never a CUDA context. */
#ifndef NVML_NVML_H
#define NVML_NVML_H

#include "base/arena.h"
#include "base/err.h"

enum { NVML_MAX_CARDS = 64, NVML_MAX_PROCESSES = 1024 };

struct nvml_process {
    uint32_t pid;
    const char *name; /* /proc/PID/comm, escaped; "?" when it cannot be read (other namespace) */
    uint64_t bytes;   /* UINT64_MAX where the driver does not say (WSL, MIG) */
};

/* 0 or NULL: the driver does not tell. Sizes in bytes. */
struct nvml_card {
    uint32_t index; /* NVML's, which is PCI order */
    const char *uuid, *name, *pci;
    uint64_t total_bytes, free_bytes, reserved_bytes;
    uint32_t cc_major, cc_minor;
    uint32_t cores;
    uint32_t pcie_gen_max, pcie_width_max;
    uint32_t n_processes;
    const struct nvml_process *processes; /* largest first; one entry a pid */
    const char *trouble;                  /* why this card cannot be used, or NULL */
};

struct nvml_inventory {
    const char *driver_version; /* "610.57" or NULL */
    uint32_t n_cards;
    const struct nvml_card *cards;
    bool simulated; /* the library is our own, of sim/ */
};

/* Load the library (DUALGPUOPT_NVML_PATH, then libnvidia-ml.so.1, .so, then WSL's folder), read every card,
 * unload, all within NVML_START_S. A card that fails alone is listed with its trouble. Errors: ERR_1101 no library
 * (err_why says what was seen: WSL, a container, nouveau, no device), ERR_1102, ERR_1103 versions differ, ERR_1104 no
 * permission, ERR_1105 no answer. */
bool nvml_read_inventory(struct arena *arena, struct nvml_inventory *out, struct err *err);

#endif
