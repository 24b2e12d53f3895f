/* quantize: which type every tensor of a model would have after llama-quantize. */
#include "model/quantize.h"

#include "base/str.h"
#include "model/family.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Short names for the table below; 0 (F32) stands for "as the mix's base type". */
enum {
    BASE = 0,
    Q40 = GGUF_TYPE_Q4_0,
    Q80 = GGUF_TYPE_Q8_0,
    Q2K = GGUF_TYPE_Q2_K,
    Q3K = GGUF_TYPE_Q3_K,
    Q4K = GGUF_TYPE_Q4_K,
    Q5K = GGUF_TYPE_Q5_K,
    Q6K = GGUF_TYPE_Q6_K,
    I2XXS = GGUF_TYPE_IQ2_XXS,
    I2S = GGUF_TYPE_IQ2_S,
    I3XXS = GGUF_TYPE_IQ3_XXS,
    I3S = GGUF_TYPE_IQ3_S,
};

/* LOW: the mixes below 3 bits. OUT8: attention outputs of 8-expert models take Q5_K. EXP8: `more`
 * counts for those models only. MID: gate and up of the middle layers take IQ3_XXS. PLAIN: nothing
 * is quantised. */
enum { LOW = 1, OUT8 = 2, PLAIN = 4, EXP8 = 8, MID = 16 };

/* One row per mix. v: attention values where fewer than 4, or 4 and more, query heads share one;
 * early: of the first v_n layers. more: where use_more_bits says so. down: ffn_down, early for the
 * first n-th part. */
/* clang-format off */
static const struct mix {
    const char *name;
    uint8_t base, output, embd;
    uint8_t v_few, v_many, v_early, v_n, v_more;
    uint8_t qk, attn_out;
    uint8_t down, down_early, down_part, down_more;
    uint8_t flags;
} mixes[] = {
#define MIX(name, base, ...) {name, GGUF_TYPE_##base, __VA_ARGS__}
    /*  name       base      output embd v: few many early n more q,k   out    down early part more */
    MIX("IQ1_S",    IQ1_S,   Q5K, Q2K, Q2K, Q4K, 0,   0, 0,   0,     I2XXS, 0,   Q2K, 8,  0,   LOW),
    MIX("IQ1_M",    IQ1_M,   Q5K, Q2K, Q2K, Q4K, 0,   0, 0,   0,     I2XXS, 0,   Q2K, 8,  0,   LOW),
    MIX("TQ1_0",    TQ1_0,   Q6K, Q4K, 0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("IQ2_XXS",  IQ2_XXS, Q5K, Q2K, Q2K, Q4K, 0,   0, 0,   0,     0,     0,   Q2K, 8,  0,   LOW),
    MIX("TQ2_0",    TQ2_0,   Q6K, Q4K, 0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("IQ2_XS",   IQ2_XS,  Q5K, Q2K, Q2K, Q4K, 0,   0, 0,   0,     0,     0,   Q2K, 8,  0,   LOW),
    MIX("IQ2_S",    IQ2_XS,  Q5K, I3S, I3S, Q4K, 0,   0, 0,   0,     I3S,   0,   I3S, 8,  0,   LOW),
    MIX("IQ2_M",    IQ2_S,   Q5K, I3S, I3S, Q4K, 0,   0, 0,   0,     I3S,   0,   I3S, 8,  0,   LOW),
    MIX("Q2_K_S",   Q2_K,    Q6K, 0,   0,   Q4K, 0,   0, 0,   0,     0,     0,   Q4K, 8,  0,   0),
    MIX("Q2_K",     Q2_K,    Q6K, 0,   Q3K, Q4K, 0,   0, 0,   0,     Q3K,   Q3K, 0,   0,  0,   OUT8),
    MIX("IQ3_XXS",  IQ3_XXS, Q5K, I3S, I3S, Q4K, 0,   0, 0,   I2S,   I3S,   Q3K, Q4K, 8,  0,   OUT8),
    MIX("IQ3_XS",   IQ3_S,   Q6K, 0,   0,   Q4K, 0,   0, 0,   I3XXS, 0,     0,   0,   0,  0,   OUT8 | MID),
    MIX("IQ3_S",    IQ3_S,   Q6K, 0,   0,   Q4K, 0,   0, 0,   0,     0,     0,   0,   0,  0,   OUT8),
    MIX("Q3_K_S",   Q3_K,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   OUT8),
    MIX("IQ3_M",    IQ3_S,   Q6K, 0,   Q4K, Q4K, 0,   0, 0,   0,     Q4K,   0,   Q4K, 8,  Q4K, OUT8 | EXP8),
    MIX("Q3_K_M",   Q3_K,    Q6K, 0,   Q4K, Q4K, Q5K, 2, 0,   0,     Q4K,   Q4K, Q5K, 16, 0,   OUT8),
    MIX("Q3_K_L",   Q3_K,    Q6K, 0,   Q5K, Q5K, 0,   0, 0,   0,     Q5K,   Q5K, 0,   0,  0,   0),
    MIX("IQ4_XS",   IQ4_XS,  Q6K, 0,   0,   Q5K, 0,   0, 0,   0,     0,     0,   Q5K, 8,  0,   OUT8),
    MIX("MXFP4_MOE", MXFP4,   Q80, Q80, 0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q4_0",     Q4_0,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("IQ4_NL",   IQ4_NL,  Q6K, 0,   0,   Q5K, 0,   0, 0,   0,     0,     0,   Q5K, 8,  0,   OUT8),
    MIX("Q4_K_S",   Q4_K,    Q6K, 0,   0,   0,   Q5K, 4, 0,   0,     0,     0,   Q5K, 8,  0,   OUT8),
    MIX("Q4_K_M",   Q4_K,    Q6K, 0,   0,   0,   0,   0, Q6K, 0,     0,     0,   0,   0,  Q6K, OUT8),
    MIX("Q4_1",     Q4_1,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q5_0",     Q5_0,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q5_K_S",   Q5_K,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q5_K_M",   Q5_K,    Q6K, 0,   0,   0,   0,   0, Q6K, 0,     0,     0,   0,   0,  Q6K, 0),
    MIX("Q5_1",     Q5_1,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q6_K",     Q6_K,    Q6K, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("Q8_0",     Q8_0,    Q80, 0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   0),
    MIX("F16",      F16,     0,   0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   PLAIN),
    MIX("BF16",     BF16,    0,   0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   PLAIN),
    MIX("F32",      F32,     0,   0,   0,   0,   0,   0, 0,   0,     0,     0,   0,   0,  0,   PLAIN),
#undef MIX
};
/* clang-format on */
enum { N_MIXES = sizeof mixes / sizeof *mixes };

const char *quantize_name(size_t i)
{
    return i < N_MIXES ? mixes[i].name : NULL;
}

static const struct mix *find_mix(const char *name)
{
    static const struct {
        const char *alias, *name;
    } aliases[] = {
        {"Q3_K",  "Q3_K_M"   },
        {"Q4_K",  "Q4_K_M"   },
        {"Q5_K",  "Q5_K_M"   },
        {"MXFP4", "MXFP4_MOE"},
        {"FP16",  "F16"      },
        {"FP32",  "F32"      },
    };

    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (str_eq_fold(name, aliases[i].alias))
            name = aliases[i].name;
    }
    for (size_t i = 0; i < N_MIXES; i++) {
        if (str_eq_fold(name, mixes[i].name))
            return &mixes[i];
    }
    return NULL;
}

const char *quantize_find(const char *name)
{
    const struct mix *mix = find_mix(name);

    return mix ? mix->name : NULL;
}

/* What the rules ask about the model, and how many tensors of a kind were seen so far. */
struct state {
    const struct mix *mix;
    uint32_t n_expert, n_layer;
    bool falcon, ling3, seventy, many_share, tied;
    uint32_t n_v, i_v, i_down, i_gate, i_up;
};

enum kind { OUTPUT, EMBD, VALUE, KEY, QUERY, ATTN_OUT, UP, GATE, DOWN, OTHER };

static enum kind kind_of(const char *name)
{
    static const struct {
        const char *part;
        enum kind kind;
    } parts[] = {
        {"attn_qkv.weight",    VALUE   },
        {"attn_kv_b.weight",   VALUE   },
        {"attn_v.weight",      VALUE   },
        {"attn_k.weight",      KEY     },
        {"attn_q.weight",      QUERY   },
        {"attn_output.weight", ATTN_OUT},
        {"ffn_up",             UP      },
        {"ffn_gate",           GATE    },
        {"ffn_down",           DOWN    },
    };

    if (!strcmp(name, "output.weight"))
        return OUTPUT;
    if (!strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight"))
        return EMBD;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(name, parts[i].part))
            return parts[i].kind;
    }
    return OTHER;
}

/* Small or delicate tensors keep their type. */
static bool is_kept(const struct model_tensor *t)
{
    static const char *const kept[] = {
        "_norm.weight",
        "ffn_gate_inp.weight",
        "ffn_gate_tid2eid.weight",
        "altup",
        "laurel",
        "per_layer_model_proj",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "indexer.k_proj.weight",
        "indexer.q_proj.weight",
        "time_mix_first.weight",
        "time_mix_w0.weight",
        "time_mix_w1.weight",
        "time_mix_w2.weight",
        "time_mix_v0.weight",
        "time_mix_v1.weight",
        "time_mix_v2.weight",
        "time_mix_a0.weight",
        "time_mix_a1.weight",
        "time_mix_a2.weight",
        "time_mix_g1.weight",
        "time_mix_g2.weight",
        "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight",
        "time_mix_lerp_fused.weight",
        "attn_rel_b.weight",
        ".position_embd",
        "sam.pos_embd",
        "sam.neck.",
        "sam.net_",
        ".rel_pos",
        ".patch_embd",
        ".patch_merger",
        "a.rvq.codebook",
        "mm.a.code_embd",
    };

    if (t->ne[1] <= 1 && t->ne[2] <= 1 && t->ne[3] <= 1)
        return true;
    if (!str_ends(t->name, "weight") || !strcmp(t->name, "position_embd.weight") ||
        !strcmp(t->name, "token_types.weight"))
        return true;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (strstr(t->name, kept[i]))
            return true;
    }
    return false;
}

/* The first and last eighth of the layers, and every third between. */
static bool more_bits(uint32_t layer, uint32_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

/* Counted where all layers are alike, taken from the name where experts may lie in any order. */
static uint32_t layer_of(const struct state *s, const struct model_tensor *t, uint32_t counted)
{
    return s->n_expert > 1 && t->layer >= 0 ? (uint32_t)t->layer : counted;
}

static uint8_t or_base(const struct state *s, uint8_t type)
{
    return type == BASE ? s->mix->base : type;
}

static uint8_t output_type(const struct state *s, const struct model_tensor *t)
{
    const struct mix *mix = s->mix;

    if (s->falcon || t->ne[0] % gguf_type_info(mix->base)->block != 0)
        return Q80;
    return mix->output;
}

static uint8_t value_type(struct state *s)
{
    const struct mix *mix = s->mix;
    uint32_t i = s->i_v++;
    uint8_t type;

    if (mix->flags & LOW)
        return s->many_share || s->n_expert >= 4 ? mix->v_many : mix->v_few;
    type = or_base(s, s->many_share ? mix->v_many : mix->v_few);
    if (i < mix->v_n)
        type = mix->v_early;
    if (mix->v_more && more_bits(i, s->n_v))
        type = mix->v_more;
    if (s->seventy && (type == Q3K || type == Q4K))
        type = Q5K;
    return s->n_expert == 8 ? Q80 : type;
}

static uint8_t key_type(const struct state *s, enum kind kind)
{
    if (kind == KEY && s->n_expert == 8)
        return s->mix->flags & LOW ? Q4K : Q80;
    return or_base(s, s->mix->qk);
}

static uint8_t attn_out_type(const struct state *s)
{
    const struct mix *mix = s->mix;

    if (s->n_expert == 8 && (mix->flags & LOW))
        return Q5K;
    if (s->falcon && !(mix->flags & LOW))
        return !strcmp(mix->name, "Q3_K_L") ? Q4K : mix->base;
    if (s->n_expert == 8)
        return mix->flags & OUT8 ? Q5K : mix->base;
    return or_base(s, mix->attn_out);
}

/* Falcon's parallel blocks take fewer bits. */
static uint8_t falcon_down(const struct state *s, uint32_t il)
{
    const char *name = s->mix->name;
    uint32_t n = s->n_layer;

    if (!strcmp(name, "Q3_K_M"))
        return il < n / 16 ? Q5K : more_bits(il, n) ? Q4K : Q3K;
    if (!strcmp(name, "Q3_K_L"))
        return Q4K;
    if (!strcmp(name, "Q4_K_M"))
        return il < n / 16 ? Q6K : more_bits(il, n) ? Q5K : Q4K;
    return !strcmp(name, "Q4_K_S") ? Q4K : BASE;
}

static uint8_t down_type(struct state *s, const struct model_tensor *t)
{
    const struct mix *mix = s->mix;
    uint32_t counted = s->i_down++;
    uint32_t il = mix->flags & LOW ? counted : layer_of(s, t, counted);

    if (s->falcon && falcon_down(s, il) != BASE)
        return falcon_down(s, il);
    if (mix->down_early && il < s->n_layer / mix->down_part)
        return mix->down_early;
    if (mix->down_more && more_bits(il, s->n_layer) && (!(mix->flags & EXP8) || s->n_expert == 8))
        return mix->down_more;
    return or_base(s, mix->down);
}

static uint8_t gate_up_type(struct state *s, const struct model_tensor *t, uint32_t *count)
{
    uint32_t il = layer_of(s, t, (*count)++), n = s->n_layer;

    if ((s->mix->flags & MID) && il >= n / 8 && il < 7 * n / 8)
        return I3XXS;
    return s->mix->base;
}

static uint8_t wanted_type(struct state *s, const struct model_tensor *t)
{
    enum kind kind = kind_of(t->name);

    if (kind == OUTPUT || (kind == EMBD && s->tied))
        return s->mix->base == GGUF_TYPE_MXFP4 ? Q80 : output_type(s, t);
    if (s->mix->base == GGUF_TYPE_MXFP4) {
        bool expert = t->ne[2] > 1 && (!s->ling3 || kind == UP || kind == GATE || kind == DOWN);
        return expert ? GGUF_TYPE_MXFP4 : Q80;
    }
    switch (kind) {
    case EMBD: return or_base(s, s->mix->embd);
    case VALUE: return value_type(s);
    case KEY:
    case QUERY: return key_type(s, kind);
    case ATTN_OUT: return attn_out_type(s);
    case DOWN: return down_type(s, t);
    case GATE: return gate_up_type(s, t, &s->i_gate);
    case UP: return gate_up_type(s, t, &s->i_up);
    default: return s->mix->base;
    }
}

/* Rows that are no multiple of the block take the nearest type of 32, else F16. */
static uint8_t fitting_type(const struct model_tensor *t, uint8_t type)
{
    uint32_t block = gguf_type_info(type)->block;

    if (t->ne[0] % block == 0)
        return type;
    switch (type) {
    case Q2K:
    case Q3K:
    case GGUF_TYPE_TQ1_0:
    case GGUF_TYPE_TQ2_0: type = Q40; break;
    case Q4K: type = GGUF_TYPE_Q5_0; break;
    case Q5K: type = GGUF_TYPE_Q5_1; break;
    case Q6K: type = Q80; break;
    default:
        if (block > 32)
            type = GGUF_TYPE_IQ4_NL;
    }
    return t->ne[0] % gguf_type_info(type)->block == 0 ? type : GGUF_TYPE_F16;
}

static int by_layer_and_name(const void *a, const void *b)
{
    const struct model_tensor *x = *(const struct model_tensor *const *)a;
    const struct model_tensor *y = *(const struct model_tensor *const *)b;

    return x->layer != y->layer ? (x->layer < y->layer ? -1 : 1) : strcmp(x->name, y->name);
}

/* Models the engine calls "70B": 80 layers with shared values in these families. */
static bool is_seventy(const struct model *m)
{
    const char *arch = m->architecture;
    uint32_t n = m->hp.n_layer - m->hp.n_nextn;

    if (!strcmp(arch, "llama"))
        return n == 80 && m->hp.n_expert != 8 && m->layers[0].n_head != m->layers[0].n_head_kv;
    if (!strcmp(arch, "jais2"))
        return n == 68;
    return n == 80 && (!strcmp(arch, "qwen2") || !strcmp(arch, "deci") || !strcmp(arch, "olmo"));
}

static struct state start(const struct model *m, const struct mix *mix)
{
    uint32_t n_head = m->layers[0].n_head, n_head_kv = m->layers[0].n_head_kv;
    struct state s = {.mix = mix, .n_expert = m->hp.n_expert, .n_layer = m->hp.n_layer};

    s.falcon = !strcmp(m->architecture, "falcon");
    s.ling3 = !strcmp(m->architecture, "bailingmoe3");
    s.seventy = is_seventy(m);
    s.many_share = n_head_kv != 0 && n_head / n_head_kv >= 4;
    s.tied = true;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        enum kind kind = kind_of(m->tensors[i].name);
        s.n_v += kind == VALUE;
        if (kind == OUTPUT)
            s.tied = false;
    }
    return s;
}

bool quantize_types(const struct model *m, const char *name, struct arena *scratch, uint8_t *types,
                    struct err *err)
{
    const struct mix *mix = find_mix(name);
    struct arena_mark mark = arena_mark(scratch);
    const struct model_tensor **order;

    if (!mix) {
        err_set(err, ERR_9002, "%s is no quantisation", name);
        return err_fix(err, NULL, "one of Q4_K_M, Q5_K_M, Q6_K, Q8_0, IQ4_XS, Q3_K_M, F16");
    }
    order = arena_array(scratch, const struct model_tensor *, m->n_tensors + 1);
    if (!order)
        return err_set(err, ERR_1201, "no memory for %" PRIu32 " tensors", m->n_tensors);
    for (uint32_t i = 0; i < m->n_tensors; i++)
        order[i] = &m->tensors[i];
    qsort(order, m->n_tensors, sizeof *order, by_layer_and_name);
    struct state s = start(m, mix);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = order[i];
        uint8_t type = t->type;
        if (!is_kept(t))
            type = mix->flags & PLAIN ? mix->base : fitting_type(t, wanted_type(&s, t));
        types[t - m->tensors] = type;
    }
    arena_rewind(scratch, mark);
    return true;
}

bool quantize_model(struct model *m, const char *name, struct arena *arena, struct err *err)
{
    struct model_tensor *tensors = (struct model_tensor *)m->tensors;
    uint8_t *types = arena_array(arena, uint8_t, m->n_tensors + 1);
    uint64_t total = 0;

    if (!types)
        return err_set(err, ERR_1201, "no memory for %" PRIu32 " tensors", m->n_tensors);
    if (!quantize_types(m, name, arena, types, err))
        return false;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        struct model_tensor *t = &tensors[i];
        t->type = types[i];
        t->bytes =
            gguf_row_bytes(gguf_type_info(t->type), t->ne[0]) * t->ne[1] * t->ne[2] * t->ne[3];
        total += (t->bytes + 31) / 32 * 32;
    }
    m->quantization = find_mix(name)->name;
    m->file_bytes = total;
    return true;
}
