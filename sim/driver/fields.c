/* fields: many readings in one call, by number; and the buffers of samples. */
#include <string.h>

#include "base/clock.h"
#include "sim/driver/call.h"

static void put(struct nv_field *f, uint32_t type, uint64_t value)
{
    f->type = type;
    f->code = NV_SUCCESS;
    f->value.ull = 0;
    if (type == NV_UINT)
        f->value.ui = (uint32_t)value;
    else if (type == NV_INT)
        f->value.si = (int32_t)(uint32_t)value;
    else
        f->value.ull = value;
}

static uint64_t bytes_counter(const struct call *c, uint64_t bytes)
{
    return c->scenario->narrow ? bytes & UINT32_MAX : bytes;
}

static void put_margin(const struct call *c, struct nv_field *f, const struct reading *r, int limit)
{
    if (c->gpu->card.geforce)
        return;
    put(f, NV_INT, (uint64_t)(int64_t)(limit - (int)(uint32_t)r->temperature));
}

/* Power: by scope 0 the card, 1 the module, 2 the memory, 3 the chip. */
static void put_power(struct nv_field *f, const struct reading *r)
{
    if (f->scope <= 1)
        put(f, NV_UINT, r->power_mw);
    else if (f->scope == 2)
        put(f, NV_UINT, r->power_mw / 7);
}

static void fill_health(const struct call *c, struct nv_field *f)
{
    bool ecc = !c->gpu->card.geforce;
    uint64_t rows = call_count(c, SIM_FAULT_REMAPPED),
             corrected = call_count(c, SIM_FAULT_ECC_CORRECTED);
    uint64_t uncorrected = call_count(c, SIM_FAULT_ECC_UNCORRECTED);
    if (!ecc)
        return;
    switch (f->id) {
    case 1:
    case 2: put(f, NV_UINT, 1); break;
    case 3:
    case 5: put(f, NV_ULLONG, corrected); break;
    case 4:
    case 6: put(f, NV_ULLONG, uncorrected); break;
    case 142: put(f, NV_UINT, 0); break;
    case 143: put(f, NV_UINT, rows); break;
    case 144: put(f, NV_UINT, rows > 0); break;
    case 145: put(f, NV_UINT, 0); break;
    case 301:
    case 302: put(f, NV_UINT, 0); break;
    default: break;
    }
}

static void fill_nvlink(const struct call *c, struct nv_field *f, const struct reading *r)
{
    if (!c->gpu->nvlinks)
        return;
    bool all = f->scope == UINT32_MAX;
    if (!all && f->scope >= c->gpu->nvlinks)
        return;
    uint64_t share = all ? 1 : c->gpu->nvlinks;
    switch (f->id) {
    case 90: put(f, NV_UINT, 26562); break;
    case 91: put(f, NV_UINT, c->gpu->nvlinks); break;
    case 138:
    case 140: put(f, NV_ULLONG, r->tx_bytes * 20 / 1024 / share); break;
    case 139:
    case 141: put(f, NV_ULLONG, r->rx_bytes * 20 / 1024 / share); break;
    case 147: put(f, NV_UINT, 0); break;
    case 161:
    case 162:
    case 163: put(f, NV_ULLONG, 0); break;
    case 164: put(f, NV_UINT, 26562); break;
    case 165: put(f, NV_UINT, 1); break;
    case 166: put(f, NV_UINT, 6); break;
    default: break;
    }
}

static void fill(const struct call *c, struct nv_field *f, const struct reading *r)
{
    const struct sim_card *k = &c->gpu->card;
    f->time_us = clock_wall_ns() / 1000;
    f->latency_us = 2;
    f->code = NV_NOT_SUPPORTED;
    switch (f->id) {
    case 74:
    case 269: put(f, NV_ULLONG, f->id == 74 ? r->power_cap_ns : r->sw_thermal_ns); break;
    case 75: put(f, NV_ULLONG, r->sw_thermal_ns + r->hw_thermal_ns); break;
    case 270: put(f, NV_ULLONG, r->hw_thermal_ns); break;
    case 76:
    case 77:
    case 78:
    case 79:
    case 271: put(f, NV_ULLONG, 0); break;
    case 82:
        if (r->mem_temperature)
            put(f, NV_UINT, r->mem_temperature);
        break;
    case 83:
    case 191: put(f, NV_ULLONG, r->energy_mj); break;
    case 94:
    case 95: put(f, NV_UINT, 0); break;
    case 173:
    case 174:
    case 175:
    case 176: put(f, NV_UINT, 0); break;
    case 185:
    case 186: put_power(f, r); break;
    case 187: put(f, NV_UINT, (uint64_t)(k->least_w * 1000)); break;
    case 188: put(f, NV_UINT, (uint64_t)(k->most_w * 1000)); break;
    case 189: put(f, NV_UINT, (uint64_t)(k->board_w * 1000)); break;
    case 190:
    case 192: put(f, NV_UINT, r->limit_mw); break;
    case 193: put_margin(c, f, r, (int)k->shutdown_c); break;
    case 194: put_margin(c, f, r, (int)k->slowdown_c); break;
    case 195:
    case 196: put_margin(c, f, r, (int)k->target_c); break;
    case 197: put(f, NV_ULLONG, bytes_counter(c, r->tx_bytes)); break;
    case 198: put(f, NV_ULLONG, bytes_counter(c, r->rx_bytes)); break;
    case 230: put(f, NV_UINT, 0); break;
    default:
        fill_health(c, f);
        if (f->code)
            fill_nvlink(c, f, r);
        break;
    }
}

API int nvmlDeviceGetFieldValues(void *device, int count, struct nv_field *out)
{
    BEGIN_WHOLE(device);
    NEED(out && count > 0);
    struct reading r = call_read(&c);
    for (int i = 0; i < count; i++)
        fill(&c, &out[i], &r);
    END(NV_SUCCESS);
}

/* ---- samples: every 100 simulated ms, the last 12 s ---- */

enum { SAMPLES = 120, SAMPLE_NS = 100000000 };

/* Wall time of a simulated moment, in us: what clients compare with what they saw last. */
static uint64_t stamp(const struct call *c, int64_t t_ns)
{
    struct world_clock now = world_clock(c->world);
    double ago =
        now.scale > 0 ? (double)(now.now_ns - t_ns) / now.scale : (double)(now.now_ns - t_ns);
    return (uint64_t)((double)clock_wall_ns() - ago) / 1000;
}

static uint64_t sample_of(const struct reading *r, unsigned type)
{
    switch (type) {
    case 0: return r->power_mw;
    case 1: return r->util;
    case 2: return r->mem_util;
    case 3: return r->encoder;
    case 4: return r->decoder;
    case 5: return r->sm_mhz;
    default: return r->mem_mhz;
    }
}

API int nvmlDeviceGetSamples(void *device, unsigned type, uint64_t last_us, unsigned *value_type,
                             unsigned *count, struct nv_sample *out)
{
    unsigned n = 0;
    BEGIN_WHOLE(device);
    NEED(value_type && count && type <= 9);
    SUPPORT(type <= 6 && c.gpu->n_mig == 0);
    *value_type = NV_UINT;
    if (!out) {
        *count = SAMPLES;
        END(NV_SUCCESS);
    }
    int64_t newest = c.t_ns / SAMPLE_NS * SAMPLE_NS;
    for (int64_t i = SAMPLES - 1; i >= 0; i--) {
        int64_t t = newest - i * SAMPLE_NS;
        if (t < 0 || stamp(&c, t) <= last_us || n >= *count)
            continue;
        struct reading r;
        world_read(c.world, c.index, t, &r);
        out[n].time_us = stamp(&c, t);
        out[n].value.ull = 0;
        out[n++].value.ui = (uint32_t)sample_of(&r, type);
    }
    *count = n;
    END(n ? NV_SUCCESS : NV_NOT_FOUND);
}
