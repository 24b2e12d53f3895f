/* model_json: a model's header as the document that scripts read; schema/model.schema.json
 * describes it. */
#ifndef API_MODEL_JSON_H
#define API_MODEL_JSON_H

#include "base/json.h"
#include "model/family.h"

/* "Llama", "DeepSeek 2 and 3"; "unknown" where the architecture has no row of its own. */
const char *model_family_title(const struct model *m);

const char *model_kv_name(enum kv_kind kind); /* "full", "window", ... */

/* Bytes a cell of the context takes in this layer with a K and V cache of these types; 0 where it
 * keeps none. */
uint64_t model_cell_bytes(const struct model_layer *l, uint32_t type_k, uint32_t type_v);

/* Weights of one layer, without any device's padding. */
uint64_t model_layer_bytes(const struct model *m, uint32_t layer);

/* The members of an open object, after "schema" and "kind". tensors: with every tensor. */
void model_json(struct json *j, const struct model *m, bool tensors);

#endif
