/* nextn: the draft context that runs on a model's NextN blocks (--spec-type draft-mtp). */
#ifndef LAW_NEXTN_H
#define LAW_NEXTN_H

#include "law/build.h"

/* The model as that context sees it: its NextN blocks have caches, all other layers have none.
 * Points into m. False: no memory. Source: llama.cpp src/llama-model.cpp create_memory, behaviour.
 */
bool nextn_model_make(const struct model *m, struct arena *arena, struct model *out);

/* Builder of the draft graph; NULL where the family has none that we know. */
graph_fn nextn_graph_for(const struct model *m);

/* False where the engine cannot draft with this model: no NextN blocks, or the family does not run
 * them. ERR_2114. */
bool nextn_check(const struct model *m, struct err *err);

#endif
