/* hold: safetensors files made in memory for the tests, and read from there. */
#ifndef TESTS_SAFETENSORS_HOLD_H
#define TESTS_SAFETENSORS_HOLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "base/str.h"
#include "safetensors/safetensors.h"

struct hold {
    const char *json;
    uint64_t header_says; /* the length in the first 8 bytes */
    uint64_t size;        /* of the whole file; data is zeros */
};

static inline bool hold_read(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    const struct hold *h = ctx;
    size_t json = strlen(h->json);
    unsigned char *to = out;
    assert_true(offset <= h->size && len <= h->size - offset);
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        to[i] = at < 8          ? (unsigned char)(h->header_says >> (8 * at))
                : at - 8 < json ? (unsigned char)h->json[at - 8]
                                : 0;
    }
    return true;
}

static inline bool hold_parse(const char *json, uint64_t data, struct arena *arena,
                              struct safetensors *out, struct err *err)
{
    struct hold h = {json, strlen(json), 8 + strlen(json) + data};
    struct safetensors_source src = {
        .name = "m.safetensors", .size_bytes = h.size, .read_at = hold_read, .ctx = &h};
    return safetensors_read(&src, arena, out, err);
}

#endif
