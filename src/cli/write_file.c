/* write_file: a file that is there whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cli/cli.h"

static bool write_text(int fd, const struct str *text)
{
    for (size_t done = 0; done < text->len;) {
        ssize_t n = write(fd, text->data + done, text->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return fsync(fd) == 0;
}

/* So that the new name is on disk too. */
static void sync_folder(const char *path)
{
    own(own_str) struct str folder = {0};
    const char *slash = strrchr(path, '/');
    str_add_n(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    own_fd int fd = folder.data ? open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        fsync(fd);
}

bool cli_write_file(const char *path, const struct str *text, unsigned mode, struct err *err)
{
    own(own_str) struct str temporary = {0};
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        err_set(err, ERR_1202, "%s is not a regular file", path);
        return err_fix(err, NULL, "name a new file, or one that may be replaced");
    }
    str_addf(&temporary, "%s.XXXXXX", path);
    own_fd int fd = temporary.data ? mkostemp(temporary.data, O_CLOEXEC) : -1;
    if (fd < 0) {
        err_set(err, ERR_1202, "%s cannot be written: %s", path, strerror(errno));
        return err_fix(err, NULL, "name a folder that is there and that you may write to");
    }
    if (write_text(fd, text) && fchmod(fd, mode) == 0 && rename(temporary.data, path) == 0) {
        sync_folder(path);
        return true;
    }
    int cause = errno;
    unlink(temporary.data);
    return err_set(err, ERR_1202, "%s cannot be written: %s", path, strerror(cause));
}
