/* redact: takes out of a text what says whose machine it is: names, home folders, tokens,
 * identities of cards. */
#ifndef DOCTOR_REDACT_H
#define DOCTOR_REDACT_H

#include <stddef.h>

#include "base/str.h"

enum { REDACT_NAMES_MOST = 64, REDACT_NAME_MAX = 96 };

struct redact_names {
    size_t n_users;
    char user[REDACT_NAMES_MOST][REDACT_NAME_MAX];
    char host[REDACT_NAME_MAX];
    char home[256]; /* "" or "/": none */
};

/* The people and the name of this machine. */
void redact_read_names(struct redact_names *out);

/* text[len] to the end of *out: names as [user] and [host], home folders as ~, tokens, passwords
 * and serial numbers as [removed], UUIDs of cards as a short mark that is the same for the same
 * card. */
void redact_add(struct str *out, const char *text, size_t len, const struct redact_names *names);

#endif
