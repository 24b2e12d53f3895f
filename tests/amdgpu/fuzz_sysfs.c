/* fuzz_sysfs: any text in any of the forms of /sys. */
#include <stdlib.h>
#include <string.h>

#include "amdgpu/sysfs.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static bool (*const forms[])(const char *, double *) = {
        sysfs_active_mhz,  sysfs_highest_mhz,   sysfs_active_gen, sysfs_active_width,
        sysfs_highest_gen, sysfs_highest_width, sysfs_link_gen,   sysfs_link_width,
    };
    char text[SYSFS_TEXT_MAX];
    double value;
    size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, len);
    text[len] = 0;
    sysfs_number(text, &value);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (forms[i](text, &value) && !(value > 0 && value <= 100000))
            abort();
    return 0;
}
