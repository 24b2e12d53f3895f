/* stubs: every name of the table, weak: "Not Supported" unless another file defines it. */
#include "sim/driver/call.h"

static int answer(const char *name)
{
    struct call c = call_begin(name);
    return call_end(&c, c.code ? c.code : NV_NOT_SUPPORTED);
}

#define X(name)                               \
    API __attribute__((weak)) int name(void); \
    int name(void)                            \
    {                                         \
        return answer(#name);                 \
    }
#include "sim/names.def"
#undef X
