/* gpus: what the commands that look at GPUs share. */
#ifndef CLI_GPUS_H
#define CLI_GPUS_H

#include "api/gpu_words.h"
#include "cli/cli.h"

/* Watch this machine's GPUs with the options and variables of the command line; processes: read their lists too; also may be
 * NULL. */
bool cli_watch(struct cli *c, double seconds, bool processes, const struct sampler_sink *also, struct watch **out,
               struct err *err);

/* The same with a period, and without waiting for the first samples. */
bool cli_watch_start(struct cli *c, double interval, double seconds, bool processes, const struct sampler_sink *also,
                     struct watch **out, struct err *err);

/* Seconds between samples: --interval, DUALGPUOPT_POLL_INTERVAL, 1. */
bool cli_interval(struct cli *c, double *out, struct err *err);

/* The GPU that a word names: its index, its UUID or the start of one, its PCI slot. ERR_1106 lists what there is. */
bool cli_find_gpu(struct watch *w, const char *word, uint32_t *out, struct err *err);

/* "dualgpuopt 0.1.0   driver 610.57   2 GPUs   SIMULATED" */
void gpus_headline(struct cli *c, struct watch *w);

/* The table of `status`. */
void gpus_table(struct cli *c, struct watch *w);

/* All GPUs as a document of that kind. */
bool gpus_document(struct cli *c, struct watch *w, const char *kind, struct err *err);

/* One line for each GPU that wants attention. */
void gpus_findings(struct cli *c, struct watch *w);

/* One GPU in sentences, for a screen reader. */
void gpu_sentences(struct cli *c, const struct gpu_view *v);

/* "12.3/24.0" GiB or "-"; "36%" or "-": cells of tables. */
const char *gpu_memory_cell(const struct gpu_view *v, char out[48]);
const char *gpu_metric_cell(const struct gpu_view *v, enum metric m, char out[METRIC_TEXT_MAX]);

/* Who holds memory there: a table, and what nobody in it holds. */
void gpu_process_table(struct cli *c, const struct gpu_view *v);

/* The user's name, his number where he has none, "" unknown; returns out. */
const char *gpu_user(uint32_t uid, char out[64]);

/* What was written so far, at once; false when nobody reads any more. */
bool cli_flush(struct cli *c);

#endif
