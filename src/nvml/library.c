/* library: loads the driver's library by the names it may have, and says why it cannot. */
#include "nvml/library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void *find(void *lib, const char *newest, const char *older)
{
    void *p = dlsym(lib, newest);
    return p || !older ? p : dlsym(lib, older);
}

static void *open_library(void)
{
    const char *named = getenv("DUALGPUOPT_NVML_PATH");
    if (named && *named)
        return dlopen(named, RTLD_LAZY | RTLD_LOCAL);
    static const char *const names[] = {"libnvidia-ml.so.1", "libnvidia-ml.so",
                                        "/usr/lib/wsl/lib/libnvidia-ml.so.1"};
    void *lib = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !lib; i++)
        lib = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    return lib;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Why a machine has no library: the likeliest reason first, each with its own way out. */
static bool explain_absence(struct err *err)
{
    err_set(err, ERR_1101, "no NVIDIA driver library found");
    if (exists("/usr/lib/wsl/lib")) {
        err_why(err, "this is WSL, but /usr/lib/wsl/lib/libnvidia-ml.so.1 cannot be loaded");
        err_fix(err, NULL, "update the Windows NVIDIA driver; do not install a Linux one inside WSL");
    } else if (exists("/.dockerenv") || exists("/run/.containerenv")) {
        err_why(err, "this is a container without the driver's libraries");
        err_fix(err, "docker run --gpus all ...", "start the container with its GPUs");
    } else if (exists("/sys/module/nouveau")) {
        err_why(err, "the nouveau driver holds the card");
        err_fix(err, NULL, "install NVIDIA's driver and reboot");
    } else if (exists("/proc/driver/nvidia")) {
        err_why(err, "the kernel driver is loaded, its library libnvidia-ml.so.1 is not on the loader's path");
        err_fix(err, NULL, "install the driver's libraries, or set DUALGPUOPT_NVML_PATH");
    } else {
        err_why(err, "no NVIDIA driver is loaded on this machine");
    }
    return err_fix(err, "dualgpuopt plan MODEL --gpus rtx5090,rtx4090", "plan for imagined cards");
}

static bool load(struct nv *nv, struct err *err)
{
    nv->lib = open_library();
    if (!nv->lib)
        return explain_absence(err);
#define X(field, params, newest, older) *(void **)&nv->field = find(nv->lib, newest, older);
    NV_CALLS(X)
#undef X
    *(void **)&nv->error_string = find(nv->lib, "nvmlErrorString", NULL);
    nv->simulated = dlsym(nv->lib, "dualgpuopt_sim_alloc") != NULL;
    if (!nv->init || !nv->shutdown || !nv->count || !nv->handle) {
        err_set(err, ERR_1102, "the NVIDIA driver library lacks calls that every version has");
        return err_fix(err, NULL, "check what libnvidia-ml.so.1 is: it may be a stub");
    }
    return true;
}

const char *nv_text(const struct nv *nv, int code)
{
    const char *text = nv->error_string ? nv->error_string(code) : NULL;
    return text ? text : "no text";
}

static bool init_failed(const struct nv *nv, int code, struct err *err)
{
    const char *text = nv_text(nv, code);
    if (code == NV_LIB_RM_VERSION_MISMATCH) {
        err_set(err, ERR_1103, "the loaded NVIDIA driver and its library have different versions");
        return err_fix(err, NULL, "reboot, or reload the nvidia kernel modules");
    }
    if (code == NV_NO_PERMISSION) {
        err_set(err, ERR_1104, "the NVIDIA driver refuses access: %s", text);
        return err_fix(err, "ls -l /dev/nvidia*", "see who may open the devices");
    }
    err_set(err, ERR_1102, "the NVIDIA driver does not start: %s (code %d)", text, code);
    if (code == NV_DRIVER_NOT_LOADED)
        err_fix(err, "sudo modprobe nvidia", "load the kernel driver");
    return false;
}

static void unload(struct nv *nv)
{
    if (nv->lib)
        dlclose(nv->lib);
    *nv = (struct nv){0};
}

void nv_close(struct nv *nv)
{
    if (nv->lib)
        nv->shutdown();
    unload(nv);
}

bool nv_open(struct nv *nv, struct err *err)
{
    *nv = (struct nv){0};
    if (!load(nv, err)) {
        unload(nv);
        return false;
    }
    int code = nv->init();
    if (code == NV_OK)
        return true;
    init_failed(nv, code, err);
    unload(nv);
    return false;
}
