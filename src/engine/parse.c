/* parse: reads a whole engine command back into the settings it means, with that program's own defaults. */
#include "engine/request.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static const char *const programs[] = {"llama-server", "llama-cli", "llama-completion", "llama-bench",
                                       "llama-fit-params"};

const char *const request_visible_variables[4] = {
    [BACKEND_CUDA] = "CUDA_VISIBLE_DEVICES",
    [BACKEND_ROCM] = "HIP_VISIBLE_DEVICES",
    [BACKEND_VULKAN] = "GGML_VK_VISIBLE_DEVICES",
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool find_program(const char *word, enum plan_tool *tool)
{
    for (int i = 0; i < 5; i++) {
        if (strcmp(base_name(word), programs[i]) == 0) {
            *tool = (enum plan_tool)i;
            return true;
        }
    }
    return false;
}

static bool unknown_program(const char *word, struct err *err)
{
    const char *near = str_nearest(base_name(word), programs, 5);
    char shown[80];
    err_set(err, ERR_9001, "\"%s\" is no engine program that can be planned",
            str_printable(word, strlen(word), shown, sizeof(shown)));
    if (near)
        err_fix(err, NULL, "did you mean %s?", near);
    return err_fix(err, "dualgpuopt plan -- llama-server -m MODEL.gguf -c 8192",
                   "programs: llama-server, llama-cli, llama-completion, llama-bench, llama-fit-params");
}

/* Defaults that differ from the library's (tools/, behaviour): the server has four slots on one cache unless it
 * is told a number; llama-cli is a server with one slot; llama-bench takes its context from the test. */
static void take_defaults(struct engine_request *r)
{
    struct law_settings *s = &r->wish.s;
    r->wish.as_command = true;
    r->wish.strategy = PLACE_PROPORTIONAL;
    s->n_seq_max = r->wish.tool == TOOL_SERVER ? 4 : 1;
    s->kv_unified = r->wish.tool == TOOL_SERVER;
    r->parallel_auto = r->wish.tool == TOOL_SERVER;
}

static bool pass(struct engine_request *r, const char *word, struct err *err)
{
    if (r->n_passed == REQUEST_MAX_WORDS)
        return err_set(err, ERR_9002, "the command has more than %d words to hand on", REQUEST_MAX_WORDS);
    r->passed[r->n_passed++] = word;
    return true;
}

static bool pass_unknown(struct engine_request *r, const char *word, const char *next, int *used,
                         struct err *err)
{
    if (r->n_not_accounted < REQUEST_MAX_WORDS)
        r->not_accounted[r->n_not_accounted++] = word;
    if (!pass(r, word, err))
        return false;
    bool has_value = next && (next[0] != '-' || (next[1] >= '0' && next[1] <= '9'));
    *used = has_value ? 2 : 1;
    return !has_value || pass(r, next, err);
}

/* llama-bench's own spellings: numbers where others have switches, and the sizes of its tests. A list of values
 * runs several tests: the one that needs most memory is the largest. */
static bool largest(const char *list, uint32_t *out)
{
    int64_t most = 0, n;
    for (const char *p = list; *p;) {
        char word[24];
        size_t len = strcspn(p, ",");
        if (len == 0 || len >= sizeof(word))
            return false;
        memcpy(word, p, len);
        word[len] = 0;
        if (!str_parse_i64(word, 0, 1 << 30, false, &n))
            return false;
        most = n > most ? n : most;
        p += len;
        p += *p == ',';
    }
    *out = (uint32_t)most;
    return true;
}

/* 1: consumed, 0: not one of the bench's own, -1: error */
static int bench_flag(struct engine_request *r, const char *word, const char *value, struct err *err)
{
    static const struct { const char *names; size_t offset; } sizes[] = {
        {"-p --n-prompt", offsetof(struct engine_request, bench_prompt)},
        {"-n --n-gen", offsetof(struct engine_request, bench_gen)},
        {"-d --n-depth", offsetof(struct engine_request, bench_depth)}};
    struct law_settings *s = &r->wish.s;
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(sizes[i].names, word);
        if (strlen(word) < 2 || !at || (at != sizes[i].names && at[-1] != ' ') ||
            (at[strlen(word)] && at[strlen(word)] != ' '))
            continue;
        if (value && largest(value, (uint32_t *)((char *)r + sizes[i].offset)))
            return 1;
        err_set(err, ERR_9002, "%s wants a number of tokens", word);
        return -1;
    }
    bool on = value && strcmp(value, "0") != 0;
    if (strcmp(word, "-nkvo") == 0 || strcmp(word, "--no-kv-offload") == 0)
        s->no_kv_offload = on;
    else if (strcmp(word, "-nopo") == 0 || strcmp(word, "--no-op-offload") == 0)
        s->no_op_offload = on;
    else if (strcmp(word, "-embd") == 0 || strcmp(word, "--embeddings") == 0)
        s->embeddings = on;
    else if (strcmp(word, "--no-host") == 0)
        s->no_host = on;
    else if (strcmp(word, "-r") != 0 && strcmp(word, "--repetitions") != 0 && strcmp(word, "-o") != 0 &&
             strcmp(word, "--output") != 0 && strcmp(word, "-oe") != 0 && strcmp(word, "--delay") != 0)
        return 0;
    return pass(r, word, err) && (!value || pass(r, value, err)) ? 1 : -1;
}

static bool is_on(const char *v)
{
    return str_eq_fold(v, "1") || str_eq_fold(v, "on") || str_eq_fold(v, "true") ||
           str_eq_fold(v, "enabled");
}

static bool is_off(const char *v)
{
    return str_eq_fold(v, "0") || str_eq_fold(v, "off") || str_eq_fold(v, "false") ||
           str_eq_fold(v, "disabled");
}

/* A switch in a variable may be turned off: the row of its opposite is applied then. */
static bool apply_switch_variable(struct engine_request *r, const struct flag *f, const char *v,
                                  struct arena *arena, struct err *err)
{
    static const struct { enum flag_id on, off; } opposites[] = {
        {FLAG_KV_OFFLOAD, FLAG_NO_KV_OFFLOAD}, {FLAG_UNIFIED, FLAG_NOT_UNIFIED}, {FLAG_REPACK, FLAG_NO_REPACK}};
    if (is_on(v))
        return request_apply(r, f, NULL, arena, err);
    for (size_t i = 0; is_off(v) && i < 3; i++) {
        struct flag off = {.id = opposites[i].off, .names = f->names, .value = VALUE_NONE};
        if (opposites[i].on == f->id)
            return request_apply(r, &off, NULL, arena, err);
    }
    return true;
}

static bool apply_variable(struct engine_request *r, const char *setting, struct arena *arena,
                           struct err *err)
{
    const char *eq = strchr(setting, '=');
    size_t n, len = eq ? (size_t)(eq - setting) : 0;
    const struct flag *f = flag_table(&n);
    if (!len)
        return true;
    for (int i = 0; i < 4; i++) {
        const char *name = request_visible_variables[i];
        if (name && strlen(name) == len && strncmp(setting, name, len) == 0)
            r->visible[i] = eq + 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (strlen(f[i].variable) != len || strncmp(f[i].variable, setting, len) != 0)
            continue;
        bool ok = f[i].value == VALUE_NONE ? apply_switch_variable(r, &f[i], eq + 1, arena, err)
                                           : request_apply(r, &f[i], eq + 1, arena, err);
        return ok || err_prefix(err, "%.*s", (int)len, setting);
    }
    return true;
}

static bool is_setting(const char *word)
{
    const char *eq = strchr(word, '=');
    if (!eq || eq == word || word[0] == '-' || word[0] == '/')
        return false;
    for (const char *p = word; p < eq; p++)
        if (!((*p >= 'A' && *p <= 'Z') || *p == '_' || (*p >= '0' && *p <= '9')))
            return false;
    return true;
}

/* Splits "--flag=value" where the whole word is no flag of its own. */
static const struct flag *find_with_value(const char *word, char name[64], const char **value)
{
    const char *eq = strchr(word, '=');
    if (!eq || (size_t)(eq - word) >= 64)
        return NULL;
    memcpy(name, word, (size_t)(eq - word));
    name[eq - word] = 0;
    *value = eq + 1;
    return flag_find(name);
}

static bool parse_flag(struct engine_request *r, const char *word, const char *next, int *used,
                       struct arena *arena, struct err *err)
{
    char name[64];
    const char *glued = NULL;
    const struct flag *f = flag_find(word);
    *used = 1;
    if (r->wish.tool == TOOL_BENCH) {
        int own = bench_flag(r, word, next, err);
        *used = 2;
        if (own != 0)
            return own > 0;
        *used = 1;
    }
    if (!f)
        f = find_with_value(word, name, &glued);
    if (!f)
        return word[0] == '-' ? pass_unknown(r, word, next, used, err)
                              : (err_set(err, ERR_9001, "\"%s\" is neither a flag nor a flag's value", word), false);
    if (f->value != VALUE_NONE && !glued) {
        if (!next)
            return err_set(err, ERR_9002, "%s lacks its value", word);
        *used = 2;
    }
    if (f->id == FLAG_HARMLESS)
        return pass(r, word, err) && (*used == 1 || pass(r, next, err));
    return request_apply(r, f, glued ? glued : f->value == VALUE_NONE ? NULL : next, arena, err);
}

bool request_parse(struct engine_request *r, int n_words, char *const *words, char *const *environ_,
                   struct arena *arena, struct err *err)
{
    int i = 0;
    request_init(r);
    while (i < n_words && (strcmp(base_name(words[i]), "env") == 0 || is_setting(words[i])))
        i++;
    if (i == n_words)
        return err_set(err, ERR_9003, "after -- stands no program");
    if (!find_program(words[i], &r->wish.tool))
        return unknown_program(words[i], err);
    r->program = words[i];
    take_defaults(r);
    bool reads_variables = r->wish.tool != TOOL_BENCH;
    for (char *const *e = environ_; e && *e && reads_variables; e++)
        if (str_starts(*e, "LLAMA_ARG_") && !apply_variable(r, *e, arena, err))
            return false;
    for (int w = 0; w < i; w++)
        if ((reads_variables || !str_starts(words[w], "LLAMA_ARG_")) && !apply_variable(r, words[w], arena, err))
            return false;
    bool unified_by_default = r->parallel_auto;
    for (i++; i < n_words;) {
        int used;
        const char *next = i + 1 < n_words ? words[i + 1] : NULL;
        if (!parse_flag(r, words[i], next, &used, arena, err))
            return false;
        i += used;
    }
    if (unified_by_default && (r->wish.given & GIVEN_PARALLEL) && !r->parallel_auto &&
        !(r->wish.given & GIVEN_UNIFIED))
        r->wish.s.kv_unified = false;
    return request_settle(r, err);
}

/* "CUDA0,CUDA1" or "RPC0" ... counted per kind in the engine's order. */
static bool card_by_name(const char *word, const struct machine *m, enum backend any, uint32_t *bit)
{
    (void)any;
    static const char *const kinds[] = {"CUDA", "RPC", "ROCm", "Vulkan"};
    int counts[4] = {0};
    for (uint32_t i = 0; i < m->n_devices; i++) {
        const struct device *d = &m->devices[i];
        enum backend kind = d->rpc ? BACKEND_RPC : d->backend;
        int64_t n;
        size_t len = strlen(kinds[kind]);
        if (strncasecmp(word, kinds[kind], len) == 0 && str_parse_i64(word + len, 0, 64, false, &n) &&
            n == counts[kind]) {
            *bit = 1u << i;
            return true;
        }
        counts[kind]++;
    }
    return false;
}

int request_find_card(const char *word, const struct machine *m)
{
    int64_t n;
    for (uint32_t i = 0; i < m->n_devices; i++) {
        const struct device *d = &m->devices[i];
        bool by_uuid = d->uuid && strlen(word) >= 4 && strncmp(d->uuid, word, strlen(word)) == 0;
        bool by_index = str_parse_i64(word, 0, 1000, false, &n) && n == d->index;
        if (!d->rpc && (by_uuid || by_index))
            return (int)i;
    }
    return -1;
}

static bool pick(const char *list, const char *what, const struct machine *m,
                 bool (*find)(const char *, const struct machine *, enum backend, uint32_t *),
                 enum backend kind, uint32_t *mask, struct err *err)
{
    *mask = 0;
    for (const char *p = list; *p;) {
        char word[96];
        uint32_t bit = 0;
        size_t len = strcspn(p, ",");
        if (len >= sizeof(word))
            return err_set(err, ERR_9002, "%s has an overlong entry", what);
        memcpy(word, p, len);
        word[len] = 0;
        if (!find(word, m, kind, &bit)) {
            err_set(err, ERR_2101, "%s names \"%s\", which is none of the %u cards", what, word,
                    m->n_devices);
            return err_fix(err, "dualgpuopt gpu ls", "see the cards, or name them with --gpus");
        }
        *mask |= bit;
        p += len;
        p += *p == ',';
    }
    return true;
}

/* As its driver counts: the n-th of its kind, where it has no identity of its own. */
static bool card_of_kind(const char *word, const struct machine *m, enum backend kind, uint32_t *bit)
{
    int64_t n;
    if (kind == BACKEND_CUDA) {
        int at = request_find_card(word, m);
        *bit = at >= 0 ? 1u << at : 0;
        return at >= 0;
    }
    if (!str_parse_i64(word, 0, MACHINE_MAX_DEVICES - 1, false, &n))
        return false;
    for (uint32_t i = 0; i < m->n_devices; i++) {
        bool is = !m->devices[i].rpc && m->devices[i].backend == kind;
        if (is && n-- == 0) {
            *bit = 1u << i;
            return true;
        }
    }
    return false;
}

static bool lists_server(const char *list, const char *server)
{
    size_t len = strlen(server);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n == len && strncasecmp(p, server, n) == 0)
            return true;
        p += n;
        p += *p == ',';
    }
    return false;
}

/* Remote cards the engine can see: those of --rpc. Without it all are meant, unless the command says which local ones. */
static uint32_t visible_remotes(const struct engine_request *r, const struct machine *m)
{
    uint32_t mask = 0;
    bool local = false;
    for (int kind = 0; kind < 4; kind++)
        local = local || r->visible[kind];
    for (uint32_t i = 0; i < m->n_devices; i++) {
        const char *server = m->devices[i].rpc;
        if (server && (r->rpc ? lists_server(r->rpc, server) : !local || r->devices))
            mask |= 1u << i;
    }
    return mask;
}

/* Cards that the drivers and --rpc show to the engine. */
static bool visible_cards(const struct engine_request *r, const struct machine *m, uint32_t *mask,
                          struct err *err)
{
    *mask = (uint32_t)((1ull << m->n_devices) - 1);
    for (int kind = 0; kind < 4; kind++) {
        uint32_t named;
        if (!r->visible[kind])
            continue;
        if (!pick(r->visible[kind], request_visible_variables[kind], m, card_of_kind, (enum backend)kind, &named, err))
            return false;
        for (uint32_t i = 0; i < m->n_devices; i++)
            if (!m->devices[i].rpc && m->devices[i].backend == (enum backend)kind)
                *mask &= named | ~(1u << i);
    }
    for (uint32_t i = 0; i < m->n_devices; i++)
        if (m->devices[i].rpc)
            *mask &= ~(1u << i);
    *mask |= visible_remotes(r, m);
    return true;
}

/* The engine's names count what is visible. */
static bool named_cards(const char *list, const char *what, const struct machine *m, uint32_t visible,
                        uint32_t *mask, struct err *err)
{
    struct machine seen = *m;
    uint32_t chosen;
    *mask = 0;
    if (str_eq_fold(list, "none"))
        return true;
    seen.n_devices = 0;
    for (uint32_t i = 0; i < m->n_devices; i++)
        if (visible & (1u << i))
            seen.devices[seen.n_devices++] = m->devices[i];
    if (!pick(list, what, &seen, card_by_name, BACKEND_CUDA, &chosen, err))
        return false;
    for (uint32_t i = 0, k = 0; i < m->n_devices; i++)
        if (visible & (1u << i))
            *mask |= chosen & (1u << k++) ? 1u << i : 0;
    return true;
}

bool request_cards(const struct engine_request *r, const struct machine *m, uint32_t *mask,
                   struct err *err)
{
    uint32_t visible;
    if (!visible_cards(r, m, &visible, err))
        return false;
    *mask = visible;
    return !r->devices || named_cards(r->devices, "-dev", m, visible, mask, err);
}

bool request_draft_cards(const struct engine_request *r, const struct machine *m, uint32_t *mask,
                         struct err *err)
{
    uint32_t visible;
    if (!r->draft_devices)
        return request_cards(r, m, mask, err);
    return visible_cards(r, m, &visible, err) && named_cards(r->draft_devices, "-devd", m, visible, mask, err);
}
