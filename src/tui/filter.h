/* filter: which GPUs and processes are wanted: "temp>80 & util<5", plain words, both mixed. */
#ifndef TUI_FILTER_H
#define TUI_FILTER_H

#include "base/err.h"
#include "tui/model.h"

enum { FILTER_TEXT_MAX = 96, FILTER_NODES_MAX = 48 };

struct filter_node {
    uint8_t kind;  /* of filter.c */
    uint8_t field; /* metric, or one of filter.c's own */
    uint8_t op;
    uint8_t word, word_len; /* place of a plain word or value in text */
    double value;
};

/* Zeroed lets everything through. Nodes are in the order in which a stack works them off. */
struct filter {
    char text[FILTER_TEXT_MAX];
    uint8_t n;
    struct filter_node node[FILTER_NODES_MAX];
};

/* expression: terms joined by & (or "and"), | (or "or"), ! before one, parentheses. A term is FIELD
 * OP VALUE with OP one of > >= < <= = !=, or a word that is looked for in names, users, pids,
 * containers. Unknown values match no comparison. ERR_9005 says where it stops making sense. Blank
 * text is no filter. */
bool filter_parse(const char *text, struct filter *out, struct err *err);

bool filter_gpu(const struct filter *f, const struct top_model *m, uint32_t gpu);
bool filter_process(const struct filter *f, const struct top_model *m, uint32_t gpu,
                    const struct process *p);

/* A GPU is shown when the filter is true for it or for a process on it. */
bool filter_shows_gpu(const struct filter *f, const struct top_model *m, uint32_t gpu);

/* Case folded search in a process' name, user, pids and container. */
bool filter_finds(const struct top_model *m, const struct process *p, const char *word, size_t len);

/* The fields, one per call, until NULL; for help. */
const char *filter_field(size_t i);

#endif
