/* test_request: whole engine commands read back: defaults of each program, flags, variables, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/request.h"

static struct arena arena;
static struct engine_request r;
static struct err err;

/* The command is one line of words separated by single blanks. */
static bool parse(const char *line, char *const *variables)
{
    static char copy[4096];
    static char *words[256];
    int n = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        words[n++] = p;
    err = (struct err){0};
    return request_parse(&r, n, words, variables, &arena, &err);
}

static void each_program_has_its_own_defaults(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf", NULL));
    assert_int_equal(r.wish.s.n_seq_max, 4);
    assert_true(r.wish.s.kv_unified);
    assert_int_equal(r.wish.s.n_outputs_max, 4);
    assert_true(parse("llama-server -m m.gguf -np 4", NULL));
    assert_false(r.wish.s.kv_unified);
    assert_true(parse("/opt/bin/llama-cli -m m.gguf", NULL));
    assert_int_equal(r.wish.s.n_seq_max, 1);
    assert_int_equal(r.wish.s.n_outputs_max, 1);
    assert_true(parse("llama-completion -m m.gguf -c 4096", NULL));
    assert_int_equal(r.wish.s.n_outputs_max, 0);
    assert_true(parse("llama-bench -m m.gguf -p 512 -n 128 -d 0,4096", NULL));
    assert_int_equal(r.wish.s.n_ctx, 512 + 4096);
    assert_true(parse("llama-fit-params -m m.gguf", NULL));
    assert_int_equal(r.wish.s.n_outputs_max, 0);
}

static void flags_mean_what_the_engine_means(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf -c 8192 -ngl 99 -ts 3,1 -fa on -ctk q8_0 -ctv q4_0 -ub 1024 -b 4096 "
                      "-ncmoe 5 -nkvo --swa-full -mg 1 -sm layer",
                      NULL));
    const struct law_settings *s = &r.wish.s;
    assert_string_equal(r.model_ref, "m.gguf");
    assert_int_equal(s->n_ctx, 8192);
    assert_int_equal(s->n_gpu_layers, 99);
    assert_int_equal(s->n_tensor_split, 2);
    assert_true(s->tensor_split[0] == 3 && s->tensor_split[1] == 1);
    assert_int_equal(s->type_k, GGUF_TYPE_Q8_0);
    assert_int_equal(s->type_v, GGUF_TYPE_Q4_0);
    assert_int_equal(s->n_ubatch, 1024);
    assert_int_equal(s->n_cpu_moe, 5);
    assert_true(s->no_kv_offload && s->swa_full);
    assert_int_equal(s->flash, FLASH_ON);
}

static void overrides_keep_their_order_and_targets(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf -ot blk\\.[0-9]\\.ffn_.*_exps=CPU,output=CUDA1", NULL));
    assert_int_equal(r.wish.s.n_overrides, 2);
    assert_string_equal(r.wish.s.overrides[0].pattern, "blk\\.[0-9]\\.ffn_.*_exps");
    assert_int_equal(r.wish.s.overrides[0].target, LAW_HOST);
    assert_int_equal(r.wish.s.overrides[1].target, 1);
}

static void variables_count_and_flags_win(void **state)
{
    (void)state;
    char *variables[] = {"LLAMA_ARG_CTX_SIZE=4096", "LLAMA_ARG_KV_OFFLOAD=0", "OTHER=1", NULL};
    assert_true(parse("llama-server -m m.gguf", variables));
    assert_int_equal(r.wish.s.n_ctx, 4096);
    assert_true(r.wish.s.no_kv_offload);
    assert_true(parse("llama-server -m m.gguf -c 8192", variables));
    assert_int_equal(r.wish.s.n_ctx, 8192);
    assert_true(parse("env CUDA_VISIBLE_DEVICES=1 LLAMA_ARG_UBATCH=256 llama-server -m m.gguf", NULL));
    assert_int_equal(r.wish.s.n_ubatch, 256);
    assert_string_equal(r.visible[BACKEND_CUDA], "1");
    variables[0] = "LLAMA_ARG_CTX_SIZE=lots";
    assert_false(parse("llama-server -m m.gguf", variables));
    assert_non_null(strstr(err.title, "LLAMA_ARG_CTX_SIZE"));
}

static void unknown_flags_pass_through_and_are_listed(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf --brand-new 7 --temp 0.5 --port 9000 --jinja", NULL));
    assert_int_equal(r.n_not_accounted, 1);
    assert_string_equal(r.not_accounted[0], "--brand-new");
    assert_int_equal(r.n_passed, 7);
}

static void embeddings_take_a_whole_batch(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf --embedding -b 2048 -ub 512", NULL));
    assert_int_equal(r.wish.s.n_batch, 512);
    assert_int_equal(r.wish.s.n_outputs_max, 512);
}

static void drafted_tokens_are_outputs_too(void **state)
{
    (void)state;
    assert_true(parse("llama-server -m m.gguf -md d.gguf --draft-max 7 -np 2", NULL));
    assert_int_equal(r.wish.s.n_outputs_max, 16);
    assert_int_equal(r.wish.s.n_outputs_per_seq, 8);
}

/* The engine drafts only where it is told how; older ones knew --draft-max and needed no word. */
static void a_draft_model_alone_is_not_used(void **state)
{
    (void)state;
    static const struct { const char *more; uint32_t each, back; enum speculation kind; } rows[] = {
        {"-md d.gguf", 1, 0, SPEC_NONE},
        {"-md d.gguf --spec-type draft-simple", 4, 0, SPEC_DRAFT},
        {"-md d.gguf --spec-type draft-simple --spec-draft-n-max 7", 8, 0, SPEC_DRAFT},
        {"--spec-type draft-mtp --spec-draft-n-max 2", 3, 2, SPEC_NEXTN},
        {"--spec-type ngram-mod", 65, 0, SPEC_OTHER},
        {"--spec-type ngram-cache,draft-mtp", 9, 3, SPEC_NEXTN},
        {"--spec-type none", 1, 0, SPEC_NONE},
        {"--embedding --spec-type draft-mtp", 1, 0, SPEC_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[160];
        snprintf(line, sizeof(line), "llama-server -m m.gguf -np 1 %s", rows[i].more);
        assert_true(parse(line, NULL));
        assert_int_equal(r.wish.s.n_outputs_per_seq, rows[i].each);
        assert_int_equal(r.wish.s.n_rs_seq, rows[i].back);
        assert_int_equal(r.wish.speculation, rows[i].kind);
        assert_int_equal(r.wish.s.mtp, rows[i].kind == SPEC_NEXTN);
    }
    assert_false(parse("llama-server -m m.gguf --spec-type mtp", NULL));
    assert_int_equal(err.code, ERR_9002);
}

static void drivers_and_names_say_which_cards(void **state)
{
    (void)state;
    struct machine real = {0}, m;
    static const struct { const char *line; uint32_t main, draft; } rows[] = {
        {"HIP_VISIBLE_DEVICES=1 llama-server -m m.gguf -dev ROCm0 -devd CUDA0", 4, 1},
        {"GGML_VK_VISIBLE_DEVICES=0 llama-server -m m.gguf", 15, 15},
        {"HIP_VISIBLE_DEVICES=0 GGML_VK_VISIBLE_DEVICES=0 llama-server -m m.gguf -devd none", 11, 0},
        {"llama-server -m m.gguf -dev CUDA0,Vulkan0", 9, 9},
    };
    assert_true(machine_parse_gpus("24GiB,rx7900xtx,rx7900xtx,12GiB:backend=vulkan", &real, &arena, &m, &err));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t main = 0, draft = 0;
        assert_true(parse(rows[i].line, NULL));
        assert_true(request_cards(&r, &m, &main, &err) && request_draft_cards(&r, &m, &draft, &err));
        assert_int_equal(main, rows[i].main);
        assert_int_equal(draft, rows[i].draft);
    }
    uint32_t mask;
    assert_true(parse("HIP_VISIBLE_DEVICES=2 llama-server -m m.gguf", NULL));
    assert_false(request_cards(&r, &m, &mask, &err));
    assert_true(parse("llama-server -m m.gguf -devd ROCm7", NULL));
    assert_false(request_draft_cards(&r, &m, &mask, &err));
}

static void what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    static const struct { const char *line; enum err_code code; } rows[] = {
        {"llama-servr -m m.gguf", ERR_9001},        {"llama-server -m", ERR_9002},
        {"llama-server -m m.gguf -c x", ERR_9002},  {"llama-server -m m.gguf -np 0", ERR_9002},
        {"llama-server -m m.gguf -ub 0", ERR_9002}, {"llama-server -m m.gguf -ctk q3_K", ERR_9002},
        {"llama-server -m m.gguf -fa maybe", ERR_9002}, {"llama-server -m m.gguf -sm rows", ERR_9002},
        {"llama-server -m m.gguf -ts 1,,2", ERR_9002},  {"llama-server -m m.gguf -ts a", ERR_9002},
        {"llama-server -m m.gguf -ot nonsense", ERR_9002}, {"llama-server -m m.gguf stray", ERR_9001},
        {"llama-server -m m.gguf -ts 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", ERR_9002},
        {"llama-server -m m.gguf -c 99999999999999999999", ERR_9002},
        {"env A=1", ERR_9003},                       {"llama-bench -m m.gguf -p x", ERR_9002},
        {"llama-bench -m m.gguf -p 0 -n 0", ERR_9003}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (parse(rows[i].line, NULL))
            fail_msg("\"%s\" was taken", rows[i].line);
        if (err.code != rows[i].code)
            fail_msg("\"%s\" gave DGO%d: %s", rows[i].line, err.code, err.title);
    }
}

static void devices_are_picked_by_the_engines_names(void **state)
{
    (void)state;
    struct machine real = {0}, m;
    uint32_t mask;
    assert_true(machine_parse_gpus("24GiB,rpc://h:1:8GiB,12GiB", &real, &arena, &m, &err));
    assert_true(parse("llama-server -m m.gguf -dev CUDA1,RPC0", NULL));
    assert_true(request_cards(&r, &m, &mask, &err));
    assert_int_equal(mask, 1 << 2 | 1 << 0);
    assert_true(parse("llama-server -m m.gguf -dev none", NULL));
    assert_true(request_cards(&r, &m, &mask, &err));
    assert_int_equal(mask, 0);
    assert_true(parse("llama-server -m m.gguf -dev CUDA2", NULL));
    assert_false(request_cards(&r, &m, &mask, &err));
    assert_int_equal(err.code, ERR_2101);
}

/* As the program writes it: local cards by UUID in the environment, remote ones by --rpc. */
static void some_local_and_some_remote_cards_are_read_back(void **state)
{
    (void)state;
    struct machine real = {0}, m;
    uint32_t mask;
    assert_true(machine_parse_gpus("24GiB,12GiB,rpc://h:1:8GiB,rpc://h:2:8GiB", &real, &arena, &m, &err));
    for (uint32_t i = 0; i < m.n_devices; i++)
        if (!m.devices[i].rpc)
            m.devices[i].uuid = m.devices[i].total_bytes > (16ull << 30) ? "GPU-aaaa-large" : "GPU-bbbb-small";
    assert_true(parse("llama-server -m m.gguf --rpc h:2", NULL));
    r.visible[BACKEND_CUDA] = "GPU-bbbb-small";
    assert_true(request_cards(&r, &m, &mask, &err));
    assert_int_equal(__builtin_popcount(mask), 2);
    for (uint32_t i = 0; i < m.n_devices; i++)
        if (mask & (1u << i))
            assert_string_equal(m.devices[i].rpc ? m.devices[i].rpc : m.devices[i].uuid,
                                m.devices[i].rpc ? "h:2" : "GPU-bbbb-small");
    assert_true(parse("llama-server -m m.gguf", NULL));
    r.visible[BACKEND_CUDA] = "GPU-aaaa-large";
    assert_true(request_cards(&r, &m, &mask, &err));
    assert_int_equal(__builtin_popcount(mask), 1);
    assert_true(parse("llama-server -m m.gguf --rpc h:1,h:2 -dev RPC1", NULL));
    assert_true(request_cards(&r, &m, &mask, &err));
    assert_int_equal(__builtin_popcount(mask), 1);
}

static void no_spelling_stands_twice_in_the_table(void **state)
{
    (void)state;
    size_t n;
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n; i++) {
        char names[4096];
        snprintf(names, sizeof(names), "%s", f[i].names);
        for (char *p = strtok(names, " "); p; p = strtok(NULL, " "))
            if (flag_find(p) != &f[i])
                fail_msg("%s is in two rows", p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_program_has_its_own_defaults),
        cmocka_unit_test(flags_mean_what_the_engine_means),
        cmocka_unit_test(overrides_keep_their_order_and_targets),
        cmocka_unit_test(variables_count_and_flags_win),
        cmocka_unit_test(unknown_flags_pass_through_and_are_listed),
        cmocka_unit_test(embeddings_take_a_whole_batch),
        cmocka_unit_test(drafted_tokens_are_outputs_too),
        cmocka_unit_test(a_draft_model_alone_is_not_used),
        cmocka_unit_test(drivers_and_names_say_which_cards),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(devices_are_picked_by_the_engines_names),
        cmocka_unit_test(some_local_and_some_remote_cards_are_read_back),
        cmocka_unit_test(no_spelling_stands_twice_in_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
