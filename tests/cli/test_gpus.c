/* test_gpus: gpu topo, limits, pick and free on a driver of two cards, and on one that hangs, is
 * hot, lost or refuses. */
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CARDS  "DUALGPUOPT_NVML_PATH=" TEST_DRIVER " "
#define BIG    "GPU-5090aaaa-0000-0000-0000-000000000001"
#define PERSON "#!/bin/sh\nprintf '%s\\n' \"$1\" | script -qec \"$2\" /dev/null\n"
#define SMALL  "GPU-4090bbbb-0000-0000-0000-000000000002"

static void joined_by_the_host_bridge(void **state)
{
    (void)state;
    struct ran r = run(CARDS "gpu topo");
    assert_int_equal(r.code, 0);
    expect_text(&r, "PHB");
    expect_text(&r, "the chipset does not support it: every pair");
    assert_true(widest_line(r.out) <= 80);
    struct ran plain = run(CARDS "gpu topo --plain");
    assert_string_equal(plain.out, "0\t1\tPHB\t0\t0\tthe chipset does not support it\n");
    r = run(CARDS "gpu topo --accessible");
    expect_text(&r, "GPU 0 and GPU 1 are joined through the CPU's PCIe host bridge.");
    r = run(CARDS "gpu topo --json");
    struct json_object *doc = run_json(&r, "topology");
    assert_string_equal(text_at(doc, "pairs.0.distance"), "PHB");
    assert_false(json_object_get_boolean(at(doc, "pairs.0.p2p")));
    json_object_put(doc);
}

static void joined_by_nvlinks(void **state)
{
    (void)state;
    struct ran r = run(CARDS "TEST_NVML=nvlink=4 gpu topo");
    expect_text(&r, "NV4");
    expect_text(&r, "peer-to-peer possible: every pair");
    r = run(CARDS "TEST_NVML=nvlink=4 gpu topo --json");
    struct json_object *doc = run_json(&r, "topology");
    assert_int_equal(number_at(doc, "pairs.0.nvlinks"), 4);
    assert_true(json_object_get_boolean(at(doc, "pairs.0.p2p")));
    json_object_put(doc);
}

static void a_driver_that_hangs_does_not_hang_the_command(void **state)
{
    (void)state;
    struct ran r = run(CARDS "TEST_NVML=hangtopo gpu topo");
    expect_error(&r, 1, 1105, "has not answered within 3 s");
    r = run(CARDS "TEST_NVML=hangcount plan llama-3.1-8b");
    expect_text(&r, "no GPU: the NVIDIA driver has not answered within 10 s");
}

static void limits_are_read(void **state)
{
    (void)state;
    struct ran r = run(CARDS "gpu limits 1");
    assert_int_equal(r.code, 0);
    expect_text(&r, "power limit least    150 W");
    expect_text(&r, "power limit most     500 W");
    expect_text(&r, "slows down at        90 C");
    r = run(CARDS "gpu limits 0 --json");
    struct json_object *doc = run_json(&r, "limits");
    assert_int_equal(number_at(doc, "power_max_watts"), 600);
    assert_true(at(doc, "changed") == NULL);
    json_object_put(doc);
    r = run(CARDS "gpu limits 7");
    expect_error(&r, 4, 1106, "no GPU \"7\"");
}

static void a_limit_is_set_only_with_a_yes(void **state)
{
    (void)state;
    struct ran r = run(CARDS "gpu limits 1 --power 350");
    expect_error(&r, 2, 9007, "gpu limits 1 --power 350 --yes");
    r = run(CARDS "gpu limits 1 --power 350 --yes");
    assert_int_equal(r.code, 0);
    expect_text(&r, "450 W before, 350 W now");
    r = run(CARDS "TEST_NVML=fakeslow gpu limits 1 --power 350 --yes");
    expect_text(&r, "340 W now");
    assert_non_null(strstr(r.err, "the driver took 340 W"));
    r = run(CARDS "gpu limits 1 --power 350 --yes --json");
    struct json_object *doc = run_json(&r, "limits");
    assert_int_equal(number_at(doc, "changed.power_limit_watts"), 350);
    json_object_put(doc);
    r = run(CARDS "gpu limits 1 --power 501 --yes");
    expect_error(&r, 2, 1107, "150 to 500 W");
    r = run(CARDS "gpu limits 1 --power 4294967 --yes");
    expect_error(&r, 2, 9002, "whole watts");
    r = run(CARDS "TEST_NVML=denypower gpu limits 1 --power 350 --yes");
    expect_error(&r, 5, 1104, "sudo dualgpuopt gpu limits 1 --power 350 --yes");
}

/* Alone and on a terminal for the first time it says what there is; every other time it is status.
 */
static void the_first_start_looks_around(void **state)
{
    (void)state;
    if (run_program("which script").code != 0)
        skip();
    run_file("person.sh", PERSON, true);
    struct ran r = run_program("XDG_STATE_HOME=%s/state ./person.sh '' '%s --no-input'",
                               run_folder(), PROGRAM);
    assert_int_equal(r.code, 4); /* not even then, where nothing may be asked */
    r = run_program(CARDS "XDG_STATE_HOME=%s/state ./person.sh '' %s", run_folder(), PROGRAM);
    assert_int_equal(r.code, 0);
    expect_text(&r, "This is what I found here");
    expect_text(&r, "RTX 5090 31.8 GiB, RTX 4090 24.0 GiB");
    expect_text(&r, "plan llama-3.1-8b");
    r = run_program(CARDS "XDG_STATE_HOME=%s/state ./person.sh '' %s", run_folder(), PROGRAM);
    assert_null(strstr(r.out, "what I found"));
    expect_text(&r, "USED/TOTAL");
    r = run_program("XDG_STATE_HOME=%s/other ./person.sh '' %s", run_folder(), PROGRAM);
    assert_int_equal(r.code, 0);
    expect_text(&r, "none that can be used");
    expect_text(&r, "--gpus rtx5090,rtx4090");
}

static void alone_it_is_status(void **state)
{
    (void)state;
    struct ran r = run(CARDS " "), same = run(CARDS "--cli");
    assert_int_equal(r.code, 0);
    expect_text(&r, "USED/TOTAL GiB");
    expect_text(&same, "USED/TOTAL GiB");
    r = run(CARDS "--json");
    json_object_put(run_json(&r, "status"));
    r = run("--watchh");
    expect_error(&r, 2, 9001, "dualgpuopt knows no option --watchh");
}

/* A library that cannot be loaded is a missing one; apt-get is a script that notes its words. */
static void missing_libraries_are_installed_after_a_yes(void **state)
{
    (void)state;
    struct ran r = run("--install-deps");
    assert_int_equal(r.code, 0);
    expect_text(&r, "Nothing to install");
    assert_int_equal(run_program("mkdir -p bin lib").code, 0);
    run_file("lib/libcurl.so.4", "no library", false);
    run_file("bin/apt-get", "#!/bin/sh\necho \"$@\" >> installed\n", true);
    run_file("bin/sudo", "#!/bin/sh\n\"$@\"\n", true);
    r = run("LD_LIBRARY_PATH=%s/lib --install-deps", run_folder());
    expect_error(&r, 2, 9007, "apt-get install -y libcurl4");
    assert_int_not_equal(access("installed", F_OK), 0);
    r = run("LD_LIBRARY_PATH=%s/lib --install-deps --yes", run_folder());
    assert_int_equal(r.code, 0);
    assert_string_equal(run_program("cat installed").out, "install -y libcurl4\n");
    run_file("bin/apt-get", "#!/bin/sh\nexit 100\n", true);
    r = run("LD_LIBRARY_PATH=%s/lib --install-deps --yes", run_folder());
    expect_error(&r, 1, 1203, "exit code 100");
}

/* A terminal made by script(1); printf is the person. */
static void a_person_is_asked(void **state)
{
    (void)state;
    if (run_program("which script").code != 0)
        skip();
    run_file("person.sh", PERSON, true);
    struct ran r = run_program(CARDS "./person.sh y '%s gpu limits 1 --power 350'", PROGRAM);
    expect_text(&r, "Set the power limit of GPU 1 RTX 4090 from 450 to 350 W? [y/N]");
    expect_text(&r, "350 W now");
    r = run_program(CARDS "./person.sh n '%s gpu limits 1 --power 350'", PROGRAM);
    assert_int_equal(r.code, 130);
    assert_null(strstr(r.out, "350 W now"));
    r = run_program(CARDS "./person.sh y '%s gpu limits 1 --power 350 --no-input'", PROGRAM);
    assert_int_equal(r.code, 2);
}

static void the_best_fit_is_picked(void **state)
{
    (void)state;
    static const struct {
        const char *more, *out;
    } rows[] = {
        {"--need 2GiB",                   SMALL "\n"        },
        {"--need 22GiB",                  SMALL "\n"        },
        {"--need 23GiB",                  BIG "\n"          },
        {"--need 40GiB",                  BIG "," SMALL "\n"},
        {"--need 24144MiB --keep-free 0", SMALL "\n"        }, /* exactly enough is enough */
        {"--need 24145MiB --keep-free 0", BIG "\n"          },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ran r = run(CARDS "gpu pick %s", rows[i].more);
        if (r.code != 0 || strcmp(r.out, rows[i].out) != 0)
            fail_msg("%s: %d, %s%s", rows[i].more, r.code, r.out, r.err);
    }
    struct ran r = run(CARDS "gpu pick --need 2GiB --as vision");
    assert_non_null(strstr(r.err, "vision: Device 1 (RTX 4090) available with 23.6GB free"));
    assert_string_equal(run(CARDS "gpu pick --need 2GiB -q").err, "");
}

static void sick_cards_are_passed_over(void **state)
{
    (void)state;
    struct ran r = run(CARDS "TEST_NVML=hot=1 gpu pick --need 2GiB");
    assert_string_equal(r.out, BIG "\n");
    assert_non_null(strstr(r.err, "Device 1 (RTX 4090) passed over: is hot"));
    r = run(CARDS "TEST_NVML=lost=1 gpu pick --need 2GiB --json");
    struct json_object *doc = run_json(&r, "pick");
    assert_string_equal(text_at(doc, "use"), "gpu");
    assert_true(json_object_get_boolean(at(doc, "gpus.0.chosen")));
    assert_non_null(strstr(text_at(doc, "gpus.1.reason"), "is lost"));
    json_object_put(doc);
}

static void the_cpu_is_an_answer(void **state)
{
    (void)state;
    struct ran r = run("DUALGPUOPT_SYSTEM_OVERHEAD=0 gpu pick --need 1MiB");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "cpu\n");
    assert_non_null(strstr(r.err, "No GPU devices available with sufficient memory: use the CPU"));
    assert_non_null(strstr(r.err, "no NVIDIA driver library found"));
    r = run(CARDS "gpu pick --need 900000GiB");
    expect_error(&r, 8, 2115, "Device 1 (RTX 4090) has only 23.6GB free");
    r = run(CARDS "gpu pick");
    expect_error(&r, 2, 9003, "--need 8GiB");
    r = run(CARDS "gpu pick --need 0");
    expect_error(&r, 2, 2102, "--need");
}

static void who_holds_memory(void **state)
{
    (void)state;
    struct ran r = run(CARDS "gpu free 0");
    assert_int_equal(r.code, 0);
    expect_text(&r, "4194300");
    r = run(CARDS "gpu free 0 --json");
    struct json_object *doc = run_json(&r, "occupants");
    assert_int_equal(json_object_array_length(at(doc, "processes")), 2);
    assert_false(json_object_get_boolean(at(doc, "processes.0.may_stop")));
    assert_true(at(doc, "stopped") == NULL);
    json_object_put(doc);
    r = run(CARDS "gpu free 0 --yes --pid 77");
    expect_error(&r, 4, 1111, "PID 77 holds no memory on GPU 0");
    r = run(CARDS "gpu free 0 --yes --pid 1");
    expect_error(&r, 5, 1109, "is not stopped");
    r = run(CARDS "gpu free 0 --yes");
    expect_error(&r, 2, 9003, "--pid");
    r = run(CARDS "gpu free 1");
    expect_text(&r, "nobody holds memory there");
}

/* The numbers that the driver gives are the host's: only there can one of ours be found by them. */
static bool numbers_are_the_hosts(void)
{
    char link[64] = "";
    return readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
           strcmp(link, "pid:[4026531836]") == 0;
}

static pid_t start_holder(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGTERM, SIG_DFL);
        for (;;)
            pause();
    }
    return pid;
}

static void a_process_is_stopped_and_its_memory_comes_back(void **state)
{
    int status;
    (void)state;
    if (!numbers_are_the_hosts())
        skip();
    pid_t pid = start_holder();
    struct ran r = run(CARDS "TEST_NVML=holder=%d gpu free 1 --pid %d", (int)pid, (int)pid);
    expect_error(&r, 2, 9007, "--yes");
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* still there */
    r = run(CARDS "TEST_NVML=holder=%d gpu free 1 --pid %d --yes", (int)pid, (int)pid);
    assert_int_equal(r.code, 0);
    expect_text(&r, "4.0 GiB came back, 23.6 GiB are free now");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

    if (run_program("which script").code == 0) {
        pid = start_holder();
        run_file("person.sh", PERSON, true);
        r = run_program(CARDS "TEST_NVML=holder=%d ./person.sh no '%s gpu free 1'", (int)pid,
                        PROGRAM);
        expect_text(&r, "Type its PID to stop it");
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        r = run_program(CARDS "TEST_NVML=holder=%d ./person.sh %d '%s gpu free 1'", (int)pid,
                        (int)pid, PROGRAM);
        expect_text(&r, "4.0 GiB came back");
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    pid = getpid(); /* the program runs below this test */
    r = run(CARDS "TEST_NVML=holder=%d gpu free 1 --pid %d --yes", (int)pid, (int)pid);
    expect_error(&r, 5, 1109, "program runs below it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_by_the_host_bridge),
        cmocka_unit_test(joined_by_nvlinks),
        cmocka_unit_test(a_driver_that_hangs_does_not_hang_the_command),
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(a_limit_is_set_only_with_a_yes),
        cmocka_unit_test(a_person_is_asked),
        cmocka_unit_test(the_first_start_looks_around),
        cmocka_unit_test(alone_it_is_status),
        cmocka_unit_test(missing_libraries_are_installed_after_a_yes),
        cmocka_unit_test(the_best_fit_is_picked),
        cmocka_unit_test(sick_cards_are_passed_over),
        cmocka_unit_test(the_cpu_is_an_answer),
        cmocka_unit_test(who_holds_memory),
        cmocka_unit_test(a_process_is_stopped_and_its_memory_comes_back),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
