/* nvml: loads the driver's library, asks each card a few questions, and lets go of it again. */
#include "nvml/nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/own.h"
#include "base/str.h"
#include "nvml/library.h"

static const char *read_comm(uint32_t pid, struct arena *arena)
{
    char path[64], raw[64], shown[256];
    snprintf(path, sizeof(path), "/proc/%u/comm", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(raw, 1, sizeof(raw), f) : 0;
    if (f)
        fclose(f);
    while (n && (raw[n - 1] == '\n' || raw[n - 1] == 0))
        n--;
    return n ? arena_strdup(arena, str_printable(raw, n, shown, sizeof(shown))) : "?";
}

/* The driver lists a pid in both lists when it computes and draws: one entry, the larger size. */
static void add_process(struct nvml_process *list, uint32_t *n, uint32_t pid, uint64_t bytes)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i].pid == pid) {
            if (list[i].bytes == UINT64_MAX || (bytes != UINT64_MAX && bytes > list[i].bytes))
                list[i].bytes = bytes;
            return;
        }
    }
    if (*n < NVML_MAX_PROCESSES)
        list[(*n)++] = (struct nvml_process){.pid = pid, .bytes = bytes};
}

static void list_processes(int (*call)(nv_device, uint32_t *, struct nv_process_v2 *), nv_device dev,
                           struct nvml_process *list, uint32_t *n)
{
    if (!call)
        return;
    uint32_t count = NVML_MAX_PROCESSES;
    own_free struct nv_process_v2 *raw = calloc(count, sizeof(*raw));
    if (!raw || call(dev, &count, raw) != NV_OK)
        return;
    for (uint32_t i = 0; i < count && i < NVML_MAX_PROCESSES; i++)
        add_process(list, n, raw[i].pid, raw[i].bytes);
}

/* Oldest drivers: entries of 16 bytes, and only the compute list. */
static void list_processes_v1(const struct nv *nv, nv_device dev, struct nvml_process *list,
                              uint32_t *n)
{
    uint32_t count = NVML_MAX_PROCESSES;
    own_free struct nv_process_v1 *raw = calloc(count, sizeof(*raw));
    if (!nv->compute1 || !raw || nv->compute1(dev, &count, raw) != NV_OK)
        return;
    for (uint32_t i = 0; i < count && i < NVML_MAX_PROCESSES; i++)
        add_process(list, n, raw[i].pid, raw[i].bytes);
}

static int by_size(const void *a, const void *b)
{
    const struct nvml_process *x = a, *y = b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static void read_processes(const struct nv *nv, nv_device dev, struct arena *arena,
                           struct nvml_card *card)
{
    own_free struct nvml_process *list = calloc(NVML_MAX_PROCESSES, sizeof(*list));
    if (!list)
        return;
    uint32_t n = 0;
    list_processes(nv->compute2, dev, list, &n);
    list_processes(nv->graphics2, dev, list, &n);
    if (!nv->compute2)
        list_processes_v1(nv, dev, list, &n);
    qsort(list, n, sizeof(*list), by_size);
    struct nvml_process *kept = n ? arena_array(arena, struct nvml_process, n) : NULL;
    if (!kept)
        return;
    memcpy(kept, list, n * sizeof(*list));
    for (uint32_t i = 0; i < n; i++)
        kept[i].name = read_comm(kept[i].pid, arena);
    card->processes = kept;
    card->n_processes = n;
}

static bool read_memory(const struct nv *nv, nv_device dev, struct nvml_card *card)
{
    struct nv_memory_v2 m2 = {.version = NV_MEMORY_V2};
    struct nv_memory m1 = {0};
    if (nv->memory2 && nv->memory2(dev, &m2) == NV_OK) {
        card->total_bytes = m2.total;
        card->free_bytes = m2.free;
        card->reserved_bytes = m2.reserved;
    } else if (nv->memory && nv->memory(dev, &m1) == NV_OK) {
        card->total_bytes = m1.total;
        card->free_bytes = m1.free;
    }
    if (card->free_bytes > card->total_bytes)
        card->free_bytes = card->total_bytes;
    return card->total_bytes > 0;
}

static const char *read_text(int (*call)(nv_device, char *, uint32_t), nv_device dev,
                             struct arena *arena)
{
    char raw[128] = {0}, shown[300];
    if (!call || call(dev, raw, sizeof(raw) - 1) != NV_OK || !raw[0])
        return NULL;
    return arena_strdup(arena, str_printable(raw, strlen(raw), shown, sizeof(shown)));
}

static void read_card(const struct nv *nv, uint32_t index, struct arena *arena,
                      struct nvml_card *card)
{
    nv_device dev = NULL;
    card->index = index;
    int code = nv->handle(index, &dev);
    if (code != NV_OK) {
        card->trouble = arena_printf(arena, "the driver does not open it: %s", nv_text(nv, code));
        return;
    }
    card->name = read_text(nv->name, dev, arena);
    card->uuid = read_text(nv->uuid, dev, arena);
    struct nv_pci pci = {0};
    if (nv->pci && nv->pci(dev, &pci) == NV_OK)
        card->pci = arena_printf(arena, "%08x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
    if (!read_memory(nv, dev, card))
        card->trouble = "the driver does not tell its memory";
    int major = 0, minor = 0;
    if (nv->capability && nv->capability(dev, &major, &minor) == NV_OK && major > 0) {
        card->cc_major = (uint32_t)major;
        card->cc_minor = (uint32_t)minor;
    }
    if (nv->cores)
        nv->cores(dev, &card->cores);
    if (nv->pcie_gen_max)
        nv->pcie_gen_max(dev, &card->pcie_gen_max);
    if (nv->pcie_width_max)
        nv->pcie_width_max(dev, &card->pcie_width_max);
    read_processes(nv, dev, arena, card);
}

static bool read_inventory(struct arena *arena, struct nvml_inventory *out, struct err *err)
{
    own(nv_close) struct nv nv = {0};
    if (!nv_open(&nv, "", err))
        return false;

    uint32_t n = 0;
    if (nv.count(&n) != NV_OK)
        n = 0;
    if (n > NVML_MAX_CARDS)
        n = NVML_MAX_CARDS;
    struct nvml_card *cards = arena_array(arena, struct nvml_card, n ? n : 1);
    bool ok = cards != NULL;
    char version[96] = {0};
    for (uint32_t i = 0; ok && i < n; i++)
        read_card(&nv, i, arena, &cards[i]);
    if (nv.driver && nv.driver(version, sizeof(version) - 1) != NV_OK)
        version[0] = 0;
    if (!ok)
        return err_set(err, ERR_1201, "no memory for the list of %u cards", n);
    *out = (struct nvml_inventory){
        .driver_version = version[0] ? arena_strdup(arena, version) : NULL,
        .simulated = nv.simulated,
        .n_cards = n,
        .cards = cards,
    };
    return true;
}

/* ---- with a deadline ---- */

struct reading {
    struct arena arena;
    struct nvml_inventory inventory;
    struct err err;
    bool ok;
};

static void run_reading(void *ctx)
{
    struct reading *r = ctx;
    r->ok = read_inventory(&r->arena, &r->inventory, &r->err);
}

static void drop_reading(void *ctx)
{
    struct reading *r = ctx;
    arena_finish(&r->arena);
    free(r);
}

static const char *copy_text(struct arena *arena, const char *text, bool *ok)
{
    const char *copy = text ? arena_strdup(arena, text) : NULL;
    *ok = *ok && (copy || !text);
    return copy;
}

static bool copy_card(struct arena *arena, const struct nvml_card *from, struct nvml_card *to)
{
    bool ok = true;
    struct nvml_process *list = arena_array(arena, struct nvml_process, from->n_processes ? from->n_processes : 1);
    *to = *from;
    to->uuid = copy_text(arena, from->uuid, &ok);
    to->name = copy_text(arena, from->name, &ok);
    to->pci = copy_text(arena, from->pci, &ok);
    to->trouble = copy_text(arena, from->trouble, &ok);
    to->processes = list;
    for (uint32_t i = 0; list && i < from->n_processes; i++) {
        list[i] = from->processes[i];
        list[i].name = copy_text(arena, from->processes[i].name, &ok);
    }
    return ok && list;
}

static bool copy_inventory(struct arena *arena, const struct nvml_inventory *from, struct nvml_inventory *out)
{
    bool ok = true;
    struct nvml_card *cards = arena_array(arena, struct nvml_card, from->n_cards ? from->n_cards : 1);
    for (uint32_t i = 0; cards && ok && i < from->n_cards; i++)
        ok = copy_card(arena, &from->cards[i], &cards[i]);
    const char *version = copy_text(arena, from->driver_version, &ok);
    if (!cards || !ok)
        return false;
    *out = *from;
    out->driver_version = version;
    out->cards = cards;
    return true;
}

bool nvml_read_inventory(struct arena *arena, struct nvml_inventory *out, struct err *err)
{
    struct reading *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ERR_1201, "no memory to read the GPUs");
    enum deadline_end end = deadline_run(run_reading, drop_reading, r, NVML_START_S * (uint64_t)CLOCK_NS_PER_S);
    if (end == DEADLINE_LATE)
        return nvml_silent(NVML_START_S, err);
    bool ok = end == DEADLINE_DONE && r->ok;
    if (end == DEADLINE_NO_THREAD)
        err_set(err, ERR_1201, "no thread to read the GPUs");
    else if (!r->ok && err)
        *err = r->err;
    else if (!copy_inventory(arena, &r->inventory, out))
        ok = err_set(err, ERR_1201, "no memory for the list of %u cards", r->inventory.n_cards);
    drop_reading(r);
    return ok;
}
