/* type: the tensor types of GGUF: names, block sizes, bytes. */
#ifndef GGUF_TYPE_H
#define GGUF_TYPE_H

#include <stdbool.h>
#include <stdint.h>

/* X(id, NAME, "name", elements per block, bytes per block, quantised) : the ids and sizes of ggml
 * 0.25 (ggml.h, ggml-common.h); ids that were removed are absent and thus refused. */
#define GGUF_TYPES(X)                     \
    X(0, F32, "f32", 1, 4, 0)             \
    X(1, F16, "f16", 1, 2, 0)             \
    X(2, Q4_0, "q4_0", 32, 18, 1)         \
    X(3, Q4_1, "q4_1", 32, 20, 1)         \
    X(6, Q5_0, "q5_0", 32, 22, 1)         \
    X(7, Q5_1, "q5_1", 32, 24, 1)         \
    X(8, Q8_0, "q8_0", 32, 34, 1)         \
    X(9, Q8_1, "q8_1", 32, 36, 1)         \
    X(10, Q2_K, "q2_K", 256, 84, 1)       \
    X(11, Q3_K, "q3_K", 256, 110, 1)      \
    X(12, Q4_K, "q4_K", 256, 144, 1)      \
    X(13, Q5_K, "q5_K", 256, 176, 1)      \
    X(14, Q6_K, "q6_K", 256, 210, 1)      \
    X(15, Q8_K, "q8_K", 256, 292, 1)      \
    X(16, IQ2_XXS, "iq2_xxs", 256, 66, 1) \
    X(17, IQ2_XS, "iq2_xs", 256, 74, 1)   \
    X(18, IQ3_XXS, "iq3_xxs", 256, 98, 1) \
    X(19, IQ1_S, "iq1_s", 256, 50, 1)     \
    X(20, IQ4_NL, "iq4_nl", 32, 18, 1)    \
    X(21, IQ3_S, "iq3_s", 256, 110, 1)    \
    X(22, IQ2_S, "iq2_s", 256, 82, 1)     \
    X(23, IQ4_XS, "iq4_xs", 256, 136, 1)  \
    X(24, I8, "i8", 1, 1, 0)              \
    X(25, I16, "i16", 1, 2, 0)            \
    X(26, I32, "i32", 1, 4, 0)            \
    X(27, I64, "i64", 1, 8, 0)            \
    X(28, F64, "f64", 1, 8, 0)            \
    X(29, IQ1_M, "iq1_m", 256, 56, 1)     \
    X(30, BF16, "bf16", 1, 2, 0)          \
    X(34, TQ1_0, "tq1_0", 256, 54, 1)     \
    X(35, TQ2_0, "tq2_0", 256, 66, 1)     \
    X(39, MXFP4, "mxfp4", 32, 17, 1)      \
    X(40, NVFP4, "nvfp4", 64, 36, 1)      \
    X(41, Q1_0, "q1_0", 128, 18, 1)       \
    X(42, Q2_0, "q2_0", 64, 18, 1)

enum gguf_type {
#define X(id, NAME, name, block, bytes, quant) GGUF_TYPE_##NAME = id,
    GGUF_TYPES(X)
#undef X
        GGUF_TYPE_LIMIT = 64, /* ids at or above are refused before any table look-up */
};

struct gguf_type_info {
    const char *name; /* NULL: no such type */
    uint32_t block;   /* elements per block */
    uint32_t block_bytes;
    bool quantised;
};

const struct gguf_type_info *gguf_type_info(uint32_t type); /* NULL when unknown */
bool gguf_type_by_name(const char *name, uint32_t *out);    /* case folded */

/* Bytes of a row of ne0 elements; ne0 must be a multiple of the block (callers check). */
static inline uint64_t gguf_row_bytes(const struct gguf_type_info *t, uint64_t ne0)
{
    return ne0 / t->block * t->block_bytes;
}

#endif
