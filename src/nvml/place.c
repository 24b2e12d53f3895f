/* place: looks at files only, so that it works where the driver does not. */
#include "nvml/place.h"

#include <dirent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

enum { PATH_MOST = 512 };

static bool exists(const char *root, const char *path)
{
    char full[PATH_MOST];
    int n = snprintf(full, sizeof(full), "%s%s", root, path);
    return n > 0 && n < PATH_MOST && access(full, F_OK) == 0;
}

static bool reads(const char *root, const char *folder, const char *name, const char *file,
                  char *out, size_t cap)
{
    char full[PATH_MOST];
    int n = snprintf(full, sizeof(full), "%s%s/%s/%s", root, folder, name, file);
    if (n < 0 || n >= PATH_MOST || file_read_text(full, out, cap) <= 0)
        return false;
    out[strcspn(out, "\n")] = 0;
    return true;
}

static bool is_nvidia_gpu(const char *root, const char *slot)
{
    static const char devices[] = "/sys/bus/pci/devices";
    char vendor[16], class[16];
    return reads(root, devices, slot, "vendor", vendor, sizeof(vendor)) &&
           str_starts(vendor, "0x10de") &&
           reads(root, devices, slot, "class", class, sizeof(class)) && str_starts(class, "0x03");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int nvml_pci_slots(const char *root, char slot[NVML_SLOTS_MOST][NVML_SLOT_MAX])
{
    char path[PATH_MOST];
    int n = 0;
    snprintf(path, sizeof(path), "%s/sys/bus/pci/devices", root ? root : "");
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *e; n < NVML_SLOTS_MOST && (e = readdir(dir));)
        if (strlen(e->d_name) < NVML_SLOT_MAX && e->d_name[0] != '.' &&
            is_nvidia_gpu(root ? root : "", e->d_name))
            snprintf(slot[n++], NVML_SLOT_MAX, "%.31s", e->d_name);
    closedir(dir);
    qsort(slot, (size_t)n, NVML_SLOT_MAX, by_text);
    return n;
}

static bool is_passed(const char *root, const char *slot)
{
    char path[PATH_MOST], target[PATH_MOST];
    snprintf(path, sizeof(path), "%.400s/sys/bus/pci/devices/%.31s/driver", root, slot);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = 0;
    return str_ends(target, "/vfio-pci");
}

static void read_bus(const char *root, struct nvml_place *p)
{
    char slot[NVML_SLOTS_MOST][NVML_SLOT_MAX];
    int n = nvml_pci_slots(root, slot);
    p->bus_known = n >= 0;
    p->gpus = n > 0 ? (uint32_t)n : 0;
    for (int i = 0; i < n; i++)
        p->passed += is_passed(root, slot[i]);
    if (n > 0)
        memcpy(p->slot, slot[0], sizeof(p->slot));
}

static void read_nodes(const char *root, struct nvml_place *p)
{
    static const char *const nodes[] = {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"};
    char full[PATH_MOST];
    struct stat st;
    p->control_node = exists(root, nodes[0]);
    p->uvm_node = exists(root, nodes[2]);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]) && !p->denied_node[0]; i++) {
        int n = snprintf(full, sizeof(full), "%s%s", root, nodes[i]);
        if (n < 0 || n >= PATH_MOST || stat(full, &st) != 0 || access(full, R_OK | W_OK) == 0)
            continue;
        snprintf(p->denied_node, sizeof(p->denied_node), "%s", nodes[i]);
        const struct group *g = (st.st_mode & 060) == 060 ? getgrgid(st.st_gid) : NULL;
        snprintf(p->denied_group, sizeof(p->denied_group), "%.39s", g ? g->gr_name : "");
    }
}

void nvml_place_read(const char *root, struct nvml_place *out)
{
    char version[NVML_VERSION_MAX];
    root = root ? root : "";
    *out = (struct nvml_place){
        .wsl = exists(root, "/dev/dxg") || exists(root, "/usr/lib/wsl/lib"),
        .wsl_library = exists(root, "/usr/lib/wsl/lib/libnvidia-ml.so.1"),
        .container = exists(root, "/.dockerenv") || exists(root, "/run/.containerenv") ||
                     exists(root, "/run/systemd/container"),
        .nouveau = exists(root, "/sys/module/nouveau"),
        .module = exists(root, "/sys/module/nvidia"),
    };
    if (reads(root, "/sys/module", "nvidia", "version", version, sizeof(version)))
        str_printable(version, strlen(version), out->module_version, sizeof(out->module_version));
    read_bus(root, out);
    read_nodes(root, out);
}

static bool explain_wsl(const struct nvml_place *p, struct err *err)
{
    if (!p->wsl_library) {
        err_why(err, "this is WSL, and Windows gave it no NVIDIA driver: /usr/lib/wsl/lib has no "
                     "libnvidia-ml.so.1");
        return err_fix(
            err, NULL,
            "update the NVIDIA driver of Windows; do not install a Linux one inside WSL");
    }
    err_why(err, "this is WSL: the driver's libraries are in /usr/lib/wsl/lib, where the loader "
                 "does not look or cannot "
                 "use them");
    return err_fix(
        err, "echo /usr/lib/wsl/lib | sudo tee /etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig",
        "put the folder on the loader's path");
}

static bool explain_container(const struct nvml_place *p, struct err *err)
{
    if (p->control_node) {
        err_why(err,
                "this is a container that has the GPUs' devices, but not the driver's libraries");
        return err_fix(err,
                       "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ...",
                       "start the container with them");
    }
    err_why(err, "this is a container that was started without the GPUs");
    return err_fix(err, "docker run --gpus all ...", "start the container with its GPUs");
}

static bool explain_kernel(const struct nvml_place *p, bool library, struct err *err)
{
    if (p->passed && p->passed == p->gpus) {
        err_why(err, "the GPU at %s is handed to virtual machines: vfio-pci holds it", p->slot);
        return err_fix(err, "lspci -nnk -d 10de:",
                       "see which kernel driver has which card, and give it back to nvidia");
    }
    if (p->nouveau && !p->module) {
        err_why(err, "the nouveau driver holds the card");
        return err_fix(err, "echo blacklist nouveau | sudo tee /etc/modprobe.d/no-nouveau.conf",
                       "install NVIDIA's driver, keep nouveau from loading, and reboot");
    }
    if (!p->module && library) {
        err_why(err, "the kernel module nvidia is not loaded");
        return err_fix(err, "sudo modprobe nvidia",
                       "load it; if that fails, the driver was not built for this kernel, or "
                       "Secure Boot refuses it");
    }
    if (!p->module) {
        err_why(err,
                p->gpus ? "there is a GPU at %s, but NVIDIA's driver is not installed"
                        : "no NVIDIA driver is loaded on this machine%s",
                p->slot);
        return err_fix(err, "sudo apt install nvidia-driver", "install it, then reboot");
    }
    if (!library) {
        err_why(err,
                "the kernel module nvidia %s is loaded, its library libnvidia-ml.so.1 is not on "
                "the loader's path",
                p->module_version);
        return err_fix(err, "sudo apt install libnvidia-ml1",
                       "install the driver's libraries, or set DUALGPUOPT_NVML_PATH");
    }
    if (p->denied_node[0])
        return nvml_place_explain_denied(p, err);
    err_why(err, p->control_node
                     ? "the kernel module nvidia is loaded, but does not answer"
                     : "the kernel module nvidia is loaded, but there is no /dev/nvidiactl");
    return err_fix(err,
                   p->control_node ? "sudo dmesg | grep -i nvrm" : "sudo nvidia-modprobe -c 0 -u",
                   p->control_node ? "see what the kernel says" : "make the device nodes");
}

bool nvml_place_explain(const struct nvml_place *p, bool library, struct err *err)
{
    if (p->wsl)
        return explain_wsl(p, err);
    if (p->container && (!p->control_node || !library))
        return explain_container(p, err);
    if (p->bus_known && p->gpus == 0) {
        err_why(err, "there is no NVIDIA GPU on the PCI bus");
        return err_fix(err, "lspci -nn | grep -i nvidia",
                       "if one is built in: look at its seat, its power plugs and the "
                       "BIOS; a virtual machine must be given one");
    }
    return explain_kernel(p, library, err);
}

bool nvml_place_explain_denied(const struct nvml_place *p, struct err *err)
{
    char command[96];
    if (!p->denied_node[0])
        return err_fix(err, "ls -l /dev/nvidia*", "see who may open the devices");
    if (!p->denied_group[0]) {
        err_why(err, "%s may not be opened by you", p->denied_node);
        return err_fix(err, "ls -l /dev/nvidia*", "see who may open the devices");
    }
    err_why(err, "%s is open to the group %s only", p->denied_node, p->denied_group);
    snprintf(command, sizeof(command), "sudo usermod -aG %s \"$USER\"", p->denied_group);
    return err_fix(err, command, "join the group, then log in again");
}
