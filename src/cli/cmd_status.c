/* cmd_status: what the GPUs of this machine do at this moment, on one screen. */
#include "base/own.h"
#include "cli/first.h"
#include "cli/gpus.h"
#include "cli/interrupt.h"

static void write_plain(struct cli *c, struct watch *w)
{
    struct gpu_view v;
    char link[32];
    for (uint32_t i = 0; i < watch_count(w); i++) {
        watch_view(w, i, &v);
        const struct sample *s = &v.sample;
        str_addf(&c->out, "%u\t%s\t%s\t%s", i, gpu_short_name(v.info.name), v.info.uuid, gpu_word(&v));
        static const enum metric columns[] = {METRIC_MEMORY_USED, METRIC_MEMORY_TOTAL, METRIC_UTILIZATION,
                                              METRIC_TEMPERATURE, METRIC_POWER,        METRIC_POWER_LIMIT};
        for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++)
            sample_has(s, columns[k]) ? str_addf(&c->out, "\t%.0f", s->value[columns[k]]) : str_add(&c->out, "\t");
        str_addf(&c->out, "\t%s\n", gpu_link_text(&v, link));
    }
}

static void write_status(struct cli *c, struct watch *w)
{
    struct gpu_view v;
    if (c->look.plain) {
        write_plain(c, w);
    } else if (c->look.accessible) {
        for (uint32_t i = 0; i < watch_count(w); i++) {
            watch_view(w, i, &v);
            gpu_sentences(c, &v);
        }
    } else {
        if (!c->look.quiet) {
            gpus_headline(c, w);
            str_add(&c->out, "\n");
        }
        gpus_table(c, w);
        gpus_findings(c, w);
    }
}

/* A screen every interval until it is interrupted or nobody reads. */
static bool watch_status(struct cli *c, struct watch *w, struct err *err)
{
    double interval = 1;
    if (!cli_interval(c, &interval, err))
        return false;
    interrupt_watch();
    bool terminal = isatty(STDOUT_FILENO) && !c->look.plain && !c->look.json && !c->look.accessible;
    do {
        if (terminal)
            str_add(&c->out, "\033[H\033[2J");
        if (c->look.json ? !gpus_document(c, w, "status", err) : false)
            return false;
        if (!c->look.json)
            write_status(c, w);
        if (!cli_flush(c))
            return true;
    } while (interrupt_sleep(interval));
    return true;
}

bool cmd_status(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    if (c->words.bare && first_is_now(c)) {
        first_look(c);
        return true;
    }
    if (!cli_watch(c, 2, c->look.json, NULL, &w, err))
        return false;
    if (given(c, OPTION_WATCH))
        return watch_status(c, w, err);
    if (c->look.json)
        return gpus_document(c, w, "status", err);
    write_status(c, w);
    return true;
}
