/* plan_plain: a plan as sentences for a screen reader, and as tab separated records for scripts. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/plan_job.h"

static const char *gib(uint64_t bytes, char *buffer)
{
    return str_gib(bytes, 1, buffer);
}

static void card_sentence(const struct plan *p, const struct plan_device *d, struct str *out)
{
    char a[32], b[32], c[32];
    uint64_t ours = plan_card_need(d);
    str_addf(out, "GPU %d %s%s: %s of %s GiB %s.", d->card->index, d->card->name,
             d->card->simulated ? ", simulated" : "", gib(ours + d->other, a),
             gib(d->card->total_bytes, b), d->free_after < 0 ? "needed" : "used");
    if (ours) {
        str_addf(out, " Weights %s,", gib(d->weights + d->projector + d->draft, a));
        str_addf(out, " KV cache %s, compute and runtime %s.", gib(d->kv, a),
                 gib(d->compute + d->runtime, b));
    }
    if (d->other)
        str_addf(out, " Other programs %s.", gib(d->other, a));
    if (d->free_after >= 0)
        str_addf(out, " Free afterwards %s, of it %s kept free.\n", gib((uint64_t)d->free_after, a),
                 gib(ours ? d->keep_free : 0, c));
    else
        str_addf(out, " Short by %s.\n", gib((uint64_t)-d->free_after, a));
}

void plan_choice_sentences(const struct plan *p, struct str *out)
{
    char a[32];
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *o = &p->alternatives[i];
        str_addf(out, "Choice %c: %s, %s", o->key, o->change,
                 o->verdict == VERDICT_NO_FIT ? "does not fit" : "fits");
        if (o->context)
            str_addf(out, ", context %s", str_grouped(o->context, a));
        str_addf(out, ", price: %s.\n", o->price);
    }
}

void plan_choice_records(const struct plan *p, struct str *out)
{
    for (uint32_t i = 0; i < p->n_alternatives; i++) {
        const struct plan_alternative *a = &p->alternatives[i];
        str_addf(out, "alternative\t%c\t%s\t%u\t%s\t%s\n", a->key, a->change, a->context,
                 plan_verdict_name(a->verdict), a->flags);
    }
}

void plan_sentences(const struct plan_job *job, struct str *out)
{
    const struct plan *p = job->plan;
    char a[32], b[32];
    str_addf(out, "Model %s, %s, %s GiB, %u layers.\n", p->model->name, p->model->quantization,
             gib(p->model->file_bytes, a), p->model->n_layers);
    if (job->no_cards.code != ERR_NONE)
        str_addf(out, "No GPU: %s.\n", job->no_cards.title);
    str_add(out, "Verdict: ");
    plan_verdict_text(p, out);
    str_add(out, ". ");
    plan_summary(p, out);
    str_add(out, ".\n");
    for (uint32_t i = 0; i < p->n_devices; i++)
        card_sentence(p, &p->devices[i], out);
    str_addf(out, "Host memory: %s GiB needed, %s free.\n", gib(plan_host_need(p), a),
             gib(p->host.free, b));
    if (p->speed.decode.tps > 0)
        str_addf(out, "Speed: about %.1f tokens per second, between %.1f and %.1f, %s confidence.\n",
                 p->speed.decode.tps, p->speed.decode.low, p->speed.decode.high,
                 speed_confidence_name(p->speed.confidence));
    for (uint32_t i = 0; i < p->n_reasons; i++)
        str_addf(out, "Reason: %s.\n", p->reasons[i]);
    plan_choice_sentences(p, out);
    const struct plan_alternative *way = p->verdict == VERDICT_NO_FIT ? plan_best_way(p) : NULL;
    str_add(out, "Next: ");
    plan_job_again(job,
                   way                            ? way->flags
                   : p->verdict == VERDICT_NO_FIT ? "--explain"
                                                  : "-o sh",
                   1 << 16, out);
    str_add(out, "\n");
}

static void card_record(const struct plan *p, uint32_t i, struct str *out)
{
    const struct plan_device *d = &p->devices[i];
    str_addf(out, "device\t%d\t%s\t%s\t%llu\t%llu\t%u", d->card->index, d->card->name,
             d->card->simulated ? "simulated" : "real", (unsigned long long)d->card->total_bytes,
             (unsigned long long)d->card->free_bytes, plan_card_layers(p, i));
    str_addf(out, "\t%llu\t%llu\t%llu", (unsigned long long)(d->weights + d->projector + d->draft),
             (unsigned long long)d->kv, (unsigned long long)d->compute);
    str_addf(out, "\t%llu\t%llu\t%llu\t%lld\n", (unsigned long long)d->runtime,
             (unsigned long long)d->other, (unsigned long long)d->keep_free,
             (long long)d->free_after);
}

void plan_records(const struct plan_job *job, struct str *out)
{
    const struct plan *p = job->plan;
    const struct plan_host *h = &p->host;
    str_add(out, "model\t");
    str_add_printable(out, p->model->name, strlen(p->model->name));
    str_addf(out, "\t%s\t%llu\t%u\n", p->model->quantization,
             (unsigned long long)p->model->file_bytes, p->model->n_layers);
    str_addf(out, "plan\t%s\t%u\t%u\t%s\t%s\n", plan_verdict_name(p->verdict), p->law.n_ctx,
             p->settings.n_seq_max, gguf_type_info(p->settings.type_k)->name,
             gguf_type_info(p->settings.type_v)->name);
    if (p->speed.decode.tps > 0)
        str_addf(out, "speed\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\n", p->speed.decode.tps, p->speed.decode.low,
                 p->speed.decode.high, p->speed.decode_depth.tps, p->speed.prefill.tps);
    for (uint32_t i = 0; i < p->n_devices; i++)
        card_record(p, i, out);
    str_addf(out, "host\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", (unsigned long long)h->weights,
             (unsigned long long)h->kv, (unsigned long long)h->compute,
             (unsigned long long)h->repack, (unsigned long long)h->cache,
             (unsigned long long)h->free);
    plan_choice_records(p, out);
}
