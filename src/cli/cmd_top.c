/* cmd_top: the terminal screen: the watch's threads sample, this one draws and waits for keys. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/top.h"
#include "tui/draw.h"
#include "tui/terminal.h"

/* Drawing is for eyes: no faster than this; and health changes without samples too, so no slower
 * than that. */
static const double draw_least_s = 0.1, draw_most_s = 1;
static const uint64_t draw_after_ns =
    150000000; /* behind the samplers' tick, so that a picture is of this second */

struct top {
    struct cli *cli;
    struct watch *watch;
    struct terminal *terminal;
    struct screen screen;
    struct top_state state;
    struct top_sent sent;
    uint64_t period_ns, next_ns;
};

static struct top_model model;
static volatile sig_atomic_t ended;

static void on_end(int number)
{
    ended = number;
}

int top_ended(void)
{
    return ended;
}

void top_catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_end};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
}

static bool resize(struct top *t)
{
    int w, h;
    terminal_size(t->terminal, &w, &h);
    screen_finish(&t->screen);
    return screen_init(&t->screen, w, h);
}

static void look(struct top *t)
{
    const int *value = t->state.settings.value;
    const struct cli *c = t->cli;
    enum terminal_colors colors = (enum terminal_colors)value[SETTING_COLORS];
    if (!c->look.color && colors == TERMINAL_AUTO)
        colors = TERMINAL_MONO;
    terminal_look(t->terminal, colors, value[SETTING_THEME] == 1, value[SETTING_MOUSE] == 0);
    t->state.mono = terminal_mono(t->terminal);
    t->state.symbols =
        value[SETTING_SYMBOLS] ? (enum symbols)(value[SETTING_SYMBOLS] - 1) : SYMBOLS_BRAILLE;
    if (c->look.ascii) /* asked for, or the locale has nothing else */
        t->state.symbols = SYMBOLS_ASCII;
}

static void save(struct top *t)
{
    char path[1024];
    struct err err = {0};
    if (!top_settings_path(path, sizeof(path)))
        top_say(&t->state, "not saved: neither XDG_CONFIG_HOME nor HOME is set");
    else if (!top_settings_save(&t->state.settings, path, &err))
        top_say(&t->state, "not saved: %s", err.title);
    else {
        t->state.unsaved = false;
        top_say(&t->state, "saved: %s", path);
    }
}

/* The history was made for the rate of the start: a faster one waits for the next. */
static void change_rate(struct top *t)
{
    double hz = top_rate(&t->state.settings);
    if (hz > model.hz)
        top_say(&t->state, "%g samples per second: saved with F12, from the next start on", hz);
    else if (hz > 0)
        watch_set_rate(t->watch, hz);
}

/* False when it is time to go. */
static bool do_effect(struct top *t, enum effect e)
{
    char text[256];
    switch (e) {
    case EFFECT_QUIT: return false;
    case EFFECT_SAVE: save(t); break;
    case EFFECT_SIGNAL: top_send(&t->state, &t->sent, clock_mono_ns()); break;
    case EFFECT_REDRAW: terminal_redraw(t->terminal); break;
    case EFFECT_LOOK: look(t); break;
    case EFFECT_RATE: change_rate(t); break;
    case EFFECT_COPY:
        terminal_copy(t->terminal, top_copy_text(&t->state, &model, text, sizeof(text)));
        top_say(&t->state, "copied: %s", text);
        break;
    case EFFECT_NONE: break;
    }
    return true;
}

/* Everything that was typed. *any: there was something. False when it is time to go. */
static bool read_keys(struct top *t, bool *any)
{
    for (;;) {
        struct terminal_input in = terminal_read(t->terminal);
        if (in.kind == INPUT_NONE)
            return true;
        *any = true;
        if (in.kind == INPUT_RESIZE && !resize(t))
            return false;
        uint32_t key = in.kind == INPUT_CLICK ? screen_hit(&t->screen, in.x, in.y) : in.key;
        if (in.kind != INPUT_RESIZE && key && !do_effect(t, top_key(&t->state, &model, key)))
            return false;
    }
}

static bool draw(struct top *t)
{
    tui_draw(&model, &t->state, &t->screen);
    return terminal_show(t->terminal, &t->screen);
}

/* A tick of the picture; true when it may have changed. */
static bool tick(struct top *t, uint64_t now)
{
    if (now < t->next_ns)
        return false;
    t->next_ns += t->period_ns;
    if (t->next_ns <= now)
        t->next_ns = now + t->period_ns;
    if (t->state.paused)
        return false;
    top_gather(&model, t->watch);
    return true;
}

static bool loop(struct top *t, struct err *err)
{
    t->next_ns = clock_mono_ns() + draw_after_ns;
    top_gather(&model, t->watch);
    bool changed = true;
    while (!ended) {
        if (changed && !draw(t))
            return err_set(err, ERR_1201, "no memory for a screen of %d x %d", t->screen.w,
                           t->screen.h);
        changed = false;
        uint64_t now = clock_mono_ns();
        int wait = t->next_ns > now ? (int)((t->next_ns - now + 999999) / 1000000) : 0;
        struct pollfd in[2] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = t->sent.fd,   .events = POLLIN}
        };
        int n = poll(in, 2, wait);
        if (n > 0 && in[0].revents & (POLLHUP | POLLERR | POLLNVAL))
            return true; /* the terminal is gone */
        if (n != 0 && !read_keys(t, &changed))
            return true;
        now = clock_mono_ns();
        changed |= top_sent_news(&t->state, &t->sent, now, n > 0 && in[1].revents & POLLIN);
        changed |= tick(t, now);
    }
    return true;
}

/* What the command line says over what was saved. */
static bool choose(struct cli *c, struct settings *s, struct err *err)
{
    const char *symbols = c->words.value[OPTION_SYMBOLS], *filter = c->words.value[OPTION_FILTER];
    if (symbols && !setting_find(SETTING_SYMBOLS, symbols, &s->value[SETTING_SYMBOLS])) {
        err_set(err, ERR_9002, "--symbols cannot be \"%s\"", symbols);
        return err_fix(err, NULL, "one of: %s", setting_info[SETTING_SYMBOLS].words);
    }
    if (!filter || filter_parse(filter, &s->filter, err))
        return true;
    return err_fix(err, "dualgpuopt top --filter 'temp>80 & util<5'",
                   "terms of FIELD, <, > or =, VALUE; or words");
}

static bool start(struct cli *c, const struct settings *s, struct watch **out, struct err *err)
{
    double interval, chosen = top_rate(s);
    if (!cli_interval(c, &interval, err))
        return false;
    if (chosen > 0 && !given(c, OPTION_INTERVAL))
        interval = 1 / chosen;
    model.hz = 1 / interval;
    model.history_s = TOP_HISTORY_S;
    model.started_ns = clock_mono_ns();
    if (gethostname(model.host, sizeof(model.host) - 1) != 0)
        model.host[0] = 0;
    return cli_watch_start(c, interval, TOP_HISTORY_S, true, NULL, out, err);
}

static bool picture(struct cli *c, struct watch *w, const struct settings *s,
                    const struct err *trouble, struct err *err)
{
    double interval = 1 / model.hz;
    struct top t = {.cli = c, .watch = w, .sent = {.fd = -1}};
    interval = interval < draw_least_s  ? draw_least_s
               : interval > draw_most_s ? draw_most_s
                                        : interval;
    t.period_ns = (uint64_t)(interval * (double)CLOCK_NS_PER_S);
    top_state_init(&t.state, s);
    /* pids of another /proc are not ours to signal */
    t.state.readonly = given(c, OPTION_READONLY) || given(c, OPTION_PROC_ROOT);
    if (trouble->code)
        top_say(&t.state, "%s", trouble->title);
    if (!terminal_open(&t.terminal, err))
        return false;
    look(&t);
    bool ok = resize(&t) ? loop(&t, err) : err_set(err, ERR_1201, "no memory for the screen");
    terminal_close(t.terminal);
    screen_finish(&t.screen);
    if (t.sent.fd >= 0)
        close(t.sent.fd);
    if (t.state.unsaved)
        str_add(&c->notes, "settings were changed and not saved (F12 or W saves them)\n");
    return ok;
}

bool cmd_top(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    struct settings settings;
    struct err trouble = {0};
    const char *term = getenv("TERM");
    bool linear = c->look.accessible || !term || strcmp(term, "dumb") == 0;
    if (!linear && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
        err_set(err, ERR_9003, "top draws on a terminal, and stdin or stdout is none");
        err_fix(err, "dualgpuopt top --accessible",
                "lines about what changes, for a pipe or a file");
        return err_fix(err, "dualgpuopt status", "the state once");
    }
    if (!top_settings_load(&settings, &trouble))
        message_error(&trouble, c->look.width, &c->notes);
    if (!choose(c, &settings, err) || !start(c, &settings, &w, err))
        return false;
    top_catch_signals();
    if (linear)
        watch_settle(w);
    bool ok = linear ? top_linear(c, w, &model) : picture(c, w, &settings, &trouble, err);
    if (ok && ended == SIGINT)
        c->exit_code = 130;
    return ok;
}
