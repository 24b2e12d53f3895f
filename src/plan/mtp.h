/* mtp: whether a model's own NextN blocks are to draft: what they are expected to give, and what they cost. */
#ifndef PLAN_MTP_H
#define PLAN_MTP_H

#include "plan/place.h"

/* The other choice beside the one that was taken, for the list of alternatives. */
struct mtp_offer {
    bool taken;           /* drafting was chosen: the other choice is decoding without */
    bool fits;            /* false: with NextN blocks not even the least context fits */
    uint32_t context;     /* of the other choice */
    double decode_tps;    /* of the other choice, as speed.decode counts it */
    struct speculation_gain gain;
    uint64_t bytes;       /* what drafting takes on the cards */
    uint32_t context_lost; /* by drafting */
};

/* Where the engine can draft with the model's own blocks and nobody said whether to: under the goals speed and balanced
 * it is switched on (p->wish and pl are replaced) where it pays at the lower end of the assumed acceptance and takes at
 * most a tenth of the context; else p->mtp tells what it would give. */
bool mtp_decide(struct placer *p, struct placement *pl, struct err *err);

#endif
