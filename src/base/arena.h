/* arena: memory that is given back all at once; results of thinking rooms live in one. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block;

/* Zeroed is a valid empty arena. limit_bytes 0 means ARENA_DEFAULT_LIMIT. Not thread safe. */
struct arena {
    struct arena_block *head;
    size_t used_bytes;  /* handed out, padding included */
    size_t limit_bytes; /* most that will ever be handed out */
};

#define ARENA_DEFAULT_LIMIT ((size_t)256 << 20)

void arena_init(struct arena *a, size_t limit_bytes);
void arena_finish(struct arena *a); /* frees everything; the arena is empty and usable again */

/* Zeroed memory aligned to 16 bytes, or NULL when the limit or the machine's memory is reached
 * (count * size is checked for overflow). */
void *arena_alloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(a, type)      ((type *)arena_alloc((a), 1, sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type)))

/* A place in the arena to come back to: all that was handed out after arena_mark is free again
 * after arena_rewind (blocks are kept for reuse). */
struct arena_mark {
    struct arena_block *block;
    size_t block_used;
    size_t used_bytes;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

static inline void own_arena(struct arena *a)
{
    arena_finish(a);
}

#endif
