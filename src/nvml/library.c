/* library: loads the driver's library by the names it may have, and says why it cannot. */
#include "nvml/library.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "nvml/place.h"

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

/* Why a machine has no library: what was named cannot be used, or the likeliest situation. */
static bool explain_absence(const char *root, const char *refusal, struct err *err)
{
    const char *named = getenv("DUALGPUOPT_NVML_PATH");
    struct nvml_place place;
    nvml_place_read(root, &place);
    err_set(err, ERR_1101, "no NVIDIA driver library found");
    if (named && *named && access(named, F_OK) == 0) {
        err_why(err, "DUALGPUOPT_NVML_PATH names a file that is not a usable library: %.200s", refusal);
        err_fix(err, "unset DUALGPUOPT_NVML_PATH", "use the one that the loader finds");
    } else {
        nvml_place_explain(&place, false, err);
        if (named && *named)
            err_why(err, "DUALGPUOPT_NVML_PATH names %.200s, which is not there", named);
    }
    err_fix(err, "dualgpuopt sim start duo", "try everything on simulated GPUs");
    return err_fix(err, "dualgpuopt plan MODEL --gpus rtx5090,rtx4090", "plan for imagined cards");
}

static bool load(struct nv *nv, const char *root, struct err *err)
{
    nv->lib = open_library();
    if (!nv->lib)
        return explain_absence(root, dlerror(), err);
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

bool nvml_silent(int seconds, struct err *err)
{
    err_set(err, ERR_1105, "the NVIDIA driver has not answered within %d s", seconds);
    err_why(err, "its library was loaded, a call into it does not return");
    return err_fix(err, "sudo dmesg | grep -i nvrm", "see what the kernel says; a reboot usually helps");
}

/* The version in the name of the library's file: libnvidia-ml.so.580.95.05. */
static bool library_version(const struct nv *nv, char out[NVML_VERSION_MAX])
{
    struct link_map *map = NULL;
    char *real = dlinfo(nv->lib, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] ? realpath(map->l_name, NULL) : NULL;
    const char *at = real ? strstr(real, ".so.") : NULL;
    bool known = at && strchr(at + 4, '.');
    if (known)
        str_printable(at + 4, strlen(at + 4), out, NVML_VERSION_MAX);
    free(real);
    return known;
}

static bool versions_differ(const struct nv *nv, const struct nvml_place *place, struct err *err)
{
    char version[NVML_VERSION_MAX];
    err_set(err, ERR_1103, "the loaded NVIDIA driver and its library have different versions");
    if (place->module_version[0] && library_version(nv, version))
        err_why(err, "the kernel module is %s, the library is %s", place->module_version, version);
    else if (place->module_version[0])
        err_why(err, "the kernel module is %s, the library another: it was updated since", place->module_version);
    else
        err_why(err, "the driver was updated, and the old kernel module is still loaded");
    return err_fix(err, "sudo reboot", "reboot, or reload the nvidia kernel modules");
}

static bool init_failed(const struct nv *nv, int code, const char *root, struct err *err)
{
    const char *text = nv_text(nv, code);
    struct nvml_place place;
    nvml_place_read(root, &place);
    if (code == NV_LIB_RM_VERSION_MISMATCH)
        return versions_differ(nv, &place, err);
    if (code == NV_NO_PERMISSION) {
        err_set(err, ERR_1104, "the NVIDIA driver refuses access: %s", text);
        return nvml_place_explain_denied(&place, err);
    }
    err_set(err, ERR_1102, "the NVIDIA driver does not start: %s (code %d)", text, code);
    if (code != NV_DRIVER_NOT_LOADED)
        return err_fix(err, "sudo dmesg | grep -i nvrm", "see what the kernel says");
    nvml_place_explain(&place, true, err);
    return err_fix(err, "dualgpuopt sim start duo", "try everything on simulated GPUs");
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

bool nv_open(struct nv *nv, const char *root, struct err *err)
{
    *nv = (struct nv){0};
    if (!load(nv, root, err)) {
        unload(nv);
        return false;
    }
    int code = nv->init();
    if (code == NV_OK)
        return true;
    init_failed(nv, code, root, err);
    unload(nv);
    return false;
}

size_t nv_missing_calls(const char **names, size_t cap)
{
    void *lib = open_library();
    size_t n = 0;
#define X(field, params, newest, older)          \
    if (lib && !find(lib, newest, older)) {      \
        if (n < cap)                             \
            names[n] = newest;                   \
        n++;                                     \
    }
    NV_CALLS(X)
#undef X
    if (lib)
        dlclose(lib);
    return n;
}

bool nv_library_found(void)
{
    void *lib = open_library();
    if (lib)
        dlclose(lib);
    return lib != NULL;
}
