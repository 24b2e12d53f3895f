/* describe: a model from a YAML of hyper-parameters: a llama-like tensor table of those sizes. */
#ifndef MODEL_DESCRIBE_H
#define MODEL_DESCRIBE_H

#include "model/model.h"

enum { DESCRIBE_MAX_BYTES = 1 << 20, DESCRIBE_MAX_DEPTH = 16 };

/* Reads `path`: at most DESCRIBE_MAX_BYTES, one mapping of
 *   name, context_length, hidden_size, num_layers, num_heads, kv_heads (num_heads), head_dim
 * (hidden_size / num_heads), vocab_size (32000), intermediate_size (8/3 of hidden_size, up to a
 * multiple of 256), experts (0), experts_used (2), quantization (F16), tied_embeddings (false).
 * quant (may be NULL) goes before `quantization`. ERR_2007 with line and column, ERR_1202,
 * ERR_2008. */
bool describe_open(const char *path, const char *quant, struct arena *arena, struct model *out,
                   struct err *err);

/* The same from memory; path is for messages. */
bool describe_parse(const char *path, const char *text, size_t len, const char *quant,
                    struct arena *arena, struct model *out, struct err *err);

#endif
