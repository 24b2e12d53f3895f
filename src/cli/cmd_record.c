/* cmd_record: `record`: what the GPUs do, into a file; `replay` and `gpu watch`: samples as lines, from a file or now. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/own.h"
#include "api/gpus_json.h"
#include "cli/gpus.h"
#include "cli/interrupt.h"
#include "telemetry/trace.h"

static const double drain_s = 0.5, settle_s = 0.05;
enum { NEWS_MOST = 128 }; /* samples of a GPU between two looks: two seconds at 50 Hz */
static const uint64_t recorded_most = UINT64_C(1) << 30; /* as much as is read back */

/* ---- record ---- */

struct recorder {
    pthread_mutex_t lock; /* samples come on the GPUs' threads */
    struct trace_state state;
    struct str waiting;
    uint64_t samples;
    uint32_t described; /* how many GPUs are, by what they told themselves */
    bool ready;         /* every GPU stands in the trace, so that samples may */
};

static void record_sample(void *to, const struct sample *s)
{
    struct recorder *r = to;
    pthread_mutex_lock(&r->lock);
    if (r->ready) {
        trace_add_sample(&r->state, s, &r->waiting);
        r->samples++;
    }
    pthread_mutex_unlock(&r->lock);
}

static void record_processes(void *to, const struct process_table *t)
{
    struct recorder *r = to;
    pthread_mutex_lock(&r->lock);
    if (r->ready)
        trace_add_processes(&r->state, t, &r->waiting);
    pthread_mutex_unlock(&r->lock);
}

/* Every GPU comes first, so that a trace that is cut off is still understood; one that could not be read yet by its number
 * alone, and again once it was. What was known before the first samples is written with them. */
static void describe_gpus(struct recorder *r, struct watch *w)
{
    struct gpu_view v;
    for (uint32_t i = 0; r->described < watch_count(w) && i < watch_count(w); i++) {
        watch_view(w, i, &v);
        pthread_mutex_lock(&r->lock);
        bool known = v.has_sample && v.info.uuid[0];
        if (!r->ready || (known && !r->state.gpu[i].described))
            trace_add_gpu(&r->state, &v.info, &r->waiting);
        r->described += known && !r->state.gpu[i].described;
        r->state.gpu[i].described = r->state.gpu[i].described || known;
        if (!r->ready && v.has_sample)
            trace_add_sample(&r->state, &v.sample, &r->waiting);
        if (!r->ready && v.has_processes)
            trace_add_processes(&r->state, &v.processes, &r->waiting);
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_lock(&r->lock);
    r->ready = true;
    pthread_mutex_unlock(&r->lock);
}

static bool drain(struct recorder *r, int fd, const char *path, uint64_t *written, struct err *err)
{
    own(own_str) struct str out = {0};
    pthread_mutex_lock(&r->lock);
    out = r->waiting;
    r->waiting = (struct str){0};
    pthread_mutex_unlock(&r->lock);
    if (out.failed)
        return err_set(err, ERR_1201, "no memory for the samples");
    for (size_t done = 0; done < out.len;) {
        ssize_t n = write(fd, out.data + done, out.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_set(err, ERR_1202, "%s could not be written: %s", path, strerror(errno));
            return err_fix(err, NULL, "what was written before is whole; make room and record again");
        }
        done += (size_t)n;
    }
    *written += out.len;
    return true;
}

static bool read_seconds(struct cli *c, double *out, struct err *err)
{
    const char *text = c->words.value[OPTION_SECONDS];
    *out = 0;
    if (!text || str_parse_f64(text, 0.1, 30 * 86400.0, out))
        return true;
    err_set(err, ERR_9002, "--seconds cannot be \"%s\"", text);
    return err_fix(err, NULL, "between 0.1 and 2592000, which is 30 days");
}

/* An existing file stays: a recording cannot be made again. */
static int create(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd >= 0)
        return fd;
    err_set(err, ERR_1202, "%s could not be made: %s", path, strerror(errno));
    if (errno == EEXIST)
        err_fix(err, NULL, "name another file; a recording is never overwritten");
    else
        err_fix(err, NULL, "name a place you may write to");
    return -1;
}

static bool record(struct cli *c, struct recorder *r, struct watch *w, int fd, double seconds, struct err *err)
{
    const char *path = c->words.word[0];
    uint64_t written = 0, start_ns = clock_mono_ns();
    double passed = 0;
    bool full = false;
    interrupt_watch();
    do {
        describe_gpus(r, w);
        if (!drain(r, fd, path, &written, err))
            return false;
        full = written >= recorded_most;
        passed = (double)(clock_mono_ns() - start_ns) / 1e9;
    } while (!full && (seconds <= 0 || passed < seconds) &&
             interrupt_sleep(seconds > 0 && seconds - passed < drain_s ? seconds - passed + settle_s : drain_s));
    describe_gpus(r, w);
    if (!drain(r, fd, path, &written, err))
        return false;
    if (full)
        str_addf(&c->notes, "stopped: %s holds as much as can be read back\n", path);
    if (!c->look.quiet)
        str_addf(&c->out, "%llu samples of %u GPU%s in %.0f s: %s, %llu bytes%s\nlook at it: dualgpuopt replay %s\n",
                 (unsigned long long)r->samples, watch_count(w), watch_count(w) == 1 ? "" : "s", passed, path,
                 (unsigned long long)written, watch_simulated(w) ? ", simulated" : "", path);
    return true;
}

bool cmd_record(struct cli *c, struct err *err)
{
    static struct recorder r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct sampler_sink sink = {.to = &r, .sample = record_sample, .processes = record_processes};
    struct watch *w = NULL;
    double seconds = 0;
    if (!read_seconds(c, &seconds, err))
        return false;
    own_fd int fd = create(c->words.word[0], err);
    if (fd < 0)
        return false;
    bool ok = cli_watch(c, 2, true, &sink, &w, err);
    if (!ok)
        unlink(c->words.word[0]);
    ok = ok && record(c, &r, w, fd, seconds, err);
    watch_stop(w);
    str_finish(&r.waiting);
    return ok;
}

/* ---- gpu watch, replay ---- */

static const char *time_text(int64_t wall_ns, char out[16])
{
    time_t s = (time_t)(wall_ns / CLOCK_NS_PER_S);
    struct tm tm;
    if (!localtime_r(&s, &tm) || strftime(out, 16, "%H:%M:%S", &tm) == 0)
        out[0] = 0;
    return out;
}

static void write_line(struct cli *c, const struct gpu_view *v)
{
    const struct sample *s = &v->sample;
    char util[METRIC_TEXT_MAX], heat[METRIC_TEXT_MAX], power[METRIC_TEXT_MAX], memory[64], when[16];
    str_addf(&c->out, "%s %2u %5s  %-23s %5s %6s", time_text(s->wall_ns, when), v->info.index,
             gpu_metric_cell(v, METRIC_UTILIZATION, util), sample_memory_text(s, memory, sizeof(memory)),
             gpu_metric_cell(v, METRIC_TEMPERATURE, heat), gpu_metric_cell(v, METRIC_POWER, power));
    if (sample_has(s, METRIC_PCIE_TX) && sample_has(s, METRIC_PCIE_RX))
        str_addf(&c->out, " %6.1f/%-6.1f", s->value[METRIC_PCIE_TX] / 1048576, s->value[METRIC_PCIE_RX] / 1048576);
    else
        str_addf(&c->out, " %6s%7s", "-", "");
    const char *word = gpu_word(v);
    if (strcmp(word, "ok") != 0)
        str_addf(&c->out, "  %s", word);
    while (c->out.len && c->out.data[c->out.len - 1] == ' ')
        c->out.data[--c->out.len] = 0;
    str_add(&c->out, "\n");
}

static void write_plain(struct cli *c, const struct gpu_view *v)
{
    const struct sample *s = &v->sample;
    char when[CLOCK_TEXT_MAX];
    str_addf(&c->out, "%s\t%u\t%s", clock_rfc3339(s->wall_ns, when), v->info.index, gpu_state_name[v->health.state]);
    for (int m = 0; m < METRIC_COUNT; m++)
        sample_has(s, (enum metric)m) ? str_addf(&c->out, "\t%.17g", s->value[m]) : str_add(&c->out, "\t");
    str_add(&c->out, "\n");
}

/* One document a line, so that a program can read them as they come. */
static void write_json_line(struct cli *c, const struct gpu_view *v)
{
    struct json j;
    char when[CLOCK_TEXT_MAX];
    json_init(&j, &c->out, false, NULL);
    json_open_object(&j);
    json_key_str(&j, "schema", "dualgpuopt/v1");
    json_key_str(&j, "kind", "sample");
    json_key_str(&j, "time", clock_rfc3339(v->sample.wall_ns, when));
    json_key_u64(&j, "gpu", v->info.index);
    json_key_str(&j, "uuid", v->info.uuid[0] ? v->info.uuid : NULL);
    json_key_bool(&j, "simulated", v->info.simulated);
    json_key_str(&j, "state", gpu_state_name[v->health.state]);
    json_key_str(&j, "level", level_name[v->level.level]);
    json_key(&j, "sample");
    sample_json(&j, &v->sample);
    json_close_object(&j);
    json_end(&j);
    str_add(&c->out, "\n");
}

static void write_heading(struct cli *c, struct watch *w)
{
    if (c->look.quiet || c->look.json)
        return;
    if (c->look.plain) {
        str_add(&c->out, "time\tgpu\tstate");
        for (int m = 0; m < METRIC_COUNT; m++)
            str_addf(&c->out, "\t%s", metric_info[m].name);
        str_add(&c->out, "\n");
        return;
    }
    struct gpu_view v;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        str_addf(&c->out, "GPU %u %s%s\n", i, gpu_short_name(v.info.name), v.info.simulated ? "   SIMULATED" : "");
    }
    str_add(&c->out, "TIME    GPU  UTIL  MEMORY                   TEMP  POWER  TX/RX MB/s\n");
}

struct line_state {
    uint64_t mono_ns[TELEMETRY_MAX_GPUS];
    enum gpu_state state[TELEMETRY_MAX_GPUS];
    struct level_hold hold[TELEMETRY_MAX_GPUS];
};

static void write_one(struct cli *c, const struct gpu_view *v)
{
    if (c->look.json)
        write_json_line(c, v);
    else if (c->look.plain)
        write_plain(c, v);
    else if (c->look.accessible)
        gpu_sentences(c, v);
    else
        write_line(c, v);
}

/* A line for every sample that has come since, and one when a GPU's state changes without one. */
static void write_news(struct cli *c, struct watch *w, uint32_t only, struct line_state *seen)
{
    static struct sample fresh[NEWS_MOST];
    struct gpu_view v;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        if (only != UINT32_MAX && i != only)
            continue;
        watch_view(w, i, &v);
        enum gpu_state now = v.health.state;
        size_t n = history_since(watch_history(w), i, seen->mono_ns[i] + 1, fresh, NEWS_MOST);
        for (size_t k = 0; k < n; k++) {
            v.sample = fresh[k];
            v.has_sample = true;
            v.health.state = k + 1 < n ? (enum gpu_state)fresh[k].state : now;
            level_read(&v.sample, &level_table_default, &v.level);
            v.level.level = level_steady(&seen->hold[i], &v.sample, &level_table_default);
            write_one(c, &v);
            seen->mono_ns[i] = fresh[k].mono_ns;
        }
        if (n == 0 && now != seen->state[i])
            write_one(c, &v);
        seen->state[i] = now;
    }
}

static bool write_lines(struct cli *c, struct watch *w, uint32_t only, double interval, double seconds)
{
    static struct line_state seen;
    uint64_t start_ns = clock_mono_ns();
    interrupt_watch();
    write_heading(c, w);
    for (;;) {
        bool ended = watch_ended(w);
        write_news(c, w, only, &seen);
        if (!cli_flush(c))
            return true;
        double passed = (double)(clock_mono_ns() - start_ns) / 1e9;
        if (ended || (seconds > 0 && passed >= seconds) || !interrupt_sleep(interval < 0.2 ? interval / 2 : 0.1))
            return true;
    }
}

bool cmd_gpu_watch(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    uint32_t only = UINT32_MAX;
    double interval = 1, seconds = 0;
    if (!cli_interval(c, &interval, err) || !read_seconds(c, &seconds, err) || !cli_watch(c, 2, false, NULL, &w, err))
        return false;
    if (c->words.n_words > 0 && !cli_find_gpu(w, c->words.word[0], &only, err))
        return false;
    return write_lines(c, w, only, interval, seconds);
}

static bool read_speed(struct cli *c, double *out, struct err *err)
{
    const char *text = c->words.value[OPTION_SPEED];
    *out = 1;
    if (!text || str_parse_f64(text, 0.01, 3600, out))
        return true;
    err_set(err, ERR_9002, "--speed cannot be \"%s\"", text);
    return err_fix(err, NULL, "between 0.01 and 3600 times as fast as it was");
}

bool cmd_replay(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    double speed = 1, seconds = 0;
    struct watch_options o = {.seconds = 60};
    if (!read_speed(c, &speed, err) || !read_seconds(c, &seconds, err) ||
        !watch_replay(&w, c->words.word[0], speed, &o, err))
        return false;
    watch_settle(w);
    write_lines(c, w, UINT32_MAX, 0.02, seconds);
    if (watch_truncated(w))
        str_add(&c->notes, "the trace ends within a record or is damaged: what came before it was shown\n");
    return true;
}
