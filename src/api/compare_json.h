/* compare_json: two plans side by side as the document that scripts read;
 * schema/compare.schema.json describes it. */
#ifndef API_COMPARE_JSON_H
#define API_COMPARE_JSON_H

#include "base/json.h"
#include "plan/compare.h"

/* The members of an open object, after "schema" and "kind". names: how each side was asked for. */
void compare_json(struct json *j, const struct compare *c, const char *const names[2]);

#endif
