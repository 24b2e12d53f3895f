/* cmd_gpu: `gpu ls`: the GPUs of this machine and who holds their memory; `gpu show`: everything about one. */
#include <string.h>

#include "api/gpus_json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/gpus.h"

enum { NAMED_MOST = 3 };

static void add_processes(struct table *t, const struct gpu_view *v)
{
    own(own_str) struct str list = {0};
    const struct process_table *p = &v->processes;
    char gib[32];
    for (uint32_t i = 0; i < p->n && i < NAMED_MOST; i++) {
        str_addf(&list, "%s%s", i ? ", " : "", p->process[i].name[0] ? p->process[i].name : "?");
        if (p->process[i].memory_bytes != UINT64_MAX)
            str_addf(&list, " %s", str_gib(p->process[i].memory_bytes, 1, gib));
    }
    if (p->n + p->left_out > NAMED_MOST)
        str_addf(&list, " and %d more", p->n + p->left_out - NAMED_MOST);
    table_cell(t, v->health.detail[0] ? v->health.detail : list.data);
}

static const char *gib_cell(const struct gpu_view *v, enum metric m, char out[32])
{
    return sample_has(&v->sample, m) ? str_gib((uint64_t)v->sample.value[m], 1, out) : "-";
}

static const char *short_slot(const struct gpu_view *v)
{
    return str_starts(v->info.pci, "0000:") ? v->info.pci + 5 : v->info.pci;
}

static void write_people(struct cli *c, struct watch *w)
{
    own(own_table) struct table t = {0};
    struct table_style style = {
        .width = c->look.width, .ascii = c->look.ascii, .no_heading = c->look.quiet};
    char a[32];
    struct gpu_view v;
    if (!c->look.quiet)
        gpus_headline(c, w);
    table_column(&t, "GPU", TABLE_LEFT);
    table_column(&t, "PCI", TABLE_LEFT);
    table_column(&t, "TOTAL GiB", TABLE_RIGHT);
    table_column(&t, "FREE GiB", TABLE_RIGHT);
    table_column(&t, "IN USE BY (GiB)", TABLE_LEFT);
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        table_cellf(&t, "%u %s", i, gpu_short_name(v.info.name));
        table_cell(&t, short_slot(&v));
        table_cell(&t, gib_cell(&v, METRIC_MEMORY_TOTAL, a));
        table_cell(&t, gib_cell(&v, METRIC_MEMORY_FREE, a));
        add_processes(&t, &v);
    }
    table_write(&t, &style, &c->out);
    if (!c->look.quiet)
        str_add(&c->out, "\nUUIDs: dualgpuopt gpu ls --plain   one GPU: dualgpuopt gpu show 0\n");
}

static void write_plain(struct cli *c, struct watch *w)
{
    struct gpu_view v;
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        const double *value = v.sample.value;
        str_addf(&c->out, "%u\t%s\t%s\t%s\t%.0f\t%.0f\t%u\n", i, v.info.name, v.info.uuid, v.info.pci,
                 sample_has(&v.sample, METRIC_MEMORY_TOTAL) ? value[METRIC_MEMORY_TOTAL] : 0,
                 sample_has(&v.sample, METRIC_MEMORY_FREE) ? value[METRIC_MEMORY_FREE] : 0,
                 v.processes.n + v.processes.left_out);
    }
}

bool cmd_gpu_ls(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    struct gpu_view v;
    if (!cli_watch(c, 2, true, NULL, &w, err))
        return false;
    if (c->look.json)
        return gpus_document(c, w, "gpus", err);
    if (c->look.plain)
        write_plain(c, w);
    else if (!c->look.accessible)
        write_people(c, w);
    for (uint32_t i = 0; c->look.accessible && i < watch_count(w); i++) {
        watch_view(w, i, &v);
        gpu_sentences(c, &v);
    }
    return true;
}

/* ---- gpu show ---- */

static void fact(struct cli *c, const char *name, const char *text)
{
    if (text && text[0])
        str_addf(&c->out, "  %-20s %s\n", name, text);
}

static void add_identity(struct cli *c, const struct gpu_view *v)
{
    const struct gpu_info *i = &v->info;
    struct arena *a = &c->arena;
    fact(c, "UUID", i->uuid);
    fact(c, "PCI slot", i->pci);
    fact(c, "driver", i->driver);
    fact(c, "compute capability", i->cc_major ? arena_printf(a, "%u.%u", i->cc_major, i->cc_minor) : NULL);
    fact(c, "cores", i->cores ? arena_printf(a, "%u", i->cores) : NULL);
    fact(c, "memory bus", i->bus_width_bits ? arena_printf(a, "%u bits", i->bus_width_bits) : NULL);
    fact(c, "memory bandwidth", i->bandwidth_gbs > 0 ? arena_printf(a, "%.0f GB/s", i->bandwidth_gbs) : NULL);
    fact(c, "largest link", i->pcie_gen_max ? arena_printf(a, "gen%u x%u", i->pcie_gen_max, i->pcie_width_max) : NULL);
    fact(c, "power limits", i->power_max_w ? arena_printf(a, "%u to %u W, %u W by default", i->power_min_w, i->power_max_w,
                                                          i->power_default_w) : NULL);
    fact(c, "slows down, stops at", i->slowdown_c ? arena_printf(a, "%u C, %u C", i->slowdown_c, i->shutdown_c) : NULL);
    fact(c, "split (MIG)", i->mig ? "yes: instances have their own numbers" : NULL);
    fact(c, "memory", i->unified_memory ? "shared with the host" : NULL);
}

static void add_metrics(struct cli *c, const struct gpu_view *v)
{
    const struct sample *s = &v->sample;
    char text[METRIC_TEXT_MAX], words[160];
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (!sample_has(s, (enum metric)m))
            continue;
        const char *shown = metric_text((enum metric)m, s->value[m], text);
        if (m == METRIC_THROTTLE) {
            shown = throttle_text((uint64_t)s->value[m], words, sizeof(words));
            shown = shown[0] ? shown : "no reason that costs speed";
        }
        str_addf(&c->out, "  %-20s %-14s", metric_info[m].name, shown);
        if (s->age_ms[m] > 1500)
            str_addf(&c->out, " %.0f s ago", s->age_ms[m] / 1000.0);
        while (c->out.len && c->out.data[c->out.len - 1] == ' ')
            c->out.data[--c->out.len] = 0;
        str_add(&c->out, "\n");
    }
}

static void write_gpu(struct cli *c, const struct gpu_view *v)
{
    char sentence[GPU_SENTENCE_MAX];
    str_addf(&c->out, "GPU %u %s%s: %s\n", v->info.index, gpu_short_name(v->info.name),
             v->info.simulated ? "   SIMULATED" : "", gpu_word(v));
    if (gpu_sentence(v, sentence)[0])
        text_wrap(&c->out, "! It ", 2, sentence, c->look.width);
    str_add(&c->out, "\nCard\n");
    add_identity(c, v);
    if (v->has_sample) {
        str_add(&c->out, "\nNow\n");
        add_metrics(c, v);
    }
    str_add(&c->out, "\nProcesses\n");
    if (v->has_processes && v->processes.known && v->processes.n)
        gpu_process_table(c, v);
    else
        str_addf(&c->out, "  %s\n", v->has_processes && v->processes.known ? "none" : "the driver does not tell");
}

bool cmd_gpu_show(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    struct gpu_view v;
    struct json j;
    uint32_t gpu = 0;
    if (!cli_watch(c, 2, true, NULL, &w, err) || !cli_find_gpu(w, c->words.word[0], &gpu, err))
        return false;
    watch_view(w, gpu, &v);
    if (c->look.json) {
        cli_json_start(c, &j, "gpu");
        json_key_bool(&j, "simulated", v.info.simulated);
        json_key(&j, "gpu");
        gpu_json(&j, &v);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.accessible)
        gpu_sentences(c, &v);
    else
        write_gpu(c, &v);
    return true;
}
