/* test_plan: `plan` as people and scripts use it: texts, documents, commands, real files, real
 * cards. */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "../api/schema.h"

#define PAIR "--gpus rtx5090,rtx4090"

static const char *const models[] = {
    "llama-3.3-70b", "llama-3.1-8b:Q8_0", "gemma-3-27b", "qwen3-30b-a3b", "deepseek-v2-lite",
    "falcon-h1-7b",  "mamba-2.8b",        "gpt-oss-20b", "llama-4-scout", "qwen3-235b-a22b"};
static const char *const cards[] = {"--gpus none",
                                    "--gpus 6GiB",
                                    PAIR,
                                    "--gpus 24GiB,16GiB,12GiB --spread",
                                    "--gpus rpc://h:50052:24GiB,rtx4090:free=20GiB",
                                    "--gpus 12GiB:count=8"};

enum { MODELS = sizeof(models) / sizeof(models[0]), CARDS = sizeof(cards) / sizeof(cards[0]) };

static void fits_looks_as_promised(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b:Q4_K_M " PAIR);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    assert_true(strncmp(r.out, "Llama 3.3 70B  Q4_K_M  39.6 GiB  80 layers  max context 131,072\n",
                        64) == 0);
    expect_text(&r, "simulated cards: 0 RTX 5090, 1 RTX 4090\n");
    expect_text(&r, "\nFITS   ");
    expect_text(&r, " layers, ");
    expect_text(&r, "KV f16, llama.cpp layer split\n");
    expect_text(&r, "\n  1 cell = 0.8 GiB   W weights  K KV cache  C compute  = kept free\n");
    expect_text(&r, "\n  0 RTX 5090 |WWWWWWWW");
    expect_text(&r, " of 24.0 GiB\n");
    expect_text(&r, "exact, from the profile\n");
    expect_text(&r, "exact, from the shape\n");
    expect_text(&r, "free afterwards ");
    expect_text(&r, "token embedding\n");
    expect_text(&r, "Other plans ");
    expect_text(&r, "1  KV q8_0 ");
    expect_text(&r, "\n  dualgpuopt plan llama-3.3-70b:Q4_K_M " PAIR " -o sh");
    assert_true(widest_line(r.out) <= 80);
    assert_true(count_lines(r.out) <= 28);
}

/* Cells between the bars' ends: as many as the card has GiB over the cell's size. */
static void bars_add_up_on_one_scale(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b --gpus 32GiB,24GiB:free=20GiB,12GiB --spread --ctx 8k");
    static const int cells[] = {40, 30, 15}; /* 0.8 GiB each */
    const char *p = strstr(r.out, "1 cell = 0.8 GiB");
    assert_non_null(p);
    for (int i = 0; i < 3; i++) {
        p = strchr(p, '|');
        assert_non_null(p);
        const char *end = strchr(p + 1, '|');
        assert_non_null(end);
        assert_int_equal(end - p - 1, cells[i]);
        assert_int_equal(strspn(p + 1, "WKCo=."), cells[i]);
        p = end + 1;
    }
    expect_text(&r, "Coooo"); /* 4 GiB of others on the second */
}

static void does_not_fit_says_what_would(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b:Q4_K_M " PAIR " --ctx 128k --host-memory 64GiB");
    assert_int_equal(r.code, 8);
    assert_string_equal(r.err, "");
    expect_text(&r, "\nDOES NOT FIT on the GPUs: ");
    expect_text(&r, " GiB short at 131,072 tokens");
    expect_text(&r, "GiB have to be saved, counting the room to keep free.\n     Single changes ");
    expect_text(&r, "KV cache q8_0 ");
    expect_text(&r, "no, ");
    expect_text(&r, "yes");
    expect_text(&r, "simulated");
    assert_true(widest_line(r.out) <= 80);
    assert_true(count_lines(r.out) <= 28);
}

static void ways_that_are_offered_work(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b:Q4_K_M " PAIR " --ctx 128k --host-memory 64GiB --json");
    struct json_object *doc = run_json(&r, "plan"), *ways = at(doc, "alternatives");
    int tried = 0;
    assert_int_equal(r.code, 8);
    assert_true(json_object_array_length(at(doc, "shortfall")) > 0);
    for (size_t i = 0; i < json_object_array_length(ways); i++) {
        struct json_object *way = json_object_array_get_idx(ways, i);
        if (strcmp(text_at(way, "verdict"), "does-not-fit") == 0 || !*text_at(way, "flags"))
            continue; /* no flags: it takes another file or card */
        struct ran again =
            run("plan llama-3.3-70b:Q4_K_M " PAIR " --ctx 128k --host-memory 64GiB %s",
                text_at(way, "flags"));
        if (again.code != 0)
            fail_msg("%s: exit code %d\n%s", text_at(way, "flags"), again.code, again.out);
        tried++;
    }
    assert_true(tried >= 2);
    json_object_put(doc);
}

/* Long ways go on in the next line; letters begin with A though what does not help is left out. */
static void ways_are_never_cut(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-405b --gpus rtx3090:count=8");
    assert_int_equal(r.code, 8);
    assert_null(strstr(r.out, "\xe2\x80\xa6"));
    expect_text(&r, "\n  A  ");
    expect_text(&r, "\n     (simulated)");
    assert_true(widest_line(r.out) <= 80);
    r = run("plan llama-2-7b -c 12288 --gpus 10GiB"); /* q8_0 alone is enough: no pair with it, it
                                                         is what is offered */
    assert_null(strstr(r.out, "q8_0 + context"));
    expect_text(&r, " --kv q8_0 ");
}

/* What is written as a product is one, and the times add up to the speed. */
static void the_explanation_adds_up(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.3-70b " PAIR " -c 32k --explain");
    expect_text(&r, " = 4,096 B a cell\n         x 32,768 cells x 80 layers = 10,737,418,240 B\n");
    const char *p = strstr(r.out, "\nSpeed ");
    double ms[2], hops, sum, tps, said;
    assert_non_null(p);
    for (int i = 0; i < 2; i++) {
        p = strstr(p, "\n         GPU ");
        assert_non_null(p);
        assert_int_equal(sscanf(p, " GPU %*d %lf ms", &ms[i]), 1);
        p++;
    }
    assert_int_equal(sscanf(strstr(p, "hops"), "hops %lf ms", &hops), 1);
    assert_int_equal(sscanf(strstr(p, "sum"), "sum %lf ms, and 1000 / %*f = %lf", &sum, &tps), 2);
    assert_true(fabs(ms[0] + ms[1] + hops - sum) < 0.002);
    assert_true(fabs(1000 / sum - tps) < 0.06);
    assert_int_equal(sscanf(strstr(r.out, "Speed    decode"), "Speed decode %lf", &said), 1);
    assert_true(said == tps);
}

static void no_card_is_a_plan_for_the_processor(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b");
    assert_int_equal(r.code, 0);
    expect_text(&r, "no GPU: ");
    expect_text(&r, "\nON THE CPU   all 32 layers in host memory");
    expect_text(&r, "host memory |WW");
    r = run("plan llama-3.1-8b --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "verdict"), "partly-on-cpu");
    assert_int_equal(json_object_array_length(at(doc, "devices")), 0);
    json_object_put(doc);
}

static void every_text_is_at_most_80_columns(void **state)
{
    (void)state;
    static const char *const forms[] = {"", "--ascii", "--color always", "--explain", "-q"};
    for (int m = 0; m < MODELS; m++) {
        for (int c = 0; c < CARDS; c++) {
            struct ran r = run("plan %s %s %s", models[m], cards[c], forms[(m + c) % 5]);
            if (widest_line(r.out) > 80)
                fail_msg("%s %s is %d wide:\n%s", models[m], cards[c], widest_line(r.out), r.out);
            if (r.code != 0 && r.code != 8)
                fail_msg("%s %s: exit code %d\n%s", models[m], cards[c], r.code, r.err);
        }
    }
    struct ran r = run("COLUMNS=60 plan llama-3.3-70b " PAIR);
    assert_true(widest_line(r.out) <= 60);
}

static void check_sums(struct json_object *doc)
{
    struct json_object *devices = at(doc, "devices");
    for (size_t i = 0; i < json_object_array_length(devices); i++) {
        struct json_object *d = json_object_array_get_idx(devices, i);
        int64_t ours = number_at(d, "weights_bytes") + number_at(d, "kv_bytes") +
                       number_at(d, "compute_bytes") + number_at(d, "runtime_bytes") +
                       number_at(d, "projector_bytes") + number_at(d, "draft_bytes");
        assert_int_equal(number_at(d, "free_after_bytes"), number_at(d, "free_bytes") - ours);
        assert_true(json_object_get_type(at(d, "layers")) == json_type_array || ours == 0);
    }
}

static void documents_are_as_published(void **state)
{
    (void)state;
    for (int m = 0; m < MODELS; m++) {
        for (int c = 0; c < CARDS; c++) {
            struct ran r = run("--json plan %s %s", models[m], cards[c]);
            struct json_object *doc = run_json(&r, "plan");
            const char *verdict = text_at(doc, "verdict");
            bool fits = strncmp(verdict, "fits", 4) == 0 || c == 0;
            assert_int_equal(r.code, fits && strcmp(verdict, "does-not-fit") != 0 ? 0 : 8);
            check_sums(doc);
            json_object_put(doc);
        }
    }
}

/* What two plans must share to be the same one. */
static void same(struct json_object *a, struct json_object *b, const char *path)
{
    const char *x = json_object_to_json_string(at(a, path));
    char *kept = strdup(x);
    if (strcmp(kept, json_object_to_json_string(at(b, path))) != 0)
        fail_msg("%s: %s became %s", path, kept, json_object_to_json_string(at(b, path)));
    free(kept);
}

static void command_of(struct json_object *doc, char *line, size_t cap)
{
    struct json_object *argv = at(doc, "command.argv");
    size_t n = 0;
    json_object_object_foreach(at(doc, "command.env"), name, value) n +=
        (size_t)snprintf(line + n, cap - n, "%s=%s ", name, json_object_get_string(value));
    for (size_t i = 0; i < json_object_array_length(argv); i++)
        n += (size_t)snprintf(line + n, cap - n, "'%s' ",
                              json_object_get_string(json_object_array_get_idx(argv, i)));
    assert_true(n < cap);
}

static void the_command_of_a_plan_is_the_same_plan(void **state)
{
    (void)state;
    static const char *const settings[] = {
        "",        "-np 4 -c 16k", "--kv q8_0 -ub 256", "-fa off -c 4096",
        "-ngl 12", "-sm none",     "-nkvo -c 4096",     "--allow-cpu -c 32k"};
    for (int m = 0; m < MODELS; m++) {
        for (int c = 1; c < CARDS; c++) {
            char line[4096], gpus[128];
            struct ran r = run("plan %s %s %s --host-memory 64GiB --json", models[m], cards[c],
                               settings[(3 * m + c) % 8]);
            if (r.code == 2)
                continue; /* refused by the engine: nothing to compare */
            struct json_object *first = run_json(&r, "plan");
            command_of(first, line, sizeof(line));
            snprintf(gpus, sizeof(gpus), "%.*s", (int)(7 + strcspn(cards[c] + 7, " ")), cards[c]);
            struct ran again = run("plan %s --host-memory 64GiB --json -- %s", gpus, line);
            if (again.code == 2)
                fail_msg("%s\n%s", line, again.err);
            struct json_object *second = run_json(&again, "plan");
            same(first, second, "settings");
            same(first, second, "devices");
            same(first, second, "host");
            same(first, second, "command");
            json_object_put(first);
            json_object_put(second);
        }
    }
}

/* Draft models, NextN blocks and drivers other than CUDA: planned again, the command means the same. */
static void drafts_and_other_drivers_read_back(void **state)
{
    (void)state;
    static const struct { const char *cards, *wish, *says; } rows[] = {
        {"rtx5090,rtx4090", "llama-3.3-70b --model-draft llama-3.2-1b --goal speed", "--spec-type draft-simple"},
        {"rtx5090,rtx4090", "llama-3.3-70b --model-draft llama-3.2-1b -devd CUDA1 -ngld 9 -ctkd q8_0", "-devd CUDA1 -ngld 9"},
        {"rtx4090,rtx3060", "qwen2.5-32b --model-draft qwen2.5-0.5b -devd none", "-devd none"},
        {"rtx4090,rtx3060", "qwen2.5-32b --model-draft qwen2.5-0.5b --spec-draft-n-max 5", "--spec-draft-n-max 5"},
        {"h100", "glm-4.5-air --goal balanced --spec-type draft-mtp", "--spec-type draft-mtp"},
        {"h100", "glm-4.5-air --goal speed --spec-type none", "--spec-type none"},
        {"rtx3060,rx7900xtx,rx7900xtx", "qwen2.5-14b --goal speed", "HIP_VISIBLE_DEVICES=0 "},
        {"rtx4090:backend=vulkan,rtx3090:backend=vulkan", "qwen2.5-14b", "GGML_VK_VISIBLE_DEVICES=0 "},
        {"rx7900xtx,rx7900xtx", "llama-3.3-70b", "HIP_VISIBLE_DEVICES=0,1 "},
        {"rpc://h:1:24GiB,rpc://i:1:12GiB,rtx3060", "qwen2.5-32b --model-draft qwen2.5-0.5b", "--rpc h:1,i:1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[4096], plain[4096] = "";
        struct ran r = run("plan %s --gpus %s --host-memory 64GiB --json", rows[i].wish, rows[i].cards);
        struct json_object *first = run_json(&r, "plan");
        command_of(first, line, sizeof(line));
        for (const char *c = line; *c; c++)
            if (*c != '\'')
                plain[strlen(plain)] = *c;
        if (!strstr(plain, rows[i].says))
            fail_msg("%s is not in %s", rows[i].says, plain);
        struct ran again = run("plan --gpus %s --host-memory 64GiB --json -- %s", rows[i].cards, line);
        struct json_object *second = run_json(&again, "plan");
        same(first, second, "settings");
        same(first, second, "devices");
        same(first, second, "host");
        same(first, second, "draft");
        same(first, second, "speed");
        same(first, second, "command");
        json_object_put(first);
        json_object_put(second);
    }
    struct ran r = run("plan qwen2.5-14b --gpus rx7900xtx --json");
    struct json_object *doc = run_json(&r, "plan");
    struct json_object *card = json_object_array_get_idx(at(doc, "devices"), 0);
    assert_string_equal(text_at(card, "source.weights"), "estimate");
    assert_string_equal(text_at(card, "source.kv"), "estimate");
    assert_string_equal(text_at(card, "source.compute"), "estimate");
    json_object_put(doc);
    r = run("plan qwen2.5-14b --gpus rx7900xtx");
    expect_text(&r, "estimate, as CUDA would take");
    assert_null(strstr(r.out, "exact"));
    r = run("plan glm-4.5-air --goal speed --spec-type draft-mtp --gpus h100");
    expect_text(&r, "  with drafting     about ");
    r = run("plan glm-4.5-air --goal speed --gpus h100");
    expect_text(&r, "drafting 1 ahead");
    assert_true(widest_line(r.out) <= 80);
}

static void a_file_is_planned_as_its_profile(void **state)
{
    (void)state;
    struct ran made = run_program("%s qwen3-30b-a3b:Q4_K_M model.gguf", MAKE_SAMPLE);
    assert_int_equal(made.code, 0);
    struct ran r = run("plan model.gguf " PAIR " --json"),
               p = run("plan qwen3-30b-a3b:Q4_K_M " PAIR " --json");
    struct json_object *file = run_json(&r, "plan"), *profile = run_json(&p, "plan");
    same(file, profile, "devices");
    same(file, profile, "settings");
    same(file, profile, "verdict");
    assert_true(json_object_get_boolean(at(file, "model.from_file")));
    r = run("plan model.gguf " PAIR);
    expect_text(&r, "exact, from the file");
    r = run("--model model.gguf --ctx-size 8192 " PAIR " --json"); /* without a verb */
    struct json_object *old = run_json(&r, "plan");
    assert_int_equal(number_at(old, "settings.context"), 8192);
    r = run("plan . " PAIR " --json");
    struct json_object *folder = run_json(&r, "plan");
    same(file, folder, "devices");
    json_object_put(file);
    json_object_put(profile);
    json_object_put(old);
    json_object_put(folder);
}

static void quant_picks_among_several(void **state)
{
    (void)state;
    struct ran r = run("--model llama-3.1-8b --quant Q8_0 --gpus 24GiB --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_string_equal(text_at(doc, "model.quantization"), "Q8_0");
    json_object_put(doc);
}

static void forms_for_scripts(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB --ctx 8k -o args");
    assert_true(strncmp(r.out, "llama-server -m ", 16) == 0);
    assert_int_equal(count_lines(r.out), 1);
    expect_text(&r, " -c 8192 ");
    r = run("plan llama-3.1-8b --gpus 24GiB -o env");
    expect_text(&r, "# planned for simulated cards: 0 24GiB\n");
    expect_text(&r, "CUDA_DEVICE_ORDER=PCI_BUS_ID\n");
    r = run("plan llama-3.1-8b --gpus 24GiB -o sh");
    assert_true(strncmp(r.out, "#!/bin/sh\n# planned for simulated cards", 38) == 0);
    run_file("plan.sh", r.out, true);
    assert_int_equal(run_program("sh -n plan.sh").code, 0);
    r = run("plan llama-3.1-8b --gpus 24GiB --plain");
    expect_text(&r, "\ndevice\t0\t24GiB\tsimulated\t25769803776\t");
    r = run("plan llama-3.1-8b --gpus 24GiB --accessible");
    expect_text(&r, "GPU 0 24GiB, simulated: ");
    assert_null(strchr(r.out, '|'));
    r = run("ACCESSIBLE=1 plan llama-3.1-8b --gpus 24GiB");
    expect_text(&r, "GPU 0 24GiB, simulated: ");
    r = run("plan llama-3.1-8b --gpus 24GiB -q");
    assert_int_equal(count_lines(r.out), 1);
    expect_text(&r, "simulated");
    r = run("plan llama-3.1-8b --gpus 24GiB -v -q=");
    assert_int_equal(r.code, 2);
}

static void chosen_keys_of_the_document(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB --json=verdict,settings");
    struct json_object *doc = json_tokener_parse(r.out);
    assert_int_equal(json_object_object_length(doc), 2);
    assert_string_equal(text_at(doc, "verdict"), "fits");
    json_object_put(doc);
    r = run("plan llama-3.1-8b --gpus 24GiB --json=help");
    expect_text(&r, "verdict\n");
    expect_text(&r, "command\n");
    r = run("plan llama-3.1-8b --gpus 24GiB --json=nonsense");
    assert_int_equal(r.code, 2);
    doc = run_json(&r, "error");
    json_object_put(doc);
}

static void export_writes_the_environment_file_whole(void **state)
{
    (void)state;
    run_file("plan.env",
             "old content that is longer than what comes now, much longer, on one line\n", false);
    struct ran r = run("--model llama-3.1-8b --gpus 24GiB --export plan.env");
    assert_int_equal(r.code, 0);
    struct ran env =
        run_program("sh -c 'set -a; . ./plan.env; echo $CUDA_DEVICE_ORDER; ls | grep -c plan.env'");
    assert_string_equal(env.out, "PCI_BUS_ID\n1\n");
}

static void real_cards_come_from_the_driver(void **state)
{
    (void)state;
    struct ran r = run("DUALGPUOPT_NVML_PATH=%s plan llama-3.3-70b --json", TEST_DRIVER);
    struct json_object *doc = run_json(&r, "plan");
    assert_false(json_object_get_boolean(at(doc, "simulated")));
    assert_string_equal(text_at(doc, "devices.0.uuid"), "GPU-5090aaaa-0000-0000-0000-000000000001");
    assert_true(json_object_array_length(at(doc, "occupants")) > 0);
    assert_string_equal(
        text_at(doc, "command.env.CUDA_VISIBLE_DEVICES"),
        "GPU-5090aaaa-0000-0000-0000-000000000001,GPU-4090bbbb-0000-0000-0000-000000000002");
    json_object_put(doc);
    r = run("DUALGPUOPT_NVML_PATH=%s plan llama-3.1-8b --gpus 1 -o sh", TEST_DRIVER);
    expect_text(&r, "export CUDA_VISIBLE_DEVICES=GPU-4090bbbb-0000-0000-0000-000000000002\n");
    r = run("DUALGPUOPT_NVML_PATH=%s plan llama-3.3-70b", TEST_DRIVER);
    assert_null(strstr(r.out, "simulated"));
    expect_text(&r, "measured now");
    r = run("DUALGPUOPT_NVML_PATH=%s plan llama-3.3-70b --gpus +rtx3090 --spread", TEST_DRIVER);
    expect_text(&r, "simulated cards: 2 RTX 3090\n");
    r = run("DUALGPUOPT_NVML_PATH=%s DUALGPUOPT_GPU_COUNT=1 plan llama-3.1-8b --json", TEST_DRIVER);
    doc = run_json(&r, "plan");
    assert_int_equal(json_object_array_length(at(doc, "devices")), 1);
    json_object_put(doc);
}

static int64_t planned(const char *env, const char *path)
{
    struct ran r = run("%s plan llama-3.1-8b --gpus 24GiB --ctx 8k --json", env);
    struct json_object *doc = run_json(&r, "plan");
    int64_t n = number_at(doc, path);
    json_object_put(doc);
    return n;
}

static void variables_count(void **state)
{
    (void)state;
    int64_t kv = planned("LANG=C", "devices.0.kv_bytes");
    assert_int_equal(kv, 8192ll * 32 * 2 * 1024 * 2);
    assert_int_equal(planned("DUALGPUOPT_KV_CACHE_FACTOR=2.0", "devices.0.kv_bytes"), 2 * kv);
    assert_int_equal(planned("LANG=C", "devices.0.keep_free_bytes"), 1ll << 30);
    assert_int_equal(planned("DUALGPUOPT_SAFETY_MARGIN=0.5", "devices.0.keep_free_bytes"),
                     12ll << 30);
    assert_int_equal(planned("LANG=C", "host.keep_free_bytes"), 2ll << 30);
    assert_int_equal(planned("DUALGPUOPT_SYSTEM_OVERHEAD=512", "host.keep_free_bytes"),
                     512ll << 20);
    assert_int_equal(planned("DUALGPUOPT_SYSTEM_OVERHEAD=3GiB", "host.keep_free_bytes"), 3ll << 30);
    struct ran r =
        run("DUALGPUOPT_SAFETY_MARGIN=0.5 plan llama-3.1-8b --gpus 24GiB --keep-free 0 --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_int_equal(number_at(doc, "devices.0.keep_free_bytes"), 0); /* the flag counts more */
    json_object_put(doc);
}

static void commands_are_taken_as_they_stand(void **state)
{
    (void)state;
    struct ran r = run(
        "plan " PAIR " --json -- llama-server -m llama-3.1-8b -c 8192 --threads 8 --frobnicate 7");
    struct json_object *doc = run_json(&r, "plan");
    assert_int_equal(number_at(doc, "settings.parallel"), 4); /* the server's own default */
    assert_string_equal(text_at(doc, "not_accounted.0"), "--frobnicate");
    json_object_put(doc);
    r = run("plan " PAIR " -- llama-server -m llama-3.1-8b -c 8192 --frobnicate 7");
    expect_text(&r, "--frobnicate");
    r = run("plan " PAIR " --json -- LLAMA_ARG_CTX_SIZE=4096 llama-cli -m llama-3.1-8b");
    doc = run_json(&r, "plan");
    assert_int_equal(number_at(doc, "settings.context"), 4096);
    assert_int_equal(number_at(doc, "settings.parallel"), 1);
    json_object_put(doc);
}

static void only_flags_of_the_installed_engine(void **state)
{
    (void)state;
    assert_int_equal(run_program("mkdir -p bin").code, 0);
    run_file(
        "bin/llama-server",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'version: 1234 (abc)' && exit 0\n"
        "echo '-m, --model F'; echo '-c, --ctx-size N'; echo '-np, --parallel N'; echo '-ngl N'\n"
        "echo '-sm M'; echo '-ts L'; echo '-mg N'; echo '--port N'\n",
        true);
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB -o args");
    assert_int_equal(r.code, 0);
    assert_null(strstr(r.out, "-fit"));
    assert_null(strstr(r.out, "-fa"));
    assert_non_null(strstr(r.err, "does not know -fa: left out\n"));
    assert_int_equal(run_program("rm -r bin").code, 0);
}

static void split_by_layers_is_kept_to_the_letter(void **state)
{
    (void)state;
    struct ran r = run("plan llama-3.1-8b --gpus 24GiB,24GiB --split 20,12 --ctx 8k --json");
    struct json_object *doc = run_json(&r, "plan");
    assert_int_equal(number_at(doc, "devices.0.layers.1"), 19);
    assert_int_equal(number_at(doc, "devices.1.layers.0"), 20);
    assert_int_equal(number_at(doc, "devices.1.layers.1"), 32);
    json_object_put(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_looks_as_promised),
        cmocka_unit_test(bars_add_up_on_one_scale),
        cmocka_unit_test(does_not_fit_says_what_would),
        cmocka_unit_test(ways_that_are_offered_work),
        cmocka_unit_test(ways_are_never_cut),
        cmocka_unit_test(the_explanation_adds_up),
        cmocka_unit_test(no_card_is_a_plan_for_the_processor),
        cmocka_unit_test(every_text_is_at_most_80_columns),
        cmocka_unit_test(documents_are_as_published),
        cmocka_unit_test(the_command_of_a_plan_is_the_same_plan),
        cmocka_unit_test(drafts_and_other_drivers_read_back),
        cmocka_unit_test(a_file_is_planned_as_its_profile),
        cmocka_unit_test(quant_picks_among_several),
        cmocka_unit_test(forms_for_scripts),
        cmocka_unit_test(chosen_keys_of_the_document),
        cmocka_unit_test(export_writes_the_environment_file_whole),
        cmocka_unit_test(real_cards_come_from_the_driver),
        cmocka_unit_test(variables_count),
        cmocka_unit_test(commands_are_taken_as_they_stand),
        cmocka_unit_test(only_flags_of_the_installed_engine),
        cmocka_unit_test(split_by_layers_is_kept_to_the_letter),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
