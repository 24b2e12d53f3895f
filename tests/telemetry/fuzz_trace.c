/* fuzz_trace: any bytes as a trace; what comes out must be within its bounds and printable. */
#include <stdlib.h>
#include <string.h>

#include "telemetry/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    size_t n = strnlen(text, size);
    if (n == size)
        abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace_reader r;
    enum trace_record record = TRACE_END;
    struct err err = {0};
    if (!trace_open(&r, data, size, &err))
        return 0;
    while (trace_next(&r, &record, &err) && record != TRACE_END) {
        if (record == TRACE_GPU) {
            check_text(r.info.name, sizeof(r.info.name));
            if (r.info.index >= TELEMETRY_MAX_GPUS)
                abort();
        } else if (record == TRACE_SAMPLE) {
            if (r.sample.gpu >= TELEMETRY_MAX_GPUS || r.sample.state >= GPU_STATE_COUNT ||
                r.sample.present >> METRIC_COUNT)
                abort();
        } else {
            if (r.processes.n > PROCESSES_MAX)
                abort();
            for (uint32_t i = 0; i < r.processes.n; i++)
                check_text(r.processes.process[i].name, PROCESS_NAME_MAX);
        }
    }
    return 0;
}
