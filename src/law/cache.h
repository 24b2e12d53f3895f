/* cache: the KV cache and recurrent state: cells, streams, elements, bytes, where they lie. */
#ifndef LAW_CACHE_H
#define LAW_CACHE_H

#include "law/assign.h"

/* One cache layer. ne as the engine allocates it: {n_embd, cells, streams}. */
struct cache_layer {
    uint64_t k_row, v_row;           /* elements per cell; 0: none */
    uint64_t index_row;              /* keys of a sparse-attention indexer, kept as K is */
    uint32_t cells;                  /* per stream */
    bool window;                     /* belongs to the sliding-window cache */
    int buffer;                      /* engine's device number or LAW_HOST */
    uint64_t r_elements, s_elements; /* recurrent state, F32, all rows */
};

struct cache_plan {
    uint32_t n_ctx, n_ctx_seq;    /* after rounding */
    uint32_t n_batch, n_ubatch;   /* after clamping */
    uint32_t n_streams;           /* 1 when unified */
    uint32_t cells, cells_window; /* per stream; cells_window 0: no window cache */
    uint32_t rs_rows;             /* rows of recurrent state */
    struct cache_layer layer[MODEL_MAX_LAYERS];
};

/* The engine's rounding and sizes. flash_on matters for V's layout where head sizes differ by
 * layer. ERR_2114 for a context out of range, ERR_2110 for rows that are no whole blocks. Law:
 * llama.cpp src/llama-context.cpp constructor, llama-kv-cache.cpp, llama-kv-cache-iswa.cpp,
 * llama-memory-recurrent.cpp, behaviour. */
bool cache_make(const struct model *m, const struct law_settings *s, const struct assignment *a,
                bool flash_on, struct cache_plan *out, struct err *err);
/* Adds to out->device[].bytes.kv and out->host.kv. */
void cache_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 const struct assignment *a, const struct cache_plan *c, struct law_result *out);

/* Elements of V per cell in the layer where they are most: without flash attention V is stored
 * transposed and every layer takes as many. */
uint32_t cache_widest_v(const struct model *m);

/* Families that keep snapshots of recurrent state (n_rs_seq); the engine drops the wish for all
 * others. */
bool cache_can_roll_back(const struct model *m);

#endif
