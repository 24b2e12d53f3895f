/* test_vllm: plans for vLLM as people and scripts use them, of a small layout made here. */
#include "../fetch/server.h"
#include "run.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"
#include "model/hub_layout.h"

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\","
    "\"torch_dtype\":\"bfloat16\",\"num_hidden_layers\":32,\"hidden_size\":4096,"
    "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"intermediate_size\":14336,"
    "\"vocab_size\":128256,\"max_position_embeddings\":131072}";

/* The header of all tensors; their data is a hole. */
static void put_tensors(const struct safetensors *st, const char *path)
{
    own(own_str) struct str json = {0};
    unsigned char len[8];
    uint64_t at = 0;
    str_add(&json, "{");
    for (uint32_t i = 0; i < st->n_tensors; i++) {
        const struct safetensors_tensor *t = &st->tensors[i];
        str_addf(&json, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
                 safetensors_type_name(t->type));
        for (int d = 0; d < t->n_dims; d++)
            str_addf(&json, "%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        str_addf(&json, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                 (unsigned long long)(at + t->bytes));
        at += t->bytes;
    }
    str_add(&json, "}");
    for (int i = 0; i < 8; i++)
        len[i] = (unsigned char)((uint64_t)json.len >> (8 * i));
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(len, 1, 8, f), 8);
    assert_int_equal(fwrite(json.data, 1, json.len, f), json.len);
    fclose(f);
    assert_int_equal(truncate(path, (off_t)(8 + json.len + at)), 0);
}

/* A folder that both engines could serve: the layout, and a GGUF file of the same model. */
static void put_both(const char *folder, const char *profile)
{
    own(own_arena) struct arena arena = {0};
    struct hub_config c;
    struct safetensors st;
    struct err err = {0};
    char path[128];
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(path, sizeof(path), "%s/config.json", folder);
    run_file(path, config, false);
    assert_true(hub_read_config("config.json", config, sizeof(config) - 1, &c, &err));
    assert_true(hub_shape(&c, &arena, &st, &err));
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    put_tensors(&st, path);
    struct ran made = run_program("%s %s %s/model.gguf", MAKE_SAMPLE, profile, folder);
    assert_int_equal(made.code, 0);
}

static int setup(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_config c;
    struct safetensors st;
    struct err err = {0};
    if (run_setup(state) != 0 || mkdir("llama-8b", 0755) != 0)
        return -1;
    run_file("llama-8b/config.json", config, false);
    assert_true(hub_read_config("config.json", config, sizeof(config) - 1, &c, &err));
    assert_true(hub_shape(&c, &arena, &st, &err));
    put_tensors(&st, "llama-8b/model.safetensors");
    return 0;
}

static void expect_tidy(const struct ran *r)
{
    if (widest_line(r->out) > 80)
        fail_msg("wider than 80 columns:\n%s", r->out);
}

static void a_layout_is_planned_for_vllm(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    expect_text(&r, "llama-8b  BF16  15.0 GiB  32 layers  max context 131,072\n");
    expect_text(&r, "simulated cards: 0 RTX 4090\n");
    expect_text(&r, "\nFITS   all 32 layers on GPU 0, ");
    expect_text(&r, "\n  0 RTX 4090 |WWWWWW");
    expect_text(&r, "exact, from the headers");
    expect_text(&r, "cache holds");
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx4090 -q");
    assert_int_equal(count_lines(r.out), 1);
    expect_text(&r, ", vLLM, simulated");
    r = run("plan llama-8b --gpus rtx4090 --explain");
    expect_text(&r, "= KV cache");
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx4090:count=4,rtx3090 --spread -tp 1 -pp 5");
    assert_int_equal(r.code, 0);
    expect_text(&r, "vLLM tp 1 pp 5");
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx4090 --accessible");
    expect_text(&r, "Verdict: FITS.");
    assert_null(strchr(r.out, '|'));
    r = run("plan llama-8b --gpus rtx4090 --plain");
    expect_text(&r, "plan\tfits\t");
    expect_text(&r, "\nspeed\t");
    expect_text(&r, "\nalternative\t1\t--kv-cache-dtype fp8\t");
}

/* Every card's terms add up to what is missing from its free memory. */
static void the_document_adds_up(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx5090,rtx4090,rtx3060 -tp 2 --ctx 32k --json");
    assert_int_equal(r.code, 0);
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "settings.engine"), "vllm");
    assert_int_equal(number_at(doc, "settings.tensor_parallel_size"), 2);
    assert_int_equal(number_at(doc, "settings.max_model_len"), 32768);
    assert_null(at(doc, "settings.gpu_layers"));
    assert_null(at(doc, "host"));
    assert_string_equal(text_at(doc, "command.argv.0"), "vllm");
    assert_int_equal(json_object_array_length(at(doc, "devices")), 3);
    for (int i = 0; i < 3; i++) {
        static const char *const parts[] = {"weights_bytes", "kv_bytes", "compute_bytes",
                                            "runtime_bytes"};
        char path[64];
        int64_t all = 0;
        for (int k = 0; k < 4; k++) {
            snprintf(path, sizeof(path), "devices.%d.%s", i, parts[k]);
            all += number_at(doc, path);
        }
        snprintf(path, sizeof(path), "devices.%d.free_bytes", i);
        int64_t free_now = number_at(doc, path);
        snprintf(path, sizeof(path), "devices.%d.free_after_bytes", i);
        assert_int_equal(number_at(doc, path), free_now - all);
    }
    json_object_put(doc);
}

static void too_large_is_said_with_the_bytes(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx3060");
    assert_int_equal(r.code, 8);
    expect_text(&r, "DOES NOT FIT   ");
    expect_text(&r, " GiB short on GPU 0 at ");
    assert_null(strstr(r.out, "   0.0 GiB short"));
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx3060 --json");
    assert_int_equal(r.code, 8);
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "verdict"), "does-not-fit");
    assert_true(number_at(doc, "shortfall.0.bytes") > (int64_t)6 << 30);
    assert_true(number_at(doc, "devices.0.free_after_bytes") < 0);
    json_object_put(doc);
}

/* What else would do, each with what it costs; what does not fit brings the ways to yes. */
static void other_plans_are_named(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090,rtx4090 --ctx 32k --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "alternatives.0.change"), "--kv-cache-dtype fp8");
    assert_string_equal(text_at(doc, "speed.confidence"), "low");
    assert_string_equal(text_at(doc, "optimality.objective"), "cards");
    json_object_put(doc);
    r = run("plan llama-8b --gpus rtx3060 --ctx 16k");
    assert_int_equal(r.code, 8);
    expect_text(&r, "What would work");
    expect_text(&r, "AWQ checkpoint");
    expect_text(&r, "add 1 RTX 3060");
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx4090 --ctx 131072");
    assert_int_equal(r.code, 8);
    expect_text(&r, "--max-model-len ");
    /* the way that is offered is one */
    r = run("plan llama-8b --gpus rtx4090 --ctx 131072 --json=alternatives");
    const char *flags = strstr(r.out, "\"flags\": \"--ctx ");
    assert_non_null(flags);
    r = run("plan llama-8b --gpus rtx4090 --ctx %d", atoi(flags + 16));
    assert_int_equal(r.code, 0);
}

/* Both cards with what they hold, every size as people write it, and ways that are ones. */
static void too_long_for_two_cards_brings_ways_to_fit(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx3060:count=2 --ctx 128k");
    assert_int_equal(r.code, 8);
    expect_text(&r, "\n  0 RTX 3060 12GB |WWWW");
    expect_text(&r, "\n  1 RTX 3060 12GB |WWWW");
    expect_text(&r, "one request of 131,072 tokens lacks ");
    expect_text(&r, "  A  --max-model-len 22784 ");
    expect_text(&r, "83 % of the length");
    expect_text(&r, "AWQ checkpoint, 5.3 GiB, shorter");
    expect_text(&r, "money, 2 slots");
    expect_tidy(&r);
    r = run("plan llama-8b --gpus rtx3060:count=2 --ctx 128k --explain");
    expect_text(&r, " bytes a block of 16 tokens over this stage: 1,4");
    r = run("plan llama-8b --gpus rtx3090,rtx3060 --goal context");
    expect_text(&r, "bounded by GPU 1 (RTX 3060 12GB)");
}

static void impossible_ones_are_refused(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090:count=3 -tp 3");
    expect_error(&r, 2, 2112, "--tensor-parallel-size 2");
    r = run("plan -- vllm serve llama-8b -tp 2");
    expect_error(&r, 2, 0, NULL);
    r = run("plan llama-8b");
    expect_error(&r, 2, 2110, "--gpus");
    r = run("plan llama-8b --gpus rtx4090 -ngl 10");
    expect_error(&r, 2, 2113, "-ngl is a setting of llama.cpp");
    r = run("plan llama-8b --gpus rtx4090 --kv q8_0");
    expect_error(&r, 2, 2114, "fp8");
    r = run("plan llama-8b --gpus rtx4090 --engine vlm");
    expect_error(&r, 2, 9002, "did you mean vllm?");
    r = run("plan qwen3-8b:Q4_K_M --gpus rtx4090 --engine vllm");
    expect_error(&r, 2, 2113, "dualgpuopt plan qwen3-8b:Q4_K_M");
    r = run("plan qwen3-8b:Q4_K_M --gpus rtx4090 -tp 2");
    expect_error(&r, 2, 2113, "is a setting of vLLM");
    r = run("plan nothing-here --gpus rtx4090 --engine vllm");
    expect_error(&r, 4, 2001, NULL);
    r = run("plan llama-8b --engine llama.cpp --gpus rtx4090");
    expect_error(&r, 4, 2001, "no GGUF file");
    r = run("plan qwen3-8b:Q4_K_M --with qwen3-8b:Q4_K_M --engine vllm --gpus rtx4090");
    expect_error(&r, 2, 2113, "--with");
    r = run("compare qwen3-8b:Q4_K_M 'qwen3-8b:Q4_K_M -tp 2' --gpus rtx4090");
    expect_error(&r, 2, 2113, NULL);
    r = run("plan --engine llama.cpp --gpus rtx4090 -- vllm serve llama-8b");
    expect_error(&r, 2, 2113, "--engine");
}

static void auto_says_why(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090 --engine auto --json=reasons,settings");
    expect_text(&r, "vLLM, because");
    r = run("plan qwen3-8b:Q4_K_M --gpus rtx4090 --engine auto");
    assert_int_equal(r.code, 0);
    expect_text(&r, "engine: llama.cpp, because");
    r = run("plan qwen3-8b:Q4_K_M --gpus rtx4090 --engine auto --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "settings.engine"), "llama.cpp");
    json_object_put(doc);
    r = run("plan llama-8b --gpus 48GiB,16GiB -tp 2 --engine auto");
    expect_text(&r, "unequal cards leaves");
    r = run("plan llama-8b --gpus 24GiB,24GiB -tp 2 --engine auto");
    assert_null(strstr(r.out, "unequal cards leaves"));
}

static void expect_engine(const char *words, const char *engine, const char *why)
{
    struct ran r = run("plan %s --json", words);
    assert_string_equal(r.err, "");
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "settings.engine"), engine);
    json_object_put(doc);
    expect_text(&r, why);
    r = run("plan %s", words);
    expect_text(&r, "\nengine: ");
    expect_tidy(&r);
}

/* Both are planned and the goal decides; both numbers are told. */
static void goals_choose_the_engine(void **state)
{
    (void)state;
    put_both("both4", "llama-3.1-8b:Q4_K_M");
    put_both("both16", "llama-3.1-8b:F16");
    expect_engine("both4 --gpus rtx4090 --goal context", "llama.cpp",
                  "--goal context: its context is larger: llama.cpp Q4_K_M (4.6 GiB) 131,072");
    expect_engine("both4 --gpus rtx4090 --goal context", "llama.cpp", "; vLLM BF16 (15.0 GiB) ");
    expect_engine("both16 --gpus rtx4090,rtx4090 --goal speed --engine auto", "vllm",
                  "--goal speed: it is faster: vLLM BF16 (15.0 GiB) ");
    expect_engine("both16 --gpus rtx4090,rtx4090 --goal throughput", "vllm",
                  "--goal throughput: its throughput is higher: vLLM");
    expect_engine("both4 --gpus rtx3060", "llama.cpp", "it fits and the other does not");
    expect_engine("both4/model.gguf --gpus rtx3060 --goal balanced", "llama.cpp", "vLLM BF16");
    expect_engine("both4 --gpus rtx4090 -ngl 99", "llama.cpp", "because -ngl is given");
    expect_engine("both4 --gpus rtx4090 -tp 1", "vllm", "llama.cpp could run the model too");
    expect_engine("both4 --gpus rtx4090 --kv fp8", "vllm", "because --kv fp8 is given");
}

/* What is set is kept, and a GGUF file of another model is no second way. */
static void what_is_set_names_the_engine(void **state)
{
    (void)state;
    put_both("mixed", "qwen3-8b:Q4_K_M");
    struct ran r = run("plan mixed --gpus rtx4090 --json=reasons,settings");
    expect_text(&r, "are of another model");
    r = run("plan mixed --gpus rtx4090 --engine llama.cpp");
    assert_null(strstr(r.out, "engine: "));
    r = run("plan mixed --gpus rtx4090 --engine vllm");
    expect_text(&r, "vLLM");
    assert_null(strstr(r.out, "engine: "));
}

/* Stages follow each other over hosts, ranks of a group stay in one; every host has its command. */
static void hosts_are_joined_by_ray(void **state)
{
    static const char gpus[] = "--gpus rtx4090:host=192.0.2.1:count=2,rtx4090:host=192.0.2.2:count=2";
    char env[512] = "", words[1024];
    (void)state;
    struct ran r = run("plan llama-8b %s --spread --json", gpus);
    assert_int_equal(r.code, 0);
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "devices.2.host"), "192.0.2.2");
    assert_int_equal(json_object_array_length(at(doc, "vllm.hosts")), 2);
    assert_string_equal(text_at(doc, "vllm.hosts.1.host"), "192.0.2.2");
    assert_string_equal(text_at(doc, "vllm.hosts.1.env.CUDA_VISIBLE_DEVICES"), "0,1");
    assert_string_equal(text_at(doc, "vllm.hosts.1.env.VLLM_HOST_IP"), "192.0.2.2");
    assert_string_equal(text_at(doc, "vllm.hosts.0.argv.2"), "--head");
    assert_string_equal(text_at(doc, "vllm.hosts.1.argv.2"), "--address=192.0.2.1:6379");
    json_object_put(doc);
    expect_text(&r, "2 hosts joined by Ray, the command runs on 192.0.2.1");
    r = run("plan llama-8b %s --spread", gpus);
    expect_text(&r, "192.0.2.2: ranks 2 to 3, joins by ray start");
    expect_tidy(&r);
    r = run("plan llama-8b %s --spread -o env", gpus);
    for (const char *p = r.out; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (*p != '#')
            snprintf(env + strlen(env), sizeof(env) - strlen(env), "%.*s ", (int)strcspn(p, "\n"), p);
    r = run("plan llama-8b %s --spread -o args", gpus);
    expect_text(&r, "--distributed-executor-backend ray");
    snprintf(words, sizeof(words), "%.*s", (int)strcspn(r.out, "\n"), r.out);
    char *before = strdup(run("plan llama-8b %s --spread --json=settings,devices", gpus).out);
    r = run("plan %s --json=settings,devices -- %s%s", gpus, env, words);
    assert_string_equal(r.out, before);
    free(before);
    r = run("plan llama-8b --gpus rtx4090:host=a,rtx4090:host=b -tp 2");
    expect_text(&r, "reaches over two hosts, as was asked");
    r = run("plan llama-8b --gpus rtx3060,rtx4090:host=b");
    expect_text(&r, "all of it on b");
}

/* The head's script joins the cluster before it serves, and tells what the others run. */
static void the_script_joins_the_hosts(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090:host=n1,rtx4090:host=n2 --spread -o sh");
    assert_int_equal(r.code, 0);
    expect_text(&r, "# on n2, when this runs: CUDA_DEVICE_ORDER=PCI_BUS_ID "
                    "CUDA_VISIBLE_DEVICES=0 ray start --address=n1:6379 --num-gpus=1\n");
    run_file("hosts.sh", r.out, true);
    run_file("ray", "#!/bin/sh\necho \"$@\"\n", true);
    run_file("vllm", "#!/bin/sh\necho \"$1\"\n", true);
    r = run_program("sh -c 'PATH=.:$PATH ./hosts.sh'");
    assert_string_equal(r.out, "start --head --port=6379 --num-gpus=1\nserve\n");
}

static void hosts_that_cannot_be_meant(void **state)
{
    (void)state;
    struct ran r = run("plan qwen3-8b:Q4_K_M --gpus rtx4090:host=n2");
    expect_error(&r, 2, 2110, "rpc://n2:50052:");
    r = run("suggest qwen3-8b:Q4_K_M --with-mine --gpus rtx4090:host=n2");
    expect_error(&r, 2, 2110, "rpc://n2");
    r = run("plan llama-8b --gpus rtx4090,rtx4090:host=n2 --spread");
    expect_error(&r, 2, 2101, "names no host");
    r = run("plan llama-8b --gpus rtx4090:host=-x");
    expect_error(&r, 2, 2102, "host");
    r = run("plan --gpus rtx4090:host=a,rtx4090:host=b -- vllm serve llama-8b -pp 2");
    expect_error(&r, 2, 2113, "--distributed-executor-backend ray");
    r = run("plan llama-8b --gpus rtx4090:host=a:count=3,rtx4090:host=b:count=3 -tp 3");
    expect_error(&r, 2, 2112, "--tensor-parallel-size 2");
}

/* Words of a plan, given back as a command, mean the same plan. */
static void the_command_means_the_plan(void **state)
{
    static const char *const asked[] = {
        "llama-8b --gpus rtx4090", "llama-8b --gpus rtx5090,rtx4090 -pp 2 --ctx 16k --kv fp8",
        "llama-8b --gpus rtx4090,rtx4090 -tp 2 -np 64"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        char words[1024];
        const char *gpus = strstr(asked[i], "--gpus");
        int len = (int)strcspn(gpus + 7, " ") + 7;
        struct ran r = run("plan %s -o env", asked[i]);
        char env[512] = "";
        for (const char *p = r.out; *p; p += strcspn(p, "\n"), p += *p == '\n')
            if (*p != '#')
                snprintf(env + strlen(env), sizeof(env) - strlen(env), "%.*s ",
                         (int)strcspn(p, "\n"), p);
        r = run("plan %s -o args", asked[i]);
        assert_int_equal(r.code, 0);
        snprintf(words, sizeof(words), "%.*s", (int)strcspn(r.out, "\n"), r.out);
        r = run("plan %s --json=settings,devices,verdict", asked[i]);
        char *before = strdup(r.out);
        r = run("plan %.*s --json=settings,devices,verdict -- %s%s", len, gpus, env, words);
        assert_string_equal(r.err, "");
        assert_string_equal(r.out, before);
        free(before);
    }
}

static void a_layout_is_shown(void **state)
{
    (void)state;
    struct ran r = run("model show llama-8b");
    assert_int_equal(r.code, 0);
    expect_text(&r, "llama-8b\n  BF16, 15.0 GiB, 8.03 B parameters\n");
    expect_text(&r, "0-31");
    expect_text(&r, "13.00"); /* GiB of all layers */
    expect_tidy(&r);
    r = run("model show llama-8b --json");
    json_object_put(run_json(&r, "model"));
    r = run("model show llama-8b --tensors");
    expect_text(&r, "model.layers.31.self_attn.q_proj.weight");
}

/* No GGUF file in the repository: it is looked at again as what vLLM serves. */
static void a_repository_without_gguf(void **state)
{
    static struct server s;
    const struct route routes[] = {
        {.path = "/api/models/me/plain/tree/main", .body = "[{\"type\":\"file\",\"path\":\"a.safetensors\"}]"},
        {.path = "/me/plain/resolve/main/config.json", .body = config},
        {.path = "/api/models/me/both/tree/main", .body = "[{\"path\":\"x-Q4_K_M.gguf\"},{\"path\":\"y-Q4_K_M.gguf\"}]"},
        {.path = "/me/both/resolve/main/config.json", .body = config},
        {0}
    };
    (void)state;
    server_start(&s, routes);
#define HUB "HF_ENDPOINT=%s NO_PROXY=* "
    struct ran r = run(HUB "plan hf:me/plain --gpus rtx4090 --json", s.url);
    assert_int_equal(r.code, 0);
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "settings.engine"), "vllm");
    assert_string_equal(text_at(doc, "command.argv.2"), "me/plain");
    json_object_put(doc);
    r = run(HUB "plan --gpus rtx4090 -- vllm serve me/plain --max-model-len 8192", s.url);
    expect_text(&r, "8,192 tokens");
    r = run(HUB "model show hf:me/plain", s.url);
    expect_text(&r, "8.03 B parameters");
    r = run(HUB "plan hf:me/plain --gpus rtx4090 --engine llama.cpp", s.url);
    expect_error(&r, 4, 2001, "has no GGUF model");
    r = run(HUB "plan hf:me/both:Q8_0 --gpus rtx4090", s.url);
    expect_error(&r, 4, 2001, "Q8_0");
    server_stop(&s);
}

static void a_script_starts_it(void **state)
{
    (void)state;
    struct ran r = run("plan llama-8b --gpus rtx4090 -o sh");
    assert_true(strncmp(r.out, "#!/bin/sh\n# planned for simulated cards: 0 RTX 4090\n", 52) == 0);
    expect_text(&r, "exec vllm serve llama-8b --tensor-parallel-size 1 ");
    run_file("plan.sh", r.out, true);
    run_file("vllm", "#!/bin/sh\necho \"$CUDA_VISIBLE_DEVICES $1 $2\"\n", true);
    r = run_program("sh -c 'PATH=.:$PATH ./plan.sh'");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "0 serve llama-8b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layout_is_planned_for_vllm),
        cmocka_unit_test(the_document_adds_up),
        cmocka_unit_test(too_large_is_said_with_the_bytes),
        cmocka_unit_test(other_plans_are_named),
        cmocka_unit_test(too_long_for_two_cards_brings_ways_to_fit),
        cmocka_unit_test(impossible_ones_are_refused),
        cmocka_unit_test(auto_says_why),
        cmocka_unit_test(goals_choose_the_engine),
        cmocka_unit_test(what_is_set_names_the_engine),
        cmocka_unit_test(the_command_means_the_plan),
        cmocka_unit_test(hosts_are_joined_by_ray),
        cmocka_unit_test(the_script_joins_the_hosts),
        cmocka_unit_test(hosts_that_cannot_be_meant),
        cmocka_unit_test(a_layout_is_shown),
        cmocka_unit_test(a_repository_without_gguf),
        cmocka_unit_test(a_script_starts_it),
    };
    return cmocka_run_group_tests(tests, setup, run_teardown);
}
