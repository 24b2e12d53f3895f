/* static_refuse: what the engine refuses is refused, with a reason and a setting that is accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/law.h"

#define GIB ((uint64_t)1 << 30)

typedef void (*change_fn)(struct law_settings *s);

/* A command that is refused, the fix that is offered first, and what that fix does. */
struct refusal {
    const char *model;
    change_fn wish;
    enum err_code code;
    const char *says, *fix;
    change_fn mend;
};

static void np_300(struct law_settings *s)
{
    s->n_seq_max = 300;
}
static void np_256(struct law_settings *s)
{
    s->n_seq_max = 256;
}
static void np_64_of_32(struct law_settings *s)
{
    s->n_seq_max = 64;
    s->n_batch = 32;
}
static void np_32(struct law_settings *s)
{
    s->n_seq_max = 32;
}
static void row(struct law_settings *s)
{
    s->split = SPLIT_ROW;
}
static void layer(struct law_settings *s)
{
    s->split = SPLIT_LAYER;
}
static void tensor(struct law_settings *s)
{
    s->split = SPLIT_TENSOR;
}
static void tensor_without_flash(struct law_settings *s)
{
    s->split = SPLIT_TENSOR;
    s->flash = FLASH_OFF;
}
static void flash(struct law_settings *s)
{
    s->flash = FLASH_ON;
}
static void mixed(struct law_settings *s)
{
    s->type_k = GGUF_TYPE_Q8_0;
}
static void both_q8(struct law_settings *s)
{
    s->type_k = s->type_v = GGUF_TYPE_Q8_0;
}
static void q8_without_flash(struct law_settings *s)
{
    both_q8(s);
    s->flash = FLASH_OFF;
}
static void k_q4(struct law_settings *s)
{
    s->type_k = GGUF_TYPE_Q4_K;
}
static void k_q8(struct law_settings *s)
{
    s->type_k = GGUF_TYPE_Q8_0;
}
static void k_f16(struct law_settings *s)
{
    s->type_k = GGUF_TYPE_F16;
}
static void card_9(struct law_settings *s)
{
    s->split = SPLIT_NONE;
    s->main_gpu = 9;
}
static void card_0(struct law_settings *s)
{
    s->main_gpu = 0;
}
static void no_batch(struct law_settings *s)
{
    s->n_batch = 0;
}
static void batch(struct law_settings *s)
{
    s->n_batch = 2048;
}
static void huge(struct law_settings *s)
{
    s->n_ctx = UINT32_MAX;
}
static void ctx_8192(struct law_settings *s)
{
    s->n_ctx = 8192;
}

static const struct refusal REFUSALS[] = {
    {"llama-3.1-8b:Q4_K_M",     np_300,               ERR_2114, "256",           "-np 256",             np_256  },
    {"llama-3.1-8b:Q4_K_M",     np_64_of_32,          ERR_2114, "64",            "-np 32",              np_32   },
    {"llama-3.1-8b:Q4_K_M",     row,                  ERR_2112, "split buffers", "-sm layer",           layer   },
    {"deepseek-v2-lite:Q4_K_M", tensor,               ERR_2112, "deepseek2",     "-sm layer",           layer   },
    {"llama-3.1-8b:Q4_K_M",     tensor_without_flash, ERR_2110, "flash",         "-fa on",              flash   },
    {"deepseek-v2-lite:Q4_K_M", mixed,                ERR_2110, "q8_0",          "-ctk q8_0 -ctv q8_0", both_q8 },
    {"llama-3.1-8b:Q4_K_M",     q8_without_flash,     ERR_2110, "q8_0",          "-fa on",              flash   },
    {"llama-3.1-8b:Q4_K_M",     k_q4,                 ERR_2114, "q4_K",          "-ctk q8_0",           k_q8    },
    {"phi-2:Q4_K_M",            mixed,                ERR_2110, "80",            "-ctk f16",            k_f16   },
    {"llama-3.1-8b:Q4_K_M",     card_9,               ERR_2114, "-mg 9",         "-mg 0",               card_0  },
    {"llama-3.1-8b:Q4_K_M",     no_batch,             ERR_2114, "batch",         "-b 2048 -ub 512",     batch   },
    {"llama-3.1-8b:Q4_K_M",     huge,                 ERR_2114, "4294967295",    "-c 8192",             ctx_8192},
};

static bool try(const struct refusal *r, struct law_settings *s, struct law_result *out,
                struct err *err)
{
    own(own_arena) struct arena arena = {0}, scratch = {0};
    struct model m;
    struct model_request req = {.ref = r->model};
    struct machine mc = {.n_devices = 2};
    for (int i = 0; i < 2; i++)
        mc.devices[i] = (struct device){.free_bytes = 24 * GIB, .total_bytes = 24 * GIB};
    if (!model_open(&req, &arena, &m, err))
        fail_msg("%s: %s", r->model, err->title);
    bool ok = law_estimate_static(&m, &mc, s, &scratch, out, err);
    arena_finish(&scratch);
    return ok;
}

static void test_refused_and_mended(void **state)
{
    for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(*REFUSALS); i++) {
        const struct refusal *r = &REFUSALS[i];
        struct law_settings s = law_default_settings();
        struct law_result out, before;
        struct err err = {0};
        memset(&out, 0x5a, sizeof(out));
        before = out;
        s.n_ctx = 4096;
        r->wish(&s);
        if (try(r, &s, &out, &err))
            fail_msg("case %zu (%s) is accepted", i, r->fix);
        assert_memory_equal(&out, &before, sizeof(out));
        assert_int_equal(err.code, r->code);
        assert_int_equal(err_exit_code(err.code), 2);
        if (!strstr(err.title, r->says))
            fail_msg("\"%s\" does not say %s", err.title, r->says);
        assert_true(err.n_fix > 0);
        assert_string_equal(err.fix[0].command, r->fix);
        r->mend(&s);
        if (!try(r, &s, &out, &err))
            fail_msg("%s does not help: %s", r->fix, err.title);
    }
}

static void test_accepted(void **state)
{
    static const struct refusal WISHES[] = {
        {"llama-3.1-8b:Q4_K_M",     both_q8, 0, "", "", NULL},
        {"llama-3.1-8b:Q4_K_M",     mixed,   0, "", "", NULL},
        {"llama-3.1-8b:Q4_K_M",     tensor,  0, "", "", NULL},
        {"deepseek-v2-lite:Q4_K_M", both_q8, 0, "", "", NULL},
        {"llama-3.1-8b:Q4_K_M",     np_256,  0, "", "", NULL},
    };
    for (size_t i = 0; i < sizeof(WISHES) / sizeof(*WISHES); i++) {
        struct law_settings s = law_default_settings();
        struct law_result out;
        struct err err = {0};
        WISHES[i].wish(&s);
        if (!try(&WISHES[i], &s, &out, &err))
            fail_msg("case %zu: %s", i, err.title);
    }
}

static void test_quantised_v_turns_flash_on(void **state)
{
    struct law_settings s = law_default_settings();
    struct law_result out;
    struct err err = {0};
    both_q8(&s);
    assert_true(try(&REFUSALS[0], &s, &out, &err));
    assert_true(out.flash_on);
}

static void test_newest_law_is_the_default(void **state)
{
    const struct law_version *v = law_version_for(0);
    assert_string_equal(v->engine, "llama.cpp");
    assert_ptr_equal(law_version_for(UINT32_MAX), v);
    assert_non_null(law_version_for(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_and_mended),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_quantised_v_turns_flash_on),
        cmocka_unit_test(test_newest_law_is_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
