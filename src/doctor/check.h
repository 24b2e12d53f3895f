/* check: what one check is given and what it finds. */
#ifndef DOCTOR_CHECK_H
#define DOCTOR_CHECK_H

#include "doctor/doctor.h"
#include "nvml/place.h"

enum { FINDINGS_MOST = 4 };

struct examination {
    struct doctor_options options;
    const char *id; /* of the row, with the GPU's number in it */
    struct nvml_place place;
    const struct gpu_view *views, *view; /* all GPUs; the one of a GPU check */
    uint32_t n_gpus;

    struct arena arena;  /* of the texts found */
    struct watch *watch; /* left by the check that starts it */
    size_t n;
    struct check finding[FINDINGS_MOST];
};

/* One more finding; text is the arena's or constant. Never NULL. */
struct check *found(struct examination *e, enum check_level level, const char *text);
struct check *foundf(struct examination *e, enum check_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An error as a finding: its title and reasons, its first way out. */
struct check *found_err(struct examination *e, enum check_level level, const struct err *err);

#define CHECK(id, scope, run, help) void run(struct examination *e);
#include "doctor/checks.def"

#endif
