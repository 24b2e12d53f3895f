/* test_speed: what a person may rely on in predicted speeds: order, limits, known machines, honest
 * silence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/speed.h"

static struct arena arena;
static struct err err;
static struct model model;
static struct machine machine;
static struct law_settings settings;
static struct law_result law;
static struct speed speed;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    settings = law_default_settings();
    settings.n_ctx = 8192;
    settings.flash = FLASH_ON;
    return 0;
}

static void open_model(const char *name)
{
    struct model_request req = {.ref = name};
    if (!model_open(&req, &arena, &model, &err))
        fail_msg("%s: %s", name, err.title);
}

static void cards(const char *text)
{
    struct machine real = {
        .host = {
                 .total_bytes = 128ull << 30, .free_bytes = 120ull << 30, .cores = 16, .avx2 = true}
    };
    if (!machine_parse_gpus(text, &real, &arena, &machine, &err))
        fail_msg("%s: %s", text, err.title);
}

static bool estimate(uint32_t depth, uint32_t streams)
{
    if (!law_estimate_static(&model, &machine, &settings, &arena, &law, &err))
        fail_msg("%s", err.title);
    law.flash_on = true;
    struct speed_case in = {.model = &model,
                            .machine = &machine,
                            .settings = &settings,
                            .placement = &law,
                            .depth = depth,
                            .streams = streams};
    return speed_estimate(&in, &speed);
}

static void assert_range(const struct speed_range *r)
{
    assert_true(isfinite(r->tps) && isfinite(r->low) && isfinite(r->high));
    assert_true(0 < r->low && r->low <= r->tps && r->tps <= r->high);
}

static void published_speeds_lie_in_the_range(void **state)
{
    (void)state;
    static const struct {
        const char *model, *gpus;
        double decode, prefill; /* 0: not published */
    } KNOWN[] = {
        {"llama-2-7b:Q4_0",    "rtx4090",                            186.21, 0       },
        {"llama-2-7b:Q4_0",    "rtx3090",                            158.16, 5174.69 },
        {"llama-2-7b:Q4_0",    "rtx5060ti-16gb",                     90.94,  3737.25 },
        {"llama-2-7b:Q4_0",    "rtx5090",                            0,      14073.41},
        {"llama-2-7b:Q4_0",    "a30",                                124.81, 2767.10 },
        {"llama-3-8b:Q4_K_M",  "rtx4090:count=4",                    120.32, 6748.96 },
        {"llama-3-70b:Q4_K_M", "rtx3090:count=4",                    17.07,  0       },
        {"llama-3-8b:F16",     "rtxa6000",                           40.71,  4511.02 },
        {"gpt-oss-20b",        "rtx pro 6000 blackwell workstation", 286.91, 0       },
        {"qwen3-32b:Q4_K_M",   "rtx pro 6000 blackwell workstation", 62.44,  0       },
    };
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        reset(NULL);
        open_model(KNOWN[i].model);
        cards(KNOWN[i].gpus);
        assert_true(estimate(0, 1));
        if (KNOWN[i].decode > 0 &&
            (KNOWN[i].decode < speed.decode.low || KNOWN[i].decode > speed.decode.high))
            fail_msg("%s on %s: decode %.1f to %.1f", KNOWN[i].model, KNOWN[i].gpus,
                     speed.decode.low, speed.decode.high);
        if (KNOWN[i].prefill > 0 &&
            (KNOWN[i].prefill < speed.prefill.low || KNOWN[i].prefill > speed.prefill.high))
            fail_msg("%s on %s: prefill %.0f to %.0f", KNOWN[i].model, KNOWN[i].gpus,
                     speed.prefill.low, speed.prefill.high);
    }
}

static void every_card_of_the_catalogue_gives_numbers(void **state)
{
    (void)state;
    static const char *const MODELS[] = {"llama-3.1-8b:Q4_K_M",     "gpt-oss-20b",
                                         "deepseek-v2-lite:Q4_K_M", "mamba-2.8b:F16",
                                         "gemma-3-12b:Q4_K_M",      "granite-4.0-h-tiny:Q4_K_M"};
    size_t n;
    const struct card *table = card_table(&n);
    for (size_t m = 0; m < sizeof(MODELS) / sizeof(MODELS[0]); m++) {
        open_model(MODELS[m]);
        cards("rtx4090");
        for (size_t i = 0; i < n; i++) {
            struct device *d = &machine.devices[0];
            d->name = table[i].name;
            d->bandwidth_gbs = table[i].bandwidth_gbs;
            d->cc_major = table[i].cc_major;
            d->cc_minor = table[i].cc_minor;
            d->sms = table[i].sms;
            assert_true(estimate(4096, 8));
            assert_range(&speed.decode);
            assert_range(&speed.decode_depth);
            assert_range(&speed.throughput);
            assert_range(&speed.prefill);
            assert_true(speed.confidence > SPEED_NONE && speed.limited_by[0]);
        }
    }
}

static void a_card_without_bandwidth_has_no_speed(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    cards("24GiB");
    assert_false(estimate(0, 1));
    assert_int_equal(speed.confidence, SPEED_NONE);
    assert_true(speed.decode.tps == 0 && speed.prefill.tps == 0 && speed.throughput.tps == 0);
    assert_string_equal(speed_confidence_name(speed.confidence), "none");
    cards("rtx4090,24GiB");
    assert_false(estimate(0, 1));
}

static void more_bandwidth_is_never_slower(void **state)
{
    (void)state;
    static const char *const CARDS[] = {"rtx3060", "rtx4090", "a30", "t4", "mi210"};
    open_model("llama-3.1-8b:Q4_K_M");
    for (size_t i = 0; i < sizeof(CARDS) / sizeof(CARDS[0]); i++) {
        cards(CARDS[i]);
        double last = 0, nominal = machine.devices[0].bandwidth_gbs;
        for (double share = 0.25; share < 8; share *= 1.5) {
            machine.devices[0].bandwidth_gbs = nominal * share;
            assert_true(estimate(0, 1));
            assert_true(speed.decode.tps > last);
            last = speed.decode.tps;
        }
    }
}

static void deeper_is_never_faster(void **state)
{
    (void)state;
    static const char *const MODELS[] = {"llama-3.1-8b:Q4_K_M", "gemma-3-12b:Q4_K_M",
                                         "deepseek-v2-lite:Q4_K_M", "mamba-2.8b:F16"};
    settings.n_ctx = 65536;
    for (size_t m = 0; m < sizeof(MODELS) / sizeof(MODELS[0]); m++) {
        double last = 1e9;
        open_model(MODELS[m]);
        cards("rtx4090");
        for (uint32_t depth = 0; depth <= 65536; depth += 8192) {
            assert_true(estimate(depth, 1));
            assert_true(speed.decode_depth.tps <= last &&
                        speed.decode_depth.tps <= speed.decode.tps);
            last = speed.decode_depth.tps;
        }
    }
}

static void a_smaller_cache_type_helps_at_depth(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    cards("rtx4090");
    assert_true(estimate(8000, 1));
    double f16 = speed.decode_depth.tps;
    settings.type_k = settings.type_v = GGUF_TYPE_Q8_0;
    assert_true(estimate(8000, 1));
    assert_true(speed.decode_depth.tps > f16);
}

static void more_on_the_host_is_never_faster(void **state)
{
    (void)state;
    double last = 1e9;
    open_model("llama-3.1-8b:Q4_K_M");
    cards("rtx4090");
    for (int32_t layers = 33; layers >= 0; layers--) {
        settings.n_gpu_layers = layers;
        assert_true(estimate(0, 1));
        assert_true(speed.decode.tps < last);
        last = speed.decode.tps;
    }
    assert_int_equal(speed.confidence, SPEED_LOW);
    assert_string_equal(speed.limited_by, "host memory");
}

static void experts_on_the_host_cost_speed(void **state)
{
    (void)state;
    double last = 1e9;
    open_model("qwen3-30b-a3b:Q4_K_M");
    cards("rtx4090");
    for (uint32_t n = 0; n <= 48; n += 8) {
        settings.n_cpu_moe = n;
        assert_true(estimate(0, 1));
        assert_range(&speed.prefill);
        assert_true(speed.decode.tps < last);
        last = speed.decode.tps;
    }
    assert_string_equal(speed.limited_by, "host memory");
}

static void only_the_used_experts_are_read(void **state)
{
    (void)state;
    static struct speed_work work;
    open_model("qwen3-30b-a3b:Q4_K_M"); /* 8 of 128 */
    speed_work_make(&model, &settings, true, NULL, &work);
    double active = 0, all = 0;
    for (int t = 0; t < SPEED_TYPES; t++)
        active += work.layer[3].card.expert_bytes[t];
    static const enum tensor_role ROLES[] = {ROLE_FFN_GATE_EXPS, ROLE_FFN_UP_EXPS,
                                             ROLE_FFN_DOWN_EXPS};
    for (int i = 0; i < 3; i++)
        all += (double)model_at(&model, 3, ROLES[i], PART_WEIGHT)->bytes;
    assert_true(fabs(active / (all * 8 / 128) - 1) < 1e-9);
    cards("rtx5090");
    assert_true(estimate(0, 1));
    double mixture = speed.decode.tps;
    open_model("qwen3-32b:Q4_K_M");
    assert_true(estimate(0, 1));
    assert_true(mixture > 3 * speed.decode.tps);
}

static void layers_and_hops_add_up_to_the_whole(void **state)
{
    (void)state;
    static struct speed_work work;
    open_model("gpt-oss-120b");
    cards("rtx4090,rtx3090,rtx5090");
    settings.n_cpu_moe = 5;
    assert_true(estimate(0, 1));
    speed_work_make(&model, &settings, true, NULL, &work);
    double ns = 0;
    for (uint32_t il = 0; il < work.n_layers; il++) {
        struct speed_card card;
        speed_card_make(speed_coefs, &machine.devices[law.layer_device[il]], &card);
        ns += speed_layer_ns(speed_coefs, &work, il, &card, speed_host_gbs(&machine.host), 64);
        if (il > 0 && law.layer_device[il] != law.layer_device[il - 1])
            ns += speed_hop_ns(speed_coefs);
    }
    assert_true(fabs(ns * speed.decode.tps / 1e9 - 1) < 1e-6);
}

static void many_streams_share_the_weights(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M");
    cards("rtx4090");
    assert_true(estimate(512, 1));
    double one = speed.throughput.tps;
    assert_true(estimate(512, 8));
    assert_true(speed.throughput.tps > 3 * one && speed.throughput.tps < 8 * one);
}

static void a_second_card_shares_the_prompt_not_the_token(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:F16");
    cards("rtx4090");
    assert_true(estimate(0, 1));
    struct speed one = speed;
    cards("rtx4090:count=2");
    assert_true(estimate(0, 1));
    assert_true(speed.decode.tps < one.decode.tps);
    settings.split = SPLIT_TENSOR;
    assert_true(estimate(0, 1));
    assert_true(speed.decode.tps >
                one.decode.tps); /* 16 GB: reading in parallel outweighs the all-reduce */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(published_speeds_lie_in_the_range, reset),
        cmocka_unit_test_setup(every_card_of_the_catalogue_gives_numbers, reset),
        cmocka_unit_test_setup(a_card_without_bandwidth_has_no_speed, reset),
        cmocka_unit_test_setup(more_bandwidth_is_never_slower, reset),
        cmocka_unit_test_setup(deeper_is_never_faster, reset),
        cmocka_unit_test_setup(a_smaller_cache_type_helps_at_depth, reset),
        cmocka_unit_test_setup(more_on_the_host_is_never_faster, reset),
        cmocka_unit_test_setup(experts_on_the_host_cost_speed, reset),
        cmocka_unit_test_setup(only_the_used_experts_are_read, reset),
        cmocka_unit_test_setup(layers_and_hops_add_up_to_the_whole, reset),
        cmocka_unit_test_setup(many_streams_share_the_weights, reset),
        cmocka_unit_test_setup(a_second_card_shares_the_prompt_not_the_token, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_finish(&arena);
    return failed;
}
