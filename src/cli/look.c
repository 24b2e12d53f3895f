/* look: decides how text is drawn: colour, blocks, width, from options, environment and terminal.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

enum { WIDTH_MAX = 80, WIDTH_LEAST = 40 };

static const char *variable(const char *name)
{
    const char *v = getenv(name);
    return v ? v : "";
}

static bool want_color(const struct words *w, int fd)
{
    const char *when = w->value[OPTION_COLOR];
    const char *force = variable("CLICOLOR_FORCE");
    if (w->value[OPTION_NO_COLOR] || (when && strcmp(when, "never") == 0))
        return false;
    if (when && strcmp(when, "always") == 0)
        return true;
    if (*variable("NO_COLOR"))
        return false;
    if (*force && strcmp(force, "0") != 0)
        return true;
    return isatty(fd) && strcmp(variable("TERM"), "dumb") != 0;
}

static int columns(int fd)
{
    struct winsize size;
    int64_t n;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        if (!str_parse_i64(variable("COLUMNS"), WIDTH_LEAST, 1000, false, &n))
            return WIDTH_MAX;
        return n < WIDTH_MAX ? (int)n : WIDTH_MAX;
    }
    if (size.ws_col >= WIDTH_MAX)
        return WIDTH_MAX;
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

static bool utf8_locale(void)
{
    setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

struct look look_make(const struct words *w, int fd)
{
    bool utf8 = utf8_locale();
    const char *form = w->value[OPTION_OUTPUT];
    struct look l = {
        .color = want_color(w, fd),
        .ascii = w->value[OPTION_ASCII] || !utf8,
        .plain = w->value[OPTION_PLAIN] != NULL,
        .quiet = w->value[OPTION_QUIET] != NULL,
        .json = w->value[OPTION_JSON] || (form && strcmp(form, "json") == 0),
        .accessible = w->value[OPTION_ACCESSIBLE] || strcmp(variable("ACCESSIBLE"), "1") == 0 ||
                      strcmp(variable("DUALGPUOPT_ACCESSIBLE"), "1") == 0,
        .width = columns(fd),
    };
    l.blocks = l.color && !l.ascii;
    return l;
}
