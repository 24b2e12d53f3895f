/* record: appends lines whole, so that many processes may write one file. */
#include "sim/driver/record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static int record_fd = -1;

static void open_record(void)
{
    const char *path = getenv("DUALGPUOPT_SIM_RECORD");
    if (path && *path)
        record_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void record_call(const char *name, int gpu, int code, uint64_t begun_ns, int64_t simulated_ns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char line[256];
    pthread_once(&once, open_record);
    if (record_fd < 0)
        return;
    int n =
        snprintf(line, sizeof(line), "%" PRIu64 " %ld %s %d %d %" PRIu64 " %" PRId64 "\n", begun_ns,
                 (long)getpid(), name, gpu, code, clock_mono_ns() - begun_ns, simulated_ns);
    if (n > 0 && (size_t)n < sizeof(line) && write(record_fd, line, (size_t)n) != n)
        record_fd = -1; /* a full disk ends the record, not the client */
}
