/* fuzz_hub: any bytes as a config.json; what is accepted must make a layout or say why not. */
#include <stdlib.h>

#include "base/own.h"
#include "model/hub_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_arena) struct arena arena = {0};
    struct hub_config c;
    struct hub_model h;
    struct model m;
    struct err err = {0};
    if (!hub_read_config("config.json", (const char *)data, size, &c, &err)) {
        if (err.code == ERR_NONE)
            abort();
        return 0;
    }
    if (c.n_layers == 0 || c.heads == 0 || c.kv_heads == 0 || c.heads % c.kv_heads ||
        c.experts_used > c.experts)
        abort();
    if ((uint64_t)c.n_layers * (c.experts + 1) > 4096)
        return 0; /* right, but slow */
    if (hub_layout_make("config.json", &c, NULL, &arena, &h, &err))
        hub_to_model(&h, &arena, &m, &err);
    else if (err.code == ERR_NONE)
        abort();
    return 0;
}
