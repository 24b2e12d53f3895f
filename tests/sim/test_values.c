/* test_values: the frozen pair, and physics: heat, power, limits, counters; the same for all
 * processes. */
#include <sys/wait.h>

#include "nv.h"

static void frozen_pair_is_exact(void **unused)
{
    static const struct {
        const char *name;
        uint64_t total, used, free;
        unsigned util, celsius, milliwatts;
    } wanted[] = {
        {"NVIDIA GeForce RTX 4090", 24576, 5000, 19576, 50, 60, 200000},
        {"NVIDIA GeForce RTX 4080", 16384, 3000, 13384, 30, 50, 150000},
    };
    nv_begin("dual-basic", 10 * SECOND);
    for (unsigned i = 0; i < 2; i++) {
        char name[64];
        unsigned milliwatts = 0;
        struct nv_utilization use = {0};
        struct nv_memory old = {0};
        void *card = nv_card(i);
        struct nv_memory_v2 m = nv_memory(card);
        assert_int_equal(NV(nvmlDeviceGetName, card, name, sizeof(name)), 0);
        assert_string_equal(name, wanted[i].name);
        assert_true(m.total == wanted[i].total * MIB && m.used == wanted[i].used * MIB &&
                    m.free == wanted[i].free * MIB);
        assert_int_equal(NV(nvmlDeviceGetMemoryInfo, card, &old), 0);
        assert_true(old.total == m.total && old.used == m.used && old.free == m.free);
        assert_int_equal(NV(nvmlDeviceGetUtilizationRates, card, &use), 0);
        assert_int_equal(use.gpu, wanted[i].util);
        assert_int_equal(nv_temperature(card), wanted[i].celsius);
        assert_int_equal(NV(nvmlDeviceGetPowerUsage, card, &milliwatts), 0);
        assert_int_equal(milliwatts, wanted[i].milliwatts);
    }
    void *none;
    assert_int_equal(NV(nvmlDeviceGetHandleByIndex_v2, 2, &none), NV_INVALID_ARGUMENT);
}

static const char full_load[] =
    "noise: 0\n"
    "gpus:\n"
    "  - {card: RTX 4090}\n"
    "  - {card: RTX 4090, limit: 250}\n"
    "  - {card: RTX 4090, cooling: 2, ambient: 32}\n"
    "processes:\n"
    "  - name: load\n"
    "    on:\n"
    "      - {gpu: 0, weights: 8GiB, load: 8s, busy: 0.7, intensity: 0.9}\n"
    "      - {gpu: 1, weights: 8GiB, load: 8s, busy: 1, intensity: 1}\n"
    "      - {gpu: 2, weights: 8GiB, load: 8s, busy: 1, intensity: 1}\n";

static uint64_t reasons_of(void *card)
{
    uint64_t bits = 0;
    assert_int_equal(NV(nvmlDeviceGetCurrentClocksEventReasons, card, &bits), 0);
    return bits;
}

static unsigned clock_of(void *card)
{
    unsigned mhz = 0;
    assert_int_equal(NV(nvmlDeviceGetClockInfo, card, 1, &mhz), 0);
    return mhz;
}

static void heat_rises_towards_a_steady_state(void **unused)
{
    unsigned before, last;
    nv_begin(full_load, 0);
    void *card = nv_card(0);
    before = last = nv_temperature(card);
    for (int64_t t = 10; t <= 600; t += 10) {
        world_jump(world, t * SECOND);
        unsigned now = nv_temperature(card);
        assert_true(now >= last);
        last = now;
    }
    assert_in_range(last, before + 20, 80);
    world_jump(world, 900 * SECOND);
    assert_in_range(nv_temperature(card), last, last + 1);
}

static void limits_show_in_bits_power_and_clock(void **unused)
{
    unsigned power = 0;
    struct nv_violation capped = {0};
    nv_begin(full_load, 900 * SECOND);
    void *free_card = nv_card(0), *limited = nv_card(1), *hot = nv_card(2);
    assert_true((reasons_of(free_card) & 0x6c) == 0);
    assert_true(reasons_of(limited) & 0x4);
    assert_int_equal(NV(nvmlDeviceGetPowerUsage, limited, &power), 0);
    assert_in_range(power, 249000, 250000);
    assert_true(clock_of(limited) < clock_of(free_card));
    assert_true(reasons_of(hot) & 0x20);
    assert_in_range(nv_temperature(hot), 84, 100);
    assert_true(clock_of(hot) < clock_of(free_card));
    assert_int_equal(NV(nvmlDeviceGetViolationStatus, limited, 0, &capped), 0);
    assert_in_range(capped.time_ns, 880 * SECOND, 900 * SECOND);
}

static uint64_t energy_of(void *card)
{
    uint64_t mj = 0;
    assert_int_equal(NV(nvmlDeviceGetTotalEnergyConsumption, card, &mj), 0);
    return mj;
}

/* Power sampled every 100 ms adds up to the counter within 1 %, on a load with bursts and noise. */
static void energy_is_the_integral_of_power(void **unused)
{
    double sum = 0;
    nv_begin("duo", 0);
    void *card = nv_card(1);
    uint64_t before = energy_of(card);
    for (int64_t i = 0; i < 3000; i++) {
        unsigned milliwatts = 0;
        world_jump(world, i * SECOND / 10 + SECOND / 20);
        assert_int_equal(NV(nvmlDeviceGetPowerUsage, card, &milliwatts), 0);
        sum += milliwatts * 0.1;
    }
    world_jump(world, 300 * SECOND);
    double counted = (double)(energy_of(card) - before);
    assert_true(sum > counted * 0.99 && sum < counted * 1.01);
}

static void link_counters_are_integrals_of_throughput(void **unused)
{
    struct nv_field a = {.id = 198}, b = {.id = 198};
    unsigned kbs = 0;
    nv_begin(full_load, 100 * SECOND);
    void *card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetFieldValues, card, 1, &a), 0);
    assert_int_equal(NV(nvmlDeviceGetPcieThroughput, card, 1, &kbs), 0);
    world_jump(world, 110 * SECOND);
    assert_int_equal(NV(nvmlDeviceGetFieldValues, card, 1, &b), 0);
    assert_in_range(b.value.ull - a.value.ull, (uint64_t)kbs * 9900, (uint64_t)kbs * 10100);
}

static void memory_adds_up_and_grows_as_written(void **unused)
{
    nv_begin("leak", 100 * SECOND);
    void *leaky = nv_card(0), *orphaned = nv_card(1);
    struct nv_memory_v2 a = nv_memory(leaky);
    assert_true(a.total == a.reserved + a.used + a.free);
    world_jump(world, 100 * SECOND + 3600 * SECOND);
    struct nv_memory_v2 b = nv_memory(leaky);
    assert_in_range(b.used - a.used, 360 * 16 * MIB - 4 * MIB, 360 * 16 * MIB + 4 * MIB);
    /* the crashed one is in no list, its memory is in use */
    struct nv_process p[8];
    unsigned n = 8;
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, orphaned, &n, p), 0);
    assert_int_equal(n, 1);
    assert_true(nv_memory(orphaned).used >= p[0].used + 2048 * MIB);
}

/* What one answers after a long way in small steps, and one that comes fresh, is the same. */
static void who_asks_when_does_not_matter(void **unused)
{
    nv_begin("throttle", 0);
    void *card = nv_card(0);
    for (int64_t t = 1; t <= 5000; t += 7) {
        world_jump(world, t * SECOND + t * 1234567);
        energy_of(card);
    }
    world_jump(world, 5003 * SECOND + 123);
    uint64_t stepwise = energy_of(card);
    nv_end(NULL);
    nv_begin("throttle", 5003 * SECOND + 123);
    assert_true(energy_of(nv_card(0)) == stepwise);
}

static void read_all(const struct sim_scenario *s, struct reading out[2])
{
    for (uint32_t i = 0; i < 2 && i < s->n_gpus; i++)
        world_read(world, i, world_clock(world).now_ns, &out[i]);
}

static void processes_see_the_same_numbers(void **unused)
{
    struct reading here[2], there[2];
    int pipes[2];
    nv_begin("duo", 777 * SECOND + 5);
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        struct world_wish wish = {0};
        bool ok = world_open(&wish, &world, &err);
        if (ok)
            read_all(world_scenario(world), there);
        _exit(ok && write(pipes[1], there, sizeof(there)) == sizeof(there) ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], there, sizeof(there)), sizeof(there));
    close(pipes[0]);
    close(pipes[1]);
    read_all(world_scenario(world), here);
    assert_memory_equal(here, there, sizeof(here));
    unsigned power = 0; /* and the library says what the world says */
    assert_int_equal(NV(nvmlDeviceGetPowerUsage, nv_card(1), &power), 0);
    assert_int_equal(power, here[1].power_mw);
}

static void mig_unified_and_wsl(void **unused)
{
    void *mig = NULL, *parent = NULL;
    unsigned is = 0, n = 8;
    struct nv_process p[8];
    struct nv_memory m;
    struct nv_utilization use;
    nv_begin("wsl: true\n"
             "gpus:\n"
             "  - {card: H200, mig: [{profile: 3g.71gb, memory: 70GiB, slices: 3}, {profile: "
             "1g.18gb, memory: 16GiB}]}\n"
             "  - {card: GB10, unified: true}\n"
             "processes:\n"
             "  - {name: a, on: [{gpu: 0, mig: 1, weights: 4GiB, load: 1s, busy: 0.5}]}\n",
             60 * SECOND);
    void *card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetUtilizationRates, card, &use), NV_NOT_SUPPORTED);
    assert_int_equal(NV(nvmlDeviceGetMigDeviceHandleByIndex, card, 1, &mig), 0);
    assert_int_equal(NV(nvmlDeviceGetMigDeviceHandleByIndex, card, 2, &parent), NV_NOT_FOUND);
    assert_int_equal(NV(nvmlDeviceIsMigDeviceHandle, mig, &is), 0);
    assert_int_equal(is, 1);
    assert_int_equal(NV(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, mig, &parent), 0);
    assert_ptr_equal(parent, card);
    assert_int_equal(NV(nvmlDeviceGetMemoryInfo, mig, &m), 0);
    assert_true(m.total == 16 * 1024 * MIB && m.used == 4 * 1024 * MIB);
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, mig, &n, p), 0);
    assert_int_equal(n, 1);
    assert_true(p[0].used == NV_NOT_AVAILABLE && p[0].gpu_instance == 2);
    assert_int_equal(NV(nvmlDeviceGetMemoryInfo, nv_card(1), &m), NV_NOT_SUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(frozen_pair_is_exact, nv_end),
        cmocka_unit_test_teardown(heat_rises_towards_a_steady_state, nv_end),
        cmocka_unit_test_teardown(limits_show_in_bits_power_and_clock, nv_end),
        cmocka_unit_test_teardown(energy_is_the_integral_of_power, nv_end),
        cmocka_unit_test_teardown(link_counters_are_integrals_of_throughput, nv_end),
        cmocka_unit_test_teardown(memory_adds_up_and_grows_as_written, nv_end),
        cmocka_unit_test_teardown(who_asks_when_does_not_matter, nv_end),
        cmocka_unit_test_teardown(processes_see_the_same_numbers, nv_end),
        cmocka_unit_test_teardown(mig_unified_and_wsl, nv_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
