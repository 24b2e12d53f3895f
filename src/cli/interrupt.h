/* interrupt: commands that go on until somebody stops them. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT, SIGTERM and SIGHUP end waiting, not the process. */
void interrupt_watch(void);
bool interrupt_seen(void);

/* Sleep so long, or until interrupted; false when interrupted. */
bool interrupt_sleep(double seconds);

#endif
