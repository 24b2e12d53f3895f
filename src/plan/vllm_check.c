/* vllm_check: what vLLM would refuse at launch, said before it, with the nearest legal value. */
#include <stdio.h>
#include <string.h>

#include "plan/vllm_law.h"

/* Why tp cannot be; 0 bytes in text: it can. */
struct fault {
    char title[ERR_TEXT_MAX], why[ERR_TEXT_MAX];
    const char *fix, *command;
};

static bool is_packed(const struct hub_config *c)
{
    return c->quant == HUB_AWQ || c->quant == HUB_GPTQ || c->quant == HUB_COMPRESSED;
}

#define FAULT(f, ...) (snprintf((f)->title, sizeof((f)->title), __VA_ARGS__), false)
#define WHY(f, ...)   snprintf((f)->why, sizeof((f)->why), __VA_ARGS__)

static bool check_heads(const struct hub_config *c, uint32_t tp, struct fault *f)
{
    if (c->heads % tp) {
        WHY(f, "vLLM gives every rank the same number of heads");
        return FAULT(f, "%u attention heads cannot be divided by a tensor parallel size of %u",
                     c->heads, tp);
    }
    if (!c->kv_rank && c->kv_heads % tp && tp % c->kv_heads) {
        WHY(f, "each rank takes %u/%u of the heads, or above %u ranks a copy of one", c->kv_heads,
            tp, c->kv_heads);
        return FAULT(f, "%u key-value heads fit no tensor parallel size of %u", c->kv_heads, tp);
    }
    return true;
}

/* One dimension that is cut by tp and read in groups. */
static bool check_width(const char *what, uint32_t width, uint32_t group, uint32_t tp,
                        struct fault *f)
{
    if (width == 0)
        return true;
    if (width % tp) {
        WHY(f, "each rank takes the same number of columns");
        return FAULT(f, "%s %u cannot be divided by a tensor parallel size of %u", what, width, tp);
    }
    if (!group || group >= width || (width / tp) % group == 0)
        return true;
    WHY(f, "%u / %u = %.6g groups, which %u ranks cannot share evenly", width, group,
        (double)width / group, tp);
    return FAULT(f, "%s %u is quantised in groups of %u: a tensor parallel size of %u cuts one",
                 what, width, group, tp);
}

static bool check_quantised(const struct hub_config *c, uint32_t tp, struct fault *f)
{
    uint32_t group = is_packed(c)                                    ? c->group
                     : c->quant == HUB_FP8 && c->fp8_block && tp > 1 ? 128
                                                                     : 0;
    /* 64 columns, 128 rows; AWQ and GPTQ have other kernels for rows that do not come out even */
    uint32_t tile = c->quant == HUB_COMPRESSED ? 128 : is_packed(c) ? 64 : 0;
    bool dense = !c->experts || c->dense_lead || c->moe_every > 1;
    if (dense && !check_width("intermediate_size", c->ff, group, tp, f))
        return false;
    if (c->experts && !check_width("moe_intermediate_size", c->ff_exp, group, tp, f))
        return false;
    if (!c->kv_rank &&
        !check_width("the attention's output of", c->heads * c->head_dim, group, tp, f))
        return false;
    if (tile && tp > 1 && dense && c->ff % (tile * tp)) {
        WHY(f, "Marlin kernels work on tiles of %u columns", tile);
        return FAULT(
            f, "%u of %u columns a rank are no whole Marlin tiles at a tensor parallel size of %u",
            c->ff / tp, c->ff, tp);
    }
    if (c->quant == HUB_BNB && tp > 1) {
        f->fix = "use pipeline parallelism for it";
        WHY(f, "the states of a checkpoint that is quantised already belong to whole tensors");
        return FAULT(f, "bitsandbytes weights of %u bits cannot be split over %u ranks", c->bits,
                     tp);
    }
    return true;
}

static bool check_vision(const struct hub_config *c, const struct vllm_wish *w, uint32_t tp,
                         struct fault *f)
{
    if (!c->vision_heads || w->vision_data || c->vision_heads % tp == 0)
        return true;
    f->fix = "or keep the tower whole on every rank: --mm-encoder-tp-mode data";
    WHY(f, "the vision tower is divided as the language model is");
    return FAULT(f,
                 "%u heads of the vision tower cannot be divided by a tensor parallel size of %u",
                 c->vision_heads, tp);
}

static bool tp_legal(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                     struct fault *f)
{
    *f = (struct fault){0};
    if (tp == 0)
        return FAULT(f, "a tensor parallel size of 0");
    return check_heads(&m->config, tp, f) && check_quantised(&m->config, tp, f) &&
           check_vision(&m->config, w, tp, f);
}

static uint32_t nearest_tp(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp,
                           uint32_t most)
{
    struct fault f;
    for (uint32_t d = 1; d <= tp || tp + d <= most; d++) {
        if (d < tp && tp - d <= most && tp_legal(m, w, tp - d, &f))
            return tp - d;
        if (tp + d <= most && tp_legal(m, w, tp + d, &f))
            return tp + d;
    }
    return 1;
}

bool vllm_check_tp(const struct hub_model *m, const struct vllm_wish *w, uint32_t tp, uint32_t most,
                   struct err *err)
{
    struct fault f;
    if (tp_legal(m, w, tp, &f))
        return true;
    uint32_t near = nearest_tp(m, w, tp, most ? most : tp);
    err_set(err, ERR_2112, "%s", f.title);
    if (f.why[0])
        err_why(err, "%s", f.why);
    char command[64];
    snprintf(command, sizeof(command), "--tensor-parallel-size %u", near);
    err_fix(err, command, "the nearest size that works is %u", near);
    if (near < tp && m->config.pipeline && tp % near == 0 && m->n_layers >= tp / near) {
        snprintf(command, sizeof(command), "--tensor-parallel-size %u --pipeline-parallel-size %u",
                 near, tp / near);
        err_fix(err, command, "use the other cards as pipeline stages");
    }
    return f.fix ? err_fix(err, NULL, "%s", f.fix) : false;
}

static bool check_partition(const struct hub_model *m, const struct vllm_wish *w, uint32_t pp,
                            struct err *err)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->n_partition; i++)
        sum += w->partition[i];
    if (w->n_partition != pp) {
        err_set(err, ERR_2113,
                "VLLM_PP_LAYER_PARTITION names %u stages, --pipeline-parallel-size %u",
                w->n_partition, pp);
        return err_fix(err, NULL, "give one number of layers for each of the %u stages", pp);
    }
    if (sum == m->n_layers)
        return true;
    err_set(err, ERR_2113, "VLLM_PP_LAYER_PARTITION shares out %llu layers, the model has %u",
            (unsigned long long)sum, m->n_layers);
    return err_fix(err, NULL, "let the numbers add up to %u", m->n_layers);
}

bool vllm_check_pp(const struct hub_model *m, const struct vllm_wish *w, uint32_t pp,
                   struct err *err)
{
    char command[64];
    if (pp > m->n_layers) {
        snprintf(command, sizeof(command), "--pipeline-parallel-size %u", m->n_layers);
        err_set(err, ERR_2112, "%u layers cannot make %u pipeline stages", m->n_layers, pp);
        return err_fix(err, command, "at most %u stages", m->n_layers);
    }
    if (pp > 1 && !m->config.pipeline) {
        err_set(err, ERR_2112, "vLLM cannot cut %s into pipeline stages", m->config.architecture);
        return err_fix(err, "--pipeline-parallel-size 1", "use tensor parallelism alone");
    }
    return w->n_partition == 0 || check_partition(m, w, pp, err);
}

static bool check_numbers(const struct hub_model *m, const struct vllm_wish *w, struct err *err)
{
    char command[64];
    uint32_t b = w->block_size;
    if (w->max_len > m->config.context) {
        snprintf(command, sizeof(command), "--max-model-len %u", m->config.context);
        err_set(err, ERR_2114, "--max-model-len %u is longer than the %u positions of the model",
                w->max_len, m->config.context);
        return err_fix(err, command, "the longest is %u", m->config.context);
    }
    if (w->utilization < 0 || w->utilization > 1 || w->utilization != w->utilization) {
        err_set(err, ERR_2114, "--gpu-memory-utilization must be above 0 and at most 1");
        return err_fix(err, "--gpu-memory-utilization 0.92", "the default of vLLM is 0.92");
    }
    if (w->max_tokens && w->max_seqs && w->max_tokens < w->max_seqs) {
        snprintf(command, sizeof(command), "--max-num-batched-tokens %u", w->max_seqs);
        err_set(err, ERR_2113, "--max-num-batched-tokens %u is below --max-num-seqs %u",
                w->max_tokens, w->max_seqs);
        return err_fix(err, command, "a step must hold one token of every sequence");
    }
    if (b && ((b & (b - 1)) || b > 1024)) {
        err_set(err, ERR_2114, "--block-size %u is no power of two up to 1024", b);
        return err_fix(err, "--block-size 16", "vLLM's own is 16");
    }
    return true;
}

static uint32_t capability(const struct device *d)
{
    return d->cc_major * 10 + d->cc_minor;
}

static const char *plain_dtype(const struct hub_model *m, const struct vllm_wish *w)
{
    if (w->dtype && strcmp(w->dtype, "auto") != 0)
        return w->dtype;
    return w->as_command ? m->config.dtype : "half"; /* left open it is chosen by the card */
}

/* Smallest compute capability a checkpoint's kernels run on (get_min_capability of each method,
 * behaviour). */
static uint32_t least_capability(enum hub_quant q)
{
    static const uint8_t least[] = {
        [HUB_PLAIN] = 70,      [HUB_AWQ] = 75, [HUB_GPTQ] = 70,  [HUB_FP8] = 75,
        [HUB_COMPRESSED] = 70, [HUB_BNB] = 70, [HUB_MXFP4] = 80, [HUB_OTHER] = 70};
    return least[q];
}

static bool check_card(const struct hub_model *m, const struct device *d, const struct vllm_wish *w,
                       struct err *err)
{
    uint32_t cc = capability(d);
    const char *dtype = plain_dtype(m, w);
    if (cc == 0)
        return true;
    if (cc < least_capability(m->config.quant)) {
        err_set(err, ERR_2110,
                "%s has compute capability %u.%u, vLLM needs %u.%u for weights of kind %s", d->name,
                d->cc_major, d->cc_minor, least_capability(m->config.quant) / 10,
                least_capability(m->config.quant) % 10, hub_quant_name(m->config.quant));
        return err_fix(err, NULL, "leave this card out, or use llama.cpp with a GGUF file");
    }
    if ((strcmp(dtype, "bfloat16") == 0) && cc < 80) {
        err_set(err, ERR_2110, "%s has compute capability %u.%u, bfloat16 needs 8.0", d->name,
                d->cc_major, d->cc_minor);
        return err_fix(err, "--dtype half", "load the weights as half");
    }
    bool e5m2 = w->kv_dtype && strcmp(w->kv_dtype, "fp8_e5m2") == 0;
    if (vllm_kv_element(w) == 1 && !e5m2 && cc < 89) {
        err_set(err, ERR_2110, "%s has compute capability %u.%u, an fp8 cache needs 8.9", d->name,
                d->cc_major, d->cc_minor);
        return err_fix(err, "--kv-cache-dtype auto", "keep the cache in 16 bits");
    }
    return true;
}

bool vllm_check_settings(const struct hub_model *m, const struct machine *machine, uint32_t mask,
                         const struct vllm_wish *w, struct err *err)
{
    if (!check_numbers(m, w, err))
        return false;
    for (uint32_t i = 0; i < machine->n_devices; i++)
        if ((mask & (1u << i)) && !check_card(m, &machine->devices[i], w, err))
            return false;
    return true;
}
