/* trace: recorded samples as a compact stream of bytes: what a GPU did, to be looked at again later. */
#ifndef TELEMETRY_TRACE_H
#define TELEMETRY_TRACE_H

#include "base/err.h"
#include "base/str.h"
#include "telemetry/sampler.h"

/* The stream: TRACE_MAGIC, then records of a letter, a length (LEB128) and so many bytes:
 *   'M' the metrics' names by number, so that another version of the program understands it
 *   'G' what is fixed of a GPU
 *   'S' a sample: time since the record before, what is present, and the values read anew as differences
 *   'P' a process table
 * Unknown letters are left out. A stream that ends within a record is whole up to it. */
#define TRACE_MAGIC "DGOTRACE"
enum { TRACE_VERSION = 1, TRACE_RECORD_MAX = 1 << 16 };

/* What a writer or a reader remembers from record to record. Zeroed is a valid start. */
struct trace_state {
    bool started;
    uint64_t mono_us;
    int64_t wall_less_mono_us;
    uint8_t record[TRACE_RECORD_MAX]; /* the one that is being made */
    struct {
        bool described, seen;
        uint64_t present;
        int64_t scaled[METRIC_COUNT];
        struct sample sample;
    } gpu[TELEMETRY_MAX_GPUS];
};

/* Append records to out; times are kept to the microsecond, values to 1/1000 of their unit, bytes exactly. */
void trace_add_gpu(struct trace_state *t, const struct gpu_info *info, struct str *out);
void trace_add_sample(struct trace_state *t, const struct sample *s, struct str *out);
void trace_add_processes(struct trace_state *t, const struct process_table *p, struct str *out);

enum trace_record { TRACE_END, TRACE_GPU, TRACE_SAMPLE, TRACE_PROCESSES };

struct trace_reader {
    const uint8_t *at, *end;
    bool truncated; /* after TRACE_END: the stream stopped within a record */
    struct trace_state state;
    int metric[64]; /* our number of the stream's metric, -1 unknown */
    uint32_t n_metrics;
    /* The record that was read. */
    struct gpu_info info;
    struct sample sample;
    struct process_table processes;
};

/* Read from data[size], which must stay. ERR_1301 when it is no trace or of a later version. */
bool trace_open(struct trace_reader *r, const void *data, size_t size, struct err *err);

/* The next record that is understood. ERR_1301 with the offset when a record contradicts itself. */
bool trace_next(struct trace_reader *r, enum trace_record *out, struct err *err);

#endif
