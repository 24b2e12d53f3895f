/* truth_rows: JSON lines -> rows; settings that are absent keep the engine's defaults. */
#include "truth_rows.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"

enum { ROWS_MAX = 1 << 20 };

static int64_t number(struct json_object *o, const char *key, int64_t absent)
{
    struct json_object *v;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : absent;
}

static const char *text(struct json_object *o, const char *key, const char *absent)
{
    struct json_object *v;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : absent;
}

static uint32_t type_of(struct json_object *o, const char *key)
{
    uint32_t type = GGUF_TYPE_F16;
    gguf_type_by_name(text(o, key, "f16"), &type);
    return type;
}

static void read_split(struct law_settings *s, const char *ts)
{
    char *end;
    while (*ts && s->n_tensor_split < MACHINE_MAX_DEVICES) {
        s->tensor_split[s->n_tensor_split++] = strtod(ts, &end);
        ts = *end ? end + 1 : end;
    }
}

/* "pattern=CPU,pattern=0": targets are CPU or the number of a device. */
static void read_overrides(struct law_settings *s, const char *rules, struct arena *arena)
{
    while (*rules && s->n_overrides < LAW_MAX_OVERRIDES) {
        const char *end = strchrnul(rules, ',');
        char *rule = arena_strndup(arena, rules, (size_t)(end - rules));
        char *target = rule ? strrchr(rule, '=') : NULL;
        if (target) {
            *target++ = '\0';
            s->overrides[s->n_overrides++] = (struct law_override){
                rule, strcmp(target, "CPU") == 0 ? LAW_HOST : (int)strtol(target, NULL, 10)};
        }
        rules = *end ? end + 1 : end;
    }
}

static void read_settings(struct json_object *o, struct law_settings *s, struct arena *arena)
{
    *s = law_default_settings();
    s->n_ctx = (uint32_t)number(o, "ctx", 0);
    s->type_k = type_of(o, "ctk");
    s->type_v = type_of(o, "ctv");
    const char *fa = text(o, "fa", "auto");
    s->flash = strcmp(fa, "on") == 0 ? FLASH_ON : strcmp(fa, "off") == 0 ? FLASH_OFF : FLASH_AUTO;
    s->n_seq_max = (uint32_t)number(o, "np", 1);
    s->kv_unified = number(o, "kvu", 0) != 0;
    s->n_batch = (uint32_t)number(o, "batch", s->n_batch);
    s->n_ubatch = (uint32_t)number(o, "ub", s->n_ubatch);
    s->n_outputs_max = (uint32_t)number(o, "nout", 0);
    s->n_outputs_per_seq = (uint32_t)number(o, "nout_seq", 0);
    s->n_gpu_layers = (int32_t)number(o, "ngl", -1);
    s->n_cpu_moe = (uint32_t)number(o, "ncmoe", 0);
    s->no_kv_offload = number(o, "nkvo", 0) != 0;
    s->swa_full = number(o, "swa_full", 0) != 0;
    s->no_op_offload = number(o, "op_offload", 1) == 0;
    s->main_gpu = (uint32_t)number(o, "mg", 0);
    s->n_cpu_ffn = (uint32_t)number(o, "ncffn", 0);
    s->no_host = number(o, "no_host", 0) != 0;
    s->no_repack = number(o, "no_repack", 0) != 0;
    s->n_rs_seq = (uint32_t)number(o, "nrs", 0);
    s->mtp = number(o, "mtp", 0) != 0;
    s->context = number(o, "nextn", 0) != 0 ? CONTEXT_NEXTN : CONTEXT_MAIN;
    read_overrides(s, text(o, "ot", ""), arena);
    const char *sm = text(o, "sm", "layer");
    s->split = strcmp(sm, "none") == 0     ? SPLIT_NONE
               : strcmp(sm, "row") == 0    ? SPLIT_ROW
               : strcmp(sm, "tensor") == 0 ? SPLIT_TENSOR
                                           : SPLIT_LAYER;
    read_split(s, text(o, "ts", ""));
}

/* "24000,12000": one value stands for every device. */
static void read_memory(struct truth_row *row, const char *mib)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < row->n_devices; i++) {
        char *end;
        if (*mib) {
            last = strtoull(mib, &end, 10);
            mib = *end ? end + 1 : end;
        }
        row->free_mib[i] = last;
    }
}

static struct truth_bytes read_bytes(struct json_object *o)
{
    return (struct truth_bytes){(uint64_t)number(o, "model", 0), (uint64_t)number(o, "context", 0),
                                (uint64_t)number(o, "compute", 0)};
}

static void read_devices(struct truth_row *row, struct json_object *o)
{
    struct json_object *list, *host, *model, *rest;
    if (json_object_object_get_ex(o, "devices", &list)) {
        size_t n = json_object_array_length(list);
        row->lumped = n > row->n_devices && row->n_devices > 0;
        for (size_t i = 0; i < n && i < MACHINE_MAX_DEVICES; i++)
            row->device[i] = read_bytes(json_object_array_get_idx(list, i));
        if (row->n_devices == 0 && n > 0)
            row->repack = row->device[0].weights;
    }
    if (json_object_object_get_ex(o, "host", &host))
        row->host = read_bytes(host);
    if (!json_object_object_get_ex(o, "device_model", &model) ||
        !json_object_object_get_ex(o, "device_context_plus_compute", &rest))
        return;
    row->summed = true;
    for (size_t i = 0; i < json_object_array_length(model) && i < MACHINE_MAX_DEVICES; i++) {
        row->device[i].weights =
            (uint64_t)json_object_get_int64(json_object_array_get_idx(model, i));
        row->device[i].kv = (uint64_t)json_object_get_int64(json_object_array_get_idx(rest, i));
    }
}

static bool read_row(const char *line, struct arena *arena, struct truth_row *row)
{
    struct json_object *o = json_tokener_parse(line), *settings;
    if (!o)
        return false;
    bool ok = json_object_object_get_ex(o, "settings", &settings);
    if (ok) {
        row->model = arena_strdup(arena, text(o, "model", "?"));
        row->arch = arena_strdup(arena, text(o, "arch", "tensor split"));
        row->ftype = arena_strdup(arena, text(o, "ftype", "?"));
        const char *path = text(o, "path", NULL);
        row->path = path ? arena_strdup(arena, path) : NULL;
        row->text =
            arena_strdup(arena, json_object_to_json_string_ext(settings, JSON_C_TO_STRING_PLAIN));
        row->ok = number(o, "ok", 0) != 0;
        row->reserved = strcmp(text(o, "compute_src", "dry"), "dry") != 0;
        row->rpc = strcmp(text(o, "devkind", ""), "cuda-like-nofuse") == 0;
        row->n_devices = (uint32_t)number(o, "n_dev", 0);
        row->n_ctx = (uint32_t)number(o, "n_ctx", 0);
        ok = row->n_devices <= MACHINE_MAX_DEVICES;
        read_settings(settings, &row->settings, arena);
        read_memory(row, text(o, "dev_mib", "80000"));
        read_devices(row, o);
    }
    json_object_put(o);
    return ok && row->text;
}

static bool grow(struct truth_row **rows, size_t n, size_t *cap)
{
    if (n < *cap)
        return true;
    if (*cap >= ROWS_MAX)
        return false;
    *cap = *cap ? *cap * 2 : 1024;
    struct truth_row *more = realloc(*rows, *cap * sizeof(**rows));
    if (more)
        *rows = more;
    return more != NULL;
}

/* gzip belongs to every system these tests run on; a library would be one more thing to install. */
static FILE *open_rows(const char *path, bool packed)
{
    own(own_str) struct str command = {0};
    if (!packed)
        return fopen(path, "re");
    if (access(path, R_OK) != 0)
        return NULL;
    str_add(&command, "exec gzip -dc -- ");
    str_add_shell(&command, path);
    return command.failed ? NULL : popen(command.data, "re");
}

bool truth_rows_read(const char *path, struct arena *arena, struct truth_row **rows, size_t *n)
{
    bool packed = str_ends(path, ".gz");
    FILE *f = open_rows(path, packed);
    own_free char *line = NULL;
    own_free struct truth_row *list = NULL;
    size_t line_cap = 0, cap = 0, count = 0;
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    while (getline(&line, &line_cap, f) > 0 && grow(&list, count, &cap)) {
        memset(&list[count], 0, sizeof(*list));
        if (read_row(line, arena, &list[count]))
            count++;
        else
            fprintf(stderr, "%s: row %zu cannot be read\n", path, count + 1);
    }
    bool complete = feof(f) && !ferror(f);
    complete &= (packed ? pclose(f) : fclose(f)) == 0;
    *rows = arena_array(arena, struct truth_row, count);
    if (*rows && count)
        memcpy(*rows, list, count * sizeof(*list));
    *n = count;
    return complete && *rows && count > 0;
}

struct machine truth_machine(const struct truth_row *row)
{
    struct machine mc = {.n_devices = row->n_devices, .simulated = true};
    mc.host = (struct host){
        .total_bytes = 64ull << 30, .free_bytes = 64ull << 30, .cores = 2, .avx2 = true};
    for (uint32_t i = 0; i < row->n_devices; i++) {
        struct device *d = &mc.devices[i];
        d->index = (int)i;
        d->name = "card";
        d->backend = row->rpc ? BACKEND_RPC : BACKEND_CUDA;
        d->simulated = true;
        d->free_bytes = d->total_bytes = row->free_mib[i] << 20;
    }
    return mc;
}
