/* test_read: good headers, and every kind of broken one, by name. */
#include "hold.h"

#define T(type, shape, from, to) \
    "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void whole(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct safetensors st;
    (void)state;
    assert_true(hold_parse(
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":" T("BF16", "[2,3]", 4, 16) ",\"a\":" T(
            "F32", "[]", 0, 4) ",\"e\":" T("U8", "[0,7]", 16, 16) "}   ",
        16, &arena, &st, &err));
    assert_int_equal(st.n_tensors, 3);
    assert_string_equal(st.tensors[0].name, "a");
    assert_int_equal(st.tensors[1].bytes, 12);
    assert_int_equal(st.tensors[1].shape[1], 3);
    assert_int_equal(st.data_bytes, 16);
    assert_true(hold_parse("{}", 0, &arena, &st, &err));
    assert_int_equal(st.n_tensors, 0);
    assert_true(hold_parse("{\"q\\u00e9\\\"\":" T("F4", "[6]", 0, 3) "}", 3, &arena, &st, &err));
    assert_string_equal(st.tensors[0].name, "q\xc3\xa9\"");
}

struct broken {
    const char *name, *json;
    uint64_t data;
    const char *says;
};

static void hostile(void **state)
{
    static const struct broken cases[] = {
        {"hole",                                         "{\"a\":" T("U8",                         "[4]",                                                                                 0,                                                                                                                                                4) ",\"b\":" T("U8", "[4]", 5, 9) "}", 9,
         "with a hole since 4"},
        {"overlap",                                         "{\"a\":" T("U8",                                                                                "[4]",                                                                                                                                                               0,                                                                                                                                                                                                                                                                                                              4) ",\"b\":" T("U8", "[4]", 3, 7) "}", 7,
         "inside of the tensor"},
        {"behind the end",                                              "{\"a\":" T("U8",                                                                              "[400]",                                                                                                           0,                                                                                                                                                                       400) "}", 4, "outside of the file"},
        {"data left over",                           "{\"a\":" T("U8",                                                              "[4]",                                                                                                                                                  0,4) "}", 5, "end at 4 of 5"},
        {"backwards",                         "{\"a\":" T("U8",                                                                 "[4]",                                                                                                                                       8,                                                                                                                                                                                                                          4) "}", 8, "outside of the file"},
        {"shape and range differ",                                             "{\"a\":" T("F32",                                                                             "[2]",                                                       0,            4) "}", 4, "its shape needs 8"},
        {"shape overflows",                               "{\"a\":" T("F32",                             "[4294967296,4294967296,8]",                                                0,                                              4) "}", 4,
         "2^64 bits"},
        {"half a byte",                                             "{\"a\":" T("F4",                                                                      "[3]",                                                                                                                                                           0,                                                                                                                                                                                                                                                                                                 1) "}", 1, "needs 1"},
        {"unknown type",                                         "{\"a\":" T("F12",                "[1]",0,1) "}", 1, "no such type: F12"},
        {"name twice",                                              "{\"a\":" T("U8",                                                               "[1]",                                                                                       0,                                                                                                                                                      1) ",\"a\":" T("U8", "[1]", 1, 2) "}", 2,
         "stands there twice"},
        {"type twice",                                        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}",                                                                               0,                                                                                                                                                 "twice"                                                                                                                                                                                                                                                                                     },
        {"no place","{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}",1,                     "lacks its type"                                                                                                                 },
        {"strange key",                                    "{\"a\":{\"dtyp\":\"U8\"}}",                                                                            1,                                                                                                                                                     "no \"dtyp\""                                                                                                                                                                                                                                        },
        {"nine dimensions",                                             "{\"a\":" T("U8",                                                                               "[1,1,1,1,1,1,1,1,1]",         0,1) "}", 1, "8 dimensions"},
        {"negative",                                 "{\"a\":" T("U8",                "[-1]",                                                                                 0,                                                                                                                                                                                                                                                                        1) "}", 1, "whole number"},
        {"fraction",                                             "{\"a\":" T("U8",                                                                  "[1.0]",                                                                                                                                                       0,                                                                                                                                                                                                                                                                                            1) "}", 1, "whole number"},
        {"leading zero",                                         "{\"a\":" T("U8",                  "[01]",0,1) "}", 1, "whole number"},
        {"number of 2^64",                                        "{\"a\":" T("U8",                                                                               "[18446744073709551616]",                                                                                                                                                            0,                                                                                                                                                                                                                                                                                                            1) "}", 1,
         "larger than 2^64"},
        {"not JSON","hello",0,"'{' is missing"},
        {"no end",      "{\"a\":" T("U8",                                                              "[1]",                                                                                                               0,                                                                                                                                              1), 1, "','"},
        {"ends in a string","{\"a",0,"ends inside of a string"},
        {"control byte","{\"a\n\":" T("U8","[1]",   0,                                                                                                                                                                                                                                                                                              1) "}", 1, "control byte"},
        {"NUL in a name",                                "{\"a\\u0000b\":" T("U8",                                                                        "[1]",                                                                                                                                                    0,                                                                                                                                                                                                                                                    1) "}", 1, "no name has"},
        {"half a surrogate",                                             "{\"\\ud800x\":" T("U8",                                                                               "[1]",                                                                                   0,1) "}", 1, "surrogate"},
        {"not UTF-8",                                     "{\"\xff\":" T("U8",                 "[1]",                              0,                       1) "}", 1, "not UTF-8"},
        {"two values",                                             "{} {}",                                                                       0,                                                                                                                                                            "behind its JSON"                                                                                                                                                                                                                                                                                              },
        {"trailing comma",                                        "{\"a\":" T("U8",                                                              "[1]",                                                                                                                                                0,                                                                                                                                                                                                                                                                                                            1) ",}", 1, "missing"},
        {"metadata twice",                                              "{\"__metadata__\":{},\"__metadata__\":{}}",                                                                       0,                                                                                                     "twice"                                                                                                                                              },
        {"deep metadata",                                        "{\"__metadata__\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}",                                                                               0,                                                                                                                                                              "deep"                                                                                                                                                                                                                                                                                                             },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct safetensors st;
        struct err err = {0};
        if (hold_parse(cases[i].json, cases[i].data, &arena, &st, &err))
            fail_msg("%s was accepted", cases[i].name);
        assert_int_equal(err.code, ERR_2009);
        if (!strstr(err.title, cases[i].says))
            fail_msg("%s: %s", cases[i].name, err.title);
        assert_int_equal(arena.used_bytes, 0);
    }
}

static void lengths(void **state)
{
    static const struct hold cases[] = {
        {"{}", 0,          10               },
        {"{}", 1,          10               },
        {"{}", 3,          10               },
        {"{}", UINT64_MAX, 10               },
        {"{}", 100000001,  (uint64_t)1 << 40},
        {"",   2,          7                }
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        own(own_arena) struct arena arena = {0};
        struct hold h = cases[i];
        struct safetensors_source src = {
            .name = "x", .size_bytes = h.size, .read_at = hold_read, .ctx = &h};
        struct safetensors st;
        struct err err = {0};
        assert_false(safetensors_read(&src, &arena, &st, &err));
        assert_int_equal(err.code, ERR_2009);
    }
}

static bool open_two(void *ctx, const char *name, struct safetensors_source *out, struct err *err)
{
    struct hold *h = ctx;
    if (strcmp(name, "m-1.safetensors") != 0 && strcmp(name, "m-2.safetensors") != 0)
        return err_set(err, ERR_2001, "%s: not there", name);
    h += name[2] - '1';
    *out = (struct safetensors_source){
        .name = name, .size_bytes = h->size, .read_at = hold_read, .ctx = h};
    return true;
}

static bool read_two(const char *index, struct arena *arena, struct safetensors *out,
                     struct err *err)
{
    static const char one[] = "{\"a\":" T("U8", "[4]", 0, 4) "}",
                      two[] = "{\"b\":" T("F16", "[4]", 0, 8) "}";
    struct hold files[2] = {
        {one, sizeof(one) - 1, 8 + sizeof(one) - 1 + 4},
        {two, sizeof(two) - 1, 8 + sizeof(two) - 1 + 8}
    };
    struct safetensors_opener opener = {open_two, files};
    return safetensors_read_set("index.json", index, strlen(index), &opener, arena, out, err);
}

static void sets(void **state)
{
    static const struct {
        const char *index;
        enum err_code code;
        const char *says;
    } broken[] = {
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\"}}",                           ERR_NONE, ""               },
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\"}}", ERR_2004,
         "looks for 2"                                                                                        },
        {"{\"weight_map\":{\"b\":\"m-1.safetensors\",\"a\":\"m-2.safetensors\"}}", ERR_2004,
         "elsewhere"                                                                                          },
        {"{\"weight_map\":{\"x\":\"m-1.safetensors\"}}",                           ERR_2004, "does not know"  },
        {"{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}",                        ERR_2009, "plain file name"},
        {"{\"weight_map\":{\"a\":\"/etc/m.safetensors\"}}",                        ERR_2009, "plain file name"},
        {"{\"weight_map\":{\"a\":\"m-1.bin\"}}",                                   ERR_2009, "plain file name"},
        {"{\"weight_map\":{\"a\":\"m-9.safetensors\"}}",                           ERR_2001, "not there"      },
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"a\":\"m-1.safetensors\"}}", ERR_2009,
         "twice"                                                                                              },
        {"{\"weight_map\":{}}",                                                    ERR_2009, "no tensor"      },
        {"{\"metadata\":{\"total_size\":1.5e3}}",                                  ERR_2009, "no tensor"      },
        {"[]",                                                                     ERR_2009, "'{'"            },
    };
    own(own_arena) struct arena arena = {0};
    struct safetensors st;
    struct err err = {0};
    (void)state;
    assert_true(
        read_two("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"b\":\"m-2.safetensors\","
                 "\"a\":\"m-1.safetensors\"}}",
                 &arena, &st, &err));
    assert_int_equal(st.n_tensors, 2);
    assert_int_equal(st.n_shards, 2);
    assert_int_equal(st.data_bytes, 12);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        err = (struct err){0};
        bool ok = read_two(broken[i].index, &arena, &st, &err);
        assert_int_equal(ok, broken[i].code == ERR_NONE);
        if (err.code != broken[i].code || !strstr(err.title, broken[i].says))
            fail_msg("%s: %s", broken[i].index, err.title);
    }
}

static void no_file(void **state)
{
    own(own_safetensors_source) struct safetensors_source src = {0};
    struct err err = {0};
    (void)state;
    assert_false(safetensors_source_file("/dev/zero", &src, &err));
    assert_int_equal(err.code, ERR_2008);
    assert_false(safetensors_source_file("/nowhere/x.safetensors", &src, &err));
    assert_int_equal(err.code, ERR_2001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole), cmocka_unit_test(hostile), cmocka_unit_test(lengths),
        cmocka_unit_test(sets),  cmocka_unit_test(no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
