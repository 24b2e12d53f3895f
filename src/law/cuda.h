/* cuda: what llama.cpp's CUDA and CPU backends run, what results take there, what they keep. */
#ifndef LAW_CUDA_H
#define LAW_CUDA_H

#include "law/graph.h"

/* One card as its backend sees it. */
struct cuda_rules {
    int device;   /* the engine's number */
    int cc;       /* compute capability times 100: 890; cards without one are taken for an 890 */
    bool remote;  /* behind RPC: it is not asked what it supports */
    bool passive; /* takes no ops over and fuses nothing in advance: RPC, and the one device that
                     -sm tensor makes of all */
};

enum { CUDA_ALIGNMENT = 128, HOST_ALIGNMENT = 32, CUDA_OFFLOAD_MIN_BATCH = 32 };

/* ggml-cuda.cu ggml_backend_cuda_device_supports_op (ggml-rpc.cpp for remote ones), behaviour. */
bool cuda_supports(const struct cuda_rules *r, const struct g_tensor *op);
/* Is an op on host weights worth copying them over (batch of 32 or more)? */
bool cuda_offloads(const struct cuda_rules *r, const struct g_tensor *op);
/* Bytes of a result in a CUDA buffer: rows padded where quantised, FP16 copies of K and V behind
 * flash attention (ggml-cuda.cu get_alloc_size, fattn.cu). ctx is a struct cuda_rules. */
uint64_t cuda_size_of(const void *ctx, const struct g_tensor *t);

/* ggml-cpu.cpp supports_op, behaviour, repacked weights included. */
bool cpu_supports(const struct g_tensor *op);
uint64_t host_size_of(const void *ctx, const struct g_tensor *t); /* plain bytes; ctx is not used */

/* A part of a graph in the order it runs, as a backend gets it to look for fusions. */
struct graph_part {
    struct g_tensor *const *nodes; /* of the whole graph */
    const uint16_t *uses;          /* readers of every node, by id */
    uint32_t n_nodes;              /* of the whole graph */
    uint32_t from, to;             /* this part */
};
/* Called once per tensor that must outlive its last reader, until `until` has run. */
struct keep_sink {
    void (*keep)(void *ctx, struct g_tensor *t, uint32_t until);
    void *ctx;
};
/* ggml-cuda.cu graph_optimize, behaviour. */
void cuda_keep_for_fusion(const struct graph_part *part, const struct keep_sink *sink);

#endif
