/* process: pidfds: to signal, and to wait for the end of what is not our child. */
#include "process/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { GENERATIONS_MOST = 64, STAT_MAX = 1024 };

int process_hold(uint32_t pid, struct err *err)
{
    int fd = pid && pid <= INT32_MAX ? pidfd_open((pid_t)pid, 0) : -1;
    if (fd >= 0)
        return fd;
    err_set(err, ERR_1110, "process %u cannot be reached: %s", pid, strerror(errno));
    if (errno == ESRCH)
        err_fix(err, "dualgpuopt status", "it has ended: see what is free now");
    return -1;
}

/* 0 when it cannot be read. The name in field 2 may hold blanks and parentheses. */
static uint32_t parent_of(uint32_t pid)
{
    char path[32], stat[STAT_MAX];
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    const char *end = file_read_text(path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;
    return end && strlen(end) > 4 ? (uint32_t)strtoul(end + 4, NULL, 10) : 0;
}

bool process_is_above_us(uint32_t pid)
{
    uint32_t p = (uint32_t)getpid();
    for (int i = 0; i < GENERATIONS_MOST && p; i++) {
        if (p == pid)
            return true;
        p = parent_of(p);
    }
    return pid <= 1;
}

bool process_end(int held, int timeout_ms, struct err *err)
{
    if (pidfd_send_signal(held, SIGTERM, NULL, 0) != 0 && errno != ESRCH) {
        if (errno == EPERM)
            return err_set(err, ERR_1109, "the process belongs to somebody else");
        return err_set(err, ERR_1110, "the process cannot be signalled: %s", strerror(errno));
    }
    struct pollfd p = {.fd = held, .events = POLLIN};
    uint64_t until_ns = clock_mono_ns() + (uint64_t)timeout_ms * 1000000, now_ns;
    while ((now_ns = clock_mono_ns()) < until_ns) {
        int n = poll(&p, 1, (int)((until_ns - now_ns) / 1000000) + 1);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            break;
    }
    return err_set(err, ERR_1110, "the process did not end within %d s of being asked to",
                   timeout_ms / 1000);
}
