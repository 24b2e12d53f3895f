/* arena: hands out zeroed memory from a chain of blocks. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN       16
#define BLOCK_FIRST ((size_t)16 << 10)
#define BLOCK_MOST  ((size_t)1 << 20)

/* arena.head is the block in use; `newer` ones were left by a rewind and are taken up again. */
struct arena_block {
    struct arena_block *older, *newer;
    size_t size, used;
    size_t dirty; /* bytes from the start that may not be zero any more */
    alignas(ALIGN) unsigned char data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit_bytes = limit_bytes ? limit_bytes : ARENA_DEFAULT_LIMIT};
}

void arena_finish(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b && b->newer)
        b = b->newer;
    while (b) {
        struct arena_block *older = b->older;
        free(b);
        b = older;
    }
    a->head = NULL;
    a->used_bytes = 0;
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : BLOCK_FIRST;
    if (size > BLOCK_MOST)
        size = BLOCK_MOST;
    if (size < need)
        size = need;
    struct arena_block *b = calloc(1, sizeof(*b) + size);
    if (!b)
        return NULL;
    b->size = size;
    b->older = a->head;
    if (a->head) {
        b->newer = a->head->newer;
        a->head->newer = b;
    }
    if (b->newer)
        b->newer->older = b;
    a->head = b;
    return b;
}

static struct arena_block *block_with_room(struct arena *a, size_t need)
{
    struct arena_block *b = a->head;
    if (b && b->size - b->used >= need)
        return b;
    if (b && b->newer && b->newer->size >= need) {
        a->head = b->newer;
        a->head->used = 0;
        return a->head;
    }
    return add_block(a, need);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    size_t want, limit = a->limit_bytes ? a->limit_bytes : ARENA_DEFAULT_LIMIT;
    if (__builtin_mul_overflow(count, size, &want) || want > limit)
        return NULL;
    size_t need = want ? (want + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (need < want || need > limit - a->used_bytes)
        return NULL;
    struct arena_block *b = block_with_room(a, need);
    if (!b)
        return NULL;
    unsigned char *p = b->data + b->used;
    if (b->dirty > b->used)
        memset(p, 0, b->dirty - b->used < need ? b->dirty - b->used : need);
    b->used += need;
    if (b->dirty < b->used)
        b->dirty = b->used;
    a->used_bytes += need;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? arena_alloc(a, len + 1, 1) : NULL;
    if (p && len)
        memcpy(p, s, len);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1, 1) : NULL;
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->head, a->head ? a->head->used : 0, a->used_bytes};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    while (a->head && a->head != mark.block && a->head->older)
        a->head = a->head->older;
    if (a->head)
        a->head->used = mark.block ? mark.block_used : 0;
    a->used_bytes = mark.used_bytes;
}
