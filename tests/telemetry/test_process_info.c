/* test_process_info: who a process is, from trees as hosts and containers show them, and from the
 * real /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "telemetry/process_info.h"
#include "../tree.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/procXXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

/* A process with name, namespace numbers and start; the name of field 2 is made to mislead. */
static void put_process(uint32_t pid, const char *nspid, unsigned start)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%u/status", pid);
    snprintf(text, sizeof(text), "Name:\tx\nPid:\t%u\nUid:\t1000\t0\t0\t0\n%s%s\n", pid,
             nspid ? "NSpid:\t" : "", nspid ? nspid : "");
    tree_put(root, path, text);
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    snprintf(text, sizeof(text), "%u (a) b) S 1 1 1 0 -1 4 1 0 0 0 5 6 7 8 20 0 1 0 %u 4096 9\n",
             pid, start);
    tree_put(root, path, text);
}

static void put_of(uint32_t pid, const char *name, const void *text, size_t len)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
    tree_put_bytes(root, path, text, len);
}

static struct process read_one(uint32_t pid)
{
    struct process p = {.pid = 77, .memory_bytes = 5};
    assert_true(process_info_read(root, pid, &p));
    assert_int_equal(p.pid, 77);
    assert_int_equal(p.memory_bytes, 5);
    return p;
}

static void tells_user_start_and_name(void **state)
{
    (void)state;
    static const char command[] = "/opt/llama/llama-server\0-m\0/models/x.gguf";
    tree_put(root, "/proc/stat", "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n");
    put_process(100, "100", (unsigned)(250 * sysconf(_SC_CLK_TCK)));
    put_of(100, "cmdline", command, sizeof(command));
    struct process p = read_one(100);
    assert_string_equal(p.name, "llama-server");
    assert_int_equal(p.uid, 1000);
    assert_int_equal(p.since_s, 1700000250);
    assert_int_equal(p.local_pid, 100);
    assert_string_equal(p.container, "");
}

static void names_are_short_and_printable(void **state)
{
    (void)state;
    static const struct {
        const char *command, *name;
    } cases[] = {
        {"VLLM::EngineCore_0",                                   "VLLM::EngineCore_0"          },
        {"nginx: worker process /etc/x",                         "nginx: worker process /etc/x"},
        {"/usr/lib/chrome/chrome --type=gpu-process --dir=/a/b", "chrome"                      },
        {"bin/python3",                                          "python3"                     },
        {"./a b/run",                                            "run"                         },
        {"/",                                                    "/"                           },
        {"evil\x1b[2J",                                          "evil\\x1B[2J"                },
    };
    put_process(101, "101", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_of(101, "cmdline", cases[i].command, strlen(cases[i].command) + 1);
        assert_string_equal(read_one(101).name, cases[i].name);
    }
    put_of(101, "cmdline", "", 0);
    put_of(101, "comm", "kworker/0:1\n", 12);
    assert_string_equal(read_one(101).name, "kworker/0:1");
    char endless[6000];
    memset(endless, 'x', sizeof(endless));
    put_of(101, "cmdline", endless, sizeof(endless));
    assert_int_equal(strlen(read_one(101).name), PROCESS_NAME_MAX - 1);
}

static void finds_the_container(void **state)
{
    (void)state;
    static const char *const groups[] = {
        "0::/system.slice/docker-" ID64 ".scope\n",
        "12:pids:/docker/" ID64 "\n11:cpu:/docker/" ID64 "\n",
        "0::/machine.slice/libpod-" ID64 ".scope/container\n",
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1a2b_3c.slice/"
        "cri-containerd-" ID64 ".scope\n",
    };
    put_process(102, "102", 1);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        put_of(102, "cgroup", groups[i], strlen(groups[i]));
        assert_string_equal(read_one(102).container, "0123456789ab");
    }
    put_of(102, "cgroup", "0::/user.slice/user-1000.slice/0123456789ab\n", 44);
    assert_string_equal(read_one(102).container, "");
}

static void absent_and_broken_processes_are_refused(void **state)
{
    (void)state;
    struct process p = {.uid = 9};
    assert_false(process_info_read(root, 4000000, &p));
    assert_false(process_info_read(root, 0, &p));
    put_process(103, "103", 1);
    put_of(103, "stat", "103 (x) S 1 1", 13);
    assert_false(process_info_read(root, 103, &p));
    put_of(103, "stat", "", 0);
    assert_false(process_info_read(root, 103, &p));
    assert_int_equal(p.uid, 9);
}

/* In a container the driver's number is not ours, and the same number may be somebody else's. */
static void maps_numbers_of_the_host(void **state)
{
    (void)state;
    put_process(57, "4242 57", 1);
    put_process(104, NULL, 1);
    assert_int_equal(process_local_pid(root, 4242), 57);
    assert_int_equal(process_local_pid(root, 104), 104);
    assert_int_equal(process_local_pid(root, 4243), 0);
    assert_int_equal(process_local_pid(root, 0), 0);

    tree_link(root, "/proc/self/ns/pid", "pid:[4026532200]");
    tree_put(root, "/proc/self/status", "NSpid:\t9\n");
    assert_int_equal(process_local_pid(root, 104), 0);
    tree_link(root, "/proc/self/ns/pid", "pid:[4026531836]");
    assert_int_equal(process_local_pid(root, 104), 104);
}

/* A container that has the host's /proc mounted: everything can be read, and our own number is one
 * level down. */
static void reads_the_hosts_proc_from_a_container(void **state)
{
    (void)state;
    tree_link(root, "/proc/self/ns/pid", "pid:[4026532200]");
    tree_put(root, "/proc/self/status", "NSpid:\t900\t9\n");
    put_process(901, "901 10", 1);
    put_process(902, "902", 1);
    assert_int_equal(process_local_pid(root, 901), 901);
    assert_int_equal(read_one(901).local_pid, 10);
    assert_int_equal(process_local_pid(root, 902), 902);
    assert_int_equal(read_one(902).local_pid, 0);
}

static void reads_ourselves(void **state)
{
    (void)state;
    struct process p = {0};
    assert_true(process_info_read(NULL, (uint32_t)getpid(), &p));
    assert_non_null(strstr("test_telemetry_process_info", p.name));
    assert_int_equal(p.uid, getuid());
    int64_t age_s = clock_wall_ns() / CLOCK_NS_PER_S - p.since_s;
    assert_true(age_s > -5 && age_s < 3600);
    assert_int_equal(p.local_pid, getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_user_start_and_name),
        cmocka_unit_test(names_are_short_and_printable),
        cmocka_unit_test(finds_the_container),
        cmocka_unit_test(absent_and_broken_processes_are_refused),
        cmocka_unit_test(maps_numbers_of_the_host),
        cmocka_unit_test(reads_the_hosts_proc_from_a_container),
        cmocka_unit_test(reads_ourselves),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
