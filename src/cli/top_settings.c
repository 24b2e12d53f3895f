/* top_settings: the file in which `top` keeps what was chosen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/top.h"

bool top_settings_path(char *out, size_t size)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = -1;
    if (config && config[0] == '/')
        n = snprintf(out, size, "%s/dualgpuopt/top.yaml", config);
    else if (home && home[0] == '/')
        n = snprintf(out, size, "%s/.config/dualgpuopt/top.yaml", home);
    return n > 0 && (size_t)n < size;
}

static void close_file(struct file **f)
{
    if (*f)
        file_close(*f);
}

bool top_settings_load(struct settings *out, struct err *err)
{
    own(close_file) struct file *f = NULL;
    char path[1024], text[SETTINGS_TEXT_MAX];
    uint64_t size;
    struct stat st;
    settings_default(out);
    if (!top_settings_path(path, sizeof(path)) || (stat(path, &st) != 0 && errno == ENOENT))
        return true;
    if (!file_open(path, path, 0, &f, &size, err))
        return false;
    size_t len = size < sizeof(text) ? (size_t)size : sizeof(text);
    if (!file_read_at(f, 0, text, len, err))
        return false;
    /* one that is longer than the text is refused by its length */
    return settings_parse(path, text, size > sizeof(text) ? sizeof(text) + 1 : len, out, err);
}

/* Every folder above the file, for this person alone. */
static void make_folders(const char *path)
{
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0700); /* what fails here, fails with a reason when the file is written */
        *slash = '/';
    }
}

bool top_settings_save(const struct settings *s, const char *path, struct err *err)
{
    own(own_str) struct str text = {0};
    settings_write(s, &text);
    if (text.failed)
        return err_set(err, ERR_1201, "no memory for the settings");
    make_folders(path);
    return cli_write_file(path, &text, 0644, err);
}
