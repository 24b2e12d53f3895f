/* budget: what of a card or the host may be used: kept-free room and what driver and libraries take. */
#include "plan/budget.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

uint64_t budget_keep_free(const struct plan_wish *w, const struct device *d)
{
    if (w->keep_free_set)
        return w->keep_free_bytes;
    uint64_t share = (uint64_t)(w->safety_margin * (double)d->total_bytes);
    return !w->safety_margin_set && share > GIB ? GIB : share;
}

uint64_t budget_room(const struct plan_wish *w, const struct device *d, uint64_t runtime)
{
    uint64_t gone = budget_keep_free(w, d) + runtime;
    return d->free_bytes > gone ? d->free_bytes - gone : 0;
}

/* CUDA context: users of llama.cpp report 107 MiB on 34 SMs (RTX 4060 Ti) to 555 MiB on 188 (RTX PRO 6000
 * Blackwell); a line through both. 400 MiB where the SM count is unknown. cuBLAS workspace: 4 MiB, 32 MiB from
 * Hopper on. Pool of temporaries and CUDA graphs: 64 MiB. Tensor split adds NCCL's buffers, some 200 MiB. */
struct plan_runtime plan_runtime_estimate(const struct device *d, enum law_split split,
                                          uint32_t n_cards)
{
    uint64_t context = 400 * MIB;
    if (d->sms)
        context = (uint64_t)(107.0 + (555.0 - 107.0) / (188 - 34) * ((double)d->sms - 34)) * MIB;
    if (d->sms && d->sms < 16)
        context = 64 * MIB;
    uint64_t cublas = (d->cc_major >= 9 ? 32 : 4) * MIB;
    uint64_t links = split == SPLIT_TENSOR && n_cards > 1 ? 200 * MIB : 0;
    struct plan_runtime r = {.bytes = context + cublas + 64 * MIB + links};
    r.low = context * 8 / 10 + cublas;
    r.high = context * 12 / 10 + cublas + 192 * MIB + 2 * links;
    return r;
}

uint64_t budget_host_free(const struct plan_wish *w, const struct host *h)
{
    return w->host_memory_bytes ? w->host_memory_bytes : h->free_bytes;
}

uint64_t budget_host_missing(const struct plan_wish *w, const struct host *h, const struct law_result *r)
{
    uint64_t kv = (uint64_t)(w->kv_cache_factor * (double)r->host.kv);
    uint64_t need = r->host.weights + kv + r->host.compute + r->host_repack + r->host_output +
                    w->system_overhead_bytes + (w->projector_on_host ? w->projector_bytes : 0);
    uint64_t have = budget_host_free(w, h);
    return need > have ? need - have : 0;
}
