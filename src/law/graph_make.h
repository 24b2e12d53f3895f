/* graph_make: how the constructors of graph_*.c make tensors; nobody else includes it. */
#ifndef LAW_GRAPH_MAKE_H
#define LAW_GRAPH_MAKE_H

#include "law/graph.h"

/* Mark the graph as failed (the first place wins) and return its dud. */
struct g_tensor *g_fail(struct graph *g, const char *where);

/* A fresh contiguous tensor; ne are checked against overflow. */
struct g_tensor *g_make(struct graph *g, uint8_t op, uint32_t type, int64_t n0, int64_t n1,
                        int64_t n2, int64_t n3);
/* A fresh contiguous tensor with a's type and shape, and a as its first source. */
struct g_tensor *g_make_like(struct graph *g, uint8_t op, struct g_tensor *a);
/* A view of a (or of what a views) with these dimensions and contiguous strides. */
struct g_tensor *g_make_view(struct graph *g, uint8_t op, struct g_tensor *a, const int64_t ne[4],
                             uint64_t offset);
/* A view of a with a's own strides: what *_inplace constructors return. */
struct g_tensor *g_make_same(struct graph *g, uint8_t op, struct g_tensor *a);

int64_t g_product(int64_t n0, int64_t n1, int64_t n2, int64_t n3); /* -1: out of range */

/* Leave a constructor unless every source is there, the graph is sound and the shape rule holds. */
#define G_CHECK(g, rule)                  \
    do {                                  \
        if ((g)->failed || !(rule))       \
            return g_fail((g), __func__); \
    } while (0)

#endif
