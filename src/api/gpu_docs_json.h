/* gpu_docs_json: how GPUs are joined, which to take, the limits of one and who holds its memory, as
 * documents: schema/topology, pick, limits and occupants. */
#ifndef API_GPU_DOCS_JSON_H
#define API_GPU_DOCS_JSON_H

#include "api/pick.h"
#include "api/topology.h"
#include "base/json.h"

/* Each writes the members of an open object, after "schema" and "kind". */
void topology_json(struct json *j, const struct gpu_view *views, const struct topology *t);

/* name: whom it is for, or NULL. */
void pick_json(struct json *j, const struct gpu_view *views, const struct pick *p,
               uint64_t need_bytes, const char *name, uint64_t host_free_bytes);

/* from_w, to_w: a change that was made; 0, 0: none. */
void limits_json(struct json *j, const struct gpu_view *v, uint32_t from_w, uint32_t to_w);

struct occupant_note {
    char user[64];       /* "" unknown */
    const char *why_not; /* why we may not stop it; NULL: we may */
};
struct stopped {
    uint32_t pid;                                     /* 0: none was */
    uint64_t held_bytes, came_back_bytes, free_bytes; /* UINT64_MAX unknown */
};
/* notes: one for every process of the view. */
void occupants_json(struct json *j, const struct gpu_view *v, const struct occupant_note *notes,
                    const struct stopped *stopped);

#endif
