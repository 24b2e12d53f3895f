/* models_json: lists of models, built in and found, as a document. */
#ifndef API_MODELS_JSON_H
#define API_MODELS_JSON_H

#include "base/json.h"
#include "model/model.h"

/* Members "profiles" and "found" of an open object. */
void models_json(struct json *j, const struct model_profile *profiles, size_t n,
                 const struct model_list *found);

#endif
