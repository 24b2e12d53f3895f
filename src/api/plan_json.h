/* plan_json: a plan as the document that scripts read; schema/plan.schema.json describes it. */
#ifndef API_PLAN_JSON_H
#define API_PLAN_JSON_H

#include "base/json.h"
#include "engine/command.h"

struct plan_document {
    const struct plan *plan;
    const struct engine_command *command; /* NULL: null */
    const struct engine_request *request; /* for what was not accounted for; may be NULL */
};

/* The members of an open object, after "schema" and "kind". */
void plan_json(struct json *j, const struct plan_document *doc);

#endif
