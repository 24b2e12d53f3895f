/* toy_model: small models made by hand, placed and built into graphs, for tests of the graph
 * builders. */
#ifndef TESTS_LAW_TOY_MODEL_H
#define TESTS_LAW_TOY_MODEL_H

#include "law/build.h"

enum {
    TOY_LAYERS = 3,
    TOY_TENSORS = 96,
    TOY_EMBD = 64,
    TOY_FF = 128,
    TOY_VOCAB = 256,
    TOY_EXPERTS = 8
};

struct toy {
    struct arena arena;
    struct model model;
    struct model_layer layers[TOY_LAYERS];
    struct model_tensor tensors[TOY_TENSORS];
    struct machine machine;
    struct law_settings settings;
    struct assignment placed;
    struct cache_plan cache;
    struct graph graph;
    struct builder builder;
};

/* A dense model of 3 layers with 4 heads of 16, 2 of them for K and V; one card. */
void toy_init(struct toy *t, const char *architecture);
void toy_finish(struct toy *t);
void toy_add(struct toy *t, int layer, enum tensor_role role, enum tensor_part part, uint64_t n0,
             uint64_t n1, uint64_t n2);
void toy_drop(struct toy *t, int layer, enum tensor_role role);
void toy_add_experts(struct toy *t); /* in place of the dense feed-forward, 2 of 8 */
/* Place it and build the graph of n_tokens over the settings' sequences. */
bool toy_build(struct toy *t, int64_t n_tokens, int64_t n_outputs);

uint32_t toy_count(const struct toy *t, enum g_op op);
const struct g_tensor *toy_find(const struct toy *t, enum g_op op,
                                uint32_t nth); /* NULL: no such */
const struct g_tensor *toy_leaf(const struct toy *t, const char *name);
uint32_t toy_place(const struct toy *t, const struct g_tensor *node); /* position among the nodes */

#endif
