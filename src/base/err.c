/* err: fills error values and knows what every code means. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct row {
    enum err_code code;
    enum err_kind kind;
    const char *help;
} rows[] = {
#define X(code, kind, help) {ERR_##code, ERR_KIND_##kind, help},
#include "base/err.def"
#undef X
};

static const enum err_code codes[] = {
#define X(code, kind, help) ERR_##code,
#include "base/err.def"
#undef X
};

/* Every byte of the raw text becomes at least one byte, so a raw text of this size always fills
 * `out` before its own cut shows. */
static void __attribute__((format(printf, 2, 0)))
make_text(char out[ERR_TEXT_MAX], const char *fmt, va_list ap)
{
    char raw[2 * ERR_TEXT_MAX];
    int n = vsnprintf(raw, sizeof(raw), fmt, ap);
    if (n < 0) {
        out[0] = '\0';
        return;
    }
    str_printable(raw, strlen(raw), out, ERR_TEXT_MAX);
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err)
        return false;
    char title[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    make_text(title, fmt, ap);
    va_end(ap);
    memset(err, 0, sizeof(*err));
    err->code = code;
    memcpy(err->title, title, sizeof(title));
    return false;
}

bool err_why(struct err *err, const char *fmt, ...)
{
    if (!err || err->code == ERR_NONE || err->n_why >= ERR_WHY_MAX)
        return false;
    va_list ap;
    va_start(ap, fmt);
    make_text(err->why[err->n_why], fmt, ap);
    va_end(ap);
    err->n_why++;
    return false;
}

bool err_fix(struct err *err, const char *command, const char *fmt, ...)
{
    if (!err || err->code == ERR_NONE || err->n_fix >= ERR_FIX_MAX)
        return false;
    struct err_fix *fix = &err->fix[err->n_fix];
    va_list ap;
    va_start(ap, fmt);
    make_text(fix->text, fmt, ap);
    va_end(ap);
    fix->command[0] = '\0';
    if (command) {
        str_printable(command, strlen(command), fix->command, sizeof(fix->command));
        /* a command that had to be cut or escaped would do something else than meant */
        if (strcmp(fix->command, command) != 0)
            fix->command[0] = '\0';
    }
    err->n_fix++;
    return false;
}

bool err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err || err->code == ERR_NONE)
        return false;
    char prefix[ERR_TEXT_MAX], both[2 * ERR_TEXT_MAX + 2];
    va_list ap;
    va_start(ap, fmt);
    make_text(prefix, fmt, ap);
    va_end(ap);
    int n = snprintf(both, sizeof(both), "%s: %s", prefix, err->title);
    str_printable(both, n > 0 ? (size_t)n : 0, err->title, sizeof(err->title));
    return false;
}

static const struct row *find_row(enum err_code code)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

enum err_kind err_kind(enum err_code code)
{
    if (code == ERR_NONE)
        return ERR_KIND_NONE;
    const struct row *row = find_row(code);
    return row ? row->kind : ERR_KIND_FAILED;
}

int err_exit_code(enum err_code code)
{
    switch (err_kind(code)) {
    case ERR_KIND_NONE: return 0;
    case ERR_KIND_FAILED: return 1;
    case ERR_KIND_USAGE: return 2;
    case ERR_KIND_NOT_RUNNING: return 3;
    case ERR_KIND_NOT_FOUND: return 4;
    case ERR_KIND_PERMISSION: return 5;
    case ERR_KIND_CONFLICT: return 6;
    case ERR_KIND_CHECK: return 7;
    case ERR_KIND_NO_FIT: return 8;
    case ERR_KIND_AGAIN: return 75;
    case ERR_KIND_INTERRUPTED: return 130;
    }
    return 1;
}

const char *err_help(enum err_code code)
{
    const struct row *row = find_row(code);
    return row ? row->help : NULL;
}

size_t err_codes(const enum err_code **out)
{
    *out = codes;
    return sizeof(codes) / sizeof(codes[0]);
}
