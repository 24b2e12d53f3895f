/* fuzz_kernel_log: any bytes as a kernel's log. */
#include <stdint.h>
#include <stdlib.h>

#include "base/own.h"
#include "doctor/kernel_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_str) struct str lines = {0};
    struct xid_seen seen = {0};
    kernel_log_xids((const char *)data, size, "0000:01:00.0", &seen);
    kernel_log_lines((const char *)data, size, 8, &lines);
    if (seen.count && (!seen.worst || seen.worst >= 1000))
        abort();
    return 0;
}
