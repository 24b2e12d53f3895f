/* place: what a machine shows of NVIDIA's driver without asking it: bus, kernel modules, device
 * nodes, container, WSL. */
#ifndef NVML_PLACE_H
#define NVML_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { NVML_SLOT_MAX = 32, NVML_SLOTS_MOST = 64, NVML_VERSION_MAX = 32 };

struct nvml_place {
    bool wsl, wsl_library; /* Windows' subsystem; its driver library is there */
    bool container;
    bool nouveau, module;                  /* which kernel modules are loaded */
    char module_version[NVML_VERSION_MAX]; /* of nvidia, "580.95.05" or "" */
    bool bus_known;                        /* the PCI bus can be listed */
    uint32_t gpus, passed;       /* NVIDIA's GPUs on it; how many of them are bound to vfio-pci */
    char slot[NVML_SLOT_MAX];    /* the first of them */
    bool control_node, uvm_node; /* /dev/nvidiactl and /dev/nvidia-uvm are there */
    char denied_node[40];        /* a node of /dev/nvidia* that we may not open, or "" */
    char denied_group[40];       /* the group that may, or "" */
};

/* root is what lies above /sys, /dev, /usr and /run: "" or NULL is this machine. */
void nvml_place_read(const char *root, struct nvml_place *out);

/* NVIDIA's GPUs as the kernel lists them, in PCI order; how many, or -1 where the bus cannot be
 * listed. */
int nvml_pci_slots(const char *root, char slot[NVML_SLOTS_MOST][NVML_SLOT_MAX]);

/* The likeliest reason why there is no driver to talk to, and its way out, added to an error that
 * is set. library: its library was found, it is the kernel's side that does not answer. Returns
 * false, as err_set does. */
bool nvml_place_explain(const struct nvml_place *p, bool library, struct err *err);

/* Whose the device nodes are, and how to be let in. */
bool nvml_place_explain_denied(const struct nvml_place *p, struct err *err);

#endif
