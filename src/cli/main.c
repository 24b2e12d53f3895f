/* main: words in, one command run, its text written at the end, an exit code of the contract out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/error_json.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/own.h"
#include "cli/cli.h"
#include "cli/help.h"

/* --json=help: the keys of a whole document, one per line. */
static void list_keys(struct cli *c)
{
    own(own_str) struct str keys = {0};
    for (const char *p = c->out.data; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, "  \"", 3) == 0)
            str_addf(&keys, "%.*s\n", (int)strcspn(p + 3, "\""), p + 3);
    str_finish(&c->out);
    str_add(&c->out, keys.data ? keys.data : "");
}

static bool check_look(const struct cli *c, struct err *err)
{
    const char *when = c->words.value[OPTION_COLOR];
    if (when && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 &&
        strcmp(when, "never") != 0) {
        err_set(err, ERR_9002, "--color cannot be \"%s\"", when);
        return err_fix(err, NULL, "auto, always or never");
    }
    if (c->look.json && c->look.plain) {
        err_set(err, ERR_2113, "--json and --plain are two forms of the same answer");
        return err_fix(err, NULL, "give one of them");
    }
    if (c->look.quiet && given(c, OPTION_VERBOSE)) {
        err_set(err, ERR_2113, "-q and -v contradict each other");
        return err_fix(err, NULL, "give one of them");
    }
    return true;
}

static bool run(struct cli *c, int argc, char **argv, struct err *err)
{
    bool ok = words_parse(argc, argv, &c->words, err);
    c->look = look_make(&c->words, STDOUT_FILENO);
    if (c->words.value[OPTION_HELP]) {
        if (c->words.command)
            return help_command(c->words.command, &c->out);
        help_overview(&c->out);
        return true;
    }
    if (!ok || !check_look(c, err))
        return false;
    if (given(c, OPTION_VERBOSE))
        log_set_level(LOG_LEVEL_INFO);
    if (!cli_simulate(c, err) || !c->words.command->run(c, err))
        return false;
    const char *fields = c->words.value[OPTION_JSON];
    if (fields && strcmp(fields, "help") == 0)
        list_keys(c);
    return !c->out.failed || err_set(err, ERR_1201, "no memory for the answer");
}

/* False when the reader will take no more; a closed pipe is no fault of ours. */
static bool write_all(int fd, const struct str *s, bool *broken)
{
    for (size_t done = 0; done < s->len;) {
        ssize_t n = write(fd, s->data + done, s->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            *broken = errno == EPIPE;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* Rooms below know what is wrong, not always what to type next: every error gets a way out. */
static void add_way_out(const struct cli *c, struct err *err)
{
    own(own_str) struct str command = {0};
    const struct command *cmd = c->words.bare ? NULL : c->words.command;
    if (err->n_fix)
        return;
    if (err->code == ERR_2001)
        err_fix(err, "dualgpuopt model ls", "see the models that are known here");
    else if (err->code == ERR_2007)
        err_fix(err, NULL, "mend the file at that place");
    else if (err->code == ERR_2008)
        err_fix(err, NULL, "name a file; what comes out of a pipe must be written to one first");
    else if (err_kind(err->code) == ERR_KIND_USAGE) {
        str_addf(&command, "dualgpuopt %s%s--help", cmd ? cmd->words : "", cmd ? " " : "");
        err_fix(err, command.data, "see how it is used");
    }
}

static void report(struct cli *c, struct err *err)
{
    add_way_out(c, err);
    str_finish(&c->out);
    if (c->look.json)
        error_json(err, &c->out);
    struct look look = look_make(&c->words, STDERR_FILENO);
    message_error(err, look.width, &c->notes);
    c->exit_code = err_exit_code(err->code);
}

int main(int argc, char **argv)
{
    static struct cli c;
    struct err err = {0};
    bool broken = false;
    signal(SIGPIPE, SIG_IGN);
    if (!run(&c, argc, argv, &err))
        report(&c, &err);
    write_all(STDERR_FILENO, &c.notes, &broken);
    if (!write_all(STDOUT_FILENO, &c.out, &broken) && !broken) {
        dprintf(STDERR_FILENO, "error DGO1202: stdout could not be written: %s\n", strerror(errno));
        c.exit_code = 1;
    }
    str_finish(&c.out);
    str_finish(&c.notes);
    arena_finish(&c.arena);
    if (deadline_left_behind())
        _exit(c.exit_code);
    return c.exit_code;
}
