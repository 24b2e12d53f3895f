/* test_drm: which cards are found, what is read from them, and that a suspended one is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "amdgpu/drm.h"
#include "amdgpu/sysfs.h"
#include "cards.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/drmXXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

static void finds_amd_and_intel_in_pci_order(void **state)
{
    (void)state;
    struct drm_card cards[DRM_MAX_CARDS];
    assert_int_equal(drm_list(root, cards), 0);
    card_put_7900xtx(root, 2, "0000:0a:00.0");
    card_put_7900xtx(root, 10, "0000:03:00.0");
    card_put_a770(root, 1, "0000:07:00.0");
    card_put_device(root, 0, "nvidia", "0000:01:00.0", "10DE:2684");
    card_put_device(root, 3, "nouveau", "0000:02:00.0", "10DE:2684");
    card_put(root, 4, "device/uevent", "DRIVER=amdgpu\nPCI_ID=1002:0001\n"); /* not on PCI */
    tree_put(root, "/sys/class/drm/card2-DP-1/device/uevent",
             "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:0b:00.0\n");
    tree_put(root, "/sys/class/drm/renderD128/device/uevent",
             "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:0c:00.0\n");
    tree_put(root, "/sys/class/drm/version", "drm 1.1.0\n");
    tree_link(root, "/sys/class/drm/card12/device", "../card10/device"); /* a partition */
    assert_int_equal(drm_list(root, cards), 3);
    assert_string_equal(cards[0].pci, "0000:03:00.0");
    assert_string_equal(cards[1].pci, "0000:07:00.0");
    assert_string_equal(cards[2].pci, "0000:0a:00.0");
    assert_int_equal(cards[1].driver, DRM_I915);
    assert_int_equal(cards[1].number, 1);
    assert_int_equal(cards[2].device, 0x744c);
}

static struct drm_card card_at(const char *pci)
{
    struct drm_card cards[DRM_MAX_CARDS];
    uint32_t n = drm_list(root, cards);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(cards[i].pci, pci) == 0)
            return cards[i];
    fail();
    return cards[0];
}

static void power_state_is_told(void **state)
{
    (void)state;
    card_put_7900xtx(root, 2, "0000:0a:00.0");
    struct drm_card card = card_at("0000:0a:00.0");
    assert_int_equal(drm_power_state(root, &card), DRM_ACTIVE);
    card_put(root, 2, "device/power/runtime_status", "suspended\n");
    assert_int_equal(drm_power_state(root, &card), DRM_SUSPENDED);
    card_put(root, 2, "device/power/runtime_status", "suspending\n");
    assert_int_equal(drm_power_state(root, &card), DRM_SUSPENDED);
    card_put(root, 2, "device/power/runtime_status", "active\n");
    card.number = 77;
    assert_int_equal(drm_power_state(root, &card), DRM_ABSENT);
}

static void names_come_from_the_card_the_table_or_its_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *revision, *product, *name;
    } cases[] = {
        {"0xc8\n", "",                       "AMD Radeon RX 7900 XTX"},
        {"0xcc\n", "",                       "AMD Radeon RX 7900 XT" },
        {"0x77\n", "",                       "AMD GPU 1002:744c"     },
        {"",       "\n",                     "AMD GPU 1002:744c"     },
        {"0xc8\n", "AMD Radeon PRO\x1b X\n", "AMD Radeon PRO\\x1B X" },
    };
    struct drm_identity id;
    struct drm_reading r;
    card_put_7900xtx(root, 2, "0000:0a:00.0");
    struct drm_card card = card_at("0000:0a:00.0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        card_put(root, 2, "device/revision", cases[i].revision);
        card_put(root, 2, "device/product_name", cases[i].product);
        struct drm_gpu *gpu = drm_open(root, &card);
        assert_int_equal(drm_read(gpu, DRM_ONCE, &r), DRM_READ);
        drm_identify(gpu, &id);
        assert_string_equal(id.name, cases[i].name);
        assert_string_equal(id.unique_id, "2a5c3d1e00f4b7a9");
        assert_int_equal(id.n_nodes, 2);
        drm_close(gpu);
    }
    drm_close(NULL);
}

static void slow_values_are_read_when_asked_for(void **state)
{
    (void)state;
    struct drm_reading r;
    card_put_7900xtx(root, 2, "0000:0a:00.0");
    struct drm_card card = card_at("0000:0a:00.0");
    struct drm_gpu *gpu = drm_open(root, &card);
    assert_int_equal(drm_read(gpu, DRM_FAST, &r), DRM_READ);
    assert_true(drm_has(&r, DRM_BUSY) && drm_has(&r, DRM_POWER) && drm_has(&r, DRM_VRAM_USED));
    assert_false(drm_has(&r, DRM_FAN) || drm_has(&r, DRM_POWER_CAP) || drm_has(&r, DRM_VRAM_TOTAL));
    assert_int_equal(drm_read(gpu, DRM_SLOW, &r), DRM_READ);
    assert_true(drm_has(&r, DRM_FAN) && drm_has(&r, DRM_POWER_CAP) && drm_has(&r, DRM_THROTTLE));
    assert_false(drm_has(&r, DRM_VRAM_TOTAL));
    assert_int_equal(drm_read(gpu, DRM_ONCE, &r), DRM_READ);
    assert_true(drm_has(&r, DRM_VRAM_TOTAL) && drm_has(&r, DRM_LINK_WIDTH_MAX));
    card_put(root, 2, "device/gpu_busy_percent", "3\n");
    assert_int_equal(drm_read(gpu, DRM_FAST, &r), DRM_READ);
    assert_float_equal(r.value[DRM_BUSY], 3, 0);
    drm_close(gpu);
}

static void forms_of_sysfs_are_strict(void **state)
{
    (void)state;
    static const struct {
        bool (*form)(const char *, double *);
        const char *text;
        double value; /* -1: refused */
    } cases[] = {
        {sysfs_number,       "42\n",                                               42  },
        {sysfs_number,       "42",                                                 42  },
        {sysfs_number,       "0\n",                                                0   },
        {sysfs_number,       "",                                                   -1  },
        {sysfs_number,       "\n",                                                 -1  },
        {sysfs_number,       "42 W\n",                                             -1  },
        {sysfs_number,       "42\n43\n",                                           -1  },
        {sysfs_number,       "0x10\n",                                             -1  },
        {sysfs_number,       "N/A\n",                                              -1  },
        {sysfs_number,       "99999999999999999999\n",                             -1  },
        {sysfs_active_mhz,   "0: 500Mhz \n1: 2371Mhz *\n",                         2371},
        {sysfs_active_mhz,   "S: 19Mhz *\n0: 500Mhz\n",                            19  },
        {sysfs_active_mhz,   "0: 500Mhz \n1: 2371Mhz \n",                          -1  },
        {sysfs_active_mhz,   "0: *\n",                                             -1  },
        {sysfs_active_mhz,   "0: 500 *\n",                                         -1  },
        {sysfs_active_mhz,   "",                                                   -1  },
        {sysfs_highest_mhz,  "0: 500Mhz \n1: 2371Mhz \n2: 96Mhz",                  2371},
        {sysfs_active_gen,   "0: 2.5GT/s, x1 619Mhz *\n1: 16.0GT/s, x16 619Mhz\n", 1   },
        {sysfs_active_width, "0: 2.5GT/s, x1 *\n1: 16.0GT/s, x16 *\n",             16  },
        {sysfs_active_width, "0: 2.5GT/s, x99 *\n",                                -1  },
        {sysfs_highest_gen,  "0: 2.5GT/s, x1\n1: 32.0GT/s, x16\n",                 5   },
        {sysfs_link_gen,     "16.0 GT/s PCIe\n",                                   4   },
        {sysfs_link_gen,     "5 GT/s\n",                                           2   },
        {sysfs_link_gen,     "Unknown\n",                                          -1  },
        {sysfs_link_gen,     "7 GT/s\n",                                           -1  },
        {sysfs_link_width,   "16\n",                                               16  },
        {sysfs_link_width,   "63\n",                                               -1  },
        {sysfs_link_width,   "0\n",                                                -1  },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double value = -1;
        assert_int_equal(cases[i].form(cases[i].text, &value), cases[i].value != -1);
        assert_float_equal(value, cases[i].value, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_amd_and_intel_in_pci_order, make_root, drop_root),
        cmocka_unit_test_setup_teardown(power_state_is_told, make_root, drop_root),
        cmocka_unit_test_setup_teardown(names_come_from_the_card_the_table_or_its_numbers,
                                        make_root, drop_root),
        cmocka_unit_test_setup_teardown(slow_values_are_read_when_asked_for, make_root, drop_root),
        cmocka_unit_test(forms_of_sysfs_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
