/* interrupt: a flag that the signals set. */
#include "cli/interrupt.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t seen;

static void note(int signal_number)
{
    (void)signal_number;
    seen = 1;
}

void interrupt_watch(void)
{
    struct sigaction act = {.sa_handler = note}; /* no SA_RESTART: sleeping calls return */
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
}

bool interrupt_seen(void)
{
    return seen;
}

bool interrupt_sleep(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (!seen)
        nanosleep(&t, NULL);
    return !seen;
}
