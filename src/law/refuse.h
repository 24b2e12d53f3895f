/* refuse: what the engine would refuse before it allocates, and the nearest setting it accepts. */
#ifndef LAW_REFUSE_H
#define LAW_REFUSE_H

#include "law/law.h"

/* True when the engine takes these settings for this model on these devices. Else ERR_2110
 * (combination), ERR_2112 (split) or ERR_2114 (range), with the reason and the flag of the nearest
 * legal setting as command. Law: llama.cpp src/llama-context.cpp llama_init_from_model and
 * constructor, src/llama-model.cpp, behaviour. */
bool refuse_check(const struct model *m, const struct machine *mc, const struct law_settings *s,
                  struct err *err);

#endif
