/* test_gpu_metrics: firmware tables of every revision that is read, and tables that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "amdgpu/gpu_metrics.h"

static uint8_t blob[512];

/* Everything unknown but the header. */
static void start(uint16_t size, uint8_t format, uint8_t content)
{
    memset(blob, 0xff, sizeof(blob));
    blob[0] = (uint8_t)size;
    blob[1] = (uint8_t)(size >> 8);
    blob[2] = format;
    blob[3] = content;
}

static void put(size_t at, int width, uint64_t value)
{
    for (int i = 0; i < width; i++)
        blob[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static struct drm_reading parse(size_t len, bool expect_integrated)
{
    struct drm_reading r = {0};
    bool integrated = !expect_integrated;
    assert_true(gpu_metrics_parse(blob, len, &r, &integrated));
    assert_int_equal(integrated, expect_integrated);
    return r;
}

static void expect(const struct drm_reading *r, enum drm_value v, double value)
{
    assert_true(drm_has(r, v));
    assert_float_equal(r->value[v], value, 1e-6 * (value + 1));
}

static void reads_a_desktop_card(void **state)
{
    (void)state;
    start(120, 1, 3);
    put(4, 2, 54), put(6, 2, 70), put(8, 2, 66), put(16, 2, 97), put(22, 2, 310);
    put(54, 2, 2450), put(58, 2, 1249), put(74, 2, 16), put(76, 2, 160);
    put(112, 8, UINT64_C(1) << 36 | 1); /* hot spot and a power limit */
    struct drm_reading r = parse(120, false);
    expect(&r, DRM_TEMPERATURE, 54);
    expect(&r, DRM_MEMORY_TEMPERATURE, 66);
    expect(&r, DRM_BUSY, 97);
    expect(&r, DRM_POWER, 310);
    expect(&r, DRM_CLOCK, 2450);
    expect(&r, DRM_MEMORY_CLOCK, 1249);
    expect(&r, DRM_LINK_WIDTH, 16);
    expect(&r, DRM_LINK_GEN, 4);
    expect(&r, DRM_THROTTLE, DRM_THROTTLE_POWER | DRM_THROTTLE_HEAT);
    assert_false(drm_has(&r, DRM_MEMORY_BUSY));
    assert_false(drm_has(&r, DRM_ENERGY));
}

static void reads_server_cards(void **state)
{
    (void)state;
    static const struct {
        uint8_t content;
        uint16_t size, energy, width, clock;
    } revisions[] = {
        {4, 288, 24, 48,  240},
        {5, 360, 88, 112, 312},
        {6, 384, 88, 136, 336}
    };
    for (size_t i = 0; i < 3; i++) {
        start(revisions[i].size, 1, revisions[i].content);
        put(4, 2, 61), put(6, 2, 52), put(10, 2, 540), put(12, 2, 88);
        put(revisions[i].energy, 8, UINT64_C(65536) * 123456);
        put(revisions[i].width, 2, 16), put(revisions[i].width + 2u, 2, 320);
        put(revisions[i].clock, 2, 1900), put(revisions[i].clock + 40u, 2, 1300);
        struct drm_reading r = parse(revisions[i].size, false);
        expect(&r, DRM_TEMPERATURE, 61);
        expect(&r, DRM_MEMORY_TEMPERATURE, 52);
        expect(&r, DRM_POWER, 540);
        expect(&r, DRM_BUSY, 88);
        expect(&r, DRM_ENERGY, 123456);
        expect(&r, DRM_LINK_GEN, 5);
        expect(&r, DRM_CLOCK, 1900);
        expect(&r, DRM_MEMORY_CLOCK, 1300);
        assert_false(drm_has(&r, DRM_THROTTLE));
    }
}

static void reads_integrated_gpus(void **state)
{
    (void)state;
    start(128, 2, 2);
    put(4, 2, 5512), put(76, 2, 800), put(80, 2, 1600), put(120, 8, UINT64_C(1) << 46);
    struct drm_reading r = parse(128, true);
    expect(&r, DRM_TEMPERATURE, 55.12);
    expect(&r, DRM_CLOCK, 800);
    expect(&r, DRM_THROTTLE, DRM_THROTTLE_PROCHOT);
    start(264, 3, 0);
    put(4, 2, 4821), put(42, 2, 12), put(112, 4, 21500), put(174, 2, 1100);
    r = parse(264, true);
    expect(&r, DRM_TEMPERATURE, 48.21);
    expect(&r, DRM_BUSY, 12);
    expect(&r, DRM_POWER, 21.5);
}

static void what_is_known_from_elsewhere_stays(void **state)
{
    (void)state;
    struct drm_reading r = {0};
    bool integrated;
    start(120, 1, 3);
    put(22, 2, 310), put(16, 2, 50);
    drm_set(&r, DRM_POWER, 299);
    assert_true(gpu_metrics_parse(blob, 120, &r, &integrated));
    expect(&r, DRM_POWER, 299);
    expect(&r, DRM_BUSY, 50);
}

static void tables_that_lie_are_ignored(void **state)
{
    (void)state;
    struct drm_reading r = {0};
    bool integrated = false;
    start(120, 1, 3);
    assert_false(gpu_metrics_parse(blob, 119, &r, &integrated));
    assert_false(gpu_metrics_parse(blob, 3, &r, &integrated));
    assert_false(gpu_metrics_parse(blob, 0, &r, &integrated));
    start(288, 1, 3);
    assert_false(gpu_metrics_parse(blob, 288, &r, &integrated));
    start(120, 1, 9);
    assert_false(gpu_metrics_parse(blob, 120, &r, &integrated));
    assert_int_equal(r.known, 0);

    start(120, 1, 3);
    put(16, 2, 101), put(4, 2, 900), put(6, 2, 901), put(74, 2, 0), put(76, 2, 77);
    assert_true(gpu_metrics_parse(blob, 120, &r, &integrated));
    assert_int_equal(r.known, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_desktop_card),
        cmocka_unit_test(reads_server_cards),
        cmocka_unit_test(reads_integrated_gpus),
        cmocka_unit_test(what_is_known_from_elsewhere_stays),
        cmocka_unit_test(tables_that_lie_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
