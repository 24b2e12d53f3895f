/* test_drm: AMD and Intel GPUs as samples and process tables, from trees as their drivers show
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "telemetry/source.h"
#include "../amdgpu/cards.h"

static const uint64_t second = 1000000000;
static char root[64];
static struct source_gpu list[TELEMETRY_MAX_GPUS];
static uint32_t n_list;
static struct sample s;
static struct process_table table;

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/sourceXXXXXX");
    n_list = 0;
    s = (struct sample){0};
    table = (struct process_table){0};
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < n_list; i++)
        list[i].close(&list[i]);
    scratch_remove(root);
    return 0;
}

static void find(uint32_t expected)
{
    struct err err = {0};
    assert_true(source_drm_find(root, root, list, &n_list, &err));
    assert_int_equal(n_list, expected);
}

static enum source_answer read_at(uint32_t gpu, double at_s, bool processes)
{
    struct source_tick tick = {.now_ns = (uint64_t)(at_s * (double)second),
                               .hz = 1,
                               .processes = processes,
                               .proc_root = root};
    return list[gpu].read(&list[gpu], &tick, &s, &table);
}

static void expect(enum metric m, double value)
{
    if (!sample_has(&s, m))
        fail_msg("%s is absent", metric_info[m].name);
    if (fabs(value - s.value[m]) > 1e-6 * fabs(value) + 1e-9)
        fail_msg("%s is %f instead of %f", metric_info[m].name, s.value[m], value);
}

static void expect_absent(const enum metric *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sample_has(&s, m[i]))
            fail_msg("%s is %f instead of absent", metric_info[m[i]].name, s.value[m[i]]);
}

#define EXPECT_ABSENT(...)                            \
    expect_absent((const enum metric[]){__VA_ARGS__}, \
                  sizeof((const enum metric[]){__VA_ARGS__}) / sizeof(enum metric))

/* ---- processes of the made tree ---- */

static void put_process(unsigned pid, const char *command)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/%u/status", pid);
    snprintf(text, sizeof(text), "Name:\tx\nPid:\t%u\nUid:\t1000\t1000\t1000\t1000\n", pid);
    tree_put(root, path, text);
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    snprintf(text, sizeof(text), "%u (x) S 1 1 1 0 -1 4 1 0 0 0 5 6 7 8 20 0 1 0 100 4096 9\n",
             pid);
    tree_put(root, path, text);
    snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    tree_put(root, path, command);
}

static void put_client(unsigned pid, unsigned fd, unsigned card, const char *text)
{
    char path[64], target[64];
    snprintf(path, sizeof(path), "/proc/%u/fd/%u", pid, fd);
    snprintf(target, sizeof(target), "/dev/dri/renderD%u", 128 + card);
    tree_link(root, path, target);
    snprintf(path, sizeof(path), "/proc/%u/fdinfo/%u", pid, fd);
    tree_put(root, path, text);
}

#define CLIENT(driver, pdev, id, lines) \
    "drm-driver:\t" driver "\ndrm-pdev:\t" pdev "\ndrm-client-id:\t" id "\n" lines

/* ---- cards ---- */

static void reads_a_7900xtx(void **state)
{
    (void)state;
    card_put_7900xtx(root, 1, "0000:03:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    const struct gpu_info *info = &list[0].info;
    assert_string_equal(info->name, "AMD Radeon RX 7900 XTX");
    assert_string_equal(info->pci, "0000:03:00.0");
    assert_string_equal(info->driver, "amdgpu");
    assert_string_equal(info->uuid, "GPU-2a5c3d1e00f4b7a9");
    assert_int_equal(info->source, SOURCE_AMDGPU);
    assert_float_equal(info->bandwidth_gbs, 960, 0);
    assert_int_equal(info->pcie_gen_max, 4);
    assert_int_equal(info->pcie_width_max, 16);
    assert_int_equal(info->power_default_w, 339);
    assert_int_equal(info->power_max_w, 390);
    assert_int_equal(info->slowdown_c, 100);
    assert_int_equal(info->shutdown_c, 105);
    assert_int_equal(info->sm_clock_max_mhz, 2526);
    assert_int_equal(info->memory_clock_max_mhz, 1249);
    assert_false(info->unified_memory);
    expect(METRIC_UTILIZATION, 97);
    expect(METRIC_MEMORY_UTILIZATION, 41);
    expect(METRIC_MEMORY_TOTAL, 25753026560);
    expect(METRIC_MEMORY_USED, 21474836480);
    expect(METRIC_MEMORY_FREE, 25753026560 - 21474836480);
    expect(METRIC_TEMPERATURE, 54);
    expect(METRIC_MEMORY_TEMPERATURE, 66);
    expect(METRIC_POWER, 311);
    expect(METRIC_POWER_LIMIT, 339);
    expect(METRIC_CLOCK_SM, 2480);
    expect(METRIC_CLOCK_MEMORY, 1249);
    expect(METRIC_FAN, 40);
    expect(METRIC_PCIE_GEN, 4);
    expect(METRIC_PCIE_WIDTH, 8);
    expect(METRIC_THROTTLE, THROTTLE_POWER_CAP);
    EXPECT_ABSENT(METRIC_MEMORY_RESERVED, METRIC_PCIE_RX, METRIC_PCIE_TX, METRIC_ENERGY,
                  METRIC_ENCODER, METRIC_XID, METRIC_PSTATE);
    assert_string_equal(list[0].trouble, "");
}

static void reads_an_mi300x(void **state)
{
    (void)state;
    card_put_mi300x(root, 1, "0000:05:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    assert_string_equal(list[0].info.name, "AMD Instinct MI300X OAM");
    assert_int_equal(list[0].info.slowdown_c, 100);
    assert_int_equal(list[0].info.shutdown_c, 0);
    assert_int_equal(list[0].info.pcie_gen_max, 5);
    expect(METRIC_TEMPERATURE, 63);
    expect(METRIC_MEMORY_TEMPERATURE, 50);
    expect(METRIC_POWER, 540);
    expect(METRIC_POWER_LIMIT, 750);
    expect(METRIC_ENERGY, 7200);
    expect(METRIC_UTILIZATION, 88);
    expect(METRIC_MEMORY_UTILIZATION, 35);
    expect(METRIC_CLOCK_SM, 1900);
    expect(METRIC_CLOCK_MEMORY, 1300);
    EXPECT_ABSENT(METRIC_FAN, METRIC_THROTTLE);
}

/* The carve-out alone would always look full. */
static void an_apu_has_the_hosts_memory_too(void **state)
{
    (void)state;
    card_put_apu(root, 0, "0000:c4:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    assert_string_equal(list[0].info.name, "AMD Radeon 780M Graphics");
    assert_true(list[0].info.unified_memory);
    expect(METRIC_MEMORY_TOTAL, 15536870912.0);
    expect(METRIC_MEMORY_USED, 2500000000.0);
    expect(METRIC_TEMPERATURE, -2);
    expect(METRIC_POWER, 15.2);
    expect(METRIC_CLOCK_MEMORY, 1600);
    expect(METRIC_THROTTLE, 0);
    EXPECT_ABSENT(METRIC_FAN, METRIC_POWER_LIMIT, METRIC_MEMORY_UTILIZATION, METRIC_PCIE_GEN);
}

static void reads_an_arc_a770(void **state)
{
    (void)state;
    card_put_a770(root, 0, "0000:07:00.0");
    put_process(50, "/usr/bin/llama-server");
    put_client(50, 3, 0,
               CLIENT("i915", "0000:07:00.0", "5",
                      "drm-resident-local0:\t4096 MiB\ndrm-resident-system0:\t10 MiB\n"
                      "drm-engine-compute:\t1000000000 ns\ndrm-engine-video:\t0 ns\n"));
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    assert_string_equal(list[0].info.name, "Intel Arc A770");
    assert_int_equal(list[0].info.source, SOURCE_I915);
    assert_int_equal(list[0].info.pcie_width_max, 16);
    assert_int_equal(list[0].info.sm_clock_max_mhz, 2400);
    expect(METRIC_MEMORY_TOTAL, 17179869184.0);
    expect(METRIC_MEMORY_USED, 4294967296.0);
    expect(METRIC_MEMORY_FREE, 12884901888.0);
    expect(METRIC_TEMPERATURE, 58);
    expect(METRIC_CLOCK_SM, 2050);
    expect(METRIC_ENERGY, 1000);
    expect(METRIC_POWER_LIMIT, 190);
    expect(METRIC_PCIE_GEN, 4);
    expect(METRIC_PCIE_WIDTH, 16);
    expect(METRIC_THROTTLE, THROTTLE_POWER_CAP);
    EXPECT_ABSENT(METRIC_POWER, METRIC_UTILIZATION, METRIC_FAN, METRIC_MEMORY_TEMPERATURE);

    card_put(root, 0, "device/hwmon/hwmon4/energy1_input", "1300000000\n");
    put_client(50, 3, 0,
               CLIENT("i915", "0000:07:00.0", "5",
                      "drm-resident-local0:\t4096 MiB\ndrm-engine-compute:\t2500000000 ns\n"
                      "drm-engine-video:\t200000000 ns\n"));
    assert_int_equal(read_at(0, 3, true), SOURCE_READ);
    expect(METRIC_POWER, 150);
    expect(METRIC_UTILIZATION, 75);
    expect(METRIC_DECODER, 10);
    assert_true(table.known);
    assert_int_equal(table.n, 1);
    assert_string_equal(table.process[0].name, "llama-server");
    assert_float_equal(table.process[0].sm, 75, 0.01);
}

static void reads_a_battlemage(void **state)
{
    (void)state;
    card_put_b580(root, 0, "0000:08:00.0");
    put_process(51, "a");
    put_client(
        51, 3, 0,
        CLIENT("xe", "0000:08:00.0", "9",
               "drm-resident-vram0:\t1 GiB\ndrm-cycles-ccs:\t100\ndrm-total-cycles-ccs:\t1000\n"));
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    assert_string_equal(list[0].info.name, "Intel Arc B580");
    assert_int_equal(list[0].info.source, SOURCE_XE);
    expect(METRIC_TEMPERATURE, 61);
    expect(METRIC_MEMORY_TEMPERATURE, 64);
    expect(METRIC_CLOCK_SM, 2750);
    expect(METRIC_THROTTLE, THROTTLE_THERMAL);
    expect(METRIC_MEMORY_USED, 1 << 30);
    EXPECT_ABSENT(METRIC_MEMORY_TOTAL, METRIC_MEMORY_FREE);
    put_client(
        51, 3, 0,
        CLIENT("xe", "0000:08:00.0", "9",
               "drm-resident-vram0:\t1 GiB\ndrm-cycles-ccs:\t350\ndrm-total-cycles-ccs:\t2000\n"));
    assert_int_equal(read_at(0, 2, false), SOURCE_READ);
    expect(METRIC_UTILIZATION, 25);
}

static void two_cards_and_a_foreign_one(void **state)
{
    (void)state;
    struct err err = {0};
    card_put_device(root, 0, "nvidia", "0000:01:00.0", "10DE:2684");
    card_put_7900xtx(root, 1, "0000:0a:00.0");
    card_put_mi300x(root, 2, "0000:05:00.0");
    n_list = TELEMETRY_MAX_GPUS;
    assert_true(source_drm_find(root, root, list, &n_list, &err));
    assert_int_equal(n_list, TELEMETRY_MAX_GPUS);
    n_list = 0;
    find(2);
    assert_string_equal(list[0].info.pci, "0000:05:00.0");
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    expect(METRIC_UTILIZATION, 88);
    assert_int_equal(read_at(1, 1, false), SOURCE_READ);
    expect(METRIC_UTILIZATION, 97);
}

/* ---- what cannot be read ---- */

/* Reads of the tree's files, as the kernel counts them: all but uevent and runtime_status would
 * wake the card. */
static unsigned reads_that_wake(int watch)
{
    char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    unsigned n = 0;
    ssize_t len;
    while ((len = read(watch, events, sizeof(events))) > 0) {
        for (char *p = events; p < events + len;) {
            const struct inotify_event *e = (const struct inotify_event *)(void *)p;
            if (!(e->mask & IN_ISDIR) && strcmp(e->name, "uevent") != 0 &&
                strcmp(e->name, "runtime_status") != 0)
                n++;
            p += sizeof(*e) + e->len;
        }
    }
    return n;
}

static void a_suspended_card_is_not_woken(void **state)
{
    (void)state;
    char path[TREE_PATH_MAX];
    static const char *const folders[] = {"/sys/class/drm/card1", "/sys/class/drm/card1/device",
                                          "/sys/class/drm/card1/device/power",
                                          "/sys/class/drm/card1/device/hwmon/hwmon3"};
    card_put_7900xtx(root, 1, "0000:03:00.0");
    card_put(root, 1, "device/power/runtime_status", "suspended\n");
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", root, folders[i]);
        assert_true(inotify_add_watch(watch, path, IN_OPEN | IN_ACCESS) >= 0);
    }
    find(1);
    assert_string_equal(list[0].info.name, "AMD GPU 1002:744c");
    for (int i = 1; i <= 3; i++)
        assert_int_equal(read_at(0, i, true), SOURCE_SUSPENDED);
    assert_int_equal(reads_that_wake(watch), 0);
    assert_int_equal(s.present, 0);
    assert_non_null(strstr(list[0].trouble, "suspended"));

    card_put(root, 1, "device/power/runtime_status", "active\n");
    assert_int_equal(read_at(0, 4, false), SOURCE_READ);
    assert_string_equal(list[0].info.name, "AMD Radeon RX 7900 XTX");
    assert_true(reads_that_wake(watch) > 0);
    card_put(root, 1, "device/power/runtime_status", "suspended\n");
    reads_that_wake(watch);
    assert_int_equal(read_at(0, 5, false), SOURCE_SUSPENDED);
    assert_int_equal(reads_that_wake(watch), 0);
    close(watch);
}

static void files_that_say_nothing_leave_their_metric_absent(void **state)
{
    (void)state;
    static const struct card_file files[] = {
        {"device/gpu_busy_percent",            ""                         },
        {"device/mem_busy_percent",            "N/A\n"                    },
        {"device/mem_info_vram_used",          "garbage\n"                },
        {"device/hwmon/hwmon3/freq1_input",    "\n"                       },
        {"device/pp_dpm_sclk",                 "0: 500Mhz \n1: 2371Mhz \n"}, /* none is active */
        {"device/hwmon/hwmon3/power1_average", "-5\n"                     },
        {"device/hwmon/hwmon3/temp1_input",    "9999999999999999999999\n" },
        {"device/hwmon/hwmon3/temp2_input",    "x\n"                      },
        {"device/gpu_metrics",                 "x"                        },
        {"device/pp_dpm_pcie",                 "\n"                       },
        {"device/current_link_speed",          "Unknown\n"                },
    };
    card_put_7900xtx(root, 1, "0000:03:00.0");
    CARD_PUT_FILES(root, 1, files);
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    EXPECT_ABSENT(METRIC_UTILIZATION, METRIC_MEMORY_UTILIZATION, METRIC_MEMORY_USED,
                  METRIC_MEMORY_FREE, METRIC_CLOCK_SM, METRIC_POWER, METRIC_TEMPERATURE,
                  METRIC_THROTTLE, METRIC_PCIE_GEN);
    expect(METRIC_MEMORY_TOTAL, 25753026560);
    expect(METRIC_MEMORY_TEMPERATURE, 66);
    expect(METRIC_PCIE_WIDTH, 16);
}

static void what_was_known_and_cannot_be_read_any_more_goes(void **state)
{
    (void)state;
    card_put_7900xtx(root, 1, "0000:03:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    expect(METRIC_POWER, 311);
    card_put(root, 1, "device/hwmon/hwmon3/power1_average", "");
    card_put_blob(root, 1, (const uint8_t *)"x", 1);
    assert_int_equal(read_at(0, 2, false), SOURCE_READ);
    EXPECT_ABSENT(METRIC_POWER, METRIC_THROTTLE);
    expect(METRIC_UTILIZATION, 97);
}

/* A file that can be read and then gives an error: of a process that ends. */
static void what_begins_to_fail_is_named(void **state)
{
    (void)state;
    char path[64];
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    card_put_7900xtx(root, 1, "0000:03:00.0");
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)child);
    tree_link(root, "/sys/class/drm/card1/device/mem_busy_percent", path);
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    assert_true(sample_has(&s, METRIC_MEMORY_UTILIZATION));
    assert_string_equal(list[0].trouble, "");
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read_at(0, 2, false), SOURCE_READ);
    EXPECT_ABSENT(METRIC_MEMORY_UTILIZATION);
    assert_string_equal(list[0].trouble, "memory_utilization: cannot be read");
    expect(METRIC_UTILIZATION, 97);
}

/* A folder in a file's place can be opened and not read, whoever we are: what never worked is not
 * missed. */
static void what_never_could_be_read_is_no_trouble(void **state)
{
    (void)state;
    char path[TREE_PATH_MAX];
    card_put_7900xtx(root, 1, "0000:03:00.0");
    snprintf(path, sizeof(path), "%s/sys/class/drm/card1/device/mem_busy_percent", root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    EXPECT_ABSENT(METRIC_MEMORY_UTILIZATION);
    assert_string_equal(list[0].trouble, "");
}

static void a_card_that_is_gone_comes_back_under_another_number(void **state)
{
    (void)state;
    char path[TREE_PATH_MAX];
    card_put_7900xtx(root, 1, "0000:03:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    snprintf(path, sizeof(path), "%s/sys/class/drm/card1", root);
    scratch_remove(path);
    assert_int_equal(read_at(0, 2, false), SOURCE_LOST);
    assert_true(list[0].trouble[0]);
    assert_int_equal(read_at(0, 3, false), SOURCE_LOST);
    card_put_7900xtx(root, 4, "0000:03:00.0");
    assert_int_equal(read_at(0, 4, false), SOURCE_READ);
    assert_string_equal(list[0].trouble, "");
}

/* ---- rates ---- */

static void slow_files_rotate_and_fast_ones_do_not(void **state)
{
    (void)state;
    card_put_7900xtx(root, 1, "0000:03:00.0");
    find(1);
    assert_int_equal(read_at(0, 1, false), SOURCE_READ);
    card_put(root, 1, "device/gpu_busy_percent", "11\n");
    card_put(root, 1, "device/hwmon/hwmon3/pwm1", "255\n");
    assert_int_equal(read_at(0, 1.02, false), SOURCE_READ);
    expect(METRIC_UTILIZATION, 11);
    expect(METRIC_FAN, 40);
    assert_int_equal(read_at(0, 2, false), SOURCE_READ);
    expect(METRIC_FAN, 100);
}

/* ---- processes ---- */

static void lists_processes_of_an_amd_card(void **state)
{
    (void)state;
    card_put_7900xtx(root, 0, "0000:03:00.0");
    put_process(70, "/opt/llama-server");
    put_process(71, "/usr/bin/Xorg");
    put_process(72, "idle");
    put_client(70, 5, 0,
               CLIENT("amdgpu", "0000:03:00.0", "1",
                      "drm-memory-vram:\t16777216 KiB\n"
                      "drm-engine-compute:\t5000000000 ns\n"));
    put_client(70, 6, 0,
               CLIENT("amdgpu", "0000:03:00.0", "1",
                      "drm-memory-vram:\t16777216 KiB\n"
                      "drm-engine-compute:\t5000000000 ns\n"));
    put_client(71, 3, 0,
               CLIENT("amdgpu", "0000:03:00.0", "2",
                      "drm-memory-vram:\t102400 KiB\n"
                      "drm-engine-gfx:\t900 ns\n"));
    put_client(72, 3, 0, CLIENT("amdgpu", "0000:09:00.0", "3", "drm-memory-vram:\t1 KiB\n"));
    find(1);
    assert_int_equal(read_at(0, 10, true), SOURCE_READ);
    assert_true(table.known);
    assert_int_equal(table.n, 2);
    assert_int_equal(table.process[0].pid, 70);
    assert_int_equal(table.process[0].local_pid, 70);
    assert_int_equal(table.process[0].uid, 1000);
    assert_string_equal(table.process[0].name, "llama-server");
    assert_int_equal(table.process[0].type, PROCESS_COMPUTE);
    assert_true(table.process[0].memory_bytes == UINT64_C(16) << 30);
    assert_float_equal(table.process[0].sm, -1, 0);
    assert_string_equal(table.process[1].name, "Xorg");
    assert_int_equal(table.process[1].type, PROCESS_GRAPHICS);
    assert_true(table.unattributed_bytes == 21474836480 - (UINT64_C(16) << 30) - (100 << 20));

    put_client(70, 5, 0,
               CLIENT("amdgpu", "0000:03:00.0", "1",
                      "drm-memory-vram:\t16777216 KiB\n"
                      "drm-engine-compute:\t6000000000 ns\n"
                      "drm-engine-enc:\t100000000 ns\n"));
    put_client(70, 6, 0,
               CLIENT("amdgpu", "0000:03:00.0", "1",
                      "drm-memory-vram:\t16777216 KiB\n"
                      "drm-engine-compute:\t6000000000 ns\n"
                      "drm-engine-enc:\t100000000 ns\n"));
    assert_int_equal(read_at(0, 12, true), SOURCE_READ);
    assert_float_equal(table.process[0].sm, 50, 0.01);
    assert_float_equal(table.process[0].encoder, 5, 0.01);
    assert_float_equal(table.process[0].decoder, -1, 0);
    assert_float_equal(table.process[1].sm, 0, 0);
}

static void put_busy(const char *busy_ns)
{
    char text[256];
    snprintf(text, sizeof(text), CLIENT("amdgpu", "0000:03:00.0", "1", "drm-engine-gfx:\t%s ns\n"),
             busy_ns);
    put_client(80, 5, 0, text);
}

static void a_counter_that_steps_back_counts_from_its_highest(void **state)
{
    (void)state;
    card_put_7900xtx(root, 0, "0000:03:00.0");
    put_process(80, "x");
    find(1);
    put_busy("5000000000");
    assert_int_equal(read_at(0, 10, true), SOURCE_READ);
    put_busy("4000000000");
    assert_int_equal(read_at(0, 12, true), SOURCE_READ);
    assert_float_equal(table.process[0].sm, 0, 0);
    put_busy("5200000000");
    assert_int_equal(read_at(0, 14, true), SOURCE_READ);
    assert_float_equal(table.process[0].sm, 10, 0.01);
    put_busy("99000000000");
    assert_int_equal(read_at(0, 16, true), SOURCE_READ);
    assert_float_equal(table.process[0].sm, 100, 0);
    assert_true(table.process[0].memory_bytes == UINT64_MAX);
}

static void more_processes_than_there_is_room_for(void **state)
{
    (void)state;
    char text[256];
    card_put_7900xtx(root, 0, "0000:03:00.0");
    for (unsigned i = 0; i < PROCESSES_MAX + 5; i++) {
        put_process(1000 + i, "x");
        snprintf(text, sizeof(text),
                 CLIENT("amdgpu", "0000:03:00.0", "%u", "drm-memory-vram:\t%u KiB\n"), i + 1, i);
        put_client(1000 + i, 3, 0, text);
    }
    find(1);
    assert_int_equal(read_at(0, 10, true), SOURCE_READ);
    assert_int_equal(table.n, PROCESSES_MAX);
    assert_int_equal(table.left_out, 5);
    assert_int_equal(table.process[0].pid, 1000 + PROCESSES_MAX + 4);
}

static void without_proc_the_list_is_unknown(void **state)
{
    (void)state;
    card_put_7900xtx(root, 0, "0000:03:00.0");
    find(1);
    assert_int_equal(read_at(0, 10, true), SOURCE_READ);
    assert_false(table.known);
    assert_true(table.unattributed_bytes == UINT64_MAX);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_root, drop_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TREE(reads_a_7900xtx),
        ON_TREE(reads_an_mi300x),
        ON_TREE(an_apu_has_the_hosts_memory_too),
        ON_TREE(reads_an_arc_a770),
        ON_TREE(reads_a_battlemage),
        ON_TREE(two_cards_and_a_foreign_one),
        ON_TREE(a_suspended_card_is_not_woken),
        ON_TREE(files_that_say_nothing_leave_their_metric_absent),
        ON_TREE(what_was_known_and_cannot_be_read_any_more_goes),
        ON_TREE(what_begins_to_fail_is_named),
        ON_TREE(what_never_could_be_read_is_no_trouble),
        ON_TREE(a_card_that_is_gone_comes_back_under_another_number),
        ON_TREE(slow_files_rotate_and_fast_ones_do_not),
        ON_TREE(lists_processes_of_an_amd_card),
        ON_TREE(a_counter_that_steps_back_counts_from_its_highest),
        ON_TREE(more_processes_than_there_is_room_for),
        ON_TREE(without_proc_the_list_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
