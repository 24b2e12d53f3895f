/* rows: which file holds which value, per driver. */
#ifndef AMDGPU_ROWS_H
#define AMDGPU_ROWS_H

#include "amdgpu/drm.h"

/* Where a row's path begins: cardN, cardN/device, the driver's hwmon folder, or a temperature
 * sensor by its label. */
enum drm_place { IN_CARD, IN_DEVICE, IN_HWMON, AT_EDGE, AT_JUNCTION, AT_MEMORY };

struct drm_row {
    enum drm_value value;
    enum drm_pace pace;
    enum drm_place place;
    const char *path;
    bool (*parse)(const char *text, double *out);
    double scale; /* 0: the file says 0 or 1, and bit `bit` of the value is meant */
    unsigned bit;
};

/* Rows of the same value: the first that can be read counts. */
enum { DRM_ROWS_MAX = 48 };
const struct drm_row *drm_rows(enum drm_driver driver, uint32_t *n);

#endif
