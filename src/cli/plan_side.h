/* plan_side: one plan among several of a command: its words stand in one text, others around it
 * count for all. */
#ifndef CLI_PLAN_SIDE_H
#define CLI_PLAN_SIDE_H

#include "cli/plan_job.h"

enum { SIDE_MAX_WORDS = 200 };

struct plan_side {
    struct cli cli; /* with words and an arena of its own */
    struct plan_job job;
    char *argv[SIDE_MAX_WORDS + 1];
    int argc;
    bool made;
};

/* Words in `text` are split at blanks; 'single' and "double" quotes keep them in. An
 * engine's program at its head begins a whole command. outer: words before them. What stands
 * in the text comes last and so wins. Errors begin with `who` (may be NULL). finish gives back
 * models and memory. */
bool plan_side_make(struct cli *c, const char *who, const char *text, const char *const *outer,
                    int n_outer, struct plan_side *side, struct err *err);
void plan_side_finish(struct plan_side *side);

/* True unless one of these options was given; why: what is said behind its name, fix: what to do. */
struct plan_side_option {
    enum option_id id;
    const char *name;
};
bool plan_side_refuse(const struct cli *c, const struct plan_side_option *options, size_t n, const char *why,
                      const char *fix, struct err *err);

#endif
