/* err: what went wrong, why, and how to mend it, as a value that travels up to the faces. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* A kind maps once to an exit code (err_exit_code) and, in the daemon, once to an HTTP status. */
enum err_kind {
    ERR_KIND_NONE = 0,
    ERR_KIND_FAILED,      /* failure at run time: exit 1 */
    ERR_KIND_USAGE,       /* the request cannot be meant as it stands: exit 2 */
    ERR_KIND_NOT_RUNNING, /* exit 3 */
    ERR_KIND_NOT_FOUND,   /* exit 4 */
    ERR_KIND_PERMISSION,  /* exit 5 */
    ERR_KIND_CONFLICT,    /* exit 6 */
    ERR_KIND_CHECK,       /* a check failed: exit 7 */
    ERR_KIND_NO_FIT,      /* does not fit: exit 8 */
    ERR_KIND_AGAIN,       /* try again later: exit 75 */
    ERR_KIND_INTERRUPTED, /* exit 130 */
};

/* One enumerator per row of err.def: ERR_2002 prints as DGO2002. The codes are stable. */
enum err_code {
    ERR_NONE = 0,
#define X(code, kind, help) ERR_##code = code,
#include "base/err.def"
#undef X
};

#define ERR_TEXT_MAX 400
#define ERR_WHY_MAX  4
#define ERR_FIX_MAX  5

struct err_fix {
    char text[ERR_TEXT_MAX];    /* what to do, in words */
    char command[ERR_TEXT_MAX]; /* a command that can be copied, or "" */
};

/* Zeroed means "no error". Texts are cut at their size, never overrun; control bytes from outside
 * (names in files, replies of servers) are escaped when the text is made. */
struct err {
    enum err_code code;
    char title[ERR_TEXT_MAX]; /* names the object and the shortfall as a number */
    int n_why;
    char why[ERR_WHY_MAX][ERR_TEXT_MAX];
    int n_fix;
    struct err_fix fix[ERR_FIX_MAX];
};

/* Fill err (if not NULL) with code and title, dropping what it held. Always returns false, so that
 * a function can `return err_set(err, ERR_2002, "...")`. */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Add a reason (with its numbers) or a way out to an error that is set. Surplus ones are dropped.
 * Return false, as err_set does. command may be NULL. */
bool err_why(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool err_fix(struct err *err, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "fmt: " before the title of an error that is set (by callers that know the object). */
bool err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum err_kind err_kind(enum err_code code);
int err_exit_code(enum err_code code);       /* per CONTRACT: 0 1 2 3 4 5 6 7 8 75 130 */
const char *err_help(enum err_code code);    /* the row's sentence, or NULL for an unknown code */
size_t err_codes(const enum err_code **out); /* every code, ascending, static */

#endif
