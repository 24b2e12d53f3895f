/* place: where every tensor lies once the layers are placed. */
#ifndef LAW_PLACE_H
#define LAW_PLACE_H

#include "law/assign.h"

/* Fills tensor_buffer, output_copy_buffer, rope_fixed and repacked_any of an assignment whose
 * devices and layers are known. ERR_2112 and ERR_2114 for -ot rules the engine cannot follow. */
bool place_tensors(const struct model *m, const struct machine *mc, const struct law_settings *s,
                   struct arena *arena, struct assignment *a, struct err *err);

/* Families whose NextN blocks the engine reads for no model, whatever was asked. */
bool place_never_loads_nextn(const struct model *m);

/* The tied copy of token_embd lies repacked on the host. */
bool place_repacks_copy(const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a);

#endif
