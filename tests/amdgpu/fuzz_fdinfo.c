/* fuzz_fdinfo: any bytes as an fdinfo file; what is accepted keeps its bounds. */
#include <stdlib.h>
#include <string.h>

#include "amdgpu/fdinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fdinfo f;
    if (!fdinfo_parse((const char *)data, size, &f))
        return 0;
    if (!f.driver[0] || !f.pdev[0] || f.n_engines > FDINFO_ENGINES_MAX ||
        f.n_regions > FDINFO_REGIONS_MAX)
        abort();
    for (uint32_t i = 0; i < f.n_engines; i++)
        if (!f.engine[i].capacity || !f.engine[i].name[0] ||
            strlen(f.engine[i].name) >= FDINFO_NAME_MAX)
            abort();
    for (uint32_t i = 0; i < f.n_regions; i++)
        if (!f.region[i].rank || !f.region[i].name[0])
            abort();
    return 0;
}
