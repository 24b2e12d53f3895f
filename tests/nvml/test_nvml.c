/* test_nvml: the loader against a real shared library with NVML's ABI, healthy and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nvml/nvml.h"

static bool read_with(const char *trouble, struct arena *a, struct nvml_inventory *inv, struct err *err)
{
    setenv("DUALGPUOPT_NVML_PATH", TEST_DRIVER, 1);
    setenv("TEST_NVML", trouble, 1);
    *err = (struct err){0};
    return nvml_read_inventory(a, inv, err);
}

static void lists_cards_with_memory_and_slots(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err;
    assert_true(read_with("", &a, &inv, &err));
    assert_int_equal(inv.n_cards, 2);
    assert_string_equal(inv.driver_version, "610.57");
    assert_string_equal(inv.cards[0].name, "NVIDIA GeForce RTX 5090");
    assert_string_equal(inv.cards[1].pci, "00000000:41:00.0");
    assert_true(inv.cards[0].total_bytes == (uint64_t)32607 << 20);
    assert_true(inv.cards[0].free_bytes == (uint64_t)(32607 - 900 - 480) << 20);
    assert_true(inv.cards[0].reserved_bytes == (uint64_t)480 << 20);
    assert_int_equal(inv.cards[1].cc_major, 8);
    arena_finish(&a);
}

static void a_process_in_both_lists_counts_once(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err;
    assert_true(read_with("", &a, &inv, &err));
    assert_int_equal(inv.cards[0].n_processes, 2);
    const struct nvml_process *p = inv.cards[0].processes;
    const struct nvml_process *init = p[0].pid == 1 ? &p[0] : &p[1];
    assert_true(init->bytes == (uint64_t)600 << 20);
    assert_string_not_equal(init->name, "?");
    arena_finish(&a);
}

static void an_old_driver_gives_memory_by_the_old_call(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err;
    assert_true(read_with("old", &a, &inv, &err));
    assert_true(inv.cards[1].total_bytes == (uint64_t)24564 << 20);
    arena_finish(&a);
}

static void a_lost_card_leaves_the_others(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err;
    assert_true(read_with("lost=0", &a, &inv, &err));
    assert_non_null(inv.cards[0].trouble);
    assert_non_null(strstr(inv.cards[0].trouble, "GPU is lost"));
    assert_null(inv.cards[1].trouble);
    arena_finish(&a);
}

static void names_from_the_driver_are_escaped(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err;
    assert_true(read_with("hostile", &a, &inv, &err));
    assert_null(strchr(inv.cards[0].name, '\x1b'));
    arena_finish(&a);
}

static void failures_to_start_name_their_cause(void **state)
{
    (void)state;
    static const struct { const char *trouble; enum err_code code; } rows[] = {
        {"init=18", ERR_1103}, {"init=4", ERR_1104}, {"init=9", ERR_1102}, {"init=999", ERR_1102}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a = {0};
        struct nvml_inventory inv;
        struct err err;
        assert_false(read_with(rows[i].trouble, &a, &inv, &err));
        assert_int_equal(err.code, rows[i].code);
        arena_finish(&a);
    }
}

static void no_library_is_said_with_a_way_on(void **state)
{
    (void)state;
    struct arena a = {0};
    struct nvml_inventory inv;
    struct err err = {0};
    setenv("DUALGPUOPT_NVML_PATH", "/nonexistent/libnvidia-ml.so.1", 1);
    assert_false(nvml_read_inventory(&a, &inv, &err));
    assert_int_equal(err.code, ERR_1101);
    assert_true(err.n_why > 0 && err.n_fix > 0);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_cards_with_memory_and_slots),
        cmocka_unit_test(a_process_in_both_lists_counts_once),
        cmocka_unit_test(an_old_driver_gives_memory_by_the_old_call),
        cmocka_unit_test(a_lost_card_leaves_the_others),
        cmocka_unit_test(names_from_the_driver_are_escaped),
        cmocka_unit_test(failures_to_start_name_their_cause),
        cmocka_unit_test(no_library_is_said_with_a_way_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
