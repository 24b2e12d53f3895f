/* request: an engine's settings as flags: what each means for a wish, and the defaults of each program. */
#include "engine/request.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/place.h"

enum { ARRAY_MAX_CTX = 1 << 30 };

static const struct flag flags[] = {
#define VALUE_OF(v) VALUE_##v
#define FLAG(id, names, variable, value, help) {FLAG_##id, names, variable, VALUE_OF(value), help},
#define HARMLESS(value, names) {FLAG_HARMLESS, names, "", VALUE_OF(value), NULL},
#include "engine/flags.def"
#undef VALUE_OF
};

const struct flag *flag_table(size_t *n)
{
    *n = sizeof(flags) / sizeof(flags[0]);
    return flags;
}

static bool has_name(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = names; n && (p = strstr(p, name)); p += n)
        if ((p == names || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

const struct flag *flag_find(const char *name)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (has_name(flags[i].names, name))
            return &flags[i];
    return NULL;
}

const char *flag_main_name(enum flag_id id, char out[32])
{
    out[0] = 0;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (flags[i].id == id && id != FLAG_HARMLESS)
            snprintf(out, 32, "%.*s", (int)strcspn(flags[i].names, " "), flags[i].names);
    return out;
}

void request_init(struct engine_request *r)
{
    *r = (struct engine_request){
        .wish = plan_default_wish(),
        .program = "llama-server",
        .bench_prompt = 512,
        .bench_gen = 128,
    };
}

static bool bad_value(const struct flag *f, const char *value, const char *wanted, struct err *err)
{
    char shown[80];
    err_set(err, ERR_9002, "%.*s cannot be \"%s\"", (int)strcspn(f->names, " "), f->names,
            str_printable(value, strlen(value), shown, sizeof(shown)));
    return err_fix(err, NULL, "%s", wanted);
}

static bool number(const struct flag *f, const char *v, int64_t min, int64_t max, int64_t *out,
                   struct err *err)
{
    char wanted[96];
    if (str_parse_i64(v, min, max, false, out))
        return true;
    snprintf(wanted, sizeof(wanted), "give a whole number from %lld to %lld", (long long)min,
             (long long)max);
    return bad_value(f, v, wanted, err);
}

static bool set_ctx(struct engine_request *r, const struct flag *f, const char *v, struct err *err)
{
    int64_t n;
    r->wish.given |= GIVEN_CTX;
    if (str_eq_fold(v, "max")) {
        r->wish.ctx_max = true;
        r->wish.given &= ~(uint32_t)GIVEN_CTX;
        return true;
    }
    if (!str_parse_i64(v, 0, ARRAY_MAX_CTX, true, &n))
        return bad_value(f, v, "give tokens like 8192 or 32k, 0 for the trained context, or max", err);
    r->wish.s.n_ctx = (uint32_t)n;
    return true;
}

/* Types the engine takes for its cache (common/arg.cpp, behaviour). */
static bool set_type(const struct flag *f, const char *v, uint32_t *out, struct err *err)
{
    static const uint32_t known[] = {GGUF_TYPE_F32, GGUF_TYPE_F16, GGUF_TYPE_BF16, GGUF_TYPE_Q8_0,
                                     GGUF_TYPE_Q4_0, GGUF_TYPE_Q4_1, GGUF_TYPE_IQ4_NL,
                                     GGUF_TYPE_Q5_0, GGUF_TYPE_Q5_1};
    uint32_t type;
    for (size_t i = 0; gguf_type_by_name(v, &type) && i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == type) {
            *out = type;
            return true;
        }
    }
    return bad_value(f, v, "the engine's cache types: f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1", err);
}

static bool set_flash(struct engine_request *r, const struct flag *f, const char *v, struct err *err)
{
    static const struct { const char *word; enum law_flash is; } words[] = {
        {"on", FLASH_ON},       {"off", FLASH_OFF}, {"auto", FLASH_AUTO}, {"1", FLASH_ON},
        {"0", FLASH_OFF},       {"-1", FLASH_AUTO}, {"true", FLASH_ON},   {"false", FLASH_OFF},
        {"enabled", FLASH_ON}, {"disabled", FLASH_OFF}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq_fold(v, words[i].word)) {
            r->wish.s.flash = words[i].is;
            r->wish.given |= GIVEN_FLASH;
            return true;
        }
    }
    return bad_value(f, v, "on, off or auto", err);
}

static bool layer_count(const struct flag *f, const char *v, int32_t *out, bool *open, struct err *err)
{
    int64_t n;
    *open = str_eq_fold(v, "auto") || str_eq_fold(v, "-1");
    if (*open || str_eq_fold(v, "all")) {
        *out = -1;
        return true;
    }
    if (!str_parse_i64(v, -2, 1 << 20, false, &n))
        return bad_value(f, v, "give a number of layers, all or auto", err);
    *out = n < 0 ? -1 : (int32_t)n;
    return true;
}

static bool set_split_mode(struct engine_request *r, const struct flag *f, const char *v,
                           struct err *err)
{
    static const char *const words[] = {"none", "layer", "row", "tensor"};
    for (int i = 0; i < 4; i++) {
        if (str_eq_fold(v, words[i])) {
            r->wish.s.split = (enum law_split)i;
            r->wish.given |= GIVEN_SPLIT_MODE;
            return true;
        }
    }
    return bad_value(f, v, "none, layer, row or tensor", err);
}

static bool set_tensor_split(struct engine_request *r, const struct flag *f, const char *v,
                             struct err *err)
{
    struct law_settings *s = &r->wish.s;
    uint32_t n = 0;
    for (const char *p = v;; p++) {
        char word[40];
        size_t len = strcspn(p, ",/");
        if (len == 0 || len >= sizeof(word) || n == MACHINE_MAX_DEVICES)
            return bad_value(f, v, "give up to 16 shares like 3,1 or 46,35", err);
        memcpy(word, p, len);
        word[len] = 0;
        if (!str_parse_f64(word, 0, 1e15, &s->tensor_split[n++]))
            return bad_value(f, v, "shares are numbers from 0 up, like 3,1", err);
        p += len;
        if (!*p)
            break;
    }
    for (uint32_t i = n; i < MACHINE_MAX_DEVICES; i++)
        s->tensor_split[i] = 0;
    s->n_tensor_split = n;
    r->wish.given |= GIVEN_TENSOR_SPLIT;
    return true;
}

/* PATTERN=BUFFER[,PATTERN=BUFFER...]; CPU and CUDA_Host are host memory, a digit at the end names a device. */
static bool set_overrides(struct engine_request *r, const struct flag *f, const char *v,
                          struct arena *arena, struct err *err)
{
    struct law_settings *s = &r->wish.s;
    for (const char *p = v; *p;) {
        size_t len = strcspn(p, ",");
        const char *eq = memchr(p, '=', len);
        char buffer[32];
        if (!eq || eq == p || s->n_overrides == LAW_MAX_OVERRIDES ||
            (size_t)(p + len - eq - 1) >= sizeof(buffer))
            return bad_value(f, v, "write PATTERN=CPU or PATTERN=CUDA0, at most 32 by comma", err);
        memcpy(buffer, eq + 1, (size_t)(p + len - eq - 1));
        buffer[p + len - eq - 1] = 0;
        size_t digits = strcspn(buffer, "0123456789");
        int64_t device = LAW_HOST;
        bool host = str_eq_fold(buffer, "CPU") || str_ends(buffer, "_Host") || str_eq_fold(buffer, "CPU_REPACK");
        if (!host && !str_parse_i64(buffer + digits, 0, MACHINE_MAX_DEVICES - 1, false, &device))
            return bad_value(f, v, "buffers are CPU, CUDA0, CUDA1 ...", err);
        struct law_override *o = &s->overrides[s->n_overrides++];
        o->pattern = arena_strndup(arena, p, (size_t)(eq - p));
        o->target = host ? LAW_HOST : (int)device;
        s->overrides_after_cpu_moe += s->n_cpu_moe > 0;
        s->overrides_after_cpu_ffn += s->n_cpu_ffn > 0;
        if (!o->pattern)
            return err_set(err, ERR_1201, "no memory for a pattern");
        p += len;
        p += *p == ',';
    }
    r->wish.given |= GIVEN_OVERRIDE;
    return true;
}

/* Kinds of speculation the engine has (common/speculative.cpp, behaviour): tokens at once, 0: what -n-max says; whether
 * recurrent state is kept for taking them back; whether a block of them is one pass of the draft. */
static const struct spec_kind {
    const char *name;
    uint32_t at_once;
    bool drafts, rolls_back;
} spec_kinds[] = {
    {"none", 0, false, false},         {"draft-simple", 0, true, false},  {"draft-mtp", 0, true, true},
    {"draft-eagle3", 0, true, true},   {"draft-dflash", 0, true, true},   {"draft-dspark", 0, true, true},
    {"ngram-simple", 48, false, false}, {"ngram-map-k", 48, false, false}, {"ngram-map-k4v", 48, false, false},
    {"ngram-mod", 64, false, false},   {"ngram-cache", 8, false, false},
};
enum { N_SPEC_KINDS = sizeof(spec_kinds) / sizeof(spec_kinds[0]), SPEC_SIMPLE = 1, SPEC_MTP = 2 };

/* Several by comma; the engine adds those of a second flag. */
static bool set_spec_type(struct engine_request *r, const struct flag *f, const char *v, struct err *err)
{
    for (const char *p = v;; p++) {
        size_t len = strcspn(p, ",");
        int found = -1;
        for (int i = 0; i < N_SPEC_KINDS; i++)
            if (strlen(spec_kinds[i].name) == len && strncmp(spec_kinds[i].name, p, len) == 0)
                found = i;
        if (found < 0)
            return bad_value(f, v, "the engine's kinds: none draft-simple draft-mtp draft-eagle3 draft-dflash "
                             "draft-dspark ngram-simple ngram-map-k ngram-map-k4v ngram-mod ngram-cache", err);
        r->spec_kinds |= 1u << found;
        p += len;
        if (!*p)
            break;
    }
    r->spec_type = v;
    r->wish.given |= GIVEN_SPEC_TYPE;
    return true;
}

static const char *before_colon_scale(const char *v, struct arena *arena)
{
    const char *colon = strrchr(v, ':');
    double scale;
    if (colon && str_parse_f64(colon + 1, -1e6, 1e6, &scale))
        return arena_strndup(arena, v, (size_t)(colon - v));
    return v;
}

static bool add_lora(struct engine_request *r, const struct flag *f, const char *v, struct arena *arena,
                     struct err *err)
{
    const uint32_t most = sizeof(r->loras) / sizeof(r->loras[0]);
    if (r->n_loras == most)
        return bad_value(f, v, "at most 8 adapters", err);
    r->loras[r->n_loras++] = f->id == FLAG_LORA_SCALED ? before_colon_scale(v, arena) : v;
    return true;
}

static bool apply_number(struct engine_request *r, const struct flag *f, const char *v, struct err *err)
{
    struct law_settings *s = &r->wish.s;
    int64_t n;
    int64_t min = f->id == FLAG_PARALLEL || f->id == FLAG_CACHE_RAM ? -1 : 0;
    if (!number(f, v, min, f->id == FLAG_PARALLEL ? 65535 : INT32_MAX, &n, err))
        return false;
    switch (f->id) {
    case FLAG_PARALLEL:
        if (n == 0)
            return bad_value(f, v, "at least 1 slot, or -1 for the engine's own choice", err);
        r->parallel_auto = n < 0;
        s->n_seq_max = n < 0 ? 4 : (uint32_t)n;
        s->kv_unified = s->kv_unified || n < 0;
        r->wish.given |= GIVEN_PARALLEL;
        return true;
    case FLAG_BATCH:
        s->n_batch = (uint32_t)n;
        r->wish.given |= GIVEN_BATCH;
        return n > 0 || bad_value(f, v, "at least 1 token", err);
    case FLAG_UBATCH:
        s->n_ubatch = (uint32_t)n;
        r->wish.given |= GIVEN_UBATCH;
        return n > 0 || bad_value(f, v, "at least 1 token", err);
    case FLAG_MAIN_GPU:
        s->main_gpu = (uint32_t)n;
        r->wish.given |= GIVEN_MAIN_GPU;
        return true;
    case FLAG_N_CPU_MOE:
        s->n_cpu_moe = (uint32_t)n > s->n_cpu_moe ? (uint32_t)n : s->n_cpu_moe; /* rules add up */
        r->wish.given |= GIVEN_CPU_MOE;
        return true;
    case FLAG_N_CPU_FFN:
        s->n_cpu_ffn = (uint32_t)n > s->n_cpu_ffn ? (uint32_t)n : s->n_cpu_ffn;
        r->wish.given |= GIVEN_CPU_MOE;
        return true;
    case FLAG_CACHE_RAM:
        r->wish.cache_ram_bytes = n < 0 ? 0 : (uint64_t)n << 20;
        return true;
    case FLAG_PER_SLOT: r->per_slot_ctx = (uint32_t)n; return true;
    case FLAG_DRAFT_MAX_OLD:
    case FLAG_DRAFT_MAX:
        r->drafts_untold = r->drafts_untold || f->id == FLAG_DRAFT_MAX_OLD;
        r->wish.drafted = (uint32_t)n;
        r->wish.given |= GIVEN_DRAFT_MAX;
        return true;
    default: return true;
    }
}

static bool apply_switch(struct engine_request *r, const struct flag *f)
{
    struct law_settings *s = &r->wish.s;
    switch (f->id) {
    case FLAG_CPU_MOE:
        s->n_cpu_moe = UINT32_MAX;
        r->wish.given |= GIVEN_CPU_MOE;
        break;
    case FLAG_NO_KV_OFFLOAD: s->no_kv_offload = true; break;
    case FLAG_KV_OFFLOAD: s->no_kv_offload = false; break;
    case FLAG_SWA_FULL: s->swa_full = true; break;
    case FLAG_UNIFIED:
    case FLAG_NOT_UNIFIED:
        s->kv_unified = f->id == FLAG_UNIFIED;
        r->wish.given |= GIVEN_UNIFIED;
        break;
    case FLAG_NO_MMPROJ_OFFLOAD: r->mmproj_on_host = true; break;
    case FLAG_EMBEDDING: s->embeddings = true; break;
    case FLAG_RERANK: s->embeddings = r->rerank = true; break;
    case FLAG_NO_OP_OFFLOAD: s->no_op_offload = true; break;
    case FLAG_OP_OFFLOAD: s->no_op_offload = false; break;
    case FLAG_NO_REPACK: s->no_repack = true; break;
    case FLAG_REPACK: s->no_repack = false; break;
    case FLAG_NO_HOST: s->no_host = true; break;
    default: break;
    }
    return true;
}

static bool apply_text(struct engine_request *r, const struct flag *f, const char *v, struct arena *arena,
                       struct err *err)
{
    bool open;
    switch (f->id) {
    case FLAG_MODEL: r->model_ref = v; return true;
    case FLAG_HF_REPO:
        r->model_ref = arena_printf(arena, "hf:%s", v);
        return r->model_ref || err_set(err, ERR_1201, "no memory for a name");
    case FLAG_CTX: return set_ctx(r, f, v, err);
    case FLAG_TYPE_K:
        r->wish.given |= GIVEN_TYPE_K;
        return set_type(f, v, &r->wish.s.type_k, err);
    case FLAG_TYPE_V:
        r->wish.given |= GIVEN_TYPE_V;
        return set_type(f, v, &r->wish.s.type_v, err);
    case FLAG_DRAFT_TYPE_K:
        r->wish.given |= GIVEN_DRAFT_TYPE_K;
        return set_type(f, v, &r->wish.draft_type_k, err);
    case FLAG_DRAFT_TYPE_V:
        r->wish.given |= GIVEN_DRAFT_TYPE_V;
        return set_type(f, v, &r->wish.draft_type_v, err);
    case FLAG_FLASH: return set_flash(r, f, v, err);
    case FLAG_GPU_LAYERS:
        if (!layer_count(f, v, &r->wish.s.n_gpu_layers, &open, err))
            return false;
        r->wish.given = open ? r->wish.given & ~(uint32_t)GIVEN_GPU_LAYERS
                             : r->wish.given | GIVEN_GPU_LAYERS;
        return true;
    case FLAG_DRAFT_LAYERS:
        if (!layer_count(f, v, &r->wish.draft_layers, &open, err))
            return false;
        r->wish.given = open ? r->wish.given & ~(uint32_t)GIVEN_DRAFT_LAYERS
                             : r->wish.given | GIVEN_DRAFT_LAYERS;
        return true;
    case FLAG_SPLIT_MODE: return set_split_mode(r, f, v, err);
    case FLAG_TENSOR_SPLIT: return set_tensor_split(r, f, v, err);
    case FLAG_OVERRIDE: return set_overrides(r, f, v, arena, err);
    case FLAG_MMPROJ: r->mmproj_ref = v; return true;
    case FLAG_DRAFT: r->draft_ref = v; return true;
    case FLAG_DEVICE: r->devices = v; return true;
    case FLAG_RPC: r->rpc = v; return true;
    case FLAG_DRAFT_DEVICE: r->draft_devices = v; return true;
    case FLAG_SPEC_TYPE: return set_spec_type(r, f, v, err);
    case FLAG_LORA:
    case FLAG_LORA_SCALED: return add_lora(r, f, v, arena, err);
    case FLAG_CONTROL:
    case FLAG_CONTROL_SCALED: r->n_control++; return true;
    case FLAG_FIT: r->fit_off = str_eq_fold(v, "off") || str_eq_fold(v, "0"); return true;
    default: return true;
    }
}

bool request_apply(struct engine_request *r, const struct flag *f, const char *value,
                   struct arena *arena, struct err *err)
{
    if (f->value == VALUE_NONE)
        return apply_switch(r, f);
    if (!value || !*value)
        return bad_value(f, "", f->help ? f->help : "give a value", err);
    return f->value == VALUE_NUMBER ? apply_number(r, f, value, err)
                                    : apply_text(r, f, value, arena, err);
}

/* A draft model alone is loaded and not used: what is planned here also says to use it. Older engines needed no word. */
static void settle_speculation(struct engine_request *r)
{
    struct plan_wish *w = &r->wish;
    uint32_t most = 0, kinds = r->spec_kinds;
    bool rolls_back = false;
    if (!(w->given & GIVEN_SPEC_TYPE) && r->draft_ref && !kinds && (r->drafts_untold || !w->as_command))
        kinds = 1u << SPEC_SIMPLE;
    for (int i = 0; i < N_SPEC_KINDS; i++) {
        if (!(kinds & (1u << i)))
            continue;
        uint32_t n = spec_kinds[i].drafts ? w->drafted : spec_kinds[i].at_once;
        most = n > most ? n : most;
        rolls_back = rolls_back || spec_kinds[i].rolls_back;
    }
    w->speculation = kinds & (1u << SPEC_MTP)                       ? SPEC_NEXTN
                     : (kinds & (1u << SPEC_SIMPLE)) && r->draft_ref ? SPEC_DRAFT
                     : kinds > 1                                     ? SPEC_OTHER
                                                                     : SPEC_NONE;
    w->s.mtp = w->speculation == SPEC_NEXTN;
    w->s.n_rs_seq = rolls_back ? w->drafted : 0; /* taken back over what was drafted in vain */
    place_outputs(most, &w->s);
}

void request_draft_is_head(struct engine_request *r)
{
    if ((r->wish.given & GIVEN_SPEC_TYPE) || r->wish.s.embeddings)
        return;
    r->spec_kinds = 1u << SPEC_MTP;
    settle_speculation(r);
}

/* Outputs a server reserves: one a slot and one more for every drafted token; embeddings take a whole batch,
 * which then may not exceed the micro batch (tools/server, behaviour). */
static void settle_server(struct engine_request *r)
{
    struct law_settings *s = &r->wish.s;
    if (r->per_slot_ctx && !(r->wish.given & GIVEN_CTX)) {
        s->n_ctx = s->n_seq_max * r->per_slot_ctx;
        r->wish.given |= GIVEN_CTX;
    }
    if (s->embeddings) {
        if (s->n_batch > s->n_ubatch)
            s->n_batch = s->n_ubatch;
        s->n_outputs_max = s->n_batch;
        s->n_outputs_per_seq = 1;
        return;
    }
    settle_speculation(r);
}

bool request_settle(struct engine_request *r, struct err *err)
{
    struct law_settings *s = &r->wish.s;
    if (r->wish.tool == TOOL_SERVER || r->wish.tool == TOOL_CLI)
        settle_server(r);
    else
        s->n_outputs_max = s->n_outputs_per_seq = 0;
    if (r->wish.tool == TOOL_BENCH) {
        uint32_t longer = r->bench_prompt > r->bench_gen ? r->bench_prompt : r->bench_gen;
        s->n_ctx = longer + r->bench_depth;
        if (!s->n_ctx)
            return err_set(err, ERR_9003, "llama-bench has nothing to measure: -p and -n are both 0");
    }
    if (r->wish.as_command && s->n_ctx == 0)
        r->wish.given |= GIVEN_CTX;
    return true;
}
