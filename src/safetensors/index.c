/* index: model.safetensors.index.json: which shard holds which tensor; and the set that it names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "safetensors/scan.h"

struct text {
    const char *data;
    size_t len;
};

static bool read_text(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    const struct text *t = ctx;
    (void)err; /* the scanner never asks for more than there is */
    memcpy(out, t->data + offset, len);
    return true;
}

static bool is_plain_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 255 || name[0] == '.' || strstr(name, "..") || strpbrk(name, "/\\:?#%"))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return str_ends(name, ".safetensors");
}

struct map {
    struct scan scan;
    struct arena *arena;
    struct safetensors_index *out;
    struct safetensors_entry *entries;
    uint32_t cap;
};

static bool shard_number(struct map *m, const char *name, uint32_t *number, struct err *err)
{
    struct safetensors_index *x = m->out;
    char shown[64];
    if (!is_plain_name(name))
        return scan_refuse(&m->scan, err, "names the part \"%s\", which is no plain file name",
                           str_printable(name, strlen(name), shown, sizeof(shown)));
    /* the map is sorted by layer: the last part is nearly always the one */
    for (uint32_t i = x->n_shards; i-- > 0;) {
        if (strcmp(x->shards[i], name) == 0) {
            *number = i;
            return true;
        }
    }
    if (x->n_shards == SAFETENSORS_MAX_SHARDS)
        return scan_refuse(&m->scan, err, "names more than %d parts", SAFETENSORS_MAX_SHARDS);
    x->shards[x->n_shards] = arena_strdup(m->arena, name);
    if (!x->shards[x->n_shards])
        return err_set(err, ERR_1201, "%s: no memory for its entries", m->scan.src->name);
    *number = x->n_shards++;
    return true;
}

static bool add_entry(struct map *m, const char *tensor, uint32_t shard, struct err *err)
{
    struct safetensors_index *x = m->out;
    if (x->n_entries == SAFETENSORS_MAX_TENSORS)
        return scan_refuse(&m->scan, err, "names more than %d tensors", SAFETENSORS_MAX_TENSORS);
    if (x->n_entries == m->cap) {
        uint32_t cap = m->cap ? 2 * m->cap : 512;
        struct safetensors_entry *larger = realloc(m->entries, cap * sizeof(*larger));
        if (!larger)
            return err_set(err, ERR_1201, "%s: no memory for its entries", m->scan.src->name);
        m->entries = larger;
        m->cap = cap;
    }
    char *name = arena_strdup(m->arena, tensor);
    m->entries[x->n_entries++] = (struct safetensors_entry){name, shard};
    return name || err_set(err, ERR_1201, "%s: no memory for its entries", m->scan.src->name);
}

static bool read_map(struct map *m, struct err *err)
{
    char tensor[SAFETENSORS_MAX_NAME + 1], file[256];
    bool first = true, more;
    if (!scan_char(&m->scan, '{', err))
        return false;
    for (;;) {
        uint32_t shard = 0;
        if (!scan_more(&m->scan, '}', &first, &more, err))
            return false;
        if (!more)
            return true;
        if (!scan_string(&m->scan, tensor, SAFETENSORS_MAX_NAME, err) ||
            !scan_char(&m->scan, ':', err) || !scan_string(&m->scan, file, sizeof(file) - 1, err) ||
            !shard_number(m, file, &shard, err) || !add_entry(m, tensor, shard, err))
            return false;
    }
}

static int by_tensor(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_entry *)a)->tensor,
                  ((const struct safetensors_entry *)b)->tensor);
}

static bool finish_map(struct map *m, struct err *err)
{
    struct safetensors_index *x = m->out;
    char shown[128];
    if (x->n_entries == 0)
        return scan_refuse(&m->scan, err, "names no tensor in a weight_map");
    qsort(m->entries, x->n_entries, sizeof(*m->entries), by_tensor);
    for (uint32_t i = 1; i < x->n_entries; i++)
        if (strcmp(m->entries[i - 1].tensor, m->entries[i].tensor) == 0)
            return scan_refuse(&m->scan, err, "%s stands there twice",
                               str_printable(m->entries[i].tensor, strlen(m->entries[i].tensor),
                                             shown, sizeof(shown)));
    struct safetensors_entry *kept = arena_array(m->arena, struct safetensors_entry, x->n_entries);
    if (!kept)
        return err_set(err, ERR_1201, "%s: no memory for its entries", m->scan.src->name);
    memcpy(kept, m->entries, x->n_entries * sizeof(*kept));
    x->entries = kept;
    return true;
}

static bool read_top(struct map *m, struct err *err)
{
    char key[64];
    bool first = true, more, seen = false;
    if (!scan_char(&m->scan, '{', err))
        return false;
    for (;;) {
        if (!scan_more(&m->scan, '}', &first, &more, err))
            return false;
        if (!more)
            return scan_end(&m->scan, err) && finish_map(m, err);
        if (!scan_string(&m->scan, key, sizeof(key) - 1, err) || !scan_char(&m->scan, ':', err))
            return false;
        bool is_map = strcmp(key, "weight_map") == 0;
        if (is_map && seen)
            return scan_refuse(&m->scan, err, "has its weight_map twice");
        seen = seen || is_map;
        if (!(is_map ? read_map(m, err) : scan_skip(&m->scan, err)))
            return false;
    }
}

static void own_map(struct map *m)
{
    scan_finish(&m->scan);
    free(m->entries);
}

bool safetensors_read_index(const char *name, const char *text, size_t len, struct arena *arena,
                            struct safetensors_index *out, struct err *err)
{
    own(own_map) struct map m = {.arena = arena, .out = out};
    struct text t = {text, len};
    struct safetensors_source src = {
        .name = name, .size_bytes = len, .read_at = read_text, .ctx = &t};
    struct arena_mark mark = arena_mark(arena);
    *out = (struct safetensors_index){0};
    m.scan.src = &src;
    if (len > SAFETENSORS_MAX_INDEX)
        return scan_refuse(&m.scan, err, "is larger than %d bytes", SAFETENSORS_MAX_INDEX);
    bool ok = scan_init(&m.scan, &src, 0, len, err) && read_top(&m, err);
    if (!ok) {
        arena_rewind(arena, mark);
        *out = (struct safetensors_index){0};
    }
    return ok;
}

static const struct safetensors_entry *find_entry(const struct safetensors_index *x,
                                                  const char *tensor)
{
    struct safetensors_entry key = {tensor, 0};
    return bsearch(&key, x->entries, x->n_entries, sizeof(key), by_tensor);
}

/* What the index promises of a part and what the part holds must be the same. */
static bool take_shard(const struct safetensors_index *x, uint32_t shard,
                       const struct safetensors *part, struct safetensors_tensor *to,
                       struct err *err)
{
    uint32_t promised = 0;
    char shown[128];
    for (uint32_t i = 0; i < x->n_entries; i++)
        promised += x->entries[i].shard == shard;
    for (uint32_t i = 0; i < part->n_tensors; i++) {
        const char *name = part->tensors[i].name;
        const struct safetensors_entry *e = find_entry(x, name);
        if (!e || e->shard != shard)
            return err_set(err, ERR_2004, "%s holds %s, which the index %s", x->shards[shard],
                           str_printable(name, strlen(name), shown, sizeof(shown)),
                           e ? "looks for elsewhere" : "does not know");
        to[i] = part->tensors[i];
        to[i].shard = (uint16_t)shard;
    }
    if (part->n_tensors != promised)
        return err_set(err, ERR_2004, "%s holds %u tensors, the index looks for %u in it",
                       x->shards[shard], part->n_tensors, promised);
    return true;
}

bool safetensors_read_set(const char *index_name, const char *text, size_t len,
                          const struct safetensors_opener *opener, struct arena *arena,
                          struct safetensors *out, struct err *err)
{
    struct safetensors_index *x = arena_new(arena, struct safetensors_index);
    struct safetensors set = {0};
    if (!x)
        return err_set(err, ERR_1201, "%s: no memory to read it", index_name);
    if (!safetensors_read_index(index_name, text, len, arena, x, err))
        return false;
    struct safetensors_tensor *all = arena_array(arena, struct safetensors_tensor, x->n_entries);
    if (!all)
        return err_set(err, ERR_1201, "%s: no memory for its tensors", index_name);
    for (uint32_t i = 0; i < x->n_shards; i++) {
        own(own_safetensors_source) struct safetensors_source src = {0};
        struct safetensors part;
        if (!opener->open(opener->ctx, x->shards[i], &src, err) ||
            !safetensors_read(&src, arena, &part, err))
            return false;
        if (part.n_tensors > x->n_entries - set.n_tensors)
            return err_set(err, ERR_2004, "%s holds tensors that the index does not know",
                           x->shards[i]);
        if (!take_shard(x, i, &part, all + set.n_tensors, err))
            return false;
        set.n_tensors += part.n_tensors;
        set.file_bytes += part.file_bytes;
        set.header_bytes += part.header_bytes;
        set.data_bytes += part.data_bytes;
    }
    set.tensors = all;
    set.n_shards = x->n_shards;
    *out = set;
    return true;
}
