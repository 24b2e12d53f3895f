/* gpu_docs_json: what commands about single questions answer, as JSON; absent is null. */
#include "api/gpu_docs_json.h"

#include "api/gpu_words.h"

static void known(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n ? json_add_u64(j, n) : json_add_null(j);
}

static void bytes(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n == UINT64_MAX ? json_add_null(j) : json_add_u64(j, n);
}

static void metric(struct json *j, const char *key, const struct gpu_view *v, enum metric m)
{
    json_key(j, key);
    sample_has(&v->sample, m) ? json_add_f64(j, v->sample.value[m]) : json_add_null(j);
}

static void metric_bytes(struct json *j, const char *key, const struct gpu_view *v, enum metric m)
{
    bytes(j, key, sample_has(&v->sample, m) ? (uint64_t)v->sample.value[m] : UINT64_MAX);
}

/* Members, not an object. */
static void identity(struct json *j, const struct gpu_view *v)
{
    json_key_u64(j, "index", v->info.index);
    json_key_str(j, "name", v->info.name[0] ? v->info.name : NULL);
    json_key_str(j, "uuid", v->info.uuid[0] ? v->info.uuid : NULL);
    json_key_str(j, "pci", v->info.pci[0] ? v->info.pci : NULL);
    json_key_bool(j, "simulated", v->info.simulated);
}

static void any_simulated(struct json *j, const struct gpu_view *views, uint32_t n)
{
    bool simulated = false;
    for (uint32_t i = 0; i < n; i++)
        simulated = simulated || views[i].info.simulated;
    json_key_bool(j, "simulated", simulated);
}

static void pair_json(struct json *j, const struct gpu_view *views, const struct topology *t,
                      uint32_t i, uint32_t k)
{
    const struct nvml_pair *p = &t->pair[i][k];
    enum nvml_p2p p2p = topology_p2p(t, i, k);
    json_open_object(j);
    json_key_u64(j, "a", views[i].info.index);
    json_key_u64(j, "b", views[k].info.index);
    json_key_str(j, "distance",
                 p->distance == NVML_DISTANCE_UNKNOWN ? NULL : topology_distance_word(p->distance));
    json_key(j, "nvlinks");
    p->nvlinks_known ? json_add_u64(j, p->nvlinks) : json_add_null(j);
    json_key_bool(j, "nvswitch", p->by_nvswitch);
    json_key(j, "p2p");
    p2p == NVML_P2P_UNKNOWN ? json_add_null(j) : json_add_bool(j, p2p == NVML_P2P_OK);
    json_key_str(j, "p2p_reason", p2p == NVML_P2P_OK ? NULL : topology_p2p_text(p2p));
    json_close_object(j);
}

void topology_json(struct json *j, const struct gpu_view *views, const struct topology *t)
{
    any_simulated(j, views, t->n);
    json_key(j, "gpus");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n; i++) {
        json_open_object(j);
        identity(j, &views[i]);
        json_close_object(j);
    }
    json_close_array(j);
    json_key(j, "pairs");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t k = i + 1; k < t->n; k++)
            pair_json(j, views, t, i, k);
    json_close_array(j);
}

void pick_json(struct json *j, const struct gpu_view *views, const struct pick *p,
               uint64_t need_bytes, const char *name, uint64_t host_free_bytes)
{
    any_simulated(j, views, p->n);
    json_key_u64(j, "need_bytes", need_bytes);
    json_key_str(j, "as", name);
    json_key_str(j, "use", p->n_chosen ? "gpu" : "cpu");
    json_key_str(j, "reason", p->reason);
    bytes(j, "host_free_bytes", host_free_bytes);
    json_key(j, "gpus");
    json_open_array(j);
    for (uint32_t i = 0; i < p->n; i++) {
        const struct pick_card *c = &p->card[i];
        json_open_object(j);
        identity(j, &views[i]);
        json_key_bool(j, "chosen", c->chosen);
        json_key_bool(j, "usable", c->usable);
        bytes(j, "free_bytes", c->free_known ? c->free_bytes : UINT64_MAX);
        bytes(j, "keep_free_bytes", c->usable ? c->keep_free_bytes : UINT64_MAX);
        json_key_str(j, "reason", c->why);
        json_close_object(j);
    }
    json_close_array(j);
}

void limits_json(struct json *j, const struct gpu_view *v, uint32_t from_w, uint32_t to_w)
{
    const struct gpu_info *i = &v->info;
    identity(j, v);
    metric(j, "power_limit_watts", v, METRIC_POWER_LIMIT);
    known(j, "power_default_watts", i->power_default_w);
    known(j, "power_min_watts", i->power_min_w);
    known(j, "power_max_watts", i->power_max_w);
    metric(j, "power_watts", v, METRIC_POWER);
    known(j, "slowdown_celsius", i->slowdown_c);
    known(j, "shutdown_celsius", i->shutdown_c);
    metric(j, "temperature_celsius", v, METRIC_TEMPERATURE);
    metric(j, "sm_clock_mhz", v, METRIC_CLOCK_SM);
    known(j, "sm_clock_max_mhz", i->sm_clock_max_mhz);
    metric(j, "memory_clock_mhz", v, METRIC_CLOCK_MEMORY);
    known(j, "memory_clock_max_mhz", i->memory_clock_max_mhz);
    json_key(j, "changed");
    if (!to_w) {
        json_add_null(j);
        return;
    }
    json_open_object(j);
    known(j, "power_limit_before_watts", from_w);
    json_key_u64(j, "power_limit_watts", to_w);
    json_close_object(j);
}

static void occupant_json(struct json *j, const struct process *p, const struct occupant_note *n)
{
    json_open_object(j);
    json_key_u64(j, "pid", p->pid);
    json_key_str(j, "name", p->name[0] ? p->name : NULL);
    json_key_str(j, "user", n->user[0] ? n->user : NULL);
    known(j, "since", (uint64_t)(p->since_s > 0 ? p->since_s : 0));
    bytes(j, "bytes", p->memory_bytes);
    json_key_bool(j, "may_stop", !n->why_not);
    json_key_str(j, "why_not", n->why_not);
    json_close_object(j);
}

void occupants_json(struct json *j, const struct gpu_view *v, const struct occupant_note *notes,
                    const struct stopped *stopped)
{
    const struct process_table *t = &v->processes;
    bool told = v->has_processes && t->known;
    identity(j, v);
    metric_bytes(j, "total_bytes", v, METRIC_MEMORY_TOTAL);
    metric_bytes(j, "free_bytes", v, METRIC_MEMORY_FREE);
    json_key_bool(j, "processes_known", told);
    json_key(j, "processes");
    json_open_array(j);
    for (uint32_t i = 0; told && i < t->n; i++)
        occupant_json(j, &t->process[i], &notes[i]);
    json_close_array(j);
    json_key_u64(j, "processes_left_out", told ? t->left_out : 0);
    bytes(j, "unattributed_bytes", told ? t->unattributed_bytes : UINT64_MAX);
    json_key(j, "stopped");
    if (!stopped->pid) {
        json_add_null(j);
        return;
    }
    json_open_object(j);
    json_key_u64(j, "pid", stopped->pid);
    bytes(j, "held_bytes", stopped->held_bytes);
    bytes(j, "came_back_bytes", stopped->came_back_bytes);
    bytes(j, "free_bytes", stopped->free_bytes);
    json_close_object(j);
}
