/* plan_words: the sentences and sums about a plan that all its forms share. */
#include <string.h>

#include "cli/plan_job.h"

uint64_t plan_card_need(const struct plan_device *d)
{
    return d->weights + d->projector + d->draft + d->kv + d->compute + d->runtime;
}

uint64_t plan_host_need(const struct plan *p)
{
    const struct plan_host *h = &p->host;
    return h->weights + h->kv + h->compute + h->repack + h->cache;
}

static uint32_t loaded_layers(const struct plan *p)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->model->n_layers; i++)
        n += !p->model->layers[i].nextn || p->settings.mtp;
    return n;
}

uint32_t plan_card_layers(const struct plan *p, uint32_t i)
{
    const struct plan_device *d = &p->devices[i];
    uint32_t n = 0, last = p->model->n_layers;
    for (int il = d->first_layer; il >= 0 && il <= d->last_layer && (uint32_t)il < last; il++)
        n += !p->model->layers[il].nextn || p->settings.mtp;
    return n;
}

uint32_t plan_host_layers(const struct plan *p)
{
    uint32_t on_cards = 0, all = loaded_layers(p);
    for (uint32_t i = 0; i < p->n_devices && p->settings.split != SPLIT_TENSOR; i++)
        on_cards += plan_card_layers(p, i);
    if (p->settings.split == SPLIT_TENSOR)
        return 0;
    return on_cards < all ? all - on_cards : 0;
}

void plan_verdict_text(const struct plan *p, struct str *out)
{
    static const char *const names[] = {"FITS", "FITS TIGHTLY", "PARTLY ON CPU", "DOES NOT FIT"};
    bool cpu = p->verdict == VERDICT_PARTLY_CPU && p->used_mask == 0;
    str_add(out, cpu ? "ON THE CPU" : names[p->verdict]);
}

static void add_layers(const struct plan *p, struct str *out)
{
    uint32_t used = (uint32_t)__builtin_popcount(p->used_mask), n = 0, host = plan_host_layers(p);
    if (p->settings.split == SPLIT_TENSOR && used > 1) {
        str_addf(out, "%u layers over %u GPUs", loaded_layers(p), used);
        return;
    }
    if (used == 0) {
        str_addf(out, "all %u layers in host memory", loaded_layers(p));
        return;
    }
    for (uint32_t i = 0; i < p->n_devices; i++) {
        if (!(p->used_mask & (1u << i)))
            continue;
        if (used == 1)
            str_addf(out, "%s%u layers on GPU %d", host ? "" : "all ", plan_card_layers(p, i),
                     p->devices[i].card->index);
        else
            str_addf(out, "%s%u", n ? " + " : "", plan_card_layers(p, i));
        n++;
    }
    str_add(out, used > 1 ? " layers" : "");
    if (host)
        str_addf(out, ", %u on the host", host);
}

static void add_kv(const struct plan *p, struct str *out)
{
    const struct gguf_type_info *k = gguf_type_info(p->settings.type_k);
    const struct gguf_type_info *v = gguf_type_info(p->settings.type_v);
    if (k == v)
        str_addf(out, "KV %s", k ? k->name : "?");
    else
        str_addf(out, "K %s, V %s", k ? k->name : "?", v ? v->name : "?");
}

void plan_summary(const struct plan *p, struct str *out)
{
    static const char *const splits[] = {NULL, "layer", "row", "tensor"};
    char number[32];
    add_layers(p, out);
    str_addf(out, ", %s tokens", str_grouped(p->law.n_ctx, number));
    if (p->settings.n_seq_max > 1)
        str_addf(out, " in %u slots", p->settings.n_seq_max);
    str_add(out, ", ");
    add_kv(p, out);
    if (p->settings.n_cpu_moe == UINT32_MAX)
        str_add(out, ", all experts on the host");
    else if (p->settings.n_cpu_moe && p->model->hp.n_expert)
        str_addf(out, ", experts of %u layers on the host", p->settings.n_cpu_moe);
    str_add(out, ", llama.cpp");
    if (__builtin_popcount(p->used_mask) > 1 && splits[p->settings.split])
        str_addf(out, " %s split", splits[p->settings.split]);
}

/* Neighbours of the same name are one entry: "0-3 RTX 3060 12GB". */
void plan_simulated(const struct plan *p, struct str *out)
{
    size_t before = out->len;
    for (uint32_t i = 0, end; i < p->n_devices; i = end) {
        const struct device *d = p->devices[i].card;
        end = i + 1;
        if (!d->simulated)
            continue;
        while (end < p->n_devices && p->devices[end].card->simulated &&
               strcmp(p->devices[end].card->name, d->name) == 0)
            end++;
        str_addf(out, "%s%d", out->len > before ? ", " : "", d->index);
        if (end - i > 1)
            str_addf(out, "-%d", p->devices[end - 1].card->index);
        str_addf(out, " %s", d->name);
    }
}

void plan_host_note(const struct plan *p, struct str *out)
{
    uint32_t layers = plan_host_layers(p);
    size_t before = out->len;
    if (layers)
        str_addf(out, "%u layers", layers);
    else if (p->settings.n_cpu_moe || p->settings.n_cpu_ffn || p->settings.n_overrides)
        str_add(out, "experts");
    if (!layers && p->host.weights)
        str_addf(out, "%stoken embedding", out->len > before ? ", " : "");
    if (p->host.kv)
        str_addf(out, "%sKV cache", out->len > before ? ", " : "");
    if (out->len == before)
        str_add(out, "inputs and outputs");
}
