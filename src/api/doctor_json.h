/* doctor_json: findings about this machine and the caches' counters; schema/doctor.schema.json
 * describes it. */
#ifndef API_DOCTOR_JSON_H
#define API_DOCTOR_JSON_H

#include "base/cache.h"
#include "base/json.h"

enum check_level { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_SKIP };

struct check {
    const char *id;
    enum check_level level;
    const char *text;    /* what was found */
    const char *fix;     /* what to do, NULL nothing */
    const char *command; /* to copy, NULL none */
    const char *need;    /* of dep.*: "required", "core" or "optional", else NULL */
    const char *package; /* of dep.*: its Debian package, else NULL */
};

/* What a report for others holds. */
struct bundle_file {
    const char *name;
    size_t bytes;
};

const char *check_level_name(enum check_level level); /* "ok", "warn", "fail", "skip" */

/* The members of an open object, after "schema" and "kind". */
void doctor_json(struct json *j, const struct check *checks, size_t n,
                 const struct cache_stats *caches, size_t n_caches);

/* "bundle": where it was written and what it holds; null where path is NULL. */
void doctor_json_bundle(struct json *j, const char *path, const struct bundle_file *files, size_t n);

#endif
