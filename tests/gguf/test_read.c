/* test_read: what a caller gets from a file that is in order. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hold.h"

struct reading {
    struct gguf_write w;
    struct hold h;
    struct arena arena;
    struct gguf g;
};

static int read_good_file(void **state)
{
    static struct reading r;
    struct gguf_source src;
    struct err err = {0};

    r = (struct reading){.w = good_file()};
    r.h = hold_make(&r.w);
    src = hold_source(&r.h);
    *state = &r;
    return gguf_read(&src, 0, &r.arena, &r.g, &err) ? 0 : -1;
}

static int drop_reading(void **state)
{
    struct reading *r = *state;

    arena_finish(&r->arena);
    hold_finish(&r->h);
    gguf_write_finish(&r->w);
    return 0;
}

static void totals_describe_the_file(void **state)
{
    const struct reading *r = *state;
    uint64_t sum = 0;

    assert_int_equal(r->g.version, 3);
    assert_int_equal(r->g.alignment, 32);
    assert_int_equal(r->g.n_shards, 1);
    assert_string_equal(r->g.shard_names[0], "held.gguf");
    assert_int_equal(r->g.file_bytes, r->h.size);
    assert_true(r->g.header_bytes <= r->h.bytes.len && r->g.header_bytes > r->h.bytes.len - 32);
    assert_false(r->g.header_only);
    for (uint32_t i = 0; i < r->g.n_tensors; i++)
        sum += r->g.tensors[i].size_bytes;
    assert_int_equal(r->g.data_bytes, sum);
}

static void tensors_have_exact_sizes(void **state)
{
    const struct reading *r = *state;
    const struct gguf_tensor *t = r->g.tensors;

    assert_int_equal(r->g.n_tensors, 4);
    assert_string_equal(t[0].name, "token_embd.weight");
    assert_int_equal(t[0].size_bytes, 2 * 18 * 10);
    assert_int_equal(t[0].ne[1], 10);
    assert_int_equal(t[0].ne[2], 1);
    assert_int_equal(t[1].size_bytes, 4 * 3 * 2 * 2);
    assert_int_equal(t[1].offset, 384); /* 360 padded to 32 */
    assert_int_equal(t[2].n_dims, 0);
    assert_int_equal(t[2].size_bytes, 4);
    assert_int_equal(t[3].type, GGUF_TYPE_F32);
}

static void numbers_of_any_width_are_read(void **state)
{
    const struct reading *r = *state;
    uint32_t u32;
    uint64_t u64;

    assert_true(gguf_get_u32(&r->g, "llama.block_count", &u32) && u32 == 2);
    assert_true(gguf_get_u32(&r->g, "a.u8", &u32) && u32 == 255);
    assert_true(gguf_get_u32(&r->g, "a.u16", &u32) && u32 == 65535);
    assert_true(gguf_get_u64(&r->g, "a.u64", &u64) && u64 == (uint64_t)1 << 40);
    assert_false(gguf_get_u32(&r->g, "a.u64", &u32)); /* too large */
    assert_false(gguf_get_u64(&r->g, "a.i8", &u64));  /* negative */
    assert_false(gguf_get_u64(&r->g, "a.i16", &u64));
    assert_false(gguf_get_u64(&r->g, "a.i64", &u64));
    assert_false(gguf_get_u64(&r->g, "a.bool", &u64));
    assert_false(gguf_get_u64(&r->g, "a.f32", &u64));
    assert_false(gguf_get_u64(&r->g, "absent", &u64));
    assert_int_equal(gguf_find(&r->g, "a.i32")->value.i, -5);
    assert_int_equal(gguf_find(&r->g, "a.i64")->value.i, -3);
}

static void texts_floats_and_bools_are_read(void **state)
{
    const struct reading *r = *state;
    double f;
    bool b = false;

    assert_string_equal(gguf_get_string(&r->g, "general.architecture"), "llama");
    assert_true(gguf_get_f64(&r->g, "a.f32", &f) && f == 0.5);
    assert_true(gguf_get_f64(&r->g, "a.f64", &f) && f == 1.5);
    assert_false(gguf_get_f64(&r->g, "a.u16", &f));
    assert_true(gguf_get_bool(&r->g, "a.bool", &b) && b);
    assert_null(gguf_find(&r->g, "a.boo"));
    assert_null(gguf_find(&r->g, "a.bool2"));
}

static void arrays_are_kept_or_counted(void **state)
{
    const struct reading *r = *state;
    const struct gguf_key *key = gguf_find(&r->g, "a.i32s");
    int64_t v;

    assert_true(key->kept && key->count == 3);
    assert_true(gguf_array_i64(key, 1, &v) && v == -1);
    assert_false(gguf_array_i64(key, 3, &v));
    assert_true(gguf_array_i64(gguf_find(&r->g, "a.u32s"), 1, &v) && v == UINT32_MAX);
    assert_true(gguf_array_i64(gguf_find(&r->g, "a.bools"), 2, &v) && v == 1);
    key = gguf_find(&r->g, "tokenizer.ggml.tokens");
    assert_false(key->kept);
    assert_int_equal(key->count, 10);
    assert_false(gguf_array_i64(key, 0, &v));
}

static void long_values_are_passed_over(void **state)
{
    own(own_arena) struct arena arena = {0};
    static char text[GGUF_MAX_KEPT_STRING + 2];
    static uint32_t numbers[GGUF_MAX_KEPT_ARRAY + 1];
    struct gguf_write w;
    struct err err = {0};
    struct gguf g;
    uint32_t last;

    memset(text, 'x', sizeof(text) - 1);
    gguf_write_init(&w);
    gguf_write_string(&w, "tokenizer.chat_template", text);
    gguf_write_u32_array(&w, "most", numbers, GGUF_MAX_KEPT_ARRAY);
    gguf_write_u32_array(&w, "more", numbers, GGUF_MAX_KEPT_ARRAY + 1);
    gguf_write_u32(&w, "last", 42);
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    assert_true(gguf_read(&src, 0, &arena, &g, &err));
    assert_null(gguf_get_string(&g, "tokenizer.chat_template"));
    assert_int_equal(gguf_find(&g, "tokenizer.chat_template")->count, GGUF_MAX_KEPT_STRING + 1);
    assert_true(gguf_find(&g, "most")->kept);
    assert_false(gguf_find(&g, "more")->kept);
    assert_true(gguf_get_u32(&g, "last", &last) && last == 42);
    hold_finish(&h);
    gguf_write_finish(&w);
}

/* Strings that end on, before and after the edges of the reader's buffer. */
static void strings_of_every_length_are_passed_over(void **state)
{
    static char text[70000];
    struct str array = {0};
    struct gguf_write w;

    str_add_n(&array, "\x08\0\0\0\x2c\1\0\0\0\0\0\0", 12); /* 300 strings */
    for (uint32_t i = 0; i < 300; i++) {
        uint64_t len = i % 100 == 99 ? sizeof(text) - i : i * 7 % 997;
        str_add_n(&array, (const char *)&len, 8);
        str_add_n(&array, text, len);
    }
    gguf_write_init(&w);
    gguf_write_raw_key(&w, "strings", 7, GGUF_ARRAY, array.data, array.len);
    gguf_write_u32(&w, "last", 1);
    assert_int_equal(verdict(&w), ERR_NONE);
    str_finish(&array);
}

static void a_realistic_vocabulary_is_read_once(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct gguf_write w;
    struct err err = {0};
    struct gguf g;

    gguf_write_init(&w);
    gguf_write_vocabulary(&w, 152000, 220000);
    gguf_write_tensor(&w, "t", GGUF_TYPE_F32, 1, (uint64_t[]){8});
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    assert_true(h.bytes.len > 6 << 20);
    assert_true(gguf_read(&src, 0, &arena, &g, &err));
    assert_true(h.n_read <= h.size);
    assert_true(arena.used_bytes < 8192);
    assert_int_equal(gguf_find(&g, "tokenizer.ggml.merges")->count, 220000);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void a_failing_source_fails_the_read_at_every_place(void **state)
{
    struct gguf_write w;
    struct hold h;

    gguf_write_init(&w);
    gguf_write_vocabulary(&w, 20000, 20000);
    h = hold_make(&w);
    for (h.fail_at = 1; h.fail_at < h.size; h.fail_at += 60000)
        assert_int_equal(hold_code(&h, 0), ERR_1202);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void the_arena_is_untouched_by_a_failure(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    struct err err = {0};
    struct gguf g = {.version = 77};

    src.size_bytes = h.size - 1;
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(g.version, 77);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void a_small_arena_is_an_error(void **state)
{
    own(own_arena) struct arena arena;
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    struct err err = {0};
    struct gguf g;

    for (size_t limit = 16; limit < 1024; limit += 48) {
        arena_init(&arena, limit);
        assert_false(gguf_read(&src, 0, &arena, &g, &err));
        assert_int_equal(err.code, ERR_1201);
        arena_finish(&arena);
    }
    hold_finish(&h);
    gguf_write_finish(&w);
}

enum { RECORD_NAME = 8, RECORD_HEAD = 8 + RECORD_NAME + 4 + 4 + 8 };
enum { RECORD = RECORD_HEAD + 8 * GGUF_MAX_KEPT_ARRAY, RECORDS = 8400, PREAMBLE = 24 };

/* Puts the part of piece[n], which lies at `at`, that falls into [offset, offset + len). */
static void put_piece(const void *piece, size_t n, uint64_t at, char *out, uint64_t offset,
                      size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (at + i >= offset && at + i < offset + len)
            out[at + i - offset] = ((const char *)piece)[i];
    }
}

/* A file that is never held: keys of 32 KiB each, all zeros and alike but for their names. */
static bool read_records(void *ctx, uint64_t offset, void *out, size_t len, struct err *err)
{
    char preamble[PREAMBLE] = "GGUF\3";
    char head[RECORD_HEAD] = {RECORD_NAME};
    char name[16];

    memset(out, 0, len);
    preamble[16] = (char)(RECORDS & 0xff);
    preamble[17] = (char)(RECORDS >> 8);
    put_piece(preamble, sizeof(preamble), 0, out, offset, len);
    head[16] = GGUF_ARRAY;
    head[20] = GGUF_U64;
    head[25] = GGUF_MAX_KEPT_ARRAY >> 8;
    for (uint64_t n = offset / RECORD ? offset / RECORD - 1 : 0;
         PREAMBLE + n * RECORD < offset + len; n++) {
        snprintf(name, sizeof(name), "k%07u", (unsigned)n);
        memcpy(head + 8, name, RECORD_NAME);
        put_piece(head, sizeof(head), PREAMBLE + n * RECORD, out, offset, len);
    }
    return true;
}

/* 8400 keys of 32 KiB each fit a header, but not the stated bound of the reader. */
static void kept_values_have_a_bound(void **state)
{
    own(own_arena) struct arena arena;
    const struct gguf_source src = {.name = "records",
                                    .size_bytes = PREAMBLE + (uint64_t)RECORDS * RECORD,
                                    .read_at = read_records};
    struct err err = {0};
    struct gguf g;

    arena_init(&arena, (size_t)1 << 30);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_int_equal(err.code, ERR_2002);
    assert_non_null(strstr(err.title, "256 MiB"));
}

static void types_are_found_by_name(void **state)
{
    uint32_t type;

    assert_true(gguf_type_by_name("Q4_K", &type) && type == GGUF_TYPE_Q4_K);
    assert_true(gguf_type_by_name("iq2_xxs", &type) && type == GGUF_TYPE_IQ2_XXS);
    assert_false(gguf_type_by_name("q4_7", &type));
    assert_int_equal(gguf_row_bytes(gguf_type_info(GGUF_TYPE_Q6_K), 512), 420);
    assert_null(gguf_type_info(4));
    assert_null(gguf_type_info(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(totals_describe_the_file, read_good_file, drop_reading),
        cmocka_unit_test_setup_teardown(tensors_have_exact_sizes, read_good_file, drop_reading),
        cmocka_unit_test_setup_teardown(numbers_of_any_width_are_read, read_good_file,
                                        drop_reading),
        cmocka_unit_test_setup_teardown(texts_floats_and_bools_are_read, read_good_file,
                                        drop_reading),
        cmocka_unit_test_setup_teardown(arrays_are_kept_or_counted, read_good_file, drop_reading),
        cmocka_unit_test(long_values_are_passed_over),
        cmocka_unit_test(strings_of_every_length_are_passed_over),
        cmocka_unit_test(a_realistic_vocabulary_is_read_once),
        cmocka_unit_test(a_failing_source_fails_the_read_at_every_place),
        cmocka_unit_test(the_arena_is_untouched_by_a_failure),
        cmocka_unit_test(a_small_arena_is_an_error),
        cmocka_unit_test(kept_values_have_a_bound),
        cmocka_unit_test(types_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
