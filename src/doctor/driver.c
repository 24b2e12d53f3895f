/* driver: what may be wrong between the driver, the machine and us, beyond a single GPU. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/gpu_words.h"
#include "base/own.h"
#include "base/str.h"
#include "doctor/check.h"
#include "nvml/library.h"

enum { NAMES_MOST = 4, VISIBLE_MOST = 64 };

static bool is_simulated(const struct examination *e)
{
    return e->n_gpus && e->views[0].info.simulated;
}

void check_version(struct examination *e)
{
    const char *version = "";
    for (uint32_t i = 0; i < e->n_gpus && !version[0]; i++)
        version = e->views[i].info.driver;
    const char *module = e->place.module_version;
    if (!version[0]) {
        found(e, CHECK_SKIP, "the driver does not tell");
    } else if (module[0] && strcmp(version, module) != 0) {
        struct check *k = foundf(e, CHECK_WARN, "the library is %s, the loaded kernel module is %s",
                                 version, module);
        k->fix =
            "programs that start from now on may fail: reboot, or reload the nvidia kernel modules";
        k->command = "sudo reboot";
    } else {
        found(e, CHECK_OK, arena_strdup(&e->arena, version));
    }
}

void check_calls(struct examination *e)
{
    own(own_str) struct str text = {0};
    const char *names[NAMES_MOST];
    size_t n = nv_missing_calls(names, NAMES_MOST);
    if (!n) {
        found(e, CHECK_OK, "the library has all that we use");
        return;
    }
    str_addf(&text, "the library lacks %zu call%s, whose numbers are missing: ", n,
             n == 1 ? "" : "s");
    for (size_t i = 0; i < n && i < NAMES_MOST; i++)
        str_addf(&text, "%s%s", i ? ", " : "", names[i]);
    struct check *k =
        foundf(e, CHECK_WARN, "%s%s", text.data ? text.data : "", n > NAMES_MOST ? " ..." : "");
    k->fix = "a newer driver has them";
}

void check_devices(struct examination *e)
{
    const struct nvml_place *p = &e->place;
    struct err err = {0};
    if (p->wsl || (!p->control_node && !p->module)) {
        found(e, CHECK_SKIP,
              p->wsl            ? "WSL has none"
              : is_simulated(e) ? "the simulated driver needs none"
                                : "no device nodes, as no driver is loaded");
        return;
    }
    if (p->denied_node[0]) {
        err_set(&err, ERR_1104, "%s may not be opened", p->denied_node);
        nvml_place_explain_denied(p, &err);
        found_err(e, CHECK_FAIL, &err);
    } else if (!p->control_node || !p->uvm_node) {
        struct check *k = foundf(
            e, CHECK_WARN, "there is no /dev/%s: %s", p->control_node ? "nvidia-uvm" : "nvidiactl",
            p->control_node ? "the GPUs can be watched, but no program can compute on them"
                            : "nobody can open the GPUs");
        k->fix = p->container ? "start the container with all of the GPUs' devices"
                              : "make the device nodes";
        k->command = p->container ? "docker run --gpus all ..." : "sudo nvidia-modprobe -c 0 -u";
    } else {
        found(e, CHECK_OK, "/dev/nvidiactl, /dev/nvidia-uvm");
    }
}

/* A list numbers processes as the host does; local_pid is what that is for us, 0 what we cannot
 * see. */
static bool is_us(const struct process *p)
{
    uint32_t us = (uint32_t)getpid();
    return p->local_pid ? p->local_pid == us : p->pid == us;
}

void check_novram(struct examination *e)
{
    uint32_t lists = 0, foreign = 0;
    char gib[32];
    for (uint32_t g = 0; g < e->n_gpus; g++) {
        const struct process_table *t = &e->views[g].processes;
        lists += e->views[g].has_processes && t->known;
        for (uint32_t i = 0; e->views[g].has_processes && i < t->n; i++) {
            foreign += t->process[i].local_pid == 0;
            if (!is_us(&t->process[i]))
                continue;
            uint64_t bytes = t->process[i].memory_bytes;
            struct check *k =
                foundf(e, CHECK_FAIL, "this program (pid %d) holds %s GiB on GPU %u", (int)getpid(),
                       bytes == UINT64_MAX ? "some" : str_gib(bytes, 2, gib), g);
            k->fix = "it never should: this is a fault of the program, please report it with "
                     "doctor --bundle";
            return;
        }
    }
    if (!lists)
        found(e, CHECK_SKIP, "no GPU lists its processes");
    else if (foreign && e->place.container && !is_simulated(e))
        found(e, CHECK_SKIP,
              "the lists name processes outside of this container: whether we are one cannot be "
              "told");
    else
        foundf(e, CHECK_OK,
               "this program (pid %d) read %u of %u GPUs and is in no process list: it holds no "
               "GPU memory",
               (int)getpid(), lists, e->n_gpus);
}

void check_pids(struct examination *e)
{
    uint32_t hidden = 0, all = 0;
    if (!e->place.container || is_simulated(e)) {
        found(e, CHECK_SKIP,
              e->place.container ? "simulated processes are nowhere" : "not in a container");
        return;
    }
    for (uint32_t g = 0; g < e->n_gpus; g++)
        for (uint32_t i = 0; e->views[g].has_processes && i < e->views[g].processes.n; i++) {
            all++;
            hidden += e->views[g].processes.process[i].local_pid == 0;
        }
    if (!hidden) {
        foundf(e, CHECK_OK, "all of %u processes can be named", all);
        return;
    }
    struct check *k =
        foundf(e, CHECK_WARN,
               "%u of %u processes are outside of this container: they have a pid of the host "
               "and no name",
               hidden, all);
    k->fix = "start the container with the host's processes";
    k->command = "docker run --pid=host --gpus all ...";
}

/* How CUDA would rank a card: cores times clock, as far as the driver tells. */
static double speed(const struct gpu_info *i)
{
    return i->cores && i->sm_clock_max_mhz ? (double)i->cores * i->sm_clock_max_mhz
                                           : i->bandwidth_gbs;
}

void check_order(struct examination *e)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");
    uint32_t fastest = 0, unknown = 0;
    for (uint32_t i = 0; i < e->n_gpus; i++) {
        unknown += speed(&e->views[i].info) <= 0;
        if (speed(&e->views[i].info) > speed(&e->views[fastest].info))
            fastest = i;
    }
    bool pinned = order && strcmp(order, "PCI_BUS_ID") == 0;
    if (order && *order && !pinned && strcmp(order, "FASTEST_FIRST") != 0) {
        struct check *k =
            found(e, CHECK_WARN, "CUDA_DEVICE_ORDER is neither PCI_BUS_ID nor FASTEST_FIRST");
        k->fix = "number the cards as everything else here does";
        k->command = "export CUDA_DEVICE_ORDER=PCI_BUS_ID";
    } else if (e->n_gpus < 2) {
        found(e, CHECK_OK, "one GPU, one order");
    } else if (pinned) {
        found(e, CHECK_OK, "CUDA's order is pinned to PCI");
    } else if (unknown) {
        foundf(e, CHECK_SKIP,
               "%u of %u GPUs do not tell how fast they are, and CUDA numbers the fastest first",
               unknown, e->n_gpus);
    } else if (fastest == 0) {
        found(e, CHECK_OK, "CUDA numbers the fastest card first, which is GPU 0");
    } else {
        struct check *k =
            foundf(e, CHECK_WARN, "CUDA numbers the fastest card first: its 0 is GPU %u here, %s",
                   fastest, gpu_short_name(e->views[fastest].info.name));
        k->fix = "commands that plan gives name cards surely; for commands of your own:";
        k->command = "export CUDA_DEVICE_ORDER=PCI_BUS_ID";
    }
}

static bool starts_a_uuid(const struct examination *e, const char *word, size_t len)
{
    for (uint32_t i = 0; i < e->n_gpus; i++)
        if (len > 4 && strncmp(e->views[i].info.uuid, word, len) == 0)
            return true;
    return str_starts(word, "MIG-");
}

/* What CUDA makes of one word: it stops at the first that is no GPU, and takes none when one stands
 * there twice. */
static const char *trouble_of(const struct examination *e, const char *word, size_t len,
                              uint64_t *taken)
{
    char digits[8] = "";
    int64_t n;
    if (len < sizeof(digits))
        memcpy(digits, word, len);
    if (!str_parse_i64(digits, -1, 999, false, &n))
        return starts_a_uuid(e, word, len) ? NULL : "is no GPU of this machine";
    if (n < 0 || n >= (int64_t)e->n_gpus || n >= VISIBLE_MOST)
        return n < 0 ? "ends the list" : "is no GPU of this machine";
    bool twice = *taken >> n & 1;
    *taken |= UINT64_C(1) << n;
    return twice ? "stands there twice: CUDA then sees no GPU at all" : NULL;
}

void check_visible(struct examination *e)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES"), *trouble = NULL, *word = list;
    uint64_t taken = 0;
    uint32_t usable = 0;
    if (!list) {
        found(e, CHECK_OK, "not set: CUDA sees every GPU");
        return;
    }
    size_t len = 0;
    for (; *word && !trouble; word += len + (word[len] == ',')) {
        len = strcspn(word, ",");
        trouble = trouble_of(e, word, len, &taken);
        usable += !trouble;
        if (trouble)
            break;
    }
    if (!trouble && usable) {
        foundf(e, CHECK_OK, "%u of %u GPUs", usable, e->n_gpus);
        return;
    }
    char shown[64];
    str_printable(word, len, shown, sizeof(shown));
    struct check *k =
        trouble
            ? foundf(e, CHECK_WARN, "\"%s\" in CUDA_VISIBLE_DEVICES %s; programs see %u of %u GPUs",
                     shown, trouble, strstr(trouble, "twice") ? 0 : usable, e->n_gpus)
            : found(e, CHECK_WARN,
                    "CUDA_VISIBLE_DEVICES is empty: it hides every GPU from programs");
    k->fix = "name GPUs that are there, or none of it";
    k->command = "unset CUDA_VISIBLE_DEVICES";
}
