/* test_sets: models in several files on disk, and files that do not belong together. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hold.h"

enum { PARTS = 3 };

/* A directory with a set in it: DIR/model-0000N-of-00003.gguf, two tensors each. */
struct folder {
    char dir[64];
    char part[PARTS][128];
    struct arena arena;
    struct gguf g;
    struct err err;
};

static void write_part(const char *path, uint16_t no, uint16_t count, const char *tensor_prefix,
                       int32_t total)
{
    own(own_gguf_write) struct gguf_write w;
    struct err err = {0};
    char name[64];

    gguf_write_init(&w);
    if (no == 0)
        gguf_write_string(&w, "general.architecture", "llama");
    gguf_write_u16(&w, "split.no", no);
    gguf_write_u16(&w, "split.count", count);
    gguf_write_i32(&w, "split.tensors.count", total);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s%u.%d", tensor_prefix, no, i);
        gguf_write_tensor(&w, name, GGUF_TYPE_F32, 1, (uint64_t[]){8u * (no + 1u)});
    }
    assert_true(gguf_write_file(&w, path, &err));
}

static int make_folder(void **state)
{
    static struct folder f;

    f = (struct folder){.dir = "/tmp/gguf-set-XXXXXX"};
    if (!mkdtemp(f.dir))
        return -1;
    for (uint16_t i = 0; i < PARTS; i++) {
        snprintf(f.part[i], sizeof(f.part[i]), "%s/model-%05d-of-%05d.gguf", f.dir, i + 1, PARTS);
        write_part(f.part[i], i, PARTS, "t", 2 * PARTS);
    }
    *state = &f;
    return 0;
}

static int drop_folder(void **state)
{
    struct folder *f = *state;

    arena_finish(&f->arena);
    for (int i = 0; i < PARTS; i++)
        unlink(f->part[i]);
    return rmdir(f->dir);
}

static bool read_path(struct folder *f, const char *path, int flags)
{
    f->err = (struct err){0};
    return gguf_read_path(path, flags, &f->arena, &f->g, &f->err);
}

static void any_part_names_the_set(void **state)
{
    struct folder *f = *state;
    static const char *const names[] = {"t0.0", "t0.1", "t1.0", "t1.1", "t2.0", "t2.1"};

    for (int part = 0; part < PARTS; part++) {
        assert_true(read_path(f, f->part[part], 0));
        assert_int_equal(f->g.n_shards, PARTS);
        assert_int_equal(f->g.n_tensors, 6);
        assert_string_equal(gguf_get_string(&f->g, "general.architecture"), "llama");
        for (int i = 0; i < 6; i++) {
            assert_string_equal(f->g.tensors[i].name, names[i]);
            assert_int_equal(f->g.tensors[i].shard, i / 2);
        }
        for (int i = 0; i < PARTS; i++)
            assert_string_equal(f->g.shard_names[i], f->part[i]);
        assert_int_equal(f->g.data_bytes, 2 * 32 * (1 + 2 + 3));
    }
}

static void file_bytes_are_those_of_all_parts(void **state)
{
    struct folder *f = *state;
    struct stat st;
    uint64_t sum = 0;

    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(stat(f->part[i], &st), 0);
        sum += (uint64_t)st.st_size;
    }
    assert_true(read_path(f, f->part[1], 0));
    assert_int_equal(f->g.file_bytes, sum);
}

static void names_without_a_directory_work(void **state)
{
    struct folder *f = *state;
    char before[PATH_MAX];

    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->dir), 0);
    assert_true(read_path(f, "model-00002-of-00003.gguf", 0));
    assert_int_equal(chdir(before), 0);
}

static void a_missing_part_is_named(void **state)
{
    struct folder *f = *state;

    unlink(f->part[1]);
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2004);
    assert_non_null(strstr(f->err.title, "model-00002-of-00003.gguf"));
    assert_non_null(strstr(f->err.title, "part 2 of 3 is missing"));
    assert_false(read_path(f, f->part[1], 0));
    assert_int_equal(f->err.code, ERR_2001); /* the one that was asked for is not there */
}

static void a_cut_part_is_refused(void **state)
{
    struct folder *f = *state;
    struct stat st;

    assert_int_equal(stat(f->part[2], &st), 0);
    assert_int_equal(truncate(f->part[2], st.st_size - 1), 0);
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2002);
    assert_non_null(strstr(f->err.title, "model-00003"));
}

static void parts_must_belong_together(void **state)
{
    struct folder *f = *state;

    write_part(f->part[1], 2, PARTS, "u", 6); /* says it is another part */
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2004);
    write_part(f->part[1], 1, 4, "u", 6); /* of a larger set */
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2004);
    write_part(f->part[1], 1, PARTS, "u", 6);
    assert_true(read_path(f, f->part[0], 0));
}

static void the_number_of_tensors_must_be_the_promised_one(void **state)
{
    struct folder *f = *state;

    write_part(f->part[0], 0, PARTS, "t", 7);
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2004);
}

static void a_tensor_in_two_parts_is_refused(void **state)
{
    struct folder *f = *state;
    own(own_gguf_write) struct gguf_write w;

    gguf_write_init(&w);
    gguf_write_u16(&w, "split.no", 2);
    gguf_write_u16(&w, "split.count", PARTS);
    gguf_write_tensor(&w, "t0.1", GGUF_TYPE_F32, 1, (uint64_t[]){8});
    gguf_write_tensor(&w, "t2.1", GGUF_TYPE_F32, 1, (uint64_t[]){8});
    assert_true(gguf_write_file(&w, f->part[2], &f->err));
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2002);
    assert_non_null(strstr(f->err.title, "t0.1"));
}

static void a_renamed_part_says_why(void **state)
{
    struct folder *f = *state;
    char other[160];

    snprintf(other, sizeof(other), "%s/other.gguf", f->dir);
    assert_int_equal(rename(f->part[0], other), 0);
    assert_false(read_path(f, other, 0));
    assert_int_equal(f->err.code, ERR_2004);
    assert_true(f->err.n_why > 0 && f->err.n_fix > 0);
    unlink(other);
}

/* What the caches of model managers look like: links in one directory, files in another. */
static void a_set_of_links_into_one_other_directory_is_read(void **state)
{
    struct folder *f = *state;
    char blobs[] = "/tmp/gguf-blobs-XXXXXX", blob[PARTS][64];

    assert_non_null(mkdtemp(blobs));
    for (int i = 0; i < PARTS; i++) {
        snprintf(blob[i], sizeof(blob[i]), "%s/blob%d", blobs, i);
        assert_int_equal(rename(f->part[i], blob[i]), 0);
        assert_int_equal(symlink(blob[i], f->part[i]), 0);
    }
    assert_true(read_path(f, f->part[1], 0));
    assert_int_equal(f->g.n_tensors, 6);
    for (int i = 0; i < PARTS; i++)
        unlink(blob[i]);
    rmdir(blobs);
}

static void a_part_that_links_elsewhere_is_refused(void **state)
{
    struct folder *f = *state;
    char away[] = "/tmp/gguf-away-XXXXXX", target[64];

    assert_non_null(mkdtemp(away));
    snprintf(target, sizeof(target), "%s/secret", away);
    assert_int_equal(rename(f->part[2], target), 0);
    assert_int_equal(symlink(target, f->part[2]), 0);
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2008);
    assert_true(read_path(f, f->part[2], 0)); /* named by the user: links are followed */
    unlink(target);
    rmdir(away);
}

static void a_part_that_is_a_fifo_is_refused(void **state)
{
    struct folder *f = *state;

    unlink(f->part[2]);
    assert_int_equal(mkfifo(f->part[2], 0600), 0);
    assert_false(read_path(f, f->part[0], 0));
    assert_int_equal(f->err.code, ERR_2008);
}

static void parts_without_data_are_taken_only_when_asked(void **state)
{
    struct folder *f = *state;
    struct stat st;

    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(stat(f->part[i], &st), 0);
        assert_int_equal(truncate(f->part[i], st.st_size - 2 * 32 * (i + 1)), 0);
    }
    assert_false(read_path(f, f->part[0], 0));
    assert_true(read_path(f, f->part[0], GGUF_ALLOW_HEADER_ONLY));
    assert_true(f->g.header_only);
}

int main(void)
{
#define SET_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        SET_TEST(any_part_names_the_set),
        SET_TEST(file_bytes_are_those_of_all_parts),
        SET_TEST(names_without_a_directory_work),
        SET_TEST(a_missing_part_is_named),
        SET_TEST(a_cut_part_is_refused),
        SET_TEST(parts_must_belong_together),
        SET_TEST(the_number_of_tensors_must_be_the_promised_one),
        SET_TEST(a_tensor_in_two_parts_is_refused),
        SET_TEST(a_renamed_part_says_why),
        SET_TEST(a_set_of_links_into_one_other_directory_is_read),
        SET_TEST(a_part_that_links_elsewhere_is_refused),
        SET_TEST(a_part_that_is_a_fifo_is_refused),
        SET_TEST(parts_without_data_are_taken_only_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
