/* suggest_json: combinations of cards for a model as the document that scripts read; schema/suggestions.schema.json. */
#ifndef API_SUGGEST_JSON_H
#define API_SUGGEST_JSON_H

#include "base/json.h"
#include "plan/suggest.h"

/* The members of an open object, after "schema" and "kind". */
void suggest_json(struct json *j, const struct model *model, const struct suggest_wish *wish,
                  const struct suggestions *found);

#endif
