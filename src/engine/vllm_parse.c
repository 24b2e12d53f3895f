/* vllm_parse: reads `vllm serve ...` back into the wish it means. */
#include "engine/vllm_command.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum kind { COUNT, SIZE, SHARE, TEXT, SWITCH, PASS, PASS_SWITCH };

#define WISH(member)   offsetof(struct vllm_request, wish.member)
#define BESIDE(member) offsetof(struct vllm_request, member)

/* What the wish knows, and what is known to take no memory (kind PASS: with a value). */
static const struct row {
    const char *names; /* blank separated */
    enum kind kind;
    size_t at;
    uint64_t most;
} rows[] = {
    {"--tensor-parallel-size -tp",                COUNT,                                 WISH(tp),                                        1024             },
    {"--pipeline-parallel-size -pp",              COUNT,                                 WISH(pp),                                        1024             },
    {"--data-parallel-size -dp",                  COUNT,                                 WISH(dp),                                        1024             },
    {"--max-model-len",                           COUNT,                                 WISH(max_len),                                   1 << 30          },
    {"--max-num-seqs",                            COUNT,                                 WISH(max_seqs),                                  VLLM_MAX_BATCH   },
    {"--max-num-batched-tokens",                  COUNT,                                 WISH(max_tokens),                                VLLM_MAX_BATCH   },
    {"--block-size",                              COUNT,                                 WISH(block_size),                                1024             },
    {"--gpu-memory-utilization",                  SHARE,                                 WISH(utilization),                               1                },
    {"--kv-cache-memory-bytes --kv-cache-memory", SIZE,                                  WISH(kv_cache_bytes),                            (uint64_t)1 << 50},
    {"--kv-cache-dtype",                          TEXT,                                  WISH(kv_dtype),                                  0                },
    {"--dtype",                                   TEXT,                                  WISH(dtype),                                     0                },
    {"--quantization -q",                         TEXT,                                  WISH(quantization),                              0                },
    {"--port",                                    TEXT,                                  BESIDE(port),                                    0                },
    {"--model",                                   TEXT,                                  BESIDE(model_ref),                               0                },
    {"--enforce-eager",                           SWITCH,                                WISH(eager),                                     0                },
    {"--enable-expert-parallel -ep",              SWITCH,                                WISH(expert_parallel),                           0                },
    {"--disable-custom-all-reduce",               SWITCH,                                WISH(no_custom_all_reduce),                      0                },
    {"--host --served-model-name --api-key --chat-template --tokenizer --tokenizer-mode "
     "--config-format "
     "--load-format --trust-remote-code-revision --revision --seed --tool-call-parser "
     "--reasoning-parser "
     "--download-dir --uvicorn-log-level --max-log-len --generation-config --root-path "
     "--ssl-keyfile "
     "--ssl-certfile --allowed-origins --response-role --nnodes --node-rank --master-addr "
     "--master-port "
     "--scheduling-policy --guided-decoding-backend --hf-token --compilation-config -O",                                            PASS, 0, 0                },
    {"--trust-remote-code --enable-prefix-caching --no-enable-prefix-caching "
     "--enable-chunked-prefill "
     "--no-enable-chunked-prefill --enable-auto-tool-choice --disable-log-requests "
     "--disable-log-stats "
     "--enable-log-requests --async-scheduling --no-async-scheduling --numa-bind --headless",                                           PASS_SWITCH,                                                                                 0,                                             0        },
};

static bool in_names(const char *names, const char *word, size_t len)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (n == len && strncmp(p, word, len) == 0)
            return true;
        p += n;
        p += *p == ' ';
    }
    return false;
}

/* vLLM takes --max_model_len for --max-model-len. */
static const struct row *find_row(const char *word, size_t len)
{
    char spelled[64];
    if (len >= sizeof(spelled))
        return NULL;
    for (size_t i = 0; i < len; i++)
        spelled[i] = word[i] == '_' ? '-' : word[i];
    spelled[len] = '\0';
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (in_names(rows[i].names, spelled, len))
            return &rows[i];
    return NULL;
}

static bool pass(struct vllm_request *r, const char *word, struct err *err)
{
    if (r->n_passed == REQUEST_MAX_WORDS)
        return err_set(err, ERR_9002, "the command has more than %d words", REQUEST_MAX_WORDS);
    r->passed[r->n_passed++] = word;
    return true;
}

/* "8192", "8k" (1000), "8K" (1024), "25.6k": as vLLM's own reader of sizes (arg_utils.py,
 * behaviour). */
static bool read_count(const char *text, uint64_t most, uint64_t *out)
{
    static const char suffixes[] = "kmgKMG";
    static const double factors[] = {1e3, 1e6, 1e9, 1024, 1048576, 1073741824};
    char digits[32];
    size_t len = strlen(text);
    const char *unit = len ? strchr(suffixes, text[len - 1]) : NULL;
    double n, factor = unit && *unit ? factors[unit - suffixes] : 1;
    size_t keep = unit && *unit ? len - 1 : len;
    int64_t whole;
    if (keep == 0 || keep >= sizeof(digits))
        return false;
    memcpy(digits, text, keep);
    digits[keep] = '\0';
    if (factor == 1) {
        bool ok = str_parse_i64(digits, 0, (int64_t)most, false, &whole);
        *out = ok ? (uint64_t)whole : 0;
        return ok;
    }
    if (!str_parse_f64(digits, 0, (double)most / factor, &n))
        return false;
    *out = (uint64_t)(n * factor);
    return true;
}

static bool bad_value(const char *flag, const char *value, struct err *err)
{
    return err_set(err, ERR_9002, "%s cannot be \"%s\"", flag, value);
}

static bool apply(struct vllm_request *r, const struct row *row, const char *flag,
                  const char *value, struct err *err)
{
    char *at = (char *)r + row->at;
    uint64_t n;
    double share;
    switch (row->kind) {
    case COUNT:
        if (strcmp(value, "-1") == 0 && in_names("--max-model-len", flag, strlen(flag)))
            return true; /* the model's own */
        if (!read_count(value, row->most, &n) || n == 0) {
            bad_value(flag, value, err);
            return err_fix(err, NULL, "a whole number from 1 to %llu",
                           (unsigned long long)row->most);
        }
        *(uint32_t *)(void *)at = (uint32_t)n;
        return true;
    case SIZE:
        if (!read_count(value, row->most, &n) || n == 0)
            return bad_value(flag, value, err);
        *(uint64_t *)(void *)at = n;
        return true;
    case SHARE:
        if (!str_parse_f64(value, 0, 1, &share) || share == 0) {
            bad_value(flag, value, err);
            return err_fix(err, "--gpu-memory-utilization 0.92", "a share above 0 and at most 1");
        }
        *(double *)(void *)at = share;
        return true;
    case TEXT: *(const char **)(void *)at = value; return true;
    case SWITCH: *(bool *)at = true; return true;
    case PASS: return pass(r, flag, err) && pass(r, value, err);
    case PASS_SWITCH: return pass(r, flag, err);
    }
    return true;
}

static bool apply_backend(struct vllm_request *r, const char *value, struct err *err)
{
    if (strcmp(value, "ray") == 0)
        r->wish.ray = true;
    else if (strcmp(value, "mp") != 0 && strcmp(value, "uni") != 0)
        return bad_value("--distributed-executor-backend", value, err);
    return true;
}

static bool pass_unknown(struct vllm_request *r, const char *word, const char *next, int *used,
                         struct err *err)
{
    if (r->n_not_accounted < REQUEST_MAX_WORDS)
        r->not_accounted[r->n_not_accounted++] = word;
    if (!pass(r, word, err))
        return false;
    *used = 1;
    if (!next || next[0] == '-' || strchr(word, '='))
        return true;
    *used = 2;
    return pass(r, next, err);
}

static bool parse_flag(struct vllm_request *r, char *const *words, int n, int *used,
                       struct arena *arena, struct err *err)
{
    const char *word = words[0], *eq = strchr(word, '='), *next = n > 1 ? words[1] : NULL;
    size_t len = eq ? (size_t)(eq - word) : strlen(word);
    *used = 1;
    if (word[0] != '-') {
        if (r->model_ref)
            return err_set(err, ERR_9001, "\"%s\" is neither a flag nor a flag's value", word);
        r->model_ref = word;
        return true;
    }
    const char *name = arena_strndup(arena, word, len);
    if (!name)
        return err_set(err, ERR_1201, "no memory for the command");
    const struct row *row = find_row(word, len);
    bool backend = strcmp(name, "--distributed-executor-backend") == 0;
    bool tower = strcmp(name, "--mm-encoder-tp-mode") == 0;
    if (!row && !backend && !tower)
        return pass_unknown(r, word, next, used, err);
    if (row && (row->kind == SWITCH || row->kind == PASS_SWITCH))
        return apply(r, row, word, NULL, err);
    const char *value = eq ? eq + 1 : next;
    if (!value)
        return err_set(err, ERR_9002, "%s lacks its value", name);
    *used = eq ? 1 : 2;
    if (backend)
        return apply_backend(r, value, err);
    if (tower) {
        r->wish.vision_data = strcmp(value, "data") == 0;
        return true;
    }
    return apply(r, row, name, value, err);
}

static bool parse_partition(struct vllm_request *r, struct err *err)
{
    const char *p = r->partition;
    while (p && *p) {
        char word[16];
        size_t len = strcspn(p, ",");
        int64_t n;
        if (len >= sizeof(word) || r->wish.n_partition == VLLM_MAX_RANKS)
            return bad_value("VLLM_PP_LAYER_PARTITION", r->partition, err);
        memcpy(word, p, len);
        word[len] = '\0';
        if (!str_parse_i64(word, 1, MODEL_MAX_LAYERS, false, &n)) {
            bad_value("VLLM_PP_LAYER_PARTITION", r->partition, err);
            return err_fix(err, NULL, "layers of each stage, like 24,40");
        }
        r->wish.partition[r->wish.n_partition++] = (uint32_t)n;
        p += len;
        p += *p == ',';
    }
    return true;
}

static void read_variable(struct vllm_request *r, const char *setting)
{
    const char *eq = strchr(setting, '=');
    size_t len = eq ? (size_t)(eq - setting) : 0;
    struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"CUDA_VISIBLE_DEVICES",    &r->visible  },
        {"VLLM_PP_LAYER_PARTITION", &r->partition}
    };
    for (size_t i = 0; i < 2; i++)
        if (len == strlen(texts[i].name) && strncmp(setting, texts[i].name, len) == 0)
            *texts[i].to = eq + 1;
    if (strcmp(setting, "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0") == 0)
        r->wish.graphs_uncounted = true;
    if (strcmp(setting, "NCCL_P2P_DISABLE=1") == 0)
        r->p2p_off = true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_setting(const char *word)
{
    const char *eq = strchr(word, '=');
    size_t len = eq ? (size_t)(eq - word) : 0;
    return len && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == len;
}

/* Words before the first flag or model; 0 when this is no vLLM command. */
static int count_start(int n, char *const *w, int *program)
{
    static const char module[] = "vllm.entrypoints.openai.api_server";
    int i = 0;
    while (i < n && (strcmp(base_name(w[i]), "env") == 0 || is_setting(w[i])))
        i++;
    *program = i;
    if (i + 1 < n && strcmp(base_name(w[i]), "vllm") == 0 && strcmp(w[i + 1], "serve") == 0)
        return i + 2;
    if (i + 2 < n && strncmp(base_name(w[i]), "python", 6) == 0 && strcmp(w[i + 1], "-m") == 0 &&
        strcmp(w[i + 2], module) == 0)
        return i + 3;
    return 0;
}

bool vllm_is_command(int n_words, char *const *words)
{
    int program;
    return count_start(n_words, words, &program) > 0;
}

bool vllm_request_parse(struct vllm_request *r, int n_words, char *const *words,
                        char *const *environ_, struct arena *arena, struct err *err)
{
    int program, i = count_start(n_words, words, &program);
    *r = (struct vllm_request){.wish = vllm_default_wish()};
    r->wish.as_command = true;
    if (i == 0)
        return err_set(err, ERR_9001, "this is no vLLM command: vllm serve MODEL ...");
    r->program = words[program];
    for (char *const *e = environ_; e && *e; e++)
        read_variable(r, *e);
    for (int w = 0; w < program; w++)
        read_variable(r, words[w]);
    while (i < n_words) {
        int used;
        if (!parse_flag(r, words + i, n_words - i, &used, arena, err))
            return false;
        i += used;
    }
    for (uint32_t w = 0; w < r->n_passed; w++)
        r->wish.nodes = r->wish.nodes || strncmp(r->passed[w], "--nnodes", 8) == 0;
    if (!r->model_ref)
        return err_set(err, ERR_9003, "the vLLM command names no model");
    return parse_partition(r, err);
}

static bool find_card(const char *word, const struct machine *m, uint8_t *out)
{
    int at = request_find_card(word, m);
    if (at >= 0)
        *out = (uint8_t)at;
    return at >= 0;
}

bool vllm_request_cards(struct vllm_request *r, const struct machine *m, struct err *err)
{
    struct vllm_wish *w = &r->wish;
    if (!r->visible)
        return true;
    w->n_cards = 0;
    for (const char *p = r->visible; *p;) {
        char word[96];
        uint8_t card = 0;
        size_t len = strcspn(p, ",");
        bool room = len < sizeof(word) && w->n_cards < VLLM_MAX_RANKS;
        if (room) {
            memcpy(word, p, len);
            word[len] = '\0';
        }
        if (!room || !find_card(word, m, &card)) {
            err_set(err, ERR_2101, "CUDA_VISIBLE_DEVICES=%s names a card that is none of the %u",
                    r->visible, m->n_devices);
            return err_fix(err, "dualgpuopt gpu ls", "see the cards, or name them with --gpus");
        }
        for (uint32_t i = 0; i < w->n_cards; i++)
            if (w->cards[i] == card)
                return err_set(err, ERR_2113, "CUDA_VISIBLE_DEVICES=%s names a card twice",
                               r->visible);
        w->cards[w->n_cards++] = card;
        p += len;
        p += *p == ',';
    }
    w->cards_set = true;
    return true;
}
