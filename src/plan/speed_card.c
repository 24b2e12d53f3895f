/* speed_card: what a card reaches of its published figures, by class; the coefficients and their
 * table. */
#include "plan/speed.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

/* Fitted on tests/plan/data/bench.csv by tests/plan/bench_speed.c, whose --fit prints this list. */
#define COEFS(X)             \
    X(REACH, 1.038)          \
    X(REACH_TURING, 0.7455)  \
    X(REACH_VOLTA, 0.8665)   \
    X(REACH_PASCAL, 0.6971)  \
    X(REACH_KEPLER, 0.2425)  \
    X(REACH_RDNA, 0.7164)    \
    X(REACH_AMD_HBM, 0.4186) \
    X(REACH_SHARED, 0.8846)  \
    X(ECC, 0.9543)           \
    X(SM, 9.227)             \
    X(LAUNCH_US, 57.47)      \
    X(LAUNCH_GHZ, 0.4913)    \
    X(EXPERTS, 2.097)        \
    X(HOP_US, 122.9)         \
    X(TYPE_FLOAT, 1.054)     \
    X(TYPE_K, 1.089)         \
    X(SCORE, 122.3)          \
    X(RATE, 0.3167)          \
    X(RATE_BAND, 0.1482)     \
    X(RATE_WATT, 0.3397)     \
    X(RATE_ADA, 1.347)       \
    X(RATE_HBM, 1.815)       \
    X(RATE_FLOAT, 1.216)     \
    X(RATE_K, 0.7025)        \
    X(RATE_MOE, 0.2719)      \
    X(SCORES, 22.41)         \
    X(QUEUE, 27.38)          \
    X(PEAK_TURING, 0.14)     \
    X(PEAK_VOLTA, 0.73)      \
    X(PEAK_PASCAL, 0.347)    \
    X(PEAK_KEPLER, 0.3)      \
    X(PEAK_RDNA, 0.4188)     \
    X(PEAK_AMD_HBM, 0.2684)  \
    X(PEAK_SHARED, 0.4419)

const double speed_coefs[SPEED_COEF_COUNT] = {
#define X(NAME, value) [SPEED_##NAME] = value,
    COEFS(X)
#undef X
};
const char *const speed_coef_names[SPEED_COEF_COUNT] = {
#define X(NAME, value) [SPEED_##NAME] = #NAME,
    COEFS(X)
#undef X
};

/* ID, name, reach, peak, decode low and high, prefill low and high, trust. Nine of ten left-out
 * measurements lie within; wider by hand where a class has fewer than five cards. */
#define CLASSES(X)                                                                 \
    X(UNKNOWN, "unknown", REACH, PEAK_PASCAL, 0.5, 1.5, 0.4, 2.0, 0)               \
    X(GDDR, "GDDR", REACH, RATE, 0.88, 1.11, 0.6, 1.3, 2)                          \
    X(HBM, "A100, A30", REACH, RATE, 0.7, 1.2, 0.6, 1.5, 1)                        \
    X(HBM_NEW, "Hopper and later HBM", REACH, RATE, 0.6, 1.35, 0.5, 1.8, 0)        \
    X(TURING, "Turing", REACH_TURING, PEAK_TURING, 0.8, 1.25, 0.6, 1.6, 1)         \
    X(VOLTA, "Volta, P100", REACH_VOLTA, PEAK_VOLTA, 0.75, 1.3, 0.6, 1.6, 0)       \
    X(PASCAL, "Pascal, Maxwell", REACH_PASCAL, PEAK_PASCAL, 0.7, 1.3, 0.6, 1.6, 0) \
    X(KEPLER, "Kepler", REACH_KEPLER, PEAK_KEPLER, 0.5, 2.0, 0.4, 2.0, 0)          \
    X(RDNA, "RDNA", REACH_RDNA, PEAK_RDNA, 0.7, 1.4, 0.6, 1.6, 0)                  \
    X(AMD_HBM, "AMD HBM", REACH_AMD_HBM, PEAK_AMD_HBM, 0.75, 1.3, 0.6, 1.6, 0)     \
    X(SHARED, "shared memory", REACH_SHARED, PEAK_SHARED, 0.7, 1.4, 0.6, 1.7, 0)

const struct speed_class_row speed_classes[SPEED_CLASS_COUNT] = {
#define SPREAD(dl, dh, pl, ph) \
    {                          \
        dl, dh, pl, ph         \
    }
#define X(ID, name, reach, peak, dl, dh, pl, ph, trust) \
    [SPEED_CLASS_##ID] = {name, SPEED_##reach, SPEED_##peak, SPREAD(dl, dh, pl, ph), trust},
    CLASSES(X)
#undef X
#undef SPREAD
};

/* Copies between cards reach under half of the nominal PCIe figure without peer access
 * (p2pBandwidthLatencyTest over PCIe 4.0 x16: 11.3 of 26.5 GB/s), and most of NVLink's one way. */
#define PCIE_SHARE   0.42
#define NVLINK_SHARE 0.35

#define LAUNCH_CLOCK 2 /* GHz at which a launch costs LAUNCH_US */

static enum speed_class class_of(const struct device *d, const struct card *c)
{
    if (c && strcmp(c->vendor, "AMD") == 0)
        return str_starts(c->arch, "RDNA") ? SPEED_CLASS_RDNA : SPEED_CLASS_AMD_HBM;
    uint32_t cc = d->cc_major * 10 + d->cc_minor;
    switch (cc) {
    case 0: return SPEED_CLASS_UNKNOWN;
    case 60: /* P100 has HBM2 as Volta does, and no INT8 */
    case 70: return SPEED_CLASS_VOLTA;
    case 75: return SPEED_CLASS_TURING;
    case 80: return SPEED_CLASS_HBM;
    case 90:
    case 100:
    case 103: return SPEED_CLASS_HBM_NEW;
    case 72:
    case 87:
    case 110:
    case 121: return SPEED_CLASS_SHARED;
    default: return cc < 50 ? SPEED_CLASS_KEPLER : cc < 70 ? SPEED_CLASS_PASCAL : SPEED_CLASS_GDDR;
    }
}

/* SMs times GHz: FP32 TFLOPS are twice lanes per SM times this. */
static double sm_ghz(const struct device *d, const struct card *c)
{
    if (c && c->fp32_tflops > 0) {
        uint32_t cc = d->cc_major * 10 + d->cc_minor;
        int lanes = cc < 50 ? 192 : cc == 60 || cc == 70 || cc == 75 || cc == 80 ? 64 : 128;
        return c->fp32_tflops * 1000 / (2 * lanes);
    }
    return d->sms * 1.9;
}

static bool has_hbm(enum speed_class class)
{
    return class == SPEED_CLASS_HBM || class == SPEED_CLASS_HBM_NEW;
}

static bool has_ecc(const struct card *c, enum speed_class class)
{
    return class == SPEED_CLASS_GDDR && c && !str_starts(c->name, "GeForce");
}

static double find_link_gbs(const struct device *d, const struct card *c)
{
    static const double LANE_GBS[] = {0, 0.25, 0.5, 0.985, 1.969, 3.938, 7.56};
    if (d->nvlink && c && c->nvlink_gbs > 0)
        return c->nvlink_gbs * NVLINK_SHARE;
    uint32_t gen = d->pcie_gen ? d->pcie_gen : 4, lanes = d->pcie_lanes ? d->pcie_lanes : 16;
    return LANE_GBS[gen < 6 ? gen : 6] * lanes * PCIE_SHARE;
}

/* A limit that is felt before it is reached. */
static double soft_min(double a, double b)
{
    return a * b / cbrt(a * a * a + b * b * b);
}

static void find_tflops(const double *k, const struct device *d, const struct card *c, double gbs,
                        struct speed_card *out)
{
    double s = sm_ghz(d, c);
    if (out->class == SPEED_CLASS_GDDR || has_hbm(out->class)) {
        double watt = c && c->tdp_w > 0 ? c->tdp_w : s * 2;
        if (s <= 0)
            return;
        out->tflops = k[SPEED_RATE] * s * pow(watt / s, k[SPEED_RATE_WATT]) *
                      pow(gbs / s, k[SPEED_RATE_BAND]);
        if (d->cc_major * 10 + d->cc_minor >= 89)
            out->tflops *= k[SPEED_RATE_ADA];
        double other = has_hbm(out->class) ? k[SPEED_RATE_HBM] : 1;
        out->tflops_float = out->tflops * k[SPEED_RATE_FLOAT] * other;
        out->tflops_k = out->tflops * k[SPEED_RATE_K] * other;
        return;
    }
    if (!c)
        return;
    double peak = c->int8_tops > 0           ? c->int8_tops
                  : c->fp16_acc16_tflops > 0 ? c->fp16_acc16_tflops
                                             : c->fp32_tflops;
    if (out->class ==
        SPEED_CLASS_RDNA) /* its matrix units are measured by FP16, INT8 doubles from RDNA4 on */
        peak = c->fp16_tflops;
    out->tflops = out->tflops_float = peak * k[speed_classes[out->class].peak];
    out->tflops_k = out->tflops * k[SPEED_RATE_K];
}

/* Vulkan on cards that have CUDA or ROCm: a tenth slower in decode, a quarter in prefill, by three
 * cards of the scoreboards. */
static void slow_down_vulkan(struct speed_card *out)
{
    out->read_gbs *= 0.9;
    out->tflops *= 0.75;
    out->tflops_float *= 0.75;
    out->tflops_k *= 0.75;
}

void speed_card_make(const double *k, const struct device *d, struct speed_card *out)
{
    const struct card *c = d->name ? card_find(d->name) : NULL;
    *out = (struct speed_card){
        .class = class_of(d, c), .launch = 1, .link_gbs = find_link_gbs(d, c), .nvlink = d->nvlink};
    double gbs = d->bandwidth_gbs > 0 ? d->bandwidth_gbs : c ? c->bandwidth_gbs : 0;
    if (gbs <= 0)
        return;
    out->read_gbs =
        gbs * k[speed_classes[out->class].reach] * (has_ecc(c, out->class) ? k[SPEED_ECC] : 1);
    double s = sm_ghz(d, c);
    if (s > 0 && d->cc_major) {
        out->read_gbs = soft_min(out->read_gbs, s * k[SPEED_SM]);
        if (d->sms)
            out->launch = pow(LAUNCH_CLOCK * d->sms / s, k[SPEED_LAUNCH_GHZ]);
    }
    find_tflops(k, d, c, gbs, out);
    if (d->backend == BACKEND_VULKAN)
        slow_down_vulkan(out);
}
