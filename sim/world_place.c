/* world_place: where worlds lie, and where scenarios come from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "sim/shipped.h"
#include "sim/world_shared.h"

bool world_folder(char out[WORLD_PATH_MAX], struct err *err)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    int n = run && *run == '/'
                ? snprintf(out, WORLD_PATH_MAX - 128, "%s/dualgpuopt", run)
                : snprintf(out, WORLD_PATH_MAX - 128, "/tmp/dualgpuopt-%u", (unsigned)getuid());
    if (n < 0 || n >= WORLD_PATH_MAX - 128)
        return err_set(err, ERR_1502, "XDG_RUNTIME_DIR is too long");
    if (mkdir(out, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_1502, "%s cannot be made: %s", out, strerror(errno));
    if (lstat(out, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid())
        return err_set(err, ERR_1502, "%s is not a folder of yours", out);
    return true;
}

static bool take_file(const char *path, char **out, size_t *len, struct err *err)
{
    struct file *f;
    uint64_t size;
    if (!file_open(path, path, 0, &f, &size, err))
        return false;
    bool ok =
        size <= SIM_TEXT_MAX || err_set(err, ERR_1501, "%s: %llu bytes, a scenario has at most %d",
                                        path, (unsigned long long)size, SIM_TEXT_MAX);
    char *text = ok ? malloc(size + 1) : NULL;
    if (ok && !text)
        ok = err_set(err, ERR_1201, "no memory for a scenario");
    ok = ok && file_read_at(f, 0, text, size, err);
    file_close(f);
    if (!ok) {
        free(text);
        return false;
    }
    text[size] = 0;
    *out = text;
    *len = size;
    return true;
}

bool world_find_scenario(const char *name, char **out, size_t *len, struct err *err)
{
    const char *names[32];
    size_t n = 0;
    for (const struct shipped *s = shipped_scenarios; s->name; s++) {
        if (n < 32)
            names[n++] = s->name;
        if (strcmp(s->name, name) != 0)
            continue;
        *out = strdup(s->text);
        *len = strlen(s->text);
        return *out != NULL || err_set(err, ERR_1201, "no memory for a scenario");
    }
    if (strchr(name, '/') || str_ends(name, ".yaml") || str_ends(name, ".yml"))
        return take_file(name, out, len, err);
    const char *near = str_nearest(name, names, n);
    err_set(err, ERR_1501, "no scenario is called \"%.60s\"", name);
    if (near)
        err_fix(err, NULL, "did you mean \"%s\"?", near);
    return err_fix(err, "dualgpuopt sim ls",
                   "see the scenarios; a file is named with a / or by .yaml");
}
