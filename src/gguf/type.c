/* type: the table of tensor types behind type.h, and look-ups in it by id and by name. */
#include "gguf/type.h"

#include <stddef.h>
#include <strings.h>

static const struct gguf_type_info types[GGUF_TYPE_LIMIT] = {
#define X(id, NAME, type_name, elements, bytes, quant) \
    [id] = {.name = type_name, .block = elements, .block_bytes = bytes, .quantised = quant},
    GGUF_TYPES(X)
#undef X
};

const struct gguf_type_info *gguf_type_info(uint32_t type)
{
    if (type >= GGUF_TYPE_LIMIT || !types[type].name)
        return NULL;
    return &types[type];
}

bool gguf_type_by_name(const char *name, uint32_t *out)
{
    for (uint32_t id = 0; id < GGUF_TYPE_LIMIT; id++) {
        if (types[id].name && strcasecmp(types[id].name, name) == 0) {
            *out = id;
            return true;
        }
    }
    return false;
}
