/* law_dump: prints the graphs the law reserves for as JSON lines, for comparison. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "law/compute.h"

static const char *const OPS[OP_COUNT] = {
    [OP_NONE] = "NONE",
    [OP_DUP] = "DUP",
    [OP_ADD] = "ADD",
    [OP_ADD_ID] = "ADD_ID",
    [OP_ADD1] = "ADD1",
    [OP_SUB] = "SUB",
    [OP_MUL] = "MUL",
    [OP_DIV] = "DIV",
    [OP_SQR] = "SQR",
    [OP_SQRT] = "SQRT",
    [OP_LOG] = "LOG",
    [OP_SIN] = "SIN",
    [OP_COS] = "COS",
    [OP_SUM] = "SUM",
    [OP_SUM_ROWS] = "SUM_ROWS",
    [OP_CUMSUM] = "CUMSUM",
    [OP_MEAN] = "MEAN",
    [OP_ARGMAX] = "ARGMAX",
    [OP_REPEAT] = "REPEAT",
    [OP_CONCAT] = "CONCAT",
    [OP_NORM] = "NORM",
    [OP_RMS_NORM] = "RMS_NORM",
    [OP_GROUP_NORM] = "GROUP_NORM",
    [OP_L2_NORM] = "L2_NORM",
    [OP_MUL_MAT] = "MUL_MAT",
    [OP_MUL_MAT_ID] = "MUL_MAT_ID",
    [OP_OUT_PROD] = "OUT_PROD",
    [OP_SCALE] = "SCALE",
    [OP_SET] = "SET",
    [OP_CPY] = "CPY",
    [OP_CONT] = "CONT",
    [OP_RESHAPE] = "RESHAPE",
    [OP_VIEW] = "VIEW",
    [OP_PERMUTE] = "PERMUTE",
    [OP_TRANSPOSE] = "TRANSPOSE",
    [OP_GET_ROWS] = "GET_ROWS",
    [OP_SET_ROWS] = "SET_ROWS",
    [OP_DIAG] = "DIAG",
    [OP_DIAG_MASK_INF] = "DIAG_MASK_INF",
    [OP_SOFT_MAX] = "SOFT_MAX",
    [OP_ROPE] = "ROPE",
    [OP_CLAMP] = "CLAMP",
    [OP_PAD] = "PAD",
    [OP_ARANGE] = "ARANGE",
    [OP_ARGSORT] = "ARGSORT",
    [OP_TOP_K] = "TOP_K",
    [OP_TRI] = "TRI",
    [OP_FILL] = "FILL",
    [OP_FLASH_ATTN_EXT] = "FLASH_ATTN_EXT",
    [OP_SSM_CONV] = "SSM_CONV",
    [OP_SSM_SCAN] = "SSM_SCAN",
    [OP_RWKV_WKV6] = "RWKV_WKV6",
    [OP_RWKV_WKV7] = "RWKV_WKV7",
    [OP_GATED_DELTA_NET] = "GATED_DELTA_NET",
    [OP_GATED_LINEAR_ATTN] = "GATED_LINEAR_ATTN",
    [OP_SOLVE_TRI] = "SOLVE_TRI",
    [OP_UNARY] = "UNARY",
    [OP_GLU] = "GLU",
    [OP_LIGHTNING_INDEXER] = "LIGHTNING_INDEXER",
    [OP_DSV4_HC_COMB] = "DSV4_HC_COMB",
    [OP_DSV4_HC_PRE] = "DSV4_HC_PRE",
    [OP_DSV4_HC_POST] = "DSV4_HC_POST",
    [OP_CUSTOM] = "CUSTOM",
};

struct dump_options {
    const char *model, *memory;
    bool rpc;
    int cc, pooling;
    char overrides[1024];
    struct law_settings s;
};

static void print_numbers(const char *key, const int64_t *v)
{
    printf(",\"%s\":[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]", key, v[0], v[1], v[2],
           v[3]);
}

/* Place of a source among the nodes, -1 when it is none. */
static void print_sources(const struct g_tensor *t, const int32_t *place)
{
    printf(",\"src\":[");
    for (int j = 0, n = 0; j < G_MAX_SRC; j++)
        if (t->src[j])
            printf("%s{\"i\":%d,\"name\":\"%s\"}", n++ ? "," : "", place[t->src[j]->id],
                   t->src[j]->name ? t->src[j]->name : "");
    printf("]");
}

static void print_node(uint32_t i, const struct g_tensor *t, int backend, const int32_t *place)
{
    int64_t nb[4];
    for (int d = 0; d < 4; d++)
        nb[d] = (int64_t)t->nb[d];
    printf("{\"k\":\"node\",\"i\":%u,\"op\":\"%s\",\"name\":\"%s\",\"type\":\"%s\"", i, OPS[t->op],
           t->name ? t->name : "", gguf_type_info(t->type)->name);
    print_numbers("ne", t->ne);
    print_numbers("nb", nb);
    printf(",\"flags\":\"%s%s\",\"backend\":%d", t->flags & G_INPUT ? "I" : "",
           t->flags & G_OUTPUT ? "O" : "", backend);
    print_sources(t, place);
    puts("}");
}

static void on_event(void *ctx, const struct galloc_event *e)
{
    static const char *const WHAT[] = {"alloc", "reuse", "free", "freeextra"};
    printf("{\"k\":\"ev\",\"ev\":\"%s\",\"op\":\"%s\",\"name\":\"%s\",\"buf\":%d,\"size\":%" PRIu64
           ",\"off\":%" PRIu64 "}\n",
           WHAT[e->what], OPS[e->t->op], e->t->name ? e->t->name : "", e->buffer, e->size,
           e->offset);
}

static bool print_graph(const struct compute_setup *u, const struct compute_shape *shape, int no,
                        struct err *err)
{
    own(own_arena) struct arena arena = {0};
    struct galloc_trace trace = {on_event, NULL};
    struct compute_run run;
    if (!compute_run_make(u, shape, true, &trace, &arena, &run, err))
        return false;
    const struct galloc_graph *o = &run.plan.order;
    int32_t *place = arena_array(&arena, int32_t, (size_t)o->n_tensors);
    if (!place)
        return err_set(err, ERR_1201, "memory");
    for (int32_t i = 0; i < o->n_tensors; i++)
        place[i] = -1;
    for (uint32_t i = 0; i < o->n_nodes; i++)
        place[o->nodes[i]->id] = (int32_t)i;
    printf("{\"k\":\"graph\",\"no\":%d,\"n_nodes\":%u,\"n_leafs\":%u,\"n_splits\":%u,\"n_copies\":%"
           "u}\n",
           no, o->n_nodes, o->n_leafs, run.plan.n_splits, u->env.n_copies);
    for (uint32_t i = 0; i < run.plan.n_splits; i++)
        printf("{\"k\":\"split\",\"i\":%u,\"backend\":%d,\"i_start\":%u,\"i_end\":%u,\"n_inputs\":%"
               "u}\n",
               i, run.plan.splits[i].backend, run.plan.splits[i].from, run.plan.splits[i].to,
               run.plan.splits[i].n_inputs);
    for (uint32_t i = 0; i < o->n_nodes; i++)
        print_node(i, o->nodes[i], o->node_buffer[i], place);
    for (uint32_t b = 0; b <= u->env.n_devices; b++)
        printf("{\"k\":\"bufmax\",\"buf\":%u,\"max\":%" PRIu64 "}\n", b, run.sizes[b]);
    return true;
}

static struct machine make_machine(const struct dump_options *o)
{
    struct machine mc = {.simulated = true};
    mc.host = (struct host){
        .total_bytes = 64ull << 30, .free_bytes = 64ull << 30, .cores = 2, .avx2 = true};
    for (const char *p = o->memory; p && *p && mc.n_devices < MACHINE_MAX_DEVICES;) {
        char *end;
        uint64_t mib = strtoull(p, &end, 10);
        mc.devices[mc.n_devices] = (struct device){.index = (int)mc.n_devices,
                                                   .name = "card",
                                                   .simulated = true,
                                                   .backend = o->rpc ? BACKEND_RPC : BACKEND_CUDA,
                                                   .cc_major = (uint32_t)o->cc / 100,
                                                   .cc_minor = (uint32_t)o->cc / 10 % 10,
                                                   .free_bytes = mib << 20,
                                                   .total_bytes = mib << 20};
        mc.n_devices++;
        p = *end ? end + 1 : end;
    }
    return mc;
}

static bool dump(struct dump_options *o, struct err *err)
{
    own(own_arena) struct arena arena = {0};
    struct gguf g;
    struct model m;
    struct assignment a;
    struct cache_plan c;
    struct compute_setup u;
    struct law_result r = {0};
    struct machine mc = make_machine(o);
    if (!gguf_read_path(o->model, GGUF_ALLOW_HEADER_ONLY, &arena, &g, err) ||
        !model_from_gguf(&g, o->model, &arena, &m, err))
        return false;
    if (o->pooling >= 0)
        m.hp.pooling = (uint32_t)o->pooling;
    if (!cache_can_roll_back(&m))
        o->s.n_rs_seq = 0;
    if (!strcmp(m.architecture, "grok"))
        o->s.flash = FLASH_OFF;
    if (!assign_make(&m, &mc, &o->s, &arena, &a, err) ||
        !cache_make(&m, &o->s, &a, o->s.flash != FLASH_OFF, &c, err))
        return false;
    struct compute_load load;
    if (!compute_reserve(&m, &mc, &o->s, &a, &c, &arena, &r, &load, err))
        return false;
    compute_setup_init(&u, &m, &mc, &o->s, &a, &c);
    uint32_t n = c.n_ctx < c.n_ubatch ? c.n_ctx : c.n_ubatch, np = o->s.n_seq_max;
    uint32_t outputs = o->s.n_outputs_max ? o->s.n_outputs_max : c.n_batch;
    struct compute_shape prompt = {n, np, outputs < n ? outputs : n, r.flash_on},
                         next = {np, np, np, r.flash_on};
    if (!print_graph(&u, &prompt, 0, err) || !print_graph(&u, &next, 1, err))
        return false;
    printf("{\"k\":\"result\",\"fa_on\":%d,\"devices\":[", r.flash_on);
    for (uint32_t i = 0; i < mc.n_devices; i++)
        printf("%s%" PRIu64, i ? "," : "", r.device[i].bytes.compute);
    printf("],\"host\":%" PRIu64 ",\"splits\":%u}\n", r.host.compute, r.n_splits);
    return true;
}

static uint32_t type_named(const char *name)
{
    uint32_t type = GGUF_TYPE_F16;
    gguf_type_by_name(name, &type);
    return type;
}

static void read_shares(struct law_settings *s, const char *text)
{
    while (*text && s->n_tensor_split < MACHINE_MAX_DEVICES) {
        char *end;
        s->tensor_split[s->n_tensor_split++] = strtod(text, &end);
        text = *end ? end + 1 : end;
    }
}

/* "pattern=CPU,pattern=CUDA1"; text keeps the patterns. */
static void read_overrides(struct law_settings *s, char text[1024], const char *value)
{
    snprintf(text, 1024, "%s", value);
    for (char *p = strtok(text, ","); p && s->n_overrides < LAW_MAX_OVERRIDES;
         p = strtok(NULL, ",")) {
        char *target = strrchr(p, '=');
        if (!target)
            continue;
        *target++ = 0;
        s->overrides[s->n_overrides++] = (struct law_override){
            p, strncmp(target, "CUDA", 4) ? LAW_HOST : (int)strtol(target + 4, NULL, 10)};
    }
}

static bool read_option(struct dump_options *o, const char *key, const char *v)
{
    struct law_settings *s = &o->s;
    long n = strtol(v, NULL, 10);
    if (!strcmp(key, "--ctx"))
        s->n_ctx = (uint32_t)n;
    else if (!strcmp(key, "--ctk"))
        s->type_k = type_named(v);
    else if (!strcmp(key, "--ctv"))
        s->type_v = type_named(v);
    else if (!strcmp(key, "--fa"))
        s->flash = !strcmp(v, "on") ? FLASH_ON : !strcmp(v, "off") ? FLASH_OFF : FLASH_AUTO;
    else if (!strcmp(key, "--np"))
        s->n_seq_max = (uint32_t)n;
    else if (!strcmp(key, "--kvu"))
        s->kv_unified = n != 0;
    else if (!strcmp(key, "--ub"))
        s->n_ubatch = (uint32_t)n;
    else if (!strcmp(key, "--batch"))
        s->n_batch = (uint32_t)n;
    else if (!strcmp(key, "--nout"))
        s->n_outputs_max = (uint32_t)n;
    else if (!strcmp(key, "--nout-seq"))
        s->n_outputs_per_seq = (uint32_t)n;
    else if (!strcmp(key, "--ts"))
        read_shares(s, v);
    else if (!strcmp(key, "--ngl"))
        s->n_gpu_layers = (int32_t)n;
    else if (!strcmp(key, "--ncmoe"))
        s->n_cpu_moe = (uint32_t)n;
    else if (!strcmp(key, "--nkvo"))
        s->no_kv_offload = n != 0;
    else if (!strcmp(key, "--swa-full"))
        s->swa_full = n != 0;
    else if (!strcmp(key, "--op-offload"))
        s->no_op_offload = n == 0;
    else if (!strcmp(key, "--mg"))
        s->main_gpu = (uint32_t)n;
    else if (!strcmp(key, "--sm"))
        s->split = !strcmp(v, "none") ? SPLIT_NONE : SPLIT_LAYER;
    else if (!strcmp(key, "--emb"))
        s->embeddings = n != 0;
    else if (!strcmp(key, "--rs"))
        s->n_rs_seq = (uint32_t)n;
    else if (!strcmp(key, "--no-host"))
        s->no_host = n != 0;
    else if (!strcmp(key, "--no-repack"))
        s->no_repack = n != 0;
    else if (!strcmp(key, "--pool"))
        o->pooling = (int)n;
    else if (!strcmp(key, "--ot"))
        read_overrides(s, o->overrides, v);
    else if (!strcmp(key, "--mib"))
        o->memory = v;
    else if (!strcmp(key, "--rpc"))
        o->rpc = n != 0;
    else if (!strcmp(key, "--cc"))
        o->cc = (int)n;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct dump_options o = {
        .model = argc > 1 ? argv[1] : "", .cc = 890, .pooling = -1, .s = law_default_settings()};
    for (int i = 2; i + 1 < argc; i += 2)
        if (!read_option(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "law_dump: unknown option %s\n", argv[i]);
            return 2;
        }
    const struct gguf_type_info *v = gguf_type_info(o.s.type_v);
    if (o.s.flash == FLASH_AUTO && v->quantised)
        o.s.flash = FLASH_ON;
    if (dump(&o, &err))
        return 0;
    fprintf(stderr, "law_dump: %s: %s\n", err.title, err.n_why ? err.why[0] : "");
    return 1;
}
