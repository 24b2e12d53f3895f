/* hub_open: finds config.json and the safetensors headers behind a directory or a hub reference. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "fetch/hf.h"
#include "model/hub_layout.h"

static const char index_file[] = "model.safetensors.index.json";
static const char single_file[] = "model.safetensors";

/* Where the parts of one model lie: below a directory or a URL, always with a slash at its end. */
struct base {
    const char *at;
    bool remote;
};

static bool read_small(const char *path, size_t limit, struct str *out, struct err *err)
{
    own(own_safetensors_source) struct safetensors_source src = {0};
    char part[8192];
    if (!safetensors_source_file(path, &src, err))
        return false;
    if (src.size_bytes > limit)
        return err_set(err, ERR_2003, "%s has %llu bytes, more than the %zu allowed", path,
                       (unsigned long long)src.size_bytes, limit);
    for (uint64_t at = 0; at < src.size_bytes;) {
        uint64_t left = src.size_bytes - at;
        size_t len = left < sizeof(part) ? (size_t)left : sizeof(part);
        if (!src.read_at(src.ctx, at, part, len, err))
            return false;
        str_add_n(out, part, len);
        at += len;
    }
    return !out->failed || err_set(err, ERR_1201, "no memory to read %s", path);
}

static bool read_text(const struct base *b, const char *file, size_t limit, struct str *out,
                      struct err *err)
{
    own(own_str) struct str path = {0};
    str_addf(&path, "%s%s", b->at, file);
    if (path.failed)
        return err_set(err, ERR_1201, "no memory for a path");
    return b->remote ? fetch_text(path.data, NULL, limit, out, err)
                     : read_small(path.data, limit, out, err);
}

/* name is one of ours or was checked by safetensors_read_index. */
static bool open_part(void *ctx, const char *name, struct safetensors_source *out, struct err *err)
{
    const struct base *b = ctx;
    own(own_str) struct str path = {0};
    struct fetch_source src;
    str_addf(&path, "%s%s", b->at, name);
    if (path.failed)
        return err_set(err, ERR_1201, "no memory for a path");
    if (!b->remote)
        return safetensors_source_file(path.data, out, err);
    if (!fetch_open(path.data, NULL, &src, err))
        return false;
    *out = (struct safetensors_source){.name = src.name,
                                       .size_bytes = src.size_bytes,
                                       .ctx = src.ctx,
                                       .read_at = src.read_at,
                                       .close = src.close};
    return true;
}

/* *found false, and no error, where there is no safetensors file at all. */
static bool read_headers(struct base *b, struct arena *arena, struct safetensors *out, bool *found,
                         struct err *err)
{
    own(own_str) struct str text = {0};
    own(own_safetensors_source) struct safetensors_source src = {0};
    struct err why = {0};
    struct safetensors_opener opener = {open_part, b};
    *found = true;
    if (read_text(b, index_file, SAFETENSORS_MAX_INDEX, &text, &why))
        return safetensors_read_set(index_file, text.data ? text.data : "", text.len, &opener,
                                    arena, out, err);
    if (why.code == ERR_2001) {
        why = (struct err){0};
        if (open_part(b, single_file, &src, &why))
            return safetensors_read(&src, arena, out, err);
    }
    *found = false;
    if (why.code == ERR_2001)
        return true;
    if (err)
        *err = why;
    return false;
}

static bool open_at(struct base *b, const char *ref, struct arena *arena, struct hub_model *out,
                    struct err *err)
{
    own(own_str) struct str text = {0};
    struct hub_config config;
    struct safetensors headers;
    bool found;
    if (!read_text(b, "config.json", HUB_MAX_CONFIG, &text, err))
        return err_prefix(err, "%s", ref);
    if (!hub_read_config(ref, text.data ? text.data : "", text.len, &config, err) ||
        !read_headers(b, arena, &headers, &found, err))
        return false;
    return hub_layout_make(ref, &config, found ? &headers : NULL, arena, out, err);
}

static bool open_remote(const char *ref, struct arena *arena, struct hub_model *out,
                        struct err *err)
{
    char endpoint[FETCH_MAX_URL];
    struct hf_ref r;
    if (!hf_parse(ref, &r, err) || !hf_endpoint(endpoint, err))
        return false;
    if (r.file[0] || r.quant[0])
        return err_set(err, ERR_9002,
                       "%s names a GGUF file; a safetensors model is named hf:OWNER/REPO", ref);
    struct base b = {arena_printf(arena, "%s/%s/%s/resolve/main/", endpoint, r.owner, r.repo),
                     true};
    if (!b.at)
        return err_set(err, ERR_1201, "no memory for a URL");
    return open_at(&b, ref, arena, out, err);
}

/* The directory of a path that is one, or that is a config.json; NULL for anything else. */
static const char *directory_of(const char *ref, struct arena *arena)
{
    struct stat st;
    size_t len = strlen(ref);
    if (stat(ref, &st) != 0)
        return NULL;
    if (S_ISDIR(st.st_mode))
        return arena_printf(arena, "%s%s", ref, str_ends(ref, "/") ? "" : "/");
    if (strcmp(ref, "config.json") == 0)
        return "./";
    return str_ends(ref, "/config.json") ? arena_strndup(arena, ref, len - 11) : NULL;
}

bool hub_is_layout(const char *ref)
{
    own(own_arena) struct arena arena = {0};
    struct stat st;
    const char *dir = directory_of(ref, &arena);
    const char *path = dir ? arena_printf(&arena, "%sconfig.json", dir) : NULL;
    return path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool hub_open(const char *ref, struct arena *arena, struct hub_model *out, struct err *err)
{
    if (hf_is_ref(ref))
        return open_remote(ref, arena, out, err);
    struct base b = {directory_of(ref, arena), false};
    if (b.at)
        return open_at(&b, ref, arena, out, err);
    err_set(err, ERR_2001, "%s is no directory with a config.json", ref);
    return err_fix(err, NULL,
                   "name the directory that holds config.json and the safetensors files");
}
