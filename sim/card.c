/* card: the catalogue's rows with what drivers report beyond them, measured or by rule. */
#include "sim/card.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct row {
    const char *name, *vendor, *arch;
    uint32_t major, minor, sms, mib, gen, lanes;
    double bandwidth_gbs, nvlink_gbs, board_w;
};

#define CARD(name_, vendor_, arch_, major_, minor_, sms_, mib_, bw, gen_, lanes_, nvl, tdp, f32, \
             f16, f16a, i8)                                                                      \
    {name_, vendor_, arch_, major_, minor_, sms_, mib_, gen_, lanes_, bw, nvl, tdp},
static const struct row rows[] = {
#include "machine/cards.def"
};
#undef CARD

/* PCI ids, memory bus and clocks of cards that were seen; all others follow from rules. */
static const struct seen {
    const char *name;
    uint32_t device_id, bus_bits, sm_mhz, video_mhz, reserved_mib;
    double idle_w, least_w, most_w;
} seen[] = {
    {"H100 SXM5 80GB",                     0x2330, 5120, 1980, 1545, 479, 70, 200, 700},
    {"H200 SXM 141GB",                     0x2335, 6144, 1980, 1545, 614, 78, 200, 700},
    {"L40S",                               0x26b9, 384,  2520, 1965, 609, 35, 100, 350},
    {"A100 SXM4 80GB",                     0x20b2, 5120, 1410, 1290, 570, 62, 100, 400},
    {"GeForce RTX 4080 SUPER",             0x2702, 256,  3165, 2145, 434, 26, 150, 400},
    {"GeForce RTX 4080",                   0x2704, 256,  3105, 2145, 434, 18, 150, 355},
    {"GeForce RTX 4090",                   0x2684, 384,  3120, 2145, 436, 22, 150, 600},
    {"GeForce RTX 5090",                   0x2b85, 512,  3090, 3090, 480, 26, 400, 600},
    {"GeForce RTX 5080",                   0x2c02, 256,  3090, 3090, 450, 20, 250, 400},
    {"GeForce RTX 3090",                   0x2204, 384,  2100, 1950, 312, 28, 100, 400},
    {"GeForce RTX 3060 12GB",              0x2503, 192,  2130, 1950, 230, 14, 100, 212},
    {"GeForce RTX 4070",                   0x2786, 192,  3105, 2145, 330, 13, 100, 215},
    {"GeForce RTX 4060 Ti 16GB",           0x2805, 128,  3105, 2145, 400, 12, 100, 165},
    {"RTX A6000",                          0x2230, 384,  2100, 1950, 500, 24, 100, 300},
    {"RTX PRO 6000 Blackwell Workstation", 0x2bb1, 512,  3090, 3090, 640, 30, 150, 600},
    {"GB10 (DGX Spark)",                   0x2e12, 256,  2418, 2000, 0,   8,  40,  140},
};

/* Letters and digits in lower case, without what people leave out. */
static void squeeze(const char *name, char *out, size_t cap)
{
    static const char *const drop[] = {"nvidia", "geforce", "tesla", "quadro", "pcie"};
    size_t n = 0;
    while (*name && n + 1 < cap) {
        size_t skip = 0;
        for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++)
            if (strncasecmp(name, drop[i], strlen(drop[i])) == 0)
                skip = strlen(drop[i]);
        if (!skip && isalnum((unsigned char)*name))
            out[n++] = (char)tolower((unsigned char)*name);
        name += skip ? skip : 1;
    }
    out[n] = 0;
}

/* Exact after squeezing first, else the only meaning of what is left without "rtx" or a size. */
static const struct row *find(const char *name)
{
    char wanted[96], have[96];
    const struct row *found = NULL;
    squeeze(name, wanted, sizeof(wanted));
    size_t n = strlen(wanted);
    if (n < 2)
        return NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].vendor, "NVIDIA") != 0)
            continue;
        squeeze(rows[i].name, have, sizeof(have));
        if (strcmp(have, wanted) == 0)
            return &rows[i];
        const char *rest = strncmp(have, wanted, n) == 0 ? have + n : NULL;
        size_t digits = rest ? strspn(rest, "0123456789") : 0;
        bool size = rest && digits && strcmp(rest + digits, "gb") == 0;
        bool form = rest && (strncmp(rest, "sxm", 3) == 0 || strncmp(rest, "dgx", 3) == 0);
        if (!found && (size || form))
            found = &rows[i];
    }
    return found;
}

static uint32_t cores_per_sm(uint32_t major, uint32_t minor)
{
    if (major == 6)
        return minor == 0 ? 64 : 128;
    return major == 7 || (major == 8 && minor == 0) ? 64 : major == 3 ? 192 : 128;
}

static void fill_seen(struct sim_card *c, const struct row *r)
{
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        const struct seen *s = &seen[i];
        if (strcmp(s->name, r->name) != 0)
            continue;
        c->device_id = s->device_id;
        c->bus_bits = s->bus_bits;
        c->sm_mhz = s->sm_mhz;
        c->video_mhz = s->video_mhz;
        c->reserved_bytes = (uint64_t)s->reserved_mib << 20;
        c->idle_w = s->idle_w;
        c->least_w = s->least_w;
        c->most_w = s->most_w;
    }
}

static struct sim_card by_rule(const struct row *r)
{
    bool geforce = strncmp(r->name, "GeForce", 7) == 0 || strncmp(r->name, "TITAN", 5) == 0;
    bool hbm = r->bandwidth_gbs > 1200 && r->major != 12;
    return (struct sim_card){
        .name = r->name,
        .arch = r->arch,
        .geforce = geforce,
        .cc_major = r->major,
        .cc_minor = r->minor,
        .sms = r->sms,
        .cores = r->sms * cores_per_sm(r->major, r->minor),
        .device_id = 0x2000 + (uint32_t)(r - rows),
        .subsystem_id = 0x165410de,
        .total_bytes = (uint64_t)r->mib << 20,
        .reserved_bytes = (uint64_t)400 << 20,
        .bus_bits = hbm ? 5120 : 256,
        .pcie_gen = r->gen,
        .pcie_lanes = r->lanes,
        .board_w = r->board_w,
        .least_w = floor(r->board_w * 0.33),
        .most_w = r->board_w,
        .idle_w = 8 + floor(r->board_w * 0.04),
        .sm_mhz = 2100,
        .sm_idle_mhz = geforce ? 210 : 345,
        .mem_idle_mhz = 405,
        .video_mhz = 1950,
        .slowdown_c = geforce ? 96 : 92,
        .shutdown_c = geforce ? 101 : 97,
        .target_c = geforce ? 83 : 87,
        .nvlinks = r->nvlink_gbs >= 600 ? 18
                   : r->nvlink_gbs > 0  ? 4
                                        : 0,
        .memory_sensor = hbm,
    };
}

bool card_make(const char *name, struct sim_card *out)
{
    const struct row *r = find(name);
    if (!r)
        return false;
    struct sim_card c = by_rule(r);
    fill_seen(&c, r);
    c.device_id = c.device_id << 16 | 0x10de;
    c.bar1_bytes = c.cc_major < 8 ? (uint64_t)256 << 20 : (uint64_t)1 << 30;
    while (c.bar1_bytes < c.total_bytes && c.cc_major >= 8)
        c.bar1_bytes <<= 1;
    c.mem_mhz = (uint32_t)lround(r->bandwidth_gbs * 4000 / c.bus_bits);
    if (c.memory_sensor)
        c.mem_idle_mhz = c.mem_mhz;
    *out = c;
    return true;
}
