/* together_json: several plans on the same cards as one document; schema/plans.schema.json
 * describes it. */
#ifndef API_TOGETHER_JSON_H
#define API_TOGETHER_JSON_H

#include "api/plan_json.h"
#include "plan/together.h"

/* The members of an open object, after "schema" and "kind". docs: one for each plan, in order;
 * names as asked for. */
void together_json(struct json *j, const struct together *t, const struct plan_document *docs,
                   const char *const *names);

#endif
