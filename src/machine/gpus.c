/* gpus: turns the driver's inventory and the text of --gpus into devices in the engine's order. */
#include "machine/machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "nvml/nvml.h"

enum { ITEM_MAX = 200 };
/* The largest card there is has 0.3 TiB: what is beyond these bounds was mistyped. */
#define CARD_LEAST (64ull << 20)
#define CARD_MOST  (16ull << 40)

static bool size_is_sane(uint64_t bytes)
{
    return bytes >= CARD_LEAST && bytes <= CARD_MOST;
}

/* "NVIDIA GeForce RTX 4090" -> "RTX 4090": the maker is not what tells two cards apart. */
static const char *short_name(const char *name)
{
    static const char *const prefixes[] = {"NVIDIA ", "GeForce ", "AMD "};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (str_starts(name, prefixes[i]))
            name += strlen(prefixes[i]);
    return name;
}

static void fill_from_catalogue(struct device *d, const struct card *c)
{
    if (!d->cc_major) {
        d->cc_major = c->cc_major;
        d->cc_minor = c->cc_minor;
    }
    d->sms = c->sms;
    d->bandwidth_gbs = c->bandwidth_gbs;
    if (!d->pcie_gen) {
        d->pcie_gen = c->pcie_gen;
        d->pcie_lanes = c->pcie_lanes;
    }
}

static void from_nvml(const struct nvml_card *c, bool simulated, struct arena *arena, struct device *d)
{
    *d = (struct device){
        .index = (int)c->index,
        .name = arena_strdup(arena, c->name ? short_name(c->name) : "unnamed GPU"),
        .uuid = c->uuid,
        .pci = c->pci,
        .backend = BACKEND_CUDA,
        .simulated = simulated,
        .total_bytes = c->total_bytes,
        .free_bytes = c->free_bytes,
        .used_by_others_bytes = c->total_bytes - c->free_bytes,
        .cc_major = c->cc_major,
        .cc_minor = c->cc_minor,
        .pcie_gen = c->pcie_gen_max,
        .pcie_lanes = c->pcie_width_max,
    };
    const struct card *known = c->name ? card_find(c->name) : NULL;
    if (known)
        fill_from_catalogue(d, known);
    struct occupant *o = arena_array(arena, struct occupant, c->n_processes ? c->n_processes : 1);
    for (uint32_t i = 0; o && i < c->n_processes; i++)
        o[i] = (struct occupant){c->processes[i].pid, c->processes[i].name, c->processes[i].bytes};
    d->occupants = o;
    d->n_occupants = o ? c->n_processes : 0;
}

static int by_slot(const void *a, const void *b)
{
    const struct nvml_card *x = a, *y = b;
    if (x->pci && y->pci && strcmp(x->pci, y->pci) != 0)
        return strcmp(x->pci, y->pci);
    return (int)x->index - (int)y->index;
}

bool machine_read_cards(struct machine *m, uint32_t count_limit, struct arena *arena,
                        struct err *why)
{
    struct nvml_inventory inv;
    m->n_devices = 0;
    if (!nvml_read_inventory(arena, &inv, why))
        return false;
    struct nvml_card *sorted = arena_array(arena, struct nvml_card, inv.n_cards ? inv.n_cards : 1);
    if (!sorted)
        return err_set(why, ERR_1201, "no memory for the list of cards");
    memcpy(sorted, inv.cards, inv.n_cards * sizeof(*sorted));
    qsort(sorted, inv.n_cards, sizeof(*sorted), by_slot);
    uint32_t limit = count_limit && count_limit < MACHINE_MAX_DEVICES ? count_limit
                                                                      : MACHINE_MAX_DEVICES;
    for (uint32_t i = 0; i < inv.n_cards && m->n_devices < limit; i++) {
        if (sorted[i].trouble)
            continue;
        from_nvml(&sorted[i], inv.simulated, arena, &m->devices[m->n_devices]);
        m->devices[m->n_devices].index = (int)i;
        m->n_devices++;
    }
    m->simulated = m->simulated || inv.simulated;
    return true;
}

/* Not listed by any driver. */
static bool imagined(const struct device *d)
{
    return d->simulated && !d->uuid;
}

static bool unknown_card(const char *item, struct err *err)
{
    size_t n;
    const struct card *cards = card_table(&n);
    const char *names[256];
    for (size_t i = 0; i < n && i < 256; i++)
        names[i] = short_name(cards[i].name);
    const char *near = str_nearest(item, names, n < 256 ? n : 256);
    err_set(err, ERR_2101, "no GPU \"%s\" in this machine or in the catalogue of %zu cards", item, n);
    if (near)
        err_fix(err, NULL, "did you mean \"%s\"?", near);
    return err_fix(err, "--gpus 24GiB", "name a plain card by its size");
}

static bool parse_pcie(const char *v, struct device *d)
{
    unsigned gen, lanes;
    char rest;
    if (sscanf(v, "gen%ux%u%c", &gen, &lanes, &rest) != 2 || gen < 1 || gen > 7 || lanes < 1 ||
        lanes > 32)
        return false;
    d->pcie_gen = gen;
    d->pcie_lanes = lanes;
    return true;
}

/* A host's name or address, as it goes into other hosts' commands. */
static bool parse_host(const char *v, struct arena *arena, struct device *d)
{
    size_t n = strlen(v);
    if (n == 0 || n > 253 || v[0] == '-' ||
        strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != n)
        return false;
    d->host = arena_strdup(arena, v);
    return d->host != NULL;
}

static bool parse_backend(const char *v, struct device *d)
{
    static const char *const names[] = {"cuda", "rpc", "rocm", "vulkan"};
    for (int i = 0; i < 4; i++) {
        if (str_eq_fold(v, names[i])) {
            d->backend = (enum backend)i;
            return true;
        }
    }
    return false;
}

/* One ":key=value" of a card. total and free remember that they were set: free defaults to total. */
static bool parse_option(char *opt, struct arena *arena, struct device *d, bool *free_set,
                         int64_t *count, struct err *err)
{
    char *eq = strchr(opt, '=');
    if (eq)
        *eq++ = 0;
    bool ok = true;
    if (str_eq_fold(opt, "total") && eq)
        ok = str_parse_size(eq, &d->total_bytes) && size_is_sane(d->total_bytes);
    else if (str_eq_fold(opt, "free") && eq)
        ok = *free_set = str_parse_size(eq, &d->free_bytes);
    else if (str_eq_fold(opt, "count") && eq)
        ok = str_parse_i64(eq, 1, MACHINE_MAX_DEVICES, false, count);
    else if (str_eq_fold(opt, "pcie") && eq)
        ok = parse_pcie(eq, d);
    else if (str_eq_fold(opt, "nvlink") && !eq)
        d->nvlink = true;
    else if (str_eq_fold(opt, "backend") && eq)
        ok = parse_backend(eq, d);
    else if (str_eq_fold(opt, "host") && eq)
        ok = parse_host(eq, arena, d);
    else {
        err_set(err, ERR_2101, "a card has no option \"%s\"", opt);
        return err_fix(err, NULL, "known: total=SIZE free=SIZE count=N pcie=gen4x8 nvlink "
                                  "host=NAME backend=cuda|rpc|rocm|vulkan");
    }
    if (ok)
        return true;
    err_set(err, ERR_2102, "\"%s\" is no value for a card's %s", eq ? eq : "", opt);
    return err_fix(err, NULL, "sizes look like 24GiB or 800MiB, links like gen4x8, count is 1 to %d",
                   MACHINE_MAX_DEVICES);
}

static bool add_device(struct machine *out, const struct device *d, struct err *err)
{
    if (out->n_devices == MACHINE_MAX_DEVICES) {
        err_set(err, ERR_2114, "more than %d GPUs: the engine takes no more", MACHINE_MAX_DEVICES);
        return err_fix(err, NULL, "name at most %d cards", MACHINE_MAX_DEVICES);
    }
    out->devices[out->n_devices++] = *d;
    return true;
}

/* "host:port:24GiB[:options]" after rpc:// */
static bool parse_rpc(char *text, struct arena *arena, struct device *d, char **rest, struct err *err)
{
    char *port = strchr(text, ':');
    char *size = port ? strchr(port + 1, ':') : NULL;
    int64_t number;
    *rest = NULL;
    if (size) {
        *size++ = 0;
        *rest = strchr(size, ':');
        if (*rest)
            *(*rest)++ = 0;
    }
    bool ok = port && size && port != text && str_parse_i64(port + 1, 1, 65535, false, &number) &&
              str_parse_size(size, &d->total_bytes) && size_is_sane(d->total_bytes);
    if (!ok) {
        err_set(err, ERR_2101, "\"rpc://%s\" does not name a remote card", text);
        return err_fix(err, "--gpus rpc://192.0.2.7:50052:24GiB", "write rpc://HOST:PORT:SIZE");
    }
    d->rpc = arena_strdup(arena, text);
    d->name = arena_printf(arena, "RPC %s", d->rpc);
    d->backend = BACKEND_RPC;
    d->simulated = true;
    return true;
}

static const struct device *find_real(const char *item, const struct machine *real)
{
    int64_t index;
    for (uint32_t i = 0; i < real->n_devices; i++) {
        const struct device *d = &real->devices[i];
        if ((str_parse_i64(item, 0, 1000, false, &index) && index == d->index) ||
            (d->uuid && str_eq_fold(item, d->uuid)) ||
            (d->uuid && strlen(item) >= 8 && str_starts(d->uuid, item)) ||
            (d->pci && str_eq_fold(item, d->pci)))
            return d;
    }
    return NULL;
}

static bool is_size(const char *item)
{
    int64_t plain;
    uint64_t bytes;
    return !str_parse_i64(item, 0, INT64_MAX, false, &plain) && str_parse_size(item, &bytes);
}

static bool check_size(const char *item, uint64_t bytes, struct err *err)
{
    if (size_is_sane(bytes))
        return true;
    err_set(err, ERR_2102, "a card cannot have %s of memory: 64MiB to 16TiB are taken", item);
    if (bytes == 0)
        return err_fix(err, "--gpus none", "to plan without a card");
    return err_fix(err, bytes > CARD_MOST ? "--gpus 16TiB" : "--gpus 64MiB", "the nearest size");
}

/* What a word before its options means: a real card, a size, a card of the catalogue. */
static bool resolve(const char *item, bool virtual_only, const struct machine *real,
                    struct arena *arena, struct device *d, struct err *err)
{
    const struct device *found = virtual_only ? NULL : find_real(item, real);
    int64_t number;
    if (found) {
        *d = *found;
        return true;
    }
    if (str_parse_i64(item, 0, INT64_MAX, false, &number)) {
        err_set(err, ERR_2101, "no GPU %s in this machine, which has %u", item, real->n_devices);
        return err_fix(err, "dualgpuopt plan MODEL --gpus rtx5090,rtx4090",
                       "plan for imagined cards by name or size");
    }
    d->simulated = true;
    if (is_size(item)) {
        str_parse_size(item, &d->total_bytes);
        d->name = arena_strdup(arena, item);
        return check_size(item, d->total_bytes, err);
    }
    const struct card *c = card_find(item);
    if (!c)
        return unknown_card(item, err);
    d->name = arena_strdup(arena, short_name(c->name));
    d->total_bytes = c->total_bytes;
    d->nvlink = false;
    if (str_eq_fold(c->vendor, "AMD"))
        d->backend = BACKEND_ROCM;
    fill_from_catalogue(d, c);
    return true;
}

static bool parse_item(char *item, const struct machine *real, struct arena *arena,
                       struct machine *out, struct err *err)
{
    struct device d = {.backend = BACKEND_CUDA};
    bool virtual_only = *item == '+', free_set = false;
    int64_t count = 1;
    char *options;
    item += virtual_only;
    while (isspace((unsigned char)*item))
        item++;
    if (strncasecmp(item, "rpc://", 6) == 0) {
        if (!parse_rpc(item + 6, arena, &d, &options, err))
            return false;
    } else {
        options = strchr(item, ':');
        if (options)
            *options++ = 0;
        for (size_t n = strlen(item); n && isspace((unsigned char)item[n - 1]); n--)
            item[n - 1] = 0;
        if (!resolve(item, virtual_only, real, arena, &d, err))
            return false;
        free_set = !imagined(&d);
    }
    while (options && *options) {
        char *next = strchr(options, ':');
        if (next)
            *next++ = 0;
        if (!parse_option(options, arena, &d, &free_set, &count, err))
            return false;
        options = next;
    }
    if (!free_set)
        d.free_bytes = d.total_bytes;
    if (d.free_bytes > d.total_bytes) {
        err_set(err, ERR_2102, "card %s cannot have more free memory than it has", d.name);
        return err_fix(err, NULL, "raise total= or lower free=");
    }
    d.used_by_others_bytes = d.total_bytes - d.free_bytes;
    for (int64_t i = 0; i < count; i++)
        if (!add_device(out, &d, err))
            return false;
    return true;
}

/* The engine puts RPC servers in front of local cards, each kind in its given order. */
static void order_devices(struct machine *m)
{
    struct device sorted[MACHINE_MAX_DEVICES];
    uint32_t n = 0;
    for (int remote = 1; remote >= 0; remote--)
        for (uint32_t i = 0; i < m->n_devices; i++)
            if ((m->devices[i].rpc != NULL) == remote)
                sorted[n++] = m->devices[i];
    memcpy(m->devices, sorted, n * sizeof(sorted[0]));
    for (uint32_t i = 0; i < n; i++) {
        if (imagined(&m->devices[i]))
            m->devices[i].index = (int)i;
        m->simulated = m->simulated || m->devices[i].simulated;
    }
}

static bool refuse_twins(const struct machine *m, struct err *err)
{
    for (uint32_t i = 0; i < m->n_devices; i++)
        for (uint32_t j = 0; j < i; j++)
            if (!imagined(&m->devices[i]) && !imagined(&m->devices[j]) &&
                m->devices[i].index == m->devices[j].index)
                return err_set(err, ERR_2101, "GPU %d is named twice", m->devices[i].index);
    return true;
}

const char *device_host(const struct device *d, size_t *len)
{
    *len = d->host ? strlen(d->host) : d->rpc ? strcspn(d->rpc, ":") : 0;
    return d->host ? d->host : d->rpc ? d->rpc : "";
}

bool device_same_host(const struct device *a, const struct device *b)
{
    size_t n, m;
    const char *x = device_host(a, &n), *y = device_host(b, &m);
    return n == m && memcmp(x, y, n) == 0;
}

bool machine_several_hosts(const struct machine *m)
{
    for (uint32_t i = 1; i < m->n_devices; i++)
        if (!device_same_host(&m->devices[0], &m->devices[i]))
            return true;
    return false;
}

bool machine_check_rpc(const struct machine *m, struct err *err)
{
    for (uint32_t i = 0; i < m->n_devices; i++) {
        const struct device *d = &m->devices[i];
        char command[ITEM_MAX + 128];
        if (!d->host || d->rpc)
            continue;
        snprintf(command, sizeof(command), "--gpus rpc://%.190s:50052:%lluMiB", d->host,
                 (unsigned long long)(d->total_bytes >> 20));
        err_set(err, ERR_2110, "GPU %d is on the host %s, which llama.cpp reaches by RPC alone",
                d->index, d->host);
        err_why(err, ":host= is for vLLM, whose hosts Ray joins");
        return err_fix(err, command, "start rpc-server there and name the card by its port");
    }
    return true;
}

bool machine_parse_gpus(const char *text, const struct machine *real, struct arena *arena,
                        struct machine *out, struct err *err)
{
    struct machine m = {.host = real->host};
    if (!text || !*text) {
        *out = *real;
        return true;
    }
    if (str_eq_fold(text, "none")) {
        *out = m;
        return true;
    }
    if (text[0] == '+') {
        memcpy(m.devices, real->devices, sizeof(m.devices));
        m.n_devices = real->n_devices;
    }
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        char item[ITEM_MAX];
        if (n == 0 || n >= sizeof(item)) {
            err_set(err, ERR_2101, "--gpus has an empty or overlong entry");
            return err_fix(err, "--gpus rtx5090,rtx4090", "separate cards by single commas");
        }
        memcpy(item, p, n);
        item[n] = 0;
        if (!parse_item(item, real, arena, &m, err))
            return false;
        p += n;
        if (*p == ',' && !*++p)
            return err_set(err, ERR_2101, "--gpus ends with a comma");
    }
    if (!refuse_twins(&m, err))
        return false;
    order_devices(&m);
    *out = m;
    return true;
}
