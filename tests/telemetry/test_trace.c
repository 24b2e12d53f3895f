/* test_trace: what is recorded is read back, and a damaged trace gives what came before the damage. */
#include "../base/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "telemetry/trace.h"

static const uint64_t second = 1000000000;

static struct sample sample_at(uint32_t gpu, uint64_t tick)
{
    struct sample s = {.gpu = (uint16_t)gpu, .simulated = true, .mono_ns = 5 * second + tick * second / 50,
                       .wall_ns = 1800000000 * (int64_t)second + (int64_t)(tick * second / 50)};
    sample_set(&s, METRIC_MEMORY_TOTAL, 25757220864.0);
    sample_set(&s, METRIC_MEMORY_USED, 1e9 + (double)tick * 2097152);
    sample_set(&s, METRIC_POWER, 262.123);
    sample_set(&s, METRIC_UTILIZATION, (double)(tick % 101));
    if (tick % 3 == 0)
        sample_set(&s, METRIC_FAN, 41);
    s.age_ms[METRIC_MEMORY_TOTAL] = tick ? 20 * (uint16_t)(tick % 100) : 0;
    return s;
}

static struct str record_ticks(uint64_t ticks)
{
    static struct trace_state state;
    memset(&state, 0, sizeof(state));
    struct str out = {0};
    struct gpu_info info = {.name = "RTX 4090", .uuid = "GPU-1", .pci = "0000:01:00.0", .driver = "610.57",
                            .cc_major = 8, .cc_minor = 9, .simulated = true, .bandwidth_gbs = 1008,
                            .pcie_width_max = 16};
    trace_add_gpu(&state, &info, &out);
    info.index = 1;
    trace_add_gpu(&state, &info, &out);
    for (uint64_t t = 0; t < ticks; t++) {
        for (uint32_t g = 0; g < 2; g++) {
            struct sample s = sample_at(g, t);
            trace_add_sample(&state, &s, &out);
        }
    }
    return out;
}

static void samples_come_back(void **state)
{
    (void)state;
    own(own_str) struct str trace = record_ticks(100);
    static struct trace_reader r;
    enum trace_record record = TRACE_END;
    uint64_t samples = 0, gpus = 0;
    assert_true(trace_open(&r, trace.data, trace.len, NULL));
    while (trace_next(&r, &record, NULL) && record != TRACE_END) {
        if (record == TRACE_GPU) {
            assert_string_equal(r.info.name, "RTX 4090");
            assert_int_equal(r.info.index, gpus++);
            assert_true(r.info.simulated && r.info.bandwidth_gbs == 1008 && r.info.pcie_width_max == 16);
            continue;
        }
        struct sample s = sample_at((uint32_t)(samples % 2), samples / 2);
        assert_int_equal(r.sample.present, s.present);
        assert_int_equal(r.sample.mono_ns, s.mono_ns);
        assert_int_equal(r.sample.wall_ns, s.wall_ns);
        assert_true(r.sample.simulated);
        for (int m = 0; m < METRIC_COUNT; m++)
            if (sample_has(&s, (enum metric)m))
                assert_true(r.sample.value[m] == s.value[m]);
        samples++;
    }
    assert_int_equal(samples, 200);
    assert_int_equal(gpus, 2);
    assert_false(r.truncated);
    /* compact: 64 values of eight bytes would be 512 */
    assert_true(trace.len / samples < 40);
}

static void processes_come_back(void **state)
{
    (void)state;
    static struct trace_state t;
    static struct process_table table, full;
    own(own_str) struct str out = {0};
    table = (struct process_table){.gpu = 3, .known = true, .n = 1, .left_out = 2, .unattributed_bytes = UINT64_MAX,
                                   .mono_ns = second};
    table.process[0] = (struct process){.pid = 4711, .uid = 1000, .type = PROCESS_COMPUTE, .since_s = 1800000000,
                                        .memory_bytes = UINT64_MAX, .sm = 36.5F, .memory_bus = -1, .name = "llama-server",
                                        .container = "0123456789ab"};
    trace_add_processes(&t, &table, &out);
    full.n = PROCESSES_MAX;
    for (int i = 0; i < PROCESSES_MAX; i++) {
        memset(full.process[i].name, 'x', PROCESS_NAME_MAX - 1);
        full.process[i].pid = full.process[i].uid = UINT32_MAX;
        full.process[i].memory_bytes = UINT64_MAX - 1;
    }
    trace_add_processes(&t, &full, &out);

    static struct trace_reader r;
    enum trace_record record;
    assert_true(trace_open(&r, out.data, out.len, NULL));
    assert_true(trace_next(&r, &record, NULL) && record == TRACE_PROCESSES);
    const struct process *p = &r.processes.process[0];
    assert_int_equal(r.processes.gpu, 3);
    assert_true(r.processes.known && r.processes.n == 1 && r.processes.left_out == 2);
    assert_true(r.processes.unattributed_bytes == UINT64_MAX && p->memory_bytes == UINT64_MAX);
    assert_true(p->pid == 4711 && p->uid == 1000 && p->since_s == 1800000000 && p->sm == 36.5F && p->memory_bus == -1);
    assert_string_equal(p->name, "llama-server");
    assert_string_equal(p->container, "0123456789ab");
    assert_true(trace_next(&r, &record, NULL) && record == TRACE_PROCESSES);
    assert_int_equal(r.processes.n, PROCESSES_MAX);
}

/* Cut at every byte: what was whole before is read, the rest is said to be missing. */
static void a_cut_trace_gives_what_it_holds(void **state)
{
    (void)state;
    own(own_str) struct str trace = record_ticks(5);
    static struct trace_reader r;
    size_t most = 0;
    for (size_t size = 10; size <= trace.len; size++) {
        enum trace_record record = TRACE_END;
        size_t n = 0;
        own_free char *copy = malloc(size); /* so that reading behind the end is seen */
        memcpy(copy, trace.data, size);
        assert_true(trace_open(&r, copy, size, NULL));
        while (trace_next(&r, &record, NULL) && record != TRACE_END)
            n++;
        assert_true(n >= most && n <= 12);
        assert_true(r.truncated || n > most || size == 10 || r.at == r.end);
        most = n;
    }
    assert_int_equal(most, 12);
}

static void damage_is_said(void **state)
{
    (void)state;
    static struct trace_reader r;
    enum trace_record record;
    struct err err = {0};
    assert_false(trace_open(&r, "GGUF", 4, &err));
    assert_int_equal(err.code, ERR_1301);
    assert_false(trace_open(&r, TRACE_MAGIC "\x09", 9, &err));
    assert_non_null(strstr(err.title, "version 9"));
    static const char wild[] = TRACE_MAGIC "\x01" "G\x02\xff\x7f"; /* GPU 16383 */
    assert_true(trace_open(&r, wild, sizeof(wild) - 1, &err));
    assert_false(trace_next(&r, &record, &err));
    assert_non_null(strstr(err.title, "4 bytes before its end"));
    static const char unknown[] = TRACE_MAGIC "\x01" "Z\x03" "abc" "Z\x00";
    assert_true(trace_open(&r, unknown, sizeof(unknown) - 1, &err));
    assert_true(trace_next(&r, &record, &err) && record == TRACE_END && !r.truncated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back),
        cmocka_unit_test(processes_come_back),
        cmocka_unit_test(a_cut_trace_gives_what_it_holds),
        cmocka_unit_test(damage_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
