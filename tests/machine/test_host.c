/* test_host: the host's memory and processor from trees of files as different machines have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "machine/machine.h"
#include "../tree.h"

static char root[64];

static void put(const char *path, const char *text)
{
    tree_put(root, path, text);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/hostXXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

static void reads_memory_and_avx2(void **state)
{
    (void)state;
    struct host h;
    struct err err = {0};
    put("/proc/meminfo", "MemTotal:       32768000 kB\nMemFree: 1 kB\nMemAvailable:   16384000 kB\n");
    put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu avx avx2 fma\nprocessor\t: 1\n");
    assert_true(machine_read_host(root, &h, &err));
    assert_true(h.total_bytes == (uint64_t)32768000 << 10);
    assert_true(h.free_bytes == (uint64_t)16384000 << 10);
    assert_int_equal(h.cores, 2);
    assert_true(h.avx2);
}

static void a_container_limit_counts(void **state)
{
    (void)state;
    struct host h;
    struct err err = {0};
    put("/proc/self/cgroup", "0::/box\n");
    put("/sys/fs/cgroup/box/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/box/memory.current", "1073741824\n");
    assert_true(machine_read_host(root, &h, &err));
    assert_true(h.total_bytes == (uint64_t)8 << 30);
    assert_true(h.free_bytes == (uint64_t)7 << 30);
    put("/sys/fs/cgroup/box/memory.max", "max\n");
    assert_true(machine_read_host(root, &h, &err));
    assert_true(h.total_bytes == (uint64_t)32768000 << 10);
}

static void without_meminfo_it_says_so(void **state)
{
    (void)state;
    struct host h;
    struct err err = {0};
    assert_false(machine_read_host("/nonexistent", &h, &err));
    assert_int_equal(err.code, ERR_1202);
    put("/proc/meminfo", "garbage\n");
    assert_false(machine_read_host(root, &h, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_memory_and_avx2),
        cmocka_unit_test(a_container_limit_counts),
        cmocka_unit_test(without_meminfo_it_says_so),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
