/* probe: finds an installed engine and learns which flags it knows, once for every version of the file. */
#ifndef ENGINE_PROBE_H
#define ENGINE_PROBE_H

#include "base/arena.h"
#include "base/err.h"

enum { PROBE_MAX_TEXT = 1 << 20, PROBE_TIMEOUT_MS = 10000 };

struct engine_probe {
    const char *path;    /* absolute */
    const char *version; /* first line of --version that names one, or NULL */
    uint32_t build;      /* build number, 0 unknown */
    const char *help;    /* all of --help */
};

/* Absolute path of a program on PATH (or itself when it holds a slash). ERR_3001 when there is none. */
bool probe_find(const char *program, struct arena *arena, const char **path, struct err *err);

/* --version and --help of the program, from the cache under XDG_CACHE_HOME when the file is unchanged (device, inode,
 * size, mtime), else by running it (bounded time and output) and remembering. ERR_3001, ERR_3002. */
bool probe_engine(const char *program, struct arena *arena, struct engine_probe *out, struct err *err);

/* True if the help lists this flag as a word of its own. NULL probe: true. */
bool probe_knows(const struct engine_probe *p, const char *flag);

#endif
