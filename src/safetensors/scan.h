/* scan: walks forward through a bounded JSON text, one token at a time, keeping nothing. */
#ifndef SAFETENSORS_SCAN_H
#define SAFETENSORS_SCAN_H

#include "safetensors/safetensors.h"

/* A header of 100 MB as a tree of objects would need gigabytes; this needs one buffer. */
enum { SCAN_BYTES = 64 << 10 };

struct scan {
    const struct safetensors_source *src;
    uint64_t pos,
        end; /* next byte and first byte that may not be read, from the start of the source */
    uint64_t base;
    size_t have;
    unsigned char *buf; /* SCAN_BYTES, heap */
};

bool scan_init(struct scan *s, const struct safetensors_source *src, uint64_t begin, uint64_t end,
               struct err *err);
void scan_finish(struct scan *s);
static inline void own_scan(struct scan *s)
{
    scan_finish(s);
}

/* ERR_2009 "NAME: <text> (byte N)". Returns false. */
bool scan_refuse(const struct scan *s, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int scan_peek(struct scan *s,
              struct err *err); /* next byte that is no blank; -1 at the end, -2 on an error */
bool scan_char(struct scan *s, char c,
               struct err *err); /* exactly this one, blanks before it passed over */

/* A string of at most max bytes after unescaping, NUL terminated; no NUL inside, valid UTF-8. */
bool scan_string(struct scan *s, char *out, size_t max, struct err *err);
bool scan_u64(struct scan *s, uint64_t *out,
              struct err *err);                  /* digits only, no sign, no fraction */
bool scan_skip(struct scan *s, struct err *err); /* any one value */
bool scan_end(struct scan *s, struct err *err);  /* only blanks may be left */

/* Between members: true and *more says whether another one follows; `first` is set before the
 * first. */
bool scan_more(struct scan *s, char close, bool *first, bool *more, struct err *err);

#endif
