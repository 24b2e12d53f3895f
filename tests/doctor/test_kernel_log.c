/* test_kernel_log: the driver's errors of one card are found in a kernel's log, and the worst of
 * them. */
#include "../base/check.h"

#include <string.h>

#include "../tree.h"
#include "base/own.h"
#include "doctor/kernel_log.h"

static struct xid_seen seen_in(const char *text, const char *pci)
{
    struct xid_seen seen = {0};
    kernel_log_xids(text, strlen(text), pci, &seen);
    return seen;
}

static void errors_belong_to_their_card(void **unused)
{
    static const char log[] = "6,1,2,-;usb 1-1: new device\n"
                              "4,2,3,-;NVRM: Xid (PCI:0000:AE:00): 31, pid=12, name=python\n"
                              "4,3,4,-;NVRM: Xid (PCI:0000:ae:00): 13, pid=12\n"
                              "4,4,5,-;NVRM: Xid (PCI:0000:01:00): 48, pid=12\n";
    struct xid_seen s = seen_in(log, "0000:ae:00.0");
    assert_int_equal(s.count, 2);
    assert_int_equal(s.worst, 13);
    s = seen_in(log, "0000:01:00.0");
    assert_int_equal(s.worst, 48);
    assert_true(xid_find(s.worst)->serious);
    assert_int_equal(seen_in(log, "0000:02:00.0").count, 0);
    assert_int_equal(seen_in(log, "").count, 0);
}

static void a_serious_one_is_not_covered_by_later_ones(void **unused)
{
    struct xid_seen s =
        seen_in("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n"
                "NVRM: Xid (PCI:0000:01:00): 45, pid=1\nNVRM: Xid (PCI:0000:01:00): 99999, x\n",
                "0000:01:00.0");
    assert_int_equal(s.worst, 79);
    assert_int_equal(s.count, 2);
}

static void fallen_off_without_a_number(void **unused)
{
    struct xid_seen s =
        seen_in("NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", "0000:01:00.0");
    assert_int_equal(s.worst, 79);
    assert_string_equal(xid_find(7777)->means, xid_find(0)->means);
}

static void lines_about_the_driver_are_kept(void **unused)
{
    char root[] = "/tmp/test-kernel-log-XXXXXX";
    own(own_str) struct str out = {0};
    struct kernel_log log = {0};
    assert_non_null(mkdtemp(root));
    assert_false(kernel_log_read(root, &log));
    tree_put(root, "/dev/kmsg", "a nvidia 1\nb usb\nc NVRM: \x1b[31m2\nd nouveau 3");
    assert_true(kernel_log_read(root, &log));
    kernel_log_lines(log.text.data, log.text.len, 2, &out);
    assert_string_equal(out.data, "c NVRM: \\x1B[31m2\nd nouveau 3\n");
    kernel_log_finish(&log);
    scratch_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_belong_to_their_card),
        cmocka_unit_test(a_serious_one_is_not_covered_by_later_ones),
        cmocka_unit_test(fallen_off_without_a_number),
        cmocka_unit_test(lines_about_the_driver_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
