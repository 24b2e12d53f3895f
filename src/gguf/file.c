/* file: headers from regular files by pread; a split set may not lead out of its place. */
#include "gguf/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

struct file {
    int fd;
    char name[]; /* as the caller called it */
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

static void close_file(void *ctx)
{
    struct file *f = ctx;

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
        return err_fix(err, NULL, "name a .gguf file in it");
    return false;
}

static bool explain_errno(const char *name, int error, struct err *err)
{
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG)
        return err_set(err, ERR_2001, "%s: %s", name, strerror(error));
    if (error == ELOOP)
        return err_set(err, ERR_2008, "%s: is a symbolic link where none is followed", name);
    return err_set(err, ERR_1202, "%s: cannot be opened: %s", name, strerror(error));
}

/* path is what is opened, name what it is called. Devices are recognised before they are opened:
 * opening some of them acts on them. The second look is at what was really opened. */
static bool open_regular(const char *path, const char *name, int nofollow, struct gguf_source *out,
                         struct err *err)
{
    own_fd int fd = -1;
    struct stat st;
    struct file *f;

    if ((nofollow ? lstat(path, &st) : stat(path, &st)) != 0)
        return explain_errno(name, errno, err);
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return refuse_kind(name, st.st_mode, err);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | nofollow);
    if (fd < 0 || fstat(fd, &st) != 0)
        return explain_errno(name, errno, err);
    if (!S_ISREG(st.st_mode))
        return refuse_kind(name, st.st_mode, err);
    f = malloc(sizeof(*f) + strlen(name) + 1);
    if (!f)
        return err_set(err, ERR_1201, "%s: no memory to open it", name);
    strcpy(f->name, name);
    f->fd = fd;
    fd = -1;
    *out = (struct gguf_source){.name = f->name,
                                .size_bytes = (uint64_t)st.st_size,
                                .read_at = read_at,
                                .close = close_file,
                                .ctx = f};
    return true;
}

bool gguf_source_file(const char *path, struct gguf_source *out, struct err *err)
{
    return open_regular(path, path, 0, out, err);
}

void gguf_source_close(struct gguf_source *src)
{
    if (src->close)
        src->close(src->ctx);
    *src = (struct gguf_source){0};
}

/* Directories in which the shards of a set may lie: where the set was named and where that file is.
 * A model manager names links in one directory that lead to files in another. */
struct set_place {
    const char *path;
    char named[PATH_MAX], real[PATH_MAX];
};

static void cut_to_directory(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        slash[slash == path] = '\0';
}

static bool place_make(const char *path, struct set_place *out, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX] = ".";

    out->path = path;
    if (strlen(path) >= PATH_MAX)
        return explain_errno(path, ENAMETOOLONG, err);
    if (slash) {
        memcpy(directory, path, (size_t)(slash - path) + 1);
        directory[slash - path + 1] = '\0';
    }
    if (!realpath(directory, out->named) || !realpath(path, out->real))
        return explain_errno(path, errno, err);
    cut_to_directory(out->real);
    return true;
}

static bool open_sibling(const struct set_place *place, const char *name, struct gguf_source *out,
                         struct err *err)
{
    char target[PATH_MAX], directory[PATH_MAX];
    struct stat st;

    if (lstat(name, &st) != 0)
        return explain_errno(name, errno, err);
    if (!S_ISLNK(st.st_mode))
        return open_regular(name, name, O_NOFOLLOW, out, err);
    if (!realpath(name, target))
        return explain_errno(name, errno, err);
    strcpy(directory, target);
    cut_to_directory(directory);
    if (strcmp(directory, place->named) != 0 && strcmp(directory, place->real) != 0) {
        err_set(err, ERR_2008, "%s: is a link out of the directory of its set", name);
        err_why(err, "it leads to %s", target);
        return err_fix(err, NULL, "put all parts into one directory");
    }
    return open_regular(target, name, O_NOFOLLOW, out, err);
}

static bool open_in_place(void *ctx, const char *name, struct gguf_source *out, struct err *err)
{
    const struct set_place *place = ctx;

    if (strcmp(name, place->path) == 0)
        return gguf_source_file(name, out, err);
    return open_sibling(place, name, out, err);
}

bool gguf_read_path(const char *path, int flags, struct arena *arena, struct gguf *out,
                    struct err *err)
{
    struct set_place place;
    struct gguf_opener opener = {.open = open_in_place, .ctx = &place};

    return place_make(path, &place, err) && gguf_read_set(&opener, path, flags, arena, out, err);
}
