/* batching_json: advice for prompts of known lengths, as the member "batching" of a plan document.
 */
#ifndef API_BATCHING_JSON_H
#define API_BATCHING_JSON_H

#include "base/json.h"
#include "plan/batching.h"

/* The member of an open object. */
void batching_json(struct json *j, const struct batching_advice *a);

#endif
