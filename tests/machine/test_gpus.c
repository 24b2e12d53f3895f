/* test_gpus: what people may write after --gpus, and what the cards are then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine/machine.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

static struct arena arena;
static struct machine out;
static struct err err;

static void two_real(struct machine *m)
{
    *m = (struct machine){.n_devices = 2};
    m->devices[0] = (struct device){.index = 0, .name = "RTX 5090", .uuid = "GPU-5090aaaa-01",
                                    .total_bytes = 32 * GIB, .free_bytes = 30 * GIB};
    m->devices[1] = (struct device){.index = 1, .name = "RTX 4090", .uuid = "GPU-4090bbbb-02",
                                    .total_bytes = 24 * GIB, .free_bytes = 23 * GIB};
}

static bool parse(const char *text)
{
    struct machine real;
    two_real(&real);
    err = (struct err){0};
    return machine_parse_gpus(text, &real, &arena, &out, &err);
}

static void catalogue_names_are_free_in_case_and_blanks(void **state)
{
    (void)state;
    static const char *const same[] = {"rtx5090", "RTX 5090", "GeForce RTX 5090", "nvidia geforce rtx 5090", "5090x"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(parse(same[i]));
        assert_string_equal(out.devices[0].name, "RTX 5090");
        assert_true(out.simulated);
        assert_true(out.devices[0].free_bytes == out.devices[0].total_bytes);
    }
    assert_false(parse(same[4]));
    assert_int_equal(err.code, ERR_2101);
    assert_true(err.n_fix > 0);
}

static void sizes_make_plain_cards(void **state)
{
    (void)state;
    assert_true(parse("24GiB,80000MiB,24GB"));
    assert_true(out.devices[0].total_bytes == 24 * GIB);
    assert_true(out.devices[1].free_bytes == 80000 * MIB);
    assert_true(out.devices[2].total_bytes == 24000000000u);
}

static void options_change_a_card(void **state)
{
    (void)state;
    assert_true(parse("rtx4090:free=20GiB:pcie=gen4x8:count=3"));
    assert_int_equal(out.n_devices, 3);
    assert_true(out.devices[2].free_bytes == 20 * GIB);
    assert_int_equal(out.devices[1].pcie_lanes, 8);
    assert_true(out.devices[0].used_by_others_bytes == out.devices[0].total_bytes - 20 * GIB);
}

static void remote_cards_come_first(void **state)
{
    (void)state;
    assert_true(parse("24GiB,rpc://10.0.0.7:50052:16GiB"));
    assert_string_equal(out.devices[0].rpc, "10.0.0.7:50052");
    assert_int_equal(out.devices[0].backend, BACKEND_RPC);
    assert_true(out.devices[0].total_bytes == 16 * GIB);
    assert_true(out.devices[1].total_bytes == 24 * GIB);
}

static void real_cards_by_index_or_uuid(void **state)
{
    (void)state;
    assert_true(parse("1"));
    assert_string_equal(out.devices[0].uuid, "GPU-4090bbbb-02");
    assert_false(out.simulated);
    assert_true(parse("GPU-5090aaaa-01,1"));
    assert_int_equal(out.n_devices, 2);
    assert_false(parse("0,0"));
    assert_false(parse("7"));
    assert_int_equal(err.code, ERR_2101);
}

static void plus_adds_an_imagined_card(void **state)
{
    (void)state;
    assert_true(parse("+rtx3060"));
    assert_int_equal(out.n_devices, 3);
    assert_true(out.devices[2].simulated);
    assert_false(out.devices[0].simulated);
}

static void none_means_the_processor(void **state)
{
    (void)state;
    assert_true(parse("none"));
    assert_int_equal(out.n_devices, 0);
}

static void nonsense_is_refused_with_a_way_on(void **state)
{
    (void)state;
    static const char *const bad[] = {
        ",", "24GiB,", ",24GiB", "0GiB", "24GiB:free=30GiB", "24GiB:count=0", "24GiB:count=17",
        "24GiB:count=99999999999", "24GiB:colour=red", "24GiB:pcie=x", "rpc://", "rpc://h:0:24GiB",
        "rpc://h:1:0GiB", "-3GiB", "24GiB:total=", "24GiB:total=0GiB", "9999999999999GiB",
        "24GiB:backend=metal"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_true(err.code == ERR_2101 || err.code == ERR_2102 || err.code == ERR_2114);
    }
}

static void every_card_of_the_catalogue_is_found_by_its_own_name(void **state)
{
    (void)state;
    size_t n;
    const struct card *cards = card_table(&n);
    assert_true(n >= 80);
    for (size_t i = 0; i < n; i++) {
        const struct card *c = card_find(cards[i].name);
        if (c != &cards[i])
            fail_msg("\"%s\" finds %s", cards[i].name, c ? c->name : "nothing");
        assert_true(c->total_bytes >= GIB && c->bandwidth_gbs > 0);
    }
    assert_string_equal(card_find("4060ti 16gb")->name, "GeForce RTX 4060 Ti 16GB");
    assert_string_equal(card_find("h100")->name, "H100 PCIe 80GB");
    assert_string_equal(card_find("a100 80gb")->name, "A100 PCIe 80GB");
    assert_string_equal(card_find("RTX 3060")->name, "GeForce RTX 3060 12GB");
    assert_null(card_find("rtx"));
    assert_null(card_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catalogue_names_are_free_in_case_and_blanks),
        cmocka_unit_test(sizes_make_plain_cards),
        cmocka_unit_test(options_change_a_card),
        cmocka_unit_test(remote_cards_come_first),
        cmocka_unit_test(real_cards_by_index_or_uuid),
        cmocka_unit_test(plus_adds_an_imagined_card),
        cmocka_unit_test(none_means_the_processor),
        cmocka_unit_test(nonsense_is_refused_with_a_way_on),
        cmocka_unit_test(every_card_of_the_catalogue_is_found_by_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
