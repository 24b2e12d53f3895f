/* vllm_json: a vLLM plan as the document that scripts read; schema/plan.schema.json has its keys too. */
#ifndef API_VLLM_JSON_H
#define API_VLLM_JSON_H

#include "base/json.h"
#include "engine/vllm_command.h"
#include "engine/vllm_hosts.h"

/* The members of an open object, after "schema" and "kind". model: hub_to_model's. request may be
 * NULL. */
void vllm_json(struct json *j, const struct vllm_plan *p, const struct model *model,
               const struct engine_command *command, const struct vllm_request *request,
               const struct vllm_hosts *hosts);

#endif
