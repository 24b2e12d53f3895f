/* kernel_log: reads /dev/kmsg without waiting, and finds NVRM's lines in it. */
#include "doctor/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/own.h"

enum { RECORD_MOST = 8192, FAILURES_MOST = 1000, XID_MOST = 1000, SLOT_LETTERS = 10 };

static const struct xid xids[] = {
#define XID(number, serious, means, mends) {number, serious, means, mends},
#include "doctor/xids.def"
};

const struct xid *xid_find(uint32_t number)
{
    for (size_t i = 1; i < sizeof(xids) / sizeof(xids[0]); i++)
        if (xids[i].number == number)
            return &xids[i];
    return &xids[0];
}

void xid_add(struct xid_seen *seen, uint32_t number)
{
    bool worse = xid_find(number)->serious || !seen->count || !xid_find(seen->worst)->serious;
    seen->count += seen->count < UINT32_MAX;
    if (worse)
        seen->worst = number;
}

bool kernel_log_read(const char *root, struct kernel_log *out)
{
    char path[512], record[RECORD_MOST];
    snprintf(path, sizeof(path), "%.480s/dev/kmsg", root ? root : "");
    own_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;
    for (int failures = 0; failures < FAILURES_MOST && out->text.len < KERNEL_LOG_MOST;) {
        ssize_t n = read(fd, record, sizeof(record));
        if (n > 0)
            str_add_n(&out->text, record, (size_t)n);
        else if (n == 0 ||
                 (errno != EPIPE && errno != EINTR)) /* EPIPE: records were overwritten meanwhile */
            break;
        else
            failures++;
    }
    return !out->text.failed;
}

void kernel_log_finish(struct kernel_log *l)
{
    str_finish(&l->text);
}

/* Where `part` begins in line[len], or NULL. */
static const char *find(const char *line, size_t len, const char *part)
{
    return memmem(line, len, part, strlen(part));
}

/* The number behind "): ", at most three digits. */
static uint32_t number_at(const char *at, const char *end)
{
    uint32_t n = 0;
    while (at < end && (*at == ')' || *at == ':' || *at == ' '))
        at++;
    for (; at < end && *at >= '0' && *at <= '9' && n < XID_MOST; at++)
        n = n * 10 + (uint32_t)(*at - '0');
    return n < XID_MOST ? n : 0;
}

/* "NVRM: Xid (PCI:0000:41:00): 79, pid=...", or in words without a number. */
static uint32_t xid_of(const char *line, size_t len, const char *slot)
{
    const char *nvrm = find(line, len, "NVRM: "), *end = line + len;
    if (!nvrm)
        return 0;
    const char *at = NULL;
    for (const char *p = nvrm; !at && end - p >= SLOT_LETTERS; p++)
        at = strncasecmp(p, slot, SLOT_LETTERS) == 0 ? p : NULL;
    if (!at)
        return 0;
    if (find(nvrm, (size_t)(end - nvrm), "fallen off the bus") &&
        !find(nvrm, (size_t)(end - nvrm), "Xid"))
        return 79;
    return find(nvrm, (size_t)(at - nvrm), "Xid (") ? number_at(at + SLOT_LETTERS, end) : 0;
}

void kernel_log_xids(const char *text, size_t len, const char *pci, struct xid_seen *seen)
{
    if (strlen(pci) < SLOT_LETTERS)
        return;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (text + at)) : len - at;
        uint32_t number = xid_of(text + at, n, pci);
        if (number)
            xid_add(seen, number);
        at += n + 1;
    }
}

static bool is_ours(const char *line, size_t len)
{
    static const char *const parts[] = {"NVRM", "nvidia", "nouveau", "Xid"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (find(line, len, parts[i]))
            return true;
    return false;
}

void kernel_log_lines(const char *text, size_t len, size_t most, struct str *out)
{
    size_t kept = 0, from = len;
    while (from > 0 && kept < most) {
        size_t end = from - (text[from - 1] == '\n'), begin = end;
        while (begin > 0 && text[begin - 1] != '\n')
            begin--;
        kept += is_ours(text + begin, end - begin);
        from = begin;
    }
    for (size_t at = from; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (text + at)) : len - at;
        if (is_ours(text + at, n)) {
            str_add_printable(out, text + at, n);
            str_add(out, "\n");
        }
        at += n + 1;
    }
}
