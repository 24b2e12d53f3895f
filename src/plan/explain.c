/* explain: the sentences that say why a plan is as it is, and every formula with this model's numbers in it. */
#include "plan/explain.h"

#include <string.h>

#include "base/own.h"

static bool reason(struct plan *p, struct arena *arena, const char *text)
{
    if (p->n_reasons == PLAN_MAX_REASONS)
        return true;
    char *kept = arena_strdup(arena, text);
    if (!kept)
        return false;
    p->reasons[p->n_reasons++] = kept;
    return true;
}

__attribute__((format(printf, 3, 4))) static bool say(struct plan *p, struct arena *arena,
                                                      const char *fmt, ...)
{
    own(own_str) struct str s = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&s, fmt, ap);
    va_end(ap);
    return !s.failed && reason(p, arena, s.data ? s.data : "");
}

static bool explain_cards(struct plan *p, struct arena *arena)
{
    uint32_t used = (uint32_t)__builtin_popcount(p->used_mask);
    char number[32];
    if (p->n_devices == 0)
        return say(p, arena, "no GPU: everything is planned for the processor and host memory");
    if (p->wish.as_command)
        return say(p, arena, "the command was taken as it stands; nothing was chosen");
    if (p->wish.spread)
        return say(p, arena, "every GPU is used, as asked");
    if (used == 1 && p->n_devices > 1 && p->wish.goal == GOAL_FEWEST)
        return say(p, arena, "one GPU holds it alone: no hops between cards, the others stay free");
    if (used > 1 && p->wish.goal == GOAL_FEWEST)
        return say(p, arena, "%u GPUs: fewer do not hold it at %s tokens with the room kept free",
                   used, str_grouped(p->law.n_ctx, number));
    return true;
}

static bool explain_context(struct plan *p, struct arena *arena)
{
    uint32_t trained = p->model->hp.n_ctx_train;
    char a[32], b[32];
    if (p->settings.n_ctx && p->law.n_ctx != p->settings.n_ctx &&
        !say(p, arena, "context %s became %s: the engine rounds it up to whole blocks of 256",
             str_grouped(p->settings.n_ctx, a), str_grouped(p->law.n_ctx, b)))
        return false;
    if (trained && p->law.n_ctx_seq > trained)
        return say(p, arena, "context %s is beyond the %s tokens the model was trained for",
                   str_grouped(p->law.n_ctx_seq, a), str_grouped(trained, b));
    return true;
}

static bool explain_shortage(struct plan *p, struct arena *arena)
{
    char gib[32];
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        if (d->shortfall && p->verdict != VERDICT_TIGHT &&
            !say(p, arena, "GPU %d %s is %s GiB short", d->card->index, d->card->name,
                 str_gib(d->shortfall, 2, gib)))
            return false;
    }
    if (p->host.shortfall)
        return say(p, arena, "host memory is %s GiB short of what is needed and kept free",
                   str_gib(p->host.shortfall, 2, gib));
    return true;
}

static bool explain_tight(struct plan *p, struct arena *arena)
{
    char after[32], keep[32];
    for (uint32_t i = 0; i < p->n_devices && p->verdict == VERDICT_TIGHT; i++) {
        const struct plan_device *d = &p->devices[i];
        if (!(p->used_mask & (1u << i)) || d->free_after >= (int64_t)d->keep_free)
            continue;
        if (d->shortfall &&
            !say(p, arena, "GPU %d is %s GiB short unless the runtime takes less than estimated, as it may",
                 d->card->index, str_gib(d->shortfall, 2, after)))
            return false;
        if (!d->shortfall && !say(p, arena, "GPU %d keeps %s GiB free, less than the %s GiB asked for: it fits tightly",
                 d->card->index, d->free_after > 0 ? str_gib((uint64_t)d->free_after, 2, after) : "0",
                 str_gib(d->keep_free, 2, keep)))
            return false;
    }
    return true;
}

/* A command whose --fit is on would be changed by the engine where a card runs short of its 1 GiB margin. */
static bool explain_fit(struct plan *p, struct arena *arena)
{
    const uint64_t margin = (uint64_t)1 << 30;
    if (!p->wish.as_command)
        return true;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        uint64_t need = d->weights + d->kv + d->compute;
        if ((p->used_mask & (1u << i)) && need + margin > d->card->free_bytes)
            return say(p, arena,
                       "the engine's own --fit would change this: GPU %d has less than its 1 GiB margin; "
                       "these numbers are those before it",
                       d->card->index);
    }
    return true;
}

static bool explain_law(struct plan *p, struct arena *arena)
{
    for (uint32_t i = 0; i < p->n_devices; i++)
        if ((p->used_mask & (1u << i)) && !plan_backend_exact(p->devices[i].card))
            return say(p, arena, "%s cards: sizes are estimates, taken from what CUDA allocates",
                       p->devices[i].card->backend == BACKEND_ROCM ? "ROCm" : "Vulkan");
    if (p->law.compute_exact)
        return true;
    return say(p, arena, "architecture \"%s\" has no graph of its own here: compute is an estimate",
               p->model->architecture);
}

/* What sets the figure that was searched for apart from the speed that is printed. */
static const char *half_full(const struct plan_optimality *o)
{
    return strcmp(o->objective, "throughput_tps") == 0 ? " (contexts half full)" : "";
}

static bool explain_runner_up(struct plan *p, struct arena *arena)
{
    const struct plan_optimality *o = &p->optimality;
    char then[32], now[32];
    if (strcmp(o->objective, "context") == 0)
        return say(p, arena, "second best: %s with %s tokens, against %s", o->runner_up,
                   str_grouped((uint64_t)o->runner_up_value, then), str_grouped((uint64_t)o->best, now));
    return say(p, arena, "second best: %s with %.1f tok/s, against %.1f%s", o->runner_up,
               o->runner_up_value, o->best, half_full(o));
}

struct value_words {
    const char *objective, *unit, *of;
};
#define WORTH                                                                                         \
    "as if the KV cache were f16, times the worth of a cache type that was chosen: f16 1, q8_0 0.97, " \
    "q4_0 0.9"
static const struct value_words value_words[] = {
    {"context", "tokens", "tokens of context, all sequences together"},
    {"cards", "GPUs", "GPUs that are used; the fewer the better"},
    {"decode_tps", "tokens/s", "tokens per second of one stream at an empty context, " WORTH},
    {"throughput_tps", "tokens/s", "tokens per second of all streams together, each context half full, " WORTH},
};

static const struct value_words *words_of(const struct plan_optimality *o)
{
    for (size_t i = 0; o->objective && i < sizeof(value_words) / sizeof(value_words[0]); i++)
        if (strcmp(value_words[i].objective, o->objective) == 0)
            return &value_words[i];
    return NULL;
}

const char *plan_value_of(const struct plan_optimality *o)
{
    const struct value_words *w = words_of(o);
    return w ? w->of : NULL;
}

const char *plan_value_unit(const struct plan_optimality *o)
{
    const struct value_words *w = words_of(o);
    return w ? w->unit : NULL;
}

#define WORKED_OUT "placements worked out, the rest ruled out by bounds"

/* The bound that a search leaves behind. */
static bool explain_proof(struct plan *p, const char *goal, struct arena *arena)
{
    const struct plan_optimality *o = &p->optimality;
    char value[32], tried[32];
    if (p->wish.given & (GIVEN_TENSOR_SPLIT | GIVEN_MAIN_GPU | GIVEN_SPLIT_MODE))
        return say(p, arena, "goal %s: the split was given, so only what it leaves open was chosen", goal);
    if (!o->objective || !o->proved)
        return o->objective && o->open ? say(p, arena, "not proved to be the best: %s", o->open)
                                       : say(p, arena, "nothing was proved: no choice fits");
    if (strcmp(o->objective, "context") == 0)
        return say(p, arena, "proved: no cards, KV type or split give more than %s tokens; %s " WORKED_OUT,
                   str_grouped((uint64_t)o->best, value), str_grouped(o->candidates, tried));
    if (strcmp(o->objective, "cards") == 0)
        return say(p, arena, "proved: no fewer cards do; the goal could not be met");
    return say(p, arena,
               "proved: no cards, KV type or split give more than %.1f tok/s%s; %s " WORKED_OUT,
               o->best, half_full(o), str_grouped(o->candidates, tried));
}

/* Which cards a goal left out, and how sure the choice is. */
static bool explain_goal(struct plan *p, struct arena *arena)
{
    static const char *const goals[] = {"", "balanced", "context", "speed", "throughput"};
    const struct plan_optimality *o = &p->optimality;
    if (p->wish.goal == GOAL_FEWEST || p->wish.as_command || !p->used_mask)
        return true;
    uint32_t left_out = p->n_devices - (uint32_t)__builtin_popcount(p->used_mask);
    if (left_out && !say(p, arena, "goal %s: %u GPU%s left out, with %s it would be no better", goals[p->wish.goal],
                         left_out, left_out == 1 ? "" : "s", left_out == 1 ? "it" : "them"))
        return false;
    if (o->runner_up && !explain_runner_up(p, arena))
        return false;
    return explain_proof(p, goals[p->wish.goal], arena);
}

/* Where the model's own architecture or the cards leave the speed open. */
static bool explain_speed(struct plan *p, struct arena *arena)
{
    if (p->speed.confidence != SPEED_NONE || p->n_devices == 0)
        return true;
    return say(p, arena,
               "no speed: the bandwidth of a card named by its size is not known; name a model, "
               "like rtx4090");
}

static bool explain_draft_place(struct plan *p, struct arena *arena)
{
    own(own_str) struct str cards = {0};
    for (uint32_t i = 0; i < p->n_devices; i++)
        if (p->draft_mask & (1u << i))
            str_addf(&cards, "%sGPU %d", cards.len ? " + " : "", p->devices[i].card->index);
    if (!p->draft || p->n_devices == 0)
        return true;
    if (p->wish.as_command && p->wish.speculation == SPEC_NONE &&
        !say(p, arena, "the engine loads the draft model and does not use it: --spec-type draft-simple is missing"))
        return false;
    if (p->wish.speculation == SPEC_DRAFT && p->draft->hp.n_vocab != p->model->hp.n_vocab &&
        !say(p, arena, "the draft model has a vocabulary of %u, the model of %u: the engine wants them alike",
             p->draft->hp.n_vocab, p->model->hp.n_vocab))
        return false;
    return say(p, arena, "draft model %s on %s%s", p->draft->name, cards.len ? cards.data : "the host",
               p->wish.as_command || (p->wish.given & GIVEN_DRAFT_CARDS)       ? ", as asked"
               : !cards.len                                                     ? ": no card has room for it"
               : p->draft_mask & ~p->main_mask                                  ? ", which the model leaves to it"
               : p->wish.goal == GOAL_FEWEST || p->wish.goal == GOAL_CONTEXT    ? ": the fastest that has room for it"
                                                                                : ": the fastest for both together");
}

/* The rate is assumed, so it is said wherever a speed rests on it. */
static bool explain_speculation(struct plan *p, struct arena *arena)
{
    const struct speculation_gain *g = &p->speculation;
    if (!explain_draft_place(p, arena))
        return false;
    if (g->kind == SPEC_NONE)
        return true;
    const struct speculation_rate *r = speculation_rate(g->kind);
    return say(p, arena,
               "drafting %u token%s ahead%s: %.0f tok/s (%.2f times) if %.0f %% are accepted, %.2f to %.2f times at "
               "%.0f to %.0f %%; assumed from %s",
               g->drafted, g->drafted == 1 ? "" : "s", g->kind == SPEC_NEXTN ? " by the model's own NextN block" : "",
               g->decode.tps, g->gain, 100 * r->likely, g->low, g->high, 100 * r->low, 100 * r->high, r->source);
}

bool explain_reasons(struct plan *p, struct arena *arena)
{
    return explain_cards(p, arena) && explain_context(p, arena) && explain_shortage(p, arena) &&
           explain_tight(p, arena) && explain_fit(p, arena) && explain_law(p, arena) && explain_goal(p, arena) &&
           explain_speed(p, arena) && explain_speculation(p, arena);
}

static void write_model(const struct plan *p, struct str *o)
{
    const struct model_hparams *h = &p->model->hp;
    char a[32], b[32];
    str_addf(o, "Model    %s, architecture %s (%s)\n", p->model->name, p->model->architecture,
             p->model->quantization);
    str_addf(o, "         layers %u, width %u, heads %u, KV heads %u, head %u / %u\n", h->n_layer,
             h->n_embd, h->n_head, h->n_head_kv, h->head_dim_k, h->head_dim_v);
    str_addf(o, "         vocabulary %s, trained context %s\n", str_grouped(h->n_vocab, a),
             str_grouped(h->n_ctx_train, b));
}

/* What one value takes: "2 B", or "34/32 B" where a block of 32 takes 34. */
static void write_element(const struct gguf_type_info *t, struct str *o)
{
    if (t->block == 1)
        str_addf(o, "%u B", t->block_bytes);
    else
        str_addf(o, "%u/%u B", t->block_bytes, t->block);
}

/* Where a layer keeps the whole context the cells are plain to see: the factors, and what they come
 * to. */
static void write_cells(const struct plan *p, const struct model_layer *l, uint32_t layers,
                        uint64_t cell, struct str *o)
{
    uint64_t cells = (uint64_t)p->law.n_ctx_seq * p->law.n_streams;
    char a[32], b[32];
    if (l->kv == KV_FULL || l->kv == KV_LATENT)
        str_addf(o, "         x %s cells x %u layer%s = %s B\n", str_grouped(cells, a), layers,
                 layers == 1 ? "" : "s", str_grouped(cell * cells * layers, b));
}

/* One line per kind of layer: elements a cell, bytes a cell, layers, cells. */
static void write_cache(const struct plan *p, struct str *o)
{
    const struct gguf_type_info *k = gguf_type_info(p->settings.type_k);
    const struct gguf_type_info *v = gguf_type_info(p->settings.type_v);
    static const struct { enum kv_kind kind; const char *name; } kinds[] = {
        {KV_FULL, "full"}, {KV_WINDOW, "window"}, {KV_CHUNKED, "chunked"}, {KV_LATENT, "latent"},
        {KV_HYBRID, "hybrid"}};
    char number[32];
    str_addf(o, "KV cache K %s, V %s; context %s in %u stream%s\n", k->name, v->name,
             str_grouped(p->law.n_ctx, number), p->law.n_streams, p->law.n_streams == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        uint32_t n = 0;
        bool alike = true;
        const struct model_layer *one = NULL;
        for (uint32_t l = 0; l < p->model->n_layers; l++) {
            if (p->model->layers[l].kv == kinds[i].kind && !p->model->layers[l].nextn) {
                const struct model_layer *next = &p->model->layers[l];
                alike =
                    alike &&
                    (!one || (one->n_embd_k == next->n_embd_k && one->n_embd_v == next->n_embd_v));
                one = next;
                n++;
            }
        }
        if (!one)
            continue;
        uint64_t cell = (uint64_t)one->n_embd_k * k->block_bytes / k->block +
                        (uint64_t)one->n_embd_v * v->block_bytes / v->block;
        str_addf(o, "         %u %s layer%s: %u x ", n, kinds[i].name, n == 1 ? "" : "s", one->n_embd_k);
        write_element(k, o);
        str_addf(o, " (K) + %u x ", one->n_embd_v);
        write_element(v, o);
        str_addf(o, " (V) = %s B a cell\n", str_grouped(cell, number));
        if (alike)
            write_cells(p, one, n, cell, o);
    }
}

/* The engine counts the output as one layer more than the model has. */
static void write_span(const struct plan_device *d, uint32_t n_layer, struct str *o)
{
    bool output = d->last_layer >= (int)n_layer;
    int last = output ? (int)n_layer - 1 : d->last_layer;
    if (d->first_layer > last)
        str_add(o, "         the output layer\n");
    else if (d->first_layer == last)
        str_addf(o, "         layer %d%s\n", last, output ? " and the output" : "");
    else
        str_addf(o, "         layers %d to %d%s\n", d->first_layer, last, output ? " and the output" : "");
}

static void write_device(const struct plan_device *d, uint32_t n_layer, struct str *o)
{
    char a[32], b[32], c[32];
    str_addf(o, "GPU %d    %s\n", d->card->index, d->card->name);
    if (d->first_layer >= 0)
        write_span(d, n_layer, o);
    str_addf(o, "         weights  %15s B  exact: sum of its tensors, padded\n", str_grouped(d->weights, a));
    str_addf(o, "         KV       %15s B  exact: from the shape\n", str_grouped(d->kv, a));
    str_addf(o, "         compute  %15s B  the engine's graph, allocated as it does\n",
             str_grouped(d->compute, a));
    str_addf(o, "         runtime  %15s B  estimate %s to %s\n", str_grouped(d->runtime, a),
             str_grouped(d->runtime_low, b), str_grouped(d->runtime_high, c));
    str_addf(o, "         free     %15s B  of which %s kept free\n",
             str_grouped(d->free_after > 0 ? (uint64_t)d->free_after : 0, a),
             str_grouped(d->keep_free, b));
}

/* A sentence over as many lines of 80 columns as it needs. */
static void write_reason(const char *head, const char *text, struct str *o)
{
    enum { WIDTH = 71 };
    while (strlen(text) > WIDTH) {
        int n = WIDTH;
        while (n > 0 && text[n] != ' ')
            n--;
        n = n ? n : WIDTH;
        str_addf(o, "%s%.*s\n", head, n, text);
        text += n + (text[n] == ' ');
        head = "         ";
    }
    str_addf(o, "%s%s\n", head, text);
}

void explain_write(const struct plan *p, struct arena *scratch, struct str *o)
{
    char a[32];
    write_model(p, o);
    write_cache(p, o);
    str_addf(o, "Batch    %u tokens, micro batch %u, flash attention %s, graph of %u nodes\n",
             p->law.n_batch, p->law.n_ubatch, p->flash_on ? "on" : "off", p->law.n_nodes);
    if (p->law.pipeline)
        str_add(o, "         several cards work in a pipeline: 4 copies of inputs and crossings\n");
    for (uint32_t i = 0; i < p->n_devices; i++)
        if (p->used_mask & (1u << i))
            write_device(&p->devices[i], p->model->n_layers, o);
    explain_speed_write(p, scratch, o);
    str_addf(o, "Host     weights %s B", str_grouped(p->host.weights, a));
    str_addf(o, ", repacked %s B", str_grouped(p->host.repack, a));
    str_addf(o, ", KV %s B\n", str_grouped(p->host.kv, a));
    str_addf(o, "         compute %s B", str_grouped(p->host.compute, a));
    str_addf(o, ", outputs %s B\n", str_grouped(p->host.cache, a));
    for (uint32_t i = 0; i < p->n_reasons; i++)
        write_reason(i ? "         " : "Why      ", p->reasons[i], o);
}
