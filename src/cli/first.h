/* first: the first start by a person: what there is on this machine, and what to type next. */
#ifndef CLI_FIRST_H
#define CLI_FIRST_H

#include "cli/cli.h"

/* On a terminal, asked for nothing in particular, and never before; from then on it is remembered
 * under $XDG_STATE_HOME/dualgpuopt. */
bool first_is_now(const struct cli *c);

/* Looks around, asks nothing. */
void first_look(struct cli *c);

#endif
