/* speed: adds up the time of a token and of a prompt over cards, host and links. */
#include "plan/speed.h"

#include <math.h>
#include <stdio.h>

/* Set, not fitted; sources in docs/speed.md. */
#define TYPE_IQ          1.5  /* time per byte of IQ types against Q4_0 */
#define RATE_IQ          0.65 /* prefill of IQ types against K quants */
#define ATTN_RATE        0.5  /* share of the prefill rate that attention's products reach */
#define BATCH_RATE       0.4  /* share of the prefill rate that a few streams reach together */
#define CROSS_NS         50e3 /* from card to host or back within a layer */
#define HOST_LAYER_NS    40e3 /* threads that wait for each other */
#define REDUCE_NS        40e3 /* all-reduce of one token over PCIe; two a layer */
#define REDUCE_NVL_NS    15e3
#define ROW_NS           350e3 /* -sm row: what a layer spends on gathering */
#define HOST_CORE_GFLOPS 35    /* prefill on AVX2 */
#define OFFLOAD_MIN      32    /* tokens from which the engine copies host weights to a card */

struct spread {
    double low, high;
};
static const struct spread SPREAD_HOST = {0.5, 1.7}, SPREAD_LINK = {0.6, 1.4},
                           SPREAD_CACHE = {0.7, 1.3}, SPREAD_STREAMS = {0.6, 1.3},
                           SPREAD_MOE = {0.85, 1.15}, SPREAD_LAUNCH = {0.85, 1.25},
                           SPREAD_EXACT = {1, 1};

/* Times in ns, by what they are spent on; low and high hold the same sum with every part at its
 * bounds. */
struct bill {
    double card[MACHINE_MAX_DEVICES], launch, host, link, compute;
    double sum, low, high;
};

struct frame {
    const double *k;
    const struct speed_work *w;
    const struct law_result *law;
    const struct law_settings *s;
    struct speed_card card[MACHINE_MAX_DEVICES];
    double share[MACHINE_MAX_DEVICES]; /* -sm tensor, row: part of every layer */
    uint32_t n_cards, n_used;
    int slowest; /* -sm tensor, row: the card all wait for */
    double host_gbs, host_gflops, tp_overhead;
    bool together; /* -sm tensor or row */
};

static void pay(struct bill *b, double *what, double ns, struct spread s)
{
    *what += ns;
    b->sum += ns;
    b->low += ns / s.high;
    b->high += ns / s.low;
}

const char *speed_confidence_name(enum speed_confidence c)
{
    static const char *const NAMES[] = {"none", "low", "medium", "high"};
    return NAMES[c];
}

/* Desktops have two channels, servers with many cores have eight and more. */
double speed_host_gbs(const struct host *h)
{
    double cores = h->cores ? h->cores : 8;
    return fmin(fmax(16 + 2.2 * cores, 20), 200);
}

static double type_time(const double *k, int type)
{
    return type == SPEED_FLOAT ? k[SPEED_TYPE_FLOAT]
           : type == SPEED_K   ? k[SPEED_TYPE_K]
           : type == SPEED_IQ  ? TYPE_IQ
                               : 1;
}

/* Distinct experts that n tokens use together, against those one token uses. */
static double more_experts(double ratio, double n)
{
    return ratio >= 1 || n <= 1 ? 1 : (1 - pow(1 - ratio, n)) / ratio;
}

static double weighted_bytes(const double *k, const struct speed_part *p, double experts)
{
    double sum = 0;
    for (int t = 0; t < SPEED_TYPES; t++)
        sum += (p->bytes[t] + experts * k[SPEED_EXPERTS] * p->expert_bytes[t]) * type_time(k, t);
    return sum;
}

static double raw_bytes(const struct speed_part *p, double experts)
{
    double sum = 0;
    for (int t = 0; t < SPEED_TYPES; t++)
        sum += p->bytes[t] + experts * p->expert_bytes[t];
    return sum;
}

static double all_flops(const struct speed_part *p)
{
    double sum = 0;
    for (int t = 0; t < SPEED_TYPES; t++)
        sum += p->flops[t] + p->expert_flops[t];
    return sum;
}

static double cells_seen(const struct speed_layer *l, double cells)
{
    return l->kv_cells_max > 0 ? fmin(cells, l->kv_cells_max) : cells;
}

static double cache_bytes(const struct speed_layer *l, double cells)
{
    return cells_seen(l, cells) * l->kv_bytes + l->state_bytes;
}

static double launch_ns(const double *k, const struct speed_work *w, uint32_t il)
{
    if (il + 1 == w->n_layers || !(w->layer[il].loaded || w->layer[il].drafts))
        return 0;
    return 1e3 * k[SPEED_LAUNCH_US];
}

static struct spread decode_spread(const struct speed_card *c)
{
    const struct speed_spread *s = &speed_classes[c->class].spread;
    return (struct spread){s->decode_low, s->decode_high};
}

static struct spread wider(struct spread a, struct spread b)
{
    return (struct spread){a.low * b.low, a.high * b.high};
}

/* The layer's weights, read once for n streams; low and high as the card's class and the kind of
 * layer have it. */
static void pay_weights(const struct frame *f, struct bill *b, uint32_t il, int card, double share,
                        double n)
{
    const struct speed_layer *l = &f->w->layer[il];
    const struct speed_card *c = &f->card[card];
    bool moe = l->expert_ratio < 1;
    struct spread s = wider(decode_spread(c), moe ? SPREAD_MOE : SPREAD_EXACT);
    pay(b, &b->card[card],
        share * weighted_bytes(f->k, &l->card, more_experts(l->expert_ratio, n)) / c->read_gbs, s);
    pay(b, &b->launch, c->launch * launch_ns(f->k, f->w, il), wider(s, SPREAD_LAUNCH));
    if (n > 1 && c->tflops > 0)
        pay(b, &b->compute, share * (n - 1) * all_flops(&l->card) / (BATCH_RATE * c->tflops * 1e3),
            s);
}

static void pay_cache(const struct frame *f, struct bill *b, uint32_t il, int card, double share,
                      double n, double cells)
{
    const struct speed_layer *l = &f->w->layer[il];
    double bytes = n * share * cache_bytes(l, cells),
           scores = f->w->flash_on ? 0 : n * share * cells_seen(l, cells) * l->heads;
    if (card == LAW_HOST || f->w->cache_on_host)
        pay(b, &b->host, bytes / f->host_gbs + (card != LAW_HOST && bytes > 0 ? 2 * CROSS_NS : 0),
            SPREAD_HOST);
    else
        pay(b, &b->card[card], (bytes + scores * f->k[SPEED_SCORE]) / f->card[card].read_gbs,
            wider(decode_spread(&f->card[card]), SPREAD_CACHE));
}

static void pay_host_part(const struct frame *f, struct bill *b, const struct speed_layer *l,
                          const struct speed_part *p, double n, bool on_card)
{
    double bytes = raw_bytes(p, more_experts(l->expert_ratio, n));
    if (bytes <= 0)
        return;
    double ns = fmax(bytes / f->host_gbs, n > 1 ? n * all_flops(p) / f->host_gflops : 0);
    pay(b, &b->host, ns + HOST_LAYER_NS + (on_card ? 2 * CROSS_NS : 0), SPREAD_HOST);
}

/* Every card holds its share of the layer; all wait for the slowest, then sum up twice. */
static void pay_together(const struct frame *f, struct bill *b, uint32_t il, double n, double streams,
                         double cells)
{
    int i = f->slowest;
    pay_weights(f, b, il, i, f->share[i], n);
    pay_cache(f, b, il, i, f->share[i], streams, cells);
    if (f->n_used < 2 || il + 1 == f->w->n_layers)
        return;
    double message = n * f->w->n_embd * 8.0 * (f->n_used - 1) / f->n_used;
    double reduce = (f->card[i].nvlink ? REDUCE_NVL_NS : REDUCE_NS) + message / f->card[i].link_gbs;
    double ns = 2 * reduce + (f->s->split == SPLIT_ROW ? ROW_NS : 0);
    pay(b, &b->link, ns, SPREAD_LINK);
}

static int place_of(const struct frame *f, uint32_t il)
{
    int d = f->law->layer_device[il];
    return d >= 0 && (uint32_t)d < f->n_cards ? d : LAW_HOST;
}

/* One layer's part of a step of n tokens of so many streams. */
static void pay_layer(const struct frame *f, struct bill *b, uint32_t il, int at, double n, double streams,
                      double cells)
{
    const struct speed_layer *l = &f->w->layer[il];
    if (at == LAW_HOST) {
        pay_host_part(f, b, l, &l->card, n, false);
        pay_cache(f, b, il, LAW_HOST, 1, streams, cells);
    } else if (f->together) {
        pay_together(f, b, il, n, streams, cells);
    } else {
        pay_weights(f, b, il, at, 1, n);
        pay_cache(f, b, il, at, 1, streams, cells);
    }
    pay_host_part(f, b, l, &l->host, n, at != LAW_HOST);
}

/* n tokens of so many streams: each stream's cache is read once. */
static void decode_bill(const struct frame *f, double n, double streams, double cells, struct bill *b)
{
    *b = (struct bill){0};
    int last = -1;
    for (uint32_t il = 0; il < f->w->n_layers; il++) {
        const struct speed_layer *l = &f->w->layer[il];
        int at = place_of(f, il);
        if (!l->loaded)
            continue;
        if (last >= 0 && at != last)
            pay(b, &b->link, 1e3 * f->k[SPEED_HOP_US], SPREAD_LINK);
        last = at;
        pay_layer(f, b, il, at, n, streams, cells);
    }
    if (f->together && f->tp_overhead > 0 && f->tp_overhead < 1)
        pay(b, &b->link, (b->sum - b->link) * f->tp_overhead / (1 - f->tp_overhead) - b->link,
            SPREAD_EXACT);
}

double speed_hop_ns(const double *coefs)
{
    return 1e3 * coefs[SPEED_HOP_US];
}

/* One layer alone: tokens of so many streams together. < 0: unknown. */
static double layer_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                       const struct speed_card *card, double host_gbs, uint32_t tokens,
                       uint32_t streams, uint32_t cells)
{
    struct frame f = {.k = coefs, .w = w, .host_gbs = host_gbs};
    struct bill b = {0};
    const struct speed_layer *l = &w->layer[layer];
    if ((card && card->read_gbs <= 0) || (!card && host_gbs <= 0))
        return -1;
    if (card) {
        f.card[0] = *card;
        pay_weights(&f, &b, layer, 0, 1, tokens);
    } else {
        pay_host_part(&f, &b, l, &l->card, tokens, false);
    }
    pay_cache(&f, &b, layer, card ? 0 : LAW_HOST, 1, streams, cells);
    pay_host_part(&f, &b, l, &l->host, tokens, card != NULL);
    return b.sum;
}

double speed_layer_streams_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                              const struct speed_card *card, double host_gbs, uint32_t streams,
                              uint32_t cells)
{
    return w->layer[layer].loaded
               ? layer_ns(coefs, w, layer, card, host_gbs, streams, streams, cells)
               : 0;
}

double speed_layer_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                      const struct speed_card *card, double host_gbs, uint32_t cells)
{
    return speed_layer_streams_ns(coefs, w, layer, card, host_gbs, 1, cells);
}

/* Prefill of n tokens of one layer on a card, attention over `cells` included; 0 where the card's
 * rate is unknown. */
static double prefill_ns(const struct frame *f, uint32_t il, const struct speed_part *p, int card,
                         double n, double cells)
{
    const struct speed_card *c = &f->card[card];
    const struct speed_layer *l = &f->w->layer[il];
    double rate[SPEED_TYPES] = {c->tflops, c->tflops_float, c->tflops_k, c->tflops_k * RATE_IQ},
           ns = 0;
    /* Only the last token's logits are computed. */
    double tokens = il + 1 == f->w->n_layers ? 1 : n;
    for (int t = 0; t < SPEED_TYPES; t++)
        ns += tokens * (p->flops[t] + p->expert_flops[t] / f->k[SPEED_RATE_MOE]) / (rate[t] * 1e3);
    double seen = n * cells_seen(l, cells);
    ns += seen * l->attn_flops / (c->tflops_float * 1e3 * ATTN_RATE);
    if (!f->w->flash_on)
        ns += seen * l->heads * f->k[SPEED_SCORES] / c->read_gbs;
    return ns + raw_bytes(p, more_experts(l->expert_ratio, n)) / c->read_gbs;
}

/* Weights in host memory: computed there, or copied to the first card for this ubatch, whichever
 * the engine does. */
static double prefill_host_ns(const struct frame *f, uint32_t il, const struct speed_part *p,
                              double n)
{
    double bytes = raw_bytes(p, more_experts(f->w->layer[il].expert_ratio, n));
    double tokens = il + 1 == f->w->n_layers ? 1 : n;
    if (bytes <= 0)
        return 0;
    if (n >= OFFLOAD_MIN && f->n_cards > 0 && !f->s->no_op_offload)
        return bytes / f->card[0].link_gbs + prefill_ns(f, il, p, 0, n, 0);
    return fmax(bytes / f->host_gbs, tokens * all_flops(p) / f->host_gflops) + HOST_LAYER_NS;
}

static struct spread prefill_spread(const struct speed_card *c, bool moe)
{
    const struct speed_spread *s = &speed_classes[c->class].spread;
    return wider((struct spread){s->prefill_low, s->prefill_high}, moe ? SPREAD_MOE : SPREAD_EXACT);
}

/* One ubatch through all layers. */
static void prefill_bill(const struct frame *f, double n, double cells, struct bill *b)
{
    *b = (struct bill){0};
    int last = -1;
    for (uint32_t il = 0; il < f->w->n_layers; il++) {
        const struct speed_layer *l = &f->w->layer[il];
        int at = place_of(f, il);
        if (!l->loaded)
            continue;
        double crossing = n * f->w->n_embd * 4.0;
        if (last >= 0 && at != last && f->n_cards > 0)
            pay(b, &b->link,
                crossing / f->card[at == LAW_HOST ? 0 : at].link_gbs + 1e3 * f->k[SPEED_HOP_US],
                SPREAD_LINK);
        last = at;
        if (at == LAW_HOST) {
            pay(b, &b->host, prefill_host_ns(f, il, &l->card, n), SPREAD_HOST);
        } else {
            int card = f->together ? f->slowest : at;
            double share = f->together ? f->share[card] : 1;
            struct spread s = prefill_spread(&f->card[card], l->expert_ratio < 1);
            pay(b, &b->card[card], share * prefill_ns(f, il, &l->card, card, n, cells), s);
            pay(b, &b->launch, f->card[card].launch * launch_ns(f->k, f->w, il), s);
            if (f->together && f->n_used > 1 && il + 1 < f->w->n_layers)
                pay(b, &b->link,
                    2 * (REDUCE_NS +
                         crossing * 2 * (f->n_used - 1) / f->n_used / f->card[card].link_gbs),
                    SPREAD_LINK);
        }
        pay(b, &b->host, prefill_host_ns(f, il, &l->host, n), SPREAD_HOST);
    }
}

static struct speed_range range_of(const struct bill *b, double tokens)
{
    if (b->sum <= 0 || !isfinite(b->sum))
        return (struct speed_range){0};
    return (struct speed_range){tokens * 1e9 / b->sum, tokens * 1e9 / b->high,
                                tokens * 1e9 / b->low};
}

/* Ubatches of a prompt follow each other through the cards where the engine works in a pipeline. */
static struct speed_range prefill_range(const struct frame *f, uint32_t prompt)
{
    struct bill b;
    double n = fmin(prompt, f->law->n_ubatch ? f->law->n_ubatch : 512);
    for (uint32_t i = 0; i < f->n_cards; i++)
        if (f->share[i] > 0 && f->card[i].tflops <= 0)
            return (struct speed_range){0};
    /* Without flash attention the masked half is computed, too. */
    prefill_bill(f, n, (prompt + (f->w->flash_on ? 0 : n)) / 2.0, &b);
    double rounds = ceil(prompt / n), stage = 0;
    for (uint32_t i = 0; i < f->n_cards; i++)
        stage = fmax(stage, b.card[i]);
    double ns = rounds * b.sum;
    if (f->law->pipeline && f->n_used > 1) {
        double layers = (double)f->w->n_layers / f->n_used, full = layers / f->k[SPEED_QUEUE],
               overlap = 1 / (1 + full * full);
        ns -= (rounds - 1) * overlap * (b.sum - stage - b.launch / f->n_used);
    }
    struct speed_range one = range_of(&b, n);
    double factor = ns > 0 ? prompt * 1e9 / ns / (one.tps > 0 ? one.tps : 1) : 0;
    return (struct speed_range){one.tps * factor, one.low * factor, one.high * factor};
}

static void find_limit(const struct frame *f, const struct machine *mc, const struct bill *b,
                       struct speed *out)
{
    const struct {
        double ns;
        enum speed_limit limit;
        const char *text;
    } PARTS[] = {
        {b->host,    SPEED_LIMIT_HOST,    "host memory"    },
        {b->compute, SPEED_LIMIT_COMPUTE, "compute"        },
        {b->link,    SPEED_LIMIT_LINK,    "link"           },
        {b->launch,  SPEED_LIMIT_LAUNCH,  "launch overhead"},
    };
    double most = 0, cards = 0;
    int card = -1;
    for (uint32_t i = 0; i < f->n_cards; i++) {
        cards += b->card[i];
        if (card < 0 || b->card[i] > b->card[card])
            card = (int)i;
    }
    out->limit_card = -1;
    if (cards > 0) {
        most = cards;
        out->limit = SPEED_LIMIT_BANDWIDTH;
        out->limit_card = card;
        snprintf(out->limited_by, sizeof(out->limited_by), "memory bandwidth of GPU %d",
                 mc->devices[card].index);
    }
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        if (PARTS[i].ns <= most)
            continue;
        most = PARTS[i].ns;
        out->limit = PARTS[i].limit;
        out->limit_card = -1;
        snprintf(out->limited_by, sizeof(out->limited_by), "%s", PARTS[i].text);
    }
}

static enum speed_confidence find_confidence(const struct frame *f, const struct machine *mc,
                                             const struct bill *b)
{
    double cards = b->sum - b->launch - b->host - b->link;
    int trust = f->w->moe || f->together || b->launch > cards ? 1 : 2;
    if (b->host > 0.1 * b->sum || f->s->split == SPLIT_ROW)
        trust = 0;
    for (uint32_t i = 0; i < f->n_cards; i++) {
        int of_class =
            mc->devices[i].backend == BACKEND_CUDA ? speed_classes[f->card[i].class].trust : 0;
        if (b->card[i] > 0 && of_class < trust)
            trust = of_class;
    }
    return SPEED_LOW + (enum speed_confidence)trust;
}

/* Shares of -sm tensor and row follow what the law put on each card. */
static void share_out(struct frame *f)
{
    double sum = 0, worst = -1;
    for (uint32_t i = 0; i < f->n_cards; i++)
        sum += (double)f->law->device[i].bytes.weights;
    for (uint32_t i = 0; i < f->n_cards; i++) {
        f->share[i] = sum > 0 ? (double)f->law->device[i].bytes.weights / sum : 1.0 / f->n_cards;
        f->n_used += f->share[i] > 0;
        double ns = f->card[i].read_gbs > 0 ? f->share[i] / f->card[i].read_gbs : 0;
        if (ns > worst) {
            worst = ns;
            f->slowest = (int)i;
        }
    }
}

/* False when a card that holds something has no known bandwidth. */
static bool frame_make(const struct speed_case *in, const struct speed_work *w, struct frame *f)
{
    const struct machine *mc = in->machine;
    *f = (struct frame){.k = in->coefs ? in->coefs : speed_coefs,
                        .w = w,
                        .law = in->placement,
                        .s = in->settings,
                        .n_cards = mc->n_devices,
                        .tp_overhead = in->tp_overhead};
    f->host_gbs = in->host_gbs > 0 ? in->host_gbs : speed_host_gbs(&mc->host);
    f->host_gflops =
        HOST_CORE_GFLOPS * (mc->host.cores ? mc->host.cores : 8) * (mc->host.avx2 ? 1 : 0.3);
    for (uint32_t i = 0; i < f->n_cards; i++)
        if (in->cards)
            f->card[i] = in->cards[i];
        else
            speed_card_make(f->k, &mc->devices[i], &f->card[i]);
    share_out(f);
    f->together = (f->s->split == SPLIT_TENSOR || f->s->split == SPLIT_ROW) && f->n_used > 1;
    for (uint32_t i = 0; i < f->n_cards; i++)
        if (f->share[i] > 0 && f->card[i].read_gbs <= 0)
            return false;
    for (uint32_t il = 0; il < w->n_layers; il++) {
        int at = place_of(f, il);
        if (at != LAW_HOST && f->card[at].read_gbs <= 0)
            return false;
    }
    return true;
}

bool speed_estimate(const struct speed_case *in, struct speed *out)
{
    struct speed_work own_work;
    struct frame f;
    struct bill b;
    *out = (struct speed){.limit_card = -1};
    if (!in->work)
        speed_work_make(in->model, in->settings, in->placement->flash_on, in->assignment,
                        &own_work);
    if (!frame_make(in, in->work ? in->work : &own_work, &f))
        return false;
    decode_bill(&f, 1, 1, SPEED_EMPTY_CELLS, &b);
    out->decode = range_of(&b, 1);
    find_limit(&f, in->machine, &b, out);
    out->confidence = find_confidence(&f, in->machine, &b);
    decode_bill(&f, 1, 1, fmax(in->depth, SPEED_EMPTY_CELLS), &b);
    out->decode_depth = range_of(&b, 1);
    uint32_t streams = in->streams               ? in->streams
                       : in->settings->n_seq_max ? in->settings->n_seq_max
                                                 : 1;
    decode_bill(&f, streams, streams, fmax(in->depth, SPEED_EMPTY_CELLS), &b);
    out->throughput = range_of(&b, streams);
    if (streams > 1) {
        out->throughput.low *= SPREAD_STREAMS.low;
        out->throughput.high *= SPREAD_STREAMS.high;
    }
    out->prefill = prefill_range(&f, in->prompt ? in->prompt : 512);
    return out->decode.tps > 0;
}

/* Whether the NextN block's pass goes through this layer: the block itself, and the head where it has none. */
static bool nextn_runs(const struct speed_work *w, uint32_t il)
{
    bool runs = w->layer[il].drafts;
    for (uint32_t i = 0; i + 1 < w->n_layers && il + 1 == w->n_layers; i++)
        runs = runs || (w->layer[i].drafts && !w->layer[i].own_head);
    return runs;
}

double speed_layer_step_ns(const double *coefs, const struct speed_work *w, uint32_t layer,
                           const struct speed_card *card, double host_gbs, enum speed_step step, uint32_t n)
{
    bool runs = step == STEP_NEXTN ? nextn_runs(w, layer) : w->layer[layer].loaded;
    return runs ? layer_ns(coefs, w, layer, card, host_gbs, n, 1, SPEED_EMPTY_CELLS) : 0;
}

/* The block lies with the model's last layers, the head with the output layer. */
static void nextn_bill(const struct frame *f, double n, struct bill *b)
{
    *b = (struct bill){0};
    for (uint32_t il = 0; il < f->w->n_layers; il++)
        if (nextn_runs(f->w, il))
            pay_layer(f, b, il, place_of(f, il), n, 1, SPEED_EMPTY_CELLS);
}

double speed_step_ns(const struct speed_case *in, enum speed_step step, uint32_t n)
{
    struct speed_work own_work;
    struct frame f;
    struct bill b;
    if (!in->work)
        speed_work_make(in->model, in->settings, in->placement->flash_on, in->assignment, &own_work);
    if (!frame_make(in, in->work ? in->work : &own_work, &f))
        return -1;
    step == STEP_NEXTN ? nextn_bill(&f, n, &b) : decode_bill(&f, n, 1, SPEED_EMPTY_CELLS, &b);
    return b.sum;
}
