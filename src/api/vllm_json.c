/* vllm_json: writes a vLLM plan as a plan document; what vLLM has no word for is null. */
#include "api/vllm_json.h"

#include <stdio.h>

#include "api/plan_json.h"
#include "plan/vllm_layout.h"

static void add_nulls(struct json *j, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_key_null(j, keys[i]);
}

#define NULLS(j, ...) \
    add_nulls(j, (const char *const[]){__VA_ARGS__}, \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void add_partition(struct json *j, const struct vllm_plan *p)
{
    json_key(j, "pp_layer_partition");
    if (!p->wish.n_partition) {
        json_add_null(j);
        return;
    }
    json_open_array(j);
    for (uint32_t i = 0; i < p->wish.n_partition; i++)
        json_add_u64(j, p->wish.partition[i]);
    json_close_array(j);
}

static void add_settings(struct json *j, const struct vllm_plan *p)
{
    const struct vllm_wish *w = &p->wish;
    json_key(j, "settings");
    json_open_object(j);
    json_key_str(j, "engine", "vllm");
    json_key_u64(j, "context", w->max_len);
    json_key_u64(j, "context_per_sequence", w->max_len);
    json_key_u64(j, "parallel", w->max_seqs);
    json_key_u64(j, "batch", w->max_tokens);
    NULLS(j, "ubatch");
    json_key_str(j, "cache_type_k", w->kv_dtype);
    json_key_str(j, "cache_type_v", w->kv_dtype);
    NULLS(j, "flash_attention", "gpu_layers", "split_mode", "tensor_split", "main_gpu",
          "n_cpu_moe", "kv_unified", "kv_offload", "swa_full");
    json_key_u64(j, "tensor_parallel_size", p->tp);
    json_key_u64(j, "pipeline_parallel_size", p->pp);
    json_key_u64(j, "data_parallel_size", p->dp);
    json_key_f64(j, "gpu_memory_utilization", p->utilization);
    json_key_u64(j, "max_model_len", w->max_len);
    json_key_u64(j, "max_num_seqs", w->max_seqs);
    json_key_u64(j, "max_num_batched_tokens", w->max_tokens);
    json_key_str(j, "kv_cache_dtype", w->kv_dtype);
    add_partition(j, p);
    json_close_object(j);
}

static const struct vllm_rank *rank_of(const struct vllm_plan *p, uint32_t device)
{
    for (uint32_t i = 0; i < p->n_ranks; i++)
        if (p->ranks[i].device == device)
            return &p->ranks[i];
    return NULL;
}

static void add_layers(struct json *j, const struct vllm_rank *r)
{
    json_key(j, "layers");
    if (!r) {
        json_add_null(j);
        return;
    }
    json_open_array(j);
    json_add_u64(j, r->first_layer);
    json_add_u64(j, r->last_layer);
    json_close_array(j);
}

static void add_source(struct json *j, const struct vllm_plan *p)
{
    json_key(j, "source");
    json_open_object(j);
    json_key_str(j, "weights", p->model->from_headers ? "exact" : "estimate");
    json_key_str(j, "kv", "estimate");
    json_key_str(j, "compute", "estimate");
    json_key_str(j, "runtime", "estimate");
    json_close_object(j);
}

static void add_device(struct json *j, const struct vllm_plan *p, uint32_t i)
{
    static const struct vllm_rank none;
    const struct device *card = &p->machine->devices[i];
    const struct vllm_rank *used = rank_of(p, i), *r = used ? used : &none;
    json_open_object(j);
    json_key_i64(j, "index", card->index);
    json_key_str(j, "uuid", card->uuid);
    json_key_str(j, "name", card->name);
    plan_json_backend(j, card);
    json_key_u64(j, "total_bytes", card->total_bytes);
    json_key_u64(j, "free_bytes", card->free_bytes);
    add_layers(j, used);
    json_key_u64(j, "weights_bytes", r->weights);
    json_key_u64(j, "projector_bytes", 0);
    json_key_u64(j, "draft_bytes", 0);
    json_key_u64(j, "kv_bytes", r->kv.value);
    json_key_u64(j, "compute_bytes", r->activation.value + r->graphs.value);
    json_key_u64(j, "runtime_bytes", r->non_torch.value + r->runtime);
    json_key_u64(j, "runtime_low_bytes", r->non_torch.low + r->runtime);
    json_key_u64(j, "runtime_high_bytes", r->non_torch.high + r->runtime);
    json_key_u64(j, "other_bytes", card->total_bytes - card->free_bytes);
    json_key_u64(j, "reserved_bytes", 0);
    json_key_u64(j, "keep_free_bytes", used ? vllm_keep_free(&p->wish, card) : 0);
    json_key_i64(j, "free_after_bytes", used ? r->free_after : (int64_t)card->free_bytes);
    add_source(j, p);
    json_close_object(j);
}

static void add_shortfall(struct json *j, const struct vllm_plan *p)
{
    json_key(j, "shortfall");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        const struct vllm_rank *r = &p->ranks[i];
        uint64_t start = r->requested > r->card->free_bytes && !p->wish.kv_cache_bytes
                             ? r->requested - r->card->free_bytes
                             : 0;
        uint64_t missing = p->starts ? (i == p->limiting ? p->shortfall : 0) : start;
        if (!missing)
            continue;
        json_open_object(j);
        json_key_u64(j, "device", r->device);
        json_key_u64(j, "bytes", missing);
        json_close_object(j);
    }
    json_close_array(j);
}

static void add_range(struct json *j, const char *key, struct vllm_range r)
{
    json_key(j, key);
    json_open_object(j);
    json_key_u64(j, "low", r.low);
    json_key_u64(j, "value", r.value);
    json_key_u64(j, "high", r.high);
    json_close_object(j);
}

static void add_rank(struct json *j, const struct vllm_rank *r)
{
    json_open_object(j);
    json_key_u64(j, "device", r->device);
    json_key_u64(j, "replica", r->replica);
    json_key_u64(j, "stage", r->stage);
    json_key_u64(j, "tensor_rank", r->tp_rank);
    json_key_u64(j, "requested_bytes", r->requested);
    json_key_u64(j, "weights_bytes", r->weights);
    add_range(j, "activation_bytes", r->activation);
    add_range(j, "non_torch_bytes", r->non_torch);
    add_range(j, "graphs_bytes", r->graphs);
    add_range(j, "kv_bytes", r->kv);
    add_range(j, "blocks", r->blocks);
    json_key_u64(j, "block_bytes", r->block_bytes);
    json_close_object(j);
}

static void add_host(struct json *j, const struct vllm_host *h)
{
    json_open_object(j);
    json_key_str(j, "host", h->name);
    json_key_bool(j, "head", h->first_rank == 0);
    json_key_u64(j, "first_rank", h->first_rank);
    json_key_u64(j, "ranks", h->n_ranks);
    plan_json_argv(j, &h->command);
    json_close_object(j);
}

static void add_vllm(struct json *j, const struct vllm_plan *p, const struct vllm_hosts *hosts)
{
    json_key(j, "vllm");
    json_open_object(j);
    json_key_bool(j, "starts", p->starts);
    json_key_u64(j, "limiting_rank", p->limiting);
    add_range(j, "blocks", p->blocks);
    add_range(j, "kv_tokens", p->kv_tokens);
    add_range(j, "max_context", p->max_context);
    json_key_f64(j, "concurrency", p->concurrency);
    json_key(j, "ranks");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_ranks; i++)
        add_rank(j, &p->ranks[i]);
    json_close_array(j);
    json_key(j, "hosts");
    json_open_array(j);
    for (uint32_t i = 0; hosts && i < hosts->n; i++)
        add_host(j, &hosts->host[i]);
    json_close_array(j);
    json_close_object(j);
}

static void add_occupants(struct json *j, const struct machine *m)
{
    json_key(j, "occupants");
    json_open_array(j);
    for (uint32_t i = 0; i < m->n_devices; i++)
        plan_json_occupants(j, i, &m->devices[i]);
    json_close_array(j);
}

/* Host memory and contexts by llama.cpp's cache types are nothing vLLM plans. */
static void add_unknown(struct json *j)
{
    json_key_null(j, "host");
    json_key(j, "context_max");
    json_open_object(j);
    NULLS(j, "f16", "q8_0", "q4_0");
    json_close_object(j);
}

static double objective(const struct vllm_plan *p, const struct vllm_choice *c)
{
    double tps = c->decode_ms > 0 ? 1e3 / c->decode_ms : 0;
    switch (p->wish.goal) {
    case GOAL_CONTEXT: return c->context;
    case GOAL_SPEED: return tps;
    case GOAL_THROUGHPUT: return c->throughput_tps;
    default: return c->n_cards;
    }
}

static void add_optimality(struct json *j, const struct vllm_plan *p)
{
    static const char *const names[] = {"cards", "cards", "context", "decode_tps",
                                        "throughput_tps"};
    static const char *const values[] = {
        "GPUs that are used; the fewer the better", "GPUs that are used; the fewer the better",
        "tokens of context of one sequence", "tokens per second of one stream",
        "tokens per second of all streams together"};
    struct plan_optimality named = {.objective = names[p->wish.goal]};
    char choice[64];
    json_key(j, "optimality");
    json_open_object(j);
    json_key_bool(j, "proved", p->proved);
    json_key_u64(j, "candidates", p->candidates);
    json_key_str(j, "objective", names[p->wish.goal]);
    json_key_f64(j, "value", objective(p, &p->choice));
    json_key_str(j, "value_of", values[p->wish.goal]);
    json_key_str(j, "unit", plan_value_unit(&named));
    json_key(j, "bound");
    p->proved ? json_add_f64(j, objective(p, &p->choice)) : json_add_null(j);
    json_key(j, "runner_up");
    if (p->has_runner_up) {
        snprintf(choice, sizeof(choice), "%u cards, tp %u pp %u", p->runner_up.n_cards,
                 p->runner_up.tp, p->runner_up.pp);
        json_open_object(j);
        json_key_str(j, "choice", choice);
        json_key_f64(j, "value", objective(p, &p->runner_up));
        json_close_object(j);
    } else {
        json_add_null(j);
    }
    json_close_object(j);
}

void vllm_json(struct json *j, const struct vllm_plan *p, const struct model *model,
               const struct engine_command *command, const struct vllm_request *request,
               const struct vllm_hosts *hosts)
{
    json_key_bool(j, "simulated", p->machine->simulated);
    json_key_str(j, "verdict", plan_verdict_name(p->verdict));
    plan_json_model(j, model);
    add_settings(j, p);
    json_key(j, "devices");
    json_open_array(j);
    for (uint32_t i = 0; i < p->machine->n_devices; i++)
        add_device(j, p, i);
    json_close_array(j);
    add_unknown(j);
    plan_json_speed(j, NULL, &p->speed);
    plan_json_alternatives(j, p->alternatives, p->n_alternatives);
    add_shortfall(j, p);
    plan_json_texts(j, "reasons", p->reasons, p->n_reasons);
    add_occupants(j, p->machine);
    add_optimality(j, p);
    plan_json_command(j, command);
    plan_json_texts(j, "not_accounted", request ? request->not_accounted : NULL,
                    request ? request->n_not_accounted : 0);
    add_vllm(j, p, hosts);
}
