/* host: memory, engines, and the libraries this program uses. */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <string.h>

#include "base/str.h"
#include "doctor/check.h"
#include "engine/probe.h"
#include "machine/machine.h"
#include "nvml/library.h"

void check_host(struct examination *e)
{
    struct host host = {0};
    struct err err = {0};
    char total[32], free_now[32];
    if (!machine_read_host(e->options.proc_root, &host, &err)) {
        found_err(e, CHECK_FAIL, &err);
        return;
    }
    bool low = host.free_bytes < e->options.keep_host_bytes;
    struct check *k = foundf(e, low ? CHECK_WARN : CHECK_OK, "%s GiB, %s available, %u cores",
                             str_gib(host.total_bytes, 1, total),
                             str_gib(host.free_bytes, 1, free_now), host.cores);
    if (low)
        k->fix = "less is free than DUALGPUOPT_SYSTEM_OVERHEAD keeps for the system";
}

void check_llamacpp(struct examination *e)
{
    struct engine_probe probe = {0};
    struct err err = {0};
    if (probe_engine("llama-server", &e->arena, &probe, &err)) {
        foundf(e, CHECK_OK, "%s %s", probe.path,
               probe.version ? probe.version : "of unknown version");
        return;
    }
    struct check *k = found(e, CHECK_WARN, arena_strdup(&e->arena, err.title));
    k->fix = err.n_fix ? arena_strdup(&e->arena, err.fix[0].text)
                       : "plans need no engine, running a model does";
}

void check_vllm(struct examination *e)
{
    struct err err = {0};
    const char *path;
    if (probe_find("vllm", &e->arena, &path, &err))
        found(e, CHECK_OK, path);
    else
        found(e, CHECK_SKIP, "not on PATH");
}

static struct check *depends(struct check *k, const char *need, const char *package)
{
    k->need = need;
    k->package = package;
    return k;
}

void check_libc(struct examination *e)
{
    depends(foundf(e, CHECK_OK, "glibc %s", gnu_get_libc_version()), "required", "libc6");
}

static const char *version_of(void *symbol)
{
    return ((const char *(*)(void))symbol)();
}

/* A library by the version it tells; one that is loaded only when it is needed is loaded for it. */
static void check_shared(struct examination *e, const char *file, const char *symbol_name,
                         const char *need, const char *package, const char *without)
{
    void *lib = dlopen(file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = lib ? dlsym(lib, symbol_name) : NULL;
    const char *text = symbol ? version_of(symbol) : "";
    struct check *k = symbol
                          ? found(e, CHECK_OK, arena_strndup(&e->arena, text, strcspn(text, " ")))
                          : foundf(e, CHECK_WARN, "not there: %s", without);
    depends(k, need, package);
    if (!symbol)
        k->command = arena_printf(&e->arena, "sudo apt install %s", package);
    if (lib)
        dlclose(lib);
}

void check_libyaml(struct examination *e)
{
    check_shared(e, "libyaml-0.so.2", "yaml_get_version_string", "core", "libyaml-0-2",
                 "no YAML of hyper-parameters");
}

void check_libcurl(struct examination *e)
{
    check_shared(e, "libcurl.so.4", "curl_version", "optional", "libcurl4",
                 "no headers over http(s)");
}

/* Whether it is there, not whether it answers. */
void check_library(struct examination *e)
{
    bool there = nv_library_found();
    depends(found(e, there ? CHECK_OK : CHECK_SKIP,
                  there ? "the NVIDIA driver's library is there"
                        : "not there: plans for imagined cards only"),
            "optional", "libnvidia-ml1");
}

void check_server(struct examination *e)
{
    struct err err = {0};
    const char *path;
    bool there = probe_find("llama-server", &e->arena, &path, &err);
    depends(found(e, there ? CHECK_OK : CHECK_SKIP,
                  there ? path : "not on PATH: plans work, running a model does not"),
            "optional", "llama.cpp");
}
