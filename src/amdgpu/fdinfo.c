/* fdinfo: line by line, key and value, as the kernel's drm-usage-stats document defines them. */
#include "amdgpu/fdinfo.h"

#include <string.h>

struct line {
    const char *key, *value;
    size_t key_len, value_len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next line that has a key; *at moves behind it. */
static bool next_line(const char *text, size_t len, size_t *at, struct line *out)
{
    while (*at < len) {
        const char *start = text + *at, *end = memchr(start, '\n', len - *at);
        size_t n = end ? (size_t)(end - start) : len - *at;
        *at += n + 1;
        const char *colon = memchr(start, ':', n);
        if (!colon)
            continue;
        out->key = start;
        out->key_len = (size_t)(colon - start);
        out->value = colon + 1;
        out->value_len = n - out->key_len - 1;
        while (out->value_len && is_blank(out->value[0]))
            out->value++, out->value_len--;
        while (out->value_len && is_blank(out->value[out->value_len - 1]))
            out->value_len--;
        return true;
    }
    return false;
}

static bool key_is(const struct line *l, const char *key)
{
    return l->key_len == strlen(key) && memcmp(l->key, key, l->key_len) == 0;
}

/* The name behind a prefix: of "drm-engine-gfx" and "drm-engine-", gfx. False where it is empty,
 * long or not plain. */
static bool name_behind(const struct line *l, const char *prefix, char out[FDINFO_NAME_MAX])
{
    size_t n = strlen(prefix);
    if (l->key_len <= n || l->key_len - n >= FDINFO_NAME_MAX || memcmp(l->key, prefix, n) != 0)
        return false;
    for (size_t i = n; i < l->key_len; i++)
        if (l->key[i] <= ' ' || l->key[i] > '~')
            return false;
    memcpy(out, l->key + n, l->key_len - n);
    out[l->key_len - n] = 0;
    return true;
}

static bool copy_value(const struct line *l, char out[FDINFO_NAME_MAX])
{
    if (!l->value_len || l->value_len >= FDINFO_NAME_MAX || memchr(l->value, 0, l->value_len))
        return false;
    memcpy(out, l->value, l->value_len);
    out[l->value_len] = 0;
    return true;
}

/* Digits at the start of the value; *rest is what follows them after blanks. */
static bool number(const struct line *l, uint64_t *out, struct line *rest)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < l->value_len && l->value[i] >= '0' && l->value[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (unsigned)(l->value[i] - '0'), &n))
            return false;
    if (i == 0)
        return false;
    while (i < l->value_len && is_blank(l->value[i]))
        i++;
    *rest = (struct line){.value = l->value + i, .value_len = l->value_len - i};
    *out = n;
    return true;
}

static bool rest_is(const struct line *rest, const char *word)
{
    return rest->value_len == strlen(word) && memcmp(rest->value, word, rest->value_len) == 0;
}

static bool plain_number(const struct line *l, const char *unit, uint64_t *out)
{
    struct line rest;
    return number(l, out, &rest) && (rest.value_len == 0 || rest_is(&rest, unit));
}

static bool bytes(const struct line *l, uint64_t *out)
{
    struct line rest;
    uint64_t n;
    if (!number(l, &n, &rest))
        return false;
    unsigned shift = rest_is(&rest, "KiB")   ? 10
                     : rest_is(&rest, "MiB") ? 20
                     : rest_is(&rest, "GiB") ? 30
                                             : 0;
    if ((!shift && rest.value_len) || n > UINT64_MAX >> shift)
        return false;
    *out = n << shift;
    return true;
}

static struct fdinfo_engine *engine_of(struct fdinfo *f, const char *name)
{
    for (uint32_t i = 0; i < f->n_engines; i++)
        if (strcmp(f->engine[i].name, name) == 0)
            return &f->engine[i];
    if (f->n_engines == FDINFO_ENGINES_MAX)
        return NULL;
    struct fdinfo_engine *e = &f->engine[f->n_engines++];
    *e = (struct fdinfo_engine){.capacity = 1};
    memcpy(e->name, name, strlen(name) + 1);
    return e;
}

/* "drm-engine-capacity-" before "drm-engine-", whose names it could be. */
static bool read_engine(const struct line *l, struct fdinfo *f)
{
    char name[FDINFO_NAME_MAX];
    struct fdinfo_engine *e;
    uint64_t n;
    if (name_behind(l, "drm-engine-capacity-", name)) {
        if (plain_number(l, "", &n) && n >= 1 && n <= 1024 && (e = engine_of(f, name)))
            e->capacity = (uint32_t)n;
    } else if (name_behind(l, "drm-engine-", name)) {
        if (plain_number(l, "ns", &n) && (e = engine_of(f, name)))
            e->busy_ns = n, e->has_ns = true;
    } else if (name_behind(l, "drm-cycles-", name)) {
        if (plain_number(l, "", &n) && (e = engine_of(f, name)))
            e->cycles = n, e->has_cycles = true;
    } else if (name_behind(l, "drm-total-cycles-", name)) {
        if (plain_number(l, "", &n) && (e = engine_of(f, name)))
            e->total_cycles = n, e->has_total = true;
    } else {
        return false;
    }
    return true;
}

static void read_region(const struct line *l, struct fdinfo *f)
{
    static const char *const prefix[] = {"drm-total-", "drm-memory-", "drm-resident-"};
    char name[FDINFO_NAME_MAX];
    uint64_t n;
    uint8_t rank = 0;
    for (uint8_t i = 0; i < 3 && !rank; i++)
        if (name_behind(l, prefix[i], name))
            rank = i + 1;
    if (!rank || !bytes(l, &n))
        return;
    struct fdinfo_region *r = NULL;
    for (uint32_t i = 0; i < f->n_regions && !r; i++)
        if (strcmp(f->region[i].name, name) == 0)
            r = &f->region[i];
    if (!r && f->n_regions < FDINFO_REGIONS_MAX) {
        r = &f->region[f->n_regions++];
        *r = (struct fdinfo_region){0};
        memcpy(r->name, name, strlen(name) + 1);
    }
    if (r && rank >= r->rank) {
        r->bytes = n;
        r->rank = rank;
    }
}

bool fdinfo_parse(const char *text, size_t len, struct fdinfo *out)
{
    struct fdinfo f = {0};
    struct line l;
    size_t at = 0;
    bool driver = false, pdev = false, client = false;
    if (len > FDINFO_TEXT_MAX)
        len = FDINFO_TEXT_MAX;
    while (next_line(text, len, &at, &l)) {
        if (l.key_len < 4 || memcmp(l.key, "drm-", 4) != 0)
            continue;
        if (key_is(&l, "drm-driver"))
            driver = copy_value(&l, f.driver);
        else if (key_is(&l, "drm-pdev"))
            pdev = copy_value(&l, f.pdev);
        else if (key_is(&l, "drm-client-id"))
            client = plain_number(&l, "", &f.client_id);
        else if (!read_engine(&l, &f))
            read_region(&l, &f);
    }
    if (!driver || !pdev || !client)
        return false;
    *out = f;
    return true;
}
