/* answer: what a server says in its status line and headers, read as it comes in. */
#ifndef FETCH_ANSWER_H
#define FETCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_MAX_HEADER = 256 << 10 };

/* Zeroed at the start of a request; the status line of each answer (redirects have several) clears
 * all but header_bytes. */
struct answer_head {
    int status;
    bool has_length;
    uint64_t length; /* Content-Length */
    bool has_range;
    uint64_t range_start, range_total; /* Content-Range: bytes START-END/TOTAL */
    uint64_t retry_after;              /* seconds, 0 unknown */
    char etag[128];                    /* cut off if longer */
    size_t header_bytes;               /* of all answers together */
};

/* One line of a head, its end included or not. False: it is too much, or nonsense that matters. */
bool answer_line(struct answer_head *head, const char *line, size_t len);

#endif
