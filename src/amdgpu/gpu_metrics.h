/* gpu_metrics: the binary table of amdgpu's firmware, in the layouts of the kernel's
 * kgd_pp_interface.h. */
#ifndef AMDGPU_GPU_METRICS_H
#define AMDGPU_GPU_METRICS_H

#include <stddef.h>

#include "amdgpu/reading.h"

enum { GPU_METRICS_MAX = 4096 };

/* Adds to *out what the table tells and *out does not know yet; fields of all ones are unknown.
 * Integrated GPUs use format revisions 2 and 3: *integrated. False, and nothing written, for
 * revisions that are not known, and where the size is not the one of the revision. */
bool gpu_metrics_parse(const uint8_t *data, size_t len, struct drm_reading *out, bool *integrated);

#endif
