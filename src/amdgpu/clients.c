/* clients: remembers which processes have no file of the card, so that a scan costs one stat for
 * each of them. */
#include "amdgpu/clients.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum { PROCESSES_MOST = 32768, FILES_MOST = 65536, KEPT_MAX = 64, TARGET_MAX = 64 };

/* Since Linux 6.2 the size of /proc/PID/fd is the number of open files; before, it is 0 and says
 * nothing. */
static const uint64_t again_ns = 5 * (uint64_t)CLOCK_NS_PER_S,
                      again_counted_ns = 30 * (uint64_t)CLOCK_NS_PER_S;

struct seen {
    uint32_t pid;
    uint32_t n_fds;
    uint64_t inode,
        size;           /* of /proc/PID/fd: a pid that went to another process has another inode */
    uint64_t looked_ns; /* 0: look again */
    bool hidden;
    uint32_t *fds; /* its files of the card; own */
};

struct list {
    struct seen *at;
    uint32_t n, cap;
};

struct clients {
    char *proc; /* root/proc */
    char pci[32];
    uint32_t n_nodes;
    char nodes[DRM_NODES_MAX][DRM_NODE_MAX];
    struct list seen; /* by ascending pid */
};

static void finish_list(struct list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        free(l->at[i].fds);
    free(l->at);
    *l = (struct list){0};
}

struct clients *clients_new(const char *proc_root, const char *pci,
                            const struct drm_identity *identity)
{
    struct clients *c = calloc(1, sizeof(*c));
    const char *root = proc_root ? proc_root : "";
    size_t len = strlen(root) + sizeof("/proc");
    if (!c || !(c->proc = malloc(len))) {
        free(c);
        return NULL;
    }
    snprintf(c->proc, len, "%s/proc", root);
    snprintf(c->pci, sizeof(c->pci), "%s", pci);
    c->n_nodes = identity->n_nodes;
    memcpy(c->nodes, identity->nodes, sizeof(c->nodes));
    return c;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    finish_list(&c->seen);
    free(c->proc);
    free(c);
}

/* ---- one process's open files ---- */

static bool is_node(const struct clients *c, const char *target)
{
    if (!str_starts(target, "/dev/dri/"))
        return false;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        if (strcmp(target + strlen("/dev/dri/"), c->nodes[i]) == 0)
            return true;
    return c->n_nodes == 0;
}

static void look_at_files(const struct clients *c, int proc, struct seen *s, uint64_t now_ns)
{
    char path[48], target[TARGET_MAX];
    uint32_t fds[KEPT_MAX], n = 0;
    const struct dirent *entry;
    int64_t fd;
    snprintf(path, sizeof(path), "%" PRIu32 "/fd", s->pid);
    int folder = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = folder >= 0 ? fdopendir(folder) : NULL;
    s->hidden = folder < 0 && (errno == EACCES || errno == EPERM);
    for (int i = 0; dir && i < FILES_MOST && n < KEPT_MAX && (entry = readdir(dir)); i++) {
        if (!str_parse_i64(entry->d_name, 0, INT32_MAX, false, &fd))
            continue;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = 0;
        if (is_node(c, target))
            fds[n++] = (uint32_t)fd;
    }
    if (dir)
        closedir(dir);
    else if (folder >= 0)
        close(folder);
    free(s->fds);
    s->fds = n ? malloc(n * sizeof(*fds)) : NULL;
    s->n_fds = s->fds ? n : 0;
    if (s->fds)
        memcpy(s->fds, fds, n * sizeof(*fds));
    s->looked_ns = n && !s->fds ? 0 : now_ns;
}

/* ---- what one open file tells ---- */

static enum client_engine engine_of(const char *name)
{
    static const struct {
        const char *name;
        enum client_engine engine;
    } engines[] = {
        {"gfx",     CLIENT_GRAPHICS},
        {"render",  CLIENT_GRAPHICS},
        {"rcs",     CLIENT_GRAPHICS},
        {"compute", CLIENT_COMPUTE },
        {"ccs",     CLIENT_COMPUTE },
        {"enc",     CLIENT_ENCODE  },
        {"enc_1",   CLIENT_ENCODE  },
        {"dec",     CLIENT_DECODE  },
        {"jpeg",    CLIENT_DECODE  },
        {"video",   CLIENT_DECODE  },
        {"vcs",     CLIENT_DECODE  },
    };
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (strcmp(name, engines[i].name) == 0)
            return engines[i].engine;
    return CLIENT_ENGINE_COUNT;
}

static bool is_local(const char *region)
{
    return str_starts(region, "vram") || str_starts(region, "local") ||
           str_starts(region, "stolen-local");
}

static bool is_system(const char *region)
{
    return str_starts(region, "gtt") || str_starts(region, "system") ||
           str_starts(region, "stolen-system");
}

static void add_capped(uint64_t *to, uint64_t more)
{
    if (__builtin_add_overflow(*to, more, to))
        *to = UINT64_MAX;
}

static struct client client_of(uint32_t pid, const struct fdinfo *f)
{
    struct client c = {.pid = pid, .id = f->client_id};
    for (uint32_t i = 0; i < f->n_engines; i++) {
        const struct fdinfo_engine *e = &f->engine[i];
        enum client_engine k = engine_of(e->name);
        bool cycles = e->has_cycles && e->has_total;
        if (k == CLIENT_ENGINE_COUNT || (!e->has_ns && !cycles))
            continue;
        c.engine[k].known = true;
        add_capped(&c.engine[k].busy, (cycles ? e->cycles : e->busy_ns) / e->capacity);
        if (cycles && e->total_cycles > c.engine[k].total)
            c.engine[k].total = e->total_cycles;
    }
    for (uint32_t i = 0; i < f->n_regions; i++) {
        const struct fdinfo_region *r = &f->region[i];
        c.knows_memory = true;
        if (is_local(r->name))
            add_capped(&c.local_bytes, r->bytes);
        else if (is_system(r->name))
            add_capped(&c.system_bytes, r->bytes);
    }
    return c;
}

/* Where a client with that id is, or belongs. */
static uint32_t place_of(const struct clients_found *f, uint64_t id)
{
    uint32_t low = 0, high = f->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->at[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool read_fdinfo(int proc, uint32_t pid, uint32_t fd, struct fdinfo *out)
{
    char path[64], text[FDINFO_TEXT_MAX];
    snprintf(path, sizeof(path), "%" PRIu32 "/fdinfo/%" PRIu32, pid, fd);
    int file = openat(proc, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return false;
    size_t len = 0;
    ssize_t n;
    while (len < sizeof(text) && (n = read(file, text + len, sizeof(text) - len)) > 0)
        len += (size_t)n;
    close(file);
    return fdinfo_parse(text, len, out);
}

static void read_files(const struct clients *c, int proc, struct seen *s, struct clients_found *out)
{
    struct fdinfo info;
    for (uint32_t i = 0; i < s->n_fds; i++) {
        if (!read_fdinfo(proc, s->pid, s->fds[i], &info)) {
            s->looked_ns = 0;
            continue;
        }
        if (strcmp(info.pdev, c->pci) != 0)
            continue;
        uint32_t at = place_of(out, info.client_id);
        if (at < out->n && out->at[at].id == info.client_id)
            continue;
        if (out->n == CLIENTS_MAX) {
            out->left_out = true;
            return;
        }
        memmove(&out->at[at + 1], &out->at[at], (out->n - at) * sizeof(out->at[0]));
        out->at[at] = client_of(s->pid, &info);
        out->n++;
    }
}

/* ---- all processes ---- */

static bool add_process(struct list *l, uint32_t pid)
{
    if (l->n == PROCESSES_MOST)
        return false;
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 256;
        struct seen *at = realloc(l->at, cap * sizeof(*at));
        if (!at)
            return false;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = (struct seen){.pid = pid};
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool list_processes(int proc, struct list *out)
{
    int folder = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = folder >= 0 ? fdopendir(folder) : NULL;
    const struct dirent *entry;
    int64_t pid;
    if (!dir && folder >= 0)
        close(folder);
    while (dir && (entry = readdir(dir)))
        if (str_parse_i64(entry->d_name, 1, UINT32_MAX, false, &pid) &&
            !add_process(out, (uint32_t)pid))
            break;
    if (dir)
        closedir(dir);
    if (out->n)
        qsort(out->at, out->n, sizeof(out->at[0]), by_pid);
    return dir != NULL;
}

/* What was known of the same process moves over; *from goes along, as both lists ascend. */
static void inherit(struct list *old, uint32_t *from, struct seen *s)
{
    while (*from < old->n && old->at[*from].pid < s->pid)
        (*from)++;
    if (*from == old->n || old->at[*from].pid != s->pid)
        return;
    struct seen *o = &old->at[*from];
    uint64_t inode = s->inode, size = s->size;
    if (o->inode != inode)
        return;
    *s = *o;
    o->fds = NULL;
    o->n_fds = 0;
    if (s->size != size)
        s->looked_ns = 0;
    s->size = size;
}

bool clients_scan(struct clients *c, uint64_t now_ns, struct clients_found *out)
{
    struct list now = {0};
    struct stat st;
    char path[48];
    int proc = open(c->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    out->n = out->hidden = 0;
    out->left_out = false;
    if (proc < 0 || !list_processes(proc, &now)) {
        if (proc >= 0)
            close(proc);
        return false;
    }
    bool counted = fstatat(proc, "self/fd", &st, 0) == 0 && st.st_size > 0;
    uint32_t from = 0;
    for (uint32_t i = 0; i < now.n; i++) {
        struct seen *s = &now.at[i];
        snprintf(path, sizeof(path), "%" PRIu32 "/fd", s->pid);
        if (fstatat(proc, path, &st, 0) != 0)
            continue;
        s->inode = st.st_ino;
        s->size = (uint64_t)st.st_size;
        inherit(&c->seen, &from, s);
        if (counted && !s->size)
            continue; /* a kernel thread */
        if (!s->looked_ns || now_ns - s->looked_ns >= (counted ? again_counted_ns : again_ns))
            look_at_files(c, proc, s, now_ns);
        out->hidden += s->hidden;
        read_files(c, proc, s, out);
    }
    close(proc);
    finish_list(&c->seen);
    c->seen = now;
    return true;
}
