/* test_fdinfo: clients' files as amdgpu, i915 and xe write them, and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "amdgpu/fdinfo.h"

#define HEAD(driver) \
    "pos:\t0\ndrm-driver:\t" driver "\ndrm-client-id:\t42\ndrm-pdev:\t0000:03:00.0\n"

static struct fdinfo parse(const char *text)
{
    struct fdinfo f;
    assert_true(fdinfo_parse(text, strlen(text), &f));
    return f;
}

static uint64_t region(const struct fdinfo *f, const char *name)
{
    for (uint32_t i = 0; i < f->n_regions; i++)
        if (strcmp(f->region[i].name, name) == 0)
            return f->region[i].bytes;
    return UINT64_MAX;
}

static const struct fdinfo_engine *engine(const struct fdinfo *f, const char *name)
{
    for (uint32_t i = 0; i < f->n_engines; i++)
        if (strcmp(f->engine[i].name, name) == 0)
            return &f->engine[i];
    return NULL;
}

static void reads_amdgpu(void **state)
{
    (void)state;
    struct fdinfo f = parse(HEAD("amdgpu") "drm-memory-vram:\t100 KiB\ndrm-memory-gtt: \t2048 KiB\n"
                                           "drm-engine-gfx:\t123 ns\ndrm-engine-enc_1:\t7 ns\n");
    assert_string_equal(f.driver, "amdgpu");
    assert_string_equal(f.pdev, "0000:03:00.0");
    assert_int_equal(f.client_id, 42);
    assert_int_equal(region(&f, "vram"), 100 << 10);
    assert_int_equal(region(&f, "gtt"), 2 << 20);
    assert_int_equal(engine(&f, "gfx")->busy_ns, 123);
    assert_int_equal(engine(&f, "enc_1")->busy_ns, 7);
    assert_int_equal(engine(&f, "gfx")->capacity, 1);
}

static void resident_memory_counts_in_any_order(void **state)
{
    (void)state;
    struct fdinfo f = parse(HEAD("i915") "drm-resident-local0:\t3 MiB\ndrm-memory-local0:\t4 MiB\n"
                                         "drm-total-local0:\t5 MiB\ndrm-total-system0:\t12345\n"
                                         "drm-shared-local0:\t9 MiB\ndrm-active-local0:\t1 MiB\n");
    assert_int_equal(region(&f, "local0"), 3 << 20);
    assert_int_equal(region(&f, "system0"), 12345);
    assert_int_equal(f.n_regions, 2);
}

static void reads_cycles_and_capacity(void **state)
{
    (void)state;
    struct fdinfo f = parse(HEAD("xe") "drm-cycles-ccs:\t50\ndrm-total-cycles-ccs:\t1000\n"
                                       "drm-engine-capacity-ccs:\t4\ndrm-resident-vram0:\t1 GiB\n");
    const struct fdinfo_engine *e = engine(&f, "ccs");
    assert_true(e->has_cycles && e->has_total && !e->has_ns);
    assert_int_equal(e->cycles, 50);
    assert_int_equal(e->total_cycles, 1000);
    assert_int_equal(e->capacity, 4);
    assert_int_equal(region(&f, "vram0"), 1 << 30);
}

static void what_cannot_be_meant_is_left_out(void **state)
{
    (void)state;
    struct fdinfo f = parse(
        HEAD("amdgpu") "drm-engine-gfx:\t12x ns\ndrm-engine-dec:\t-4 ns\n"
                       "drm-engine-compute:\t99999999999999999999 ns\n"
                       "drm-engine-capacity-dma:\t0\ndrm-memory-vram:\t18446744073709551615 MiB\n"
                       "drm-memory-gtt:\t5 pounds\ndrm-engine-:\t3 ns\n"
                       "drm-engine-an_engine_with_a_very_long_name:\t3 ns\n");
    assert_int_equal(f.n_engines, 0);
    assert_int_equal(f.n_regions, 0);
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
    (void)state;
    char text[4096] = HEAD("xe");
    for (int i = 0; i < 60; i++)
        sprintf(text + strlen(text), "drm-engine-e%d:\t1 ns\ndrm-memory-r%d:\t1\n", i, i);
    struct fdinfo f = parse(text);
    assert_int_equal(f.n_engines, FDINFO_ENGINES_MAX);
    assert_int_equal(f.n_regions, FDINFO_REGIONS_MAX);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "pos:\t0\nflags:\t02\n",
        "drm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\n",
        "drm-driver:\tamdgpu\ndrm-client-id:\t4\n",
        "drm-driver:\t\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\t4\n",
        "drm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\tfour\n",
    };
    struct fdinfo f;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(fdinfo_parse(texts[i], strlen(texts[i]), &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_amdgpu),
        cmocka_unit_test(resident_memory_counts_in_any_order),
        cmocka_unit_test(reads_cycles_and_capacity),
        cmocka_unit_test(what_cannot_be_meant_is_left_out),
        cmocka_unit_test(more_than_there_is_room_for_is_left_out),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
