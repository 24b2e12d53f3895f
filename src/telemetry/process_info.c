/* process_info: reads status, stat, cmdline and cgroup of a process, and maps numbers between PID
 * namespaces. */
#include "telemetry/process_info.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

enum {
    TEXT_MAX = 4096, /* of one file: status has about 1500 bytes */
    PATH_TEXT_MAX = 512,
    LEVELS_MAX = 32, /* PID namespaces nest at most this deep */
    VISIBLE_MAX = 65536,
    CONTAINER_ID = 64, /* hex digits */
};

/* The inode of the kernel's first PID namespace, whose numbers drivers use (PROC_PID_INIT_INO). */
#define FIRST_NAMESPACE "pid:[4026531836]"

static ssize_t read_file(const char *root, const char *process, const char *name,
                         char out[TEXT_MAX])
{
    char path[PATH_TEXT_MAX];
    int n = snprintf(path, sizeof(path), "%s/proc/%s/%s", root ? root : "", process, name);
    out[0] = 0;
    return n > 0 && (size_t)n < sizeof(path) ? file_read_text(path, out, TEXT_MAX) : -1;
}

/* What follows "key:" at the start of a line, or NULL. */
static const char *line_of(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            return line + len + 1;
    return NULL;
}

/* Numbers on the rest of the line, at most max. */
static size_t numbers_of(const char *line, uint32_t *out, size_t max)
{
    size_t n = 0;
    while (line && n < max) {
        while (*line == ' ' || *line == '\t')
            line++;
        if (!isdigit((unsigned char)*line))
            break;
        char *end;
        unsigned long value = strtoul(line, &end, 10);
        if (value > UINT32_MAX)
            break;
        out[n++] = (uint32_t)value;
        line = end;
    }
    return n;
}

/* A process's numbers from proc_root's namespace (first) down to its own (last). */
static size_t namespaces_of(const char *root, const char *process, uint32_t out[LEVELS_MAX])
{
    char status[TEXT_MAX];
    if (read_file(root, process, "status", status) <= 0)
        return 0;
    size_t n = numbers_of(line_of(status, "NSpid"), out, LEVELS_MAX);
    return n ? n : numbers_of(line_of(status, "Pid"), out, LEVELS_MAX);
}

/* True where the numbers of proc_root are the first namespace's: it is ours, or we lie below what
 * is shown. *surely: it is ours, and a process that is not under its number is nowhere. */
static bool numbers_are_the_drivers(const char *root, size_t our_levels, bool *surely)
{
    char path[PATH_TEXT_MAX], link[64];
    snprintf(path, sizeof(path), "%s/proc/self/ns/pid", root ? root : "");
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    link[n < 0 ? 0 : n] = 0;
    bool first = strcmp(link, FIRST_NAMESPACE) == 0;
    *surely = our_levels == 1 && first;
    return n < 0 || our_levels > 1 || first;
}

uint32_t process_local_pid(const char *proc_root, uint32_t host_pid)
{
    char path[PATH_TEXT_MAX], process[16];
    uint32_t ns[LEVELS_MAX];
    size_t ours = namespaces_of(proc_root, "self", ns);
    snprintf(process, sizeof(process), "%" PRIu32, host_pid);
    bool surely = false;
    if (host_pid && numbers_are_the_drivers(proc_root, ours, &surely) &&
        namespaces_of(proc_root, process, ns) && ns[0] == host_pid)
        return host_pid;
    if (surely) /* the scan below costs a read of every process */
        return 0;

    uint32_t found = 0;
    snprintf(path, sizeof(path), "%s/proc", proc_root ? proc_root : "");
    DIR *dir = host_pid ? opendir(path) : NULL;
    const struct dirent *entry;
    for (int i = 0; dir && !found && i < VISIBLE_MAX && (entry = readdir(dir));) {
        int64_t shown;
        if (!str_parse_i64(entry->d_name, 1, UINT32_MAX, false, &shown))
            continue;
        i++;
        if (shown != host_pid && namespaces_of(proc_root, entry->d_name, ns) && ns[0] == host_pid)
            found = (uint32_t)shown;
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Field 22 of stat, in clock ticks since boot; the name in field 2 may hold blanks and parentheses.
 */
static bool read_start(const char *root, const char *process, uint64_t *out)
{
    char stat[TEXT_MAX];
    if (read_file(root, process, "stat", stat) <= 0)
        return false;
    const char *p = strrchr(stat, ')');
    for (int field = 2; p && field < 22; field++)
        if ((p = strchr(p, ' ')))
            p++;
    if (!p || !isdigit((unsigned char)*p))
        return false;
    *out = strtoull(p, NULL, 10);
    return true;
}

static int64_t since_1970(const char *root, uint64_t ticks)
{
    char path[PATH_TEXT_MAX], line[256];
    long per_s = sysconf(_SC_CLK_TCK);
    unsigned long long boot = 0;
    snprintf(path, sizeof(path), "%s/proc/stat", root ? root : "");
    FILE *f = fopen(path, "re");
    while (f && !boot && fgets(line, sizeof(line), f))
        if (sscanf(line, "btime %llu", &boot) != 1)
            boot = 0;
    if (f)
        fclose(f);
    if (!boot || boot > UINT32_MAX || per_s <= 0)
        return 0;
    return (int64_t)boot + (int64_t)(ticks / (uint64_t)per_s % UINT32_MAX);
}

/* Titles that programs write over their command line stay whole; a path gives its last part,
 * without the options that some keep in the same text. */
static void read_name(const char *root, const char *process, char out[PROCESS_NAME_MAX])
{
    char text[TEXT_MAX];
    char *name = text;
    if (read_file(root, process, "cmdline", text) > 0 && text[0]) {
        char *options = strstr(text, " -");
        if (options)
            *options = 0;
        char *slash = strrchr(text, '/');
        if (slash && slash[1] && (text[0] == '/' || text[0] == '.' || !strchr(text, ' ')))
            name = slash + 1;
    } else {
        read_file(root, process, "comm", text);
        text[strcspn(text, "\n")] = 0;
    }
    str_printable(name, strlen(name), out, PROCESS_NAME_MAX);
}

/* Docker, podman, containerd and Kubernetes all put the 64 hex digits of the container's id into
 * the group's path; the first is the one the host knows. */
static void read_container(const char *root, const char *process, char out[PROCESS_CONTAINER_MAX])
{
    char text[TEXT_MAX];
    out[0] = 0;
    if (read_file(root, process, "cgroup", text) <= 0)
        return;
    for (const char *p = text; *p;) {
        size_t len = strspn(p, "0123456789abcdef");
        if (len == CONTAINER_ID) {
            snprintf(out, PROCESS_CONTAINER_MAX, "%.12s", p);
            return;
        }
        p += len ? len : 1;
    }
}

/* The user and our own number of a process: at the depth at which we ourselves are numbered. */
static bool read_status(const char *root, uint32_t pid, struct process *p)
{
    char process[16], status[TEXT_MAX];
    uint32_t ns[LEVELS_MAX], uid[1];
    size_t depth = namespaces_of(root, "self", ns);
    snprintf(process, sizeof(process), "%" PRIu32, pid);
    if (read_file(root, process, "status", status) <= 0)
        return false;
    p->uid = numbers_of(line_of(status, "Uid"), uid, 1) ? uid[0] : UINT32_MAX;
    size_t n = numbers_of(line_of(status, "NSpid"), ns, LEVELS_MAX);
    if (depth <= 1)
        p->local_pid = pid;
    else
        p->local_pid = n >= depth ? ns[depth - 1] : 0;
    return true;
}

bool process_info_read(const char *proc_root, uint32_t pid, struct process *p)
{
    char process[16];
    uint64_t start, again;
    struct process out = *p;
    snprintf(process, sizeof(process), "%" PRIu32, pid);
    if (!pid || !read_start(proc_root, process, &start) || !read_status(proc_root, pid, &out))
        return false;
    read_name(proc_root, process, out.name);
    read_container(proc_root, process, out.container);
    if (!read_start(proc_root, process, &again) || again != start)
        return false;
    out.since_s = since_1970(proc_root, start);
    *p = out;
    return true;
}
