/* ask: questions on a terminal, and what happens where nobody can answer. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/cli.h"

/* Somebody sits there: a terminal on both sides, no --no-input, no form that programs read. */
bool ask_possible(const struct cli *c);

/* A line typed after the question, without its end; "" for an empty one and at the end of input.
 * What the command wrote so far is shown first. */
void ask_line(struct cli *c, const char *question, char *out, size_t cap);

/* True with --yes, or when "y" or "yes" is typed. ERR_9007 where nobody can be asked: `again` is
 * the command that needs no asking. ERR_9008 for any other answer. */
bool ask_yes(struct cli *c, const char *question, const char *again, struct err *err);

#endif
