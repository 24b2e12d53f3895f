/* run: every check on a thread of its own, so that one that hangs in the driver costs three seconds
 * and no more. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/own.h"
#include "base/str.h"
#include "doctor/check.h"

enum scope { SCOPE_START, SCOPE_MACHINE, SCOPE_DRIVER, SCOPE_GPU, SCOPE_LIBRARY };

static const struct row {
    const char *id, *help;
    enum scope scope;
    void (*run)(struct examination *e);
} rows[] = {
#define CHECK(id, scope, run, help) {id, help, SCOPE_##scope, run},
#include "doctor/checks.def"
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]), ID_MOST = 48, SETTLE_MS = 800 };

/* Faster than people look, so that two readings and two process lists take a moment only. */
static const double sample_hz = 10, process_s = 0.2;

const struct doctor_row *doctor_table(size_t *n)
{
    static struct doctor_row shown[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        shown[i] = (struct doctor_row){rows[i].id, rows[i].help};
    *n = ROWS;
    return shown;
}

/* ---- what a check finds ---- */

struct check *found(struct examination *e, enum check_level level, const char *text)
{
    struct check *k = &e->finding[e->n < FINDINGS_MOST ? e->n++ : FINDINGS_MOST - 1];
    *k = (struct check){.id = e->id, .level = level, .text = text ? text : "no memory for a text"};
    return k;
}

struct check *foundf(struct examination *e, enum check_level level, const char *fmt, ...)
{
    own(own_str) struct str text = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    return found(e, level, text.data ? arena_strdup(&e->arena, text.data) : NULL);
}

struct check *found_err(struct examination *e, enum check_level level, const struct err *err)
{
    own(own_str) struct str text = {0};
    str_add(&text, err->title);
    for (int i = 0; i < err->n_why; i++)
        str_addf(&text, "%s%s", i ? "; " : ": ", err->why[i]);
    struct check *k = found(e, level, text.data ? arena_strdup(&e->arena, text.data) : NULL);
    if (err->n_fix) {
        k->fix = arena_strdup(&e->arena, err->fix[0].text);
        k->command = err->fix[0].command[0] ? arena_strdup(&e->arena, err->fix[0].command) : NULL;
    }
    return k;
}

/* ---- one check ---- */

struct job {
    const struct row *row;
    char id[ID_MOST];
    struct examination e;
};

static void work(void *ctx)
{
    struct job *job = ctx;
    job->row->run(&job->e);
}

static void free_job(struct job *job)
{
    arena_finish(&job->e.arena);
    free(job);
}

static void drop_job(void *ctx)
{
    struct job *job = ctx;
    watch_stop(job->e.watch);
    free_job(job);
}

struct doctor {
    const struct doctor_options *options;
    struct arena *arena;
    struct nvml_place place;
    struct watch *watch;
    struct gpu_view *views;
    struct doctor_report report;
};

static void keep(struct doctor *d, const struct check *from)
{
    struct arena *a = d->arena;
    if (d->report.n == DOCTOR_CHECKS_MOST)
        return;
    struct check *k = &d->report.check[d->report.n++];
    *k = *from;
    k->id = arena_strdup(a, from->id);
    k->text = arena_strdup(a, from->text);
    k->fix = from->fix ? arena_strdup(a, from->fix) : NULL;
    k->command = from->command ? arena_strdup(a, from->command) : NULL;
    k->need = from->need ? arena_strdup(a, from->need) : NULL;
    k->package = from->package ? arena_strdup(a, from->package) : NULL;
    if (!k->id || !k->text)
        d->report.n--;
}

static void keep_hung(struct doctor *d, const char *id)
{
    bool driver = str_starts(id, "driver.");
    char text[96];
    snprintf(text, sizeof(text), "hung: no answer within %d s, the check was given up",
             DOCTOR_LIMIT_S);
    keep(d,
         &(struct check){
             .id = id,
             .level = CHECK_FAIL,
             .text = text,
             .fix = driver ? "the driver is stuck: see what the kernel says; a reboot usually helps"
                           : "see why the program or the disk does not answer",
             .command = driver ? "sudo dmesg | grep -i nvrm" : NULL,
         });
}

static struct job *new_job(const struct doctor *d, const struct row *row, uint32_t gpu)
{
    struct job *job = calloc(1, sizeof(*job));
    const char *n = strstr(row->id, ".N.");
    if (!job)
        return NULL;
    if (n)
        snprintf(job->id, sizeof(job->id), "%.*s.%u.%s", (int)(n - row->id), row->id, gpu, n + 3);
    else
        snprintf(job->id, sizeof(job->id), "%s", row->id);
    job->e = (struct examination){.options = *d->options,
                                  .id = job->id,
                                  .place = d->place,
                                  .views = d->views,
                                  .view = n ? &d->views[gpu] : NULL,
                                  .n_gpus = d->report.n_gpus};
    job->row = row;
    return job;
}

static void examine(struct doctor *d, const struct row *row, uint32_t gpu)
{
    struct job *job = new_job(d, row, gpu);
    char id[ID_MOST];
    snprintf(id, sizeof(id), "%s", job ? job->id : row->id);
    enum deadline_end end =
        job ? deadline_run(work, drop_job, job, DOCTOR_LIMIT_S * (uint64_t)CLOCK_NS_PER_S)
            : DEADLINE_NO_THREAD;
    if (end == DEADLINE_LATE) {
        keep_hung(d, id);
        return;
    }
    if (end == DEADLINE_NO_THREAD) {
        keep(d, &(struct check){
                    .id = id, .level = CHECK_FAIL, .text = "no memory or thread for this check"});
        free(job);
        return;
    }
    for (size_t i = 0; i < job->e.n; i++)
        keep(d, &job->e.finding[i]);
    d->watch = job->e.watch ? job->e.watch : d->watch;
    free_job(job);
}

void check_nvml(struct examination *e)
{
    struct err err = {0};
    struct watch_options o = {.hz = sample_hz,
                              .seconds = 10,
                              .process_s = process_s,
                              .gpu_limit = e->options.gpu_limit,
                              .sysfs_root = e->options.sysfs_root,
                              .proc_root = e->options.proc_root};
    if (!watch_start(&e->watch, &o, &err)) {
        e->watch = NULL;
        found_err(e, CHECK_FAIL, &err);
        return;
    }
    uint32_t n = watch_count(e->watch);
    struct check *k = foundf(e, n ? CHECK_OK : CHECK_WARN, "answers, %u GPU%s%s", n,
                             n == 1 ? "" : "s", watch_simulated(e->watch) ? ", simulated" : "");
    if (!n && e->place.gpus)
        k->fix =
            "there is a GPU on the PCI bus that the driver does not take: see what the kernel says";
    if (!n)
        k->command = e->place.gpus ? "sudo dmesg | grep -i nvrm" : "lspci -nn | grep -i nvidia";
}

/* ---- all of them ---- */

static bool is_read(const struct gpu_view *v, uint64_t since_ns)
{
    bool silent = v->health.state == GPU_LOST || v->health.state == GPU_HUNG ||
                  v->health.state == GPU_DENIED || v->health.state == GPU_SUSPENDED;
    return silent ||
           (v->has_processes && v->processes.mono_ns > since_ns && v->sample.mono_ns > since_ns);
}

/* Every GPU read again after its first reading, so that what reading does to it would show in its
 * process list. */
static bool look_at_gpus(struct doctor *d)
{
    watch_settle(d->watch);
    uint32_t n = watch_count(d->watch);
    uint64_t since_ns = clock_mono_ns(), until_ns = since_ns + SETTLE_MS * UINT64_C(1000000);
    d->views = arena_array(d->arena, struct gpu_view, n ? n : 1);
    if (!d->views)
        return false;
    for (bool all = false; !all && clock_mono_ns() < until_ns;) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        all = true;
        for (uint32_t i = 0; i < n; i++) {
            watch_view(d->watch, i, &d->views[i]);
            all = all && is_read(&d->views[i], since_ns);
        }
    }
    d->report.n_gpus = n;
    d->report.views = d->views;
    d->report.simulated = watch_simulated(d->watch);
    return true;
}

static size_t examine_gpus(struct doctor *d, size_t first)
{
    size_t end = first;
    while (end < ROWS && rows[end].scope == SCOPE_GPU)
        end++;
    for (uint32_t g = 0; g < d->report.n_gpus; g++)
        for (size_t i = first; i < end; i++)
            examine(d, &rows[i], g);
    if (!d->report.n_gpus)
        keep(d, &(struct check){.id = "gpu",
                                .level = CHECK_SKIP,
                                .text = "no GPU to look at",
                                .fix = "try everything on simulated GPUs: use the simulator",
                                .command = "dualgpuopt sim start duo"});
    return end;
}

bool doctor_run(const struct doctor_options *o, struct arena *arena, struct doctor_report *out,
                struct err *err)
{
    struct doctor d = {.options = o, .arena = arena};
    bool ok = true;
    d.report.check = arena_array(arena, struct check, DOCTOR_CHECKS_MOST);
    if (!d.report.check)
        return err_set(err, ERR_1201, "no memory for the checks");
    nvml_place_read(o->sysfs_root, &d.place);
    for (size_t i = 0; ok && i < ROWS; i++) {
        if (o->libraries_only ? rows[i].scope != SCOPE_LIBRARY
                              : rows[i].scope == SCOPE_DRIVER && !d.report.n_gpus)
            continue;
        if (rows[i].scope == SCOPE_GPU) {
            i = examine_gpus(&d, i) - 1;
            continue;
        }
        examine(&d, &rows[i], 0);
        if (rows[i].scope == SCOPE_START && d.watch)
            ok = look_at_gpus(&d) || err_set(err, ERR_1201, "no memory for the views of the GPUs");
    }
    watch_stop(d.watch);
    if (ok)
        *out = d.report;
    return ok;
}
