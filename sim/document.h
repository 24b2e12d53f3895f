/* document: walks a YAML document by key with the place of every error; nothing is read beyond its
 * bounds. */
#ifndef SIM_DOCUMENT_H
#define SIM_DOCUMENT_H

#include <yaml.h>

#include "base/err.h"

struct doc {
    const char *name;
    yaml_document_t yaml;
    struct err *err;
};

bool doc_open(struct doc *d, const char *name, const char *text, size_t len, struct err *err);
void doc_close(struct doc *d);
yaml_node_t *doc_root(struct doc *d);

/* ERR_1501 "NAME:LINE:COLUMN: ..."; always false. */
bool doc_error(struct doc *d, const yaml_node_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Calls take(ctx, key, value) for every pair; a key that stands twice, or is no word, is an error.
 */
typedef bool (*doc_take)(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                         yaml_node_t *value);
bool doc_each_key(struct doc *d, yaml_node_t *map, const char *what, doc_take take, void *ctx);

/* The items of a list of at most `most`. */
typedef bool (*doc_item)(struct doc *d, void *ctx, yaml_node_t *item);
bool doc_each_item(struct doc *d, yaml_node_t *list, const char *what, size_t most, doc_item take,
                   void *ctx);

/* The text of a scalar, without NULs inside; NULL with an error set. */
const char *doc_text(struct doc *d, yaml_node_t *node, const char *what);

#endif
