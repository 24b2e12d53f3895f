/* nvml_describe: what does not change of an NVIDIA card: who it is, its limits, its memory's speed. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "machine/machine.h"
#include "telemetry/nvml_card.h"

static void read_text(int code, const char *raw, char *out, size_t size)
{
    if (code == NV_OK && raw[0])
        str_printable(raw, strlen(raw), out, size);
}

/* By address: the call that fills the value is an argument too, and arguments have no order. */
static uint32_t number_or_0(int code, const uint32_t *value)
{
    return code == NV_OK ? *value : 0;
}

static void describe_identity(struct source_gpu *g, struct nvml_card *c)
{
    struct gpu_info *i = &g->info;
    char raw[128] = {0};
    struct nv_pci pci = {0};
    read_text(NVML_ASK(g, c, name, c->dev, raw, sizeof(raw) - 1), raw, i->name, sizeof(i->name));
    memset(raw, 0, sizeof(raw));
    read_text(NVML_ASK(g, c, uuid, c->dev, raw, sizeof(raw) - 1), raw, i->uuid, sizeof(i->uuid));
    memset(raw, 0, sizeof(raw));
    read_text(NVML_ASK(g, c, driver, raw, sizeof(raw) - 1), raw, i->driver, sizeof(i->driver));
    if (NVML_ASK(g, c, pci, c->dev, &pci) == NV_OK && pci.domain <= 0xffff && pci.bus <= 0xff && pci.device <= 0x1f)
        snprintf(i->pci, sizeof(i->pci), "%04x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
}

static void describe_limits(struct source_gpu *g, struct nvml_card *c)
{
    struct gpu_info *i = &g->info;
    uint32_t u = 0, v = 0;
    if (NVML_ASK(g, c, power_range, c->dev, &u, &v) == NV_OK) {
        i->power_min_w = u / 1000;
        i->power_max_w = v / 1000;
    }
    i->power_default_w = number_or_0(NVML_ASK(g, c, power_default, c->dev, &u), &u) / 1000;
    u = v = 0;
    i->slowdown_c = number_or_0(NVML_ASK(g, c, threshold, c->dev, 1, &u), &u);
    i->shutdown_c = number_or_0(NVML_ASK(g, c, threshold, c->dev, 0, &v), &v);
    if (i->slowdown_c > 200 || i->shutdown_c > 200)
        i->slowdown_c = i->shutdown_c = 0;
}

void nvml_describe(struct source_gpu *g, struct nvml_card *c)
{
    struct gpu_info *i = &g->info;
    int major = 0, minor = 0;
    uint32_t u = 0, pending = 0;
    describe_identity(g, c);
    describe_limits(g, c);
    if (NVML_ASK(g, c, capability, c->dev, &major, &minor) == NV_OK && major > 0 && minor >= 0) {
        i->cc_major = (uint32_t)major;
        i->cc_minor = (uint32_t)minor;
    }
    i->cores = number_or_0(NVML_ASK(g, c, cores, c->dev, &u), &u);
    i->bus_width_bits = number_or_0(NVML_ASK(g, c, bus_width, c->dev, &u), &u);
    i->sm_clock_max_mhz = number_or_0(NVML_ASK(g, c, clock_max, c->dev, 1, &u), &u);
    i->memory_clock_max_mhz = number_or_0(NVML_ASK(g, c, clock_max, c->dev, 2, &u), &u);
    i->pcie_gen_max = number_or_0(NVML_ASK(g, c, pcie_gen_max, c->dev, &u), &u);
    i->pcie_width_max = number_or_0(NVML_ASK(g, c, pcie_width_max, c->dev, &u), &u);
    i->mig = NVML_ASK(g, c, mig_mode, c->dev, &u, &pending) == NV_OK && u == 1;
    const struct card *known = i->name[0] ? card_find(i->name) : NULL;
    /* two transfers a clock: what the driver calls the memory clock of GDDR and HBM alike */
    i->bandwidth_gbs = known && known->bandwidth_gbs > 0
                           ? known->bandwidth_gbs
                           : 2.0 * i->memory_clock_max_mhz * i->bus_width_bits / 8 / 1000;
    c->described = i->uuid[0] != 0 || i->name[0] != 0;
}
