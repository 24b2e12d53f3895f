/* plan_json: writes the plan document, every key of it, null where something is absent. */
#include "api/plan_json.h"

#include "api/model_json.h"

void plan_json_model(struct json *j, const struct model *m)
{
    json_key(j, "model");
    json_open_object(j);
    json_key_str(j, "path", m->path);
    json_key_str(j, "name", m->name);
    json_key_str(j, "architecture", m->architecture);
    json_key_str(j, "family", model_family_title(m));
    json_key_u64(j, "parameters", m->parameters);
    json_key_u64(j, "file_bytes", m->file_bytes);
    json_key_str(j, "quantization", m->quantization);
    json_key_u64(j, "layers", m->n_layers);
    json_key(j, "context_train");
    m->hp.n_ctx_train ? json_add_u64(j, m->hp.n_ctx_train) : json_add_null(j);
    json_key_u64(j, "embedding", m->hp.n_embd);
    json_key_u64(j, "vocabulary", m->hp.n_vocab);
    json_key_u64(j, "experts", m->hp.n_expert);
    json_key_bool(j, "from_file", m->from_file);
    json_close_object(j);
}

static void add_tensor_split(struct json *j, const struct law_settings *s)
{
    json_key(j, "tensor_split");
    if (!s->n_tensor_split) {
        json_add_null(j);
        return;
    }
    json_open_array(j);
    for (uint32_t i = 0; i < s->n_tensor_split; i++)
        json_add_f64(j, s->tensor_split[i]);
    json_close_array(j);
}

static const char *type_name(uint32_t type)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? t->name : NULL;
}

static void add_settings(struct json *j, const struct plan *p)
{
    static const char *const modes[] = {"none", "layer", "row", "tensor"};
    const struct law_settings *s = &p->settings;
    uint32_t layers = p->model->n_layers + 1;
    bool all = s->n_gpu_layers < 0 || (uint32_t)s->n_gpu_layers > layers;
    json_key(j, "settings");
    json_open_object(j);
    json_key_str(j, "engine", "llama.cpp");
    json_key_u64(j, "context", p->law.n_ctx);
    json_key_u64(j, "context_per_sequence", p->law.n_ctx_seq);
    json_key_u64(j, "parallel", s->n_seq_max);
    json_key_u64(j, "batch", p->law.n_batch);
    json_key_u64(j, "ubatch", p->law.n_ubatch);
    json_key_str(j, "cache_type_k", type_name(s->type_k));
    json_key_str(j, "cache_type_v", type_name(s->type_v));
    json_key_str(j, "flash_attention", p->flash_on ? "on" : "off");
    json_key_u64(j, "gpu_layers", p->n_devices == 0 ? 0 : all ? layers : (uint32_t)s->n_gpu_layers);
    json_key_str(j, "split_mode", modes[s->split]);
    add_tensor_split(j, s);
    json_key_u64(j, "main_gpu", s->main_gpu);
    json_key_u64(j, "n_cpu_moe",
                 s->n_cpu_moe > p->model->n_layers ? p->model->n_layers : s->n_cpu_moe);
    json_key_bool(j, "kv_unified", s->kv_unified);
    json_key_bool(j, "kv_offload", !s->no_kv_offload);
    json_key_bool(j, "swa_full", s->swa_full);
    json_close_object(j);
}

static void add_source(struct json *j, const struct plan *p, const struct device *card)
{
    const char *buffers = plan_backend_exact(card) ? "exact" : "estimate";
    json_key(j, "source");
    json_open_object(j);
    json_key_str(j, "weights", buffers);
    json_key_str(j, "kv", buffers);
    json_key_str(j, "compute", p->law.compute_exact ? buffers : "estimate");
    json_key_str(j, "runtime", "estimate");
    json_close_object(j);
}

void plan_json_backend(struct json *j, const struct device *card)
{
    static const char *const backends[] = {"cuda", "rpc", "rocm", "vulkan"};
    json_key_str(j, "backend", backends[card->backend]);
    json_key_bool(j, "simulated", card->simulated);
    json_key_str(j, "pci", card->pci);
    json_key_str(j, "host", card->host);
}

static void add_device(struct json *j, const struct plan *p, uint32_t i)
{
    const struct plan_device *d = &p->devices[i];
    json_open_object(j);
    json_key_i64(j, "index", d->card->index);
    json_key_str(j, "uuid", d->card->uuid);
    json_key_str(j, "name", d->card->name);
    plan_json_backend(j, d->card);
    json_key_u64(j, "total_bytes", d->card->total_bytes);
    json_key_u64(j, "free_bytes", d->card->free_bytes);
    json_key(j, "layers");
    if (d->first_layer < 0) {
        json_add_null(j);
    } else {
        json_open_array(j);
        json_add_i64(j, d->first_layer);
        json_add_i64(j, d->last_layer);
        json_close_array(j);
    }
    json_key_u64(j, "weights_bytes", d->weights);
    json_key_u64(j, "projector_bytes", d->projector);
    json_key_u64(j, "draft_bytes", d->draft);
    json_key_u64(j, "kv_bytes", d->kv);
    json_key_u64(j, "compute_bytes", d->compute);
    json_key_u64(j, "runtime_bytes", d->runtime);
    json_key_u64(j, "runtime_low_bytes", d->runtime_low);
    json_key_u64(j, "runtime_high_bytes", d->runtime_high);
    json_key_u64(j, "other_bytes", d->other);
    json_key_u64(j, "reserved_bytes", 0);
    json_key_u64(j, "keep_free_bytes", d->keep_free);
    json_key_i64(j, "free_after_bytes", d->free_after);
    add_source(j, p, d->card);
    json_close_object(j);
}

static void add_host(struct json *j, const struct plan *p)
{
    const struct plan_host *h = &p->host;
    json_key(j, "host");
    json_open_object(j);
    json_key_u64(j, "weights_bytes", h->weights);
    json_key_u64(j, "kv_bytes", h->kv);
    json_key_u64(j, "compute_bytes", h->compute);
    json_key_u64(j, "repack_bytes", h->repack);
    json_key_u64(j, "cache_bytes", h->cache);
    json_key_u64(j, "cache_ceiling_bytes", h->cache_ceiling);
    json_key_u64(j, "total_bytes", h->total);
    json_key_u64(j, "free_bytes", h->free);
    json_key_u64(j, "keep_free_bytes", h->keep_free);
    json_close_object(j);
}

/* Tokens per second; 0 is unknown, and null. */
static void add_tps(struct json *j, const char *key, double tps)
{
    json_key(j, key);
    tps > 0 ? json_add_f64(j, tps) : json_add_null(j);
}

static const char *speculation_name(const struct plan *p)
{
    static const char *const names[] = {NULL, "draft-simple", "draft-mtp", "other"};
    return names[p->wish.speculation];
}

/* The plain speeds are those without drafting; what drafting is expected to give rests on an assumed rate. */
static void add_speculative(struct json *j, const struct plan *p)
{
    const struct speculation_gain *g = p ? &p->speculation : NULL;
    json_key(j, "speculative");
    if (!g || g->kind == SPEC_NONE) {
        json_add_null(j);
        return;
    }
    const struct speculation_rate *r = speculation_rate(g->kind);
    json_open_object(j);
    json_key_str(j, "type", speculation_name(p));
    json_key_u64(j, "drafted", g->drafted);
    add_tps(j, "decode_tps", g->decode.tps);
    add_tps(j, "low", g->decode.low);
    add_tps(j, "high", g->decode.high);
    json_key_f64(j, "acceptance", r->likely);
    json_key_f64(j, "acceptance_low", r->low);
    json_key_f64(j, "acceptance_high", r->high);
    json_key_str(j, "source", r->source);
    json_close_object(j);
}

/* Cards are places in devices. */
static void add_draft(struct json *j, const struct plan *p)
{
    json_key(j, "draft");
    if (!p->draft && !p->settings.mtp) {
        json_add_null(j);
        return;
    }
    const struct law_settings *s = &p->draft_settings;
    const struct model *m = p->draft ? p->draft : p->model;
    bool all = s->n_gpu_layers < 0 || (uint32_t)s->n_gpu_layers > m->n_layers;
    json_open_object(j);
    json_key_str(j, "type", speculation_name(p));
    json_key_str(j, "path", p->draft ? p->draft->path : NULL);
    json_key_str(j, "name", m->name);
    json_key(j, "devices");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_devices; i++)
        if (p->draft_mask & (1u << i))
            json_add_u64(j, i);
    json_close_array(j);
    json_key_u64(j, "gpu_layers", !p->draft_mask ? 0 : all ? m->n_layers + 1 : (uint32_t)s->n_gpu_layers);
    json_key_u64(j, "context", p->law.n_ctx);
    json_key_str(j, "cache_type_k", type_name(s->type_k));
    json_key_str(j, "cache_type_v", type_name(s->type_v));
    json_key_u64(j, "drafted", p->wish.drafted);
    json_close_object(j);
}

void plan_json_speed(struct json *j, const struct plan *p, const struct speed *v)
{
    json_key(j, "speed");
    json_open_object(j);
    add_tps(j, "decode_tps", v->decode.tps);
    add_tps(j, "decode_tps_low", v->decode.low);
    add_tps(j, "decode_tps_high", v->decode.high);
    add_tps(j, "decode_tps_full_context", v->decode_depth.tps);
    add_tps(j, "throughput_tps", v->throughput.tps);
    add_tps(j, "prefill_tps", v->prefill.tps);
    add_tps(j, "prefill_tps_low", v->prefill.low);
    add_tps(j, "prefill_tps_high", v->prefill.high);
    bool known = v->confidence != SPEED_NONE;
    json_key_str(j, "confidence", known ? speed_confidence_name(v->confidence) : NULL);
    json_key_str(j, "limited_by", known ? v->limited_by : NULL);
    add_speculative(j, p);
    json_close_object(j);
}

static void add_context_max(struct json *j, const struct plan *p)
{
    static const char *const types[] = {"f16", "q8_0", "q4_0"};
    json_key(j, "context_max");
    json_open_object(j);
    for (int i = 0; i < 3; i++) {
        json_key(j, types[i]);
        p->context_max[i] ? json_add_u64(j, p->context_max[i]) : json_add_null(j);
    }
    json_close_object(j);
}

void plan_json_alternatives(struct json *j, const struct plan_alternative *all, uint32_t n)
{
    json_key(j, "alternatives");
    json_open_array(j);
    for (uint32_t i = 0; i < n; i++) {
        const struct plan_alternative *a = &all[i];
        json_open_object(j);
        json_key(j, "key");
        json_add_str_n(j, &a->key, 1);
        json_key_str(j, "change", a->change);
        json_key_str(j, "flags", a->flags);
        json_key(j, "context");
        a->context ? json_add_u64(j, a->context) : json_add_null(j);
        add_tps(j, "decode_tps", a->decode_tps);
        json_key_str(j, "verdict", plan_verdict_name(a->verdict));
        json_key_str(j, "price", a->price);
        json_key_u64(j, "freed_bytes", a->freed_bytes);
        json_key_u64(j, "short_bytes", a->short_bytes > 0 ? (uint64_t)a->short_bytes : 0);
        json_key_bool(j, "combination", a->combination);
        json_close_object(j);
    }
    json_close_array(j);
}

static void add_short(struct json *j, int device, uint64_t bytes)
{
    if (!bytes)
        return;
    json_open_object(j);
    json_key(j, "device");
    device < 0 ? json_add_null(j) : json_add_i64(j, device); /* null: host memory */
    json_key_u64(j, "bytes", bytes);
    json_close_object(j);
}

static void add_shortfall(struct json *j, const struct plan *p)
{
    json_key(j, "shortfall");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_devices; i++)
        add_short(j, (int)i, p->devices[i].shortfall);
    add_short(j, -1, p->host.shortfall);
    json_close_array(j);
}

void plan_json_texts(struct json *j, const char *key, const char *const *texts, uint32_t n)
{
    json_key(j, key);
    json_open_array(j);
    for (uint32_t i = 0; i < n; i++)
        json_add_str(j, texts[i]);
    json_close_array(j);
}

void plan_json_occupants(struct json *j, uint32_t device, const struct device *card)
{
    for (uint32_t k = 0; k < card->n_occupants; k++) {
        const struct occupant *o = &card->occupants[k];
        json_open_object(j);
        json_key_u64(j, "device", device);
        json_key_u64(j, "pid", o->pid);
        json_key_str(j, "name", o->name);
        json_key(j, "bytes");
        o->bytes == UINT64_MAX ? json_add_null(j) : json_add_u64(j, o->bytes);
        json_close_object(j);
    }
}

static void add_occupants(struct json *j, const struct plan *p)
{
    json_key(j, "occupants");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_devices; i++)
        plan_json_occupants(j, i, p->devices[i].card);
    json_close_array(j);
}

static void add_optimality(struct json *j, const struct plan *p)
{
    json_key(j, "optimality");
    json_open_object(j);
    const struct plan_optimality *o = &p->optimality;
    json_key(j, "proved");
    o->objective ? json_add_bool(j, o->proved) : json_add_null(j);
    json_key_u64(j, "candidates", o->candidates);
    json_key_str(j, "objective", o->objective);
    json_key(j, "value");
    o->objective ? json_add_f64(j, o->best) : json_add_null(j);
    json_key_str(j, "value_of", plan_value_of(o));
    json_key_str(j, "unit", plan_value_unit(o));
    json_key(j, "bound");
    o->objective && o->proved ? json_add_f64(j, o->best) : json_add_null(j);
    json_key(j, "runner_up");
    if (o->runner_up) {
        json_open_object(j);
        json_key_str(j, "choice", o->runner_up);
        json_key_f64(j, "value", o->runner_up_value);
        json_close_object(j);
    } else {
        json_add_null(j);
    }
    json_close_object(j);
}

void plan_json_argv(struct json *j, const struct engine_command *c)
{
    plan_json_texts(j, "argv", c->words, c->n_words);
    json_key(j, "env");
    json_open_object(j);
    for (uint32_t i = 0; i < c->n_variables; i++)
        json_key_str(j, c->variables[i].name, c->variables[i].value);
    json_close_object(j);
}

void plan_json_command(struct json *j, const struct engine_command *c)
{
    json_key(j, "command");
    if (!c) {
        json_add_null(j);
        return;
    }
    json_open_object(j);
    plan_json_argv(j, c);
    json_close_object(j);
}

void plan_json(struct json *j, const struct plan_document *doc)
{
    const struct plan *p = doc->plan;
    json_key_bool(j, "simulated", p->machine->simulated);
    json_key_str(j, "verdict", plan_verdict_name(p->verdict));
    plan_json_model(j, p->model);
    add_settings(j, p);
    json_key(j, "devices");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n_devices; i++)
        add_device(j, p, i);
    json_close_array(j);
    add_host(j, p);
    add_draft(j, p);
    plan_json_speed(j, p, &p->speed);
    add_context_max(j, p);
    plan_json_alternatives(j, p->alternatives, p->n_alternatives);
    add_shortfall(j, p);
    plan_json_texts(j, "reasons", p->reasons, p->n_reasons);
    add_occupants(j, p);
    add_optimality(j, p);
    plan_json_command(j, doc->command);
    plan_json_texts(j, "not_accounted", doc->request ? doc->request->not_accounted : NULL,
              doc->request ? doc->request->n_not_accounted : 0);
}
