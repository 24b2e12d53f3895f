/* sched: which device runs every node, where a graph is cut, what is copied across the cuts. */
#ifndef LAW_SCHED_H
#define LAW_SCHED_H

#include "law/cuda.h"
#include "law/galloc.h"

enum {
    SCHED_MAX_COPIES = 4,    /* GGML_SCHED_MAX_COPIES: copies with pipeline parallelism */
    SCHED_MAX_BACKENDS = 16, /* GGML_SCHED_MAX_BACKENDS, the CPU included */
};

struct sched_env {
    uint32_t n_devices;               /* backends 0..n_devices-1; the CPU is number n_devices */
    const struct cuda_rules *devices; /* [n_devices] */
    bool op_offload;
    uint32_t n_copies; /* 1, or SCHED_MAX_COPIES */
};

struct sched_split {
    int backend;
    uint32_t from, to; /* nodes of the graph */
    uint32_t first_input, n_inputs;
};

struct sched_plan {
    struct galloc_graph order; /* for the allocator; buffers are numbered as backends */
    int8_t *backend;           /* of every tensor, by id */
    struct sched_split *splits;
    uint32_t n_splits;
    uint32_t
        n_keys; /* tensors the engine's scheduler remembers: it aborts when its table is full */
};

/* Assign, cut and copy. The graph is used up: sources that lie elsewhere are replaced by their
 * copies. False when scratch is exhausted or the engine would abort (a result that must lie where
 * it cannot be computed); *why then says which. Source of the rules: ggml/src/ggml-backend.cpp
 * split_graph, behaviour. */
bool sched_make(const struct sched_env *env, struct graph *g, struct arena *scratch,
                struct sched_plan *out, const char **why);

bool sched_supports(const struct sched_env *env, int backend, const struct g_tensor *op);

#endif
