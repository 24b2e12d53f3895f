/* batching: lists of lengths, groups, buckets and back-off: everything that needs no plan. */
#include "plan/batching.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { BUCKET_LEAST = 32, CLEAN_BEFORE_GROWTH = 5, SHOWN = 40 };

static bool bad_line(const char *name, uint32_t line, const char *text, size_t len, struct err *err)
{
    char shown[SHOWN * 4 + 1];
    str_printable(text, len < SHOWN ? len : SHOWN, shown, sizeof(shown));
    err_set(err, ERR_9002, "%s, line %u: \"%s%s\" is no length of a prompt", name, line, shown,
            len > SHOWN ? "..." : "");
    return err_fix(err, NULL, "one whole number of tokens a line, 1 to %d", BATCHING_MAX_LENGTH);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Digits alone: signs, fractions and other bases are refused. */
static bool parse_length(const char *text, size_t len, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(text[i] - '0');
        if (v > BATCHING_MAX_LENGTH)
            return false;
    }
    *out = v;
    return v > 0;
}

bool batching_parse(const char *name, const char *text, size_t len, struct arena *arena,
                    struct batching_lengths *out, struct err *err)
{
    uint32_t line = 0, n = 0;
    if (len > BATCHING_MAX_BYTES)
        return err_set(err, ERR_9002, "%s is larger than %d bytes", name, BATCHING_MAX_BYTES);
    uint32_t *tokens = arena_array(arena, uint32_t, BATCHING_MAX_LINES);
    if (!tokens)
        return err_set(err, ERR_1201, "no memory for a list of lengths");
    for (const char *p = text, *end = text + len; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        const char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        while (p < stop && is_blank(*p))
            p++;
        while (stop > p && is_blank(stop[-1]))
            stop--;
        if (++line > BATCHING_MAX_LINES)
            return err_set(err, ERR_9002, "%s has more than %d lines", name, BATCHING_MAX_LINES);
        if (p < stop && !parse_length(p, (size_t)(stop - p), &tokens[n++]))
            return bad_line(name, line, p, (size_t)(stop - p), err);
        p = next;
    }
    if (n == 0) {
        err_set(err, ERR_9002, "%s names no length", name);
        return err_fix(err, NULL, "one whole number of tokens a line, 1 to %d",
                       BATCHING_MAX_LENGTH);
    }
    *out = (struct batching_lengths){.n = n, .tokens = tokens};
    return true;
}

struct batching_rules batching_default_rules(void)
{
    return (struct batching_rules){
        .max_items = 32, .threshold = 256, .ratio = 2, .max_tokens = 16384};
}

/* Length and place in one number: sorting these keeps the list's order among equals. */
static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool sort_items(const struct batching_lengths *l, struct arena *arena, uint32_t *order)
{
    struct arena_mark mark = arena_mark(arena);
    uint64_t *keys = arena_array(arena, uint64_t, l->n);
    if (!keys)
        return false;
    for (uint32_t i = 0; i < l->n; i++)
        keys[i] = (uint64_t)l->tokens[i] << 32 | i;
    qsort(keys, l->n, sizeof(keys[0]), by_value);
    for (uint32_t i = 0; i < l->n; i++)
        order[i] = (uint32_t)keys[i];
    arena_rewind(arena, mark);
    return true;
}

static bool opens_batch(const struct batching_batch *b, const struct batching_rules *r,
                        uint32_t length)
{
    bool longer = length > r->threshold && length > (uint64_t)r->ratio * b->longest;
    return b->count >= r->max_items || longer || b->tokens + length > r->max_tokens;
}

static uint64_t pad_in_order(const struct batching_lengths *l, uint32_t items)
{
    uint64_t padded = 0;
    for (uint32_t i = 0; i < l->n; i += items) {
        uint32_t longest = 0, count = l->n - i < items ? l->n - i : items;
        for (uint32_t k = i; k < i + count; k++)
            longest = l->tokens[k] > longest ? l->tokens[k] : longest;
        padded += (uint64_t)longest * count;
    }
    return padded;
}

bool batching_group(const struct batching_lengths *lengths, const struct batching_rules *rules,
                    struct arena *arena, struct batching_groups *out, struct err *err)
{
    struct batching_rules r = *rules;
    struct batching_groups g = {.n_items = lengths->n};
    g.order = arena_array(arena, uint32_t, lengths->n ? lengths->n : 1);
    g.batches = arena_array(arena, struct batching_batch, lengths->n ? lengths->n : 1);
    if (!g.order || !g.batches || (lengths->n && !sort_items(lengths, arena, g.order)))
        return err_set(err, ERR_1201, "no memory for groups of prompts");
    r.max_items = r.max_items ? r.max_items : 1;
    struct batching_batch *b = NULL;
    for (uint32_t i = 0; i < lengths->n; i++) {
        uint32_t length = lengths->tokens[g.order[i]];
        if (!b || opens_batch(b, &r, length)) {
            b = &g.batches[g.n_batches++];
            b->first = i;
        }
        b->count++;
        b->tokens += length;
        b->longest = length;
        b->oversize = length > r.max_tokens;
        g.n_oversize += b->oversize;
        g.tokens += length;
    }
    for (uint32_t i = 0; i < g.n_batches; i++)
        g.padded += (uint64_t)g.batches[i].longest * g.batches[i].count;
    g.padded_in_order = pad_in_order(lengths, r.max_items);
    *out = g;
    return true;
}

uint32_t batching_pow2_bucket(uint32_t length)
{
    uint32_t bucket = BUCKET_LEAST;
    while (bucket < length && bucket < (uint32_t)1 << 31)
        bucket *= 2;
    return bucket < length ? length : bucket;
}

uint32_t batching_ratio_bucket(uint32_t length, uint32_t base, double ratio)
{
    double edge = base ? base : 1;
    while (edge < length) {
        double next = (double)(uint64_t)(edge * ratio);
        edge = next > edge ? next : edge + 1; /* small edges round down to themselves */
    }
    return edge < UINT32_MAX ? (uint32_t)edge : UINT32_MAX;
}

uint32_t batching_reduce(uint32_t batch)
{
    uint32_t less = (uint32_t)((uint64_t)batch * 3 / 4);
    return less ? less : 1;
}

struct batching_backoff batching_backoff_make(void)
{
    return (struct batching_backoff){.scale = 1.0};
}

void batching_backoff_oom(struct batching_backoff *b)
{
    b->scale = b->scale * 0.75 > 0.25 ? b->scale * 0.75 : 0.25;
    b->clean = 0;
    b->pressure = true;
}

void batching_backoff_clean(struct batching_backoff *b)
{
    if (b->clean < CLEAN_BEFORE_GROWTH)
        b->clean++;
    if (b->clean < CLEAN_BEFORE_GROWTH || b->scale >= 1.0)
        return;
    double most = b->pressure ? 0.95 : 1.0;
    b->scale = b->scale * 1.1 < most ? b->scale * 1.1 : most;
    b->pressure = b->pressure && b->scale <= 0.9;
}
