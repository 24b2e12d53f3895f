/* test_arena: memory is zeroed and aligned, bounded, and comes back. */
#include "check.h"

#include <string.h>

#include "base/arena.h"
#include "base/own.h"

static int all_zero(const unsigned char *p, size_t n)
{
    while (n--)
        if (*p++)
            return 0;
    return 1;
}

static void memory_is_zeroed_and_aligned(void **state)
{
    own(own_arena) struct arena a = {0};
    for (size_t i = 0; i < 3000; i++) {
        unsigned char *p = arena_alloc(&a, 1, i % 97);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(all_zero(p, i % 97));
        memset(p, 0xaa, i % 97);
    }
}

static void the_limit_holds(void **state)
{
    own(own_arena) struct arena a;
    arena_init(&a, 1000);
    assert_null(arena_alloc(&a, 1, 1001));
    assert_non_null(arena_alloc(&a, 1, 900));
    assert_null(arena_alloc(&a, 1, 100));
    assert_non_null(arena_alloc(&a, 1, 80));
    assert_int_equal(a.used_bytes, 912 + 80);
    arena_finish(&a);
    assert_non_null(arena_alloc(&a, 1, 900));
}

static void impossible_sizes_are_refused(void **state)
{
    own(own_arena) struct arena a = {0};
    assert_null(arena_alloc(&a, SIZE_MAX, 2));
    assert_null(arena_alloc(&a, SIZE_MAX / 8 + 1, 8));
    assert_null(arena_alloc(&a, 1, SIZE_MAX));
    assert_null(arena_alloc(&a, 1, ARENA_DEFAULT_LIMIT + 1));
    assert_null(arena_strndup(&a, "", SIZE_MAX));
    assert_int_equal(a.used_bytes, 0);
}

static void large_blocks_work(void **state)
{
    own(own_arena) struct arena a = {0};
    unsigned char *big = arena_alloc(&a, 5, 1 << 20);
    assert_non_null(big);
    big[(5 << 20) - 1] = 1;
    assert_non_null(arena_new(&a, int));
}

static void texts_are_copied(void **state)
{
    own(own_arena) struct arena a = {0};
    assert_string_equal(arena_strdup(&a, "hello"), "hello");
    assert_string_equal(arena_strndup(&a, "hello", 3), "hel");
    assert_string_equal(arena_printf(&a, "%d of %s", 7, "nine"), "7 of nine");
    assert_string_equal(arena_strdup(&a, ""), "");
}

static void rewind_gives_back_and_zeroes_again(void **state)
{
    own(own_arena) struct arena a = {0};
    struct arena_mark empty = arena_mark(&a);
    char *kept = arena_strdup(&a, "kept");
    struct arena_mark mark = arena_mark(&a);
    size_t used = a.used_bytes;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 100; i++) {
            unsigned char *p = arena_alloc(&a, 1, 4000 + 100 * (size_t)round);
            assert_non_null(p);
            assert_true(all_zero(p, 4000 + 100 * (size_t)round));
            memset(p, 0xff, 4000 + 100 * (size_t)round);
        }
        arena_rewind(&a, mark);
        assert_int_equal(a.used_bytes, used);
    }
    assert_string_equal(kept, "kept");
    arena_rewind(&a, empty);
    assert_int_equal(a.used_bytes, 0);
    assert_ptr_equal(arena_strdup(&a, "again"), kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(large_blocks_work),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(rewind_gives_back_and_zeroes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
