/* fuzz_settings: any bytes as saved settings; what was taken can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tui/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_str) struct str text = {0};
    struct settings a, b;
    struct err err = {0};
    if (!settings_parse("top.yaml", (const char *)data, size, &a, &err)) {
        if (err.code == ERR_NONE)
            abort();
        return 0;
    }
    settings_write(&a, &text);
    if (!settings_parse("again", text.data, text.len, &b, &err) ||
        memcmp(a.value, b.value, sizeof(a.value)) != 0)
        abort();
    return 0;
}
