/* file: headers from regular files by pread; a split set may not lead out of its place. */
#include "gguf/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static bool open_regular(const char *path, const char *name, int nofollow, struct gguf_source *out,
                         struct err *err)
{
    struct file *f;
    uint64_t size;
    if (!file_open(path, name, nofollow, &f, &size, err))
        return false;
    *out = (struct gguf_source){
        .name = file_name(f), .size_bytes = size, .read_at = file_read_at, .close = file_close, .ctx = f};
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
        return file_explain(path, ENAMETOOLONG, err);
    if (slash) {
        memcpy(directory, path, (size_t)(slash - path) + 1);
        directory[slash - path + 1] = '\0';
    }
    if (!realpath(directory, out->named) || !realpath(path, out->real))
        return file_explain(path, errno, err);
    cut_to_directory(out->real);
    return true;
}

static bool open_sibling(const struct set_place *place, const char *name, struct gguf_source *out,
                         struct err *err)
{
    char target[PATH_MAX], directory[PATH_MAX];
    struct stat st;

    if (lstat(name, &st) != 0)
        return file_explain(name, errno, err);
    if (!S_ISLNK(st.st_mode))
        return open_regular(name, name, O_NOFOLLOW, out, err);
    if (!realpath(name, target))
        return file_explain(name, errno, err);
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
