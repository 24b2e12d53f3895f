/* fuzz_describe: any bytes as a YAML of hyper-parameters. */
#include <stdlib.h>

#include "base/own.h"
#include "model/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    if (!describe_parse("input.yaml", (const char *)data, size, NULL, &arena, &m, &err) &&
        err.code == ERR_NONE)
        abort();
    return 0;
}
