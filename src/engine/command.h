/* command: a plan as an engine's command: words for exec, variables, and one quoted line for people. */
#ifndef ENGINE_COMMAND_H
#define ENGINE_COMMAND_H

#include "base/str.h"
#include "engine/probe.h"
#include "engine/request.h"

enum { COMMAND_MAX_WORDS = 96 + REQUEST_MAX_WORDS, COMMAND_MAX_VARIABLES = 8 };

struct engine_command {
    uint32_t n_words;
    const char *words[COMMAND_MAX_WORDS + 1]; /* NULL terminated, for execvp */
    uint32_t n_variables;
    struct { const char *name, *value; } variables[COMMAND_MAX_VARIABLES];
    uint32_t n_dropped;
    const char *dropped[8]; /* flags the installed engine does not know, left out */
};

/* A word or a variable more; false when text is NULL or there is no room. */
bool command_add_word(struct engine_command *c, const char *text);
bool command_add_variable(struct engine_command *c, const char *name, const char *value);

/* model_path: what to put after -m. request: for words to hand on, files, port; may be NULL. probe: what the
 * installed engine knows; NULL: the newest known. The words mean the plan: planning them again on the same
 * cards gives the same plan. */
bool command_make(const struct plan *p, const struct engine_request *r, const char *model_path,
                  const struct engine_probe *probe, struct arena *arena, struct engine_command *out,
                  struct err *err);

void command_write_line(const struct engine_command *c, struct str *out); /* VAR=... word 'word two' */
void command_write_env(const struct engine_command *c, struct str *out);  /* NAME=value lines, quoted for sh */
void command_write_script(const struct engine_command *c, struct str *out); /* a POSIX shell script */

#endif
