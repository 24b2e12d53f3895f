/* doctor_json: writes the doctor's document. */
#include "api/doctor_json.h"

const char *check_level_name(enum check_level level)
{
    static const char *const names[] = {"ok", "warn", "fail", "skip"};
    return names[level];
}

static void add_check(struct json *j, const struct check *c)
{
    json_open_object(j);
    json_key_str(j, "id", c->id);
    json_key_str(j, "level", check_level_name(c->level));
    json_key_str(j, "text", c->text);
    json_key_str(j, "fix", c->fix);
    json_key_str(j, "command", c->command);
    json_key_str(j, "need", c->need);
    json_key_str(j, "package", c->package);
    json_close_object(j);
}

static void add_cache(struct json *j, const struct cache_stats *s)
{
    json_open_object(j);
    json_key_str(j, "name", s->name);
    json_key_u64(j, "hits", s->hits);
    json_key_u64(j, "misses", s->misses);
    json_key_u64(j, "evictions", s->evictions);
    json_key_f64(j, "hit_ratio", s->hit_ratio);
    json_key_u64(j, "currsize", s->currsize);
    json_key_u64(j, "maxsize", s->maxsize);
    json_close_object(j);
}

void doctor_json(struct json *j, const struct check *checks, size_t n,
                 const struct cache_stats *caches, size_t n_caches)
{
    size_t count[4] = {0};
    json_key(j, "checks");
    json_open_array(j);
    for (size_t i = 0; i < n; i++) {
        add_check(j, &checks[i]);
        count[checks[i].level]++;
    }
    json_close_array(j);
    json_key_u64(j, "ok", count[CHECK_OK]);
    json_key_u64(j, "warnings", count[CHECK_WARN]);
    json_key_u64(j, "failures", count[CHECK_FAIL]);
    json_key(j, "caches");
    json_open_array(j);
    for (size_t i = 0; i < n_caches; i++)
        add_cache(j, &caches[i]);
    json_close_array(j);
}

void doctor_json_bundle(struct json *j, const char *path, const struct bundle_file *files, size_t n)
{
    json_key(j, "bundle");
    if (!path) {
        json_add_null(j);
        return;
    }
    json_open_object(j);
    json_key_str(j, "path", path);
    json_key(j, "files");
    json_open_array(j);
    for (size_t i = 0; i < n; i++) {
        json_open_object(j);
        json_key_str(j, "name", files[i].name);
        json_key_u64(j, "size_bytes", files[i].bytes);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
}
