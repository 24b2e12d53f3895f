/* history: the last samples of every GPU in RAM, by time; filled by the sampler's threads, read by the faces. */
#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include "base/err.h"
#include "telemetry/sample.h"

struct history;

/* Room for `seconds` (1..86400) of samples at up to `hz` (0.01..50) of `gpus` GPUs (1..TELEMETRY_MAX_GPUS), and the newest
 * process table of each. Everything is allocated here; pushing never allocates, and waits for readers no longer
 * than a copy of one sample takes. */
bool history_new(struct history **out, uint32_t gpus, double hz, double seconds, struct err *err);
void history_free(struct history *h);

/* For struct sampler_sink: `to` is the history. Samples of a GPU must come in the order of their time. */
void history_push(void *history, const struct sample *s);
void history_push_processes(void *history, const struct process_table *t);

/* The newest sample; false when there is none (yet), or no such GPU. */
bool history_newest(struct history *h, uint32_t gpu, struct sample *out);
bool history_processes(struct history *h, uint32_t gpu, struct process_table *out);

/* Samples of a GPU read at or after from_ns (mono), oldest first, at most max; returns how many. An unknown GPU has
 * none. When there are more than max, the newest. */
size_t history_since(struct history *h, uint32_t gpu, uint64_t from_ns, struct sample *out, size_t max);

/* One metric of a GPU since from_ns in `bins` equal spans up to until_ns: least, mean and largest of each; NAN where nothing was
 * known. Returns how many samples were counted. */
size_t history_bins(struct history *h, uint32_t gpu, enum metric m, uint64_t from_ns, uint64_t until_ns,
                    size_t bins, double *low, double *mean, double *high);

/* Mean of a metric over all GPUs' newest samples that have it; NAN if none. */
double history_mean(struct history *h, enum metric m);

#endif
