/* answer: status line, Content-Length, Content-Range, ETag, Retry-After; nothing else. */
#include "fetch/answer.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *p, *end;
};

static bool take_word(struct text *t, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(t->end - t->p) < len || strncasecmp(t->p, word, len) != 0)
        return false;
    t->p += len;
    return true;
}

static void skip_blanks(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
        t->p++;
}

static bool take_number(struct text *t, uint64_t *out)
{
    uint64_t n = 0;
    const char *start = t->p;

    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*t->p - '0'), &n))
            return false;
    }
    *out = n;
    return t->p > start;
}

static bool status_line(struct answer_head *head, struct text t)
{
    uint64_t status;

    while (t.p < t.end && *t.p != ' ')
        t.p++;
    skip_blanks(&t);
    *head = (struct answer_head){.header_bytes = head->header_bytes};
    if (!take_number(&t, &status) || status > 999)
        return false;
    head->status = (int)status;
    return true;
}

static bool content_range(struct answer_head *head, struct text t)
{
    uint64_t last;

    head->has_range = false;
    head->range_start = head->range_total = 0;
    if (!take_word(&t, "bytes"))
        return false;
    skip_blanks(&t);
    if (take_word(&t, "*/")) { /* 416: "there is no such stretch" */
        head->has_range = take_number(&t, &head->range_total);
        return true;
    }
    if (!take_number(&t, &head->range_start) || !take_word(&t, "-") || !take_number(&t, &last) ||
        !take_word(&t, "/"))
        return false;
    if (take_word(&t, "*")) /* the total is not known */
        return true;
    head->has_range = take_number(&t, &head->range_total);
    return head->has_range && head->range_start <= last && last < head->range_total;
}

static void keep_etag(struct answer_head *head, struct text t)
{
    size_t len = (size_t)(t.end - t.p);

    if (len >= sizeof(head->etag))
        len = sizeof(head->etag) - 1;
    memcpy(head->etag, t.p, len);
    head->etag[len] = '\0';
}

bool answer_line(struct answer_head *head, const char *line, size_t len)
{
    struct text t = {line, line + len};

    head->header_bytes += len;
    if (head->header_bytes > ANSWER_MAX_HEADER)
        return false;
    while (t.end > t.p && (t.end[-1] == '\r' || t.end[-1] == '\n'))
        t.end--;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return status_line(head, t);
    if (take_word(&t, "content-length:")) {
        skip_blanks(&t);
        head->has_length = take_number(&t, &head->length);
        return head->has_length;
    }
    if (take_word(&t, "content-range:")) {
        skip_blanks(&t);
        return content_range(head, t);
    }
    if (take_word(&t, "etag:")) {
        skip_blanks(&t);
        keep_etag(head, t);
    } else if (take_word(&t, "retry-after:")) {
        skip_blanks(&t);
        take_number(&t, &head->retry_after);
    }
    return true;
}
