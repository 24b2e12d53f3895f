/* file: regular files only, opened so that nothing else is touched, and read by exact ranges. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct file; /* an open file and what the caller calls it */

/* path is what is opened, name what errors call it; nofollow is 0 or O_NOFOLLOW. Devices, FIFOs and directories are
 * recognised before they are opened: opening some of them acts on them. ERR_2001 not there, ERR_2008 not a regular
 * file, ERR_1202 the rest. */
bool file_open(const char *path, const char *name, int nofollow, struct file **out, uint64_t *size_bytes,
               struct err *err);
const char *file_name(const struct file *f);
void file_close(void *file); /* of a struct file; the type fits sources' close */

/* Exactly len bytes from offset, or ERR_1202. ctx is a struct file. */
bool file_read_at(void *ctx, uint64_t offset, void *out, size_t len, struct err *err);

/* The first cap - 1 bytes of a small file of /proc or /sys, with a NUL after them; never waits for a FIFO's writer.
 * How many bytes, or -1 with errno. */
ssize_t file_read_text(const char *path, char *out, size_t cap);

/* The error that an errno of opening `name` means. Returns false. */
bool file_explain(const char *name, int error, struct err *err);

#endif
