/* host: memory, cores and processor of this machine, from /proc and the control group. */
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static bool read_first_line(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(out, (int)cap, f);
    if (f)
        fclose(f);
    if (ok)
        out[strcspn(out, "\n")] = 0;
    return ok;
}

/* The limit of our own control group (v2), if there is one: a container's memory is what we may plan with. */
static void cut_by_cgroup(const char *root, struct host *h)
{
    char path[512], line[512], group[256] = "";
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (read_first_line(path, line, sizeof(line)) && str_starts(line, "0::/"))
        snprintf(group, sizeof(group), "%.250s", line + 3);
    snprintf(path, sizeof(path), "%s/sys/fs/cgroup%.250s/memory.max", root, group);
    if (!read_first_line(path, line, sizeof(line)) || line[0] < '0' || line[0] > '9')
        return;
    uint64_t limit = strtoull(line, NULL, 10), used = 0;
    snprintf(path, sizeof(path), "%s/sys/fs/cgroup%.250s/memory.current", root, group);
    if (read_first_line(path, line, sizeof(line)))
        used = strtoull(line, NULL, 10);
    if (!limit || limit >= h->total_bytes)
        return;
    h->total_bytes = limit;
    uint64_t left = used < limit ? limit - used : 0;
    if (left < h->free_bytes)
        h->free_bytes = left;
}

static void read_cpu(const char *root, struct host *h)
{
    char path[512], line[4096];
    snprintf(path, sizeof(path), "%s/proc/cpuinfo", root);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    while (fgets(line, sizeof(line), f)) {
        if (str_starts(line, "processor"))
            h->cores++;
        else if (str_starts(line, "flags") && strstr(line, " avx2"))
            h->avx2 = true;
    }
    fclose(f);
}

bool machine_read_host(const char *proc_root, struct host *out, struct err *err)
{
    const char *root = proc_root ? proc_root : "";
    struct host h = {0};
    char path[512], line[256];
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, ERR_1202, "%s cannot be read", path);
    while (fgets(line, sizeof(line), f)) {
        unsigned long long kib;
        if (sscanf(line, "MemTotal: %llu kB", &kib) == 1 && kib < 1ull << 50)
            h.total_bytes = kib << 10;
        else if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1 && kib < 1ull << 50)
            h.free_bytes = kib << 10;
    }
    fclose(f);
    if (!h.total_bytes)
        return err_set(err, ERR_1202, "%s does not tell MemTotal", path);
    read_cpu(root, &h);
    cut_by_cgroup(root, &h);
    *out = h;
    return true;
}
