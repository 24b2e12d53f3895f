/* nvml_processes: who holds memory on a card, and how much of it each keeps busy. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "telemetry/nvml_card.h"
#include "telemetry/process_info.h"

/* So many that the scratch space is large enough to be pages of its own: what no list fills is never touched. */
enum { LIST_MOST = 2048, USE_MOST = 1024, WIDE_ENTRY = 32 };

struct entry {
    uint32_t pid;
    uint8_t type;
    uint64_t bytes;
};

struct list {
    struct entry at[LIST_MOST];
    uint32_t n;
};

/* A pid in both lists computes and draws: one entry, the larger size. */
static void add(struct list *list, uint32_t pid, uint64_t bytes, uint8_t type)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct entry *e = &list->at[i];
        if (e->pid != pid)
            continue;
        e->type |= type;
        if (e->bytes == UINT64_MAX || (bytes != UINT64_MAX && bytes > e->bytes))
            e->bytes = bytes;
        return;
    }
    if (list->n < LIST_MOST)
        list->at[list->n++] = (struct entry){.pid = pid, .bytes = bytes, .type = type};
}

/* What the driver writes into; a card has one from its first list on, so that no thread carries it on its stack. */
struct nvml_scratch {
    unsigned char raw[LIST_MOST * WIDE_ENTRY];
    struct list list;
    struct nv_process_use use[USE_MOST];
};

static bool odd_pid(uint32_t pid)
{
    return pid == 0 || pid == UINT32_MAX;
}

/* Drivers 535.43 to 535.86 answer with entries of 32 bytes under the name of the 24-byte ones. */
static size_t stride_of(const unsigned char *raw, uint32_t n)
{
    const size_t narrow = sizeof(struct nv_process_v2);
    uint32_t pid = 1;
    if (n >= 2)
        memcpy(&pid, raw + narrow, sizeof(pid));
    return odd_pid(pid) ? WIDE_ENTRY : narrow;
}

static int add_list(struct source_gpu *g, struct nvml_card *c, int which)
{
    struct list *list = &c->scratch->list;
    unsigned char *raw = c->scratch->raw;
    struct nv_process_v2 *at = (struct nv_process_v2 *)(void *)raw;
    uint32_t n = LIST_MOST;
    int code = which == 0   ? NVML_ASK(g, c, compute2, c->dev, &n, at)
               : which == 1 ? NVML_ASK(g, c, graphics2, c->dev, &n, at)
                            : NVML_ASK(g, c, mps2, c->dev, &n, at);
    if (code != NV_OK)
        return code;
    n = n > LIST_MOST ? LIST_MOST : n;
    size_t stride = stride_of(raw, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pid;
        uint64_t bytes;
        memcpy(&pid, raw + i * stride, sizeof(pid));
        memcpy(&bytes, raw + i * stride + 8, sizeof(bytes));
        if (!odd_pid(pid))
            add(list, pid, bytes, which == 1 ? PROCESS_GRAPHICS : PROCESS_COMPUTE);
    }
    return NV_OK;
}

static int by_memory(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    uint64_t p = x->bytes == UINT64_MAX ? 0 : x->bytes, q = y->bytes == UINT64_MAX ? 0 : y->bytes;
    return p != q ? (p < q ? 1 : -1) : (x->pid > y->pid) - (x->pid < y->pid);
}

/* Inside a container the pids are the host's: what cannot be seen here keeps the driver's name for it. */
static void name_process(struct source_gpu *g, struct nvml_card *c, const char *proc_root, struct process *p)
{
    char raw[128] = {0};
    uint32_t local = process_local_pid(proc_root, p->pid);
    bool here = local && process_info_read(proc_root, local, p);
    if (here && !g->info.simulated)
        return;
    if (NVML_ASK(g, c, process_name, p->pid, raw, sizeof(raw) - 1) == NV_OK && raw[0]) {
        const char *slash = strrchr(raw, '/'), *name = slash && slash[1] ? slash + 1 : raw;
        str_printable(name, strlen(name), p->name, sizeof(p->name));
    }
}

static float share(uint32_t percent)
{
    return percent <= 100 ? (float)percent : -1;
}

/* The driver keeps samples of a second or so; only those newer than what was seen count, and garbage entries with more
 * than 100 % exist. A process that is not named did nothing. */
static int add_use(struct source_gpu *g, struct nvml_card *c, struct process_table *t)
{
    struct nv_process_use *use = c->scratch->use;
    uint32_t n = USE_MOST;
    int code = NVML_ASK(g, c, process_use, c->dev, use, &n, c->use_since_us);
    if (code != NV_OK && code != NV_NOT_FOUND)
        return code;
    for (uint32_t i = 0; i < t->n; i++)
        t->process[i].sm = t->process[i].memory_bus = t->process[i].encoder = t->process[i].decoder = 0;
    uint64_t newest_us = c->use_since_us;
    for (uint32_t k = 0; code == NV_OK && k < n && k < USE_MOST; k++) {
        if (use[k].time_us <= c->use_since_us)
            continue;
        newest_us = use[k].time_us > newest_us ? use[k].time_us : newest_us;
        for (uint32_t i = 0; i < t->n; i++) {
            struct process *p = &t->process[i];
            if (p->pid != use[k].pid)
                continue;
            p->sm = share(use[k].sm);
            p->memory_bus = share(use[k].memory);
            p->encoder = share(use[k].encoder);
            p->decoder = share(use[k].decoder);
        }
    }
    c->use_since_us = newest_us;
    return NV_OK;
}

/* What the card says is used and no process in the list holds: another namespace, a dead process, managed memory. */
static uint64_t unattributed(const struct list *list, const struct sample *s)
{
    if (!sample_has(s, METRIC_MEMORY_USED))
        return UINT64_MAX;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i].bytes == UINT64_MAX || __builtin_add_overflow(sum, list->at[i].bytes, &sum))
            return UINT64_MAX;
    uint64_t used = (uint64_t)s->value[METRIC_MEMORY_USED];
    return used > sum ? used - sum : 0;
}

void nvml_read_processes(struct source_gpu *g, struct nvml_card *c, const struct source_tick *tick,
                         const struct sample *s, struct process_table *t)
{
    t->known = false;
    t->n = 0;
    if (!c->scratch && !(c->scratch = calloc(1, sizeof(*c->scratch))))
        return;
    struct list *list = &c->scratch->list;
    list->n = 0;
    int compute = add_list(g, c, 0), graphics = add_list(g, c, 1);
    add_list(g, c, 2);
    qsort(list->at, list->n, sizeof(list->at[0]), by_memory);
    t->known = compute == NV_OK || graphics == NV_OK;
    t->n = (uint16_t)(list->n > PROCESSES_MAX ? PROCESSES_MAX : list->n);
    t->left_out = (uint16_t)(list->n - t->n);
    t->mono_ns = tick->now_ns;
    t->unattributed_bytes = t->known ? unattributed(list, s) : UINT64_MAX;
    for (uint32_t i = 0; i < t->n; i++) {
        struct process *p = &t->process[i];
        *p = (struct process){.pid = list->at[i].pid, .type = list->at[i].type, .uid = UINT32_MAX,
                              .memory_bytes = list->at[i].bytes,
                              .sm = -1, .memory_bus = -1, .encoder = -1, .decoder = -1};
        name_process(g, c, tick->proc_root, p);
    }
    if (t->n)
        add_use(g, c, t);
}
