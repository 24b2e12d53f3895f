/* own: scope cleanup, one line per owning type. */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stdlib.h>
#include <unistd.h>

/* A room declares `static inline void own_x(struct x *p) { x_finish(p); }` and callers write
 * `own(own_x) struct x x = {0};`. Heap memory and descriptors have own_free and own_fd below. */
#define own(fn) __attribute__((cleanup(fn)))

static inline void own_free_fn(void *pp)
{
    free(*(void **)pp);
}
static inline void own_fd_fn(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define own_free own(own_free_fn) /* own_free char *s = ...; */
#define own_fd   own(own_fd_fn)   /* own_fd int fd = -1; */

#endif
