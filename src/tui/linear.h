/* linear: what happens on the GPUs as sentences, for screen readers and for files: nothing is drawn
 * over. */
#ifndef TUI_LINEAR_H
#define TUI_LINEAR_H

#include "base/str.h"
#include "tui/model.h"

enum { LINEAR_VALUES = 4 };

/* What was said last. Zeroed: nothing yet. */
struct linear {
    bool started;
    struct {
        double value[LINEAR_VALUES]; /* NAN: unknown */
        enum gpu_state state;
        enum level level;
        uint64_t throttle;
        uint16_t n;
        uint32_t pid[PROCESSES_MAX];
    } gpu[TELEMETRY_MAX_GPUS];
};

/* One line per change above a step: memory 0.5 GiB, use 25 points, temperature 5 C, power 20 % of
 * its limit; and every change of state, level, throttling, and process. The first call says
 * everything. */
void linear_changes(struct linear *last, const struct top_model *m, struct str *out);

/* "GPU 1 RTX 4090: 22.4 of 24.0 GiB used. ..." one line per GPU. */
void linear_status(const struct top_model *m, struct str *out);

#endif
