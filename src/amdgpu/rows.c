/* rows: the tables of files of amdgpu, i915 and xe. pcie_bw is in none: reading it takes a second.
 */
#include "amdgpu/rows.h"

#include "amdgpu/sysfs.h"

#define NUMBER(value, pace, place, path, scale)                      \
    {                                                                \
        DRM_##value, DRM_##pace, place, path, sysfs_number, scale, 0 \
    }
#define TABLE(value, pace, path, form)                               \
    {                                                                \
        DRM_##value, DRM_##pace, IN_DEVICE, path, sysfs_##form, 1, 0 \
    }
#define REASON(place, path, bit)                                                 \
    {                                                                            \
        DRM_THROTTLE, DRM_SLOW, place, path, sysfs_number, 0, DRM_THROTTLE_##bit \
    }

/* pp_dpm_pcie before the function's own link: behind a switch on the card that one never changes.
 */
static const struct drm_row amdgpu_rows[] = {
    NUMBER(BUSY, FAST, IN_DEVICE, "gpu_busy_percent", 1),
    NUMBER(MEMORY_BUSY, FAST, IN_DEVICE, "mem_busy_percent", 1),
    NUMBER(VRAM_TOTAL, ONCE, IN_DEVICE, "mem_info_vram_total", 1),
    NUMBER(VRAM_USED, FAST, IN_DEVICE, "mem_info_vram_used", 1),
    NUMBER(GTT_TOTAL, ONCE, IN_DEVICE, "mem_info_gtt_total", 1),
    NUMBER(GTT_USED, FAST, IN_DEVICE, "mem_info_gtt_used", 1),
    NUMBER(TEMPERATURE, FAST, AT_EDGE, "input", 1e-3),
    NUMBER(TEMPERATURE, FAST, AT_JUNCTION, "input", 1e-3),
    NUMBER(MEMORY_TEMPERATURE, FAST, AT_MEMORY, "input", 1e-3),
    NUMBER(CRITICAL, ONCE, AT_EDGE, "crit", 1e-3),
    NUMBER(CRITICAL, ONCE, AT_JUNCTION, "crit", 1e-3),
    NUMBER(EMERGENCY, ONCE, AT_EDGE, "emergency", 1e-3),
    NUMBER(EMERGENCY, ONCE, AT_JUNCTION, "emergency", 1e-3),
    NUMBER(POWER, FAST, IN_HWMON, "power1_average", 1e-6),
    NUMBER(POWER, FAST, IN_HWMON, "power1_input", 1e-6),
    NUMBER(POWER_CAP, SLOW, IN_HWMON, "power1_cap", 1e-6),
    NUMBER(POWER_CAP_MIN, ONCE, IN_HWMON, "power1_cap_min", 1e-6),
    NUMBER(POWER_CAP_MAX, ONCE, IN_HWMON, "power1_cap_max", 1e-6),
    NUMBER(POWER_CAP_DEFAULT, ONCE, IN_HWMON, "power1_cap_default", 1e-6),
    NUMBER(CLOCK, FAST, IN_HWMON, "freq1_input", 1e-6),
    TABLE(CLOCK, FAST, "pp_dpm_sclk", active_mhz),
    TABLE(CLOCK_MAX, ONCE, "pp_dpm_sclk", highest_mhz),
    NUMBER(MEMORY_CLOCK, FAST, IN_HWMON, "freq2_input", 1e-6),
    TABLE(MEMORY_CLOCK, FAST, "pp_dpm_mclk", active_mhz),
    TABLE(MEMORY_CLOCK_MAX, ONCE, "pp_dpm_mclk", highest_mhz),
    NUMBER(FAN, SLOW, IN_HWMON, "pwm1", 100.0 / 255),
    TABLE(LINK_GEN, SLOW, "pp_dpm_pcie", active_gen),
    TABLE(LINK_GEN, SLOW, "current_link_speed", link_gen),
    TABLE(LINK_WIDTH, SLOW, "pp_dpm_pcie", active_width),
    TABLE(LINK_WIDTH, SLOW, "current_link_width", link_width),
    TABLE(LINK_GEN_MAX, ONCE, "pp_dpm_pcie", highest_gen),
    TABLE(LINK_GEN_MAX, ONCE, "max_link_speed", link_gen),
    TABLE(LINK_WIDTH_MAX, ONCE, "pp_dpm_pcie", highest_width),
    TABLE(LINK_WIDTH_MAX, ONCE, "max_link_width", link_width),
};

/* Discrete cards sit behind two ports of their own switch; the slot's link is that of the upper
 * one. */
#define INTEL_LINK                                                       \
    TABLE(LINK_GEN, SLOW, "../../current_link_speed", link_gen),         \
        TABLE(LINK_WIDTH, SLOW, "../../current_link_width", link_width), \
        TABLE(LINK_GEN_MAX, ONCE, "../../max_link_speed", link_gen),     \
        TABLE(LINK_WIDTH_MAX, ONCE, "../../max_link_width", link_width)

static const struct drm_row i915_rows[] = {
    NUMBER(VRAM_TOTAL, ONCE, IN_CARD, "lmem_total_bytes", 1),
    NUMBER(TEMPERATURE, FAST, IN_HWMON, "temp1_input", 1e-3),
    NUMBER(ENERGY, FAST, IN_HWMON, "energy1_input", 1e-6),
    NUMBER(POWER_CAP, SLOW, IN_HWMON, "power1_max", 1e-6),
    NUMBER(POWER_CAP_DEFAULT, ONCE, IN_HWMON, "power1_rated_max", 1e-6),
    NUMBER(CLOCK, FAST, IN_CARD, "gt_act_freq_mhz", 1),
    NUMBER(CLOCK, FAST, IN_CARD, "gt_cur_freq_mhz", 1),
    NUMBER(CLOCK_MAX, ONCE, IN_CARD, "gt_max_freq_mhz", 1),
    REASON(IN_CARD, "gt/gt0/throttle_reason_pl1", POWER),
    REASON(IN_CARD, "gt/gt0/throttle_reason_pl2", POWER),
    REASON(IN_CARD, "gt/gt0/throttle_reason_pl4", CURRENT),
    REASON(IN_CARD, "gt/gt0/throttle_reason_thermal", HEAT),
    REASON(IN_CARD, "gt/gt0/throttle_reason_prochot", PROCHOT),
    INTEL_LINK,
};

static const struct drm_row xe_rows[] = {
    NUMBER(VRAM_TOTAL, ONCE, IN_DEVICE, "tile0/physical_vram_size_bytes", 1),
    NUMBER(TEMPERATURE, FAST, IN_HWMON, "temp2_input", 1e-3),
    NUMBER(MEMORY_TEMPERATURE, FAST, IN_HWMON, "temp3_input", 1e-3),
    NUMBER(CRITICAL, ONCE, IN_HWMON, "temp2_crit", 1e-3),
    NUMBER(EMERGENCY, ONCE, IN_HWMON, "temp2_emergency", 1e-3),
    NUMBER(ENERGY, FAST, IN_HWMON, "energy1_input", 1e-6),
    NUMBER(ENERGY, FAST, IN_HWMON, "energy2_input", 1e-6),
    NUMBER(POWER_CAP, SLOW, IN_HWMON, "power1_max", 1e-6),
    NUMBER(POWER_CAP, SLOW, IN_HWMON, "power2_max", 1e-6),
    NUMBER(POWER_CAP_DEFAULT, ONCE, IN_HWMON, "power1_rated_max", 1e-6),
    NUMBER(POWER_CAP_DEFAULT, ONCE, IN_HWMON, "power2_rated_max", 1e-6),
    NUMBER(CLOCK, FAST, IN_DEVICE, "tile0/gt0/freq0/act_freq", 1),
    NUMBER(CLOCK, FAST, IN_DEVICE, "tile0/gt0/freq0/cur_freq", 1),
    NUMBER(CLOCK_MAX, ONCE, IN_DEVICE, "tile0/gt0/freq0/max_freq", 1),
    REASON(IN_DEVICE, "tile0/gt0/freq0/throttle/reason_pl1", POWER),
    REASON(IN_DEVICE, "tile0/gt0/freq0/throttle/reason_pl2", POWER),
    REASON(IN_DEVICE, "tile0/gt0/freq0/throttle/reason_pl4", CURRENT),
    REASON(IN_DEVICE, "tile0/gt0/freq0/throttle/reason_thermal", HEAT),
    REASON(IN_DEVICE, "tile0/gt0/freq0/throttle/reason_prochot", PROCHOT),
    INTEL_LINK,
};

#define COUNT(rows) ((uint32_t)(sizeof(rows) / sizeof((rows)[0])))
_Static_assert(COUNT(amdgpu_rows) <= DRM_ROWS_MAX && COUNT(xe_rows) <= DRM_ROWS_MAX,
               "drm.c holds one file a row");

const struct drm_row *drm_rows(enum drm_driver driver, uint32_t *n)
{
    switch (driver) {
    case DRM_I915: *n = COUNT(i915_rows); return i915_rows;
    case DRM_XE: *n = COUNT(xe_rows); return xe_rows;
    case DRM_AMDGPU: break;
    }
    *n = COUNT(amdgpu_rows);
    return amdgpu_rows;
}
