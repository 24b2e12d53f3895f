/* gpus_json: the inventory of NVIDIA GPUs as the document that scripts read;
 * schema/gpus.schema.json. */
#ifndef API_GPUS_JSON_H
#define API_GPUS_JSON_H

#include "base/json.h"
#include "nvml/nvml.h"

/* The members of an open object, after "schema" and "kind". Only real cards are ever listed. */
void gpus_json(struct json *j, const struct nvml_inventory *inventory);

#endif
