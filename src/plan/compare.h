/* compare: two plans side by side: what each takes and gives, and which is the better one in what.
 */
#ifndef PLAN_COMPARE_H
#define PLAN_COMPARE_H

#include "plan/plan.h"

enum compare_unit { COMPARE_TEXT, COMPARE_COUNT, COMPARE_BYTES, COMPARE_TPS };

/* Which side a person would rather have. */
enum compare_better {
    COMPARE_SAME,
    COMPARE_A,
    COMPARE_B,
    COMPARE_OTHER /* different, neither is better */
};

struct compare_row {
    const char *key;   /* for scripts: "context_max", "gpu.0.used_bytes" */
    const char *title; /* for people: "max context" */
    enum compare_unit unit;
    bool has[2];     /* false: absent on that side */
    double value[2]; /* COUNT, BYTES, TPS; bytes may be negative (short) */
    const char *text[2];
    enum compare_better better;
    const char *note; /* "no real difference" where ranges overlap, or NULL */
};

enum { COMPARE_MAX_ROWS = 12 + 2 * MACHINE_MAX_DEVICES };

struct compare {
    const struct plan *plan[2];
    uint32_t n_rows;
    struct compare_row rows[COMPARE_MAX_ROWS];
    const char *verdict; /* one sentence */
};

/* Texts live in arena. Rows that neither side has are left out. ERR_1201. */
bool compare_make(const struct plan *a, const struct plan *b, struct arena *arena,
                  struct compare *out, struct err *err);

#endif
