/* gpu_metrics: one table of fields per revision; what the kernel's header leaves open (units of v2)
 * is not used. */
#include "amdgpu/gpu_metrics.h"

#include <string.h>

enum { FIELDS_MAX = 12 };

/* A field: little-endian, `width` bytes at `at`, times `scale`; above `most` (before scaling) it is
 * no value. */
struct field {
    enum drm_value value;
    uint16_t at;
    uint8_t width;
    double scale, most;
};

struct revision {
    uint8_t format, content;
    uint16_t size;
    uint16_t
        throttle_at; /* 64 bits in the order of SMU_THROTTLER_*; 0: none that all chips share */
    struct field field[FIELDS_MAX];
};

/* 2^-16 J */
#define ENERGY_UNIT (1.0 / 65536)
#define HOT         200
#define CENTI_HOT   20000
#define FAST_MHZ    20000

#define V1_SERVER(content_, size_, energy_, width_, clock_, memory_clock_)                    \
    {                                                                                         \
        1, content_, size_, 0,                                                                \
        {                                                                                     \
            {DRM_TEMPERATURE, 4, 2, 1, HOT}, {DRM_MEMORY_TEMPERATURE, 6, 2, 1, HOT},          \
                {DRM_POWER, 10, 2, 1, 5000}, {DRM_BUSY, 12, 2, 1, 100},                       \
                {DRM_MEMORY_BUSY, 14, 2, 1, 100}, {DRM_ENERGY, energy_, 8, ENERGY_UNIT, 0},   \
                {DRM_LINK_WIDTH, width_, 2, 1, 32}, {DRM_LINK_GEN, width_ + 2, 2, 0.1, 2000}, \
                {DRM_CLOCK, clock_, 2, 1, FAST_MHZ},                                          \
                {DRM_MEMORY_CLOCK, memory_clock_, 2, 1, FAST_MHZ},                            \
        }                                                                                     \
    }

#define V2_INTEGRATED(content_, size_)                                                 \
    {                                                                                  \
        2, content_, size_, 120,                                                       \
        {                                                                              \
            {DRM_TEMPERATURE, 4, 2, 0.01, CENTI_HOT}, {DRM_CLOCK, 76, 2, 1, FAST_MHZ}, \
                {DRM_MEMORY_CLOCK, 80, 2, 1, FAST_MHZ},                                \
        }                                                                              \
    }

static const struct revision revisions[] = {
    {1,
     3, 120,
     112, {{DRM_TEMPERATURE, 4, 2, 1, HOT},
      {DRM_TEMPERATURE, 6, 2, 1, HOT},
      {DRM_MEMORY_TEMPERATURE, 8, 2, 1, HOT},
      {DRM_BUSY, 16, 2, 1, 100},
      {DRM_MEMORY_BUSY, 18, 2, 1, 100},
      {DRM_POWER, 22, 2, 1, 5000},
      {DRM_CLOCK, 54, 2, 1, FAST_MHZ},
      {DRM_MEMORY_CLOCK, 58, 2, 1, FAST_MHZ},
      {DRM_LINK_WIDTH, 74, 2, 1, 32},
      {DRM_LINK_GEN, 76, 2, 0.1, 2000}}     },
    V1_SERVER(4, 288, 24, 48, 240, 280),
    V1_SERVER(5, 360, 88, 112, 312, 352),
    V1_SERVER(6, 384, 88, 136, 336, 376),
    V2_INTEGRATED(2, 128),
    V2_INTEGRATED(3, 152),
    V2_INTEGRATED(4, 168),
    {3,
     0, 264,
     0,   {{DRM_TEMPERATURE, 4, 2, 0.01, CENTI_HOT},
      {DRM_BUSY, 42, 2, 1, 100},
      {DRM_POWER, 112, 4, 0.001, 5e6},
      {DRM_CLOCK, 174, 2, 1, FAST_MHZ},
      {DRM_MEMORY_CLOCK, 186, 2, 1, FAST_MHZ}}},
};

static uint64_t number_at(const uint8_t *data, size_t at, unsigned width)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < width; i++)
        n |= (uint64_t)data[at + i] << (8 * i);
    return n;
}

static bool all_ones(uint64_t n, unsigned width)
{
    return n == UINT64_MAX >> (64 - 8 * width);
}

/* Transfers per lane and second, in 10^9, to the generation; 0 for none of them. */
static double generation_of(double gt)
{
    static const double speeds[] = {2.5, 5, 8, 16, 32, 64, 128};
    for (int i = 0; i < (int)(sizeof(speeds) / sizeof(speeds[0])); i++)
        if (gt > speeds[i] - 0.2 && gt < speeds[i] + 0.2)
            return i + 1;
    return 0;
}

/* Bits 0-7 are power limits, 16-23 current limits, 32-47 temperatures (of which 44-47 signals from
 * outside). */
static double throttle_of(uint64_t bits)
{
    unsigned out = 0;
    out |= bits & 0xff ? DRM_THROTTLE_POWER : 0;
    out |= bits >> 16 & 0xff ? DRM_THROTTLE_CURRENT : 0;
    out |= bits >> 32 & 0xfff ? DRM_THROTTLE_HEAT : 0;
    out |= bits >> 44 & 0xf ? DRM_THROTTLE_PROCHOT : 0;
    return out;
}

static void read_field(const uint8_t *data, const struct field *f, struct drm_reading *out)
{
    uint64_t n = number_at(data, f->at, f->width);
    if (drm_has(out, f->value) || all_ones(n, f->width) || (f->most > 0 && (double)n > f->most))
        return;
    double value = (double)n * f->scale;
    if (f->value == DRM_LINK_GEN)
        value = generation_of(value);
    if ((f->value == DRM_LINK_GEN || f->value == DRM_LINK_WIDTH) && value <= 0)
        return;
    drm_set(out, f->value, value);
}

bool gpu_metrics_parse(const uint8_t *data, size_t len, struct drm_reading *out, bool *integrated)
{
    const struct revision *r = NULL;
    if (len < 4 || len > GPU_METRICS_MAX)
        return false;
    for (size_t i = 0; i < sizeof(revisions) / sizeof(revisions[0]) && !r; i++)
        if (revisions[i].format == data[2] && revisions[i].content == data[3])
            r = &revisions[i];
    if (!r || number_at(data, 0, 2) != r->size || len < r->size)
        return false;
    for (int i = 0; i < FIELDS_MAX && r->field[i].width; i++)
        read_field(data, &r->field[i], out);
    if (r->throttle_at) {
        uint64_t bits = number_at(data, r->throttle_at, 8);
        if (!all_ones(bits, 8) && !drm_has(out, DRM_THROTTLE))
            drm_set(out, DRM_THROTTLE, throttle_of(bits));
    }
    *integrated = r->format >= 2;
    return true;
}
