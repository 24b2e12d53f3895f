/* profile: built-in models as exact data; see data/profiles/README.md for the text they are written
 * in. */
#ifndef MODEL_PROFILE_H
#define MODEL_PROFILE_H

#include "model/model.h"

extern const char
    profile_text[]; /* every file of data/profiles, comments and empty lines left out */

/* Is `ref` a profile's name, with or without ":quant"? Cheap. */
bool profile_known(const char *ref);

/* The model `name[:quant]`; quant (may be NULL) is what --quant says. ERR_2001 with the nearest
 * names, ERR_9002 for a quantisation that does not exist, ERR_2113 when both are given and differ.
 */
bool profile_open(const char *ref, const char *quant, struct arena *arena, struct model *out,
                  struct err *err);

/* A header written in the profiles' text: sections [name] as above. Used for tests and for
 * profile_open. */
bool profile_read(const char *text, const char *name, struct arena *arena, struct gguf *out,
                  struct err *err);

#endif
