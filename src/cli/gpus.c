/* gpus: opens the watch as the command line wants it, and writes what the commands about GPUs have in common. */
#include "cli/gpus.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "api/gpus_json.h"
#include "base/own.h"
#include "base/table.h"

static const uint64_t shown_least = UINT64_C(64) << 20; /* less would show as 0.0 GiB */
static const double interval_least = 0.02, interval_most = 100;

bool cli_interval(struct cli *c, double *out, struct err *err)
{
    const char *text = c->words.value[OPTION_INTERVAL];
    bool set = false;
    *out = 1;
    if (!text)
        return variable_read(VARIABLE_ID_POLL_INTERVAL, &set, out, err);
    if (str_parse_f64(text, interval_least, interval_most, out))
        return true;
    err_set(err, ERR_9002, "--interval cannot be \"%s\"", text);
    return err_fix(err, NULL, "seconds between %g and %g", interval_least, interval_most);
}

bool cli_watch_start(struct cli *c, double interval, double seconds, bool processes, const struct sampler_sink *also,
                     struct watch **out, struct err *err)
{
    double limit = 0;
    bool set = false;
    if (!variable_read(VARIABLE_ID_GPU_COUNT, &set, &limit, err))
        return false;
    struct watch_options o = {
        .hz = 1 / interval,
        .seconds = seconds,
        .process_s = processes ? 0 : -1,
        .also = also,
        .gpu_limit = set ? (uint32_t)limit : 0,
        .sysfs_root = c->words.value[OPTION_SYSFS_ROOT],
        .proc_root = c->words.value[OPTION_PROC_ROOT],
    };
    return watch_start(out, &o, err);
}

bool cli_watch(struct cli *c, double seconds, bool processes, const struct sampler_sink *also, struct watch **out,
               struct err *err)
{
    double interval = 1;
    if (!cli_interval(c, &interval, err) || !cli_watch_start(c, interval, seconds, processes, also, out, err))
        return false;
    watch_settle(*out);
    return true;
}

static bool names(const struct gpu_view *v, uint32_t index, const char *word)
{
    int64_t n;
    if (str_parse_i64(word, 0, TELEMETRY_MAX_GPUS, false, &n))
        return (uint32_t)n == index;
    size_t len = strlen(word);
    bool uuid = len >= 8 && strncasecmp(v->info.uuid, word, len) == 0;
    return uuid || strcasecmp(v->info.pci, word) == 0 || (len >= 7 && str_ends(v->info.pci, word));
}

bool cli_find_gpu(struct watch *w, const char *word, uint32_t *out, struct err *err)
{
    struct gpu_view v;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        if (names(&v, i, word)) {
            *out = i;
            return true;
        }
    }
    err_set(err, ERR_1106, "no GPU \"%s\" in this machine", word);
    for (uint32_t i = 0; i < watch_count(w) && i < ERR_WHY_MAX; i++) {
        watch_view(w, i, &v);
        err_why(err, "%u is %s, %s, %s", i, gpu_short_name(v.info.name), v.info.pci, v.info.uuid);
    }
    return err_fix(err, "dualgpuopt gpu ls", "name it by its number, its PCI slot or its UUID");
}

void gpus_headline(struct cli *c, struct watch *w)
{
    struct gpu_view v;
    const char *driver = NULL;
    uint32_t n = watch_count(w);
    char name[64] = "";
    if (gethostname(name, sizeof(name) - 1) != 0)
        name[0] = 0;
    for (uint32_t i = 0; i < n && !driver; i++) {
        watch_view(w, i, &v);
        driver = v.info.driver[0] ? v.info.driver : NULL;
    }
    str_addf(&c->out, "%.32s   dualgpuopt %s", name, DUALGPUOPT_VERSION);
    if (driver)
        str_addf(&c->out, "   driver %.20s", driver);
    str_addf(&c->out, "   %u GPU%s%s\n", n, n == 1 ? "" : "s", watch_simulated(w) ? "   SIMULATED" : "");
}

const char *gpu_memory_cell(const struct gpu_view *v, char out[48])
{
    const struct sample *s = &v->sample;
    char a[32], b[32];
    if (!sample_has(s, METRIC_MEMORY_USED) || !sample_has(s, METRIC_MEMORY_TOTAL))
        return "-";
    double reserved = sample_has(s, METRIC_MEMORY_RESERVED) ? s->value[METRIC_MEMORY_RESERVED] : 0;
    snprintf(out, 48, "%s/%s", str_gib((uint64_t)(s->value[METRIC_MEMORY_USED] + reserved), 1, a),
             str_gib((uint64_t)s->value[METRIC_MEMORY_TOTAL], 1, b));
    return out;
}

const char *gpu_metric_cell(const struct gpu_view *v, enum metric m, char out[METRIC_TEXT_MAX])
{
    return sample_has(&v->sample, m) ? metric_text(m, v->sample.value[m], out) : "-";
}

static const char *power_cell(const struct gpu_view *v, char out[48])
{
    const struct sample *s = &v->sample;
    if (!sample_has(s, METRIC_POWER))
        return "-";
    int n = snprintf(out, 48, "%.0f", s->value[METRIC_POWER]);
    if (sample_has(s, METRIC_POWER_LIMIT))
        n += snprintf(out + n, 48 - (size_t)n, "/%.0f", s->value[METRIC_POWER_LIMIT]);
    snprintf(out + n, 48 - (size_t)n, " W");
    return out;
}

void gpus_table(struct cli *c, struct watch *w)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width, .ascii = c->look.ascii, .no_heading = c->look.quiet};
    char a[METRIC_TEXT_MAX];
    struct gpu_view v;
    table_column(&t, "GPU", TABLE_LEFT);
    table_column(&t, "USED/TOTAL GiB", TABLE_RIGHT);
    table_column(&t, "UTIL", TABLE_RIGHT);
    table_column(&t, "TEMP", TABLE_RIGHT);
    table_column(&t, "POWER", TABLE_RIGHT);
    table_column(&t, "LINK", TABLE_LEFT);
    table_column(&t, "STATE", TABLE_LEFT);
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        table_cellf(&t, "%u %s", i, gpu_short_name(v.info.name));
        table_cell(&t, gpu_memory_cell(&v, a));
        table_cell(&t, gpu_metric_cell(&v, METRIC_UTILIZATION, a));
        table_cell(&t, gpu_metric_cell(&v, METRIC_TEMPERATURE, a));
        table_cell(&t, power_cell(&v, a));
        table_cell(&t, gpu_link_text(&v, a));
        table_cell(&t, gpu_word(&v));
    }
    table_write(&t, &style, &c->out);
}

bool gpus_document(struct cli *c, struct watch *w, const char *kind, struct err *err)
{
    struct json j;
    own_free struct gpu_view *views = watch_views(w, err);
    if (!views)
        return false;
    cli_json_start(c, &j, kind);
    gpus_json(&j, views, watch_count(w));
    return cli_json_finish(c, &j, err);
}

void gpus_findings(struct cli *c, struct watch *w)
{
    char sentence[GPU_SENTENCE_MAX];
    struct gpu_view v;
    bool first = true;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        if (!gpu_sentence(&v, sentence)[0])
            continue;
        char lead[32];
        if (first)
            str_add(&c->out, "\n");
        first = false;
        snprintf(lead, sizeof(lead), "! GPU %u ", i);
        text_wrap(&c->out, lead, 2, sentence, c->look.width);
    }
}

void gpu_sentences(struct cli *c, const struct gpu_view *v)
{
    char a[METRIC_TEXT_MAX], pcie[64], sentence[GPU_SENTENCE_MAX];
    const struct sample *s = &v->sample;
    str_addf(&c->out, "GPU %u %s%s: ", v->info.index, gpu_short_name(v->info.name),
             v->info.simulated ? " (simulated)" : "");
    if (sample_has(s, METRIC_MEMORY_USED) && sample_has(s, METRIC_MEMORY_TOTAL)) {
        char used[32], total[32];
        str_addf(&c->out, "%s of %s GiB used. ", str_gib((uint64_t)s->value[METRIC_MEMORY_USED], 1, used),
                 str_gib((uint64_t)s->value[METRIC_MEMORY_TOTAL], 1, total));
    }
    if (sample_has(s, METRIC_UTILIZATION))
        str_addf(&c->out, "%s busy. ", metric_text(METRIC_UTILIZATION, s->value[METRIC_UTILIZATION], a));
    if (sample_has(s, METRIC_TEMPERATURE))
        str_addf(&c->out, "%s. ", metric_text(METRIC_TEMPERATURE, s->value[METRIC_TEMPERATURE], a));
    if (sample_has(s, METRIC_POWER))
        str_addf(&c->out, "%s. ", metric_text(METRIC_POWER, s->value[METRIC_POWER], a));
    if (sample_pcie_text(s, pcie, sizeof(pcie))[0])
        str_addf(&c->out, "PCIe %s. ", pcie);
    if (gpu_sentence(v, sentence)[0])
        str_addf(&c->out, "It %s.\n", sentence);
    else
        str_addf(&c->out, "State %s.\n", gpu_word(v));
}

const char *gpu_user(uint32_t uid, char out[64])
{
    struct passwd entry, *found = NULL;
    char raw[4096];
    out[0] = 0;
    if (uid == UINT32_MAX)
        return out;
    if (getpwuid_r(uid, &entry, raw, sizeof(raw), &found) == 0 && found)
        return str_printable(found->pw_name, strlen(found->pw_name), out, 64);
    snprintf(out, 64, "%u", uid);
    return out;
}

static const char *since_cell(const struct process *p, char out[32])
{
    time_t since = (time_t)p->since_s;
    struct tm tm;
    return since > 0 && localtime_r(&since, &tm) && strftime(out, 32, "%m-%d %H:%M", &tm) ? out : "-";
}

void gpu_process_table(struct cli *c, const struct gpu_view *v)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width, .ascii = c->look.ascii, .indent = 2};
    char gib[32], text[METRIC_TEXT_MAX], day[32], user[64];
    const struct process_table *p = &v->processes;
    table_column(&t, "PID", TABLE_RIGHT);
    table_column(&t, "NAME", TABLE_LEFT);
    table_column(&t, "USER", TABLE_LEFT);
    table_column(&t, "SINCE", TABLE_LEFT);
    table_column(&t, "GiB", TABLE_RIGHT);
    table_column(&t, "SM", TABLE_RIGHT);
    table_column(&t, "WHERE", TABLE_LEFT);
    for (uint32_t i = 0; i < p->n; i++) {
        const struct process *one = &p->process[i];
        table_cellf(&t, "%u", one->pid);
        table_cell(&t, one->name[0] ? one->name : "?");
        table_cell(&t, gpu_user(one->uid, user));
        table_cell(&t, since_cell(one, day));
        table_cell(&t, one->memory_bytes != UINT64_MAX ? str_gib(one->memory_bytes, 1, gib) : "-");
        table_cell(&t, one->sm >= 0 ? metric_text(METRIC_UTILIZATION, (double)one->sm, text) : "-");
        table_cell(&t, one->container[0] ? one->container : one->local_pid || v->info.simulated ? "host" : "not visible here");
    }
    table_write(&t, &style, &c->out);
    if (p->unattributed_bytes != UINT64_MAX && p->unattributed_bytes >= shown_least)
        str_addf(&c->out, "  %s GiB are used by nobody in this list\n", str_gib(p->unattributed_bytes, 1, gib));
}

bool cli_flush(struct cli *c)
{
    bool ok = true;
    for (size_t done = 0; ok && done < c->out.len;) {
        ssize_t n = write(STDOUT_FILENO, c->out.data + done, c->out.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        ok = n > 0;
        done += ok ? (size_t)n : 0;
    }
    str_finish(&c->out);
    return ok;
}
