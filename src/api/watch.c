/* watch: sampler's threads fill the history, views are made when they are asked for. */
#include "api/watch.h"

#include <stdlib.h>

#include "base/clock.h"

struct watch {
    struct sampler *sampler;
    struct history *history;
};

static void keep_sample(void *to, const struct sample *s)
{
    struct watch *w = to;
    history_push(w->history, s);
}

static void keep_processes(void *to, const struct process_table *t)
{
    struct watch *w = to;
    history_push_processes(w->history, t);
}

bool watch_start(struct watch **out, const struct watch_options *options, struct err *err)
{
    struct watch *w = calloc(1, sizeof(*w));
    double hz = options->hz > 0 ? options->hz : 1, seconds = options->seconds > 0 ? options->seconds : 60;
    if (!w)
        return err_set(err, ERR_1201, "no memory to watch GPUs");
    if (!history_new(&w->history, TELEMETRY_MAX_GPUS, hz, seconds, err)) {
        free(w);
        return false;
    }
    struct sampler_options o = {.hz = hz, .process_s = options->process_s, .gpu_limit = options->gpu_limit,
                                .sysfs_root = options->sysfs_root, .proc_root = options->proc_root};
    struct sampler_sink sink = {.to = w, .sample = keep_sample, .processes = keep_processes};
    if (!sampler_start(&w->sampler, &o, &sink, err)) {
        history_free(w->history);
        free(w);
        return false;
    }
    *out = w;
    return true;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    /* a thread that hangs in the driver may still come back and give its sample: then all stays */
    if (!sampler_stop(w->sampler))
        return;
    history_free(w->history);
    free(w);
}

void watch_settle(struct watch *w)
{
    sampler_wait_first(w->sampler, 2 * (uint64_t)CLOCK_NS_PER_S);
}

uint32_t watch_count(const struct watch *w)
{
    return sampler_count(w->sampler);
}

void watch_view(struct watch *w, uint32_t gpu, struct gpu_view *out)
{
    sampler_info(w->sampler, gpu, &out->info);
    sampler_health(w->sampler, gpu, &out->health);
    out->has_sample = history_newest(w->history, gpu, &out->sample);
    if (!out->has_sample)
        out->sample = (struct sample){.gpu = (uint16_t)gpu};
    level_read(&out->sample, &level_table_default, &out->level);
    out->has_processes = history_processes(w->history, gpu, &out->processes);
    if (!out->has_processes)
        out->processes = (struct process_table){.gpu = (uint16_t)gpu, .unattributed_bytes = UINT64_MAX};
}

struct gpu_view *watch_views(struct watch *w, struct err *err)
{
    struct gpu_view *views = calloc(watch_count(w) ? watch_count(w) : 1, sizeof(*views));
    for (uint32_t i = 0; views && i < watch_count(w); i++)
        watch_view(w, i, &views[i]);
    if (!views)
        err_set(err, ERR_1201, "no memory for the views of %u GPUs", watch_count(w));
    return views;
}

bool watch_simulated(struct watch *w)
{
    struct gpu_info info;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        sampler_info(w->sampler, i, &info);
        if (info.simulated)
            return true;
    }
    return false;
}

struct history *watch_history(struct watch *w)
{
    return w->history;
}

struct sampler *watch_sampler(struct watch *w)
{
    return w->sampler;
}

bool gpu_view_free(const struct gpu_view *v, uint64_t *out)
{
    if (!sample_has(&v->sample, METRIC_MEMORY_FREE))
        return false;
    *out = (uint64_t)v->sample.value[METRIC_MEMORY_FREE];
    return true;
}
