/* doctor: checks of this machine, each with what mends it; one that hangs is given up after three
 * seconds. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "api/doctor_json.h"
#include "api/watch.h"
#include "base/arena.h"

enum { DOCTOR_CHECKS_MOST = 256, DOCTOR_LIMIT_S = 3 };

struct doctor_options {
    /* What lies above /sys, /dev, /usr and /run, and above /proc; NULL: this machine. Kept until
     * the program ends, as a check that hangs may still read them. */
    const char *sysfs_root, *proc_root;
    uint32_t gpu_limit;       /* 0: all */
    uint64_t keep_host_bytes; /* less free host memory than this is worth a warning */
    bool libraries_only;      /* dep.* alone */
};

struct doctor_report {
    size_t n;
    struct check *check;
    uint32_t n_gpus;
    const struct gpu_view *views; /* as they were looked at */
    bool simulated;
};

/* One kind of check; "gpu.N.link" stands for one of each GPU. */
struct doctor_row {
    const char *id, *help;
};
const struct doctor_row *doctor_table(size_t *n);

/* Everything in order of the table; texts lie in the arena. ERR_1201. */
bool doctor_run(const struct doctor_options *o, struct arena *arena, struct doctor_report *out,
                struct err *err);

#endif
