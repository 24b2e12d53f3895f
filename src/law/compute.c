/* compute: builds and lays out the engine's graphs; the largest of each buffer stays. */
#include "law/compute.h"

#include <stdio.h>
#include <string.h>

#include "law/estimate.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Tensors the engine holds: the loaded ones, the tied output and RoPE factors once per buffer that
 * needs them. */
static uint32_t count_tensors(const struct model *m, const struct assignment *a)
{
    uint32_t n = a->output_copy_buffer != ASSIGN_NOT_LOADED;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        n += a->tensor_buffer[i] != ASSIGN_NOT_LOADED;
        uint8_t role = m->tensors[i].role;
        if (role != ROLE_ROPE_FREQS && role != ROLE_ROPE_FACTORS_LONG &&
            role != ROLE_ROPE_FACTORS_SHORT)
            continue;
        for (int b = 0; b <= LAW_HOST; b++)
            n += b != a->tensor_buffer[i] && assign_copies_rope_factor(m, a, &m->tensors[i], b);
    }
    return n;
}

/* llama-context.cpp graph_max_nodes: families with long graphs get more. */
static uint32_t node_budget(const struct model *m, const struct assignment *a, uint32_t n_tokens)
{
    static const char *const LONG[] = {"qwen3next",  "kimi-linear", "bailingmoe3", "qwen35",
                                       "qwen35moe",  "qwen4exp",    "deepseek4",   "nanbeige",
                                       "minimax-01", "minimax-m3",  "hy-v4"};
    uint32_t n = count_tensors(m, a);
    if (!strcmp(m->architecture, "kimi-k3"))
        return max_u32(160 * n_tokens, 64 * n);
    if (!strcmp(m->architecture, "hrm-text"))
        return max_u32(80 * n_tokens, 64 * n);
    for (size_t i = 0; i < sizeof LONG / sizeof *LONG; i++)
        if (!strcmp(m->architecture, LONG[i]))
            return max_u32(40 * n_tokens, 32 * n);
    return max_u32(1024, 8 * n);
}

/* ggml_hash_size: tables have a prime number of places, each about twice the one before. */
static uint32_t table_places(uint32_t at_least)
{
    static const uint32_t PRIMES[] = {1031,   2053,   4099,   8209,    16411,   32771,   65537,
                                      131101, 262147, 524309, 1048583, 2097169, 4194319, 8388617};
    for (size_t i = 0; i < sizeof PRIMES / sizeof *PRIMES; i++)
        if (PRIMES[i] >= at_least)
            return PRIMES[i];
    return at_least | 1;
}

void compute_setup_init(struct compute_setup *u, const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a,
                        const struct cache_plan *c)
{
    *u = (struct compute_setup){.m = m, .mc = mc, .s = s, .a = a, .c = c};
    for (uint32_t i = 0; i < a->n_devices; i++) {
        const struct device *d = &mc->devices[a->device_of[i]];
        int cc = (int)(d->cc_major * 100 + d->cc_minor * 10);
        bool remote = d->backend == BACKEND_RPC;
        u->rules[i] =
            (struct cuda_rules){(int)i, cc ? cc : 890, remote, remote || s->split == SPLIT_TENSOR};
        u->buffers[i] = (struct galloc_buffer){CUDA_ALIGNMENT, cuda_size_of, &u->rules[i]};
    }
    u->buffers[a->n_devices] = (struct galloc_buffer){HOST_ALIGNMENT, host_size_of, NULL};
    u->env = (struct sched_env){.n_devices = a->n_devices,
                                .devices = u->rules,
                                .op_offload = !s->no_op_offload,
                                .n_copies = a->pipeline ? SCHED_MAX_COPIES : 1};
    u->max_nodes = node_budget(m, a, min_u32(c->n_ctx, c->n_ubatch));
}

static bool refuse_size(const struct compute_setup *u, uint32_t needs, uint32_t has,
                        struct err *err)
{
    err_set(err, ERR_2111, "the engine's graph of %u tensors does not fit its table of %u", needs,
            has);
    err_why(err, "%s has %u tensors to load, which sets the table's size", u->m->name,
            u->m->n_tensors);
    if (u->s->n_seq_max > 1 && !u->s->kv_unified)
        err_fix(err, "-kvu", "share one cache among the %u sequences", u->s->n_seq_max);
    if (g_is_quantised(u->s->type_k) || g_is_quantised(u->s->type_v))
        err_fix(err, "-ctk f16 -ctv f16",
                "leave the cache unquantised: its rotations need extra tensors");
    return false;
}

static bool refuse_graph(const struct compute_setup *u, const char *why, struct err *err)
{
    if (!strcmp(why, "memory"))
        return err_set(err, ERR_1201, "no memory left for the graph of %s", u->m->name);
    err_set(err, ERR_2111, "the engine would abort over the graph of %s", u->m->name);
    return err_why(err, "%s", why);
}

static bool check_budget(const struct compute_setup *u, const struct graph *g, uint32_t n_keys,
                         struct err *err)
{
    uint32_t most = g->n_nodes > g->n_leafs ? g->n_nodes : g->n_leafs;
    if (most >= u->max_nodes)
        return refuse_size(u, most, u->max_nodes, err);
    if (n_keys > table_places(u->max_nodes))
        return refuse_size(u, n_keys, table_places(u->max_nodes), err);
    return true;
}

static bool build(const struct compute_setup *u, const struct compute_shape *shape, struct graph *g,
                  struct err *err)
{
    int64_t per_seq = ((int64_t)shape->n_tokens + shape->n_seqs - 1) / shape->n_seqs;
    struct builder b = {.g = g,
                        .m = u->m,
                        .mc = u->mc,
                        .s = u->s,
                        .a = u->a,
                        .c = u->c,
                        .flash_on = shape->flash_on,
                        .n_tokens = per_seq * shape->n_seqs,
                        .n_seqs = shape->n_seqs,
                        .n_seq_tokens = per_seq,
                        .n_outputs = shape->n_outputs};
    if (build_graph(&b))
        return true;
    if (g->failed && !strcmp(g->failed_at, "memory"))
        return err_set(err, ERR_1201, "no memory left for the graph of %s", u->m->name);
    err_set(err, ERR_2003, "%s: the tensors do not make a graph of architecture %s", u->m->name,
            u->m->architecture);
    return err_why(err, "the step %s found shapes that do not fit",
                   g->failed ? g->failed_at : "none");
}

bool compute_run_make(const struct compute_setup *u, const struct compute_shape *shape,
                      bool with_sizes, const struct galloc_trace *trace, struct arena *scratch,
                      struct compute_run *out, struct err *err)
{
    const char *why = "";
    memset(out, 0, sizeof *out);
    graph_init(&out->graph, scratch);
    if (!build(u, shape, &out->graph, err))
        return false;
    uint32_t n_nodes = out->graph.n_nodes, n_leafs = out->graph.n_leafs;
    if (!check_budget(u, &out->graph, n_nodes + n_leafs, err))
        return false;
    if (!sched_make(&u->env, &out->graph, scratch, &out->plan, &why))
        return refuse_graph(u, why, err);
    if (!check_budget(u, &out->graph, out->plan.n_keys, err))
        return false;
    if (with_sizes && !galloc_measure(&out->plan.order, u->buffers, u->env.n_devices + 1, scratch,
                                      trace, out->sizes, &why))
        return refuse_graph(u, why, err);
    return true;
}

/* Whether flash attention runs on the device of its layer everywhere (resolve_fused_ops). */
static bool flash_is_at_home(const struct compute_setup *u, const struct compute_run *run)
{
    for (uint32_t i = 0; i < run->graph.n_nodes; i++) {
        const struct g_tensor *t = run->graph.nodes[i];
        if (t->op != OP_FLASH_ATTN_EXT || t->layer < 0)
            continue;
        int layer = u->a->layer_buffer[t->layer];
        if (run->plan.backend[t->id] != (layer == LAW_HOST ? (int)u->env.n_devices : layer))
            return false;
    }
    return true;
}

/* What the graphs made so far came to. */
struct reservation {
    uint64_t sizes[GALLOC_MAX_BUFFERS];
    struct compute_load load;
    uint32_t n_splits, n_nodes; /* of the last one */
};

static void add_run(const struct compute_setup *u, const struct compute_run *run, bool counts,
                    struct reservation *r)
{
    for (uint32_t b = 0; counts && b <= u->env.n_devices; b++)
        if (run->sizes[b] > r->sizes[b])
            r->sizes[b] = run->sizes[b];
    r->n_splits = run->plan.n_splits;
    r->n_nodes = run->graph.n_nodes;
    r->load.n_nodes = max_u32(r->load.n_nodes, run->graph.n_nodes);
    r->load.n_keys = max_u32(r->load.n_keys, run->plan.n_keys);
    r->load.n_splits = max_u32(r->load.n_splits, run->plan.n_splits);
}

/* sizes grow to what this shape needs; unless flash attention was tried and is not at home
 * (flash_ok). */
static bool reserve_one(const struct compute_setup *u, const struct compute_shape *shape,
                        bool *flash_ok, struct arena *scratch, struct reservation *r,
                        struct err *err)
{
    struct compute_run run;
    struct arena_mark mark = arena_mark(scratch);
    bool ok = compute_run_make(u, shape, true, NULL, scratch, &run, err);
    if (ok && flash_ok)
        *flash_ok = flash_is_at_home(u, &run);
    if (ok)
        add_run(u, &run, !flash_ok || *flash_ok, r);
    arena_rewind(scratch, mark);
    return ok;
}

/* The engine probes "auto" with the graph it reserves for generation later, so one run serves both.
 */
static bool reserve_generation(const struct compute_setup *u, bool *flash_on, struct arena *scratch,
                               struct reservation *r, struct err *err)
{
    uint32_t n = u->s->n_seq_max;
    struct compute_shape next = {n, n, n, u->s->flash != FLASH_OFF};
    *flash_on = next.flash_on;
    if (u->s->flash == FLASH_AUTO) {
        if (!reserve_one(u, &next, flash_on, scratch, r, err))
            return false;
        if (*flash_on)
            return true;
        next.flash_on = false;
    }
    return reserve_one(u, &next, NULL, scratch, r, err);
}

/* The prompt graph of one sequence still spreads its tokens evenly over the cache of every sequence. */
static bool check_even(const struct compute_setup *u, uint32_t n_tokens, struct err *err)
{
    uint32_t n = u->c->n_streams, even = n_tokens / n * n;
    if (n_tokens % n == 0)
        return true;
    uint32_t slots = n;
    while (n_tokens % slots)
        slots--;
    char ubatch[32], parallel[32];
    snprintf(ubatch, sizeof(ubatch), "-ub %u", even);
    snprintf(parallel, sizeof(parallel), "-np %u", slots);
    err_set(err, ERR_2110, "%s cannot serve %u sequences with prompts of %u tokens a batch", u->m->name, n, n_tokens);
    err_why(err, "the engine lays such a batch over the %u sequences' caches: %u is no multiple of %u, it would abort", n,
            n_tokens, n);
    if (even)
        err_fix(err, ubatch, "take the nearest multiple of %u", n);
    err_fix(err, parallel, "or fewer sequences");
    return err_fix(err, "-kvu", "or one cache for all sequences");
}

static bool reserve_prompt(const struct compute_setup *u, bool flash_on, struct arena *scratch,
                           struct reservation *r, struct err *err)
{
    const struct law_settings *s = u->s;
    uint32_t n_seqs = s->n_seq_max, n_tokens = min_u32(u->c->n_ctx, u->c->n_ubatch);
    uint32_t outputs = min_u32(n_tokens, s->n_outputs_max ? s->n_outputs_max : u->c->n_batch);
    struct compute_shape prompt = {n_tokens, n_seqs, outputs, flash_on};
    if (!reserve_one(u, &prompt, NULL, scratch, r, err))
        return false;
    /* these two need most with one sequence, so the engine's second prompt graph has just that */
    bool one =
        !strcmp(u->m->architecture, "kimi-linear") || !strcmp(u->m->architecture, "minimax-01");
    if (one && n_seqs > 1 && !check_even(u, n_tokens, err))
        return false;
    uint32_t n_splits = r->n_splits, n_nodes = r->n_nodes;
    prompt.n_seqs = 1;
    bool ok = !one || n_seqs == 1 || reserve_one(u, &prompt, NULL, scratch, r, err);
    r->n_splits = n_splits;
    r->n_nodes = n_nodes;
    return ok;
}

static void report(const struct compute_setup *u, const struct reservation *r,
                   struct law_result *out)
{
    const uint64_t *sizes = r->sizes;
    out->n_splits = r->n_splits;
    out->n_nodes = r->n_nodes;
    for (uint32_t i = 0; i < u->env.n_devices; i++)
        out->device[u->a->device_of[i]].bytes.compute = sizes[i];
    if (u->s->split == SPLIT_TENSOR) /* every device holds all activations */
        for (uint32_t i = 0; i < u->mc->n_devices; i++)
            out->device[i].bytes.compute = sizes[0];
    out->host.compute = sizes[u->env.n_devices];
}

/* llama-context.cpp output_reserve asserts it. */
static bool refuse_outputs(uint32_t outputs, uint32_t sequences, struct err *err)
{
    err_set(err, ERR_2114,
            "%u outputs per batch are too few for %u sequences: the engine would abort", outputs,
            sequences);
    return err_fix(err, NULL, "let a batch have at least %u outputs (-b %u or more)", sequences,
                   sequences);
}

bool compute_reserve(const struct model *m, const struct machine *mc, const struct law_settings *s,
                     const struct assignment *a, const struct cache_plan *c, struct arena *scratch,
                     struct law_result *out, struct compute_load *load, struct err *err)
{
    struct compute_setup u;
    struct reservation r = {0};
    bool flash_on;
    if (s->n_outputs_max && s->n_outputs_max < s->n_seq_max)
        return refuse_outputs(s->n_outputs_max, s->n_seq_max, err);
    if (!s->n_outputs_max && c->n_batch < s->n_seq_max)
        return refuse_outputs(c->n_batch, s->n_seq_max, err);
    if (a->n_devices >= SCHED_MAX_BACKENDS) {
        err_set(err, ERR_2110, "the engine runs on at most %d devices: it would abort with %u",
                SCHED_MAX_BACKENDS - 1, a->n_devices);
        return err_fix(err, NULL, "name at most %d devices", SCHED_MAX_BACKENDS - 1);
    }
    if (!graph_for(m, s)) {
        estimate_compute(m, mc, s, a, c, out);
        *load = r.load;
        return true;
    }
    compute_setup_init(&u, m, mc, s, a, c);
    if (!reserve_generation(&u, &flash_on, scratch, &r, err) ||
        !reserve_prompt(&u, flash_on, scratch, &r, err))
        return false;
    out->flash_on = flash_on;
    report(&u, &r, out);
    r.load.most_nodes = u.max_nodes;
    r.load.most_keys = table_places(u.max_nodes);
    *load = r.load;
    estimate_range(mc, a, out);
    return true;
}
