/* speed_rows: reads the fixture of measurements and lays every one of them out on its cards. */
#include "speed_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static void close_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

enum { COLUMNS = 12, LINE = 600 };
enum { DATE, BACKEND, CARD, CARDS, MODEL, QUANT, FLASH, SPLIT, TEST, TPS, DISTURBED };

static const char *const PROFILES[][2] = {
    {"Llama 2 7B",          "llama-2-7b"  },
    {"Llama 2 7B Chat",     "llama-2-7b"  },
    {"Llama 2 13B",         "llama-2-13b" },
    {"Llama 2 70B",         "llama-2-70b" },
    {"Llama 3 8B",          "llama-3-8b"  },
    {"Llama 3 70B",         "llama-3-70b" },
    {"Llama 3.2 1B",        "llama-3.2-1b"},
    {"gpt-oss 20B",         "gpt-oss-20b" },
    {"gpt-oss 120B",        "gpt-oss-120b"},
    {"GLM-4-MoE 106B.A12B", "glm-4.5-air" },
    {"Qwen3 32B",           "qwen3-32b"   },
};

/* Distinct models and placements are made once. */
struct known_model {
    char ref[64];
    struct model model;
    struct known_model *next;
};
struct known_work {
    const struct model *model;
    bool flash;
    struct speed_work work;
    struct known_work *next;
};
static struct known_model *models;
static struct known_work *works;

static const char *profile_of(const char *name)
{
    for (size_t i = 0; i < sizeof(PROFILES) / sizeof(PROFILES[0]); i++)
        if (strcmp(PROFILES[i][0], name) == 0)
            return PROFILES[i][1];
    return NULL;
}

static const struct model *find_model(struct arena *arena, const char *name, const char *quant)
{
    const char *profile = profile_of(name);
    char ref[64];
    struct err err = {0};
    if (!profile)
        return NULL;
    snprintf(ref, sizeof(ref), "%s:%s", profile, quant);
    for (struct known_model *k = models; k; k = k->next)
        if (strcmp(k->ref, ref) == 0)
            return &k->model;
    struct known_model *k = arena_new(arena, struct known_model);
    memcpy(k->ref, ref, sizeof(ref));
    struct model_request req = {.ref = ref};
    if (!model_open(&req, arena, &k->model, &err))
        return NULL;
    k->next = models;
    return &(models = k)->model;
}

static const struct speed_work *find_work(struct arena *arena, const struct model *m,
                                          const struct law_settings *s, bool flash)
{
    for (struct known_work *k = works; k; k = k->next)
        if (k->model == m && k->flash == flash)
            return &k->work;
    struct known_work *k = arena_new(arena, struct known_work);
    k->model = m;
    k->flash = flash;
    speed_work_make(m, s, flash, NULL, &k->work);
    k->next = works;
    return &(works = k)->work;
}

static bool make_machine(struct arena *arena, char **cell, struct machine *out)
{
    const struct card *c = card_find(cell[CARD]);
    uint32_t n = (uint32_t)atoi(cell[CARDS]);
    if (!c || n < 1 || n > MACHINE_MAX_DEVICES)
        return false;
    *out = (struct machine){
        .n_devices = n,
        .host = {
                 .total_bytes = 256ull << 30, .free_bytes = 256ull << 30, .cores = 16, .avx2 = true}
    };
    enum backend b = strcmp(cell[BACKEND], "ROCm") == 0     ? BACKEND_ROCM
                     : strcmp(cell[BACKEND], "Vulkan") == 0 ? BACKEND_VULKAN
                                                            : BACKEND_CUDA;
    for (uint32_t i = 0; i < n; i++)
        out->devices[i] = (struct device){
            .index = (int)i,
            .name = arena_strdup(arena, c->name),
            .backend = b,
            .simulated = true,
            .total_bytes = c->total_bytes,
            .free_bytes = c->total_bytes,
            .cc_major = c->cc_major,
            .cc_minor = c->cc_minor,
            .sms = c->sms,
            .bandwidth_gbs = c->bandwidth_gbs,
            .pcie_gen = c->pcie_gen,
            .pcie_lanes = c->pcie_lanes,
        };
    return true;
}

/* "tg128", "pp512", "tg128@32768", "tg1023@494" (after a prompt of 494). */
static bool read_test(const char *text, struct speed_row *row)
{
    char kind[3] = {text[0], text[0] ? text[1] : 0, 0};
    char *end;
    row->prefill = strcmp(kind, "pp") == 0;
    if (!row->prefill && strcmp(kind, "tg") != 0)
        return false;
    row->tokens = (uint32_t)strtoul(text + 2, &end, 10);
    row->depth = *end == '@' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
    return row->tokens > 0 && !(row->prefill && row->depth);
}

static bool make_case(struct arena *arena, char **cell, struct speed_row *row)
{
    struct law_settings *s = arena_new(arena, struct law_settings);
    struct law_result *law = arena_new(arena, struct law_result);
    struct machine *mc = arena_new(arena, struct machine);
    struct err err = {0};
    const struct model *m = find_model(arena, cell[MODEL], cell[QUANT]);
    if (!m || !make_machine(arena, cell, mc))
        return false;
    *s = law_default_settings();
    s->n_ctx = row->tokens + row->depth;
    s->flash = atoi(cell[FLASH]) ? FLASH_ON : FLASH_OFF;
    s->split = strcmp(cell[SPLIT], "tensor") == 0 ? SPLIT_TENSOR : SPLIT_LAYER;
    if (s->split == SPLIT_TENSOR)
        s->flash = FLASH_ON;
    if (!law_estimate_static(m, mc, s, arena, law, &err)) {
        fprintf(stderr, "%s on %s: %s\n", cell[MODEL], cell[CARD], err.title);
        return false;
    }
    law->flash_on = s->flash == FLASH_ON;
    row->in = (struct speed_case){.model = m,
                                  .machine = mc,
                                  .settings = s,
                                  .placement = law,
                                  .work = find_work(arena, m, s, law->flash_on)};
    row->in.depth = row->depth + row->tokens / 2;
    row->in.prompt = row->prefill ? row->tokens : 64;
    struct speed_card card;
    speed_card_make(speed_coefs, &mc->devices[0], &card);
    row->class = card.class;
    return true;
}

static int split_line(char *line, char **cell)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    while (n < COLUMNS && line)
        cell[n++] = strsep(&line, ",");
    return n;
}

/* Runs of one card, model and kind share a weight that grows with the root of their number. */
static void weigh(struct speed_rows *rows)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        uint32_t same = 0;
        const struct speed_row *a = &rows->row[i];
        for (uint32_t j = 0; j < rows->n; j++) {
            const struct speed_row *b = &rows->row[j];
            same += a->prefill == b->prefill && a->n_cards == b->n_cards &&
                    a->in.model == b->in.model && strcmp(a->card, b->card) == 0;
        }
        /* Rows of engines of 2025 and later count double: that is what the plan is for. */
        rows->row[i].weight = (a->old ? 1.0 : 2.0) / (same > 1 ? __builtin_sqrt(same) : 1);
    }
}

bool speed_rows_read(struct speed_rows *rows, const char *path)
{
    char line[LINE], *cell[COLUMNS];
    own(close_file) FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof(line), f))
        return false;
    *rows = (struct speed_rows){.row = calloc(ROWS_MAX, sizeof(struct speed_row))};
    arena_init(&rows->arena, (size_t)2 << 30);
    while (rows->row && rows->n < ROWS_MAX && fgets(line, sizeof(line), f)) {
        struct speed_row *row = &rows->row[rows->n];
        bool ok = split_line(line, cell) > DISTURBED && read_test(cell[TEST], row) &&
                  strcmp(cell[SPLIT], "row") != 0 &&
                  /* before tensor cores were used on quantised prompts: another engine */
                  !(row->prefill && strcmp(cell[DATE], "2024-01") != 0 &&
                    strcmp(cell[DATE], "2024-05") < 0) &&
                  make_case(&rows->arena, cell, row);
        if (!ok) {
            rows->skipped++;
            continue;
        }
        row->card = row->in.machine->devices[0].name;
        row->model = row->in.model->name;
        row->quantization = row->in.model->quantization;
        row->n_cards = row->in.machine->n_devices;
        row->year = arena_strndup(&rows->arena, cell[DATE], 4);
        row->old = strcmp(row->year, "2025") < 0;
        row->tps = atof(cell[TPS]);
        row->disturbed = atoi(cell[DISTURBED]) != 0;
        rows->n++;
    }
    weigh(rows);
    return rows->n > 0;
}

void speed_rows_free(struct speed_rows *rows)
{
    models = NULL;
    works = NULL;
    arena_finish(&rows->arena);
    free(rows->row);
    *rows = (struct speed_rows){0};
}

struct speed_range speed_row_predict(const struct speed_row *row, const double *coefs)
{
    struct speed_card cards[MACHINE_MAX_DEVICES];
    struct speed_case in = row->in;
    struct speed out;
    double k[SPEED_COEF_COUNT];
    memcpy(k, coefs, sizeof(k));
    if (row->old) {
        k[SPEED_LAUNCH_US] *= coefs[FIT_LAUNCH_OLD];
    }
    speed_card_make(k, &in.machine->devices[0], &cards[0]);
    for (uint32_t i = 1; i < in.machine->n_devices; i++)
        cards[i] = cards[0];
    in.coefs = k;
    in.cards = cards;
    speed_estimate(&in, &out);
    return row->prefill ? out.prefill : out.decode_depth;
}
