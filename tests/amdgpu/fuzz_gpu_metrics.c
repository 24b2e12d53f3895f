/* fuzz_gpu_metrics: any bytes as a gpu_metrics file; values that come out are ones a card can have.
 */
#include <stdlib.h>

#include "amdgpu/gpu_metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double most[DRM_VALUE_COUNT] = {
        [DRM_BUSY] = 100,        [DRM_MEMORY_BUSY] = 100,
        [DRM_TEMPERATURE] = 200, [DRM_MEMORY_TEMPERATURE] = 200,
        [DRM_POWER] = 5000,      [DRM_ENERGY] = 1e15,
        [DRM_CLOCK] = 20000,     [DRM_MEMORY_CLOCK] = 20000,
        [DRM_LINK_GEN] = 7,      [DRM_LINK_WIDTH] = 32,
        [DRM_THROTTLE] = 15,
    };
    struct drm_reading r = {0};
    bool integrated;
    if (!gpu_metrics_parse(data, size, &r, &integrated)) {
        if (r.known)
            abort();
        return 0;
    }
    for (int v = 0; v < DRM_VALUE_COUNT; v++)
        if (drm_has(&r, (enum drm_value)v) && !(r.value[v] >= 0 && r.value[v] <= most[v]))
            abort();
    return 0;
}
