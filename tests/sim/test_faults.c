/* test_faults: what goes wrong on command goes wrong for every client, for its time, and is over
 * afterwards. */
#include <pthread.h>

#include "nv.h"

static int temperature_code(void *card)
{
    unsigned c;
    return NV(nvmlDeviceGetTemperature, card, 0, &c);
}

static void a_card_is_lost_and_returns(void **unused)
{
    void *other = NULL;
    nv_begin("gpu-lost", 20 * SECOND);
    void *first = nv_card(0), *second = nv_card(1);
    assert_int_equal(temperature_code(second), 0);
    world_jump(world, 31 * SECOND);
    assert_int_equal(temperature_code(first), 0);
    assert_int_equal(temperature_code(second), NV_GPU_IS_LOST);
    assert_int_equal(NV(nvmlDeviceGetHandleByIndex_v2, 1, &other), NV_GPU_IS_LOST);
    world_jump(world, 61 * SECOND);
    assert_int_equal(temperature_code(second), 0);
    nv_fault("unknown gpu=0");
    assert_int_equal(temperature_code(first), NV_UNKNOWN);
    nv_calm();
    assert_int_equal(temperature_code(first), 0);
    nv_fault("denied gpu=1");
    assert_int_equal(NV(nvmlDeviceGetHandleByIndex_v2, 1, &other), NV_NO_PERMISSION);
}

static void one_call_fails_and_others_do_not(void **unused)
{
    unsigned out;
    nv_begin("duo", SECOND);
    void *card = nv_card(0);
    nv_fault("error=999 call=nvmlDeviceGetFanSpeed gpu=0");
    nv_fault("hide call=nvmlDeviceGetPowerUsage");
    assert_int_equal(NV(nvmlDeviceGetFanSpeed, card, &out), 999);
    assert_int_equal(NV(nvmlDeviceGetFanSpeed, nv_card(1), &out), 0);
    assert_int_equal(NV(nvmlDeviceGetPowerUsage, card, &out), NV_FUNCTION_NOT_FOUND);
    assert_int_equal(temperature_code(card), 0);
}

static void init_says_what_is_wrong_with_the_driver(void **unused)
{
    nv_begin("duo", SECOND);
    nv_fault("mismatch");
    assert_int_equal(NV(nvmlInit_v2), NV_VERSION_MISMATCH);
    nv_calm();
    nv_fault("unloaded");
    assert_int_equal(NV(nvmlInitWithFlags, 0), NV_DRIVER_NOT_LOADED);
    nv_calm();
    assert_int_equal(NV(nvmlInit), 0);
}

static void *ask(void *card)
{
    unsigned c = 0;
    int code = NV(nvmlDeviceGetTemperature, card, 0, &c);
    return (void *)(intptr_t)(code ? -code : (int)c);
}

/* The call returns because the fault is cleared, not before: the other card answers in the
 * meantime. */
static void a_hung_call_waits_for_the_end_of_the_fault(void **unused)
{
    pthread_t thread;
    void *answer;
    nv_begin("dual-basic", SECOND);
    void *first = nv_card(0), *second = nv_card(1);
    nv_fault("hang gpu=1");
    assert_int_equal(pthread_create(&thread, NULL, ask, second), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(temperature_code(first), 0);
    nv_calm();
    pthread_join(thread, &answer);
    assert_int_equal((intptr_t)answer, 50);
}

static void xids_reach_those_who_asked_before(void **unused)
{
    void *set = NULL;
    struct nv_event event = {0};
    nv_begin("gpu-lost", 10 * SECOND);
    void *first = nv_card(0), *second = nv_card(1);
    assert_int_equal(NV(nvmlEventSetCreate, &set), 0);
    assert_int_equal(NV(nvmlDeviceRegisterEvents, first, 8ul, set), 0);
    assert_int_equal(NV(nvmlDeviceRegisterEvents, second, 8ul, set), 0);
    assert_int_equal(NV(nvmlDeviceRegisterEvents, second, 1ul, set), NV_NOT_SUPPORTED);
    assert_int_equal(NV(nvmlEventSetWait_v2, set, &event, 1), NV_TIMEOUT);
    nv_fault("xid=31 gpu=0");
    assert_int_equal(NV(nvmlEventSetWait_v2, set, &event, 5000), 0);
    assert_true(event.device == first && event.type == 8 && event.data == 31);
    world_jump(world, 40 * SECOND);
    assert_int_equal(NV(nvmlEventSetWait_v2, set, &event, 5000), 0);
    assert_true(event.device == second && event.data == 79);
    assert_int_equal(NV(nvmlEventSetWait_v2, set, &event, 1), NV_TIMEOUT);
    assert_int_equal(NV(nvmlEventSetFree, set), 0);
    assert_int_equal(NV(nvmlEventSetWait_v2, set, &event, 1), NV_INVALID_ARGUMENT);
}

static void wild_readings_come_through(void **unused)
{
    char name[64];
    unsigned n = 4;
    struct nv_process p[4];
    nv_begin("octo", 60 * SECOND);
    void *card = nv_card(0);
    nv_fault("set=99GiB field=used gpu=0");
    nv_fault("set=4000000000 field=temperature gpu=0");
    nv_fault("endless gpu=0");
    nv_fault("count=4000000000 gpu=0");
    assert_true(nv_memory(card).used > nv_memory(card).total);
    assert_int_equal(nv_temperature(card), 4000000000u);
    assert_int_equal(NV(nvmlDeviceGetName, card, name, sizeof(name)), 0);
    assert_null(memchr(name, 0, sizeof(name)));
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, card, &n, p), 0);
    assert_int_equal(n, 4000000000u);
}

static void errors_links_and_air(void **unused)
{
    uint64_t errors = 0;
    unsigned lanes = 0;
    nv_begin("octo", 600 * SECOND);
    void *card = nv_card(3);
    unsigned before = nv_temperature(card);
    nv_fault("ecc-corrected=12 gpu=3");
    nv_fault("link-width=4 gpu=3");
    nv_fault("ambient=45 gpu=3");
    assert_int_equal(NV(nvmlDeviceGetTotalEccErrors, card, 0, 0, &errors), 0);
    assert_int_equal(errors, 12);
    assert_int_equal(NV(nvmlDeviceGetCurrPcieLinkWidth, card, &lanes), 0);
    assert_int_equal(lanes, 4);
    world_jump(world, 1200 * SECOND);
    assert_true(nv_temperature(card) > before + 10);
}

static void nonsense_is_refused(void **unused)
{
    static const char *const texts[] = {"",
                                        "lots",
                                        "lost gpu=99",
                                        "lost gpu=x",
                                        "xid",
                                        "slow=1000s",
                                        "error=1 lost",
                                        "set=3",
                                        "set=3 field=mood",
                                        "hide",
                                        "lost for=-3s",
                                        "error=1 call=printf"};
    struct err err = {0};
    nv_begin("duo", 0);
    nv_card(0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (sim_inject(NULL, texts[i], NULL, &err))
            fail_msg("\"%s\" is taken for a fault", texts[i]);
}

static void hidden_calls_are_missing_from_the_library(void **unused)
{
    char path[WORLD_PATH_MAX];
    struct err err = {0};
    nv_begin(
        "gpus: [{card: RTX 4090}]\nfaults:\n  - {hide: \"\", call: nvmlDeviceGetMemoryInfo_v2}\n",
        0);
    nv_card(0);
    assert_true(sim_library(path, &err));
    void *reduced = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(reduced);
    assert_null(dlsym(reduced, "nvmlDeviceGetMemoryInfo_v2"));
    assert_non_null(dlsym(reduced, "nvmlDeviceGetMemoryInfo"));
    dlclose(reduced);
}

static void every_call_is_on_record(void **unused)
{
    char line[256], call[80], path[80];
    int gpu, code, found = 0;
    nv_begin("dual-basic", 0);
    snprintf(path, sizeof(path), "%s.record", state);
    char command[400];
    /* a fresh process: the library opens its record once */
    snprintf(command, sizeof(command),
             "DUALGPUOPT_SIM_RECORD=%s DUALGPUOPT_NVML_PATH=%s %s gpu ls >/dev/null", path,
             SIM_LIBRARY, DUALGPUOPT);
    assert_int_equal(system(command), 0);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        assert_int_equal(sscanf(line, "%*u %*d %79s %d %d", call, &gpu, &code), 3);
        found += strcmp(call, "nvmlDeviceGetMemoryInfo_v2") == 0 && code == 0;
    }
    fclose(f);
    unlink(path);
    assert_int_equal(found, 2);
    nv_card(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_card_is_lost_and_returns, nv_end),
        cmocka_unit_test_teardown(one_call_fails_and_others_do_not, nv_end),
        cmocka_unit_test_teardown(init_says_what_is_wrong_with_the_driver, nv_end),
        cmocka_unit_test_teardown(a_hung_call_waits_for_the_end_of_the_fault, nv_end),
        cmocka_unit_test_teardown(xids_reach_those_who_asked_before, nv_end),
        cmocka_unit_test_teardown(wild_readings_come_through, nv_end),
        cmocka_unit_test_teardown(errors_links_and_air, nv_end),
        cmocka_unit_test_teardown(nonsense_is_refused, nv_end),
        cmocka_unit_test_teardown(hidden_calls_are_missing_from_the_library, nv_end),
        cmocka_unit_test_teardown(every_call_is_on_record, nv_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
