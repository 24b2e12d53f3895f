/* archive: files in memory as one .tar.gz. */
#ifndef DOCTOR_ARCHIVE_H
#define DOCTOR_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct archive_file {
    const char *name; /* at most 99 letters */
    struct str text;
};

/* Plain files, mode 0600, of nobody; to the end of *out. mtime_s: seconds since 1970. */
void archive_write(struct str *out, const struct archive_file *files, size_t n, int64_t mtime_s);

#endif
