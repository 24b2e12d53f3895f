/* record: one line for every call into the file of DUALGPUOPT_SIM_RECORD, for tests that count. */
#ifndef SIM_DRIVER_RECORD_H
#define SIM_DRIVER_RECORD_H

#include <stdint.h>

/* "MONOTONIC_NS PID CALL GPU CODE DURATION_NS SIMULATED_NS\n"; gpu -1 where there is none. */
void record_call(const char *name, int gpu, int code, uint64_t begun_ns, int64_t simulated_ns);

#endif
