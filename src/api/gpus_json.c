/* gpus_json: writes what is known of the GPUs. */
#include "api/gpus_json.h"

#include <stdio.h>

static void known(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n ? json_add_u64(j, n) : json_add_null(j);
}

static void known_text(struct json *j, const char *key, const char *text)
{
    json_key_str(j, key, text[0] ? text : NULL);
}

static void bytes_or_null(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n == UINT64_MAX ? json_add_null(j) : json_add_u64(j, n);
}

static void share(struct json *j, const char *key, float percent)
{
    json_key(j, key);
    percent < 0 ? json_add_null(j) : json_add_f64(j, (double)percent);
}

/* The unit stands in the key, so that a number cannot be misread. */
static const char *suffix(enum unit u)
{
    switch (u) {
    case UNIT_PERCENT: return "_percent";
    case UNIT_BYTES: return "_bytes";
    case UNIT_BYTES_PER_SECOND: return "_bytes_per_second";
    case UNIT_CELSIUS: return "_celsius";
    case UNIT_WATTS: return "_watts";
    case UNIT_JOULES: return "_joules";
    case UNIT_MEGAHERTZ: return "_mhz";
    case UNIT_COUNT:
    case UNIT_BITS: break;
    }
    return "";
}

void sample_json(struct json *j, const struct sample *s)
{
    char key[64];
    json_open_object(j);
    for (int m = 0; m < METRIC_COUNT; m++) {
        snprintf(key, sizeof(key), "%s%s", metric_info[m].name, suffix(metric_info[m].unit));
        json_key(j, key);
        sample_has(s, (enum metric)m) ? json_add_f64(j, s->value[m]) : json_add_null(j);
    }
    json_close_object(j);
}

static void process_json(struct json *j, const struct process *p)
{
    json_open_object(j);
    json_key_u64(j, "pid", p->pid);
    json_key_str(j, "name", p->name[0] ? p->name : "?");
    bytes_or_null(j, "bytes", p->memory_bytes);
    json_key(j, "uid");
    p->uid == UINT32_MAX ? json_add_null(j) : json_add_u64(j, p->uid);
    known(j, "since", (uint64_t)(p->since_s > 0 ? p->since_s : 0));
    known(j, "local_pid", p->local_pid);
    known_text(j, "container", p->container);
    json_key_bool(j, "compute", p->type & PROCESS_COMPUTE);
    json_key_bool(j, "graphics", p->type & PROCESS_GRAPHICS);
    share(j, "sm_percent", p->sm);
    share(j, "memory_bus_percent", p->memory_bus);
    share(j, "encoder_percent", p->encoder);
    share(j, "decoder_percent", p->decoder);
    json_close_object(j);
}

static void processes_json(struct json *j, const struct gpu_view *v)
{
    const struct process_table *t = &v->processes;
    json_key_bool(j, "processes_known", v->has_processes && t->known);
    json_key(j, "processes");
    json_open_array(j);
    for (uint32_t i = 0; v->has_processes && i < t->n; i++)
        process_json(j, &t->process[i]);
    json_close_array(j);
    json_key_u64(j, "processes_left_out", v->has_processes ? t->left_out : 0);
    bytes_or_null(j, "unattributed_bytes", v->has_processes ? t->unattributed_bytes : UINT64_MAX);
}

static void metric_bytes(struct json *j, const char *key, const struct sample *s, enum metric m)
{
    json_key(j, key);
    sample_has(s, m) ? json_add_u64(j, (uint64_t)s->value[m]) : json_add_null(j);
}

static void limits_json(struct json *j, const struct gpu_info *i)
{
    json_key(j, "compute_capability");
    i->cc_major ? json_add_strf(j, "%u.%u", i->cc_major, i->cc_minor) : json_add_null(j);
    known(j, "cores", i->cores);
    known(j, "pcie_gen_max", i->pcie_gen_max);
    known(j, "pcie_width_max", i->pcie_width_max);
    known(j, "bus_width_bits", i->bus_width_bits);
    known(j, "sm_clock_max_mhz", i->sm_clock_max_mhz);
    known(j, "memory_clock_max_mhz", i->memory_clock_max_mhz);
    json_key(j, "bandwidth_gbs");
    i->bandwidth_gbs > 0 ? json_add_f64(j, i->bandwidth_gbs) : json_add_null(j);
    known(j, "power_min_watts", i->power_min_w);
    known(j, "power_max_watts", i->power_max_w);
    known(j, "power_default_watts", i->power_default_w);
    known(j, "slowdown_celsius", i->slowdown_c);
    known(j, "shutdown_celsius", i->shutdown_c);
    json_key_bool(j, "mig", i->mig);
    json_key_bool(j, "unified_memory", i->unified_memory);
}

static void now_json(struct json *j, const struct gpu_view *v)
{
    static const char *const sources[] = {"nvml", "amdgpu", "i915", "xe"};
    json_key_str(j, "source", v->info.source < SOURCE_KIND_COUNT ? sources[v->info.source] : NULL);
    json_key_bool(j, "simulated", v->info.simulated);
    json_key_str(j, "state", gpu_state_name[v->health.state]);
    known_text(j, "trouble", v->health.detail);
    json_key(j, "age_seconds");
    v->health.age_ns == UINT64_MAX ? json_add_null(j) : json_add_f64(j, (double)v->health.age_ns / 1e9);
    json_key_str(j, "level", v->has_sample ? level_name[v->level.level] : NULL);
    known_text(j, "level_reasons", v->level.reasons);
    json_key(j, "throttle_reasons");
    char words[160];
    sample_has(&v->sample, METRIC_THROTTLE)
        ? json_add_str(j, throttle_text((uint64_t)v->sample.value[METRIC_THROTTLE], words, sizeof(words)))
        : json_add_null(j);
    json_key(j, "sample");
    v->has_sample ? sample_json(j, &v->sample) : json_add_null(j);
}

void gpu_json(struct json *j, const struct gpu_view *v)
{
    const struct sample *s = &v->sample;
    json_open_object(j);
    json_key_u64(j, "index", v->info.index);
    known_text(j, "name", v->info.name);
    known_text(j, "uuid", v->info.uuid);
    known_text(j, "pci", v->info.pci);
    known_text(j, "driver_version", v->info.driver);
    metric_bytes(j, "total_bytes", s, METRIC_MEMORY_TOTAL);
    metric_bytes(j, "free_bytes", s, METRIC_MEMORY_FREE);
    metric_bytes(j, "used_bytes", s, METRIC_MEMORY_USED);
    metric_bytes(j, "reserved_bytes", s, METRIC_MEMORY_RESERVED);
    limits_json(j, &v->info);
    now_json(j, v);
    processes_json(j, v);
    json_close_object(j);
}

void gpus_json(struct json *j, const struct gpu_view *views, uint32_t n)
{
    const char *driver = NULL;
    bool simulated = false;
    for (uint32_t i = 0; i < n; i++) {
        simulated = simulated || views[i].info.simulated;
        if (!driver && views[i].info.source == SOURCE_NVML && views[i].info.driver[0])
            driver = views[i].info.driver;
    }
    json_key_bool(j, "simulated", simulated);
    json_key_str(j, "driver_version", driver);
    json_key(j, "gpus");
    json_open_array(j);
    for (uint32_t i = 0; i < n; i++)
        gpu_json(j, &views[i]);
    json_close_array(j);
}
