/* vllm_numbers: the table of a vLLM plan: every term on every rank, and how we know it. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/table.h"
#include "cli/plan_vllm.h"

#define GIB 1073741824.0

enum part { PART_W, PART_A, PART_N, PART_K, PART_OTHER, PART_FREE, PARTS };

static const char *const part_names[PARTS] = {"weights",  "activation",     "CUDA, graphs",
                                              "KV cache", "other programs", "free afterwards"};

static const struct vllm_rank *rank_of(const struct vllm_plan *p, uint32_t device)
{
    for (uint32_t i = 0; i < p->n_ranks; i++)
        if (p->ranks[i].device == device)
            return &p->ranks[i];
    return NULL;
}

static struct vllm_range range(const struct vllm_rank *r, enum part part)
{
    struct vllm_range n = r->non_torch, g = r->graphs;
    switch (part) {
    case PART_W: return (struct vllm_range){r->weights, r->weights, r->weights};
    case PART_A: return r->activation;
    case PART_N:
        return (struct vllm_range){n.low + g.low + r->runtime, n.value + g.value + r->runtime,
                                   n.high + g.high + r->runtime};
    default: return r->kv;
    }
}

static double amount(const struct plan_job *job, uint32_t device, enum part part)
{
    const struct plan_device *d = &job->plan->devices[device];
    const struct vllm_rank *r = rank_of(&job->vllm->plan, device);
    if (part == PART_OTHER)
        return (double)d->other / GIB;
    if (part == PART_FREE)
        return (double)d->free_after / GIB;
    return r ? (double)range(r, part).value / GIB : 0;
}

static double sum(const struct plan_job *job, enum part part)
{
    double all = 0;
    for (uint32_t i = 0; i < job->plan->n_devices; i++)
        all += amount(job, i, part);
    return all;
}

/* The rank whose estimate is the widest. */
static void know_range(const struct vllm_plan *p, enum part part, const char *word, struct str *out)
{
    struct vllm_range most = {0};
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        struct vllm_range r = range(&p->ranks[i], part);
        if (i == 0 || r.high - r.low > most.high - most.low)
            most = r;
    }
    str_addf(out, "%s, %.2f to %.2f%s", word, (double)most.low / GIB, (double)most.high / GIB,
             p->n_ranks > 1 ? " at the widest" : "");
}

static void know_free(const struct plan *p, struct str *out)
{
    double least = 1e18, most = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        double keep = (double)p->devices[i].keep_free / GIB;
        if (!(p->used_mask & (1u << i)))
            continue;
        least = keep < least ? keep : least;
        most = keep > most ? keep : most;
    }
    if (most - least < 0.05)
        str_addf(out, "%.1f kept free", most);
    else
        str_addf(out, "%.1f to %.1f kept free", least, most);
}

static void how_we_know(const struct plan_job *job, enum part part, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    switch (part) {
    case PART_W:
        str_add(out, p->model->from_headers ? "exact, from the headers" : "from config.json alone");
        return;
    case PART_A:
        if (p->wish.activation_given)
            str_add(out, "as you measured it");
        else
            know_range(p, part, "estimate", out);
        return;
    case PART_N: know_range(p, part, "estimate", out); return;
    case PART_K:
        if (p->wish.kv_cache_bytes)
            str_add(out, "as the command says");
        else
            know_range(p, part, "the rest", out);
        return;
    case PART_OTHER: 
        str_add(out, !job->machine.simulated          ? "measured now"
                     : sum(job, PART_OTHER) > 0 ? "simulated, by :free="
                                                : "none, simulated");
        return;
    default: know_free(job->plan, out);
    }
}

static void number(struct table *t, const struct plan_job *job, uint32_t i, enum part part)
{
    if (part < PART_OTHER && !(job->plan->used_mask & (1u << i)))
        table_cell(t, "-");
    else
        table_cellf(t, "%.2f", amount(job, i, part));
}

static void write_columns(const struct plan_job *job, const struct table_style *style,
                          struct str *out)
{
    const struct plan *p = job->plan;
    own(own_table) struct table t = {0};
    char heads[PLAN_COLUMNS_MOST][16];
    plan_card_columns(p, heads, &t);
    for (int part = 0; part < PARTS; part++) {
        own(own_str) struct str know = {0};
        table_cell(&t, part_names[part]);
        for (uint32_t i = 0; i < p->n_devices; i++)
            number(&t, job, i, part);
        if (p->n_devices > 1)
            table_cellf(&t, "%.2f", sum(job, part));
        how_we_know(job, part, &know);
        table_cell(&t, know.data);
    }
    table_write(&t, style, out);
}

/* How we know stands below. */
static void write_rows(const struct plan_job *job, const struct table_style *style, struct str *out)
{
    static const char *const heads[PARTS] = {"weights", "act.", "CUDA", "KV", "other", "free"};
    const struct plan *p = job->plan;
    own(own_table) struct table t = {0};
    table_column(&t, "GiB", TABLE_LEFT);
    for (int part = 0; part < PARTS; part++)
        table_column(&t, heads[part], TABLE_RIGHT);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        table_cellf(&t, "%d %s", p->devices[i].card->index, p->devices[i].card->name);
        for (int part = 0; part < PARTS; part++)
            number(&t, job, i, part);
    }
    table_cell(&t, "all");
    for (int part = 0; part < PARTS; part++)
        table_cellf(&t, "%.2f", sum(job, part));
    table_write(&t, style, out);
    for (int part = 0; part < PARTS; part++) {
        own(own_str) struct str know = {0}, line = {0};
        how_we_know(job, part, &know);
        str_addf(&line, "%s: %s", part_names[part], know.data ? know.data : "");
        text_wrap(out, "  ", 4, line.data ? line.data : "", style->width);
    }
}

static void span(const char *name, struct vllm_range r, const char *unit, int width,
                 struct str *out)
{
    own(own_str) struct str line = {0};
    char a[32], b[32], c[32];
    str_addf(&line, "%s", str_grouped(r.value, a));
    if (r.low != r.high)
        str_addf(&line, " (%s to %s)", str_grouped(r.low, b), str_grouped(r.high, c));
    str_addf(&line, " %s", unit);
    text_wrap(out, name, 18, line.data ? line.data : "", width);
}

static void add_speed(const struct vllm_plan *p, int width, struct str *out)
{
    const struct speed *v = &p->speed;
    own(own_str) struct str line = {0};
    char number[32];
    int digits = v->decode.tps < 10;
    if (v->confidence == SPEED_NONE || v->decode.tps <= 0)
        return;
    str_addf(&line, "about %.*f tok/s (%.*f-%.*f)", digits, v->decode.tps, digits, v->decode.low,
             digits, v->decode.high);
    if (v->decode_depth.tps > 0 && p->wish.max_len > 4096)
        str_addf(&line, ", %.*f at full context", digits, v->decode_depth.tps);
    if (v->prefill.tps > 0)
        str_addf(&line, "; prompts %s tok/s",
                 str_grouped((uint64_t)(v->prefill.tps + 0.5), number));
    str_addf(&line, "; %u streams together %.0f tok/s; %s confidence",
             p->wish.streams ? p->wish.streams : 8, v->throughput.tps,
             speed_confidence_name(v->confidence));
    text_wrap(out, "  speed           ", 18, line.data ? line.data : "", width);
}

void vllm_numbers(const struct plan_job *job, const struct look *look, struct str *out)
{
    const struct vllm_plan *p = &job->vllm->plan;
    struct table_style style = {.width = look->width, .ascii = look->ascii, .indent = 2};
    char number[32];
    if (job->plan->n_devices <= PLAN_COLUMNS_MOST)
        write_columns(job, &style, out);
    else
        write_rows(job, &style, out);
    if (!p->kv_tokens.high)
        return;
    str_add(out, "\n");
    add_speed(p, look->width, out);
    span("  cache holds     ", p->kv_tokens, "tokens", look->width, out);
    span("  longest request ", p->max_context, "tokens", look->width, out);
    str_addf(out, "  at once         %.2f requests of %s tokens\n", p->concurrency,
             str_grouped(p->wish.max_len, number));
}
