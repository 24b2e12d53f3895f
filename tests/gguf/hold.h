/* hold: a header in memory with a hole behind it, as a source for the reader under test. */
#ifndef TESTS_GGUF_HOLD_H
#define TESTS_GGUF_HOLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../tools/gguf_write.h"
#include "base/own.h"

struct hold {
    struct str bytes;
    uint64_t size;    /* the source's length: past the bytes lie zeros */
    uint64_t n_read;  /* bytes that were asked for */
    uint64_t fail_at; /* reads at or past it fail; 0: none */
};

static inline bool hold_read(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    struct hold *h = ctx;
    size_t there = offset < h->bytes.len ? h->bytes.len - offset : 0;

    assert_true(offset + len <= h->size); /* a reader never asks for what is not there */
    if (h->fail_at && offset + len > h->fail_at)
        return err_set(err, ERR_1202, "pretended failure");
    if (there > len)
        there = len;
    if (there)
        memcpy(out, h->bytes.data + offset, there);
    memset((char *)out + there, 0, len - there);
    h->n_read += len;
    return true;
}

static inline struct gguf_source hold_source(struct hold *h)
{
    return (struct gguf_source){
        .name = "held.gguf", .size_bytes = h->size, .read_at = hold_read, .ctx = h};
}

static inline void hold_finish(struct hold *h)
{
    str_finish(&h->bytes);
}

/* The header of w with all its data behind it. */
static inline struct hold hold_make(const struct gguf_write *w)
{
    struct hold h = {0};

    assert_true(gguf_write_header(w, &h.bytes));
    h.size = h.bytes.len + w->data_bytes;
    return h;
}

static inline enum err_code hold_code(struct hold *h, int flags)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_source src = hold_source(h);

    if (gguf_read(&src, flags, &arena, &g, &err))
        return ERR_NONE;
    assert_int_not_equal(err.code, ERR_NONE);
    assert_true(err.title[0] != '\0');
    return err.code;
}

/* What becomes of a file that looks like w. Finishes w. */
static inline enum err_code verdict(struct gguf_write *w)
{
    struct hold h = hold_make(w);
    enum err_code code = hold_code(&h, 0);

    hold_finish(&h);
    gguf_write_finish(w);
    return code;
}

/* A small file with a value of every type and tensors of 0 to 3 dimensions. */
static inline struct gguf_write good_file(void)
{
    static const int32_t per_layer[] = {8, -1, 4};
    static const uint32_t widths[] = {7, UINT32_MAX};
    static const bool pattern[] = {true, false, true};
    struct gguf_write w;

    gguf_write_init(&w);
    gguf_write_string(&w, "general.architecture", "llama");
    gguf_write_u32(&w, "llama.block_count", 2);
    gguf_write_u16(&w, "a.u16", 65535);
    gguf_write_i32(&w, "a.i32", -5);
    gguf_write_u64(&w, "a.u64", (uint64_t)1 << 40);
    gguf_write_f32(&w, "a.f32", 0.5f);
    gguf_write_raw_key(&w, "a.f64", 5, GGUF_F64, "\0\0\0\0\0\0\xf8\x3f", 8);
    gguf_write_raw_key(&w, "a.u8", 4, GGUF_U8, "\xff", 1);
    gguf_write_raw_key(&w, "a.i8", 4, GGUF_I8, "\xff", 1);
    gguf_write_raw_key(&w, "a.i16", 5, GGUF_I16, "\xfe\xff", 2);
    gguf_write_raw_key(&w, "a.i64", 5, GGUF_I64, "\xfd\xff\xff\xff\xff\xff\xff\xff", 8);
    gguf_write_bool(&w, "a.bool", true);
    gguf_write_i32_array(&w, "a.i32s", per_layer, 3);
    gguf_write_u32_array(&w, "a.u32s", widths, 2);
    gguf_write_bool_array(&w, "a.bools", pattern, 3);
    gguf_write_vocabulary(&w, 10, 5);
    gguf_write_tensor(&w, "token_embd.weight", GGUF_TYPE_Q4_0, 2, (uint64_t[]){64, 10});
    gguf_write_tensor(&w, "blk.0.ffn.weight", GGUF_TYPE_F16, 3, (uint64_t[]){4, 3, 2});
    gguf_write_tensor(&w, "scalar", GGUF_TYPE_F32, 0, NULL);
    gguf_write_tensor(&w, "output.weight", GGUF_TYPE_F32, 1, (uint64_t[]){8});
    return w;
}

#endif
