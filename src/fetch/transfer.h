/* transfer: one GET of a stretch of bytes, its answer checked before a byte of it is believed. */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include "fetch/fetch.h"
#include "fetch/libcurl.h"

/* A connection to a server that is used again and again. */
struct fetch_link {
    const struct libcurl *curl;
    CURL *easy;
    char *url;            /* follows redirects, so that they are walked once; never shown */
    char *name;           /* for messages: without user, query and fragment */
    bool send_token;      /* url is of the hub's origin */
    uint64_t bytes_left;  /* of the bound on what is received */
    uint64_t deadline_ns; /* clock_mono_ns */
    char etag[128];       /* of the first answer, "" unknown */
};

bool fetch_link_init(struct fetch_link *l, const char *url, const struct fetch_options *options,
                     struct err *err);
void fetch_link_finish(struct fetch_link *l);

struct fetch_answer {
    uint64_t total; /* length of the whole file */
    size_t got;     /* bytes that were stored: all that were wanted, or up to the file's end */
};

/* Bytes [start, start + want) into out. A server that ignores ranges is read up to there and cut
 * off. */
bool fetch_link_range(struct fetch_link *l, uint64_t start, size_t want, void *out,
                      struct fetch_answer *answer, struct err *err);

/* The whole body, at most limit bytes. */
bool fetch_link_text(struct fetch_link *l, size_t limit, struct str *out, struct err *err);

#endif
