/* kernel_log: what the kernel's log says of NVIDIA's cards. */
#ifndef DOCTOR_KERNEL_LOG_H
#define DOCTOR_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "doctor/xid.h"

enum { KERNEL_LOG_MOST = 4 << 20 };

struct kernel_log {
    struct str text; /* records, one a line */
};

/* The newest KERNEL_LOG_MOST bytes of root's /dev/kmsg; false where it may not be read. */
bool kernel_log_read(const char *root, struct kernel_log *out);
void kernel_log_finish(struct kernel_log *l);

/* The driver errors of the card at `pci` ("0000:41:00.0") in text[len]. */
void kernel_log_xids(const char *text, size_t len, const char *pci, struct xid_seen *seen);

/* The lines that are about NVIDIA's driver or nouveau, at most the last `most`. */
void kernel_log_lines(const char *text, size_t len, size_t most, struct str *out);

#endif
