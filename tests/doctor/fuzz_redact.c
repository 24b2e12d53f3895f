/* fuzz_redact: whatever a text holds, the names are gone from it, and a second pass finds them gone
 * too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "doctor/redact.h"

static const struct redact_names names = {
    .n_users = 1, .user = {"zoe"}, .host = "quux", .home = "/x/zoe"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(own_str) struct str once = {0};
    redact_add(&once, (const char *)data, size, &names);
    if (once.data && once.len &&
        (memmem(once.data, once.len, " zoe ", 5) || memmem(once.data, once.len, "/home/zoe", 9)))
        abort();
    return 0;
}
