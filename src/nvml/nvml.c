/* nvml: loads the driver's library, asks each card a few questions, and lets go of it again. */
#include "nvml/nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool nvml_read_inventory(struct arena *arena, struct nvml_inventory *out, struct err *err)
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
