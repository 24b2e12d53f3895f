/* truth_tally: runs the law over rows and counts how often it equals the engine. */
#ifndef TRUTH_TALLY_H
#define TRUTH_TALLY_H

#include "truth_rows.h"

struct truth_count {
    const char *arch;
    uint32_t rows, ok;          /* ok: rows the engine accepted and we can compare per device */
    uint32_t no_model;          /* rows whose model could not be opened */
    uint32_t weights, kv;       /* of them equal, on every device and the host */
    uint32_t refusals, refused; /* rows the engine refused, and of them we */
    uint32_t refused_wrongly;   /* rows the engine accepted and we refused */
    uint32_t compute_rows, compute_rows_equal;
    uint32_t values, values_equal, values_near,
        values_below;                /* per device; near: within 1 %, below: more than that under */
    uint32_t hosts, hosts_equal;     /* host compute values */
    double worst_below, worst_above; /* in % of the device's total */
    double seconds;
};

struct truth_tally {
    struct truth_count total, *arch;
    uint32_t n_arch;
};

struct truth_options {
    const char *models;   /* folder of MODEL.FTYPE.gguf; NULL: built-in profiles MODEL:FTYPE */
    const char *only;     /* models whose name contains it */
    const char *setting;  /* rows whose settings contain it */
    bool static_only;     /* weights and KV */
    bool quick;           /* law_estimate_quick in place of law_estimate */
    bool verbose;         /* list rows that differ */
    uint32_t most_listed; /* 0: all */
};

bool truth_run(const struct truth_row *rows, size_t n, const struct truth_options *opt,
               struct arena *arena, struct truth_tally *out);

/* True when there were rows and the bounds hold: weights, KV and refusals all right; compute equal
 * on 95 % of rows, within 1 % of the device's total on 99.9 % of values, never more than 1 % below.
 */
bool truth_holds(const struct truth_count *c, bool static_only);
void truth_print(const struct truth_tally *t, bool static_only);

#endif
