/* test_cases: every known way of lying in a GGUF file, G01 to G31, with the verdict it gets. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hold.h"

static struct gguf_write empty_file(void)
{
    struct gguf_write w;

    gguf_write_init(&w);
    gguf_write_string(&w, "general.architecture", "llama");
    return w;
}

/* The verdict on one tensor of this shape in a file that is as long as asked. */
static enum err_code tensor_verdict(uint32_t type, uint32_t n_dims, const uint64_t *ne)
{
    struct gguf_write w = empty_file();

    gguf_write_raw_tensor(&w, "t", 1, n_dims, ne, type, 0);
    w.data_bytes = (uint64_t)1 << 40;
    return verdict(&w);
}

static enum err_code key_verdict(uint32_t type, const void *bytes, size_t len)
{
    struct gguf_write w = empty_file();

    gguf_write_raw_key(&w, "k", 1, type, bytes, len);
    return verdict(&w);
}

static enum err_code bytes_verdict(const void *bytes, size_t len)
{
    struct hold h = {.size = len};
    enum err_code code;

    str_add_n(&h.bytes, bytes, len);
    code = hold_code(&h, 0);
    hold_finish(&h);
    return code;
}

static void put_le(struct str *s, size_t at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        s->data[at + i] = (char)(value >> (8 * i));
}

/* The verdict on a good file with a number in its preamble replaced. */
static enum err_code preamble_verdict(size_t at, uint64_t value, int bytes)
{
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    enum err_code code;

    put_le(&h.bytes, at, value, bytes);
    code = hold_code(&h, 0);
    hold_finish(&h);
    gguf_write_finish(&w);
    return code;
}

static void g01_empty_short_magic_and_every_cut(void **state)
{
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    uint64_t whole = h.size;

    assert_int_equal(bytes_verdict("", 0), ERR_2002);
    assert_int_equal(bytes_verdict("GGU", 3), ERR_2002);
    assert_int_equal(bytes_verdict("GGUG\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24), ERR_2002);
    assert_int_equal(hold_code(&h, 0), ERR_NONE);
    for (uint64_t cut = 0; cut < whole; cut++) {
        h.size = cut;
        assert_int_equal(hold_code(&h, 0), ERR_2002);
    }
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g01_cut_inside_a_file_on_disk(void **state)
{
    char path[] = "/tmp/gguf-cut-XXXXXX";
    own(own_arena) struct arena arena = {0};
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    struct err err = {0};
    struct gguf g;
    own_fd int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(gguf_write_file(&w, path, &err));
    assert_true(gguf_read_path(path, 0, &arena, &g, &err));
    for (uint64_t cut = 1; cut <= h.size; cut += 7) {
        assert_int_equal(truncate(path, (off_t)(h.size - cut)), 0);
        assert_false(gguf_read_path(path, 0, &arena, &g, &err));
        assert_int_equal(err.code, ERR_2002);
    }
    unlink(path);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g02_versions(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);

    assert_int_equal(preamble_verdict(4, 2, 4), ERR_NONE);
    assert_int_equal(preamble_verdict(4, 3, 4), ERR_NONE);
    assert_int_equal(preamble_verdict(4, 0, 4), ERR_2002);
    assert_int_equal(preamble_verdict(4, 1, 4), ERR_2002);
    assert_int_equal(preamble_verdict(4, 4, 4), ERR_2002);
    put_le(&h.bytes, 4, 0x03000000, 4);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_non_null(strstr(err.title, "big-endian"));
    put_le(&h.bytes, 4, 77, 4);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_non_null(strstr(err.title, "version 77"));
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g03_counts_beyond_the_file(void **state)
{
    static const uint64_t counts[] = {UINT64_MAX, (uint64_t)1 << 40, (uint64_t)1 << 63};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(preamble_verdict(8, counts[i], 8), ERR_2002);
        assert_int_equal(preamble_verdict(16, counts[i], 8), ERR_2002);
    }
}

static void g03_counts_are_refused_before_memory_is_taken(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);

    h.size = src.size_bytes = (uint64_t)1 << 50; /* so long that the bytes would suffice */
    put_le(&h.bytes, 8, (uint64_t)1 << 32, 8);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_int_equal(arena.used_bytes, 0);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g04_fewer_entries_than_promised(void **state)
{
    struct gguf_write w = empty_file();

    gguf_write_tensor(&w, "one", GGUF_TYPE_F32, 1, (uint64_t[]){8});
    w.n_tensors = 3;
    assert_int_equal(verdict(&w), ERR_2002);
    w = empty_file();
    w.n_keys = 2;
    assert_int_equal(verdict(&w), ERR_2002);
}

static void g05_key_names(void **state)
{
    static const uint64_t lengths[] = {0, UINT64_MAX, (uint64_t)1 << 62, GGUF_MAX_KEY + 1};
    char longest[GGUF_MAX_KEY];
    struct gguf_write w;

    for (int i = 0; i < 4; i++) {
        w = good_file();
        put_le(&w.keys, 0, lengths[i], 8);
        assert_int_equal(verdict(&w), ERR_2002);
    }
    memset(longest, 'k', sizeof(longest));
    w = empty_file();
    gguf_write_raw_key(&w, longest, sizeof(longest), GGUF_U8, "\1", 1);
    assert_int_equal(verdict(&w), ERR_NONE);
    w = empty_file();
    gguf_write_u32(&w, "twice", 1);
    gguf_write_u32(&w, "between", 1);
    gguf_write_u32(&w, "twice", 1);
    assert_int_equal(verdict(&w), ERR_2002);
}

static void g06_value_types(void **state)
{
    assert_int_equal(key_verdict(13, "\0\0\0\0\0\0\0\0", 8), ERR_2002);
    assert_int_equal(key_verdict(UINT32_MAX, "\0\0\0\0\0\0\0\0", 8), ERR_2002);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x09\0\0\0\1\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0", 20),
                     ERR_2002);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x0d\0\0\0\0\0\0\0\0\0\0\0", 12), ERR_2002);
}

static void g07_string_lengths(void **state)
{
    assert_int_equal(key_verdict(GGUF_STRING, "\4\0\0\0\0\0\0\0abcd", 12), ERR_NONE);
    assert_int_equal(key_verdict(GGUF_STRING, "\5\0\0\0\0\0\0\0abcd", 12), ERR_2002);
    assert_int_equal(key_verdict(GGUF_STRING, "\0\0\0\0\0\0\0\x40", 8), ERR_2002);
    assert_int_equal(key_verdict(GGUF_STRING, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), ERR_2002);
    /* the same inside an array, where nothing is kept */
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x08\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0x", 21),
                     ERR_NONE);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x08\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0x", 21),
                     ERR_2002);
    assert_int_equal(
        key_verdict(GGUF_ARRAY, "\x08\0\0\0\1\0\0\0\0\0\0\0\xf8\xff\xff\xff\xff\xff\xff\xffx", 21),
        ERR_2002);
}

static void g08_array_counts(void **state)
{
    assert_int_equal(key_verdict(GGUF_ARRAY, "\4\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0", 16), ERR_NONE);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\4\0\0\0\0\0\0\0\0\0\0\0", 12), ERR_NONE);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\4\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0", 16), ERR_2002);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\4\0\0\0\0\0\0\0\0\0\0\x10\1\0\0\0", 16), ERR_2002);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x08\0\0\0\0\0\0\0\0\0\0\x10\1\0\0\0", 16), ERR_2002);
    /* 2^61 eight byte elements: the product would wrap to 0 */
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x0a\0\0\0\0\0\0\0\0\0\0\x20\1\0\0\0", 16), ERR_2002);
}

static void g09_bools(void **state)
{
    struct gguf_write w = empty_file();
    char many[12 + 5000] = "\x07\0\0\0\x88\x13";

    assert_int_equal(key_verdict(GGUF_BOOL, "\0", 1), ERR_NONE);
    assert_int_equal(key_verdict(GGUF_BOOL, "\1", 1), ERR_NONE);
    assert_int_equal(key_verdict(GGUF_BOOL, "\xc8", 1), ERR_2002);
    assert_int_equal(key_verdict(GGUF_ARRAY, "\x07\0\0\0\2\0\0\0\0\0\0\0\1\2", 14), ERR_2002);
    gguf_write_raw_key(&w, "k", 1, GGUF_ARRAY, many, sizeof(many));
    assert_int_equal(verdict(&w), ERR_NONE);
    many[sizeof(many) - 1] = 2;
    assert_int_equal(key_verdict(GGUF_ARRAY, many, sizeof(many)), ERR_2002);
}

static enum err_code alignment_verdict(uint32_t alignment, bool tensors)
{
    struct gguf_write w = empty_file();

    gguf_write_u32(&w, "general.alignment", alignment);
    if (alignment >= 8 && alignment <= 1 << 16)
        w.alignment = alignment;
    if (tensors) {
        gguf_write_tensor(&w, "a", GGUF_TYPE_F32, 1, (uint64_t[]){3});
        gguf_write_tensor(&w, "b", GGUF_TYPE_F32, 1, (uint64_t[]){3});
    }
    return verdict(&w);
}

static void g10_alignments(void **state)
{
    static const uint32_t bad[] = {0, 1, 2, 4, 13, 96, 1 << 17};
    struct gguf_write w;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(alignment_verdict(bad[i], true), ERR_2002);
    for (uint32_t good = 8; good <= 1 << 16; good *= 2)
        assert_int_equal(alignment_verdict(good, true), ERR_NONE);
    w = empty_file();
    gguf_write_i32(&w, "general.alignment", 32);
    assert_int_equal(verdict(&w), ERR_2002);
    w = empty_file();
    gguf_write_u64(&w, "general.alignment", 32);
    assert_int_equal(verdict(&w), ERR_2002);
    w = empty_file();
    gguf_write_u32_array(&w, "general.alignment", (uint32_t[]){32}, 1);
    assert_int_equal(verdict(&w), ERR_2002);
}

static void g11_huge_alignment(void **state)
{
    assert_int_equal(alignment_verdict(0x80000000u, false), ERR_2002);
    assert_int_equal(alignment_verdict(0x80000000u, true), ERR_2002);
}

static enum err_code names_verdict(const char *first, size_t first_len, const char *second,
                                   size_t second_len)
{
    struct gguf_write w = empty_file();

    gguf_write_raw_tensor(&w, first, first_len, 1, (uint64_t[]){8}, GGUF_TYPE_F32, 0);
    gguf_write_raw_tensor(&w, second, second_len, 1, (uint64_t[]){8}, GGUF_TYPE_F32, 32);
    w.data_bytes = 64;
    return verdict(&w);
}

static void g12_tensor_names(void **state)
{
    char longest[64];

    memset(longest, 'n', sizeof(longest));
    assert_int_equal(names_verdict("a", 1, longest, 63), ERR_NONE);
    assert_int_equal(names_verdict("a", 1, longest, 64), ERR_2002);
    assert_int_equal(names_verdict("same", 4, "same", 4), ERR_2002);
    assert_int_equal(names_verdict("same", 4, "samesame", 8), ERR_NONE); /* by length */
    assert_int_equal(names_verdict("a", 1, "", 0), ERR_NONE);
    assert_int_equal(names_verdict("a", 1, "\xff\xfe", 2), ERR_NONE);
    /* the engine would take these two for one name: refused rather than guessed at */
    assert_int_equal(names_verdict("a\0b", 3, "a\0c", 3), ERR_2002);
}

static void g12_names_are_escaped_in_messages(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_write w = empty_file();
    struct hold h;
    struct gguf_source src;

    gguf_write_raw_tensor(&w, "\x1b[2J\0\xff", 6, 0, NULL, GGUF_TYPE_F32, 0);
    h = hold_make(&w);
    src = hold_source(&h);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_null(strchr(err.title, '\x1b'));
    assert_non_null(strstr(err.title, "\\x1B[2J"));
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g13_dimension_counts(void **state)
{
    static const uint64_t ne[] = {8, 1, 1, 1, 1, 1, 1, 1};

    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 0, ne), ERR_NONE);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 4, ne), ERR_NONE);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 5, ne), ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, UINT32_MAX, ne), ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_Q4_0, 0, ne), ERR_2002); /* one element, no block */
}

static void g14_negative_dimensions(void **state)
{
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 1, (uint64_t[]){UINT64_MAX}), ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 2, (uint64_t[]){-4ull, -4ull}), ERR_2002);
}

static void g15_zero_dimensions(void **state)
{
    static const uint64_t shapes[][4] = {
        {0,  1, 1, 1},
        {32, 0, 5, 1},
        {32, 2, 0, 0}
    };

    for (int i = 0; i < 3; i++) {
        own(own_arena) struct arena arena = {0};
        struct err err = {0};
        struct gguf g;
        struct gguf_write w = empty_file();
        gguf_write_tensor(&w, "t", GGUF_TYPE_Q4_0, 4, shapes[i]);
        struct hold h = hold_make(&w);
        struct gguf_source src = hold_source(&h);
        assert_true(gguf_read(&src, 0, &arena, &g, &err));
        assert_int_equal(g.tensors[0].size_bytes, 0);
        assert_int_equal(g.data_bytes, 0);
        hold_finish(&h);
        gguf_write_finish(&w);
    }
}

static void g16_more_bytes_than_64_bits(void **state)
{
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 2, (uint64_t[]){1ull << 62, 1}), ERR_2002);
}

static void g17_product_wraps_to_zero(void **state)
{
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 2, (uint64_t[]){1ull << 32, 1ull << 32}),
                     ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F32, 3, (uint64_t[]){1ull << 32, 1ull << 32, 0}),
                     ERR_2002);
}

static void g18_product_of_three_wraps_to_zero(void **state)
{
    assert_int_equal(
        tensor_verdict(GGUF_TYPE_F32, 3, (uint64_t[]){1ull << 22, 1ull << 21, 1ull << 21}),
        ERR_2002);
}

static void g19_product_is_negative(void **state)
{
    assert_int_equal(tensor_verdict(GGUF_TYPE_I8, 2, (uint64_t[]){1ull << 32, 1ull << 31}),
                     ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_I8, 2, (uint64_t[]){1ull << 62, 2}), ERR_2002);
}

static void g20_rows_of_whole_blocks(void **state)
{
    assert_int_equal(tensor_verdict(GGUF_TYPE_Q4_0, 1, (uint64_t[]){32}), ERR_NONE);
    assert_int_equal(tensor_verdict(GGUF_TYPE_Q4_0, 1, (uint64_t[]){33}), ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_Q4_K, 2, (uint64_t[]){128, 2}), ERR_2002);
}

static void g21_tensor_types(void **state)
{
    static const uint32_t bad[] = {UINT32_MAX, 1u << 31, 4, 5, 31, 36, 43, 63, 64, 1000};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(tensor_verdict(bad[i], 1, (uint64_t[]){256}), ERR_2002);
    for (uint32_t type = 0; type < GGUF_TYPE_LIMIT; type++)
        assert_int_equal(tensor_verdict(type, 1, (uint64_t[]){256}),
                         gguf_type_info(type) ? ERR_NONE : ERR_2002);
}

static enum err_code second_offset_verdict(uint64_t offset)
{
    struct gguf_write w = empty_file();

    gguf_write_raw_tensor(&w, "a", 1, 1, (uint64_t[]){9}, GGUF_TYPE_F32, 0);
    gguf_write_raw_tensor(&w, "b", 1, 1, (uint64_t[]){8}, GGUF_TYPE_F32, offset);
    w.data_bytes = 4096;
    return verdict(&w);
}

static void g22_offsets_follow_each_other(void **state)
{
    assert_int_equal(second_offset_verdict(64), ERR_NONE);
    assert_int_equal(second_offset_verdict(36), ERR_2002); /* not aligned */
    assert_int_equal(second_offset_verdict(0), ERR_2002);  /* overlap */
    assert_int_equal(second_offset_verdict(32), ERR_2002); /* overlap */
    assert_int_equal(second_offset_verdict(96), ERR_2002); /* gap */
    assert_int_equal(second_offset_verdict(UINT64_MAX), ERR_2002);
}

static void g23_sums_past_64_bits(void **state)
{
    struct gguf_write w = empty_file();
    uint64_t most = ((uint64_t)1 << 63) - 32;

    gguf_write_raw_tensor(&w, "a", 1, 1, &most, GGUF_TYPE_I8, 0);
    gguf_write_raw_tensor(&w, "b", 1, 1, &most, GGUF_TYPE_I8, most);
    gguf_write_raw_tensor(&w, "c", 1, 1, &most, GGUF_TYPE_I8, 2 * most);
    assert_int_equal(verdict(&w), ERR_2002);
    assert_int_equal(tensor_verdict(GGUF_TYPE_F64, 1, (uint64_t[]){(1ull << 62) - 1}), ERR_2002);
}

static void g24_data_shorter_than_the_tensors(void **state)
{
    struct gguf_write w = good_file();
    struct hold h = hold_make(&w);
    uint64_t header = h.bytes.len, whole = h.size;

    assert_int_equal(hold_code(&h, 0), ERR_NONE);
    h.size = whole - 1;
    assert_int_equal(hold_code(&h, 0), ERR_2002);
    assert_int_equal(hold_code(&h, GGUF_ALLOW_HEADER_ONLY), ERR_2002); /* partly there is broken */
    h.size = header + 1;
    assert_int_equal(hold_code(&h, GGUF_ALLOW_HEADER_ONLY), ERR_2002);
    h.size = header;
    assert_int_equal(hold_code(&h, 0), ERR_2002);
    assert_int_equal(hold_code(&h, GGUF_ALLOW_HEADER_ONLY), ERR_NONE);
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g25_many_tensors(void **state)
{
    struct gguf_write w = empty_file();
    char name[32];

    for (int i = 0; i < 40000; i++) {
        int n = snprintf(name, sizeof(name), "blk.%d.weight", i);
        gguf_write_raw_tensor(&w, name, (size_t)n, 1, (uint64_t[]){0}, GGUF_TYPE_F32, 0);
    }
    assert_int_equal(verdict(&w), ERR_NONE);
}

static enum err_code split_verdict(uint16_t no, uint16_t count)
{
    char path[] = "/tmp/gguf-split-XXXXXX.gguf";
    own(own_arena) struct arena arena = {0};
    struct gguf_write w = empty_file();
    struct err err = {0};
    struct gguf g;
    own_fd int fd = mkstemps(path, 5);

    gguf_write_u16(&w, "split.no", no);
    gguf_write_u16(&w, "split.count", count);
    assert_true(fd >= 0 && gguf_write_file(&w, path, &err));
    gguf_write_finish(&w);
    gguf_read_path(path, 0, &arena, &g, &err);
    unlink(path);
    return err.code;
}

static void g26_lying_split_numbers(void **state)
{
    assert_int_equal(split_verdict(0, 65535), ERR_2004);
    assert_int_equal(split_verdict(0, GGUF_MAX_SPLITS + 1), ERR_2004);
    assert_int_equal(split_verdict(7, 3), ERR_2004);
    assert_int_equal(split_verdict(3, 3), ERR_2004);
    assert_int_equal(split_verdict(0, 2), ERR_2004); /* its name does not say so */
    assert_int_equal(split_verdict(0, 1), ERR_NONE);
}

static void g27_absurd_hyper_parameters_read_as_absent(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_write w = empty_file();
    uint32_t u32;
    int64_t i64;
    bool flag;

    gguf_write_u64(&w, "llama.block_count", (uint64_t)1 << 33);
    gguf_write_i32(&w, "llama.head_count", -1);
    gguf_write_u32_array(&w, "llama.head_count_kv", (uint32_t[]){8, 4}, 2);
    gguf_write_u32(&w, "llama.scalar", 8);
    gguf_write_f32(&w, "llama.float", 8);
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    assert_true(gguf_read(&src, 0, &arena, &g, &err));
    assert_false(gguf_get_u32(&g, "llama.block_count", &u32));
    assert_false(gguf_get_u32(&g, "llama.head_count", &u32));
    assert_false(gguf_get_u32(&g, "llama.head_count_kv", &u32));
    assert_false(gguf_get_u32(&g, "llama.float", &u32));
    assert_false(gguf_get_bool(&g, "llama.scalar", &flag));
    assert_null(gguf_get_string(&g, "llama.scalar"));
    assert_true(gguf_array_i64(gguf_find(&g, "llama.head_count_kv"), 1, &i64));
    assert_false(gguf_array_i64(gguf_find(&g, "llama.head_count_kv"), 2, &i64));
    assert_false(gguf_array_i64(gguf_find(&g, "llama.scalar"), 0, &i64));
    hold_finish(&h);
    gguf_write_finish(&w);
}

static void g28_floats_that_are_no_numbers(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;
    struct gguf_write w = empty_file();
    double value = 7;

    gguf_write_f32(&w, "nan", NAN);
    gguf_write_f32(&w, "inf", -INFINITY);
    gguf_write_raw_key(&w, "huge", 4, GGUF_F64, "\xa0\xc8\xeb\x85\xf3\xcc\xe1\x7f", 8);
    struct hold h = hold_make(&w);
    struct gguf_source src = hold_source(&h);
    assert_true(gguf_read(&src, 0, &arena, &g, &err));
    assert_false(gguf_get_f64(&g, "nan", &value));
    assert_false(gguf_get_f64(&g, "inf", &value));
    assert_float_equal(value, 7, 0);
    assert_true(gguf_get_f64(&g, "huge", &value));
    assert_true(value > 9e307 && isfinite(value));
    hold_finish(&h);
    gguf_write_finish(&w);
}

static enum err_code path_verdict(const char *path)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct gguf g;

    return gguf_read_path(path, 0, &arena, &g, &err) ? ERR_NONE : err.code;
}

static void g29_only_regular_files(void **state)
{
    char dir[] = "/tmp/gguf-g29-XXXXXX", fifo[64], link_to_fifo[64];

    assert_non_null(mkdtemp(dir));
    snprintf(fifo, sizeof(fifo), "%s/fifo.gguf", dir);
    snprintf(link_to_fifo, sizeof(link_to_fifo), "%s/link.gguf", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(fifo, link_to_fifo), 0);
    assert_int_equal(path_verdict(fifo), ERR_2008); /* and does not wait for a writer */
    assert_int_equal(path_verdict(link_to_fifo), ERR_2008);
    assert_int_equal(path_verdict("/dev/zero"), ERR_2008);
    assert_int_equal(path_verdict(dir), ERR_2008);
    unlink(fifo);
    assert_int_equal(path_verdict(fifo), ERR_2001);
    assert_int_equal(path_verdict(link_to_fifo), ERR_2001);
    assert_int_equal(path_verdict(""), ERR_2001);
    unlink(link_to_fifo);
    rmdir(dir);
}

static void g30_file_shrinks_while_it_is_read(void **state)
{
    char path[] = "/tmp/gguf-g30-XXXXXX";
    own(own_arena) struct arena arena = {0};
    struct gguf_write w = good_file();
    struct gguf_source src = {0};
    struct err err = {0};
    struct gguf g;
    own_fd int fd = mkstemp(path);

    assert_true(fd >= 0 && gguf_write_file(&w, path, &err));
    assert_true(gguf_source_file(path, &src, &err));
    assert_int_equal(truncate(path, 100), 0);
    assert_false(gguf_read(&src, 0, &arena, &g, &err));
    assert_int_equal(err.code, ERR_1202);
    gguf_source_close(&src);
    unlink(path);
    gguf_write_finish(&w);
}

/* A header with `count` empty strings, which are zeros in the hole, and nothing after them. */
static struct hold empty_strings(uint64_t count)
{
    struct gguf_write w = empty_file();
    struct hold h;

    gguf_write_raw_key(&w, "tokenizer.ggml.tokens", 21, GGUF_ARRAY, "\x08\0\0\0\0\0\0\0\0\0\0\0",
                       12);
    h = hold_make(&w);
    put_le(&h.bytes, h.bytes.len - 8, count, 8);
    h.size = h.bytes.len + count * 8;
    gguf_write_finish(&w);
    return h;
}

static void g31_a_gigabyte_of_empty_strings(void **state)
{
    struct hold h = empty_strings((uint64_t)1 << 27);

    assert_int_equal(hold_code(&h, 0), ERR_2002);
    assert_true(h.n_read <= GGUF_MAX_HEADER_BYTES + (1 << 20));
    hold_finish(&h);
}

static void g31_a_vocabulary_takes_no_memory(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hold h = empty_strings(1500000);
    struct gguf_source src = hold_source(&h);
    struct err err = {0};
    struct gguf g;

    assert_true(gguf_read(&src, 0, &arena, &g, &err));
    assert_int_equal(gguf_find(&g, "tokenizer.ggml.tokens")->count, 1500000);
    assert_false(gguf_find(&g, "tokenizer.ggml.tokens")->kept);
    assert_true(arena.used_bytes < 4096);
    hold_finish(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g01_empty_short_magic_and_every_cut),
        cmocka_unit_test(g01_cut_inside_a_file_on_disk),
        cmocka_unit_test(g02_versions),
        cmocka_unit_test(g03_counts_beyond_the_file),
        cmocka_unit_test(g03_counts_are_refused_before_memory_is_taken),
        cmocka_unit_test(g04_fewer_entries_than_promised),
        cmocka_unit_test(g05_key_names),
        cmocka_unit_test(g06_value_types),
        cmocka_unit_test(g07_string_lengths),
        cmocka_unit_test(g08_array_counts),
        cmocka_unit_test(g09_bools),
        cmocka_unit_test(g10_alignments),
        cmocka_unit_test(g11_huge_alignment),
        cmocka_unit_test(g12_tensor_names),
        cmocka_unit_test(g12_names_are_escaped_in_messages),
        cmocka_unit_test(g13_dimension_counts),
        cmocka_unit_test(g14_negative_dimensions),
        cmocka_unit_test(g15_zero_dimensions),
        cmocka_unit_test(g16_more_bytes_than_64_bits),
        cmocka_unit_test(g17_product_wraps_to_zero),
        cmocka_unit_test(g18_product_of_three_wraps_to_zero),
        cmocka_unit_test(g19_product_is_negative),
        cmocka_unit_test(g20_rows_of_whole_blocks),
        cmocka_unit_test(g21_tensor_types),
        cmocka_unit_test(g22_offsets_follow_each_other),
        cmocka_unit_test(g23_sums_past_64_bits),
        cmocka_unit_test(g24_data_shorter_than_the_tensors),
        cmocka_unit_test(g25_many_tensors),
        cmocka_unit_test(g26_lying_split_numbers),
        cmocka_unit_test(g27_absurd_hyper_parameters_read_as_absent),
        cmocka_unit_test(g28_floats_that_are_no_numbers),
        cmocka_unit_test(g29_only_regular_files),
        cmocka_unit_test(g30_file_shrinks_while_it_is_read),
        cmocka_unit_test(g31_a_gigabyte_of_empty_strings),
        cmocka_unit_test(g31_a_vocabulary_takes_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
