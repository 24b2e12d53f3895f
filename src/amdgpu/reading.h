/* reading: what the kernel told about one GPU at one moment: values by kind, and which of them are
 * known. */
#ifndef AMDGPU_READING_H
#define AMDGPU_READING_H

#include <stdbool.h>
#include <stdint.h>

enum drm_value {
    DRM_BUSY,        /* percent */
    DRM_MEMORY_BUSY, /* percent */
    DRM_VRAM_TOTAL,  /* bytes, as the next three; GTT is the host's memory that the GPU may use */
    DRM_VRAM_USED,
    DRM_GTT_TOTAL,
    DRM_GTT_USED,
    DRM_TEMPERATURE, /* degrees Celsius, as the next four; of the chip: edge, else junction */
    DRM_MEMORY_TEMPERATURE,
    DRM_CRITICAL,  /* where the card slows down */
    DRM_EMERGENCY, /* where it turns off */
    DRM_POWER,     /* watts, as the next four */
    DRM_POWER_CAP,
    DRM_POWER_CAP_MIN,
    DRM_POWER_CAP_MAX,
    DRM_POWER_CAP_DEFAULT,
    DRM_ENERGY, /* joules, only grows */
    DRM_CLOCK,  /* MHz, as the next three */
    DRM_CLOCK_MAX,
    DRM_MEMORY_CLOCK,
    DRM_MEMORY_CLOCK_MAX,
    DRM_FAN,      /* percent */
    DRM_LINK_GEN, /* PCIe */
    DRM_LINK_WIDTH,
    DRM_LINK_GEN_MAX,
    DRM_LINK_WIDTH_MAX,
    DRM_THROTTLE, /* enum drm_throttle */
    DRM_VALUE_COUNT
};

/* Why clocks are held down. */
enum drm_throttle {
    DRM_THROTTLE_POWER = 1,   /* a power limit */
    DRM_THROTTLE_CURRENT = 2, /* a current limit, of the chip or its regulators */
    DRM_THROTTLE_HEAT = 4,
    DRM_THROTTLE_PROCHOT = 8, /* a signal from outside the chip: too hot */
};

struct drm_reading {
    uint32_t known;  /* bit v: value[v] was read */
    uint32_t failed; /* bit v: it has a file, and reading it was an error */
    double value[DRM_VALUE_COUNT];
};

static inline bool drm_has(const struct drm_reading *r, enum drm_value v)
{
    return r->known >> v & 1;
}

static inline void drm_set(struct drm_reading *r, enum drm_value v, double value)
{
    r->value[v] = value;
    r->known |= UINT32_C(1) << v;
}

#endif
