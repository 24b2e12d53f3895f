/* special_hostile: a header of a recurrent, hybrid or latent family with one line gone or one
 * number bent is planned or refused with a reason, never more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "law/law.h"
#include "model/profile.h"

enum { TEXT_MAX = 1 << 16, LINES_MAX = 256 };
#define GIB ((uint64_t)1 << 30)

/* One section of the models' text. */
struct section {
    char *line[LINES_MAX];
    int n;
    char name[64];
};

static char text[TEXT_MAX];

static bool is_section(const char *line)
{
    return line[0] == '[';
}

/* Cuts the next section out of the text at *at; its lines stay there. */
static bool next_section(char **at, struct section *s)
{
    s->n = 0;
    char *line = *at;
    while (*line && s->n < LINES_MAX) {
        char *end = line + strcspn(line, "\n");
        if (is_section(line) && s->n > 0)
            break;
        bool kept = line[0] != '#' && line[0] != '\n' && (s->n > 0 || is_section(line));
        if (kept)
            s->line[s->n++] = line;
        if (*end)
            *end++ = '\0';
        line = end;
    }
    *at = line;
    if (s->n == 0)
        return false;
    snprintf(s->name, sizeof s->name, "%.*s", (int)strcspn(s->line[0] + 1, "]"), s->line[0] + 1);
    return true;
}

/* The section with line i replaced (NULL: left out). */
static void write_out(const struct section *s, int i, const char *instead, char *out, size_t cap)
{
    size_t at = 0;
    for (int l = 0; l < s->n; l++) {
        const char *line = l == i ? instead : s->line[l];
        if (line)
            at += (size_t)snprintf(out + at, cap - at, "%s\n", line);
        assert_true(at < cap);
    }
}

static bool estimate(const char *header, const char *name, struct err *err)
{
    own(own_arena) struct arena arena = {0};
    struct machine machine = {.n_devices = 1, .host = {.avx2 = true}};
    struct law_settings s = law_default_settings();
    struct law_result got;
    struct model m;
    struct gguf g;
    machine.devices[0] = (struct device){.total_bytes = 80 * GIB, .free_bytes = 79 * GIB};
    s.n_ctx = 1024;
    s.n_ubatch = 64;
    s.n_seq_max = 2;
    s.n_rs_seq = 1;
    if (!profile_read(header, name, &arena, &g, err) ||
        !model_from_gguf(&g, name, &arena, &m, err) ||
        !law_estimate(&m, &machine, &s, &arena, &got, err))
        return false;
    s = law_nextn_settings(&s, got.n_ctx, GGUF_TYPE_F16, GGUF_TYPE_F16);
    return m.hp.n_nextn == 0 || law_estimate(&m, &machine, &s, &arena, &got, err);
}

static void expect_answer(const struct section *s, int i, const char *instead)
{
    static char header[TEXT_MAX];
    struct err err = {0};
    write_out(s, i, instead, header, sizeof header);
    if (!estimate(header, s->name, &err) && (err.code == ERR_NONE || err.title[0] == '\0'))
        fail_msg("%s: refused without a reason: %s", s->name, s->line[i]);
}

static void bend(const struct section *s, int i)
{
    static const char *const numbers[] = {"0", "1", "7", "65536", "4000000000"};
    char line[256];
    const char *is = strstr(s->line[i], " = ");
    if (!is || is[3] == '[' || strncmp(s->line[i], "block_count", 11) == 0)
        return; /* the text itself is written out once per block */
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        snprintf(line, sizeof line, "%.*s = %s", (int)(is - s->line[i]), s->line[i], numbers[n]);
        expect_answer(s, i, line);
    }
}

static void one_line_gone(void **state)
{
    char *at = text;
    struct section s;
    int sections = 0;
    (void)state;
    for (; next_section(&at, &s); sections++) {
        for (int i = 1; i < s.n; i++) {
            expect_answer(&s, i, NULL);
            bend(&s, i);
        }
    }
    assert_true(sections > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_line_gone)};
    FILE *f = fopen(MODELS_FILE, "r");
    if (!f || fread(text, 1, TEXT_MAX - 1, f) == 0 || fclose(f) != 0) {
        fputs("special_hostile: the models cannot be read\n", stderr);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
