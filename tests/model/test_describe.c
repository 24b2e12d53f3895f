/* test_describe: models from a YAML of hyper-parameters; the reasons it refuses, to the letter. */
#include "make.h"
#include "model/describe.h"

static bool parse(const char *text, struct arena *arena, struct model *m, struct err *err)
{
    return describe_parse("own.yaml", text, strlen(text), NULL, arena, m, err);
}

static const char whole[] = "name: My Model\n"
                            "context_length: 8192\n"
                            "hidden_size: 4096\n"
                            "num_layers: 32\n"
                            "num_heads: 32\n"
                            "kv_heads: 8\n"
                            "vocab_size: 128256\n"
                            "intermediate_size: 14336\n"
                            "quantization: Q4_K_M\n";

static void a_llama(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m, same;

    assert_true(parse(whole, &arena, &m, &err));
    assert_string_equal(m.name, "My Model");
    assert_string_equal(m.quantization, "Q4_K_M");
    assert_int_equal(m.hp.n_ctx_train, 8192);
    assert_int_equal(m.layers[0].n_embd_k, 1024);
    assert_false(m.from_file);
    /* the same sizes as Llama 3 8B give the same tensors */
    assert_true(open_model("llama-3-8b:Q4_K_M", NULL, &arena, &same, &err));
    assert_int_equal(m.parameters, same.parameters);
    assert_int_equal(m.file_bytes, same.file_bytes);
}

static void defaults(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_true(parse("{context_length: 4096, hidden_size: 4096, num_layers: 32, num_heads: 32}",
                      &arena, &m, &err));
    assert_int_equal(m.parameters, 6738415616); /* Llama 2 7B */
    assert_string_equal(m.quantization, "F16");
    assert_string_equal(m.name, "own.yaml");
    assert_true(parse("context_length: 4096\nhidden_size: 100\nnum_layers: 2\nnum_heads: 3\n"
                      "head_dim: 128\nexperts: 8\nexperts_used: 2\nquantization: F16\n",
                      &arena, &m, &err));
    assert_int_equal(m.layers[0].head_dim_k, 128);
    assert_int_equal(m.layers[0].ffn, FFN_MOE);
}

struct refusal {
    const char *text, *at, *reason;
};

static void refusals(void **state)
{
#define REST "context_length: 4096\nhidden_size: 4096\nnum_layers: 32\nnum_heads: 32\n"
    static const struct refusal cases[] = {
        {"context_length: 0",                                                                 "line 1, column 17", "Context length must be positive"                                },
        {"hidden_size: 0",                                                                    "line 1, column 14", "Hidden size must be positive"                                   },
        {"hidden_size: -4",                                                                   "line 1, column 14", "Hidden size must be positive"                                   },
        {"num_layers: 0",                                                                     "line 1, column 13", "Number of layers must be positive"                              },
        {"num_heads: 0",                                                                      "line 1, column 12", "Number of heads must be positive"                               },
        {"kv_heads: 0",                                                                       "line 1, column 11", "Number of KV heads must be positive"                            },
        {"context_length: 4096\nhidden_size: 100\nnum_layers: 2\nnum_heads: 3\n",
         "line 4, column 12",                                                                                      "Hidden size (100) must be divisible by number of heads (3)"     },
        {"context_length: 4096\nhidden_size: 96\nnum_layers: 2\nnum_heads: 3\nkv_heads: 2\n",
         "line 5, column 11",                                                                                      "Number of heads (3) must be divisible by number of KV heads (2)"},
        {"num_layers: 100000",                                                                "line 1, column 13", "num_layers must be at most 512"                                 },
        {"num_layers: many",                                                                  "line 1, column 13", "num_layers must be a whole number"                              },
        {"num_layers: [1, 2]",                                                                "line 1, column 13", "a single value is expected here"                                },
        {"num_layers: 99999999999999999999",                                                  "line 1, column 13",
         "num_layers must be a whole number"                                                                                                                                        },
        {"num_layers: 2\nnum_layers: 3",                                                      "line 2, column 1",  "this key was given before"                                      },
        {"context_length: 4096",                                                              "line 1, column 1",  "hidden_size is missing"                                         },
        {"- 1\n- 2\n",                                                                        "line 1, column 1",  "a mapping of hyper-parameters is expected"                      },
        {"",                                                                                  "line 1, column 1",  "a mapping of hyper-parameters is expected"                      },
        {REST "experts: 4\nexperts_used: 5\n",                                                "line 5, column 10",
         "experts_used must be 1 to experts"                                                                                                                                        },
    };
#undef REST

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        own(own_arena) struct arena arena = {0};
        struct err err = {0};
        struct model m;
        assert_false(parse(cases[i].text, &arena, &m, &err));
        assert_int_equal(err.code, ERR_2007);
        if (!strstr(err.title, cases[i].at) || !strstr(err.why[0], cases[i].reason))
            fail_msg("\"%s\" | \"%s\" for \"%s\"", err.title, err.why[0], cases[i].text);
    }
}

static void not_yaml(void **state)
{
    own(own_arena) struct arena arena = {0};
    static const char *const texts[] = {
        "a: [b", "\"x", "a: *b", "\t- x", "? ? ? ?", "a: &x {b: *x}", "num_layers: \"4\\0\"\n"};
    struct err err = {0};
    struct model m;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err = (struct err){0};
        assert_false(parse(texts[i], &arena, &m, &err));
        assert_int_equal(err.code, ERR_2007);
        assert_non_null(strstr(err.title, "line "));
    }
    char deep[4000];
    memset(deep, '[', sizeof deep);
    assert_false(describe_parse("deep.yaml", deep, sizeof deep, NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2007);
    assert_false(parse("num_heds: 4", &arena, &m, &err));
    assert_non_null(strstr(err.title, "num_heds is no hyper-parameter"));
    assert_non_null(strstr(err.fix[0].text, "num_heads"));
}

static void files(void **state)
{
    own(own_arena) struct arena arena = {0};
    char *dir = make_dir(), path[256];
    struct err err = {0};
    struct model m;
    FILE *f;

    snprintf(path, sizeof path, "%s/own.yaml", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(whole, f);
    fclose(f);
    assert_true(open_model(path, NULL, &arena, &m, &err));
    assert_string_equal(m.quantization, "Q4_K_M");
    assert_true(open_model(path, "Q8_0", &arena, &m, &err));
    assert_string_equal(m.quantization, "Q8_0");
    f = fopen(path, "a");
    for (int i = 0; i < 20000; i++)
        fputs("# a comment that makes this file longer than any description is\n", f);
    fclose(f);
    assert_false(open_model(path, NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_2007);
    make_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_llama),  cmocka_unit_test(defaults), cmocka_unit_test(refusals),
        cmocka_unit_test(not_yaml), cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
