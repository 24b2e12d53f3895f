/* file: headers from regular files by pread. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "safetensors/safetensors.h"

struct file {
    int fd;
    char name[];
};

static bool read_at(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    struct file *f = ctx;
    char *to = out;
    while (len > 0) {
        ssize_t n = pread(f->fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_1202, "%s: cannot be read at byte %" PRIu64 ": %s", f->name,
                           offset, strerror(errno));
        if (n == 0)
            return err_set(err, ERR_1202, "%s: became shorter while it was read", f->name);
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static void close_file(void *ctx)
{
    struct file *f = ctx;
    close(f->fd);
    free(f);
}

/* Looked at before it is opened: opening some devices acts on them. The second look is at what was
 * opened. */
bool safetensors_source_file(const char *path, struct safetensors_source *out, struct err *err)
{
    own_fd int fd = -1;
    struct stat st;
    struct file *f;
    if (stat(path, &st) != 0)
        return err_set(err, errno == EACCES ? ERR_1202 : ERR_2001, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_2008, "%s: is no regular file", path);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_set(err, ERR_1202, "%s: cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_2008, "%s: is no regular file", path);
    f = malloc(sizeof(*f) + strlen(path) + 1);
    if (!f)
        return err_set(err, ERR_1201, "%s: no memory to open it", path);
    strcpy(f->name, path);
    f->fd = fd;
    fd = -1;
    *out = (struct safetensors_source){.name = f->name,
                                       .size_bytes = (uint64_t)st.st_size,
                                       .read_at = read_at,
                                       .close = close_file,
                                       .ctx = f};
    return true;
}

void safetensors_source_close(struct safetensors_source *src)
{
    if (src->close)
        src->close(src->ctx);
    *src = (struct safetensors_source){0};
}
