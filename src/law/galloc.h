/* galloc: lays a graph out in compute buffers as ggml's graph allocator does. */
#ifndef LAW_GALLOC_H
#define LAW_GALLOC_H

#include "law/graph.h"

enum { GALLOC_MAX_BUFFERS = 17 }; /* devices and the host */

/* A graph ready to be allocated: what runs in which order, and in which buffer every result lies.
 * Nodes of op NONE are the scheduler's own: copies of a split's inputs, and views whose sources are
 * to be kept until that point. */
struct galloc_graph {
    uint32_t n_nodes, n_leafs;
    struct g_tensor **nodes, **leafs; /* leafs are allocated first */
    int8_t *node_buffer, *leaf_buffer;
    int32_t n_tensors; /* ids of all tensors above lie below */
};

/* The rules of one buffer. */
struct galloc_buffer {
    uint32_t alignment; /* power of two */
    uint64_t (*size_of)(const void *ctx,
                        const struct g_tensor *t); /* bytes before rounding to the alignment */
    const void *ctx;
};

/* What happened to one tensor, for those who want to compare with the engine step by step. */
struct galloc_event {
    enum galloc_what { GALLOC_TAKE, GALLOC_REUSE, GALLOC_FREE, GALLOC_FREE_EXTRA } what;
    const struct g_tensor *t, *parent;
    int buffer;
    uint64_t size, offset;
};
struct galloc_trace {
    void (*on_event)(void *ctx, const struct galloc_event *event);
    void *ctx;
};

/* Bytes each buffer must have: sizes[n_buffers]. False with *why when scratch is exhausted
 * ("memory"), or the engine's own table of free blocks (256 per buffer) would overflow. trace may
 * be NULL. Source of the rules: ggml/src/ggml-alloc.c, behaviour: best fit among the holes, the end
 * of the buffer last; in-place results; freeing when the last reader is done. */
bool galloc_measure(const struct galloc_graph *g, const struct galloc_buffer *buffers,
                    uint32_t n_buffers, struct arena *scratch, const struct galloc_trace *trace,
                    uint64_t *sizes, const char **why);

#endif
