/* test_sampler: GPUs read through the real NVML path from the simulated driver: values, calls, and what happens when one
 * of them hangs, is lost, or answers nonsense. */
#include "../base/check.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim/sim.h"
#include "telemetry/sampler.h"

static char state_file[128], calls_file[128];

/* What came from the sampler. */
struct seen {
    pthread_mutex_t lock;
    struct sample newest[TELEMETRY_MAX_GPUS];
    uint64_t n[TELEMETRY_MAX_GPUS];
    struct process_table table[TELEMETRY_MAX_GPUS];
};
static struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_sample(void *to, const struct sample *s)
{
    struct seen *v = to;
    pthread_mutex_lock(&v->lock);
    v->newest[s->gpu] = *s;
    v->n[s->gpu]++;
    pthread_mutex_unlock(&v->lock);
}

static void on_processes(void *to, const struct process_table *t)
{
    struct seen *v = to;
    pthread_mutex_lock(&v->lock);
    v->table[t->gpu] = *t;
    pthread_mutex_unlock(&v->lock);
}

static uint64_t count_of(uint32_t gpu)
{
    pthread_mutex_lock(&seen.lock);
    uint64_t n = seen.n[gpu];
    pthread_mutex_unlock(&seen.lock);
    return n;
}

static struct sample newest_of(uint32_t gpu)
{
    pthread_mutex_lock(&seen.lock);
    struct sample s = seen.newest[gpu];
    pthread_mutex_unlock(&seen.lock);
    return s;
}

static void nap(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&t, NULL);
}

static void wait_for_samples(uint32_t gpu, uint64_t more)
{
    uint64_t goal = count_of(gpu) + more;
    for (int i = 0; i < 2000 && count_of(gpu) < goal; i++)
        nap(0.01);
    assert_true(count_of(gpu) >= goal);
}

static void wait_for_state(struct sampler *s, uint32_t gpu, enum gpu_state state, struct gpu_health *out)
{
    for (int i = 0; i < 2000; i++) {
        sampler_health(s, gpu, out);
        if (out->state == state)
            return;
        nap(0.01);
    }
    fail_msg("GPU %u is %s, not %s", gpu, gpu_state_name[out->state], gpu_state_name[state]);
}

static void start_world(const char *scenario, double scale)
{
    struct sim_options o = {.scenario = scenario, .state = state_file, .scale = scale, .seed = 1};
    struct err err = {0};
    memset(seen.n, 0, sizeof(seen.n));
    if (!sim_start(&o, &err))
        fail_msg("%s", err.title);
}

static struct sampler *start(double hz, double process_s)
{
    struct sampler *s = NULL;
    struct err err = {0};
    struct sampler_options o = {.hz = hz, .process_s = process_s, .sysfs_root = "/nonexistent"};
    struct sampler_sink sink = {.to = &seen, .sample = on_sample, .processes = on_processes};
    if (!sampler_start(&s, &o, &sink, &err))
        fail_msg("%s", err.title);
    assert_true(sampler_wait_first(s, 5 * (uint64_t)CLOCK_NS_PER_S));
    return s;
}

static void inject(const char *fault)
{
    struct err err = {0};
    uint32_t id = 0;
    if (!sim_inject(state_file, fault, &id, &err))
        fail_msg("%s: %s", fault, err.title);
}

static void clear_faults(void)
{
    struct err err = {0};
    assert_true(sim_clear(state_file, 0, &err));
}

/* I28: the fixed pair. */
static void the_fixed_pair_reads_as_it_is(void **state)
{
    (void)state;
    static const struct {
        enum metric m;
        double value[2];
    } rows[] = {
        {METRIC_MEMORY_TOTAL, {24576.0 * 1048576, 16384.0 * 1048576}},
        {METRIC_MEMORY_USED, {5000.0 * 1048576, 3000.0 * 1048576}},
        {METRIC_MEMORY_FREE, {19576.0 * 1048576, 13384.0 * 1048576}},
        {METRIC_UTILIZATION, {50, 30}},
        {METRIC_TEMPERATURE, {60, 50}},
        {METRIC_POWER, {200, 150}},
    };
    start_world("dual-basic", 1);
    struct sampler *s = start(5, 1);
    assert_int_equal(sampler_count(s), 2);
    for (uint32_t g = 0; g < 2; g++) {
        struct sample now = newest_of(g);
        struct gpu_info info;
        sampler_info(s, g, &info);
        assert_true(now.simulated && info.simulated && now.source == SOURCE_NVML && now.state == GPU_OK);
        assert_non_null(strstr(info.name, g ? "4080" : "4090"));
        assert_true(info.bandwidth_gbs > 500 && info.cc_major == 8 && info.pcie_width_max == 16 && info.uuid[0]);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            assert_true(sample_has(&now, rows[i].m));
            if (now.value[rows[i].m] != rows[i].value[g])
                fail_msg("%s of GPU %u is %g", metric_info[rows[i].m].name, g, now.value[rows[i].m]);
        }
    }
    assert_true(sampler_stop(s));
}

/* Calls per GPU between two memory calls, which begin a tick. */
static void a_tick_makes_eight_calls_at_most(void **state)
{
    (void)state;
    start_world("duo", 60);
    FILE *f = fopen(calls_file, "r");
    assert_true(f && fseek(f, 0, SEEK_END) == 0);
    struct sampler *s = start(10, 1);
    wait_for_samples(0, 25);
    wait_for_samples(1, 1);
    assert_true(sampler_stop(s));
    char line[512], call[128];
    int gpu, calls[2] = {0}, ticks[2] = {0}, most = 0;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*s %*s %127s %d", call, &gpu) != 2 || gpu < 0 || gpu > 1)
            continue;
        if (strncmp(call, "nvmlDeviceGetMemoryInfo", 23) == 0) {
            if (ticks[gpu]++ > 1 && calls[gpu] > most) /* the first tick reads everything */
                most = calls[gpu];
            calls[gpu] = 0;
        }
        calls[gpu]++;
    }
    fclose(f);
    assert_true(ticks[0] > 20 && ticks[1] > 10);
    assert_in_range(most, 4, 8);
}

static void processes_are_named_and_sum_up(void **state)
{
    (void)state;
    start_world("octo", 3600);
    struct sampler *s = start(10, 1);
    wait_for_samples(0, 15);
    pthread_mutex_lock(&seen.lock);
    struct process_table t = seen.table[0];
    double used = seen.newest[0].value[METRIC_MEMORY_USED];
    pthread_mutex_unlock(&seen.lock);
    assert_true(t.known && t.n == 2);
    assert_non_null(strstr(t.process[0].name, "vllm"));
    assert_true(t.process[0].memory_bytes >= t.process[1].memory_bytes && t.process[0].type & PROCESS_COMPUTE);
    assert_true(t.unattributed_bytes != UINT64_MAX && (double)t.unattributed_bytes < used);
    assert_true(sampler_stop(s));
}

static void a_lost_gpu_is_lost_and_comes_back(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 10);
    struct sampler *s = start(20, -1);
    inject("lost gpu=1");
    wait_for_samples(1, 2); /* within two ticks */
    wait_for_state(s, 1, GPU_LOST, &h);
    assert_non_null(strstr(h.detail, "lost"));
    struct sample lost = newest_of(1);
    assert_true(lost.state == GPU_LOST && lost.present == 0); /* nothing is invented */
    sampler_health(s, 0, &h);
    assert_int_equal(h.state, GPU_OK);
    clear_faults();
    wait_for_state(s, 1, GPU_OK, &h);
    wait_for_samples(1, 1);
    lost = newest_of(1);
    assert_true(sample_has(&lost, METRIC_MEMORY_TOTAL));
    assert_true(sampler_stop(s));
}

static void a_hung_gpu_delays_nobody(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 1);
    struct sampler *s = start(20, -1);
    inject("hang gpu=1");
    wait_for_state(s, 1, GPU_HUNG, &h);
    assert_non_null(strstr(h.detail, "has not returned"));
    assert_true(h.since_ns >= (uint64_t)CLOCK_NS_PER_S);
    uint64_t stuck = count_of(1);
    wait_for_samples(0, 10);
    assert_true(count_of(1) <= stuck + 1);
    assert_false(sampler_stop(s)); /* its thread is left behind: the caller goes on */
    stuck = count_of(1);
    clear_faults();
    nap(0.3);
    assert_int_equal(count_of(1), stuck); /* and what it brings home is nobody's */
}

static void a_hung_gpu_that_returns_goes_on(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 1);
    struct sampler *s = start(20, -1);
    inject("hang gpu=0");
    wait_for_state(s, 0, GPU_HUNG, &h);
    clear_faults();
    wait_for_state(s, 0, GPU_OK, &h);
    wait_for_samples(0, 3);
    assert_true(sampler_stop(s));
}

static void calls_that_fail_are_metrics_that_miss(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 1);
    struct sampler *s = start(20, -1);
    wait_for_samples(0, 2);
    struct sample before = newest_of(0), now;
    assert_true(sample_has(&before, METRIC_TEMPERATURE));
    inject("error=999 gpu=0 call=nvmlDeviceGetTemperature");
    wait_for_state(s, 0, GPU_DEGRADED, &h);
    assert_non_null(strstr(h.detail, "temperature"));
    now = newest_of(0);
    assert_true(!sample_has(&now, METRIC_TEMPERATURE) && sample_has(&now, METRIC_UTILIZATION));
    clear_faults();
    wait_for_state(s, 0, GPU_OK, &h);
    assert_true(sampler_stop(s));
}

static void refused_access_is_said(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 1);
    inject("error=4 gpu=1");
    struct sampler *s = start(20, -1);
    wait_for_state(s, 1, GPU_DENIED, &h);
    assert_non_null(strstr(h.detail, "Permissions"));
    sampler_health(s, 0, &h);
    assert_int_equal(h.state, GPU_OK);
    assert_true(sampler_stop(s));
}

static void no_card_is_no_error(void **state)
{
    (void)state;
    start_world("none", 1);
    struct sampler *s = start(10, -1);
    assert_int_equal(sampler_count(s), 0);
    assert_true(sampler_stop(s));
}

/* A15: theirs gives up after three tries and invents numbers from then on. */
static void a_driver_that_went_away_is_loaded_again(void **state)
{
    (void)state;
    struct gpu_health h;
    start_world("duo", 1);
    struct sampler *s = start(20, -1);
    inject("unloaded");
    inject("error=9"); /* those that have it open are told so too */
    for (uint32_t g = 0; g < 2; g++) {
        wait_for_state(s, g, GPU_LOST, &h);
        assert_true(strlen(h.detail) > 0);
        wait_for_samples(g, 5);
        struct sample lost = newest_of(g);
        assert_true(lost.present == 0);
    }
    clear_faults();
    for (uint32_t g = 0; g < 2; g++) {
        wait_for_state(s, g, GPU_OK, &h);
        struct sample back = newest_of(g);
        assert_true(sample_has(&back, METRIC_MEMORY_TOTAL));
    }
    assert_true(sampler_stop(s));
}

/* What cannot be is not shown. */
static void wild_values_are_unknown(void **state)
{
    (void)state;
    start_world("duo", 1);
    inject("set=4000000000 field=temperature gpu=0");
    inject("set=1e18 field=used gpu=1");
    struct sampler *s = start(20, -1);
    wait_for_samples(0, 2);
    wait_for_samples(1, 2);
    struct sample hot = newest_of(0), full = newest_of(1);
    assert_false(sample_has(&hot, METRIC_TEMPERATURE));
    assert_true(sample_has(&hot, METRIC_MEMORY_USED));
    assert_false(sample_has(&full, METRIC_MEMORY_USED));
    assert_true(sample_memory_percent(&full) < 0);
    clear_faults();
    assert_true(sampler_stop(s));
}

static void the_rate_can_change(void **state)
{
    (void)state;
    start_world("duo", 1);
    struct sampler *s = start(0.02, -1); /* one sample in fifty seconds */
    uint64_t before = count_of(0);
    sampler_set_rate(s, 50);
    wait_for_samples(0, 20);
    assert_true(count_of(0) > before);
    sampler_set_rate(s, 1e9); /* not a rate */
    sampler_set_rate(s, 0);
    wait_for_samples(0, 20);
    assert_true(sampler_stop(s));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(state_file, sizeof(state_file), "/tmp/dualgpuopt-sampler-%d", getpid());
    snprintf(calls_file, sizeof(calls_file), "/tmp/dualgpuopt-sampler-%d.calls", getpid());
    setenv("DUALGPUOPT_SIM_STATE", state_file, 1);
    setenv("DUALGPUOPT_NVML_PATH", SIM_LIBRARY, 1);
    setenv("DUALGPUOPT_SIM_RECORD", calls_file, 1);
    unsetenv("DUALGPUOPT_SIM_SCENARIO");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct err err = {0};
    sim_stop(state_file, &err);
    unlink(state_file);
    unlink(calls_file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fixed_pair_reads_as_it_is),
        cmocka_unit_test(a_tick_makes_eight_calls_at_most),
        cmocka_unit_test(processes_are_named_and_sum_up),
        cmocka_unit_test(a_lost_gpu_is_lost_and_comes_back),
        cmocka_unit_test(a_hung_gpu_that_returns_goes_on),
        cmocka_unit_test(calls_that_fail_are_metrics_that_miss),
        cmocka_unit_test(refused_access_is_said),
        cmocka_unit_test(no_card_is_no_error),
        cmocka_unit_test(wild_values_are_unknown),
        cmocka_unit_test(the_rate_can_change),
        cmocka_unit_test(a_driver_that_went_away_is_loaded_again),
        cmocka_unit_test(a_hung_gpu_delays_nobody), /* last: a thread stays behind */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
