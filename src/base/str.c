/* str: the growing text and POSIX shell quoting. */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_finish(struct str *s)
{
    free(s->data);
    *s = (struct str){0};
}

/* Room for `more` bytes and the NUL after them. */
static bool grow(struct str *s, size_t more)
{
    size_t need;
    if (s->failed)
        return false;
    if (__builtin_add_overflow(s->len, more, &need) || need > SIZE_MAX / 2 - 1) {
        s->failed = true;
        return false;
    }
    need++;
    if (need <= s->cap)
        return true;
    size_t cap = s->cap ? s->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = realloc(s->data, cap);
    if (!data) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->cap = cap;
    return true;
}

void str_add_n(struct str *s, const char *text, size_t len)
{
    if (!grow(s, len))
        return;
    if (len)
        memcpy(s->data + s->len, text, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
    str_add_n(s, text, strlen(text));
}

void str_add_char(struct str *s, char c, int count)
{
    if (count <= 0 || !grow(s, (size_t)count))
        return;
    memset(s->data + s->len, c, (size_t)count);
    s->len += (size_t)count;
    s->data[s->len] = '\0';
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        s->failed = true;
    } else if (grow(s, (size_t)n)) {
        vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
        s->len += (size_t)n;
    }
    va_end(again);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(s, fmt, ap);
    va_end(ap);
}

char *str_take(struct str *s)
{
    char *data = NULL;
    if (grow(s, 0)) {
        data = s->data;
        data[s->len] = '\0';
        s->data = NULL;
    }
    str_finish(s);
    return data;
}

void str_add_shell(struct str *s, const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_@%+=:,./-";
    if (*word && word[strspn(word, safe)] == '\0') {
        str_add(s, word);
        return;
    }
    str_add(s, "'");
    for (; *word; word++) {
        if (*word == '\'')
            str_add(s, "'\\''");
        else
            str_add_n(s, word, 1);
    }
    str_add(s, "'");
}
