/* tree: files and links below a temporary folder, as /proc and /sys of other machines have them. */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"

enum { TREE_PATH_MAX = 512 };

/* The folders above path are made; the result is the full path in out. */
static inline char *tree_path(const char *root, const char *path, char out[TREE_PATH_MAX])
{
    if (snprintf(out, TREE_PATH_MAX, "%s%s", root, path) >= TREE_PATH_MAX)
        abort();
    for (char *p = out + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(out, 0700);
        *p = '/';
    }
    return out;
}

static inline void tree_put_bytes(const char *root, const char *path, const void *data, size_t len)
{
    char full[TREE_PATH_MAX];
    FILE *f = fopen(tree_path(root, path, full), "w");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        abort();
}

static inline void tree_put(const char *root, const char *path, const char *text)
{
    tree_put_bytes(root, path, text, strlen(text));
}

static inline void tree_link(const char *root, const char *path, const char *target)
{
    char full[TREE_PATH_MAX];
    unlink(tree_path(root, path, full));
    if (symlink(target, full) != 0)
        abort();
}

#endif
