/* log: lines about what the program does, for whoever looks for a fault; for upper floors. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_LINE_MAX 4096 /* bytes of a line, its end included; longer ones are cut */

/* Both may be called at any time from any thread. At the start: LOG_LEVEL_WARN to descriptor 2. The
 * descriptor stays the caller's. */
void log_set_level(enum log_level level);
void log_set_fd(int fd);
bool log_wants(enum log_level level);

/* One line, "TIME LEVEL: text", written by one write(2), so that lines of threads and processes do
 * not mix. Control bytes are escaped. A line that cannot be written is lost. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Arguments are evaluated only when the line will be written. */
#define log_at(level, ...) (log_wants(level) ? log_line((level), __VA_ARGS__) : (void)0)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)      log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
