/* sched_state: what the passes of sched*.c share; nobody else includes it. */
#ifndef LAW_SCHED_STATE_H
#define LAW_SCHED_STATE_H

#include "law/law.h"
#include "law/sched.h"

enum { SCHED_NOWHERE = -1 };

/* The copies of one tensor for one backend. */
struct crossing {
    int32_t next; /* the tensor's copies for another backend, -1 none */
    int32_t backend;
    struct g_tensor *copy[SCHED_MAX_COPIES];
};

struct keep_pair {
    uint32_t until; /* node of the graph */
    struct g_tensor *t;
};

#define SCHED_LIST(type) \
    struct {             \
        type *item;      \
        uint32_t n, cap; \
    }

struct sched_state {
    const struct sched_env *env;
    struct graph *g;
    struct arena *arena;
    int cpu;
    int8_t *backend;   /* by id; -1 not known yet */
    int32_t *crossing; /* by id: first of its list + 1, 0 none */
    int32_t n_ids;     /* tensors of the graph before copies were made */
    bool null_key;     /* the engine's table also holds the absent tensor */
    SCHED_LIST(struct crossing) crossings;
    SCHED_LIST(struct sched_split) splits;
    SCHED_LIST(struct g_tensor *) inputs;       /* of all splits, one after the other */
    SCHED_LIST(struct g_tensor *) graph_inputs; /* copied because of the pipeline */
    SCHED_LIST(struct keep_pair) keeps;
    const char *why;
};

/* Room for one more in a list; NULL when memory is out. */
void *sched_grow(struct sched_state *s, void **items, uint32_t *n, uint32_t *cap, size_t size);
#define SCHED_ADD(s, list) \
    sched_grow((s), (void **)&(list).item, &(list).n, &(list).cap, sizeof *(list).item)

int sched_home(const struct sched_state *s,
               const struct g_tensor *t); /* backend of a buffer outside, or -1 */
bool sched_is_at(const struct sched_state *s, const struct g_tensor *t, int backend);
bool sched_assign(struct sched_state *s); /* passes 1 to 4 */
bool sched_cut(struct sched_state *s);    /* pass 5 */
bool sched_arrange(struct sched_state *s, struct galloc_graph *out);
struct crossing *sched_crossing(struct sched_state *s, const struct g_tensor *t,
                                int backend); /* NULL none */

#endif
