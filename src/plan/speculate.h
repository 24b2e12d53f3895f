/* speculate: what drafting ahead is expected to give: tokens a step over the time of a step. */
#ifndef PLAN_SPECULATE_H
#define PLAN_SPECULATE_H

#include "plan/speed.h"

/* SPEC_OTHER: kinds whose gain is not estimated here (n-grams of the text itself, heads of other makers). */
enum speculation { SPEC_NONE, SPEC_DRAFT, SPEC_NEXTN, SPEC_OTHER };

/* Share of drafted tokens that the model accepts, given that all before it were: measured values that were
 * published, not of the model at hand. */
struct speculation_rate {
    double likely, low, high;
    const char *source;
};
const struct speculation_rate *speculation_rate(enum speculation kind); /* SPEC_DRAFT or SPEC_NEXTN */

struct speculation_gain {
    enum speculation kind;
    uint32_t drafted;          /* at once */
    double gain, low, high;    /* against decoding without it, at the three rates */
    struct speed_range decode; /* tokens per second of one stream at an empty context */
};

/* Tokens a step gives: those accepted in a row and the one the model adds itself. */
double speculation_tokens(double rate, uint32_t drafted);

/* One step: `drafted` single tokens on the draft, one pass of all of them on the draft and one on the model, as the
 * engine does it. draft NULL: the model's own NextN block drafts (main's settings have mtp). plain: the decode speed
 * without. False, and kind SPEC_NONE, where a speed is not known. */
bool speculate(const struct speed_case *main, const struct speed_case *draft, uint32_t drafted,
               const struct speed_range *plain, struct speculation_gain *out);

/* A layer's part of such a step on one card or on the host (card NULL): of the model with its own NextN blocks, or of a
 * draft model. */
double speculation_layer_ns(const struct speed_work *w, uint32_t layer, const struct speed_card *card, double host_gbs,
                            uint32_t drafted, bool of_draft);

#endif
