/* vllm_explain: the memory identity of every rank, with its numbers. */
#include "plan/vllm_law.h"

#define GIB ((double)((uint64_t)1 << 30))

static void line(struct str *out, const char *what, struct vllm_range r)
{
    if (r.low == r.high)
        str_addf(out, "  %-12s %8.2f GiB\n", what, (double)r.value / GIB);
    else
        str_addf(out, "  %-12s %8.2f GiB  (%.2f to %.2f)\n", what, (double)r.value / GIB,
                 (double)r.low / GIB, (double)r.high / GIB);
}

static struct vllm_range exact(uint64_t bytes)
{
    return (struct vllm_range){bytes, bytes, bytes};
}

static void explain_rank(const struct vllm_plan *p, const struct vllm_rank *r, uint32_t n,
                         struct str *out)
{
    str_addf(out, "rank %u, GPU %d %s, stage %u, layers %u-%u\n", n, r->card->index,
             r->card->name ? r->card->name : "", r->stage, r->first_layer, r->last_layer);
    str_addf(out, "  %.4g x %.2f GiB total = %.2f GiB requested\n", p->utilization,
             (double)r->card->total_bytes / GIB, (double)r->requested / GIB);
    line(out, "- weights", exact(r->weights));
    line(out, "- activation", r->activation);
    line(out, "- non-torch", r->non_torch);
    if (vllm_graphs_counted(&p->wish))
        line(out, "- graphs", r->graphs);
    line(out, "= KV cache", r->kv);
    char bytes[32], blocks[32];
    str_addf(out, "  %s bytes a block of %u tokens over this stage: %s blocks\n",
             str_grouped(r->block_bytes, bytes), p->page_tokens,
             str_grouped(r->blocks.value, blocks));
}

void vllm_explain(const struct vllm_plan *p, struct str *out)
{
    char a[32], b[32], c[32];
    for (uint32_t i = 0; i < p->n_ranks; i++)
        explain_rank(p, &p->ranks[i], i, out);
    str_addf(out, "every rank gets the fewest blocks: %s; ", str_grouped(p->blocks.value, a));
    if (p->n_groups > 1)
        str_addf(out, "%u groups of layers share them; ", p->n_groups);
    str_addf(out, "%s tokens (%s to %s)\n", str_grouped(p->kv_tokens.value, a),
             str_grouped(p->kv_tokens.low, b), str_grouped(p->kv_tokens.high, c));
    str_addf(out, "requests of %s tokens at once: %.2f\n", str_grouped(p->wish.max_len, a),
             p->concurrency);
}
