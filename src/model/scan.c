/* scan: looks through directories for models, with bounds on depth, entries and finds. */
#include "base/own.h"
#include "model/source.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct scan {
    struct arena *arena;
    struct model_list list;
    struct {
        dev_t dev;
        ino_t ino;
    } seen[MODEL_SCAN_FOUND];
    uint32_t entries;
    bool no_memory;
};

static void own_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static bool is_new(struct scan *s, const struct stat *st)
{
    for (size_t i = 0; i < s->list.n; i++) {
        if (s->seen[i].dev == st->st_dev && s->seen[i].ino == st->st_ino)
            return false;
    }
    return true;
}

static const char *printable_copy(struct arena *arena, const char *text)
{
    char shown[256];

    return arena_strdup(arena, str_printable(text, strlen(text), shown, sizeof shown));
}

static void describe(struct model_found *f, struct arena *arena)
{
    struct arena scratch = {0};
    struct err err = {0};
    struct gguf g;
    struct model m;

    f->usable = gguf_read_path(f->path, 0, &scratch, &g, &err);
    if (f->usable) {
        const char *architecture = gguf_get_string(&g, "general.architecture");
        f->file_bytes = g.file_bytes;
        f->n_shards = g.n_shards;
        f->projector = architecture && !strcmp(architecture, "clip");
    }
    if (f->projector) {
        const char *name = gguf_get_string(&g, "general.name");
        f->architecture = "clip";
        f->name = printable_copy(arena, name ? name : "vision projector");
    } else if (f->usable) {
        f->usable = model_from_gguf(&g, f->path, &scratch, &m, &err);
        if (f->usable) {
            f->name = arena_strdup(arena, m.name);
            f->architecture = arena_strdup(arena, m.architecture);
            f->quantization = arena_strdup(arena, m.quantization);
            f->parameters = m.parameters;
            f->n_layers = m.n_layers;
        }
    }
    if (!f->usable) {
        struct err *why = arena_new(arena, struct err);
        if (why)
            *why = err;
        f->why = why;
    }
    arena_finish(&scratch);
}

static void found_file(struct scan *s, int dir, const char *name, const char *path)
{
    struct stat st;

    if (!str_ends(name, ".gguf") || source_is_later_shard(name) ||
        fstatat(dir, name, &st, 0) != 0 || !S_ISREG(st.st_mode) || !is_new(s, &st))
        return;
    if (s->list.n == MODEL_SCAN_FOUND) {
        s->list.cut = true;
        return;
    }
    struct model_found *f = &s->list.found[s->list.n];
    f->path = arena_strdup(s->arena, path);
    if (!f->path) {
        s->no_memory = true;
        return;
    }
    s->seen[s->list.n].dev = st.st_dev;
    s->seen[s->list.n++].ino = st.st_ino;
    f->file_bytes = (uint64_t)st.st_size;
    describe(f, s->arena);
}

static void scan_dir(struct scan *s, int fd, const char *path, int depth);

static void visit(struct scan *s, int dir, const struct dirent *e, const char *path, int depth)
{
    own(own_str) struct str full = {0};
    int fd = -1;

    str_addf(&full, "%s%s%s", path, str_ends(path, "/") ? "" : "/", e->d_name);
    if (full.failed) {
        s->no_memory = true;
        return;
    }
    if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)
        fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        found_file(s, dir, e->d_name, full.data);
    else if (depth == MODEL_SCAN_DEPTH)
        close(fd);
    else
        scan_dir(s, fd, full.data, depth + 1);
}

/* Takes fd. */
static void scan_dir(struct scan *s, int fd, const char *path, int depth)
{
    own(own_dir) DIR *d = fdopendir(fd);
    struct dirent *e;

    if (!d) {
        close(fd);
        return;
    }
    while (!s->no_memory && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (s->entries++ == MODEL_SCAN_ENTRIES) {
            s->list.cut = true;
            return;
        }
        if (s->entries > MODEL_SCAN_ENTRIES)
            return;
        visit(s, dirfd(d), e, path, depth);
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct model_found *)a)->path, ((const struct model_found *)b)->path);
}

bool model_scan(const char *dir, struct arena *arena, struct model_list *out, struct err *err)
{
    own_free struct scan *s = calloc(1, sizeof *s);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_2001 : ERR_1202, "%s: %s",
                       dir, strerror(errno));
    if (s) {
        s->arena = arena;
        s->list.found = arena_array(arena, struct model_found, MODEL_SCAN_FOUND);
    }
    if (!s || !s->list.found) {
        close(fd);
        return err_set(err, ERR_1201, "no memory to scan %s", dir);
    }
    scan_dir(s, fd, dir, 0);
    if (s->no_memory)
        return err_set(err, ERR_1201, "no memory to scan %s", dir);
    qsort(s->list.found, s->list.n, sizeof *s->list.found, by_path);
    *out = s->list;
    return true;
}
