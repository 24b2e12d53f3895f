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

/* Members and parts that plans for other engines have too. */
void plan_json_model(struct json *j, const struct model *m);
void plan_json_backend(struct json *j, const struct device *card);
/* Items of an open array. */
void plan_json_occupants(struct json *j, uint32_t device, const struct device *card);
void plan_json_texts(struct json *j, const char *key, const char *const *texts, uint32_t n);
void plan_json_speed(struct json *j, const struct plan *p, const struct speed *v);
void plan_json_alternatives(struct json *j, const struct plan_alternative *all, uint32_t n);
/* "argv" and "env" of an open object. */
void plan_json_argv(struct json *j, const struct engine_command *c);
void plan_json_command(struct json *j, const struct engine_command *c);

#endif
