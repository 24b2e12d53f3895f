/* reduce: a copy of the driver's library without some of its symbols, as old drivers lack them. */
#ifndef SIM_REDUCE_H
#define SIM_REDUCE_H

#include "base/err.h"

/* Writes `to` (replaced whole) from the ELF library `from`; names[n] are no longer found by dlsym
 * or the linker. ERR_1502 with the name that was not there. */
bool reduce_library(const char *from, const char *to, const char *const *names, size_t n,
                    struct err *err);

#endif
