/* truth_rows: rows of what the real engine allocated, read from JSON lines (gzip or plain). */
#ifndef TRUTH_ROWS_H
#define TRUTH_ROWS_H

#include "law/law.h"

struct truth_bytes {
    uint64_t weights, kv, compute;
};

struct truth_row {
    const char *model, *arch, *ftype;
    const char *path; /* the model's file where the row names one, else NULL */
    const char *text; /* the row's settings as they stand in the file */
    bool ok;          /* false: the engine refused */
    bool reserved;    /* compute is what is really reserved, not the engine's own dry figure */
    bool lumped;      /* all cards in one entry: nothing to compare per device */
    bool summed;      /* device[].kv holds KV and compute together (-sm tensor) */
    uint32_t n_devices, n_ctx;
    uint64_t free_mib[MACHINE_MAX_DEVICES];
    bool rpc;
    struct law_settings settings;
    struct truth_bytes device[MACHINE_MAX_DEVICES], host;
    uint64_t repack;
};

/* All rows of a file; they live in arena. False prints why to stderr. */
bool truth_rows_read(const char *path, struct arena *arena, struct truth_row **rows, size_t *n);

/* The machine of a row: imagined cards of its kind, a host with AVX2. */
struct machine truth_machine(const struct truth_row *row);

#endif
