/* test_doctor: what is wrong with a machine is named with its right cause and what mends it; a
 * report names nobody. */
#include "run.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tree.h"
#include "base/str.h"
#include "sim/sim.h"

#define SECOND INT64_C(1000000000)
#define TWO    "gpus:\n  - {card: RTX 4090}\n  - {card: RTX 3090}\n"
#define SERVER                                                                                \
    "processes:\n  - name: llama-server\n    on:\n      - {gpu: 0, weights: 4GiB, load: 1s, " \
    "busy: 0.9}\n      "                                                                      \
    "- {gpu: 1, weights: 4GiB, load: 1s, busy: 0.9}\n"
#define SLOT "/sys/bus/pci/devices/0000:01:00.0/"
#define CARD SLOT "vendor=0x10de|" SLOT "class=0x030000|"

/* clang-format off */
/* A machine: files below a root, and a simulated driver or none. */
static const struct seeded {
    const char *name;
    const char *files;    /* "path=text|..." */
    const char *scenario; /* NULL: no library is found */
    const char *variables;
    int exit_code;
    const char *id, *level, *cause, *mends;
} faults[] = {
    /* why there is no GPU */
    {"wsl", "/dev/dxg=|/usr/lib/wsl/lib/libnvidia-ml.so.1=|", NULL, "", 7, "driver.nvml", "fail",
     "WSL: the driver's libraries are in /usr/lib/wsl/lib, where the loader does not look",
     "ld.wsl.conf && sudo ldconfig"},
    {"wsl without a driver", "/dev/dxg=|/usr/lib/wsl/lib/other=|", NULL, "", 7, "driver.nvml",
     "fail", "this is WSL, and Windows gave it no NVIDIA driver",
     "update the NVIDIA driver of Windows"},
    {"container", "/.dockerenv=|" CARD, NULL, "", 7, "driver.nvml", "fail",
     "container that was started without the GPUs", "docker run --gpus all"},
    {"container without libraries", "/.dockerenv=|/dev/nvidiactl=|" CARD, NULL, "", 7,
     "driver.nvml", "fail", "has the GPUs' devices, but not the driver's libraries",
     "NVIDIA_DRIVER_CAPABILITIES=compute,utility"},
    {"nouveau", "/sys/module/nouveau/x=|" CARD, NULL, "", 7, "driver.nvml", "fail",
     "nouveau driver holds the card", "blacklist nouveau"},
    {"no card",
     "/sys/bus/pci/devices/0000:00:02.0/vendor=0x8086|/sys/bus/pci/devices/0000:00:02.0/"
     "class=0x030000|",
     NULL, "", 7, "driver.nvml", "fail", "no NVIDIA GPU on the PCI bus", "lspci -nn"},
    {"no driver", CARD, NULL, "", 7, "driver.nvml", "fail",
     "GPU at 0000:01:00.0, but NVIDIA's driver is not installed", "apt install nvidia-driver"},
    {"no library", CARD "/sys/module/nvidia/version=580.95.05|", NULL, "", 7, "driver.nvml", "fail",
     "module nvidia 580.95.05 is loaded, its library libnvidia-ml.so.1 is not on the loader's path",
     "libnvidia-ml1"},
    {"not a library", CARD, NULL,
     "DUALGPUOPT_NVML_PATH=tree/sys/bus/pci/devices/0000:01:00.0/vendor ", 7, "driver.nvml", "fail",
     "DUALGPUOPT_NVML_PATH names a file that is not a usable library",
     "unset DUALGPUOPT_NVML_PATH"},
    {"versions", CARD "/sys/module/nvidia/version=575.64.03|",
     TWO "faults:\n  - {mismatch: \"\"}\n", "", 7, "driver.nvml", "fail",
     "have different versions: the kernel module is 575.64.03", "sudo reboot"},
    {"module not loaded", CARD, TWO "faults:\n  - {unloaded: \"\"}\n", "", 7, "driver.nvml", "fail",
     "the kernel module nvidia is not loaded", "sudo modprobe nvidia"},
    {"no rights", CARD "/sys/module/nvidia/version=580.95.05|/dev/nvidiactl=|",
     TWO "faults:\n  - {error: 4, call: nvmlInit_v2}\n", "", 7, "driver.nvml", "fail",
     "the NVIDIA driver refuses access", "ls -l /dev/nvidia*"},
    {"driver hangs", CARD, TWO "faults:\n  - {hang: \"\", call: nvmlInit_v2}\n", "", 7,
     "driver.nvml", "fail", "hung: no answer within 3 s", "dmesg"},
    /* what is the matter with one */
    {"lost", "/x=|", TWO "faults:\n  - {lost: \"\", gpu: 1}\n", "", 7, "gpu.1.state", "fail",
     "lost: GPU is lost", "riser, power plugs and heat"},
    {"card hangs", "/x=|", TWO "faults:\n  - {hang: \"\", gpu: 1}\n", "", 7, "gpu.1.state", "fail",
     "hung for", "--gpu-reset -i 1"},
    {"denied", "/x=|", TWO "faults:\n  - {denied: \"\", gpu: 1}\n", "", 7, "gpu.1.state", "fail",
     "denied: Insufficient Permissions", "ls -l /dev/nvidia*"},
    {"wild", "/x=|", TWO "faults:\n  - {set: 99GiB, field: used, gpu: 0}\n", "", 0, "gpu.0.state",
     "warn", "answers in part: memory", "left out"},
    {"link", "/x=|", TWO "faults:\n  - {link-width: 4, gpu: 1}\n", "", 0, "gpu.1.link", "warn",
     "x4 of x16", "riser"},
    {"link under load", "/x=|", TWO SERVER "faults:\n  - {link-gen: 1, gpu: 1}\n", "", 0,
     "gpu.1.link", "warn", "gen1 of gen4 under load", "BIOS"},
    {"heat", "/x=|",
     TWO "faults:\n  - {set: 32, field: reasons, gpu: 0}\n"
     "  - {set: 89, field: temperature, gpu: 0}\n",
     "", 0, "gpu.0.heat", "warn", "slowed down by heat at 89 C", "more air"},
    {"power", "/x=|", TWO "faults:\n  - {set: 128, field: reasons, gpu: 0}\n", "", 0, "gpu.0.power",
     "warn", "power supply holds the card back", "power plugs"},
    {"orphan", "/x=|",
     TWO "processes:\n  - name: crashed\n    life: 5s\n    orphan: true\n    on:\n      - {gpu: 1, "
     "weights: 2GiB, load: 1s}\n",
     "", 0, "gpu.1.memory", "warn", "2.0 GiB are held by no process", "fuser"},
    {"ecc", "/x=|", "gpus:\n  - {card: RTX A6000}\nfaults:\n  - {ecc-uncorrected: 2, gpu: 0}\n", "",
     7, "gpu.0.ecc", "fail", "2 memory errors that could not be corrected", "--gpu-reset"},
    {"xid",
     "/dev/kmsg=6,1,2,-;NVRM: Xid (PCI:0000:01:00): 31, pid=7\n4,2,3,-;NVRM: Xid (PCI:0000:01:00): "
     "119, pid=1|",
     TWO, "", 7, "gpu.0.xid", "fail",
     "XID 119: the GPU's own processor does not answer the driver (2 driver errors in all)",
     "dmesg"},
    {"symbols", "/x=|", TWO "faults:\n  - {hide: \"\", call: nvmlDeviceGetTemperature}\n", "", 0,
     "driver.calls", "warn", "lacks 1 call, whose numbers are missing: nvmlDeviceGetTemperature",
     "newer driver"},
    /* between them and us */
    {"order", "/x=|", "gpus:\n  - {card: RTX 3060 12GB}\n  - {card: RTX 4090}\n", "", 0,
     "order.pci", "warn", "its 0 is GPU 1 here, RTX 4090", "CUDA_DEVICE_ORDER=PCI_BUS_ID"},
    {"order unknown", "/x=|", TWO "faults:\n  - {lost: \"\", gpu: 1}\n", "", 7, "order.pci", "skip",
     "1 of 2 GPUs do not tell how fast they are", ""},
    {"hidden", "/x=|", TWO, "CUDA_VISIBLE_DEVICES=0,7 ", 0, "order.visible", "warn",
     "\"7\" in CUDA_VISIBLE_DEVICES is no GPU of this machine; programs see 1 of 2",
     "unset CUDA_VISIBLE_DEVICES"},
    {"twice", "/x=|", TWO, "CUDA_VISIBLE_DEVICES=1,1 ", 0, "order.visible", "warn",
     "programs see 0 of 2", "unset"},
    {"no uvm", "/sys/module/nvidia/version=580.95.05|/dev/nvidiactl=|/dev/nvidia0=|", TWO, "", 0,
     "driver.devices", "warn", "no program can compute on them", "nvidia-modprobe"},
    {"we hold memory", "/x=|", TWO, "DUALGPUOPT_SIM_ALLOC=1:2GiB ", 7, "driver.novram", "fail",
     "holds 2.00 GiB on GPU 1", "report it"},
};

/* clang-format on */
static char state[96], library[WORLD_PATH_MAX];

static void put_files(const char *list)
{
    char copy[1024], *save = NULL;
    assert_int_equal(run_program("rm -rf tree").code, 0);
    assert_true(snprintf(copy, sizeof(copy), "%s", list) < (int)sizeof(copy));
    for (char *word = strtok_r(copy, "|", &save); word; word = strtok_r(NULL, "|", &save)) {
        char *text = strchr(word, '=');
        assert_non_null(text);
        *text++ = 0;
        tree_put("tree", word, text);
    }
}

/* A world that stands still at half a minute; the words of a run that see it. */
static const char *world_words(const char *scenario)
{
    static char words[WORLD_PATH_MAX + 200];
    struct err err = {0};
    snprintf(state, sizeof(state), "%s/test.world", run_folder());
    setenv("DUALGPUOPT_SIM_STATE", state, 1);
    if (!scenario)
        return "";
    run_file("scenario.yaml", scenario, false);
    struct sim_options o = {.scenario = "scenario.yaml", .seed = 3, .at_ns = 30 * SECOND};
    if (!sim_start(&o, &err) || !sim_library(library, &err))
        fail_msg("%s", err.title);
    snprintf(words, sizeof(words), "DUALGPUOPT_SIM_STATE=%s DUALGPUOPT_NVML_PATH=%s ", state,
             library);
    return words;
}

static void end_world(const char *scenario)
{
    struct err err = {0};
    if (scenario)
        assert_true(sim_stop(NULL, &err));
}

/* The record of a check: "level\tid\ttext\tfix\tcommand\n". */
static const char *record_of(const char *out, const char *id, char line[1024])
{
    size_t n = strlen(id);
    for (const char *p = out; *p; p = strchr(p, '\n') + 1) {
        const char *tab = strchr(p, '\t');
        if (!tab || strncmp(tab + 1, id, n) != 0 || tab[1 + n] != '\t')
            continue;
        snprintf(line, 1024, "%.*s", (int)strcspn(p, "\n"), p);
        return line;
    }
    fail_msg("no check %s in:\n%s", id, out);
    return NULL;
}

static void seeded_faults_have_their_cause(void **unused)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const struct seeded *f = &faults[i];
        char line[1024];
        put_files(f->files);
        struct ran r =
            run("%s%sdoctor --plain --sysfs-root tree", world_words(f->scenario), f->variables);
        end_world(f->scenario);
        record_of(r.out, f->id, line);
        if (!str_starts(line, f->level) || !strstr(line, f->cause) || !strstr(line, f->mends))
            fail_msg("%s: %s", f->name, line);
        if (r.code != f->exit_code)
            fail_msg("%s: exit code %d\n%s", f->name, r.code, r.out);
        record_of(r.out, "dep.libc", line); /* whatever hangs or fails, the rest is checked */
        if (!f->scenario)
            assert_non_null(strstr(record_of(r.out, "gpu", line), "dualgpuopt sim start"));
    }
}

static void a_sound_machine_has_no_failure(void **unused)
{
    char line[1024];
    put_files("/sys/module/nvidia/version=580.95.05|/dev/nvidiactl=|/dev/nvidia0=|/dev/"
              "nvidia-uvm=|/dev/kmsg=");
    const char *words = world_words(TWO SERVER);
    struct ran r = run("%sdoctor --plain --sysfs-root tree", words);
    assert_int_equal(r.code, 0);
    static const char *const sound[] = {
        "driver.nvml",  "driver.version", "driver.calls", "driver.devices", "driver.novram",
        "order.pci",    "order.visible",  "gpu.0.state",  "gpu.1.state",    "gpu.0.link",
        "gpu.1.memory", "gpu.0.heat",     "gpu.0.power",  "gpu.0.xid"};
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
        if (!str_starts(record_of(r.out, sound[i], line), "ok\t"))
            fail_msg("%s", line);
    assert_non_null(strstr(record_of(r.out, "driver.novram", line),
                           "is in no process list: it holds no GPU memory"));
    r = run("%sdoctor --sysfs-root tree", words);
    assert_true(widest_line(r.out) <= 80);
    expect_text(&r, "SIMULATED");
    expect_text(&r, "ok    gpu.1              RTX 3090");
    r = run("%sdoctor --json --sysfs-root tree", words);
    struct json_object *doc = run_json(&r, "doctor");
    assert_true(json_object_get_boolean(at(doc, "simulated")));
    assert_true(json_object_is_type(at(doc, "bundle"), json_type_null));
    json_object_put(doc);
    end_world(TWO);
}

/* An engine that never answers its --version costs one check. */
static void an_engine_that_hangs_is_given_up(void **unused)
{
    char line[1024];
    put_files("/x=");
    assert_int_equal(run_program("mkdir -p bin").code, 0);
    run_file("bin/llama-server", "#!/bin/sh\nexec sleep 11\n", true);
    struct ran r = run("doctor --plain --sysfs-root tree");
    assert_true(str_starts(record_of(r.out, "engine.llamacpp", line),
                           "fail\tengine.llamacpp\thung: no answer within 3 s"));
    record_of(r.out, "dep.llama-server", line);
    assert_int_equal(run_program("rm -r bin").code, 0);
}

static void a_report_names_nobody(void **unused)
{
    char host[128] = "";
    struct stat st;
    gethostname(host, sizeof(host) - 1);
    put_files("/dev/kmsg=4,2,3,-;NVRM: opened by ada from /home/ada/models, token=abcdef0123456789|"
              "/etc/os-release=NAME=Test");
    const char *words = world_words(TWO SERVER);
    struct ran r = run("%sUSER=ada HF_TOKEN=hf_abcdefghijklmnop CUDA_CACHE_PATH=/home/ada/.nv "
                       "doctor --sysfs-root tree "
                       "--bundle report.tar.gz",
                       words);
    end_world(TWO);
    assert_int_equal(r.code, 0);
    expect_text(&r, "dualgpuopt-report/kernel.txt");
    assert_int_equal(stat("report.tar.gz", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    r = run_program("tar -tzf report.tar.gz");
    assert_int_equal(count_lines(r.out), 8);
    r = run_program("tar -xzOf report.tar.gz");
    assert_int_equal(r.code, 0);
    expect_text(&r, "opened by [user] from ~/models, token=[removed]");
    expect_text(&r, "HF_TOKEN=[removed]");
    expect_text(&r, "CUDA_CACHE_PATH=~/.nv");
    expect_text(&r, "\"id\": \"gpu.1.link\"");
    expect_text(&r, "NAME=Test");
    static const char *const secret[] = {"ada", "hf_abc", "abcdef", "GPU-0", "/home/"};
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        if (strstr(r.out, secret[i]))
            fail_msg("the report holds \"%s\"", secret[i]);
    r = run_program("tar -xzOf report.tar.gz dualgpuopt-report/gpus.json");
    struct json_object *doc = json_tokener_parse(r.out);
    assert_non_null(doc);
    json_object_put(doc);
}

static void a_report_is_there_whole_or_not_at_all(void **unused)
{
    struct ran r = run("doctor --bundle no/such/folder/report.tar.gz");
    expect_error(&r, 1, 1202, "cannot be written");
    assert_int_equal(run_program("ls no").code, 2);
    run_program("ln -sf /dev/null away.tar.gz");
    r = run("doctor --bundle away.tar.gz");
    expect_error(&r, 1, 1202, "not a regular file");
    r = run("doctor --json --bundle report.tar.gz");
    struct json_object *doc = run_json(&r, "doctor");
    assert_string_equal(text_at(doc, "bundle.path"), "report.tar.gz");
    assert_true(number_at(doc, "bundle.files.0.size_bytes") > 0);
    json_object_put(doc);
}

static void every_check_is_in_help(void **unused)
{
    char line[1024];
    struct ran help = run("help checks"), r;
    put_files("/x=");
    r = run("%sdoctor --json --sysfs-root tree", world_words(TWO));
    end_world(TWO);
    struct json_object *doc = run_json(&r, "doctor"), *checks = at(doc, "checks");
    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        const char *id = json_object_get_string(
            json_object_object_get(json_object_array_get_idx(checks, i), "id"));
        if (str_starts(id, "gpu."))
            snprintf(line, sizeof(line), "\ngpu.N.%s ", strrchr(id, '.') + 1);
        else
            snprintf(line, sizeof(line), "%s ", id);
        expect_text(&help, line);
    }
    json_object_put(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeded_faults_have_their_cause),
        cmocka_unit_test(a_sound_machine_has_no_failure),
        cmocka_unit_test(an_engine_that_hangs_is_given_up),
        cmocka_unit_test(a_report_names_nobody),
        cmocka_unit_test(a_report_is_there_whole_or_not_at_all),
        cmocka_unit_test(every_check_is_in_help),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
