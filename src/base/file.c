/* file: regular files only, opened so that nothing else is touched, and read by exact ranges. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

struct file {
    int fd;
    char name[]; /* as the caller called it */
};

bool file_read_at(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
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
        if (n == 0) {
            err_set(err, ERR_1202, "%s: became shorter than %" PRIu64 " bytes while it was read",
                    f->name, offset + len);
            return err_fix(err, NULL, "try again when the program that writes it has finished");
        }
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

const char *file_name(const struct file *f)
{
    return f->name;
}

void file_close(void *file)
{
    struct file *f = file;
    close(f->fd);
    free(f);
}

static const char *kind_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "no regular file";
    }
}

static bool refuse_kind(const char *name, mode_t mode, struct err *err)
{
    err_set(err, ERR_2008, "%s: is %s, a model is a regular file", name, kind_name(mode));
    if (S_ISDIR(mode))
        return err_fix(err, NULL, "name a file in it");
    return false;
}

bool file_explain(const char *name, int error, struct err *err)
{
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG)
        return err_set(err, ERR_2001, "%s: %s", name, strerror(error));
    if (error == ELOOP)
        return err_set(err, ERR_2008, "%s: is a symbolic link where none is followed", name);
    return err_set(err, ERR_1202, "%s: cannot be opened: %s", name, strerror(error));
}

/* The second look is at what was really opened. */
bool file_open(const char *path, const char *name, int nofollow, struct file **out, uint64_t *size_bytes,
               struct err *err)
{
    own_fd int fd = -1;
    struct stat st;
    struct file *f;

    if ((nofollow ? lstat(path, &st) : stat(path, &st)) != 0)
        return file_explain(name, errno, err);
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return refuse_kind(name, st.st_mode, err);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | nofollow);
    if (fd < 0 || fstat(fd, &st) != 0)
        return file_explain(name, errno, err);
    if (!S_ISREG(st.st_mode))
        return refuse_kind(name, st.st_mode, err);
    f = malloc(sizeof(*f) + strlen(name) + 1);
    if (!f)
        return err_set(err, ERR_1201, "%s: no memory to open it", name);
    strcpy(f->name, name);
    f->fd = fd;
    fd = -1;
    *out = f;
    *size_bytes = (uint64_t)st.st_size;
    return true;
}

ssize_t file_read_text(const char *path, char *out, size_t cap)
{
    own_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    size_t len = 0;
    while (fd >= 0 && len + 1 < cap) {
        ssize_t n = read(fd, out + len, cap - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (fd < 0)
        return -1;
    out[len] = 0;
    return (ssize_t)len;
}
