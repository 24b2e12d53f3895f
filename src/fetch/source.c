/* source: a remote file behind a window that moves and grows as it is read on. */
#include "fetch/transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

struct remote {
    struct fetch_link link;
    uint64_t size_bytes;
    unsigned char *window; /* bytes [base, base + have) of the file */
    size_t capacity, have;
    uint64_t base;
    size_t block; /* to ask for next */
};

static void close_remote(void *ctx)
{
    struct remote *r = ctx;

    fetch_link_finish(&r->link);
    free(r->window);
    free(r);
}

static bool fill(struct remote *r, uint64_t offset, bool first, struct err *err)
{
    struct fetch_answer answer;
    size_t want = r->block;

    if (!first && want > r->size_bytes - offset)
        want = (size_t)(r->size_bytes - offset);
    if (want > r->capacity) {
        unsigned char *larger = realloc(r->window, want);
        if (!larger)
            return err_set(err, ERR_1201, "%s: no memory to read it", r->link.name);
        r->window = larger;
        r->capacity = want;
    }
    r->have = 0;
    if (!fetch_link_range(&r->link, offset, want, r->window, &answer, err))
        return false;
    if (first)
        r->size_bytes = answer.total;
    else if (answer.total != r->size_bytes)
        return err_set(err, ERR_2005,
                       "%s: changed its length from %" PRIu64 " to %" PRIu64 " while it was read",
                       r->link.name, r->size_bytes, answer.total);
    r->base = offset;
    r->have = answer.got;
    if (r->block < FETCH_LAST_BLOCK)
        r->block *= 2;
    return true;
}

static bool read_at(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    struct remote *r = ctx;
    unsigned char *to = out;

    if (offset > r->size_bytes || len > r->size_bytes - offset)
        return err_set(err, ERR_2005, "%s: %zu bytes at %" PRIu64 " lie outside of its %" PRIu64,
                       r->link.name, len, offset, r->size_bytes);
    while (len > 0) {
        uint64_t ahead = offset - r->base;
        if (offset < r->base || ahead >= r->have) {
            if (!fill(r, offset, false, err))
                return false;
            ahead = 0;
        }
        size_t step = r->have - (size_t)ahead < len ? r->have - (size_t)ahead : len;
        memcpy(to, r->window + ahead, step);
        to += step;
        offset += step;
        len -= step;
    }
    return true;
}

bool fetch_open(const char *url, const struct fetch_options *options, struct fetch_source *out,
                struct err *err)
{
    struct remote *r = calloc(1, sizeof(*r));

    if (!r)
        return err_set(err, ERR_1201, "no memory to fetch a model");
    r->block = FETCH_FIRST_BLOCK;
    if (!fetch_link_init(&r->link, url, options, err) || !fill(r, 0, true, err)) {
        close_remote(r);
        return false;
    }
    *out = (struct fetch_source){.name = r->link.name,
                                 .size_bytes = r->size_bytes,
                                 .read_at = read_at,
                                 .close = close_remote,
                                 .ctx = r};
    return true;
}

void fetch_close(struct fetch_source *src)
{
    if (src->close)
        src->close(src->ctx);
    *src = (struct fetch_source){0};
}

bool fetch_text(const char *url, const struct fetch_options *options, size_t limit, struct str *out,
                struct err *err)
{
    own(fetch_link_finish) struct fetch_link link = {0};

    return fetch_link_init(&link, url, options, err) && fetch_link_text(&link, limit, out, err);
}
