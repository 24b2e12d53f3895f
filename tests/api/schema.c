/* schema: a small validator for the keywords that the published schemas use. */
#include "schema.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

struct place {
    struct json_object *root;
    char *why;
    size_t cap;
};

static bool fail(const struct place *p, const char *path, const char *what, const char *detail)
{
    snprintf(p->why, p->cap, "%s: %s %s", *path ? path : "document", what, detail);
    return false;
}

static bool is_type(struct json_object *doc, const char *type)
{
    enum json_type is = json_object_get_type(doc);
    if (strcmp(type, "null") == 0)
        return is == json_type_null;
    if (strcmp(type, "object") == 0)
        return is == json_type_object;
    if (strcmp(type, "array") == 0)
        return is == json_type_array;
    if (strcmp(type, "string") == 0)
        return is == json_type_string;
    if (strcmp(type, "boolean") == 0)
        return is == json_type_boolean;
    if (strcmp(type, "integer") == 0)
        return is == json_type_int;
    return strcmp(type, "number") == 0 && (is == json_type_int || is == json_type_double);
}

static bool check_type(const struct place *p, struct json_object *type, struct json_object *doc,
                       const char *path)
{
    if (json_object_get_type(type) == json_type_string)
        return is_type(doc, json_object_get_string(type)) ||
               fail(p, path, "is not of type", json_object_get_string(type));
    for (size_t i = 0; i < json_object_array_length(type); i++)
        if (is_type(doc, json_object_get_string(json_object_array_get_idx(type, i))))
            return true;
    return fail(p, path, "is none of the types", json_object_to_json_string(type));
}

static bool check_enum(const struct place *p, struct json_object *values, struct json_object *doc,
                       const char *path)
{
    for (size_t i = 0; i < json_object_array_length(values); i++)
        if (json_object_equal(json_object_array_get_idx(values, i), doc))
            return true;
    return fail(p, path, "is none of", json_object_to_json_string(values));
}

static bool check_pattern(const struct place *p, const char *pattern, struct json_object *doc,
                          const char *path)
{
    regex_t re;
    if (json_object_get_type(doc) != json_type_string)
        return true;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return fail(p, path, "bad pattern", pattern);
    bool ok = regexec(&re, json_object_get_string(doc), 0, NULL, 0) == 0;
    regfree(&re);
    return ok || fail(p, path, "does not match", pattern);
}

static bool check(const struct place *p, struct json_object *schema, struct json_object *doc,
                  const char *path);

static bool check_members(const struct place *p, struct json_object *schema,
                          struct json_object *doc, const char *path)
{
    struct json_object *props = json_object_object_get(schema, "properties");
    struct json_object *others = json_object_object_get(schema, "additionalProperties");
    struct json_object *required = json_object_object_get(schema, "required");
    if (json_object_get_type(doc) != json_type_object)
        return true;
    for (size_t i = 0; required && i < json_object_array_length(required); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(required, i));
        if (!json_object_object_get_ex(doc, name, NULL))
            return fail(p, path, "lacks", name);
    }
    json_object_object_foreach(doc, key, value)
    {
        char below[512];
        struct json_object *own = NULL;
        snprintf(below, sizeof(below), "%s.%s", path, key);
        if (props && json_object_object_get_ex(props, key, &own)) {
            if (!check(p, own, value, below))
                return false;
        } else if (json_object_get_type(others) != json_type_object) {
            return fail(p, path, "has a member that is not published:", key);
        } else if (!check(p, others, value, below)) {
            return false;
        }
    }
    return true;
}

static bool check_items(const struct place *p, struct json_object *schema, struct json_object *doc,
                        const char *path)
{
    struct json_object *items = json_object_object_get(schema, "items"), *n;
    if (json_object_get_type(doc) != json_type_array)
        return true;
    size_t length = json_object_array_length(doc);
    if (json_object_object_get_ex(schema, "minItems", &n) &&
        length < (size_t)json_object_get_int(n))
        return fail(p, path, "has too few items", "");
    if (json_object_object_get_ex(schema, "maxItems", &n) &&
        length > (size_t)json_object_get_int(n))
        return fail(p, path, "has too many items", "");
    for (size_t i = 0; items && i < length; i++) {
        char below[512];
        snprintf(below, sizeof(below), "%s[%zu]", path, i);
        if (!check(p, items, json_object_array_get_idx(doc, i), below))
            return false;
    }
    return true;
}

static bool known_keyword(const char *key)
{
    static const char *const known[] = {
        "$schema", "$id",      "$ref",     "$defs",      "title",    "description",
        "type",    "enum",     "const",    "properties", "required", "additionalProperties",
        "items",   "minItems", "maxItems", "minimum",    "pattern"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    return false;
}

static struct json_object *follow(const struct place *p, const char *ref)
{
    struct json_object *defs = json_object_object_get(p->root, "$defs");
    return strncmp(ref, "#/$defs/", 8) == 0 ? json_object_object_get(defs, ref + 8) : NULL;
}

/* A published schema beside this one: "plan.schema.json". */
static bool check_other(const struct place *p, const char *ref, struct json_object *doc,
                        const char *path)
{
    char kind[64];
    snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(ref, "."), ref);
    struct place other = {schema_open(kind), p->why, p->cap};
    bool ok =
        other.root ? check(&other, other.root, doc, path) : fail(p, path, "no such $ref", ref);
    json_object_put(other.root);
    return ok;
}

static bool check(const struct place *p, struct json_object *schema, struct json_object *doc,
                  const char *path)
{
    struct json_object *k;
    json_object_object_foreach(schema, key, unused)
    {
        (void)unused;
        if (!known_keyword(key))
            return fail(p, path, "schema keyword is not known:", key);
    }
    if (json_object_object_get_ex(schema, "$ref", &k)) {
        const char *ref = json_object_get_string(k);
        if (ref[0] != '#')
            return check_other(p, ref, doc, path);
        struct json_object *target = follow(p, ref);
        return target ? check(p, target, doc, path) : fail(p, path, "no such $ref", ref);
    }
    if (json_object_object_get_ex(schema, "type", &k) && !check_type(p, k, doc, path))
        return false;
    if (json_object_object_get_ex(schema, "enum", &k) && !check_enum(p, k, doc, path))
        return false;
    if (json_object_object_get_ex(schema, "const", &k) && !json_object_equal(k, doc))
        return fail(p, path, "is not", json_object_to_json_string(k));
    if (json_object_object_get_ex(schema, "minimum", &k) &&
        json_object_get_type(doc) != json_type_null &&
        json_object_get_double(doc) < json_object_get_double(k))
        return fail(p, path, "is below", json_object_to_json_string(k));
    if (json_object_object_get_ex(schema, "pattern", &k) &&
        !check_pattern(p, json_object_get_string(k), doc, path))
        return false;
    return check_members(p, schema, doc, path) && check_items(p, schema, doc, path);
}

bool schema_check(struct json_object *schema, struct json_object *doc, char *why, size_t cap)
{
    struct place p = {schema, why, cap};
    return check(&p, schema, doc, "");
}

struct json_object *schema_open(const char *kind)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.schema.json", SCHEMA_DIR, kind);
    return json_object_from_file(path);
}

bool schema_check_text(const char *kind, const char *text, char *why, size_t cap)
{
    struct json_tokener *tok = json_tokener_new();
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *doc = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
    enum json_tokener_error e = json_tokener_get_error(tok);
    struct json_object *schema = schema_open(kind);
    bool ok = false;
    if (e != json_tokener_success)
        snprintf(why, cap, "is no JSON: %s: %.60s", json_tokener_error_desc(e), text);
    else if (!schema)
        snprintf(why, cap, "no schema for kind %s", kind);
    else
        ok = schema_check(schema, doc, why, cap);
    json_object_put(schema);
    json_object_put(doc);
    json_tokener_free(tok);
    return ok;
}
