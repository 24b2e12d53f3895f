/* scan: walks forward through a bounded JSON text. */
#include "safetensors/scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

bool scan_init(struct scan *s, const struct safetensors_source *src, uint64_t begin, uint64_t end,
               struct err *err)
{
    *s = (struct scan){
        .src = src, .pos = begin, .end = end, .base = begin, .buf = malloc(SCAN_BYTES)};
    return s->buf || err_set(err, ERR_1201, "%s: no memory to read it", src->name);
}

void scan_finish(struct scan *s)
{
    free(s->buf);
    s->buf = NULL;
}

bool scan_refuse(const struct scan *s, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(err, ERR_2009, "%s: %s (byte %" PRIu64 ")", s->src->name, text, s->pos);
    return err_fix(err, NULL, "fetch the file again: it is damaged, or no safetensors file");
}

/* The byte at pos without passing it. */
static int byte_at(struct scan *s, struct err *err)
{
    if (s->pos >= s->end)
        return -1;
    if (s->pos < s->base || s->pos >= s->base + s->have) {
        uint64_t left = s->end - s->pos;
        size_t len = left < SCAN_BYTES ? (size_t)left : SCAN_BYTES;
        if (!s->src->read_at(s->src->ctx, s->pos, s->buf, len, err))
            return -2;
        s->base = s->pos;
        s->have = len;
    }
    return s->buf[s->pos - s->base];
}

int scan_peek(struct scan *s, struct err *err)
{
    int c;
    while ((c = byte_at(s, err)) == ' ' || c == '\n' || c == '\r' || c == '\t')
        s->pos++;
    return c;
}

bool scan_char(struct scan *s, char c, struct err *err)
{
    int got = scan_peek(s, err);
    if (got == -2)
        return false;
    if (got != c)
        return scan_refuse(s, err, "a '%c' is missing from its JSON", c);
    s->pos++;
    return true;
}

static bool scan_hex4(struct scan *s, uint32_t *out, struct err *err)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = byte_at(s, err);
        if (c == -2)
            return false;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return scan_refuse(s, err, "an escape in a string is not \\uXXXX");
        *out = *out << 4 | (uint32_t)digit;
        s->pos++;
    }
    return true;
}

/* \uXXXX, with its other half where it is a surrogate, as UTF-8 into out[4]. */
static bool scan_code_point(struct scan *s, char *out, size_t *len, struct err *err)
{
    uint32_t c, low;
    if (!scan_hex4(s, &c, err))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (byte_at(s, err) != '\\')
            return err->code ? false : scan_refuse(s, err, "half a surrogate pair in a string");
        s->pos++;
        if (byte_at(s, err) != 'u')
            return err->code ? false : scan_refuse(s, err, "half a surrogate pair in a string");
        s->pos++;
        if (!scan_hex4(s, &low, err))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return scan_refuse(s, err, "half a surrogate pair in a string");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c == 0 || (c >= 0xdc00 && c < 0xe000)) {
        return scan_refuse(s, err, "a string holds a character that no name has");
    }
    *len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = *len; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[*len] | c);
    return true;
}

static bool scan_escape(struct scan *s, char *out, size_t *len, struct err *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = byte_at(s, err);
    if (c == -2)
        return false;
    s->pos++;
    if (c == 'u')
        return scan_code_point(s, out, len, err);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    if (!at)
        return scan_refuse(s, err, "an escape in a string that JSON does not know");
    out[0] = to[at - from];
    *len = 1;
    return true;
}

static bool check_utf8(const struct scan *s, const char *text, size_t len, struct err *err)
{
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n) {
        n = str_utf8(text + i, len - i, &code);
        if (n == 0)
            return scan_refuse(s, err, "a string is not UTF-8");
    }
    return true;
}

/* out NULL: the string is passed over, of any length. */
static bool read_string(struct scan *s, char *out, size_t max, struct err *err)
{
    size_t len = 0;
    struct err none = {0};
    if (!err)
        err = &none;
    if (!scan_char(s, '"', err))
        return false;
    for (;;) {
        char bytes[4];
        size_t n = 1;
        int c = byte_at(s, err);
        if (c == -2)
            return false;
        if (c < 0x20)
            return scan_refuse(
                s, err, c < 0 ? "ends inside of a string" : "a raw control byte in a string");
        s->pos++;
        if (c == '"')
            break;
        bytes[0] = (char)c;
        if (c == '\\' && !scan_escape(s, bytes, &n, err))
            return false;
        if (out && len + n > max)
            return scan_refuse(s, err, "a name is longer than %zu bytes", max);
        if (out)
            memcpy(out + len, bytes, n);
        len += n;
    }
    if (!out)
        return true;
    out[len] = '\0';
    return check_utf8(s, out, len, err);
}

bool scan_string(struct scan *s, char *out, size_t max, struct err *err)
{
    return read_string(s, out, max, err);
}

bool scan_u64(struct scan *s, uint64_t *out, struct err *err)
{
    uint64_t n = 0;
    int digits = 0, c, first = scan_peek(s, err);
    for (; (c = byte_at(s, err)) >= '0' && c <= '9'; digits++, s->pos++)
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(c - '0'), &n))
            return scan_refuse(s, err, "a number is larger than 2^64");
    if (c == -2)
        return false;
    if (digits == 0 || (digits > 1 && first == '0') || c == '.' || c == 'e' || c == 'E')
        return scan_refuse(s, err, "a whole number is expected here");
    *out = n;
    return true;
}

/* The characters of a number or of true, false, null; what exactly they say is of no matter here.
 */
static bool skip_word(struct scan *s, struct err *err)
{
    char word[64];
    size_t len = 0;
    int c;
    while ((c = byte_at(s, err)) > 0 &&
           (strchr("+-.", c) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E')) {
        if (len + 1 >= sizeof(word))
            return scan_refuse(s, err, "a number with too many digits");
        word[len++] = (char)c;
        s->pos++;
    }
    word[len] = '\0';
    if (c == -2)
        return false;
    if (!strcmp(word, "true") || !strcmp(word, "false") || !strcmp(word, "null"))
        return true;
    size_t digits = strspn(word, "+-.0123456789eE");
    if (len && digits == len && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')))
        return true;
    return scan_refuse(s, err, "a value is expected here");
}

bool scan_more(struct scan *s, char close, bool *first, bool *more, struct err *err)
{
    int c = scan_peek(s, err);
    if (c == -2)
        return false;
    if (c == close) {
        s->pos++;
        *more = false;
        return true;
    }
    if (!*first && !scan_char(s, ',', err))
        return false;
    *first = false;
    *more = true;
    return true;
}

static bool skip_value(struct scan *s, int depth, struct err *err)
{
    int c = scan_peek(s, err);
    bool first = true, more;
    if (c == -2)
        return false;
    if (c == '"')
        return read_string(s, NULL, 0, err);
    if (c != '{' && c != '[')
        return skip_word(s, err);
    if (depth == SAFETENSORS_MAX_DEPTH)
        return scan_refuse(s, err, "values lie more than %d deep in each other", depth);
    s->pos++;
    for (;;) {
        if (!scan_more(s, c == '{' ? '}' : ']', &first, &more, err))
            return false;
        if (!more)
            return true;
        if (c == '{' && (!read_string(s, NULL, 0, err) || !scan_char(s, ':', err)))
            return false;
        if (!skip_value(s, depth + 1, err))
            return false;
    }
}

bool scan_skip(struct scan *s, struct err *err)
{
    return skip_value(s, 0, err);
}

bool scan_end(struct scan *s, struct err *err)
{
    int c = scan_peek(s, err);
    if (c == -2)
        return false;
    return c == -1 || scan_refuse(s, err, "something stands behind its JSON");
}
