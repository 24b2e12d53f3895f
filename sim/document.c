/* document: libyaml's document with places in its errors. */
#include "sim/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { KEYS_MAX = 64 };

static bool place(struct doc *d, size_t line, size_t column, const char *text)
{
    err_set(d->err, ERR_1501, "%s:%zu:%zu: %s", d->name, line + 1, column + 1, text);
    return false;
}

bool doc_error(struct doc *d, const yaml_node_t *at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], shown[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    str_printable(text, strlen(text), shown, sizeof(shown));
    return place(d, at ? at->start_mark.line : 0, at ? at->start_mark.column : 0, shown);
}

bool doc_open(struct doc *d, const char *name, const char *text, size_t len, struct err *err)
{
    yaml_parser_t parser;
    *d = (struct doc){.name = name, .err = err};
    if (!yaml_parser_initialize(&parser))
        return err_set(err, ERR_1201, "no memory to read %s", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    bool ok = yaml_parser_load(&parser, &d->yaml);
    if (!ok) {
        char shown[ERR_TEXT_MAX];
        const char *problem = parser.problem ? parser.problem : "this is no YAML";
        str_printable(problem, strlen(problem), shown, sizeof(shown));
        place(d, parser.problem_mark.line, parser.problem_mark.column, shown);
    } else if (!yaml_document_get_root_node(&d->yaml)) {
        yaml_document_delete(&d->yaml);
        ok = place(d, 0, 0, "nothing stands here");
    }
    yaml_parser_delete(&parser);
    return ok;
}

void doc_close(struct doc *d)
{
    yaml_document_delete(&d->yaml);
}

yaml_node_t *doc_root(struct doc *d)
{
    return yaml_document_get_root_node(&d->yaml);
}

const char *doc_text(struct doc *d, yaml_node_t *node, const char *what)
{
    if (!node || node->type != YAML_SCALAR_NODE) {
        doc_error(d, node, "%s must be a single value", what);
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) {
        doc_error(d, node, "%s has a NUL byte inside", what);
        return NULL;
    }
    return text;
}

bool doc_each_key(struct doc *d, yaml_node_t *map, const char *what, doc_take take, void *ctx)
{
    const char *seen[KEYS_MAX];
    size_t n = 0;
    if (!map || map->type != YAML_MAPPING_NODE)
        return doc_error(d, map, "%s must be written as `key: value` lines", what);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        yaml_node_t *key = yaml_document_get_node(&d->yaml, p->key);
        const char *name = doc_text(d, key, "a key");
        if (!name)
            return false;
        for (size_t i = 0; i < n; i++)
            if (strcmp(seen[i], name) == 0)
                return doc_error(d, key, "\"%.40s\" stands here twice", name);
        if (n == KEYS_MAX)
            return doc_error(d, key, "more than %d keys", KEYS_MAX);
        seen[n++] = name;
        if (!take(d, ctx, name, key, yaml_document_get_node(&d->yaml, p->value)))
            return false;
    }
    return true;
}

bool doc_each_item(struct doc *d, yaml_node_t *list, const char *what, size_t most, doc_item take,
                   void *ctx)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return doc_error(d, list, "%s must be a list", what);
    yaml_node_item_t *first = list->data.sequence.items.start, *end = list->data.sequence.items.top;
    if ((size_t)(end - first) > most)
        return doc_error(d, list, "%s has %zu entries, at most %zu are read", what,
                         (size_t)(end - first), most);
    for (yaml_node_item_t *i = first; i < end; i++)
        if (!take(d, ctx, yaml_document_get_node(&d->yaml, *i)))
            return false;
    return true;
}
