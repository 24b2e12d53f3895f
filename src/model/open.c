/* open: whatever a person may call a model: path, directory, URL, hub reference, profile, YAML. */
#include "base/own.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "fetch/hf.h"
#include "model/describe.h"
#include "model/profile.h"
#include "model/source.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_LISTED = 4096, MAX_REF = 4096 };

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_model_file(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && !strcasecmp(name + len - 5, ".gguf") && strncasecmp(name, "mmproj", 6) != 0 &&
           !source_is_later_shard(name);
}

static void own_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

bool source_list(const char *dir, struct arena *arena, const char ***out, size_t *n,
                 struct err *err)
{
    own(own_dir) DIR *d = opendir(dir);
    const char **names = arena_array(arena, const char *, MAX_LISTED);
    struct dirent *e;
    size_t count = 0;

    if (!d)
        return err_set(err, ERR_1202, "%s cannot be listed: %s", dir, strerror(errno));
    while (names && count < MAX_LISTED && (e = readdir(d))) {
        if (!is_model_file(e->d_name))
            continue;
        names[count] = arena_strdup(arena, e->d_name);
        if (!names[count++])
            return err_set(err, ERR_1201, "no memory to list %s", dir);
    }
    if (!names)
        return err_set(err, ERR_1201, "no memory to list %s", dir);
    qsort(names, count, sizeof *names, by_name);
    *out = names;
    *n = count;
    return true;
}

/* Does the name hold the quantisation as a word of its own: "-Q4_K_M.gguf", ".Q4_K_M-00001-of-"? */
static bool names_quant(const char *name, const char *quant)
{
    size_t len = strlen(quant);

    for (const char *p = name; *p; p++) {
        bool start = p == name || !(isalnum((unsigned char)p[-1]) || p[-1] == '_');
        if (start && !strncasecmp(p, quant, len) && !isalnum((unsigned char)p[len]) &&
            p[len] != '_')
            return true;
    }
    return false;
}

static bool refuse_many(const char *dir, const char *quant, const char **names, size_t n,
                        struct err *err)
{
    err_set(err, ERR_9003, "%s holds %zu models%s%s: which one is meant?", dir, n,
            quant ? " of quantisation " : "", quant ? quant : "");
    for (size_t i = 0; i < n && i < ERR_FIX_MAX; i++) {
        char shown[256];
        str_printable(names[i], strlen(names[i]), shown, sizeof shown);
        err_fix(err, NULL, "%s/%s", dir, shown);
    }
    return false;
}

static bool has_config(const char *dir)
{
    own(own_str) struct str path = {0};
    struct stat st;

    str_addf(&path, "%s/config.json", dir);
    return !path.failed && stat(path.data, &st) == 0;
}

static bool refuse_none(const char *dir, const char *quant, size_t n, struct err *err)
{
    if (n > 0) {
        err_set(err, ERR_2001, "none of the %zu models in %s is named as a %s", n, dir, quant);
        return err_fix(err, NULL, "name the file itself");
    }
    err_set(err, ERR_2001, "%s holds no GGUF file", dir);
    if (has_config(dir))
        err_why(
            err,
            "it has a config.json: llama.cpp reads such models after convert_hf_to_gguf.py only");
    return err_fix(err, NULL, "look further down with: dualgpuopt model scan %s", dir);
}

static bool open_directory(const char *dir, const char *quant, struct arena *arena,
                           struct model *out, struct err *err)
{
    const char **names;
    size_t n, fitting = 0;

    if (!source_list(dir, arena, &names, &n, err))
        return false;
    for (size_t i = 0; quant && i < n; i++) {
        if (names_quant(names[i], quant))
            names[fitting++] = names[i];
    }
    if (!quant)
        fitting = n;
    if (fitting == 0)
        return refuse_none(dir, quant, n, err);
    if (fitting > 1)
        return refuse_many(dir, quant, names, fitting, err);
    char *path = arena_printf(arena, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", names[0]);
    if (!path)
        return err_set(err, ERR_1201, "no memory to open %s", dir);
    return source_model(path, NULL, arena, out, err);
}

static bool open_file(const char *path, const char *quant, struct arena *arena, struct model *out,
                      struct err *err)
{
    struct model m;

    if (!source_model(path, NULL, arena, &m, err))
        return false;
    if (quant && !str_eq_fold(quant, m.quantization)) {
        err_set(err, ERR_2113, "%s is %s, not %s", path, m.quantization, quant);
        return err_fix(err, NULL, "leave --quant away: a file has the quantisation it has");
    }
    *out = m;
    return true;
}

static bool looks_like_path(const char *ref)
{
    return strchr(ref, '/') || str_ends(ref, ".gguf") || str_ends(ref, ".yaml") ||
           str_ends(ref, ".yml");
}

bool model_open(const struct model_request *req, struct arena *arena, struct model *out,
                struct err *err)
{
    const char *ref = req->ref, *quant = req->quant && *req->quant ? req->quant : NULL;
    struct stat st;

    if (!ref || !*ref)
        return err_set(err, ERR_9003, "no model was named");
    if (strlen(ref) >= MAX_REF)
        return err_set(err, ERR_2001, "no model has a name of %zu bytes", strlen(ref));
    if (fetch_is_url(ref) || hf_is_ref(ref))
        return source_model(ref, quant, arena, out, err);
    if (stat(ref, &st) != 0) {
        if (looks_like_path(ref) && !profile_known(ref))
            return err_set(err, errno == EACCES ? ERR_1202 : ERR_2001, "%s: %s", ref,
                           strerror(errno));
        return profile_open(ref, quant, arena, out, err);
    }
    if (S_ISDIR(st.st_mode))
        return open_directory(ref, quant, arena, out, err);
    if (str_ends(ref, ".yaml") || str_ends(ref, ".yml"))
        return describe_open(ref, quant, arena, out, err);
    return open_file(ref, quant, arena, out, err);
}

bool model_projector(const char *ref, struct arena *arena, struct model_projector *out,
                     struct err *err)
{
    struct gguf g;
    struct model_projector p = {.path = ref};

    if (!source_read(ref, NULL, arena, &g, err))
        return false;
    const char *architecture = gguf_get_string(&g, "general.architecture");
    if (!architecture || strcmp(architecture, "clip") != 0) {
        err_set(err, ERR_2003, "%s is no vision projector", ref);
        return err_why(err, "its general.architecture is not clip");
    }
    struct model_tensor *tensors = arena_array(arena, struct model_tensor, g.n_tensors + 1);
    const char *name = gguf_get_string(&g, "general.name");
    p.name = name ? name : ref;
    if (!tensors)
        return err_set(err, ERR_1201, "no memory for the projector %s", ref);
    for (uint32_t i = 0; i < g.n_tensors; i++) {
        const struct gguf_tensor *t = &g.tensors[i];
        tensors[i] = (struct model_tensor){.name = t->name,
                                           .type = t->type,
                                           .n_dims = t->n_dims,
                                           .layer = -1,
                                           .bytes = t->size_bytes};
        memcpy(tensors[i].ne, t->ne, sizeof t->ne);
        p.weight_bytes += t->size_bytes;
    }
    p.n_tensors = g.n_tensors;
    p.tensors = tensors;
    *out = p;
    return true;
}
