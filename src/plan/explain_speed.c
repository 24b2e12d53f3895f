/* explain_speed: the time of one token, card by card, with the bytes that are read and the rate
 * they are read at. */
#include "plan/explain.h"

#include <stdio.h>

#include "base/own.h"

struct share {
    double card_bytes, host_bytes, ns;
    uint32_t layers;
};

static double part_bytes(const struct speed_part *p)
{
    double all = 0;
    for (int t = 0; t < SPEED_TYPES; t++)
        all += p->bytes[t] + p->expert_bytes[t];
    return all;
}

/* card NULL: on the host. */
static void add_layer(const struct speed_work *w, uint32_t il, const struct speed_card *card,
                      double host_gbs, struct share *s)
{
    double ns = speed_layer_ns(speed_coefs, w, il, card, host_gbs, SPEED_EMPTY_CELLS);
    if (!w->layer[il].loaded || ns < 0)
        return;
    s->layers++;
    s->ns += ns;
    *(card ? &s->card_bytes : &s->host_bytes) += part_bytes(&w->layer[il].card);
    s->host_bytes += part_bytes(&w->layer[il].host);
}

static void write_share(const char *name, const struct share *s, double nominal_gbs, struct str *o)
{
    str_addf(o, "         %-6s %7.3f ms", name, s->ns / 1e6);
    if (s->card_bytes > 0)
        str_addf(o, "  %.2f GB of its memory", s->card_bytes / 1e9);
    if (s->host_bytes > 0)
        str_addf(o, "%s%.2f GB of host memory", s->card_bytes > 0 ? ", " : "  ",
                 s->host_bytes / 1e9);
    if (s->card_bytes > 0 && s->host_bytes <= 0 && nominal_gbs > 0)
        str_addf(o, ": %.0f of %.0f GB/s", s->card_bytes / s->ns, nominal_gbs);
    str_add(o, "\n");
}

/* Where every layer has one place; a split within layers is one sum that cannot be told apart. */
static void write_shares(const struct plan *p, const struct speed_work *w, struct str *o)
{
    double host_gbs = speed_host_gbs(&p->machine->host), all = 1e9 / p->speed.decode.tps, told = 0;
    uint64_t placed[(MODEL_MAX_LAYERS + 64) / 64] = {0};
    struct share host = {0};
    char name[16];
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        struct speed_card card;
        struct share s = {0};
        if (!(p->used_mask & (1u << i)) || d->first_layer < 0)
            continue;
        speed_card_make(speed_coefs, d->card, &card);
        for (int il = d->first_layer; il <= d->last_layer && il < (int)w->n_layers; il++) {
            add_layer(w, (uint32_t)il, &card, host_gbs, &s);
            placed[il / 64] |= 1ull << (il % 64);
        }
        snprintf(name, sizeof(name), "GPU %d", d->card->index);
        write_share(name, &s, d->card->bandwidth_gbs, o);
        told += s.ns;
    }
    for (uint32_t il = 0; il < w->n_layers; il++)
        if (!(placed[il / 64] & 1ull << (il % 64)))
            add_layer(w, il, NULL, host_gbs, &host);
    if (host.layers)
        write_share("host", &host, 0, o);
    told += host.ns;
    if (all - told > 0.0005e6)
        str_addf(o, "         %-6s %7.3f ms  from card to card\n", "hops", (all - told) / 1e6);
    str_addf(o, "         sum    %7.3f ms, and 1000 / %.3f = %.1f\n", all / 1e6, all / 1e6,
             p->speed.decode.tps);
}

void explain_speed_write(const struct plan *p, struct arena *scratch, struct str *o)
{
    const struct speed *v = &p->speed;
    if (v->decode.tps <= 0)
        return;
    str_addf(o, "Speed    decode %.1f tok/s (%.1f to %.1f)\n         limited by %s\n",
             v->decode.tps, v->decode.low, v->decode.high, v->limited_by);
    str_add(o, "         one token reads every loaded weight once, of experts the used share;\n"
               "         launches of the engine's kernels are counted in:\n");
    struct arena_mark mark = arena_mark(scratch);
    struct speed_work *w = arena_new(scratch, struct speed_work);
    if (w && (p->settings.split == SPLIT_LAYER || p->settings.split == SPLIT_NONE)) {
        speed_work_make(p->model, &p->settings, p->flash_on, NULL, w);
        write_shares(p, w, o);
    }
    arena_rewind(scratch, mark);
}
