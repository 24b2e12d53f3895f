/* help: texts made from the tables of commands, options, settings, variables, errors and topics. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

struct topic {
    const char *name, *line;
    const char *text; /* NULL: made from a table */
};
const struct topic *topic_table(size_t *n);

void help_names(const char *names, const char *value, bool maybe, struct str *out);
void help_settings(struct str *out);
void help_checks(struct str *out); /* what doctor looks at */
void help_environment(struct str *out);
void help_errors(struct str *out);
void help_keys(struct str *out); /* of top */
void help_markdown(struct str *out); /* docs/commands.md */

#endif
