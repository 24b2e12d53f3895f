/* prompt: keys while a line is typed, an order or a signal chosen, a question open. */
#include "tui/state.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

const struct top_signal top_signals[] = {
    {'t', SIGTERM, "SIGTERM"},
    {'i', SIGINT,  "SIGINT" },
    {'h', SIGHUP,  "SIGHUP" },
    {'k', SIGKILL, "SIGKILL"},
    {'s', SIGSTOP, "SIGSTOP"},
    {'c', SIGCONT, "SIGCONT"},
    {'u', SIGUSR1, "SIGUSR1"},
};

const char *top_signal_name(int number)
{
    for (int i = 0; i < TOP_SIGNALS; i++)
        if (top_signals[i].number == number)
            return top_signals[i].name;
    return "signal";
}

void prompt_open(struct top_state *s, enum prompt p, const char *input)
{
    s->prompt = p;
    snprintf(s->input, sizeof(s->input), "%s", input);
}

/* Remembers the chosen process and asks; signal 0: which one is asked first. */
void prompt_victim(struct top_state *s, const struct top_model *m, int signal)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    int at = top_chosen(s, m, &rows);
    if (s->readonly) {
        top_say(s, "--readonly: signals are switched off");
        return;
    }
    if (at < 0) {
        top_say(s, "no process is chosen");
        return;
    }
    const struct process *p = row_process(m, rows.row[at]);
    if (p->local_pid <= 1) {
        top_say(s,
                "%s (host:%" PRIu32
                ") is not visible from this PID namespace: no signal can be sent",
                p->name, p->pid);
        return;
    }
    struct top_victim *v = &s->victim;
    *v = (struct top_victim){.pid = p->pid,
                             .local_pid = p->local_pid,
                             .gpu = rows.row[at].gpu,
                             .since_s = p->since_s,
                             .memory_bytes = p->memory_bytes};
    memcpy(v->name, p->name, sizeof(v->name));
    top_user_text(m, p->uid, v->user, sizeof(v->user));
    s->signal = signal;
    s->prompt = signal ? PROMPT_CONFIRM : PROMPT_SIGNAL;
}

bool find_next(struct top_state *s, const struct top_model *m)
{
    struct rows rows;
    rows_list(m, &s->settings, &rows);
    int from = top_chosen(s, m, &rows);
    for (uint32_t i = 1; i <= rows.n; i++) {
        uint32_t at = ((uint32_t)(from < 0 ? 0 : from) + i) % rows.n;
        const struct process *p = row_process(m, rows.row[at]);
        if (!filter_finds(m, p, s->find, strlen(s->find)))
            continue;
        s->pid = p->pid;
        s->pid_gpu = rows.row[at].gpu;
        s->row = (int)at;
        return true;
    }
    top_say(s, "no process with \"%s\"", s->find);
    return false;
}

static void finish_filter(struct top_state *s)
{
    struct err err = {0};
    struct filter f;
    if (!filter_parse(s->input, &f, &err)) {
        top_say(s, "%s", err.title); /* the prompt stays, to mend it */
        return;
    }
    s->settings.filter = f;
    s->unsaved = true;
    s->prompt = PROMPT_NONE;
}

static void finish_marker(struct top_state *s, const struct top_model *m)
{
    struct top_chart *c = &s->chart;
    s->prompt = PROMPT_NONE;
    if (c->n_markers == TOP_MARKERS_MAX) {
        top_say(s, "there are %d markers already; M takes the last one away", TOP_MARKERS_MAX);
        return;
    }
    struct top_marker *k = &c->marker[c->n_markers++];
    k->mono_ns = c->cursor ? c->cursor_ns : m->now_ns;
    snprintf(k->label, sizeof(k->label), "%.*s", TOP_LABEL_MAX - 1, s->input);
}

static void finish_line(struct top_state *s, const struct top_model *m)
{
    switch (s->prompt) {
    case PROMPT_FILTER: finish_filter(s); break;
    case PROMPT_MARKER: finish_marker(s, m); break;
    default:
        s->prompt = PROMPT_NONE;
        memcpy(s->find, s->input, sizeof(s->find));
        if (s->find[0])
            find_next(s, m);
    }
}

static void type(struct top_state *s, uint32_t key)
{
    size_t len = strlen(s->input),
           most = s->prompt == PROMPT_MARKER ? TOP_LABEL_MAX - 1 : sizeof(s->input) - 1;
    if (key == TOP_KEY_BACKSPACE || key == 8)
        s->input[len ? len - 1 : 0] = 0;
    else if (key == 21) /* Ctrl-U, as in every shell */
        s->input[0] = 0;
    else if (key >= ' ' && key < 127 && len < most) {
        s->input[len] = (char)key;
        s->input[len + 1] = 0;
    }
}

static void choose_order(struct top_state *s, uint32_t key)
{
    char word[SETTING_WORD_MAX];
    s->prompt = PROMPT_NONE;
    for (int i = 0; i < setting_words(SETTING_SORT); i++) {
        setting_word(SETTING_SORT, i, word);
        /* "sm" and "since" begin alike: t, for time, is the latter's */
        char letter = strcmp(word, "since") == 0 ? 't' : word[0];
        if (key != (uint32_t)letter)
            continue;
        s->settings.value[SETTING_SORT] = i;
        s->unsaved = true;
    }
}

static void choose_signal(struct top_state *s, uint32_t key)
{
    s->prompt = PROMPT_NONE;
    for (int i = 0; i < TOP_SIGNALS; i++) {
        if (key == (uint32_t)top_signals[i].key) {
            s->signal = top_signals[i].number;
            s->prompt = PROMPT_CONFIRM;
        }
    }
    if (s->prompt == PROMPT_NONE)
        top_say(s, "nothing was sent");
}

enum effect prompt_key(struct top_state *s, const struct top_model *m, uint32_t key)
{
    if (key == TOP_KEY_ESC) {
        bool asked = s->prompt == PROMPT_CONFIRM || s->prompt == PROMPT_SIGNAL;
        s->prompt = PROMPT_NONE;
        if (asked)
            top_say(s, "nothing was sent");
        return EFFECT_NONE;
    }
    switch (s->prompt) {
    case PROMPT_SORT: choose_order(s, key); return EFFECT_NONE;
    case PROMPT_SIGNAL: choose_signal(s, key); return EFFECT_NONE;
    case PROMPT_CONFIRM:
        s->prompt = PROMPT_NONE;
        if (key == 'y' || key == 'Y')
            return EFFECT_SIGNAL;
        top_say(s, "nothing was sent");
        return EFFECT_NONE;
    default:
        if (key == '\n')
            finish_line(s, m);
        else
            type(s, key);
        return EFFECT_NONE;
    }
}
