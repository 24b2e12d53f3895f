/* log: makes a line and writes it whole. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

static atomic_int level_now = LOG_LEVEL_WARN;
static atomic_int fd_now = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, (int)level);
}

void log_set_fd(int fd)
{
    atomic_store(&fd_now, fd);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char raw[LOG_LINE_MAX], line[LOG_LINE_MAX], when[CLOCK_TEXT_MAX];
    int saved = errno;
    if (!log_wants(level))
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    if (n < 0)
        raw[0] = '\0';
    n = snprintf(line, sizeof(line), "%s %s: ", clock_rfc3339(clock_wall_ns(), when), names[level]);
    str_printable(raw, strlen(raw), line + n, sizeof(line) - (size_t)n - 1);
    size_t len = strlen(line);
    line[len++] = '\n';
    while (write(atomic_load(&fd_now), line, len) < 0 && errno == EINTR)
        ;
    errno = saved;
}
