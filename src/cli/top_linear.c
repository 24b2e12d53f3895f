/* top_linear: top in sentences: a line per change, the whole state on Enter. */
#include <errno.h>
#include <poll.h>
#include <termios.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/top.h"
#include "tui/linear.h"

enum { TICK_MS = 1000 };

/* Keys one by one and without echo, where stdin is a terminal; the old ways come back at the end.
 */
static bool take_keys(struct termios *old)
{
    struct termios now;
    if (tcgetattr(STDIN_FILENO, old) != 0)
        return false;
    now = *old;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

/* False when it is time to go. A closed stdin is no wish to go: the log goes on. */
static bool read_keys(struct cli *c, const struct top_model *m, bool *open)
{
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n < 0)
        return errno == EINTR;
    *open = n > 0;
    for (ssize_t i = 0; i < n; i++) {
        if (keys[i] == 'q' || keys[i] == 'Q')
            return false;
        if (keys[i] == '\n' || keys[i] == '\r')
            linear_status(m, &c->out);
    }
    return cli_flush(c);
}

bool top_linear(struct cli *c, struct watch *w, struct top_model *m)
{
    static struct linear last;
    struct termios old;
    bool keys = isatty(STDIN_FILENO) && take_keys(&old), open = true;
    if (!c->look.quiet)
        str_add(&c->out, keys ? "Enter: the whole state. q: quit.\n" : "");
    while (!top_ended()) {
        top_gather(m, w);
        linear_changes(&last, m, &c->out);
        if (c->out.len && !cli_flush(c))
            break;
        struct pollfd in = {.fd = open ? STDIN_FILENO : -1, .events = POLLIN};
        uint64_t until = clock_mono_ns() + (uint64_t)TICK_MS * 1000000;
        for (uint64_t now = clock_mono_ns(); now < until && !top_ended(); now = clock_mono_ns()) {
            in.fd = open ? STDIN_FILENO : -1;
            if (poll(&in, 1, (int)((until - now + 999999) / 1000000)) > 0 &&
                !read_keys(c, m, &open))
                goto end;
        }
    }
end:
    if (keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return true;
}
