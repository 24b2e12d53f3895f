/* speculate: what drafting ahead is expected to give: tokens a step over the time of a step. */
#include "plan/speculate.h"

/* A chain of accepted tokens, rate for rate. Drafts: 0.53 to 0.82 of single tokens (Leviathan et al. 2023, table 3,
 * T5 and LaMDA with small siblings), 0.87 of Llama 3.2 1B for 3.1 8B (llama.cpp issue 5877). NextN: accepted shares
 * of 34 %, 62 %, 72 % and 75 % at three tokens (llama.cpp pull requests 24508, 22673) are 0.55, 0.80, 0.85 and 0.87
 * a token; DeepSeek-V3's report has 0.85 to 0.90 for the first. */
static const struct speculation_rate rates[] = {
    [SPEC_DRAFT] = {0.70, 0.53, 0.85, "published measurements of other pairs of models"},
    [SPEC_NEXTN] = {0.75, 0.55, 0.87, "published measurements of other models"},
};

const struct speculation_rate *speculation_rate(enum speculation kind)
{
    return &rates[kind == SPEC_NEXTN ? SPEC_NEXTN : SPEC_DRAFT];
}

double speculation_tokens(double rate, uint32_t drafted)
{
    double sum = 1, chance = 1;
    for (uint32_t i = 0; i < drafted; i++) {
        chance *= rate;
        sum += chance;
    }
    return sum;
}

bool speculate(const struct speed_case *main, const struct speed_case *draft, uint32_t drafted,
               const struct speed_range *plain, struct speculation_gain *out)
{
    enum speculation kind = draft ? SPEC_DRAFT : SPEC_NEXTN;
    enum speed_step part = draft ? STEP_MODEL : STEP_NEXTN;
    const struct speculation_rate *r = speculation_rate(kind);
    const struct speed_case *by = draft ? draft : main;
    double alone = speed_step_ns(main, STEP_MODEL, 1);
    double verify = speed_step_ns(main, STEP_MODEL, drafted + 1);
    double one = speed_step_ns(by, part, 1), follow = speed_step_ns(by, part, drafted + 1);
    *out = (struct speculation_gain){0};
    if (!drafted || alone <= 0 || verify <= 0 || one <= 0 || follow <= 0 || plain->tps <= 0)
        return false;
    double step = verify + drafted * one + follow;
    *out = (struct speculation_gain){.kind = kind,
                                     .drafted = drafted,
                                     .gain = speculation_tokens(r->likely, drafted) * alone / step,
                                     .low = speculation_tokens(r->low, drafted) * alone / step,
                                     .high = speculation_tokens(r->high, drafted) * alone / step};
    out->decode = (struct speed_range){plain->tps * out->gain, plain->low * out->low, plain->high * out->high};
    return true;
}

double speculation_layer_ns(const struct speed_work *w, uint32_t layer, const struct speed_card *card, double host_gbs,
                            uint32_t drafted, bool of_draft)
{
    enum speed_step part = of_draft ? STEP_MODEL : STEP_NEXTN;
    double verify = of_draft ? 0 : speed_layer_step_ns(speed_coefs, w, layer, card, host_gbs, STEP_MODEL, drafted + 1);
    double one = speed_layer_step_ns(speed_coefs, w, layer, card, host_gbs, part, 1);
    double follow = speed_layer_step_ns(speed_coefs, w, layer, card, host_gbs, part, drafted + 1);
    return verify + drafted * one + follow;
}
