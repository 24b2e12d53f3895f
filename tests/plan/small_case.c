/* small_case: random small models, cards and wishes, for which every plan there is can be worked
 * out. */
#include "small_case.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/profile.h"
#include "plan/budget.h"

#define MIB ((uint64_t)1 << 20)

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

static const char *one_of(const char *const *words, uint32_t n)
{
    return words[dice(n)];
}

static const char *matrix_type(void)
{
    static const char *const types[] = {"f16", "f16", "q8_0", "q4_0"};
    return one_of(types, 4);
}

static void add_experts(struct str *s, uint32_t from, uint32_t to, uint32_t embd, uint32_t ff,
                        uint32_t experts)
{
    str_addf(s, "blk.%u-%u.ffn_gate_inp.weight: %u %u f32\n", from, to, embd, experts);
    str_addf(s, "blk.%u-%u.ffn_gate_exps.weight: %u %u %u %s\n", from, to, embd, ff, experts,
             matrix_type());
    str_addf(s, "blk.%u-%u.ffn_up_exps.weight: %u %u %u %s\n", from, to, embd, ff, experts,
             matrix_type());
    str_addf(s, "blk.%u-%u.ffn_down_exps.weight: %u %u %u %s\n", from, to, ff, embd, experts,
             matrix_type());
}

static void add_dense(struct str *s, uint32_t from, uint32_t to, uint32_t embd, uint32_t ff)
{
    str_addf(s, "blk.%u-%u.ffn_gate.weight: %u %u %s\n", from, to, embd, ff, matrix_type());
    str_addf(s, "blk.%u-%u.ffn_up.weight: %u %u %s\n", from, to, embd, ff, matrix_type());
    str_addf(s, "blk.%u-%u.ffn_down.weight: %u %u %s\n", from, to, ff, embd, matrix_type());
}

/* A window model keeps full layers and short ones; its layers are unlike. */
static const char *add_kind(struct str *s, bool moe, uint32_t experts)
{
    if (moe) {
        str_addf(s, "expert_count = %u\nexpert_used_count = %u\n", experts, 1 + dice(experts / 2));
        return "llama";
    }
    static const char *const kinds[] = {"llama", "qwen2", "gemma2"};
    const char *kind = one_of(kinds, 3);
    if (strcmp(kind, "gemma2") == 0)
        str_addf(s, "attention.sliding_window = %u\n", 256 << dice(3));
    return kind;
}

static void add_norms(struct str *s, const char *kind, uint32_t embd, uint32_t head, uint32_t kv)
{
    str_addf(s, "blk.*.attn_norm.weight: %u\nblk.*.ffn_norm.weight: %u\n", embd, embd);
    if (strcmp(kind, "gemma2") == 0)
        str_addf(s, "blk.*.post_attention_norm.weight: %u\nblk.*.post_ffw_norm.weight: %u\n", embd,
                 embd);
    if (strcmp(kind, "qwen2") == 0)
        str_addf(s, "blk.*.attn_q.bias: %u\nblk.*.attn_k.bias: %u\nblk.*.attn_v.bias: %u\n", embd,
                 kv * head, kv * head);
}

/* The text of a model of 2 to 6 layers, of one kind or of two. */
static void write_model(struct str *s, uint32_t trained)
{
    uint32_t layers = 2 + dice(5), head = 64u << dice(2), heads = 8 + 8 * dice(4);
    uint32_t kv = heads >> dice(3), embd = head * heads, ff = 2048 * (1 + dice(6)),
             experts = 4 + 2 * dice(3);
    uint32_t vocab = 4096 * (1 + dice(30)), cut = dice(layers + 1);
    bool moe = dice(3) == 0;
    kv = kv ? kv : 1;
    str_addf(s, "[small] Small\nblock_count = %u\ncontext_length = %u\nembedding_length = %u\n",
             layers, trained, embd);
    const char *kind = add_kind(s, moe, experts);
    str_addf(s, "architecture = %s\nfeed_forward_length = %u\nattention.head_count = %u\n", kind,
             ff, heads);
    str_addf(
        s, "attention.head_count_kv = %u\nattention.key_length = %u\nattention.value_length = %u\n",
        kv, head, head);
    str_addf(
        s,
        "rope.dimension_count = %u\nvocab_size = %u\nattention.layer_norm_rms_epsilon = 0.00001\n",
        head, vocab);
    str_addf(s, "token_embd.weight: %u %u %s\noutput_norm.weight: %u\n", embd, vocab, matrix_type(),
             embd);
    if (dice(4) && strcmp(kind, "gemma2") != 0)
        str_addf(s, "output.weight: %u %u %s\n", embd, vocab, matrix_type());
    add_norms(s, kind, embd, head, kv);
    str_addf(s, "blk.*.attn_q.weight: %u %u %s\n", embd, embd, matrix_type());
    str_addf(s, "blk.*.attn_k.weight: %u %u %s\n", embd, kv * head, matrix_type());
    str_addf(s, "blk.*.attn_v.weight: %u %u %s\n", embd, kv * head, matrix_type());
    str_addf(s, "blk.*.attn_output.weight: %u %u %s\n", embd, embd, matrix_type());
    for (int part = 0; part < 2; part++) {
        uint32_t from = part ? cut : 0, to = part ? layers : cut;
        if (from < to && moe)
            add_experts(s, from, to - 1, embd, ff / 2, experts);
        else if (from < to)
            add_dense(s, from, to - 1, embd, ff);
    }
}

static bool make_model(struct small_case *c, uint32_t trained, struct err *err)
{
    struct str text = {0};
    struct gguf g;
    write_model(&text, trained);
    bool ok = profile_read(text.data, "small", &c->arena, &g, err) &&
              model_from_gguf(&g, "small", &c->arena, &c->model, err);
    if (!ok)
        printf("%s\n", text.data);
    str_finish(&text);
    return ok;
}

static void make_wish(struct plan_wish *w, uint32_t trained, uint32_t layers, uint32_t n_cards)
{
    *w = plan_default_wish();
    w->goal = (enum plan_goal)dice(5);
    w->keep_free_set = dice(2);
    w->keep_free_bytes = dice(600) * MIB;
    w->spread = dice(8) == 0;
    w->max_gpus = dice(4) == 0 ? 1 + dice(n_cards) : 0;
    w->allow_cpu = dice(6) == 0;
    w->ctx_max = dice(5) == 0;
    w->projector_bytes = dice(6) == 0 ? dice(500) * MIB : 0;
    w->kv_cache_factor = dice(6) == 0 ? 1.0 + 0.1 * dice(6) : 1.0;
    w->s.n_ubatch = 64u << dice(4);
    w->given = GIVEN_UBATCH;
    if (dice(3) == 0) {
        w->given |= GIVEN_CTX;
        w->s.n_ctx = 256 * (1 + dice(trained / 256));
    }
    if (dice(3) == 0) {
        w->given |= GIVEN_TYPE_K | GIVEN_TYPE_V;
        w->s.type_k = w->s.type_v = dice(2) ? GGUF_TYPE_F16 : GGUF_TYPE_Q8_0;
    }
    if (dice(4) == 0) {
        w->given |= GIVEN_PARALLEL;
        w->s.n_seq_max = w->s.n_outputs_max = 1u << dice(3);
    }
    if (dice(10) == 0 && layers >= n_cards) {
        w->given |= GIVEN_TENSOR_SPLIT;
        w->s.n_tensor_split = n_cards;
        for (uint32_t i = 0; i < n_cards; i++)
            w->s.tensor_split[i] = 1 + dice(4);
    }
}

/* Bytes of the model with a full cache: what the cards are drawn around. */
static uint64_t whole_bytes(const struct small_case *c)
{
    struct law_result r;
    struct machine big = c->machine;
    struct law_settings s = c->wish.s;
    struct err quiet = {0};
    struct arena scratch = {0};
    s.n_ctx = c->wish.given & GIVEN_CTX ? c->wish.s.n_ctx : c->model.hp.n_ctx_train;
    s.n_tensor_split = 0;
    s.flash = FLASH_ON;
    big.n_devices = 1;
    big.devices[0].free_bytes = big.devices[0].total_bytes;
    bool ok = law_estimate(&c->model, &big, &s, &scratch, &r, &quiet);
    arena_finish(&scratch);
    return ok ? r.device[0].bytes.weights + r.device[0].bytes.kv + r.device[0].bytes.compute
              : 256 * MIB;
}

/* Cards whose rooms together are from half to two and a half times of what the model takes. */
static void fill_cards(struct small_case *c)
{
    uint32_t n = c->machine.n_devices, share[4], all = 0;
    double total = (double)whole_bytes(c) * (0.6 + 0.01 * dice(200));
    for (uint32_t i = 0; i < n; i++)
        all += share[i] = 1 + dice(10);
    for (uint32_t i = 0; i < n; i++) {
        struct device *d = &c->machine.devices[i];
        uint64_t runtime = plan_runtime_estimate(d, SPLIT_LAYER, n).bytes;
        d->free_bytes =
            budget_keep_free(&c->wish, d) + runtime + (uint64_t)(total * share[i] / all);
        d->free_bytes = d->free_bytes > d->total_bytes ? d->total_bytes : d->free_bytes;
        if (i > 0 && dice(4) == 0)
            *d = c->machine.devices[i - 1];
        d->index = (int)i;
    }
}

bool small_case_make(uint32_t number, struct small_case *out, struct err *err)
{
    static const char *const cards[] = {"rtx5090",   "rtx4090",   "rtx3090", "rtx3060",
                                        "a100-80gb", "gtx1080ti", "24GiB"};
    static const char *const links[] = {"", "", ":pcie=gen3x4", ":nvlink"};
    struct machine real = {
        .host = {.total_bytes = 64ull << 30, .free_bytes = 60ull << 30, .cores = 16, .avx2 = true}
    };
    char text[160] = "";
    *out = (struct small_case){0};
    seed = number * 2654435761u + 17;
    uint32_t n_cards = dice(8) == 0 ? 4 : 1 + dice(3);
    for (uint32_t i = 0; i < n_cards; i++) {
        bool plain = dice(12) == 0;
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s%s", i ? "," : "",
                 plain ? cards[6] : cards[dice(6)], one_of(links, plain ? 2 : 4));
    }
    struct plan_wish first;
    uint32_t trained = 256 * (1 + dice(5));
    if (!machine_parse_gpus(text, &real, &out->arena, &out->machine, err))
        return false;
    make_wish(&first, trained, 2, n_cards);
    if (first.goal == GOAL_BALANCED && !(first.given & GIVEN_CTX))
        trained = 8192 + 256 * dice(4);
    out->wish = first;
    if (!make_model(out, trained, err))
        return false;
    fill_cards(out);
    return true;
}

void small_case_print(const struct small_case *c)
{
    const struct plan_wish *w = &c->wish;
    printf("%s, %u layers, %u experts, trained %u; goal %d ctx %u given %x np %u ub %u type %u/%u "
           "max %d max-gpus %u "
           "spread %d cpu %d factor %.1f projector %llu\n",
           c->model.architecture, c->model.n_layers, c->model.hp.n_expert, c->model.hp.n_ctx_train,
           w->goal, w->s.n_ctx, w->given, w->s.n_seq_max, w->s.n_ubatch, w->s.type_k, w->s.type_v,
           w->ctx_max, w->max_gpus, w->spread, w->allow_cpu, w->kv_cache_factor,
           (unsigned long long)w->projector_bytes);
    for (uint32_t i = 0; i < c->machine.n_devices; i++)
        printf("  %s %.1f MiB for layers\n", c->machine.devices[i].name,
               (double)budget_room(
                   w, &c->machine.devices[i],
                   plan_runtime_estimate(&c->machine.devices[i], SPLIT_LAYER, c->machine.n_devices)
                       .bytes) /
                   MIB);
}
