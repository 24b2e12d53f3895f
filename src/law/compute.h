/* compute: the compute buffers the engine reserves before the first token. */
#ifndef LAW_COMPUTE_H
#define LAW_COMPUTE_H

#include "law/build.h"
#include "law/sched.h"

/* What is the same for all graphs of one context. */
struct compute_setup {
    const struct model *m;
    const struct machine *mc;
    const struct law_settings *s;
    const struct assignment *a;
    const struct cache_plan *c;
    struct cuda_rules rules[MACHINE_MAX_DEVICES];
    struct galloc_buffer buffers[GALLOC_MAX_BUFFERS];
    struct sched_env env;
    uint32_t max_nodes; /* the engine's budget, llama-context.cpp graph_max_nodes */
};

/* One ubatch. */
struct compute_shape {
    uint32_t n_tokens, n_seqs, n_outputs; /* n_tokens is rounded up to a multiple of n_seqs */
    bool flash_on;
};

struct compute_run {
    struct graph graph;
    struct sched_plan plan;
    uint64_t sizes[GALLOC_MAX_BUFFERS]; /* by backend, the host's is [n_devices] */
};

/* setup is used in place: it points into itself and must not be moved. */
void compute_setup_init(struct compute_setup *setup, const struct model *m,
                        const struct machine *mc, const struct law_settings *s,
                        const struct assignment *a, const struct cache_plan *c);

/* Builds, cuts and (with sizes wanted) lays out the graph of one shape; everything lives in
 * scratch. ERR_2111 where the engine would abort, ERR_1201 when scratch is exhausted. trace may be
 * NULL. */
bool compute_run_make(const struct compute_setup *setup, const struct compute_shape *shape,
                      bool with_sizes, const struct galloc_trace *trace, struct arena *scratch,
                      struct compute_run *out, struct err *err);

/* What the largest of the graphs of a reservation put into the engine's tables. */
struct compute_load {
    uint32_t n_nodes, n_keys, n_splits;
    uint32_t most_nodes, most_keys; /* where it aborts */
};

/* The engine's reservation: flash "auto" decided by a probe, then the prompt's and the generation's
 * graphs, the larger of both per buffer. Sets flash_on, n_splits, n_nodes, compute_exact and the
 * compute bytes of out (adding nothing else); families without a graph get an estimate with a
 * range and load 0. Source: llama.cpp src/llama-context.cpp sched_reserve, behaviour. */
bool compute_reserve(const struct model *m, const struct machine *mc, const struct law_settings *s,
                     const struct assignment *a, const struct cache_plan *c, struct arena *scratch,
                     struct law_result *out, struct compute_load *load, struct err *err);

#endif
