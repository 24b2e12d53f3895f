/* test_quantize: every tensor's type, for every mix the real quantiser was asked for (types.txt).
 */
#include "make.h"
#include "model/quantize.h"

struct expected {
    struct model m;
    uint8_t *types, *got;
    char title[400];
};

static uint8_t type_of(const char *name)
{
    uint32_t type;

    if (!gguf_type_by_name(name, &type))
        fail_msg("no type %s", name);
    return (uint8_t)type;
}

static void set_one(struct expected *e, const char *name, uint8_t type)
{
    for (uint32_t i = 0; i < e->m.n_tensors; i++) {
        if (!strcmp(e->m.tensors[i].name, name)) {
            e->types[i] = type;
            return;
        }
    }
    fail_msg("%s: no tensor %s", e->title, name);
}

/* "blk.0-3,6.attn_v.weight" */
static void set_pattern(struct expected *e, const char *pattern, uint8_t type)
{
    char name[128];
    const char *p = pattern + 4, *rest;

    if (strncmp(pattern, "blk.", 4) != 0) {
        set_one(e, pattern, type);
        return;
    }
    rest = strchr(p, '.');
    if (*p == '*') {
        for (uint32_t il = 0; il < e->m.n_layers; il++) {
            snprintf(name, sizeof name, "blk.%u%s", il, rest);
            set_one(e, name, type);
        }
        return;
    }
    while (p < rest) {
        char *end;
        long first = strtol(p, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long il = first; il <= last; il++) {
            snprintf(name, sizeof name, "blk.%ld%s", il, rest);
            set_one(e, name, type);
        }
        p = end + (*end == ',');
    }
}

static void compare(const struct expected *e)
{
    for (uint32_t i = 0; i < e->m.n_tensors; i++) {
        if (e->types[i] != e->got[i])
            fail_msg("%s: %s is %s, not %s", e->title, e->m.tensors[i].name,
                     gguf_type_info(e->got[i])->name, gguf_type_info(e->types[i])->name);
    }
}

static void begin(struct expected *e, struct arena *arena, const char *model, const char *mix,
                  const char *common)
{
    struct err err = {0};
    struct gguf g;

    snprintf(e->title, sizeof e->title, "%s %s", model, mix);
    assert_true(profile_read(profile_text, model, arena, &g, &err));
    assert_true(model_from_gguf(&g, model, arena, &e->m, &err));
    e->types = arena_array(arena, uint8_t, e->m.n_tensors);
    e->got = arena_array(arena, uint8_t, e->m.n_tensors);
    for (uint32_t i = 0; i < e->m.n_tensors; i++)
        e->types[i] =
            e->m.tensors[i].type == GGUF_TYPE_F16 ? type_of(common) : e->m.tensors[i].type;
    if (!quantize_types(&e->m, mix, arena, e->got, &err))
        fail_msg("%s: %s", e->title, err.title);
}

static void as_the_engine(void **state)
{
    own(own_arena) struct arena arena = {0};
    FILE *f = fopen(TYPES_FILE, "r");
    char line[4096], a[256], b[64], c[64];
    struct expected e = {0};
    int n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        if (line[0] != ' ') {
            if (n++)
                compare(&e);
            arena_finish(&arena);
            assert_int_equal(sscanf(line, "%255s %63s %63s", a, b, c), 3);
            begin(&e, &arena, a, b, c);
        } else {
            char *pattern = strtok(line, " \n"), *type = strtok(NULL, " \n");
            set_pattern(&e, pattern, type_of(type));
        }
    }
    compare(&e);
    fclose(f);
    assert_int_equal(n, 193);
}

/* Rows that no block divides fall back; what is small keeps its type. */
static void fall_backs(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;

    assert_true(open_model("falcon-7b:Q4_K_M", NULL, &arena, &m, &err));
    assert_int_equal(model_at(&m, 0, ROLE_ATTN_QKV, PART_WEIGHT)->type, GGUF_TYPE_Q8_0);
    assert_int_equal(model_at(&m, 5, ROLE_FFN_UP, PART_WEIGHT)->type, GGUF_TYPE_Q5_0);
    assert_true(open_model("mixtral-8x7b:Q4_K_M", NULL, &arena, &m, &err));
    assert_int_equal(model_at(&m, 3, ROLE_ATTN_K, PART_WEIGHT)->type, GGUF_TYPE_Q8_0);
    assert_int_equal(model_at(&m, 3, ROLE_FFN_GATE_INP, PART_WEIGHT)->type, GGUF_TYPE_F32);
    assert_true(open_model("llama-3.2-3b:Q4_K_M", NULL, &arena, &m, &err));
    assert_int_equal(model_global(&m, ROLE_TOKEN_EMBD, PART_WEIGHT)->type, GGUF_TYPE_Q6_K);
}

static void names(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct err err = {0};
    struct model m;
    size_t n = 0;

    assert_string_equal(quantize_find("q4_k"), "Q4_K_M");
    assert_string_equal(quantize_find("iq4_xs"), "IQ4_XS");
    assert_null(quantize_find("Q4_K_X"));
    while (quantize_name(n)) {
        own(own_arena) struct arena one = {0};
        assert_true(open_model("qwen3-0.6b", quantize_name(n), &one, &m, &err));
        assert_string_equal(m.quantization, quantize_name(n));
        n++;
    }
    assert_true(n > 30);
    assert_false(open_model("qwen3-0.6b:Q4_K_X", NULL, &arena, &m, &err));
    assert_int_equal(err.code, ERR_9002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_engine),
        cmocka_unit_test(fall_backs),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
