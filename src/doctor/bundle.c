/* bundle: collects the parts of a report, takes names out of each, packs them. */
#include "doctor/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/gpus_json.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/own.h"
#include "doctor/archive.h"
#include "doctor/kernel_log.h"
#include "doctor/redact.h"
#include "machine/machine.h"
#include "nvml/place.h"

enum { LOG_LINES = 400, FILE_MOST = 64 << 10 };

extern char **environ;

static void add_small_file(struct str *out, const char *root, const char *path)
{
    char full[512];
    own_free char *text = malloc(FILE_MOST);
    snprintf(full, sizeof(full), "%.400s%s", root ? root : "", path);
    ssize_t n = text ? file_read_text(full, text, FILE_MOST) : -1;
    str_addf(out, "== %s\n", path);
    if (n < 0)
        str_add(out, "cannot be read\n");
    else
        str_add_n(out, text, (size_t)n);
}

static void add_environment(struct str *out)
{
    static const char *const starts[] = {"DUALGPUOPT_", "CUDA_",           "NVIDIA_",
                                         "LLAMA_",      "VLLM_",           "GGML_",
                                         "HF_",         "LD_LIBRARY_PATH", "NCCL_"};
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
            if (str_starts(*e, starts[i])) {
                str_add_printable(out, *e, strlen(*e));
                str_add(out, "\n");
                break;
            }
}

static void add_system(struct str *out, const struct doctor_options *o)
{
    struct utsname u;
    struct host host = {0};
    struct err ignored = {0};
    str_addf(out, "dualgpuopt %s\n", DUALGPUOPT_VERSION);
    if (uname(&u) == 0)
        str_addf(out, "%s %s %s\n", u.sysname, u.release, u.machine);
    if (machine_read_host(o->proc_root, &host, &ignored))
        str_addf(out, "memory %llu bytes, %llu available, %u cores\n",
                 (unsigned long long)host.total_bytes, (unsigned long long)host.free_bytes,
                 host.cores);
    add_small_file(out, o->sysfs_root, "/etc/os-release");
}

static void add_driver(struct str *out, const struct doctor_options *o)
{
    char slot[NVML_SLOTS_MOST][NVML_SLOT_MAX];
    struct nvml_place p;
    nvml_place_read(o->sysfs_root, &p);
    str_addf(out, "wsl %d, its library %d\ncontainer %d\nmodule nvidia %d %s\nmodule nouveau %d\n",
             p.wsl, p.wsl_library, p.container, p.module, p.module_version, p.nouveau);
    str_addf(out, "nodes: nvidiactl %d, nvidia-uvm %d, denied %s %s\n", p.control_node, p.uvm_node,
             p.denied_node, p.denied_group);
    int n = nvml_pci_slots(o->sysfs_root, slot);
    str_addf(out, "NVIDIA GPUs on PCI: %d\n", n);
    for (int i = 0; i < n; i++)
        str_addf(out, "  %s\n", slot[i]);
    add_small_file(out, o->proc_root, "/proc/driver/nvidia/version");
}

static void add_gpus(struct str *out, const struct doctor_report *r)
{
    struct json j;
    json_init(&j, out, true, NULL);
    json_open_object(&j);
    json_key_str(&j, "schema", "dualgpuopt/v1");
    json_key_str(&j, "kind", "gpus");
    gpus_json(&j, r->views, r->n_gpus);
    json_close_object(&j);
    json_end(&j);
}

static void add_log(struct str *out, const struct doctor_options *o)
{
    struct kernel_log log = {0};
    if (kernel_log_read(o->sysfs_root, &log) && log.text.len)
        kernel_log_lines(log.text.data, log.text.len, LOG_LINES, out);
    else
        str_add(out, "the kernel's log cannot be read\n");
    kernel_log_finish(&log);
}

#define FOLDER "dualgpuopt-report/"

/* The list of contents comes last, as it tells the others' sizes. */
enum part {
    PART_TEXT,
    PART_DOCUMENT,
    PART_GPUS,
    PART_SYSTEM,
    PART_ENVIRONMENT,
    PART_DRIVER,
    PART_LOG,
    PART_README
};
static const char *const part_name[] = {
    FOLDER "doctor.txt",      FOLDER "doctor.json", FOLDER "gpus.json",  FOLDER "system.txt",
    FOLDER "environment.txt", FOLDER "driver.txt",  FOLDER "kernel.txt", FOLDER "README.txt"};
_Static_assert(sizeof(part_name) / sizeof(part_name[0]) == BUNDLE_FILES, "a name for every part");

static void add_readme(struct str *out, const struct archive_file *files, size_t n)
{
    str_add(out, "What `dualgpuopt doctor --bundle` found. Names of users and of the machine, home "
                 "folders, tokens and\n"
                 "serial numbers were taken out; cards have a mark in place of their UUID. Please "
                 "look before you send it.\n\n");
    for (size_t i = 0; i < n; i++)
        str_addf(out, "%-18s %zu bytes\n", files[i].name + strlen(FOLDER), files[i].text.len);
}

static void collect(const struct doctor_report *r, const struct doctor_options *o,
                    const struct str *shown, const struct str *document, enum part part,
                    struct str *out)
{
    switch (part) {
    case PART_TEXT: str_add_n(out, shown->data ? shown->data : "", shown->len); break;
    case PART_DOCUMENT: str_add_n(out, document->data ? document->data : "", document->len); break;
    case PART_GPUS: add_gpus(out, r); break;
    case PART_SYSTEM: add_system(out, o); break;
    case PART_ENVIRONMENT: add_environment(out); break;
    case PART_DRIVER: add_driver(out, o); break;
    case PART_LOG: add_log(out, o); break;
    case PART_README: break;
    }
}

bool bundle_make(const struct doctor_report *r, const struct doctor_options *o,
                 const struct str *shown, const struct str *document, struct str *out,
                 struct bundle_file files[BUNDLE_FILES], struct err *err)
{
    struct archive_file part[BUNDLE_FILES] = {0};
    struct redact_names names;
    bool failed = false;
    redact_read_names(&names);
    for (size_t i = 0; i < BUNDLE_FILES; i++) {
        own(own_str) struct str raw = {0};
        part[i].name = part_name[i];
        collect(r, o, shown, document, (enum part)i, &raw);
        redact_add(&part[i].text, raw.data ? raw.data : "", raw.len, &names);
        if (i == PART_README)
            add_readme(&part[i].text, part, i);
        failed = failed || raw.failed || part[i].text.failed;
        files[i] = (struct bundle_file){.name = part_name[i], .bytes = part[i].text.len};
    }
    if (!failed)
        archive_write(out, part, BUNDLE_FILES, clock_wall_ns() / CLOCK_NS_PER_S);
    for (size_t i = 0; i < BUNDLE_FILES; i++)
        str_finish(&part[i].text);
    return (!failed && !out->failed) || err_set(err, ERR_1201, "no memory for the report");
}
