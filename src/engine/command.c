/* command: a plan as an engine's command: words for exec, variables, and one quoted line for people. */
#include "engine/command.h"

#include <stdio.h>
#include <string.h>

struct writer {
    const struct plan *p;
    const struct engine_probe *probe;
    struct arena *arena;
    struct engine_command *c;
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

/* The engine's own number of cards[i] among its kind. */
static const char *device_word(struct writer *w, uint32_t at)
{
    static const char *const kinds[] = {"CUDA", "RPC", "ROCm", "Vulkan"};
    const struct machine *m = w->p->machine;
    enum backend kind = m->devices[at].rpc ? BACKEND_RPC : m->devices[at].backend;
    int n = 0;
    for (uint32_t i = 0; i < at; i++)
        n += (m->devices[i].rpc ? BACKEND_RPC : m->devices[i].backend) == kind;
    return arena_printf(w->arena, "%s%d", kinds[kind], n);
}

static uint32_t visible_cards(const struct plan *p)
{
    uint32_t all = (uint32_t)((1ull << p->n_devices) - 1);
    if (p->wish.as_command)
        return p->wish.cards_set ? p->wish.cards : all;
    return p->placed_mask;
}

/* The servers of the cards in use. RPCn counts what --rpc lists: where cards are named, all are listed. */
static void write_remotes(struct writer *w, uint32_t mask, bool by_name)
{
    struct str list = {0};
    uint32_t remote = 0;
    for (uint32_t i = 0; i < w->p->n_devices; i++)
        remote |= w->p->machine->devices[i].rpc ? 1u << i : 0;
    uint32_t listed = (remote & mask) == 0 ? 0 : by_name ? remote : remote & mask;
    for (uint32_t i = 0; i < w->p->n_devices; i++) {
        if (listed & (1u << i))
            str_addf(&list, "%s%s", list.len ? "," : "", w->p->machine->devices[i].rpc);
    }
    if (list.len)
        flag_text(w, FLAG_RPC, arena_strdup(w->arena, list.data));
    str_finish(&list);
}

/* Real cards are named to the driver by UUID, so that no other order can slip in; imagined and remote ones to the
 * engine by its own names, when not all are used. */
static void write_cards(struct writer *w)
{
    uint32_t mask = visible_cards(w->p), all = (uint32_t)((1ull << w->p->n_devices) - 1);
    struct str uuids = {0}, names = {0};
    bool real = true;
    for (uint32_t i = 0; i < w->p->n_devices; i++) {
        const struct device *d = &w->p->machine->devices[i];
        real = real && (d->uuid || d->rpc);
        if (!(mask & (1u << i)))
            continue;
        str_addf(&names, "%s%s", names.len ? "," : "", device_word(w, i));
        if (d->uuid)
            str_addf(&uuids, "%s%s", uuids.len ? "," : "", d->uuid);
    }
    bool by_name = mask != all && !(real && uuids.len);
    if (w->p->n_devices)
        variable(w, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    if (real && uuids.len)
        variable(w, "CUDA_VISIBLE_DEVICES", arena_strdup(w->arena, uuids.data));
    write_remotes(w, mask, by_name);
    if (mask == 0)
        flag_text(w, FLAG_DEVICE, "none");
    else if (by_name)
        flag_text(w, FLAG_DEVICE, arena_strdup(w->arena, names.data));
    str_finish(&uuids);
    str_finish(&names);
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
    if (r->draft_ref)
        flag_text(w, FLAG_DRAFT, r->draft_ref);
    if (r->draft_ref && r->draft_max >= 0)
        flag_number(w, FLAG_DRAFT_MAX, r->draft_max);
    if (r->draft_ref && r->draft_layers >= 0)
        flag_number(w, FLAG_DRAFT_LAYERS, r->draft_layers);
    if (s->mtp && !r->draft_ref)
        flag_text(w, FLAG_SPEC_TYPE, "draft-mtp");
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
    struct writer w = {p, probe, arena, &c, false};
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
