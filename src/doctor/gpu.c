/* gpu: what may be wrong with one GPU, from one reading of it and the kernel's log. */
#include <stdio.h>
#include <string.h>

#include "api/gpu_words.h"
#include "base/str.h"
#include "doctor/check.h"
#include "doctor/kernel_log.h"
#include "doctor/xid.h"

static const uint64_t orphan_bytes = (uint64_t)1 << 30;
static const double near_slowdown_c = 3;

static double value(const struct gpu_view *v, enum metric m, double unknown)
{
    return sample_has(&v->sample, m) ? v->sample.value[m] : unknown;
}

static uint64_t throttle(const struct gpu_view *v)
{
    return (uint64_t)value(v, METRIC_THROTTLE, 0);
}

/* Readings of a GPU that does not answer say nothing. */
static bool cannot_tell(struct examination *e)
{
    enum gpu_state s = e->view->health.state;
    if (e->view->has_sample && (s == GPU_OK || s == GPU_DEGRADED || s == GPU_STALE))
        return false;
    found(e, CHECK_SKIP, s == GPU_SUSPENDED ? "asleep" : "it does not answer");
    return true;
}

static struct check *in_a_sentence(struct examination *e, enum check_level level)
{
    char sentence[GPU_SENTENCE_MAX];
    gpu_sentence(e->view, sentence);
    return foundf(e, level, "%s %s", gpu_short_name(e->view->info.name), sentence);
}

void check_state(struct examination *e)
{
    const struct gpu_view *v = e->view;
    struct check *k;
    switch (v->health.state) {
    case GPU_LOST:
        k = foundf(e, CHECK_FAIL, "lost: %s", v->health.detail);
        k->fix = "it fell off the bus or its driver stopped: look at riser, power plugs and heat, "
                 "then reboot";
        k->command = "sudo dmesg | grep -i xid";
        return;
    case GPU_HUNG:
        k = foundf(e, CHECK_FAIL, "hung for %.0f s: %s", (double)v->health.since_ns / 1e9,
                   v->health.detail);
        k->fix = "end what uses it and reset it; if that hangs too, reboot";
        k->command = arena_printf(&e->arena, "sudo nvidia-smi --gpu-reset -i %u", v->info.index);
        return;
    case GPU_DENIED:
        k = foundf(e, CHECK_FAIL, "denied: %s", v->health.detail);
        k->fix = "see who may open its device; in a container, which GPUs it was given";
        k->command = "ls -l /dev/nvidia*";
        return;
    case GPU_DEGRADED:
        k = foundf(e, CHECK_WARN, "answers in part: %s", v->health.detail);
        k->fix = "what the driver says wrongly or not at all is left out; if it stays, see the "
                 "kernel's log";
        k->command = "sudo dmesg | grep -i nvrm";
        return;
    case GPU_STALE: in_a_sentence(e, CHECK_WARN); return;
    case GPU_SUSPENDED:
        foundf(e, CHECK_OK, "%s is asleep, and is left so", gpu_short_name(v->info.name));
        return;
    default:
        foundf(e, CHECK_OK, "%s%s, %s", gpu_short_name(v->info.name),
               v->info.simulated ? " (simulated)" : "", v->info.pci);
    }
}

void check_link(struct examination *e)
{
    const struct gpu_view *v = e->view;
    char link[32];
    double lanes = value(v, METRIC_PCIE_WIDTH, 0);
    if (cannot_tell(e))
        return;
    gpu_link_text(v, link);
    if (lanes <= 0 || !v->info.pcie_width_max) {
        found(e, CHECK_SKIP, "the driver does not tell");
        return;
    }
    if (!gpu_link_below(v)) {
        found(e, CHECK_OK, arena_strdup(&e->arena, link));
        return;
    }
    bool narrow = lanes < v->info.pcie_width_max;
    struct check *k = narrow ? foundf(e, CHECK_WARN, "x%.0f of x%u: slows prompts and tensor split",
                                      lanes, v->info.pcie_width_max)
                             : foundf(e, CHECK_WARN,
                                      "gen%.0f of gen%u under load: slows prompts and tensor split",
                                      value(v, METRIC_PCIE_GEN, 0), v->info.pcie_gen_max);
    k->fix = narrow ? "seat the card again, look at riser and slot: some slots share their lanes"
                    : "look at riser, and at the slot's speed in the BIOS";
    if (v->info.pci[0])
        k->command = arena_printf(&e->arena, "sudo lspci -vv -s %s | grep -i lnk", v->info.pci);
}

void check_heat(struct examination *e)
{
    const struct gpu_view *v = e->view;
    double celsius = value(v, METRIC_TEMPERATURE, -1);
    bool slowed = throttle(v) & (THROTTLE_THERMAL | THROTTLE_HARDWARE_THERMAL);
    if (cannot_tell(e))
        return;
    if (celsius < 0 && !slowed) {
        found(e, CHECK_SKIP, "the driver does not tell");
        return;
    }
    char limit[64] = "";
    if (v->info.slowdown_c)
        snprintf(limit, sizeof(limit), ", it slows down at %u C", v->info.slowdown_c);
    bool near = v->info.slowdown_c && celsius >= v->info.slowdown_c - near_slowdown_c;
    if (!slowed && !near) {
        foundf(e, CHECK_OK, "%.0f C%s", celsius, limit);
        return;
    }
    struct check *k = slowed ? foundf(e, CHECK_WARN, "slowed down by heat at %.0f C", celsius)
                             : foundf(e, CHECK_WARN, "%.0f C%s", celsius, limit);
    k->fix = "more air: fans, dust, the card beside it; or a lower power limit";
    if (v->info.power_default_w)
        k->command = arena_printf(&e->arena, "sudo nvidia-smi -i %u -pl %u", v->info.index,
                                  v->info.power_default_w * 8 / 10 > v->info.power_min_w
                                      ? v->info.power_default_w * 8 / 10
                                      : v->info.power_min_w);
}

void check_power(struct examination *e)
{
    const struct gpu_view *v = e->view;
    double limit = value(v, METRIC_POWER_LIMIT, 0);
    if (cannot_tell(e))
        return;
    if (throttle(v) & (THROTTLE_POWER_BRAKE | THROTTLE_HARDWARE)) {
        struct check *k = found(e, CHECK_WARN,
                                throttle(v) & THROTTLE_POWER_BRAKE
                                    ? "the power supply holds the card back (power brake)"
                                    : "the board slows itself down (hardware slowdown)");
        k->fix =
            "look at the power plugs and whether the supply is strong enough for all cards at once";
        k->command = arena_printf(&e->arena, "nvidia-smi -q -d PERFORMANCE -i %u", v->info.index);
        return;
    }
    if (limit <= 0)
        found(e, CHECK_SKIP, "the driver does not tell");
    else if (throttle(v) & THROTTLE_POWER_CAP)
        foundf(e, CHECK_OK, "held at its limit of %.0f W, as is normal under load", limit);
    else
        foundf(e, CHECK_OK, "%.0f of %.0f W", value(v, METRIC_POWER, 0), limit);
}

void check_memory(struct examination *e)
{
    const struct gpu_view *v = e->view;
    const struct process_table *t = &v->processes;
    char gib[32];
    if (cannot_tell(e))
        return;
    if (!v->has_processes || !t->known || t->unattributed_bytes == UINT64_MAX) {
        found(e, CHECK_SKIP,
              v->has_processes && !t->known ? "the driver does not list processes"
                                            : "the driver does not tell what each process holds");
        return;
    }
    str_gib(t->unattributed_bytes, 1, gib);
    if (t->unattributed_bytes <= orphan_bytes) {
        foundf(e, CHECK_OK, "%u process%s", t->n + t->left_out,
               t->n + t->left_out == 1 ? "" : "es");
    } else if (e->place.container && !v->info.simulated) {
        foundf(e, CHECK_OK,
               "%s GiB are held by nobody in this container: by others on the machine, or by a "
               "dead process",
               gib);
    } else {
        struct check *k =
            foundf(e, CHECK_WARN,
                   "%s GiB are held by no process: one that died left them, or a container", gib);
        k->fix = "end what still has the device open; if nothing has, reset the GPU";
        k->command = arena_printf(&e->arena,
                                  "sudo fuser -v /dev/nvidia%u; sudo nvidia-smi --gpu-reset -i %u",
                                  v->info.index, v->info.index);
    }
}

void check_ecc(struct examination *e)
{
    const struct gpu_view *v = e->view;
    double bad = value(v, METRIC_ECC_UNCORRECTED, -1), pending = value(v, METRIC_ROWS_PENDING, 0);
    if (cannot_tell(e))
        return;
    if (bad < 0 && pending <= 0) {
        found(e, CHECK_SKIP, "this card does not count memory errors");
        return;
    }
    if (bad <= 0 && pending <= 0) {
        foundf(e, CHECK_OK, "no memory errors, %.0f corrected", value(v, METRIC_ECC_CORRECTED, 0));
        return;
    }
    struct check *k = bad > 0
                          ? foundf(e, CHECK_FAIL, "%.0f memory error%s that could not be corrected",
                                   bad, bad == 1 ? "" : "s")
                          : found(e, CHECK_WARN, "memory rows wait for a reset to be replaced");
    k->fix = "results may be wrong: reset the GPU so that bad rows are replaced; if errors come "
             "back, change the card";
    k->command = arena_printf(&e->arena, "sudo nvidia-smi --gpu-reset -i %u", v->info.index);
}

void check_xid(struct examination *e)
{
    const struct gpu_view *v = e->view;
    struct kernel_log log = {0};
    struct xid_seen seen = {0};
    bool readable = kernel_log_read(e->options.sysfs_root, &log);
    if (readable && v->info.pci[0])
        kernel_log_xids(log.text.data, log.text.len, v->info.pci, &seen);
    kernel_log_finish(&log);
    if (value(v, METRIC_XID_COUNT, 0) > 0)
        xid_add(&seen, (uint32_t)value(v, METRIC_XID, 0));
    if (!seen.count) {
        found(e, CHECK_OK,
              readable ? "none, now or in the kernel's log"
                       : "none now; the kernel's log may not be read by you");
        return;
    }
    const struct xid *worst = xid_find(seen.worst);
    struct check *k = foundf(
        e, worst->serious ? CHECK_FAIL : CHECK_WARN, "XID %u: %s%s", seen.worst, worst->means,
        seen.count > 1 ? arena_printf(&e->arena, " (%u driver errors in all)", seen.count) : "");
    k->fix = worst->mends;
    k->command = "sudo dmesg | grep -i xid";
}
