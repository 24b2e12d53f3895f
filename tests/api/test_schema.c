/* test_schema: the validator catches what it must, and the documents of the room are as published.
 */
#include "../base/check.h"

#include <stdio.h>
#include <string.h>

#include "api/doctor_json.h"
#include "api/error_json.h"
#include "api/gpus_json.h"
#include "api/model_json.h"
#include "api/models_json.h"
#include "api/plan_json.h"
#include "schema.h"

static void check_text(const char *kind, const char *text)
{
    char why[512] = "";
    if (!schema_check_text(kind, text, why, sizeof(why)))
        fail_msg("%s: %s", kind, why);
}

static void start(struct json *j, struct str *out, const char *kind)
{
    json_init(j, out, false, NULL);
    json_open_object(j);
    json_key_str(j, "schema", "dualgpuopt/v1");
    json_key_str(j, "kind", kind);
}

static void finish(struct json *j, struct str *out, const char *kind)
{
    json_close_object(j);
    assert_true(json_end(j));
    check_text(kind, out->data);
    str_finish(out);
}

/* A good document of kind error, with one thing changed. */
static void refuses(const char *text, const char *reason)
{
    char why[512] = "";
    assert_false(schema_check_text("error", text, why, sizeof(why)));
    if (!strstr(why, reason))
        fail_msg("\"%s\" does not say \"%s\"", why, reason);
}

static void validator_catches_what_it_must(void **state)
{
    (void)state;
#define HEAD                    \
    "{\"schema\":\"dualgpuopt/" \
    "v1\",\"kind\":\"error\",\"code\":\"DGO2001\",\"title\":\"t\",\"why\":[\"w\"]"
    check_text("error", HEAD ",\"fixes\":[{\"text\":\"x\",\"command\":null}]}");
    refuses(HEAD "}", "lacks fixes");
    refuses(HEAD ",\"fixes\":[{\"text\":\"x\"}]}", "lacks command");
    refuses(HEAD ",\"fixes\":[{\"text\":7,\"command\":null}]}", "not of type string");
    refuses(HEAD ",\"fixes\":[],\"extra\":1}", "not published: extra");
    refuses("{\"schema\":\"v0\",\"kind\":\"error\",\"code\":\"DGO2001\",\"title\":\"t\",\"why\":[],"
            "\"fixes\":[]}",
            "is not");
    refuses("{\"schema\":\"dualgpuopt/"
            "v1\",\"kind\":\"error\",\"code\":\"2001\",\"title\":\"t\",\"why\":[],"
            "\"fixes\":[]}",
            "does not match");
    refuses(HEAD ",\"fixes\":[", "no JSON");
#undef HEAD
}

static void every_error_code_makes_a_document(void **state)
{
    (void)state;
    const enum err_code *codes;
    size_t n = err_codes(&codes);
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        struct str out = {0};
        err_set(&e, codes[i], "title with \x1b, \"quotes\" and \xff");
        err_why(&e, "%d of %d", 1, 2);
        err_fix(&e, "dualgpuopt help", "a way");
        err_fix(&e, NULL, "another");
        error_json(&e, &out);
        check_text("error", out.data);
        str_finish(&out);
    }
}

static void models_of_every_profile(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct model_profile *profiles;
    struct str out = {0};
    struct json j;
    size_t n;
    assert_true(model_profiles(&a, &profiles, &n, &err));
    assert_true(n > 20);
    for (size_t i = 0; i < n; i++) {
        struct arena one = {0};
        struct model m;
        struct model_request req = {.ref = profiles[i].name};
        assert_true(model_open(&req, &one, &m, &err));
        start(&j, &out, "model");
        model_json(&j, &m, i % 8 == 0);
        finish(&j, &out, "model");
        arena_finish(&one);
    }
    struct model_found broken = {
        .path = "x.gguf", .why = &(struct err){.code = ERR_2002, .title = "cut"}
    };
    struct model_list list = {.found = &broken, .n = 1};
    start(&j, &out, "models");
    models_json(&j, profiles, n, &list);
    finish(&j, &out, "models");
    arena_finish(&a);
}

static void layers_add_up_to_the_model(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct model m;
    struct model_request req = {.ref = "qwen3-30b-a3b:Q4_K_M"};
    uint64_t layers = 0, all = 0;
    assert_true(model_open(&req, &a, &m, &err));
    for (uint32_t i = 0; i < m.n_layers; i++)
        layers += model_layer_bytes(&m, i);
    for (uint32_t i = 0; i < m.n_tensors; i++)
        all += m.tensors[i].layer < 0 ? 0 : m.tensors[i].bytes;
    assert_true(layers == all && all > 0);
    /* 4 KV heads of 128: 512 elements of K and of V, two bytes each */
    assert_int_equal(model_cell_bytes(&m.layers[0], GGUF_TYPE_F16, GGUF_TYPE_F16), 2048);
    assert_int_equal(model_cell_bytes(&m.layers[0], GGUF_TYPE_Q8_0, GGUF_TYPE_Q8_0),
                     2 * 512 / 32 * 34);
    arena_finish(&a);
}

static void lists_of_cards_and_checks(void **state)
{
    (void)state;
    static struct gpu_view views[2];
    struct sample *s = &views[0].sample;
    views[0].info = (struct gpu_info){.name = "NVIDIA GeForce RTX 4090", .uuid = "GPU-1", .pci = "0000:01:00.0",
                                      .driver = "610.57", .cc_major = 8, .cc_minor = 9, .cores = 16384};
    views[0].has_sample = views[0].has_processes = true;
    for (int m = 0; m < METRIC_COUNT; m += 2)
        sample_set(s, (enum metric)m, m);
    views[0].processes = (struct process_table){.n = 2, .known = true, .unattributed_bytes = UINT64_MAX};
    views[0].processes.process[0] = (struct process){.pid = 1, .name = "Xorg", .memory_bytes = 1 << 20};
    views[0].processes.process[1] = (struct process){.pid = 2, .memory_bytes = UINT64_MAX, .sm = -1};
    views[1].info.index = 1;
    views[1].health = (struct gpu_health){.state = GPU_LOST, .detail = "fell off the bus", .age_ns = UINT64_MAX};
    struct check checks[2] = {
        {.id = "a",       .level = CHECK_OK,  .text = "fine"},
        { .id = "dep.b", .level = CHECK_SKIP, .text = "gone", .need = "optional", .package = "b"}
    };
    struct cache_stats stats = {.name = "headers", .hit_ratio = 0.0 / 0.0, .maxsize = 64};
    struct str out = {0};
    struct json j;
    start(&j, &out, "gpus");
    gpus_json(&j, views, 2);
    finish(&j, &out, "gpus");
    start(&j, &out, "doctor");
    doctor_json(&j, checks, 2, &stats, 1);
    finish(&j, &out, "doctor");
}

static void plans_of_all_verdicts(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v2-lite",
                                         "gemma-3-27b",  "falcon-h1-7b",  "mamba-2.8b"};
    static const char *const cards[] = {"none",
                                        "4GiB",
                                        "24GiB",
                                        "12GiB,8GiB:free=6GiB",
                                        "rtx5090,rtx4090,rtx3090",
                                        "rpc://h:50052:24GiB,rx7900xtx"};
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 6; k++) {
            struct arena a = {0};
            struct err err = {0};
            struct machine real = {0}, *m = arena_new(&a, struct machine);
            struct model model;
            struct plan *plan = arena_new(&a, struct plan);
            struct plan_wish wish = plan_default_wish();
            struct model_request req = {.ref = models[i]};
            struct str out = {0};
            struct json j;
            real.host.total_bytes = real.host.free_bytes = 64ull << 30;
            assert_true(model_open(&req, &a, &model, &err));
            assert_true(machine_parse_gpus(cards[k], &real, &a, m, &err));
            if (!plan_make(&model, m, &wish, &a, plan, &err))
                fail_msg("%s on %s: %s", models[i], cards[k], err.title);
            start(&j, &out, "plan");
            plan_json(&j, &(struct plan_document){.plan = plan});
            finish(&j, &out, "plan");
            arena_finish(&a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validator_catches_what_it_must),
        cmocka_unit_test(every_error_code_makes_a_document),
        cmocka_unit_test(models_of_every_profile),
        cmocka_unit_test(layers_add_up_to_the_model),
        cmocka_unit_test(lists_of_cards_and_checks),
        cmocka_unit_test(plans_of_all_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
