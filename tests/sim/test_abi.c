/* test_abi: the library has every name of NVML's API, its structs lie as NVML's do, versions are
 * checked. */
#include "nv.h"

static const char *const names[] = {
#define X(name) #name,
#include "sim/names.def"
#undef X
};

static void every_name_is_exported(void **unused)
{
    assert_int_equal(sizeof(names) / sizeof(names[0]), 413);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        nv_find(names[i]);
}

static void nothing_answers_before_init(void **unused)
{
    nv_begin("duo", 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], "nvmlErrorString") == 0 || strncmp(names[i], "nvmlInit", 8) == 0)
            continue;
        if (nv_find(names[i])(0ul, 0ul, 0ul, 0ul, 0ul, 0ul) != NV_UNINITIALIZED)
            fail_msg("%s does not say that it is not initialised", names[i]);
    }
    const char *(*text)(int);
    *(void **)&text = dlsym(library, "nvmlErrorString");
    assert_string_equal(text(15), "GPU is lost");
    assert_string_equal(text(12345), "Unknown Error");
}

/* No call crashes on a handle that is none, on NULLs, or on a real card with NULLs. */
static void bad_arguments_are_refused(void **unused)
{
    nv_begin("duo", 0);
    void *card = nv_card(0);
    static uint64_t elsewhere[2048];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], "nvmlErrorString") == 0 || strncmp(names[i], "nvmlInit", 8) == 0 ||
            strcmp(names[i], "nvmlShutdown") == 0)
            continue;
        if (nv_find(names[i])((void *)elsewhere, 0ul, 0ul, 0ul, 0ul, 0ul) == NV_SUCCESS &&
            strncmp(names[i], "nvmlDevice", 10) == 0 &&
            strncmp(names[i], "nvmlDeviceGetCount", 18) != 0)
            fail_msg("%s takes any pointer for a card", names[i]);
        int code = nv_find(names[i])(card, 0ul, 0ul, 0ul, 0ul, 0ul);
        if (code == NV_SUCCESS && strncmp(names[i], "nvmlDeviceGet", 13) == 0 &&
            strncmp(names[i], "nvmlDeviceGetCount", 18) != 0)
            fail_msg("%s writes to NULL", names[i]);
    }
}

#define LAYOUT(type, bytes)    assert_int_equal(sizeof(struct type), bytes)
#define FIELD(type, field, at) assert_int_equal(offsetof(struct type, field), at)

static void structs_lie_as_the_drivers(void **unused)
{
    LAYOUT(nv_pci, 68);
    FIELD(nv_pci, domain, 16);
    FIELD(nv_pci, device_id, 28);
    FIELD(nv_pci, bus_id, 36);
    LAYOUT(nv_pci_ext, 64);
    FIELD(nv_pci_ext, bus_id, 32);
    LAYOUT(nv_utilization, 8);
    LAYOUT(nv_memory, 24);
    FIELD(nv_memory, used, 16);
    LAYOUT(nv_memory_v2, 40);
    FIELD(nv_memory_v2, total, 8);
    FIELD(nv_memory_v2, reserved, 16);
    FIELD(nv_memory_v2, free, 24);
    FIELD(nv_memory_v2, used, 32);
    LAYOUT(nv_bar1, 24);
    LAYOUT(nv_process_v1, 16);
    FIELD(nv_process_v1, used, 8);
    LAYOUT(nv_process, 24);
    FIELD(nv_process, gpu_instance, 16);
    FIELD(nv_process, compute_instance, 20);
    LAYOUT(nv_process_detail, 32);
    LAYOUT(nv_process_details, 24);
    FIELD(nv_process_details, list, 16);
    LAYOUT(nv_process_sample, 32);
    FIELD(nv_process_sample, sm, 16);
    LAYOUT(nv_process_use, 40);
    FIELD(nv_process_use, pid, 8);
    LAYOUT(nv_process_uses, 24);
    FIELD(nv_process_uses, list, 16);
    LAYOUT(nv_sample, 16);
    LAYOUT(nv_field, 40);
    FIELD(nv_field, time_us, 8);
    FIELD(nv_field, type, 24);
    FIELD(nv_field, code, 28);
    FIELD(nv_field, value, 32);
    LAYOUT(nv_event, 32);
    FIELD(nv_event, type, 8);
    FIELD(nv_event, data, 16);
    FIELD(nv_event, gpu_instance, 24);
    LAYOUT(nv_thermal, 64);
    LAYOUT(nv_temperature, 12);
    LAYOUT(nv_margin, 8);
    LAYOUT(nv_fan_speed, 12);
    LAYOUT(nv_cooler, 16);
    LAYOUT(nv_attributes, 40);
    LAYOUT(nv_ecc_counts, 32);
    LAYOUT(nv_sram, 104);
    LAYOUT(nv_rows_v2, 24);
    LAYOUT(nv_row_histogram, 20);
    LAYOUT(nv_violation, 16);
    LAYOUT(nv_dynamic_pstates, 132);
    LAYOUT(nv_gpm_support, 8);
    LAYOUT(nv_gpm_metric, 40);
    FIELD(nv_gpm_metric, value, 8);
    LAYOUT(nv_gpm_get, 13344);
    FIELD(nv_gpm_get, sample1, 8);
    FIELD(nv_gpm_get, metric, 24);
    LAYOUT(nv_platform, 44);
    LAYOUT(nv_c2c, 4);
    LAYOUT(nv_addressing, 8);
    LAYOUT(nv_repair, 12);
    LAYOUT(nv_pdi, 16);
    LAYOUT(nv_uuid, 52);
    LAYOUT(nv_branch, 84);
    LAYOUT(nv_fbc, 12);
    LAYOUT(nv_clock_text, 2052);
    LAYOUT(nv_accounting, 56);
    FIELD(nv_accounting, running, 32);
    LAYOUT(nv_excluded, 148);
}

static void versions_are_checked_unless_lenient(void **unused)
{
    struct nv_memory_v2 m = {.version = 2};
    struct nv_temperature t = {.version = 0x0200000c};
    nv_begin("duo", 0);
    void *card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetMemoryInfo_v2, card, &m), NV_ARGUMENT_VERSION_MISMATCH);
    assert_int_equal(NV(nvmlDeviceGetTemperatureV, card, &t), NV_ARGUMENT_VERSION_MISMATCH);
    nv_end(NULL);
    nv_begin("lenient: true\ngpus: [{card: RTX 4090}]\n", 0);
    card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetMemoryInfo_v2, card, &m), NV_SUCCESS);
}

static void old_and_new_lists_have_their_own_entries(void **unused)
{
    unsigned n = 8, more = 8;
    struct nv_process_v1 old[8] = {0};
    struct nv_process now[8] = {0};
    nv_begin("dual-basic", 60 * SECOND);
    void *card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses, card, &n, old), 0);
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, card, &more, now), 0);
    assert_int_equal(n, 1);
    assert_int_equal(more, 1);
    assert_int_equal(old[0].pid, now[0].pid);
    assert_true(old[0].used == now[0].used && old[0].used == 4982 * MIB);
    assert_int_equal(now[0].gpu_instance, NV_NO_INSTANCE);
    n = 0;
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, card, &n, NULL),
                     NV_INSUFFICIENT_SIZE);
    assert_int_equal(n, 1);
    assert_int_equal(NV(nvmlDeviceGetProcessUtilization, card, NULL, &n, 0ul),
                     NV_INSUFFICIENT_SIZE);
}

static void unknown_fields_fail_alone(void **unused)
{
    struct nv_field f[3] = {{.id = 186}, {.id = 299}, {.id = 83}};
    unsigned power = 0;
    nv_begin("dual-basic", 100 * SECOND);
    void *card = nv_card(0);
    assert_int_equal(NV(nvmlDeviceGetFieldValues, card, 3, f), 0);
    assert_int_equal(NV(nvmlDeviceGetPowerUsage, card, &power), 0);
    assert_int_equal(f[0].code, 0);
    assert_int_equal(f[0].value.ui, power);
    assert_int_equal(f[1].code, NV_NOT_SUPPORTED);
    assert_int_equal(f[2].code, 0);
    assert_true(f[2].value.ull == 200 * 100 * 1000);
}

static void texts_need_room(void **unused)
{
    char text[96];
    nv_begin("duo", 5 * SECOND);
    void *card = nv_card(0), *same = NULL;
    assert_int_equal(NV(nvmlDeviceGetName, card, text, 5), NV_INSUFFICIENT_SIZE);
    assert_int_equal(NV(nvmlDeviceGetUUID, card, text, 96), 0);
    assert_int_equal(NV(nvmlDeviceGetHandleByUUID, text, &same), 0);
    assert_ptr_equal(card, same);
    assert_int_equal(NV(nvmlDeviceGetHandleByPciBusId_v2, "00000000:01:00.0", &same), 0);
    assert_ptr_equal(card, same);
    assert_int_equal(NV(nvmlDeviceGetHandleByUUID, "GPU-0", &same), NV_NOT_FOUND);
    assert_int_equal(NV(nvmlDeviceGetHandleByIndex_v2, 2, &same), NV_INVALID_ARGUMENT);
    assert_int_equal(NV(nvmlSystemGetProcessName, 5000000, text, 96), 0);
    assert_string_equal(text, "llama-server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_exported),
        cmocka_unit_test_teardown(nothing_answers_before_init, nv_end),
        cmocka_unit_test_teardown(bad_arguments_are_refused, nv_end),
        cmocka_unit_test(structs_lie_as_the_drivers),
        cmocka_unit_test_teardown(versions_are_checked_unless_lenient, nv_end),
        cmocka_unit_test_teardown(old_and_new_lists_have_their_own_entries, nv_end),
        cmocka_unit_test_teardown(unknown_fields_fail_alone, nv_end),
        cmocka_unit_test_teardown(texts_need_room, nv_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
