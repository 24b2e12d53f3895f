/* words: parts of taking a command line apart that several files need. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "cli/cli.h"

/* Rows by one of their spellings; len bytes of name count. NULL: none. */
const struct option *words_option(const char *name, size_t len);
const struct flag *words_setting(const char *name, size_t len);

size_t words_name_length(const char *word); /* of "--name" in "--name=value" */

/* Errors that name the nearest known word. word NULL: a group of commands stands alone. */
bool words_unknown(const char *group, const char *word, struct err *err);
bool words_unknown_option(const struct words *w, const char *word, struct err *err);

#endif
