/* gpus_json: the GPUs as documents: schema/gpus.schema.json describes them. */
#ifndef API_GPUS_JSON_H
#define API_GPUS_JSON_H

#include "api/watch.h"
#include "base/json.h"

/* The members of an open object, after "schema" and "kind". */
void gpus_json(struct json *j, const struct gpu_view *views, uint32_t n);

/* One GPU as an object. */
void gpu_json(struct json *j, const struct gpu_view *v);

/* A sample's values as an object: "utilization_percent", "memory_used_bytes" ...; null is unknown. */
void sample_json(struct json *j, const struct sample *s);

#endif
