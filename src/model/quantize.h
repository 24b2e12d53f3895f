/* quantize: which type every tensor of a model would have after llama-quantize (llama.cpp
 * src/llama-quant.cpp, behaviour, without an importance matrix and without options of its own). */
#ifndef MODEL_QUANTIZE_H
#define MODEL_QUANTIZE_H

#include "model/model.h"

/* Names of the mixes ("Q4_K_M"), the smallest first; NULL past the last. */
const char *quantize_name(size_t i);

/* The mix a person means: case folded, "Q4_K" is Q4_K_M. NULL when there is none of that name. */
const char *quantize_find(const char *name);

/* Type per tensor of m (n_tensors of them) for mix `name`. m's own types are those of the
 * unquantised file: F32, F16, BF16, or what its maker left as it is. scratch is rewound. ERR_9002
 * unknown mix. */
bool quantize_types(const struct model *m, const char *name, struct arena *scratch, uint8_t *types,
                    struct err *err);

/* The same, written into m: types, bytes, quantization and file_bytes. m's tensors must be in
 * arena. */
bool quantize_model(struct model *m, const char *name, struct arena *arena, struct err *err);

#endif
