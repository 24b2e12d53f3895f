/* source: from whatever a person named to a header: path, URL or hub reference. Internal to the
 * room. */
#ifndef MODEL_SOURCE_H
#define MODEL_SOURCE_H

#include "model/model.h"

/* The header behind ref; quant (may be NULL) picks among the files of a hub repository. */
bool source_read(const char *ref, const char *quant, struct arena *arena, struct gguf *out,
                 struct err *err);

/* A model of a file, all its strings in arena. Headers of single files are kept in the cache
 * "headers" by device, inode, size and time of change. */
bool source_model(const char *ref, const char *quant, struct arena *arena, struct model *out,
                  struct err *err);

/* Is name that of a later shard ("-00002-of-00003.gguf")? */
bool source_is_later_shard(const char *name);

/* The names of all *.gguf in dir that are neither projectors nor later shards, sorted. */
bool source_list(const char *dir, struct arena *arena, const char ***out, size_t *n,
                 struct err *err);

#endif
