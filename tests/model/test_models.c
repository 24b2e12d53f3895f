/* test_models: the facts of known models, read from real files: layers, cache, sizes. */
#include "make.h"
#include "model/family.h"

struct known {
    const char *name, *architecture;
    uint64_t parameters;
    uint32_t layers;
    uint32_t full, window, chunked, latent, recurrent, nextn; /* layers of that kind */
    uint64_t kv_bytes;    /* f16, per token, if every cache held every token */
    uint64_t state_bytes; /* per sequence, all layers */
    bool tied;
};

static const struct known models[] = {
  /* clang-format off */
    {"llama-2-7b", "llama", 6738415616, 32, 32, 0, 0, 0, 0, 0, 524288, 0, false},
    {"llama-2-13b", "llama", 13015864320, 40, 40, 0, 0, 0, 0, 0, 819200, 0, false},
    {"llama-2-70b", "llama", 68976648192, 80, 80, 0, 0, 0, 0, 0, 327680, 0, false},
    {"llama-3-8b", "llama", 8030261248, 32, 32, 0, 0, 0, 0, 0, 131072, 0, false},
    {"llama-3-70b", "llama", 70553706496, 80, 80, 0, 0, 0, 0, 0, 327680, 0, false},
    {"llama-3.1-8b", "llama", 8030261312, 32, 32, 0, 0, 0, 0, 0, 131072, 0, false},
    {"llama-3.2-3b", "llama", 3212749888, 28, 28, 0, 0, 0, 0, 0, 114688, 0, true},
    {"llama-3.3-70b", "llama", 70553706560, 80, 80, 0, 0, 0, 0, 0, 327680, 0, false},
    {"mistral-7b-v0.1", "llama", 7241732096, 32, 32, 0, 0, 0, 0, 0, 131072, 0, false},
    {"mixtral-8x7b", "llama", 46702792704, 32, 32, 0, 0, 0, 0, 0, 131072, 0, false},
    {"phi-2", "phi2", 2779683840, 32, 32, 0, 0, 0, 0, 0, 327680, 0, false},
    {"qwen2.5-7b", "qwen2", 7615616512, 28, 28, 0, 0, 0, 0, 0, 57344, 0, false},
    {"qwen2.5-72b", "qwen2", 72706203648, 80, 80, 0, 0, 0, 0, 0, 327680, 0, false},
    {"qwen3-8b", "qwen3", 8190735360, 36, 36, 0, 0, 0, 0, 0, 147456, 0, false},
    {"qwen3-30b-a3b", "qwen3moe", 30532122624, 48, 48, 0, 0, 0, 0, 0, 98304, 0, false},
    {"qwen3-next-80b-a3b", "qwen3next", 79674391296, 48, 12, 0, 0, 0, 36, 0, 24576, 79036416, false},
    {"gemma-2-27b", "gemma2", 27227128320, 46, 23, 23, 0, 0, 0, 0, 376832, 0, true},
    {"gemma-3-12b", "gemma3", 11766034176, 48, 8, 40, 0, 0, 0, 0, 393216, 0, true},
    {"phi-3-mini-4k", "phi3", 3821079552, 32, 32, 0, 0, 0, 0, 0, 393216, 0, false},
    {"phi-4-14b", "phi3", 14659507200, 40, 40, 0, 0, 0, 0, 0, 204800, 0, false},
    {"deepseek-v2-lite", "deepseek2", 15706484224, 27, 0, 0, 0, 27, 0, 0, 31104, 0, false},
    {"deepseek-v3", "deepseek2", 671026419200, 61, 0, 0, 0, 61, 0, 0, 70272, 0, false},
    {"gpt-oss-20b", "gpt-oss", 20914757184, 24, 12, 12, 0, 0, 0, 0, 49152, 0, false},
    {"command-r-35b", "command-r", 34980831232, 40, 40, 0, 0, 0, 0, 0, 1310720, 0, true},
    {"command-r7b", "cohere2", 8028033024, 32, 8, 24, 0, 0, 0, 0, 131072, 0, true},
    {"falcon-7b", "falcon", 7217189760, 32, 32, 0, 0, 0, 0, 0, 8192, 0, false},
    {"mamba-2.8b", "mamba", 2768345600, 64, 0, 0, 0, 0, 64, 0, 0, 24903680, true},
    {"jamba-v0.1", "jamba", 51570323328, 32, 4, 0, 0, 0, 28, 0, 16384, 17432576, false},
    {"granite-4.0-h-small", "granitehybrid", 32207337984, 40, 4, 0, 0, 0, 36, 0, 16384, 154644480, true},
    {"lfm2-1.2b", "lfm2", 1170340608, 16, 6, 0, 0, 0, 10, 0, 12288, 163840, true},
    {"glm-4.5-air", "glm4moe", 110468824832, 47, 46, 0, 0, 0, 0, 1, 188416, 0, false},
    {"llama-4-scout", "llama4", 107769861184, 48, 12, 0, 36, 0, 0, 0, 196608, 0, false},
  /* clang-format on */
};

static uint32_t count(const struct model *m, enum kv_kind kind)
{
    uint32_t n = 0;

    for (uint32_t il = 0; il < m->n_layers; il++)
        n += m->layers[il].kv == kind;
    return n;
}

static void check_model(const struct known *k, const char *dir)
{
    own(own_arena) struct arena arena = {0};
    uint64_t kv = 0, state = 0, nextn = 0;
    char path[256];
    struct err err = {0};
    struct model m;

    snprintf(path, sizeof path, "%s/%s.gguf", dir, k->name);
    make_profile_file(k->name, path);
    if (!open_model(path, NULL, &arena, &m, &err))
        fail_msg("%s: %s", k->name, err.title);
    assert_string_equal(m.architecture, k->architecture);
    assert_string_equal(m.family->architecture, k->architecture);
    assert_int_equal(m.parameters, k->parameters);
    assert_int_equal(m.n_layers, k->layers);
    for (uint32_t il = 0; il < m.n_layers; il++) {
        const struct model_layer *l = &m.layers[il];
        kv += 2 * ((uint64_t)l->n_embd_k + l->n_embd_v);
        state += 4 * (l->state_r + l->state_s);
        nextn += l->nextn;
        assert_true(l->ffn != FFN_NONE || l->kv == KV_RECURRENT);
    }
    assert_int_equal(count(&m, KV_FULL), k->full);
    assert_int_equal(count(&m, KV_WINDOW), k->window);
    assert_int_equal(count(&m, KV_CHUNKED), k->chunked);
    assert_int_equal(count(&m, KV_LATENT), k->latent);
    assert_int_equal(count(&m, KV_RECURRENT), k->recurrent);
    assert_int_equal(nextn, k->nextn);
    assert_int_equal(kv, k->kv_bytes);
    assert_int_equal(state, k->state_bytes);
    assert_int_equal(model_global(&m, ROLE_OUTPUT, PART_WEIGHT) == NULL, k->tied);
    for (uint32_t i = 0; i < m.n_tensors; i++)
        assert_int_not_equal(m.tensors[i].role, ROLE_NONE);
    assert_int_equal(unlink(path), 0);
}

static void known_models(void **state)
{
    char *dir = make_dir();

    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        check_model(&models[i], dir);
    make_dir_remove(dir);
}

/* Which layers: the last of each group is full; Llama 4's windows are chunks; LFM 2 has its own
 * places. */
static void patterns(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_true(open_model("gemma-3-12b", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[4].kv, KV_WINDOW);
    assert_int_equal(m.layers[5].kv, KV_FULL);
    assert_int_equal(m.hp.n_swa, 1024);
    assert_true(open_model("gemma-2-27b", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[0].kv, KV_WINDOW);
    assert_int_equal(m.layers[1].kv, KV_FULL);
    assert_true(open_model("llama-4-scout", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[2].kv, KV_CHUNKED);
    assert_int_equal(m.layers[3].kv, KV_FULL);
    assert_int_equal(m.hp.n_swa, 8192);
    assert_true(open_model("qwen3-next-80b-a3b", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[2].kv, KV_RECURRENT);
    assert_int_equal(m.layers[3].kv, KV_FULL);
    assert_true(open_model("gemma-3n-e4b", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[19].kv, KV_FULL);
    assert_int_equal(m.layers[20].kv, KV_SHARED);
    assert_int_equal(m.layers[20].kv_from, 18);
    assert_int_equal(m.layers[24].kv_from, 19);
    assert_true(open_model("glm-4.5-air", NULL, &arena, &m, &err));
    assert_true(m.layers[46].nextn);
    assert_int_equal(m.layers[46].kv, KV_NONE);
    assert_true(open_model("phi-3-mini-4k", NULL, &arena, &m, &err));
    assert_int_equal(m.hp.n_swa, 0);
}

static void experts(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_true(open_model("deepseek-v3", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[2].ffn, FFN_DENSE);
    assert_int_equal(m.layers[3].ffn, FFN_MOE);
    assert_int_equal(m.hp.n_expert, 256);
    assert_int_equal(m.hp.n_expert_used, 8);
    assert_int_equal(m.hp.expert_gating, 2);
    assert_int_equal(m.hp.head_dim_k_mla, 192);
    assert_true(open_model("glm-4.5-air", NULL, &arena, &m, &err));
    assert_int_equal(m.hp.expert_gating, 2);
    assert_true(open_model("jamba-v0.1", NULL, &arena, &m, &err));
    assert_int_equal(m.layers[0].ffn, FFN_DENSE);
    assert_int_equal(m.layers[1].ffn, FFN_MOE);
}

/* All of them: openable, true to their own sum, of a family that is known. */
static void profiles(void **state)
{
    own(own_arena) struct arena list = {0};
    struct model_profile *all;
    struct err err = {0};
    size_t n;

    assert_true(model_profiles(&list, &all, &n, &err));
    assert_true(n > 100);
    for (size_t i = 0; i < n; i++) {
        own(own_arena) struct arena arena = {0};
        struct model m;
        if (!open_model(all[i].name, NULL, &arena, &m, &err))
            fail_msg("%s: %s", all[i].name, err.title);
        assert_int_equal(m.parameters, all[i].parameters);
        assert_true(model_family_known(m.family));
        assert_string_equal(m.name, all[i].title);
        assert_string_equal(m.quantization, all[i].quantization);
        assert_false(m.from_file);
        assert_true(m.hp.n_vocab > 0 && m.hp.n_ctx_train > 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(all[i].name, all[j].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_models),
        cmocka_unit_test(patterns),
        cmocka_unit_test(experts),
        cmocka_unit_test(profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
