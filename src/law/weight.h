/* weight: by which op the engine uses a weight, for that decides where it may lie. */
#ifndef LAW_WEIGHT_H
#define LAW_WEIGHT_H

#include "law/law.h"

enum weight_op {
    WEIGHT_MUL_MAT,
    WEIGHT_MUL_MAT_ID,
    WEIGHT_GET_ROWS,
    WEIGHT_ELEMENT, /* added, multiplied or divided element by element */
    WEIGHT_SSM_CONV,
    WEIGHT_SSM_SCAN,
    WEIGHT_ANY, /* an op that every backend knows for every type it is used with */
};

enum weight_place { WEIGHT_INPUT, WEIGHT_FIRST_LAYER, WEIGHT_LAYER, WEIGHT_OUTPUT };

/* llama.cpp src/llama-arch.cpp LLM_TENSOR_INFOS, behaviour. */
enum weight_op weight_op(const struct model *m, const struct model_tensor *t);
enum weight_place weight_place(const struct model *m, const struct model_tensor *t);

/* rope_freqs, rope_factors_long, rope_factors_short: model-wide in the file, one copy per buffer
 * with layers. */
bool weight_is_rope_factor(const struct model_tensor *t);

/* A CUDA device can use the weight by that op (ggml-cuda.cu supports_op, behaviour). */
bool weight_fits_cuda(const struct model *m, const struct model_tensor *t, enum weight_op op);

/* The CPU's repacked kernels take it (ggml-cpu repack.cpp with AVX2, behaviour). */
bool weight_fits_repack(const struct model_tensor *t, enum weight_op op);

#endif
