/* vllm_text: a vLLM plan as people read it, as sentences for a screen reader, and as records. */
#include <string.h>

#include "base/own.h"
#include "cli/plan_vllm.h"

#define GIB 1073741824.0

/* Stages stand in their own order; where that is not the cards' it is said. */
static void add_stage_cards(const struct vllm_plan *p, struct str *out)
{
    bool in_order = true;
    for (uint32_t i = 1; i < p->pp; i++)
        in_order = in_order && p->ranks[i].card->index > p->ranks[i - 1].card->index;
    for (uint32_t i = 0; i < p->pp && !in_order; i++)
        str_addf(out, "%s%d", i ? " + " : " on GPU ", p->ranks[i].card->index);
}

static void add_split(const struct vllm_plan *p, struct str *out)
{
    if (p->n_ranks == 1)
        str_addf(out, "all %u layers on GPU %d", p->model->n_layers, p->ranks[0].card->index);
    else if (p->pp == 1)
        str_addf(out, "every layer over %u GPUs", p->tp);
    else {
        for (uint32_t i = 0; i < p->pp; i++) {
            const struct vllm_rank *r = &p->ranks[i * p->tp];
            str_addf(out, "%s%u", i ? " + " : "", r->last_layer - r->first_layer + 1);
        }
        str_add(out, " layers");
        if (p->tp == 1)
            add_stage_cards(p, out);
        else
            str_addf(out, ", each over %u GPUs", p->tp);
    }
    if (p->dp > 1)
        str_addf(out, ", %u replicas", p->dp);
}

static void add_engine(const struct vllm_plan *p, struct str *out)
{
    str_add(out, ", vLLM");
    if (p->n_ranks > 1 && p->pp == 1)
        str_addf(out, " tp %u", p->tp);
    else if (p->n_ranks > 1)
        str_addf(out, " tp %u pp %u", p->tp, p->pp);
}

void vllm_summary(const struct vllm_plan *p, struct str *out)
{
    char number[32];
    add_split(p, out);
    str_addf(out, ", %s tokens, KV %s", str_grouped(p->wish.max_len, number),
             strcmp(p->wish.kv_dtype, "auto") == 0 ? "16 bit" : p->wish.kv_dtype);
    add_engine(p, out);
}

/* What lacks: cache for the length, or free memory before anything is loaded. */
static void no_fit(const struct vllm_plan *p, struct str *out)
{
    const struct vllm_rank *l = &p->ranks[p->limiting];
    char a[32];
    if (!p->starts)
        str_addf(out, "utilization %.3g asks for more than is free", p->utilization);
    else
        str_addf(out, "%.1f GiB short on GPU %d at %s tokens", (double)p->shortfall / GIB,
                 l->card->index, str_grouped(p->wish.max_len, a));
}

static void write_verdict(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    own(own_str) struct str rest = {0};
    if (p->verdict == VERDICT_NO_FIT) {
        no_fit(p, &rest);
        str_add(&rest, look->quiet ? "" : "; ");
        if (!look->quiet)
            add_split(p, &rest);
        add_engine(p, &rest);
    } else {
        vllm_summary(p, &rest);
    }
    str_add(&rest, look->quiet && job->machine.simulated ? ", simulated" : "");
    plan_verdict_line(job->plan, rest.data ? rest.data : "", look, out);
}

/* One line a host, the head first; -o sh holds their commands. */
static void write_hosts(const struct vllm_hosts *hosts, const struct look *look, struct str *out)
{
    if (hosts->n)
        str_add(out, "\n");
    for (uint32_t i = 0; i < hosts->n; i++) {
        own(own_str) struct str line = {0};
        const struct vllm_host *h = &hosts->host[i];
        uint32_t last = h->first_rank + h->n_ranks - 1;
        str_addf(&line, "%s: rank%s %u", h->name, h->n_ranks > 1 ? "s" : "", h->first_rank);
        if (h->n_ranks > 1)
            str_addf(&line, " to %u", last);
        str_add(&line, i ? ", joins by ray start" : ", the head: ray start --head and vllm serve");
        text_wrap(out, "  ", 4, line.data ? line.data : "", look->width);
    }
    if (hosts->n)
        text_wrap(out, "  ", 4, "-o sh writes the head's script with every host's command in it",
                  look->width);
}

void vllm_text(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    if (look->quiet) {
        write_verdict(job, look, out);
        return;
    }
    plan_heading(job, look, out);
    write_verdict(job, look, out);
    str_add(out, "\n");
    plan_bars(job->plan, look, false, out);
    str_add(out, "\n");
    vllm_numbers(job, look, out);
    if (p->n_reasons)
        str_add(out, "\n");
    for (uint32_t i = 0; i < p->n_reasons; i++)
        if (p->reasons[i] != job->engine_why)
            text_wrap(out, "  - ", 4, p->reasons[i], look->width);
    write_hosts(&job->vllm->hosts, look, out);
    plan_not_accounted(job, look, out);
    if (p->verdict == VERDICT_NO_FIT)
        plan_ways(job, look, out);
    else
        plan_others(job, look, out);
    plan_next(job, look, out);
}

static void rank_sentence(const struct vllm_rank *r, struct str *out)
{
    str_addf(out, "GPU %d %s%s: %.1f of %.1f GiB asked for.", r->card->index,
             r->card->name ? r->card->name : "", r->card->simulated ? ", simulated" : "",
             (double)r->requested / GIB, (double)r->card->total_bytes / GIB);
    str_addf(out, " Layers %u to %u. Weights %.1f, KV cache %.1f, between %.1f and %.1f,",
             r->first_layer, r->last_layer, (double)r->weights / GIB, (double)r->kv.value / GIB,
             (double)r->kv.low / GIB, (double)r->kv.high / GIB);
    str_addf(out, " activation %.1f, CUDA and graphs %.1f.\n", (double)r->activation.value / GIB,
             (double)(r->non_torch.value + r->graphs.value + r->runtime) / GIB);
}

void vllm_sentences(const struct plan_job *job, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    char a[32], b[32];
    str_addf(out, "Model %s, %s, %s GiB, %u layers.\n", job->model->name, job->model->quantization,
             str_gib(job->model->file_bytes, 1, a), job->model->n_layers);
    str_add(out, "Verdict: ");
    plan_verdict_text(job->plan, out);
    str_add(out, ". ");
    vllm_summary(p, out);
    str_add(out, ".\n");
    for (uint32_t i = 0; i < p->n_ranks; i++)
        rank_sentence(&p->ranks[i], out);
    str_addf(out, "The cache holds %s tokens, %.2f requests of %s at once.\n",
             str_grouped(p->kv_tokens.value, a), p->concurrency, str_grouped(p->wish.max_len, b));
    if (p->speed.decode.tps > 0)
        str_addf(out, "Speed about %.1f tokens per second, between %.1f and %.1f, low confidence.\n",
                 p->speed.decode.tps, p->speed.decode.low, p->speed.decode.high);
    for (uint32_t i = 0; i < p->n_reasons; i++)
        str_addf(out, "Reason: %s.\n", p->reasons[i]);
    plan_choice_sentences(job->plan, out);
    str_add(out, "Next: ");
    plan_job_again(job, "-o sh", 1 << 16, out);
    str_add(out, "\n");
}

static void rank_record(const struct vllm_rank *r, struct str *out)
{
    str_addf(out, "device\t%d\t%s\t%s\t%llu\t%llu\t%u", r->card->index,
             r->card->name ? r->card->name : "-", r->card->simulated ? "simulated" : "real",
             (unsigned long long)r->card->total_bytes, (unsigned long long)r->card->free_bytes,
             r->last_layer - r->first_layer + 1);
    str_addf(out, "\t%llu\t%llu\t%llu\t%llu\t%lld\n", (unsigned long long)r->weights,
             (unsigned long long)r->kv.value,
             (unsigned long long)(r->activation.value + r->graphs.value),
             (unsigned long long)(r->non_torch.value + r->runtime), (long long)r->free_after);
}

void vllm_records(const struct plan_job *job, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    str_add(out, "model\t");
    str_add_printable(out, job->model->name, strlen(job->model->name));
    str_addf(out, "\t%s\t%llu\t%u\n", job->model->quantization,
             (unsigned long long)job->model->file_bytes, job->model->n_layers);
    str_addf(out, "plan\t%s\t%u\t%u\t%s\tvllm\t%u\t%u\t%.6g\n", plan_verdict_name(p->verdict),
             p->wish.max_len, p->wish.max_seqs, p->wish.kv_dtype, p->tp, p->pp, p->utilization);
    for (uint32_t i = 0; i < p->n_ranks; i++)
        rank_record(&p->ranks[i], out);
    if (p->speed.decode.tps > 0)
        str_addf(out, "speed\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\n", p->speed.decode.tps,
                 p->speed.decode.low, p->speed.decode.high, p->speed.decode_depth.tps,
                 p->speed.prefill.tps);
    plan_choice_records(job->plan, out);
    str_addf(out, "cache\t%llu\t%llu\t%llu\t%.3f\n", (unsigned long long)p->kv_tokens.value,
             (unsigned long long)p->kv_tokens.low, (unsigned long long)p->kv_tokens.high,
             p->concurrency);
}
