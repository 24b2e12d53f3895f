/* load: the files beside the model that a command names: projector, draft model, adapters. */
#ifndef ENGINE_LOAD_H
#define ENGINE_LOAD_H

#include "engine/request.h"

/* Read the headers of what r names and enter their bytes into r->wish. model is the main one; everything lives in
 * arena. Errors are those of the readers, with the flag's name in front. */
bool request_load(struct engine_request *r, const struct model *model, struct arena *arena,
                  struct err *err);

#endif
