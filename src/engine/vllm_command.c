/* vllm_command: a plan as `vllm serve`: words, variables. */
#include "engine/vllm_command.h"

#include <string.h>

#include "engine/vllm_hosts.h"

struct writer {
    const struct vllm_plan *p;
    struct arena *arena;
    struct engine_command *c;
    bool failed;
};

static void word(struct writer *w, const char *text)
{
    w->failed = !command_add_word(w->c, text) || w->failed;
}

static void variable(struct writer *w, const char *name, const char *value)
{
    w->failed = !command_add_variable(w->c, name, value) || w->failed;
}

static void flag_text(struct writer *w, const char *flag, const char *value)
{
    word(w, flag);
    word(w, value);
}

static void flag_number(struct writer *w, const char *flag, uint64_t n)
{
    flag_text(w, flag, arena_printf(w->arena, "%llu", (unsigned long long)n));
}

/* Older vLLM breaks on UUIDs: indexes in PCI order, in the order of the ranks. Over several hosts
 * Ray knows the cards. */
static void write_cards(struct writer *w)
{
    const struct vllm_plan *p = w->p;
    struct str visible = {0}, stages = {0};
    bool several = false;
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        several = several || !device_same_host(p->ranks[0].card, p->ranks[i].card);
        str_addf(&visible, "%s%d", i ? "," : "", vllm_host_index(p, i));
    }
    for (uint32_t i = 0; i < p->wish.n_partition; i++)
        str_addf(&stages, "%s%u", i ? "," : "", p->wish.partition[i]);
    variable(w, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    const char *address = several ? vllm_host_address(p->ranks[0].card, w->arena) : NULL;
    if (!several)
        variable(w, "CUDA_VISIBLE_DEVICES",
                 visible.data ? arena_strdup(w->arena, visible.data) : NULL);
    if (address)
        variable(w, "VLLM_HOST_IP", address);
    if (stages.len)
        variable(w, "VLLM_PP_LAYER_PARTITION", arena_strdup(w->arena, stages.data));
    if (p->wish.graphs_uncounted)
        variable(w, "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS", "0");
    w->failed = w->failed || visible.failed || stages.failed;
    str_finish(&visible);
    str_finish(&stages);
}

static void write_parallel(struct writer *w)
{
    const struct vllm_plan *p = w->p;
    flag_number(w, "--tensor-parallel-size", p->tp);
    if (p->pp > 1)
        flag_number(w, "--pipeline-parallel-size", p->pp);
    if (p->dp > 1)
        flag_number(w, "--data-parallel-size", p->dp);
    if (p->wish.expert_parallel)
        word(w, "--enable-expert-parallel");
    if (p->wish.ray)
        flag_text(w, "--distributed-executor-backend", "ray");
    if (p->wish.no_custom_all_reduce)
        word(w, "--disable-custom-all-reduce");
    if (p->wish.vision_data)
        flag_text(w, "--mm-encoder-tp-mode", "data");
}

static void write_memory(struct writer *w)
{
    const struct vllm_wish *s = &w->p->wish;
    flag_text(w, "--gpu-memory-utilization", arena_printf(w->arena, "%.6g", w->p->utilization));
    if (s->kv_cache_bytes)
        flag_number(w, "--kv-cache-memory-bytes", s->kv_cache_bytes);
    flag_number(w, "--max-model-len", s->max_len);
    flag_number(w, "--max-num-seqs", s->max_seqs);
    flag_number(w, "--max-num-batched-tokens", s->max_tokens);
    if (s->block_size != 16)
        flag_number(w, "--block-size", s->block_size);
    if (strcmp(s->kv_dtype, "auto") != 0)
        flag_text(w, "--kv-cache-dtype", s->kv_dtype);
    if (strcmp(s->dtype, "auto") != 0)
        flag_text(w, "--dtype", s->dtype);
    if (s->quantization)
        flag_text(w, "--quantization", s->quantization);
    if (s->eager)
        word(w, "--enforce-eager");
}

bool vllm_command_make(const struct vllm_plan *p, const struct vllm_request *r,
                       const char *model_ref, struct arena *arena, struct engine_command *out,
                       struct err *err)
{
    struct writer w = {.p = p, .arena = arena, .c = out};
    *out = (struct engine_command){0};
    word(&w, "vllm");
    word(&w, "serve");
    word(&w, strncmp(model_ref, "hf:", 3) == 0 ? model_ref + 3 : model_ref);
    write_cards(&w);
    write_parallel(&w);
    write_memory(&w);
    if (r && r->p2p_off)
        variable(&w, "NCCL_P2P_DISABLE", "1");
    flag_text(&w, "--port", r && r->port ? r->port : "8000");
    for (uint32_t i = 0; r && i < r->n_passed; i++)
        word(&w, r->passed[i]);
    return !w.failed || err_set(err, ERR_1201, "no memory for the command");
}
