/* top: the parts of the command `top`: its settings' file, signals to processes, the model,
 * sentences. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/gpus.h"
#include "tui/state.h"

enum { TOP_HISTORY_S = 600 };

/* $XDG_CONFIG_HOME/dualgpuopt/top.yaml, else below ~/.config; false where neither variable is set.
 */
bool top_settings_path(char *out, size_t size);

/* Defaults where there is no file; ERR_9006 or ERR_1202 leave the defaults too. */
bool top_settings_load(struct settings *out, struct err *err);
bool top_settings_save(const struct settings *s, const char *path, struct err *err);

/* A process that got a signal, until it is gone. fd -1: none. */
struct top_sent {
    int fd; /* a pidfd */
    int signal;
    uint64_t sent_ns;
    struct top_victim victim;
};

/* Send s->signal to s->victim, if that is still the process that was asked about; the message says
 * what came of it. */
void top_send(struct top_state *s, struct top_sent *sent, uint64_t now_ns);

/* Says when the process has ended, or after some seconds that it has not. True when there is news.
 */
bool top_sent_news(struct top_state *s, struct top_sent *sent, uint64_t now_ns, bool ended);

/* Everything new of the GPUs into m, and the names of users that came up. */
void top_gather(struct top_model *m, struct watch *w);

/* Ended by SIGINT, SIGTERM or SIGHUP: the number, else 0. */
int top_ended(void);
void top_catch_signals(void);

/* Sentences in place of a picture, until q or the end. */
bool top_linear(struct cli *c, struct watch *w, struct top_model *m);

#endif
