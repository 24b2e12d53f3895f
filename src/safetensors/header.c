/* header: the header of one safetensors file: names, types, shapes, and ranges that must cover the
 * data. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"
#include "safetensors/scan.h"

static const struct {
    const char *name;
    uint32_t bits;
} types[] = {
#define X(NAME, width) {#NAME, width},
    SAFETENSORS_TYPES(X)
#undef X
};

const char *safetensors_type_name(uint32_t type)
{
    return type < ST_TYPE_COUNT ? types[type].name : NULL;
}

uint32_t safetensors_type_bits(uint32_t type)
{
    return type < ST_TYPE_COUNT ? types[type].bits : 0;
}

struct reader {
    struct scan scan;
    struct arena *arena;
    struct safetensors_tensor *tensors;
    uint32_t n, cap;
};

static bool grow(struct reader *r, struct err *err)
{
    if (r->n < r->cap)
        return true;
    if (r->n >= SAFETENSORS_MAX_TENSORS)
        return scan_refuse(&r->scan, err, "more than %d tensors", SAFETENSORS_MAX_TENSORS);
    uint32_t cap = r->cap ? 2 * r->cap : 256;
    struct safetensors_tensor *larger = realloc(r->tensors, cap * sizeof(*larger));
    if (!larger)
        return err_set(err, ERR_1201, "%s: no memory for its tensors", r->scan.src->name);
    r->tensors = larger;
    r->cap = cap;
    return true;
}

static bool read_type(struct reader *r, struct safetensors_tensor *t, struct err *err)
{
    char word[32];
    if (!scan_string(&r->scan, word, sizeof(word) - 1, err))
        return false;
    for (uint32_t i = 0; i < ST_TYPE_COUNT; i++) {
        if (strcmp(word, types[i].name) == 0) {
            t->type = (uint8_t)i;
            return true;
        }
    }
    char shown[64];
    return scan_refuse(&r->scan, err, "no such type: %s",
                       str_printable(word, strlen(word), shown, sizeof(shown)));
}

static bool read_shape(struct reader *r, struct safetensors_tensor *t, struct err *err)
{
    bool first = true, more;
    if (!scan_char(&r->scan, '[', err))
        return false;
    for (t->n_dims = 0;; t->n_dims++) {
        if (!scan_more(&r->scan, ']', &first, &more, err))
            return false;
        if (!more)
            return true;
        if (t->n_dims == SAFETENSORS_MAX_DIMS)
            return scan_refuse(&r->scan, err, "a tensor of more than %d dimensions",
                               SAFETENSORS_MAX_DIMS);
        if (!scan_u64(&r->scan, &t->shape[t->n_dims], err))
            return false;
    }
}

static bool read_range(struct reader *r, struct safetensors_tensor *t, struct err *err)
{
    uint64_t end;
    if (!scan_char(&r->scan, '[', err) || !scan_u64(&r->scan, &t->begin, err) ||
        !scan_char(&r->scan, ',', err) || !scan_u64(&r->scan, &end, err) ||
        !scan_char(&r->scan, ']', err))
        return false;
    if (end < t->begin || end > r->scan.src->size_bytes)
        return scan_refuse(&r->scan, err,
                           "a tensor lies at %" PRIu64 " to %" PRIu64 ", outside of the file",
                           t->begin, end);
    t->bytes = end - t->begin;
    return true;
}

/* The shape must multiply to the bytes of the range. */
static bool check_size(struct reader *r, const struct safetensors_tensor *t, struct err *err)
{
    uint64_t bits = types[t->type].bits;
    char shown[128];
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(bits, t->shape[i], &bits))
            return scan_refuse(&r->scan, err, "%s has more than 2^64 bits",
                               str_printable(t->name, strlen(t->name), shown, sizeof(shown)));
    if (bits % 8 == 0 && bits / 8 == t->bytes)
        return true;
    return scan_refuse(
        &r->scan, err, "%s has a range of %" PRIu64 " bytes, its shape needs %" PRIu64,
        str_printable(t->name, strlen(t->name), shown, sizeof(shown)), t->bytes, bits / 8);
}

static bool read_tensor(struct reader *r, const char *name, struct err *err)
{
    enum { DTYPE = 1, SHAPE = 2, RANGE = 4 };
    struct safetensors_tensor t = {0};
    bool first = true, more;
    char key[32];
    int seen = 0;
    if (!grow(r, err) || !scan_char(&r->scan, '{', err))
        return false;
    for (;;) {
        if (!scan_more(&r->scan, '}', &first, &more, err))
            return false;
        if (!more)
            break;
        if (!scan_string(&r->scan, key, sizeof(key) - 1, err) || !scan_char(&r->scan, ':', err))
            return false;
        int which = !strcmp(key, "dtype")          ? DTYPE
                    : !strcmp(key, "shape")        ? SHAPE
                    : !strcmp(key, "data_offsets") ? RANGE
                                                   : 0;
        if (!which || (seen & which))
            return scan_refuse(&r->scan, err,
                               which ? "a tensor says its %s twice" : "a tensor has no \"%s\"",
                               key);
        seen |= which;
        bool ok = which == DTYPE   ? read_type(r, &t, err)
                  : which == SHAPE ? read_shape(r, &t, err)
                                   : read_range(r, &t, err);
        if (!ok)
            return false;
    }
    if (seen != (DTYPE | SHAPE | RANGE))
        return scan_refuse(&r->scan, err, "a tensor lacks its type, its shape or its place");
    t.name = arena_strdup(r->arena, name);
    if (!t.name)
        return err_set(err, ERR_1201, "%s: no memory for its tensors", r->scan.src->name);
    r->tensors[r->n++] = t;
    return check_size(r, &t, err);
}

static bool read_members(struct reader *r, struct err *err)
{
    char name[SAFETENSORS_MAX_NAME + 1];
    bool first = true, more, metadata = false;
    if (!scan_char(&r->scan, '{', err))
        return false;
    for (;;) {
        if (!scan_more(&r->scan, '}', &first, &more, err))
            return false;
        if (!more)
            return scan_end(&r->scan, err);
        if (!scan_string(&r->scan, name, SAFETENSORS_MAX_NAME, err) ||
            !scan_char(&r->scan, ':', err))
            return false;
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata)
                return scan_refuse(&r->scan, err, "__metadata__ stands there twice");
            metadata = true;
            if (!scan_skip(&r->scan, err))
                return false;
        } else if (!read_tensor(r, name, err)) {
            return false;
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_tensor *)a)->name,
                  ((const struct safetensors_tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

/* No name twice; every byte of the data belongs to exactly one tensor. */
static bool check_cover(struct reader *r, uint64_t data_bytes, struct err *err)
{
    uint64_t at = 0;
    char shown[128];
    if (r->n)
        qsort(r->tensors, r->n, sizeof(*r->tensors), by_name);
    for (uint32_t i = 1; i < r->n; i++)
        if (strcmp(r->tensors[i - 1].name, r->tensors[i].name) == 0)
            return scan_refuse(&r->scan, err, "%s stands there twice",
                               str_printable(r->tensors[i].name, strlen(r->tensors[i].name), shown,
                                             sizeof(shown)));
    if (r->n)
        qsort(r->tensors, r->n, sizeof(*r->tensors), by_place);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct safetensors_tensor *t = &r->tensors[i];
        if (t->begin != at)
            return scan_refuse(
                &r->scan, err, "%s begins at %" PRIu64 ", %s %" PRIu64,
                str_printable(t->name, strlen(t->name), shown, sizeof(shown)), t->begin,
                t->begin < at ? "inside of the tensor that ends at" : "with a hole since", at);
        at += t->bytes;
    }
    if (at != data_bytes)
        return scan_refuse(&r->scan, err,
                           "its tensors end at %" PRIu64 " of %" PRIu64 " bytes of data", at,
                           data_bytes);
    return true;
}

static bool keep(const struct reader *r, uint64_t header, struct safetensors *out, struct err *err)
{
    struct safetensors_tensor *kept = arena_array(r->arena, struct safetensors_tensor, r->n + 1);
    if (!kept)
        return err_set(err, ERR_1201, "%s: no memory for its tensors", r->scan.src->name);
    if (r->n)
        memcpy(kept, r->tensors, r->n * sizeof(*kept));
    *out = (struct safetensors){.n_tensors = r->n,
                                .tensors = kept,
                                .n_shards = 1,
                                .file_bytes = r->scan.src->size_bytes,
                                .header_bytes = 8 + header,
                                .data_bytes = r->scan.src->size_bytes - 8 - header};
    return true;
}

static void own_reader(struct reader *r)
{
    scan_finish(&r->scan);
    free(r->tensors);
}

bool safetensors_read(const struct safetensors_source *src, struct arena *arena,
                      struct safetensors *out, struct err *err)
{
    own(own_reader) struct reader r = {.arena = arena};
    struct arena_mark mark = arena_mark(arena);
    unsigned char len[9]; /* and the brace that the format wants first */
    uint64_t header = 0;
    r.scan.src = src;
    if (src->size_bytes < 10)
        return scan_refuse(&r.scan, err, "has %" PRIu64 " bytes, the shortest header takes 10",
                           src->size_bytes);
    if (!src->read_at(src->ctx, 0, len, 9, err))
        return false;
    for (int i = 8; i-- > 0;)
        header = header << 8 | len[i];
    if (header < 2 || header > SAFETENSORS_MAX_HEADER || header > src->size_bytes - 8)
        return scan_refuse(&r.scan, err,
                           "says its header has %" PRIu64 " bytes; the file has %" PRIu64
                           ", the format allows %d",
                           header, src->size_bytes, SAFETENSORS_MAX_HEADER);
    if (len[8] != '{')
        return scan_refuse(&r.scan, err, "a '{' is missing at the header's start");
    bool ok = scan_init(&r.scan, src, 8, 8 + header, err) && read_members(&r, err) &&
              check_cover(&r, src->size_bytes - 8 - header, err) && keep(&r, header, out, err);
    if (!ok)
        arena_rewind(arena, mark);
    return ok;
}
