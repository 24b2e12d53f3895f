/* fetch: reads parts of files over HTTP(S) on the calling thread, with bounds on bytes and time. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    FETCH_MAX_URL = 2048,
    FETCH_MAX_REDIRECTS = 5,
    FETCH_CONNECT_MS = 10000,
    FETCH_STALL_S = 30,          /* a transfer without a byte for that long is given up */
    FETCH_TOTAL_MS = 300000,     /* unless the caller says otherwise */
    FETCH_FIRST_BLOCK = 1 << 20, /* read ahead; doubles with every block ... */
    FETCH_LAST_BLOCK = 8 << 20,  /* ... up to this */
};
#define FETCH_MAX_BYTES \
    ((uint64_t)640 << 20) /* received for one file, thrown away bytes included */

/* Zeroed means the defaults. */
struct fetch_options {
    int64_t total_ms;   /* for all that is done with one source, from its opening on */
    uint64_t max_bytes; /* at most FETCH_MAX_BYTES */
};

/* A file behind a URL, laid out as other rooms' sources are, so that its fields can be handed on.
 * read_at fills exactly len bytes or fails. One thread at a time. */
struct fetch_source {
    const char *name; /* the URL without what may be secret in it: user, query */
    uint64_t size_bytes;
    bool (*read_at)(void *ctx, uint64_t offset, void *out, size_t len, struct err *err);
    void (*close)(void *ctx);
    void *ctx;
};

/* Open an http:// or https:// URL; the first block is read at once and tells the size. The token of
 * the hub (hf.h) is sent if, and only if, the URL is of the hub's own origin; redirects to another
 * origin go without it, redirects from https to http are refused. options may be NULL. ERR_2001 not
 * there (404, 410), ERR_2006 not allowed (401, 403), ERR_2005 anything else. */
bool fetch_open(const char *url, const struct fetch_options *options, struct fetch_source *out,
                struct err *err);
void fetch_close(struct fetch_source *src);

/* A whole small text (JSON) of at most limit bytes, added to out. Errors as fetch_open's. */
bool fetch_text(const char *url, const struct fetch_options *options, size_t limit, struct str *out,
                struct err *err);

/* True for "http://..." and "https://...", any case. */
bool fetch_is_url(const char *ref);

#endif
