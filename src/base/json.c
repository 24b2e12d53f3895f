/* json: the writer; it keeps commas, indentation and the choice of keys, callers say values. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

void json_init(struct json *j, struct str *out, bool pretty, const char *fields)
{
    *j = (struct json){.out = out, .pretty = pretty, .fields = fields};
}

bool json_end(struct json *j)
{
    if (j->pretty)
        str_add(j->out, "\n");
    return j->depth == 0 && !j->out->failed;
}

/* The next name of a list "a, b": its start and length, NULL after the last; *p moves on. */
static const char *next_field(const char **p, size_t *len)
{
    *p += strspn(*p, ", \t");
    const char *name = *p;
    *len = strcspn(name, ", \t");
    *p = name + *len;
    return *len ? name : NULL;
}

static bool wanted(struct json *j, const char *key)
{
    const char *p = j->fields, *name;
    size_t len, n = strlen(key);
    if (!j->fields || j->depth != 1 || j->level[1].array)
        return true;
    for (int i = 0; (name = next_field(&p, &len)); i++) {
        if (len != n || memcmp(name, key, n) != 0)
            continue;
        if (i < JSON_FIELDS_MAX)
            j->used |= (uint64_t)1 << i;
        return true;
    }
    return false;
}

const char *json_unused_field(const struct json *j, size_t *len)
{
    const char *p = j->fields, *name;
    if (!p)
        return NULL;
    for (int i = 0; i < JSON_FIELDS_MAX && (name = next_field(&p, len)); i++)
        if (!(j->used >> i & 1))
            return name;
    return NULL;
}

static void add_break(struct json *j)
{
    if (!j->pretty)
        return;
    str_add(j->out, "\n");
    str_add_char(j->out, ' ', 2 * j->depth);
}

/* What stands before a key or an array's element. */
static void add_separator(struct json *j)
{
    if (j->level[j->depth].filled)
        str_add(j->out, ",");
    if (j->depth)
        add_break(j);
    j->level[j->depth].filled = true;
}

/* Start of any value; false when it is not to be written. */
static bool begin_value(struct json *j)
{
    if (j->depth && !j->level[j->depth].array) {
        if (!j->has_key)
            abort();
        j->has_key = false;
    } else if (!j->muted) {
        add_separator(j);
    }
    return !j->muted;
}

static void end_value(struct json *j)
{
    if (j->depth == 1)
        j->muted = false;
}

static void add_scalar(struct json *j, const char *text)
{
    if (begin_value(j))
        str_add(j->out, text);
    end_value(j);
}

static void open_level(struct json *j, bool array)
{
    if (j->depth >= JSON_DEPTH_MAX)
        abort();
    if (begin_value(j))
        str_add(j->out, array ? "[" : "{");
    j->depth++;
    j->level[j->depth].array = array;
    j->level[j->depth].filled = false;
}

static void close_level(struct json *j, bool array)
{
    if (!j->depth || j->level[j->depth].array != array || j->has_key)
        abort();
    bool filled = j->level[j->depth].filled;
    j->depth--;
    if (!j->muted) {
        if (filled)
            add_break(j);
        str_add(j->out, array ? "]" : "}");
    }
    end_value(j);
}

void json_open_object(struct json *j)
{
    open_level(j, false);
}

void json_close_object(struct json *j)
{
    close_level(j, false);
}

void json_open_array(struct json *j)
{
    open_level(j, true);
}

void json_close_array(struct json *j)
{
    close_level(j, true);
}

static void add_quoted(struct str *out, const char *text, size_t len)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    str_add(out, "\"");
    for (size_t n; len; text += n, len -= n) {
        uint32_t c;
        n = str_utf8(text, len, &c);
        const char *special = n == 1 && c ? strchr(from, (int)c) : NULL;
        if (!n) {
            str_add(out, "\xef\xbf\xbd");
            n = 1;
        } else if (special) {
            str_addf(out, "\\%c", to[special - from]);
        } else if (c < 0x20 || c == 0x7f) {
            str_addf(out, "\\u%04x", (unsigned)c);
        } else {
            str_add_n(out, text, n);
        }
    }
    str_add(out, "\"");
}

void json_key(struct json *j, const char *key)
{
    if (!j->depth || j->level[j->depth].array || j->has_key)
        abort();
    j->has_key = true;
    if (!wanted(j, key))
        j->muted = true;
    if (j->muted)
        return;
    add_separator(j);
    add_quoted(j->out, key, strlen(key));
    str_add(j->out, j->pretty ? ": " : ":");
}

void json_add_str_n(struct json *j, const char *text, size_t len)
{
    if (begin_value(j))
        add_quoted(j->out, text, len);
    end_value(j);
}

void json_add_str(struct json *j, const char *text)
{
    if (text)
        json_add_str_n(j, text, strlen(text));
    else
        json_add_null(j);
}

void json_add_strf(struct json *j, const char *fmt, ...)
{
    own(own_str) struct str text = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (text.failed)
        j->out->failed = true;
    json_add_str_n(j, text.data ? text.data : "", text.len);
}

void json_add_u64(struct json *j, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    add_scalar(j, text);
}

void json_add_i64(struct json *j, int64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)n);
    add_scalar(j, text);
}

void json_add_f64(struct json *j, double n)
{
    char text[32];
    if (!isfinite(n)) {
        json_add_null(j);
        return;
    }
    /* 15 digits always survive the way through a double, 17 always tell doubles apart */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, n);
        if (strtod(text, NULL) == n)
            break;
    }
    add_scalar(j, text);
}

void json_add_bool(struct json *j, bool b)
{
    add_scalar(j, b ? "true" : "false");
}

void json_add_null(struct json *j)
{
    add_scalar(j, "null");
}

void json_key_str(struct json *j, const char *key, const char *text)
{
    json_key(j, key);
    json_add_str(j, text);
}

void json_key_u64(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    json_add_u64(j, n);
}

void json_key_i64(struct json *j, const char *key, int64_t n)
{
    json_key(j, key);
    json_add_i64(j, n);
}

void json_key_f64(struct json *j, const char *key, double n)
{
    json_key(j, key);
    json_add_f64(j, n);
}

void json_key_bool(struct json *j, const char *key, bool b)
{
    json_key(j, key);
    json_add_bool(j, b);
}

void json_key_null(struct json *j, const char *key)
{
    json_key(j, key);
    json_add_null(j);
}
