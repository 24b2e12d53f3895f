/* special_bytes: recurrent, hybrid and latent families take what the real engine took, to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "model/profile.h"
#include "truth_rows.h"

enum { ARCHITECTURES_MAX = 64, TEXT_MAX = 1 << 20 };

static struct arena keep; /* rows and test names */
static struct truth_row *rows;
static size_t n_rows;
static char models_text[TEXT_MAX];

/* The header of a row's model: one of this folder's text, else a built-in profile. */
static void open_model(const struct truth_row *row, struct arena *arena, struct model *out)
{
    struct err err = {0};
    struct gguf *g = arena_new(arena, struct gguf);
    struct model_request built_in = {.ref = row->model, .quant = row->ftype};
    bool ok = profile_known(row->model) ? model_open(&built_in, arena, out, &err)
                                        : profile_read(models_text, row->model, arena, g, &err) &&
                                              model_from_gguf(g, row->model, arena, out, &err);
    if (!ok)
        fail_msg("%s: %s", row->model, err.title);
}

static void expect_bytes(const struct truth_row *row, const char *where,
                         const struct truth_bytes *want, const struct law_bytes *got, bool weights)
{
    if (weights && want->weights != got->weights)
        fail_msg("%s %s: weights on %s are %ju, not %ju", row->model, row->text, where,
                 (uintmax_t)got->weights, (uintmax_t)want->weights);
    if (want->kv != got->kv)
        fail_msg("%s %s: KV and state on %s are %ju, not %ju", row->model, row->text, where,
                 (uintmax_t)got->kv, (uintmax_t)want->kv);
    if (want->compute != got->compute)
        fail_msg("%s %s: compute on %s is %ju, not %ju", row->model, row->text, where,
                 (uintmax_t)got->compute, (uintmax_t)want->compute);
}

static void check_row(const struct truth_row *row)
{
    own(own_arena) struct arena arena = {0};
    struct machine machine = truth_machine(row);
    struct law_result got;
    struct err err = {0};
    struct model m;
    /* rows of a draft context name the weights of the model it shares */
    bool loads = row->settings.context == CONTEXT_MAIN;
    open_model(row, &arena, &m);
    bool ok = law_estimate(&m, &machine, &row->settings, &arena, &got, &err);
    if (ok != row->ok)
        fail_msg("%s %s: %s", row->model, row->text,
                 ok ? "accepted, the engine refuses" : err.title);
    if (!ok)
        return;
    for (uint32_t i = 0; i < row->n_devices; i++) {
        char where[24];
        snprintf(where, sizeof where, "device %u", i);
        expect_bytes(row, where, &row->device[i], &got.device[i].bytes, loads);
    }
    expect_bytes(row, "the host", &row->host, &got.host, loads && row->n_devices > 0);
    assert_int_equal(got.n_ctx, row->n_ctx);
}

static void check_architecture(void **state)
{
    for (size_t i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].arch, *state) == 0)
            check_row(&rows[i]);
    }
}

static size_t tests_make(struct CMUnitTest *tests)
{
    size_t n = 0;
    for (size_t i = 0; i < n_rows; i++) {
        bool known = false;
        for (size_t t = 0; t < n; t++)
            known |= strcmp(tests[t].name, rows[i].arch) == 0;
        if (!known && n < ARCHITECTURES_MAX)
            tests[n++] = (struct CMUnitTest){.name = rows[i].arch,
                                             .test_func = check_architecture,
                                             .initial_state = (void *)(uintptr_t)rows[i].arch};
    }
    return n;
}

/* Comments and empty lines are left out, as in the built-in text. */
static bool read_models(const char *path)
{
    char line[1024];
    size_t at = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f) && at + sizeof line < TEXT_MAX) {
        size_t len = strlen(line);
        if (line[0] == '#' || line[0] == '\n')
            continue;
        memcpy(models_text + at, line, len + 1);
        at += len;
    }
    fclose(f);
    return at > 0;
}

int main(void)
{
    static struct CMUnitTest tests[ARCHITECTURES_MAX];
    if (!read_models(MODELS_FILE) || !truth_rows_read(ROWS_FILE, &keep, &rows, &n_rows)) {
        fputs("special_bytes: the data files cannot be read\n", stderr);
        return 1;
    }
    size_t n = tests_make(tests);
    int failed = _cmocka_run_group_tests("special families", tests, n, NULL, NULL);
    arena_finish(&keep);
    return failed;
}
