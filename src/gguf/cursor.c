/* cursor: bounded forward reading, and the message for a file that is refused. */
#include "gguf/cursor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gguf_cursor_init(struct gguf_cursor *c, const struct gguf_source *src, uint64_t cap,
                      struct err *err)
{
    *c = (struct gguf_cursor){.src = src, .end = src->size_bytes, .part = "the preamble"};
    if (c->end > cap)
        c->end = cap;
    c->buf = malloc(GGUF_CURSOR_BYTES);
    if (!c->buf)
        return err_set(err, ERR_1201, "%s: no memory for a read buffer", src->name);
    return true;
}

void gguf_cursor_finish(struct gguf_cursor *c)
{
    free(c->buf);
    c->buf = NULL;
}

bool gguf_cursor_refuse(const struct gguf_cursor *c, uint64_t at, struct err *err, const char *fmt,
                        ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(err, ERR_2002, "%s: %s (byte %" PRIu64 ")", c->src->name, text, at);
    return err_fix(err, NULL,
                   "the file is damaged, incomplete or not a GGUF model: get it again, "
                   "and compare its size with the one its publisher states");
}

/* The bytes end before what was promised: say which promise, and by how much it is missed. */
static bool refuse_short(const struct gguf_cursor *c, uint64_t len, struct err *err)
{
    uint64_t left = c->src->size_bytes - c->pos;

    if (len <= left)
        gguf_cursor_refuse(c, c->pos, err,
                           "the header (of all parts) is larger than %" PRIu64 " MiB",
                           GGUF_MAX_HEADER_BYTES >> 20);
    else
        gguf_cursor_refuse(c, c->pos, err,
                           "%s: %" PRIu64 " more bytes are needed where the file has %" PRIu64,
                           c->part, len, left);
    if (c->items)
        err_why(err, "in entry %" PRIu64 " of the %" PRIu64 " that %s promises", c->item + 1,
                c->items, c->part);
    return false;
}

const unsigned char *gguf_cursor_peek(struct gguf_cursor *c, size_t len, struct err *err)
{
    uint64_t ahead, fill;

    if (len > gguf_cursor_left(c)) {
        refuse_short(c, len, err);
        return NULL;
    }
    ahead = c->pos - c->base; /* the cursor never moves back, so pos >= base */
    if (ahead <= c->have && len <= c->have - ahead)
        return c->buf + ahead;
    fill = gguf_cursor_left(c);
    if (fill > GGUF_CURSOR_BYTES)
        fill = GGUF_CURSOR_BYTES;
    c->have = 0;
    c->base = c->pos;
    if (!c->src->read_at(c->src->ctx, c->pos, c->buf, fill, err))
        return NULL;
    c->have = fill;
    return c->buf;
}

bool gguf_cursor_u32(struct gguf_cursor *c, uint32_t *out, struct err *err)
{
    const unsigned char *p = gguf_cursor_peek(c, 4, err);

    if (!p)
        return false;
    *out = gguf_le32(p);
    c->pos += 4;
    return true;
}

bool gguf_cursor_u64(struct gguf_cursor *c, uint64_t *out, struct err *err)
{
    const unsigned char *p = gguf_cursor_peek(c, 8, err);

    if (!p)
        return false;
    *out = gguf_le64(p);
    c->pos += 8;
    return true;
}

bool gguf_cursor_copy(struct gguf_cursor *c, void *out, uint64_t len, struct err *err)
{
    unsigned char *to = out;

    if (len > gguf_cursor_left(c))
        return refuse_short(c, len, err);
    while (len > 0) {
        size_t step = len < GGUF_CURSOR_BYTES ? len : GGUF_CURSOR_BYTES;
        const unsigned char *p = gguf_cursor_peek(c, step, err);
        if (!p)
            return false;
        memcpy(to, p, step);
        to += step;
        c->pos += step;
        len -= step;
    }
    return true;
}

bool gguf_cursor_skip(struct gguf_cursor *c, uint64_t len, struct err *err)
{
    if (len > gguf_cursor_left(c))
        return refuse_short(c, len, err);
    c->pos += len;
    return true;
}

bool gguf_cursor_skip_strings(struct gguf_cursor *c, uint64_t count, struct err *err)
{
    while (count > 0) {
        const unsigned char *p = gguf_cursor_peek(c, 8, err);
        if (!p)
            return false;
        uint64_t at = c->pos - c->base;
        while (count > 0 && at + 8 <= c->have) {
            uint64_t len = gguf_le64(c->buf + at);
            if (len > c->end - c->base - at - 8) {
                c->pos = c->base + at + 8;
                return refuse_short(c, len, err);
            }
            at += 8 + len;
            count--;
        }
        c->pos = c->base + at;
    }
    return true;
}
