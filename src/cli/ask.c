/* ask: the question goes to stderr, so that stdout stays data. */
#include "cli/ask.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/gpus.h"

enum { ANSWER_MAX = 32 };

bool ask_possible(const struct cli *c)
{
    return !given(c, OPTION_NO_INPUT) && !c->look.json && !c->look.plain && isatty(STDIN_FILENO) &&
           isatty(STDERR_FILENO);
}

void ask_line(struct cli *c, const char *question, char *out, size_t cap)
{
    size_t n = 0;
    char byte;
    cli_flush(c);
    dprintf(STDERR_FILENO, "%s%s", c->notes.data ? c->notes.data : "", question);
    str_finish(&c->notes);
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        if (n + 1 < cap)
            out[n++] = byte;
    while (n && (out[n - 1] == ' ' || out[n - 1] == '\r'))
        n--;
    out[n] = 0;
}

bool ask_yes(struct cli *c, const char *question, const char *again, struct err *err)
{
    char answer[ANSWER_MAX], whole[ERR_TEXT_MAX];
    if (given(c, OPTION_YES))
        return true;
    if (!ask_possible(c)) {
        err_set(err, ERR_9007, "%s nobody is there to say yes", question);
        err_why(err, given(c, OPTION_NO_INPUT) ? "--no-input was given"
                     : c->look.json || c->look.plain
                         ? "--json and --plain are for programs: nothing is asked"
                         : "this does not run on a terminal");
        return err_fix(err, again, "say yes beforehand");
    }
    snprintf(whole, sizeof(whole), "%s [y/N] ", question);
    ask_line(c, whole, answer, sizeof(answer));
    if (str_eq_fold(answer, "y") || str_eq_fold(answer, "yes"))
        return true;
    err_set(err, ERR_9008, "the answer was not yes: nothing was changed");
    return err_fix(err, again, "to do it without being asked");
}
