/* top_signal: one signal to the process that a person saw, never to another that has its number by
 * now. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/top.h"
#include "telemetry/process_info.h"

static const uint64_t patience_ns = 5000000000;

static bool same_process(const struct top_victim *v)
{
    struct process p = {0};
    if (!process_info_read(NULL, v->local_pid, &p))
        return false;
    int64_t apart = p.since_s - v->since_s;
    return strcmp(p.name, v->name) == 0 && (v->since_s == 0 || (apart >= -2 && apart <= 2));
}

static void say_failure(struct top_state *s, const struct top_victim *v, int error)
{
    if (error == EPERM)
        top_say(s, "%s %" PRIu32 " is %s's: no permission to signal it", v->name, v->local_pid,
                v->user);
    else if (error == ESRCH)
        top_say(s, "%s %" PRIu32 " is gone already", v->name, v->local_pid);
    else
        top_say(s, "%s %" PRIu32 ": %s", v->name, v->local_pid, strerror(error));
}

void top_send(struct top_state *s, struct top_sent *sent, uint64_t now_ns)
{
    const struct top_victim *v = &s->victim;
    if (s->readonly || v->local_pid <= 1 || v->local_pid == (uint32_t)getpid())
        return;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)v->local_pid, 0);
    if (fd < 0) {
        say_failure(s, v, errno);
        return;
    }
    /* the descriptor holds the process: what is looked at now is what gets the signal */
    if (!same_process(v)) {
        top_say(s, "%" PRIu32 " is another process by now: nothing was sent", v->local_pid);
    } else if (syscall(SYS_pidfd_send_signal, fd, s->signal, NULL, 0) != 0) {
        say_failure(s, v, errno);
    } else {
        top_say(s, "%s sent to %s %" PRIu32, top_signal_name(s->signal), v->name, v->local_pid);
        if (sent->fd >= 0)
            close(sent->fd);
        *sent = (struct top_sent){.fd = fd, .signal = s->signal, .sent_ns = now_ns, .victim = *v};
        return;
    }
    close(fd);
}

bool top_sent_news(struct top_state *s, struct top_sent *sent, uint64_t now_ns, bool ended)
{
    uint64_t ago = now_ns - sent->sent_ns;
    if (sent->fd < 0 || (!ended && ago < patience_ns))
        return false;
    const struct top_victim *v = &sent->victim;
    bool meant_to_end = sent->signal == SIGTERM || sent->signal == SIGINT ||
                        sent->signal == SIGHUP || sent->signal == SIGKILL;
    if (ended)
        top_say(s, "%s %" PRIu32 " ended %.1f s after %s", v->name, v->local_pid,
                (double)ago / (double)CLOCK_NS_PER_S, top_signal_name(sent->signal));
    else if (meant_to_end)
        top_say(s, "%s %" PRIu32 " still runs %.0f s after %s; F9 k: SIGKILL", v->name,
                v->local_pid, (double)ago / (double)CLOCK_NS_PER_S, top_signal_name(sent->signal));
    close(sent->fd);
    sent->fd = -1;
    return ended || meant_to_end;
}
