/* schema: checks a JSON document against one of the published schemas, as strictly as the schema
 * can be read. */
#ifndef TESTS_API_SCHEMA_H
#define TESTS_API_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

/* Knows: $ref into $defs and to a schema beside it, type, enum, const, properties, required, additionalProperties, items,
 * minItems, maxItems, minimum, pattern. A keyword it does not know is an error, and so is a member
 * of the document that the schema does not name: what is not published must not be written. why:
 * what is wrong and where. */
bool schema_check(struct json_object *schema, struct json_object *doc, char *why, size_t cap);

/* The schema of that kind from the folder SCHEMA_DIR; the caller puts it. NULL when it cannot be
 * read. */
struct json_object *schema_open(const char *kind);

/* Parse text strictly and check it against the schema of its "kind", which must be `kind`. */
bool schema_check_text(const char *kind, const char *text, char *why, size_t cap);

#endif
