/* vllm_speed: how long a token takes on vLLM's stages, by the speed model of plan/speed. */
#include "plan/vllm_speed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Set, not fitted; docs/vllm.md tells from what. */
#define UNKNOWN_GBS    500   /* ranks cards whose bandwidth nobody named; no speed is said then */
#define NVLINK_NS      12e3  /* vLLM's own all-reduce, one shot */
#define RING_STEP_NS   17.5e3 /* NCCL over PCIe; a ring takes 2 (tp - 1) steps */
#define NETWORK_NS     50e3  /* one step between hosts */
#define NETWORK_GBS    1.25  /* 10 Gbit/s, one way */
#define SPREAD_LOW     0.6   /* no measured rows of vLLM were fitted */
#define SPREAD_HIGH    1.4

/* Bits a weight takes in memory, its scales left out. */
static double bits_of(const struct hub_model *m, const struct vllm_wish *w)
{
    const struct hub_config *c = &m->config;
    if (c->quant == HUB_PLAIN && w->quantization)
        return strcmp(w->quantization, "fp8") == 0            ? 8
               : strcmp(w->quantization, "bitsandbytes") == 0 ? 4
                                                              : 16;
    return c->quant == HUB_PLAIN || c->quant == HUB_OTHER ? 16
           : c->quant == HUB_FP8                          ? 8
           : c->bits                                      ? c->bits
                                                          : 4;
}

static void make_layer(const struct vllm_law *law, uint32_t il, double bits, struct speed_layer *l)
{
    const struct hub_config *c = &law->model->config;
    enum hub_kv kind = (enum hub_kv)law->model->layers[il].kind;
    enum speed_type type = bits >= 16 ? SPEED_FLOAT : SPEED_Q4_0;
    double active = (double)(law->active[il + 1] - law->active[il]);
    double dense = (double)(law->dense[il + 1] - law->dense[il]);
    bool moe = law->model->layers[il].moe && c->experts > c->experts_used && c->experts_used;
    *l = (struct speed_layer){.expert_ratio = moe ? (double)c->experts_used / c->experts : 1,
                              .loaded = true};
    l->card.bytes[type] = dense;
    l->card.flops[type] = dense * 16 / bits;
    l->card.expert_bytes[type] = active - dense;
    l->card.expert_flops[type] = (active - dense) * 16 / bits;
    if (kind == HUB_STATE)
        l->state_bytes = 2 * (double)law->page_bytes; /* read and written; a page holds one state */
    else if (kind != HUB_NO_KV)
        l->kv_bytes = (double)law->page_bytes / law->page_tokens;
    if (kind == HUB_WINDOW || kind == HUB_CHUNKED)
        l->kv_cells_max = c->window;
    double width = c->kv_rank ? 2.0 * (c->kv_rank + c->dim_rope) : 2.0 * c->head_dim;
    l->attn_flops = kind == HUB_STATE || kind == HUB_NO_KV ? 0 : 2.0 * c->heads * width / law->tp;
}

static void make_work(const struct vllm_law *law, struct speed_work *w)
{
    const struct hub_model *m = law->model;
    double bits = bits_of(m, law->wish), head = (double)(law->head ? law->head : law->embed);
    w->n_layers = m->n_layers + 1;
    w->n_embd = m->config.hidden;
    w->flash_on = true;
    w->moe = m->config.experts > 0;
    for (uint32_t i = 0; i < m->n_layers; i++)
        make_layer(law, i, bits, &w->layer[i]);
    w->layer[m->n_layers] = (struct speed_layer){.expert_ratio = 1, .loaded = true};
    w->layer[m->n_layers].card.bytes[SPEED_FLOAT] = head;
    w->layer[m->n_layers].card.flops[SPEED_FLOAT] = head;
}

struct vllm_pace *vllm_pace_make(const struct vllm_law *law, const struct machine *machine,
                                 struct arena *arena)
{
    struct vllm_pace *p = arena_new(arena, struct vllm_pace);
    if (!p)
        return NULL;
    *p = (struct vllm_pace){.law = law, .machine = machine, .arena = arena};
    make_work(law, &p->work);
    for (uint32_t i = 0; i < machine->n_devices; i++) {
        speed_card_make(speed_coefs, &machine->devices[i], &p->cards[i]);
        if (p->cards[i].read_gbs <= 0)
            p->cards[i].read_gbs = UNKNOWN_GBS;
    }
    return p;
}

static bool as_fast(const struct speed_card *a, const struct speed_card *b)
{
    return a->read_gbs == b->read_gbs && a->launch == b->launch && a->tflops == b->tflops;
}

const double *vllm_pace_below(struct vllm_pace *p, uint32_t device, uint32_t streams)
{
    uint32_t n = p->work.n_layers, slot = streams < VLLM_STREAMS ? streams : VLLM_STREAMS, i = 0;
    while (i < device && !as_fast(&p->cards[i], &p->cards[device]))
        i++;
    if (p->below[i][slot])
        return p->below[i][slot];
    double *ns = arena_array(p->arena, double, n + 1);
    for (uint32_t il = 0; ns && il < n; il++)
        ns[il + 1] = ns[il] + speed_layer_streams_ns(speed_coefs, &p->work, il, &p->cards[i], 0,
                                                     streams,
                                                     streams > 1 ? VLLM_STREAM_CONTEXT : 64);
    p->below[i][slot] = ns;
    return ns;
}

double vllm_reduce_ns(const struct vllm_pace *p, const uint8_t *cards, uint32_t tp,
                      uint32_t streams)
{
    double message = 2.0 * streams * p->work.n_embd * 2 * (tp - 1) / tp, gbs = 1e9;
    double steps = 2.0 * (tp - 1);
    bool nvlink = true, apart = false;
    if (tp < 2)
        return 0;
    for (uint32_t i = 0; i < tp; i++) {
        const struct speed_card *c = &p->cards[cards[i]];
        nvlink = nvlink && c->nvlink;
        gbs = c->link_gbs > 0 && c->link_gbs < gbs ? c->link_gbs : gbs;
        apart = apart || !device_same_host(&p->machine->devices[cards[0]],
                                           &p->machine->devices[cards[i]]);
    }
    if (apart)
        return 2 * (steps * NETWORK_NS + message / NETWORK_GBS);
    return 2 * ((nvlink ? NVLINK_NS : steps * RING_STEP_NS) + message / gbs);
}

double vllm_hop_ns(const struct vllm_pace *p, const struct device *from, const struct device *to,
                   uint32_t streams)
{
    double ns = speed_hop_ns(speed_coefs);
    if (!device_same_host(from, to))
        ns += 2 * NETWORK_NS + 2.0 * streams * p->work.n_embd / NETWORK_GBS;
    return ns;
}

uint32_t vllm_micro_batch(const struct vllm_layout *l)
{
    uint32_t most = l->law->wish->max_seqs, streams = VLLM_STREAMS / (l->dp ? l->dp : 1);
    streams = most && streams > most ? most : streams;
    streams = (streams + l->pp - 1) / l->pp;
    return streams ? streams : 1;
}

/* The stage's own layers on its slowest rank, sums and hop; the head lies in the last one. */
static bool stage_ns(struct vllm_pace *p, const struct vllm_layout *l, uint32_t s, uint32_t streams,
                     double *out)
{
    uint32_t n = p->work.n_layers, first = l->bounds[s], end = l->bounds[s + 1];
    double slowest = 0;
    for (uint32_t r = 0; r < l->n_ranks; r++) {
        if (r / l->tp % l->pp != s)
            continue;
        const double *below = vllm_pace_below(p, l->cards[r], streams);
        if (!below)
            return false;
        double ns = below[s + 1 == l->pp ? n : end] - below[first];
        slowest = ns > slowest ? ns : slowest;
    }
    *out = slowest + (end - first) * vllm_reduce_ns(p, &l->cards[s * l->tp], l->tp, streams);
    if (s > 0)
        *out += vllm_hop_ns(p, &p->machine->devices[l->cards[s * l->tp - 1]],
                            &p->machine->devices[l->cards[s * l->tp]], streams);
    return true;
}

bool vllm_times_make(struct vllm_pace *p, const struct vllm_layout *l, struct vllm_times *out)
{
    uint32_t batch = vllm_micro_batch(l);
    *out = (struct vllm_times){0};
    for (uint32_t s = 0; s < l->pp; s++) {
        double one, many;
        if (!stage_ns(p, l, s, 1, &one) || !stage_ns(p, l, s, batch, &many))
            return false;
        out->decode_ns += one;
        out->slowest_ns = many > out->slowest_ns ? many : out->slowest_ns;
    }
    return true;
}

/* A machine of one card a stage: the slowest of its ranks, which the others wait for. */
static bool make_stages(struct vllm_pace *p, const struct vllm_layout *l, struct machine *m,
                        struct speed_card *cards, struct law_result *placed)
{
    *m = (struct machine){.host = p->machine->host, .n_devices = l->pp};
    *placed = (struct law_result){.n_ubatch = l->law->wish->max_tokens, .flash_on = true};
    for (uint32_t s = 0; s < l->pp; s++) {
        double slowest = -1;
        for (uint32_t k = 0; k < l->tp; k++) {
            uint32_t card = l->cards[s * l->tp + k];
            const double *below = vllm_pace_below(p, card, 1);
            if (!below || p->machine->devices[card].bandwidth_gbs <= 0)
                return false;
            if (below[p->work.n_layers] > slowest) {
                slowest = below[p->work.n_layers];
                m->devices[s] = p->machine->devices[card];
                cards[s] = p->cards[card];
            }
        }
        placed->device[s].bytes.weights = vllm_law_active(l->law, l->bounds[s], l->bounds[s + 1]);
        for (uint32_t il = l->bounds[s]; il < l->bounds[s + 1]; il++)
            placed->layer_device[il] = (int)s;
    }
    placed->layer_device[l->law->model->n_layers] = (int)l->pp - 1;
    return true;
}

/* What sums over ranks and hosts add to every token of a range. */
static void slow_down(struct speed_range *r, double tokens, double extra_ns, bool widen)
{
    double *const all[3] = {&r->tps, &r->low, &r->high};
    for (int i = 0; i < 3; i++)
        *all[i] = *all[i] > 0 ? tokens * 1e9 / (tokens * 1e9 / *all[i] + extra_ns) : 0;
    if (widen) {
        r->low = fmin(r->low, r->tps * SPREAD_LOW);
        r->high = fmax(r->high, r->tps * SPREAD_HIGH);
    }
}

/* Everything beside the layers themselves that one step of n tokens waits for. */
static double between_ns(const struct vllm_pace *p, const struct vllm_layout *l, uint32_t n)
{
    double ns = 0;
    for (uint32_t s = 0; s < l->pp; s++) {
        const uint8_t *cards = &l->cards[s * l->tp];
        ns += (l->bounds[s + 1] - l->bounds[s]) * vllm_reduce_ns(p, cards, l->tp, n);
        if (s > 0)
            ns += vllm_hop_ns(p, &p->machine->devices[cards[-1]], &p->machine->devices[cards[0]],
                              n) -
                  speed_hop_ns(speed_coefs);
    }
    return ns;
}

/* Stages work on different streams at once: the slowest of them sets the pace. */
static struct speed_range together(struct vllm_pace *p, const struct vllm_layout *l,
                                   const struct speed_case *in)
{
    const struct vllm_wish *w = l->law->wish;
    uint32_t streams = w->streams ? w->streams : VLLM_STREAMS;
    uint32_t depth = w->stream_depth ? w->stream_depth : VLLM_STREAM_CONTEXT;
    uint32_t each = (streams / (l->dp ? l->dp : 1) + l->pp - 1) / l->pp;
    double slowest = 0;
    each = each ? each : 1;
    for (uint32_t s = 0; s < l->pp; s++) {
        const uint8_t *cards = &l->cards[s * l->tp];
        uint32_t end = l->bounds[s + 1] + (s + 1 == l->pp);
        double ns = (l->bounds[s + 1] - l->bounds[s]) * vllm_reduce_ns(p, cards, l->tp, each);
        for (uint32_t il = l->bounds[s]; il < end; il++)
            ns += speed_layer_streams_ns(speed_coefs, &p->work, il, &in->cards[s], 0, each,
                                         depth);
        if (s > 0)
            ns += vllm_hop_ns(p, &p->machine->devices[cards[-1]], &p->machine->devices[cards[0]],
                              each);
        slowest = ns > slowest ? ns : slowest;
    }
    double tps = slowest > 0 ? streams * 1e9 / (slowest * l->pp) : 0;
    return (struct speed_range){tps, tps * SPREAD_LOW, tps * SPREAD_HIGH};
}

static void say_limit(const struct vllm_pace *p, const struct vllm_layout *l, struct speed *out)
{
    double link = between_ns(p, l, 1);
    if (out->decode.tps > 0 && link * out->decode.tps * 2 > 1e9) {
        out->limit = SPEED_LIMIT_LINK;
        out->limit_card = -1;
        snprintf(out->limited_by, sizeof(out->limited_by), "link");
    }
}

void vllm_speed_make(struct vllm_pace *p, const struct vllm_layout *l, uint32_t depth,
                     struct speed *out)
{
    struct machine m;
    struct speed_card cards[MACHINE_MAX_DEVICES];
    struct law_result placed;
    struct law_settings settings = {.split = SPLIT_LAYER, .n_seq_max = 1};
    struct speed_case in = {.machine = &m,
                            .settings = &settings,
                            .placement = &placed,
                            .work = &p->work,
                            .cards = cards,
                            .depth = depth,
                            .streams = 1};
    *out = (struct speed){.limit_card = -1};
    if (!make_stages(p, l, &m, cards, &placed) || !speed_estimate(&in, out))
        return;
    slow_down(&out->decode, 1, between_ns(p, l, 1), true);
    slow_down(&out->decode_depth, 1, between_ns(p, l, 1), true);
    slow_down(&out->prefill, 512, between_ns(p, l, 512), true);
    out->throughput = together(p, l, &in);
    out->confidence = SPEED_LOW;
    say_limit(p, l, out);
}
