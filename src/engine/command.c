/* command: a plan as an engine's command: words for exec, variables, and one quoted line for people. */
#include "engine/command.h"

#include <stdio.h>
#include <string.h>

#include "plan/place.h"

struct writer {
    const struct plan *p;
    const struct engine_probe *probe;
    struct arena *arena;
    struct engine_command *c;
    uint32_t counted; /* cards that the engine's names count */
    bool failed;
};

bool command_add_word(struct engine_command *c, const char *text)
{
    if (!text || c->n_words >= COMMAND_MAX_WORDS)
        return false;
    c->words[c->n_words++] = text;
    return true;
}

bool command_add_variable(struct engine_command *c, const char *name, const char *value)
{
    if (!value || c->n_variables >= COMMAND_MAX_VARIABLES)
        return false;
    c->variables[c->n_variables].name = name;
    c->variables[c->n_variables++].value = value;
    return true;
}

static void word(struct writer *w, const char *text)
{
    w->failed = !command_add_word(w->c, text) || w->failed;
}

static void variable(struct writer *w, const char *name, const char *value)
{
    w->failed = !command_add_variable(w->c, name, value) || w->failed;
}

/* A flag in the spelling this engine knows; false if it knows none. */
static bool flag_word(struct writer *w, enum flag_id id)
{
    char name[32];
    flag_main_name(id, name);
    if (probe_knows(w->probe, name)) {
        word(w, arena_strdup(w->arena, name));
        return true;
    }
    if (w->c->n_dropped < sizeof(w->c->dropped) / sizeof(w->c->dropped[0]))
        w->c->dropped[w->c->n_dropped++] = arena_strdup(w->arena, name);
    return false;
}

static void flag_text(struct writer *w, enum flag_id id, const char *value)
{
    if (flag_word(w, id))
        word(w, value);
}

static void flag_number(struct writer *w, enum flag_id id, long long n)
{
    flag_text(w, id, arena_printf(w->arena, "%lld", n));
}

static const char *type_name(uint32_t type)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? t->name : "f16";
}

static const char *split_list(struct writer *w)
{
    const struct law_settings *s = &w->p->settings;
    struct str list = {0};
    for (uint32_t i = 0; i < s->n_tensor_split; i++)
        str_addf(&list, "%s%.10g", i ? "," : "", s->tensor_split[i]);
    char *kept = list.failed || !list.data ? NULL : arena_strdup(w->arena, list.data);
    str_finish(&list);
    return kept;
}

static enum backend kind_of(const struct device *d)
{
    return d->rpc ? BACKEND_RPC : d->backend;
}

/* The place of a card among those of its kind in `counted`. */
static int number_of(const struct machine *m, uint32_t at, uint32_t counted)
{
    int n = 0;
    for (uint32_t i = 0; i < at; i++)
        n += (counted & (1u << i)) && kind_of(&m->devices[i]) == kind_of(&m->devices[at]);
    return n;
}

/* The engine's own names of the cards of a mask, where it is shown those of `counted`. */
static const char *device_list(struct writer *w, uint32_t mask, uint32_t counted)
{
    static const char *const kinds[] = {"CUDA", "RPC", "ROCm", "Vulkan"};
    const struct machine *m = w->p->machine;
    struct str list = {0};
    for (uint32_t i = 0; i < w->p->n_devices; i++)
        if (mask & (1u << i))
            str_addf(&list, "%s%s%d", list.len ? "," : "", kinds[kind_of(&m->devices[i])], number_of(m, i, counted));
    const char *kept = list.len ? arena_strdup(w->arena, list.data) : "none";
    str_finish(&list);
    return kept;
}

static uint32_t main_cards(const struct plan *p)
{
    uint32_t all = (uint32_t)((1ull << p->n_devices) - 1);
    return p->wish.cards_set ? p->wish.cards : all;
}

static uint32_t visible_cards(const struct plan *p)
{
    return p->wish.as_command ? main_cards(p) | p->draft_mask : p->placed_mask;
}

/* RPCn counts what --rpc lists: all servers are listed where one of them is used. */
static void write_remotes(struct writer *w, uint32_t listed)
{
    struct str list = {0};
    for (uint32_t i = 0; i < w->p->n_devices; i++)
        if (listed & (1u << i))
            str_addf(&list, "%s%s", list.len ? "," : "", w->p->machine->devices[i].rpc);
    if (list.len)
        flag_text(w, FLAG_RPC, arena_strdup(w->arena, list.data));
    str_finish(&list);
}

static bool has_kind(const struct plan *p, uint32_t mask, enum backend kind)
{
    for (uint32_t i = 0; i < p->n_devices; i++)
        if ((mask & (1u << i)) && kind_of(&p->machine->devices[i]) == kind)
            return true;
    return false;
}

/* The variable that hides all other cards of a kind from the engine: CUDA takes UUIDs, so that no other order can slip
 * in, and imagined CUDA cards have none; the others take numbers. False: nothing is hidden. */
static bool hide_others(struct writer *w, enum backend kind, uint32_t mask)
{
    const struct machine *m = w->p->machine;
    struct str list = {0};
    bool can = true;
    for (uint32_t i = 0; i < w->p->n_devices; i++) {
        const struct device *d = &m->devices[i];
        if (kind_of(d) != kind)
            continue;
        can = can && (kind != BACKEND_CUDA || d->uuid);
        if (!(mask & (1u << i)))
            continue;
        if (kind == BACKEND_CUDA)
            str_addf(&list, "%s%s", list.len ? "," : "", d->uuid ? d->uuid : "");
        else
            str_addf(&list, "%s%d", list.len ? "," : "", number_of(m, i, UINT32_MAX));
    }
    can = can && list.len;
    if (can)
        variable(w, request_visible_variables[kind], arena_strdup(w->arena, list.data));
    str_finish(&list);
    return can;
}

/* Cards the engine counts when it is told names: those of a kind that is not hidden are all there. */
static uint32_t counted_cards(struct writer *w, uint32_t mask)
{
    static const enum backend kinds[] = {BACKEND_CUDA, BACKEND_ROCM, BACKEND_VULKAN};
    uint32_t counted = 0;
    for (size_t k = 0; k < 3; k++) {
        if (kinds[k] == BACKEND_CUDA && has_kind(w->p, UINT32_MAX, BACKEND_CUDA))
            variable(w, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        bool hidden = hide_others(w, kinds[k], mask);
        for (uint32_t i = 0; i < w->p->n_devices; i++)
            if (kind_of(&w->p->machine->devices[i]) == kinds[k])
                counted |= hidden ? mask & (1u << i) : 1u << i;
    }
    return counted;
}

static void write_cards(struct writer *w)
{
    const struct plan *p = w->p;
    uint32_t mask = visible_cards(p), remote = 0, counted = counted_cards(w, mask);
    for (uint32_t i = 0; i < p->n_devices; i++)
        remote |= p->machine->devices[i].rpc ? 1u << i : 0;
    write_remotes(w, mask & remote ? remote : 0);
    w->counted = counted |= remote;
    uint32_t main = p->draft ? p->wish.as_command ? main_cards(p) : p->main_mask : mask;
    if (mask == 0)
        flag_text(w, FLAG_DEVICE, "none");
    else if (main != counted)
        flag_text(w, FLAG_DEVICE, device_list(w, main, counted));
}

/* In the order of the engine's list, where the first match wins. */
static void write_overrides(struct writer *w)
{
    const struct law_settings *s = &w->p->settings;
    for (uint32_t i = 0; i <= s->n_overrides; i++) {
        uint32_t left = s->n_overrides - i;
        if (left == s->overrides_after_cpu_moe && s->n_cpu_moe == UINT32_MAX)
            flag_word(w, FLAG_CPU_MOE);
        else if (left == s->overrides_after_cpu_moe && s->n_cpu_moe)
            flag_number(w, FLAG_N_CPU_MOE, s->n_cpu_moe);
        if (left == s->overrides_after_cpu_ffn && s->n_cpu_ffn)
            flag_number(w, FLAG_N_CPU_FFN, s->n_cpu_ffn);
        if (left == 0)
            break;
        const struct law_override *o = &s->overrides[i];
        flag_text(w, FLAG_OVERRIDE,
                  o->target == LAW_HOST ? arena_printf(w->arena, "%s=CPU", o->pattern)
                                        : arena_printf(w->arena, "%s=CUDA%d", o->pattern, o->target));
    }
}

static void write_layers(struct writer *w, bool bench)
{
    static const char *const modes[] = {"none", "layer", "row", "tensor"};
    const struct law_settings *s = &w->p->settings;
    long long layers = (long long)w->p->model->n_layers + 1;
    if (visible_cards(w->p) == 0)
        return;
    flag_number(w, FLAG_GPU_LAYERS, s->n_gpu_layers < 0 || s->n_gpu_layers > layers ? layers : s->n_gpu_layers);
    flag_text(w, FLAG_SPLIT_MODE, modes[s->split]);
    if (s->split == SPLIT_NONE)
        flag_number(w, FLAG_MAIN_GPU, s->main_gpu);
    else if (s->n_tensor_split) {
        const char *list = split_list(w);
        char *bench_list = list && bench ? arena_strdup(w->arena, list) : NULL;
        for (char *c = bench_list; c && *c; c++)
            *c = *c == ',' ? '/' : *c;
        flag_text(w, FLAG_TENSOR_SPLIT, bench ? bench_list : list);
    }
    write_overrides(w);
}

static void write_cache(struct writer *w, bool bench)
{
    const struct law_settings *s = &w->p->settings;
    static const char *const flash[] = {"auto", "on", "off"};
    flag_text(w, FLAG_FLASH, flash[s->flash]);
    if (s->type_k != GGUF_TYPE_F16)
        flag_text(w, FLAG_TYPE_K, type_name(s->type_k));
    if (s->type_v != GGUF_TYPE_F16)
        flag_text(w, FLAG_TYPE_V, type_name(s->type_v));
    if (s->no_kv_offload && flag_word(w, FLAG_NO_KV_OFFLOAD) && bench)
        word(w, "1");
    if (s->swa_full && !bench)
        flag_word(w, FLAG_SWA_FULL);
}

/* The draft model's place, where it is not the model's own. */
static void write_draft(struct writer *w, const struct engine_request *r)
{
    const struct plan *p = w->p;
    flag_text(w, FLAG_DRAFT, r->draft_ref);
    if (p->draft && (p->draft_mask != p->main_mask || (p->wish.given & GIVEN_DRAFT_CARDS)))
        flag_text(w, FLAG_DRAFT_DEVICE, device_list(w, p->draft_mask, w->counted));
    if (p->wish.draft_layers >= 0)
        flag_number(w, FLAG_DRAFT_LAYERS, p->wish.draft_layers);
}

static void write_speculation(struct writer *w, const struct engine_request *r)
{
    const struct plan_wish *wish = &w->p->wish;
    const struct law_settings *d = &w->p->draft_settings;
    bool second = w->p->draft || w->p->settings.mtp;
    if (r->draft_ref)
        write_draft(w, r);
    if (second && d->type_k != GGUF_TYPE_F16)
        flag_text(w, FLAG_DRAFT_TYPE_K, type_name(d->type_k));
    if (second && d->type_v != GGUF_TYPE_F16)
        flag_text(w, FLAG_DRAFT_TYPE_V, type_name(d->type_v));
    if (wish->drafted != PLACE_DRAFTED && (second || (wish->given & GIVEN_DRAFT_MAX)))
        flag_number(w, r->drafts_untold ? FLAG_DRAFT_MAX_OLD : FLAG_DRAFT_MAX, wish->drafted);
    if (r->spec_type)
        flag_text(w, FLAG_SPEC_TYPE, r->spec_type);
    else if (wish->speculation == SPEC_NEXTN)
        flag_text(w, FLAG_SPEC_TYPE, "draft-mtp");
    else if (wish->speculation == SPEC_DRAFT && !r->drafts_untold)
        flag_text(w, FLAG_SPEC_TYPE, "draft-simple");
}

static void write_rest(struct writer *w, const struct engine_request *r, bool bench)
{
    const struct law_settings *s = &w->p->settings;
    if (s->n_batch != 2048)
        flag_number(w, FLAG_BATCH, s->n_batch);
    if (s->n_ubatch != 512)
        flag_number(w, FLAG_UBATCH, s->n_ubatch);
    if (s->no_op_offload && !bench)
        flag_word(w, FLAG_NO_OP_OFFLOAD);
    if (s->no_repack && !bench)
        flag_word(w, FLAG_NO_REPACK);
    if (s->no_host && flag_word(w, FLAG_NO_HOST) && bench)
        word(w, "1");
    if (!r || bench)
        return;
    if (s->embeddings)
        flag_word(w, r->rerank ? FLAG_RERANK : FLAG_EMBEDDING);
    if (r->mmproj_ref)
        flag_text(w, FLAG_MMPROJ, r->mmproj_ref);
    if (r->mmproj_ref && r->mmproj_on_host)
        flag_word(w, FLAG_NO_MMPROJ_OFFLOAD);
    write_speculation(w, r);
    for (uint32_t i = 0; i < r->n_loras; i++)
        flag_text(w, FLAG_LORA, r->loras[i]);
}

static bool was_passed(const struct engine_request *r, const char *flag)
{
    for (uint32_t i = 0; r && i < r->n_passed; i++)
        if (strcmp(r->passed[i], flag) == 0)
            return true;
    return false;
}

static void write_passed(struct writer *w, const struct engine_request *r, bool server)
{
    if (server && !was_passed(r, "--port")) {
        word(w, "--port");
        word(w, "8080");
    }
    for (uint32_t i = 0; r && i < r->n_passed; i++)
        word(w, r->passed[i]);
}

static void write_context(struct writer *w, const struct engine_request *r, bool bench, bool server)
{
    const struct law_settings *s = &w->p->settings;
    if (bench && r) {
        word(w, "-p");
        word(w, arena_printf(w->arena, "%u", r->bench_prompt));
        word(w, "-n");
        word(w, arena_printf(w->arena, "%u", r->bench_gen));
        if (r->bench_depth) {
            word(w, "-d");
            word(w, arena_printf(w->arena, "%u", r->bench_depth));
        }
        return;
    }
    if (bench)
        return;
    flag_number(w, FLAG_CTX, s->n_ctx ? s->n_ctx : w->p->law.n_ctx);
    if (!server)
        return;
    flag_number(w, FLAG_PARALLEL, s->n_seq_max);
    if (s->kv_unified && s->n_seq_max > 1)
        flag_word(w, FLAG_UNIFIED);
}

bool command_make(const struct plan *p, const struct engine_request *r, const char *model_path,
                  const struct engine_probe *probe, struct arena *arena, struct engine_command *out,
                  struct err *err)
{
    static const char *const programs[] = {"llama-server", "llama-cli", "llama-completion", "llama-bench",
                                           "llama-fit-params"};
    enum plan_tool tool = p->wish.tool;
    bool bench = tool == TOOL_BENCH;
    struct engine_command c = {0};
    struct writer w = {.p = p, .probe = probe, .arena = arena, .c = &c};
    word(&w, p->wish.as_command && r ? r->program : probe ? probe->path : programs[tool]);
    word(&w, "-m");
    word(&w, model_path);
    write_cards(&w);
    write_context(&w, r, bench, tool == TOOL_SERVER);
    write_layers(&w, bench);
    write_cache(&w, bench);
    write_rest(&w, r, bench);
    if (!bench && tool != TOOL_FIT && probe_knows(probe, "-fit"))
        flag_text(&w, FLAG_FIT, "off");
    write_passed(&w, r, tool == TOOL_SERVER);
    if (w.failed)
        return err_set(err, ERR_1201, "the command has more than %d words", COMMAND_MAX_WORDS);
    *out = c;
    return true;
}

void command_write_line(const struct engine_command *c, struct str *out)
{
    for (uint32_t i = 0; i < c->n_variables; i++) {
        str_addf(out, "%s=", c->variables[i].name);
        str_add_shell(out, c->variables[i].value);
        str_add(out, " ");
    }
    for (uint32_t i = 0; i < c->n_words; i++) {
        str_add(out, i ? " " : "");
        str_add_shell(out, c->words[i]);
    }
    str_add(out, "\n");
}

void command_write_env(const struct engine_command *c, struct str *out)
{
    for (uint32_t i = 0; i < c->n_variables; i++) {
        str_addf(out, "%s=", c->variables[i].name);
        str_add_shell(out, c->variables[i].value);
        str_add(out, "\n");
    }
}

void command_write_script(const struct engine_command *c, struct str *out)
{
    str_add(out, "#!/bin/sh\n");
    for (uint32_t i = 0; i < c->n_variables; i++) {
        str_addf(out, "export %s=", c->variables[i].name);
        str_add_shell(out, c->variables[i].value);
        str_add(out, "\n");
    }
    str_add(out, "exec");
    for (uint32_t i = 0; i < c->n_words; i++) {
        str_add(out, " ");
        str_add_shell(out, c->words[i]);
    }
    str_add(out, " \"$@\"\n");
}
