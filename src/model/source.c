/* source: from a path, a URL or a hub reference to a header, and headers that were read before. */
#include "model/source.h"

#include "base/cache.h"
#include "base/own.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "fetch/hf.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { CACHED_HEADERS = 64, SHARD_SUFFIX = 20 /* "-00001-of-00003.gguf" */ };

static bool digits(const char *p, int n)
{
    while (n > 0 && isdigit((unsigned char)*p))
        p++, n--;
    return n == 0;
}

/* "-00001-of-00003.gguf" at the end of name, or NULL. */
static const char *shard_suffix(const char *name)
{
    size_t len = strlen(name);
    const char *p = name + len - SHARD_SUFFIX;

    if (len <= SHARD_SUFFIX || p[0] != '-' || !digits(p + 1, 5) || strncmp(p + 6, "-of-", 4) != 0 ||
        !digits(p + 10, 5) || strcasecmp(p + 15, ".gguf") != 0)
        return NULL;
    return p;
}

bool source_is_later_shard(const char *name)
{
    const char *suffix = shard_suffix(name);

    return suffix && strncmp(suffix, "-00001-", 7) != 0;
}

static bool open_url(void *ctx, const char *name, struct gguf_source *out, struct err *err)
{
    struct fetch_source src;

    (void)ctx;
    if (!fetch_open(name, NULL, &src, err))
        return false;
    *out = (struct gguf_source){.name = src.name,
                                .size_bytes = src.size_bytes,
                                .ctx = src.ctx,
                                .read_at = src.read_at,
                                .close = src.close};
    return true;
}

static bool read_url(const char *url, struct arena *arena, struct gguf *out, struct err *err)
{
    struct gguf_opener opener = {.open = open_url};
    struct gguf_source src;

    if (shard_suffix(url))
        return gguf_read_set(&opener, url, 0, arena, out, err);
    if (!open_url(NULL, url, &src, err))
        return false;
    bool ok = gguf_read(&src, 0, arena, out, err);
    gguf_source_close(&src);
    return ok;
}

bool source_read(const char *ref, const char *quant, struct arena *arena, struct gguf *out,
                 struct err *err)
{
    const char *url = ref;

    if (hf_is_ref(ref) && !hf_resolve(ref, quant, NULL, arena, &url, err))
        return false;
    if (fetch_is_url(url))
        return read_url(url, arena, out, err);
    return gguf_read_path(ref, 0, arena, out, err);
}

static bool read_model(const char *ref, const char *quant, struct arena *arena, struct model *out,
                       struct err *err)
{
    struct arena header = {0};
    struct gguf g;
    bool ok =
        source_read(ref, quant, &header, &g, err) && model_from_gguf(&g, ref, arena, out, err);

    arena_finish(&header);
    return ok;
}

struct kept_model {
    struct arena arena;
    struct model model;
};

static void free_kept(void *value)
{
    struct kept_model *kept = value;

    arena_finish(&kept->arena);
    free(kept);
}

static bool make_kept(const void *key, size_t key_len, void *user, void **value, struct err *err)
{
    struct kept_model *kept = calloc(1, sizeof *kept);

    (void)key;
    (void)key_len;
    if (!kept)
        return err_set(err, ERR_1201, "no memory for the header of %s", (const char *)user);
    if (!read_model(user, NULL, &kept->arena, &kept->model, err)) {
        free_kept(kept);
        return false;
    }
    *value = kept;
    return true;
}

static struct cache *headers;

static void make_cache(void)
{
    headers = cache_new(&(struct cache_config){
        .name = "headers", .max_entries = CACHED_HEADERS, .free_value = free_kept});
}

static bool copy_model(const struct model *from, const char *path, struct arena *arena,
                       struct model *out)
{
    struct model m = *from;
    struct model_tensor *tensors = arena_array(arena, struct model_tensor, m.n_tensors + 1);
    struct model_layer *layers = arena_array(arena, struct model_layer, m.n_layers);

    m.path = arena_strdup(arena, path);
    m.name = arena_strdup(arena, m.name);
    m.architecture = arena_strdup(arena, m.architecture);
    m.quantization = arena_strdup(arena, m.quantization);
    if (!tensors || !layers || !m.path || !m.name || !m.architecture || !m.quantization)
        return false;
    memcpy(layers, from->layers, sizeof *layers * m.n_layers);
    memcpy(tensors, from->tensors, sizeof *tensors * m.n_tensors);
    for (uint32_t i = 0; i < m.n_tensors; i++) {
        tensors[i].name = arena_strdup(arena, tensors[i].name);
        if (!tensors[i].name)
            return false;
    }
    m.layers = layers;
    m.tensors = tensors;
    *out = m;
    return true;
}

static bool read_through_cache(const char *path, const struct stat *st, struct arena *arena,
                               struct model *out, struct err *err)
{
    own(own_str) struct str key = {0};
    own(own_cache_loan) struct cache_loan loan = {0};

    cache_key_add(&key, &st->st_dev, sizeof st->st_dev);
    cache_key_add(&key, &st->st_ino, sizeof st->st_ino);
    cache_key_add(&key, &st->st_size, sizeof st->st_size);
    cache_key_add(&key, &st->st_mtim, sizeof st->st_mtim);
    /* the name makes the model's, where the header has none */
    cache_key_add(&key, path, strlen(path));
    if (key.failed)
        return err_set(err, ERR_1201, "no memory for the header of %s", path);
    if (!cache_get(headers, key.data, key.len, make_kept, (void *)path, &loan, err))
        return false;
    const struct kept_model *kept = loan.value;
    return copy_model(&kept->model, path, arena, out) ||
           err_set(err, ERR_1201, "no memory for the header of %s", path);
}

bool source_model(const char *ref, const char *quant, struct arena *arena, struct model *out,
                  struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct stat st;
    bool remote = fetch_is_url(ref) || hf_is_ref(ref);

    pthread_once(&once, make_cache);
    if (remote || shard_suffix(ref) || !headers || stat(ref, &st) != 0 || !S_ISREG(st.st_mode))
        return read_model(ref, quant, arena, out, err);
    return read_through_cache(ref, &st, arena, out, err);
}
