/* source_drm: AMD and Intel GPUs of the kernel's /sys and /proc as telemetry's samples and process
 * tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amdgpu/clients.h"
#include "amdgpu/drm.h"
#include "base/clock.h"
#include "machine/machine.h"
#include "telemetry/drm_use.h"
#include "telemetry/source.h"

/* Fans, links, limits and the firmware's table move slowly; ticks of 1 Hz still read them each
 * time. */
static const uint64_t slow_ns = (uint64_t)CLOCK_NS_PER_S * 9 / 10;

struct drm_source {
    struct drm_card card;
    char *sysfs_root, *proc_root;
    struct drm_gpu *gpu; /* NULL: suspended, gone, not opened yet */
    struct clients *clients;
    struct clients_found *found;
    struct drm_use use;
    bool integrated;
    bool scanned; /* *found is of the scan that use took last */
    uint64_t slow_read_ns, scanned_ns;
    uint32_t had,
        failing; /* values that were known since the GPU was opened; those of them that fail now */
    struct drm_reading latest; /* values of all paces, the newest of each */
    double energy_j; /* and when: what power follows from where the card does not tell it */
    uint64_t energy_ns;
};

static const struct {
    enum drm_value value;
    enum metric metric;
} plain_metrics[] = {
    {DRM_BUSY,               METRIC_UTILIZATION       },
    {DRM_MEMORY_BUSY,        METRIC_MEMORY_UTILIZATION},
    {DRM_TEMPERATURE,        METRIC_TEMPERATURE       },
    {DRM_MEMORY_TEMPERATURE, METRIC_MEMORY_TEMPERATURE},
    {DRM_POWER,              METRIC_POWER             },
    {DRM_POWER_CAP,          METRIC_POWER_LIMIT       },
    {DRM_ENERGY,             METRIC_ENERGY            },
    {DRM_CLOCK,              METRIC_CLOCK_SM          },
    {DRM_MEMORY_CLOCK,       METRIC_CLOCK_MEMORY      },
    {DRM_FAN,                METRIC_FAN               },
    {DRM_LINK_GEN,           METRIC_PCIE_GEN          },
    {DRM_LINK_WIDTH,         METRIC_PCIE_WIDTH        },
};

enum { N_PLAIN = sizeof(plain_metrics) / sizeof(plain_metrics[0]) };

/* ---- what does not change ---- */

static uint32_t whole(const struct drm_reading *r, enum drm_value v)
{
    return drm_has(r, v) && r->value[v] < UINT32_MAX ? (uint32_t)(r->value[v] + 0.5) : 0;
}

static void fill_info(struct source_gpu *g, const struct drm_identity *id,
                      const struct drm_reading *r)
{
    struct gpu_info *info = &g->info;
    snprintf(info->name, sizeof(info->name), "%s", id->name);
    if (id->unique_id[0])
        snprintf(info->uuid, sizeof(info->uuid), "GPU-%.80s", id->unique_id);
    info->sm_clock_max_mhz = whole(r, DRM_CLOCK_MAX);
    info->memory_clock_max_mhz = whole(r, DRM_MEMORY_CLOCK_MAX);
    info->pcie_gen_max = whole(r, DRM_LINK_GEN_MAX);
    info->pcie_width_max = whole(r, DRM_LINK_WIDTH_MAX);
    info->power_min_w = whole(r, DRM_POWER_CAP_MIN);
    info->power_max_w = whole(r, DRM_POWER_CAP_MAX);
    info->power_default_w = whole(r, DRM_POWER_CAP_DEFAULT);
    info->slowdown_c = whole(r, DRM_CRITICAL);
    info->shutdown_c = whole(r, DRM_EMERGENCY);
    info->unified_memory = id->integrated;
    const struct card *card = card_find(id->name);
    if (card) {
        info->bandwidth_gbs = card->bandwidth_gbs;
        info->cores = card->sms;
    }
}

/* ---- opening and closing ---- */

static void shut(struct drm_source *d)
{
    drm_close(d->gpu);
    clients_free(d->clients);
    drm_use_finish(&d->use);
    d->gpu = NULL;
    d->clients = NULL;
    d->scanned = false;
    d->slow_read_ns = d->scanned_ns = d->energy_ns = 0;
    d->had = d->failing = 0;
    d->latest = (struct drm_reading){0};
}

static void close_source(struct source_gpu *g)
{
    struct drm_source *d = g->at;
    if (!d)
        return;
    shut(d);
    free(d->sysfs_root);
    free(d->proc_root);
    free(d->found);
    free(d);
    g->at = NULL;
}

/* A card that comes back may have another number. */
static bool look_up(struct drm_source *d)
{
    struct drm_card cards[DRM_MAX_CARDS];
    uint32_t n = drm_list(d->sysfs_root, cards);
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(cards[i].pci, d->card.pci) == 0) {
            d->card = cards[i];
            return true;
        }
    }
    return false;
}

static enum source_answer answer(struct source_gpu *g, enum source_answer a, const char *why)
{
    struct drm_source *d = g->at;
    source_leave(&g->watch);
    if (a != SOURCE_READ)
        shut(d);
    snprintf(g->trouble, sizeof(g->trouble), "%s", why);
    return a;
}

/* ---- one tick ---- */

/* Memory of the card itself; an integrated GPU has the carve-out and what it may take of the
 * host's. */
static void set_memory(const struct drm_source *d, struct sample *s)
{
    const struct drm_reading *r = &d->latest;
    double total = drm_has(r, DRM_VRAM_TOTAL) ? r->value[DRM_VRAM_TOTAL] : 0;
    double used = drm_has(r, DRM_VRAM_USED) ? r->value[DRM_VRAM_USED] : -1;
    if (d->integrated && drm_has(r, DRM_GTT_TOTAL) && drm_has(r, DRM_GTT_USED)) {
        total += r->value[DRM_GTT_TOTAL];
        used = used < 0 ? used : used + r->value[DRM_GTT_USED];
    }
    if (total > 0)
        sample_set(s, METRIC_MEMORY_TOTAL, total);
    if (d->card.driver != DRM_AMDGPU)
        return;
    sample_clear(s, METRIC_MEMORY_USED);
    sample_clear(s, METRIC_MEMORY_FREE);
    if (used >= 0)
        sample_set(s, METRIC_MEMORY_USED, used);
    if (used >= 0 && total >= used)
        sample_set(s, METRIC_MEMORY_FREE, total - used);
}

static void set_throttle(const struct drm_reading *r, struct sample *s)
{
    static const struct {
        unsigned drm, bits;
    } reasons[] = {
        {DRM_THROTTLE_POWER,   THROTTLE_POWER_CAP       },
        {DRM_THROTTLE_CURRENT, THROTTLE_HARDWARE        },
        {DRM_THROTTLE_HEAT,    THROTTLE_THERMAL         },
        {DRM_THROTTLE_PROCHOT, THROTTLE_HARDWARE_THERMAL},
    };
    unsigned bits = 0;
    sample_clear(s, METRIC_THROTTLE);
    if (!drm_has(r, DRM_THROTTLE))
        return;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if ((unsigned)r->value[DRM_THROTTLE] & reasons[i].drm)
            bits |= reasons[i].bits;
    sample_set(s, METRIC_THROTTLE, bits);
}

/* Intel's cards count energy and do not tell power: its mean since the last read. */
static void set_power(struct drm_source *d, const struct drm_reading *r, uint64_t now_ns,
                      struct sample *s)
{
    if (drm_has(r, DRM_POWER) || !drm_has(r, DRM_ENERGY))
        return;
    double joules = r->value[DRM_ENERGY] - d->energy_j;
    if (d->energy_ns && now_ns > d->energy_ns && joules >= 0)
        sample_set(s, METRIC_POWER, joules * 1e9 / (double)(now_ns - d->energy_ns));
    d->energy_j = r->value[DRM_ENERGY];
    d->energy_ns = now_ns;
}

/* Values of this read into the sample; what was due and could not be read is taken out of it. */
static void set_values(struct drm_source *d, const struct drm_reading *r, enum drm_pace pace,
                       uint64_t now_ns, struct sample *s)
{
    for (int v = 0; v < DRM_VALUE_COUNT; v++)
        if (drm_has(r, (enum drm_value)v))
            drm_set(&d->latest, (enum drm_value)v, r->value[v]);
    if (!drm_has(r, DRM_VRAM_USED))
        d->latest.known &= ~(UINT32_C(1) << DRM_VRAM_USED);
    for (int i = 0; i < N_PLAIN; i++) {
        if (drm_has(r, plain_metrics[i].value))
            sample_set(s, plain_metrics[i].metric, r->value[plain_metrics[i].value]);
        else if (pace >= DRM_SLOW &&
                 (d->card.driver == DRM_AMDGPU || plain_metrics[i].value != DRM_BUSY))
            sample_clear(s, plain_metrics[i].metric);
    }
    set_power(d, r, now_ns, s);
    set_memory(d, s);
    if (pace >= DRM_SLOW)
        set_throttle(r, s);
}

/* Which metrics fail that were there before. What a driver never could read is not missed. */
static void tell_trouble(struct source_gpu *g, struct drm_source *d, const struct drm_reading *r)
{
    d->failing = (d->failing & ~r->known) | (r->failed & d->had);
    d->had |= r->known;
    g->trouble[0] = 0;
    for (int i = 0; i < N_PLAIN; i++)
        if (d->failing >> plain_metrics[i].value & 1)
            source_note(g, metric_info[plain_metrics[i].metric].name, "cannot be read");
    if (d->failing >> DRM_VRAM_USED & 1)
        source_note(g, metric_info[METRIC_MEMORY_USED].name, "cannot be read");
}

/* ---- clients ---- */

/* Intel's drivers have no file for use and memory: what the clients tell, if all of them may be
 * seen. */
static void set_client_values(const struct drm_source *d, struct sample *s)
{
    static const struct {
        enum metric metric;
        enum client_engine first, last;
    } shares[] = {
        {METRIC_UTILIZATION, CLIENT_GRAPHICS, CLIENT_COMPUTE},
        {METRIC_DECODER,     CLIENT_DECODE,   CLIENT_DECODE },
    };
    bool all = !d->found->hidden && !d->found->left_out;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        double percent = 0;
        for (int e = shares[i].first; e <= (int)shares[i].last; e++)
            percent += d->use.percent[e];
        sample_clear(s, shares[i].metric);
        if (d->use.measured && (all || percent > 0))
            sample_set(s, shares[i].metric, percent > 100 ? 100 : percent);
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < d->found->n; i++)
        bytes += d->integrated ? d->found->at[i].system_bytes : d->found->at[i].local_bytes;
    double total = sample_has(s, METRIC_MEMORY_TOTAL) ? s->value[METRIC_MEMORY_TOTAL] : 0;
    sample_clear(s, METRIC_MEMORY_USED);
    sample_clear(s, METRIC_MEMORY_FREE);
    if (all)
        sample_set(s, METRIC_MEMORY_USED, (double)bytes);
    if (all && total >= (double)bytes)
        sample_set(s, METRIC_MEMORY_FREE, total - (double)bytes);
}

static void scan_clients(struct source_gpu *g, const struct source_tick *tick, struct sample *s)
{
    struct drm_source *d = g->at;
    bool intel = d->card.driver != DRM_AMDGPU;
    bool due = tick->processes || (intel && tick->now_ns - d->scanned_ns >= slow_ns);
    if (!d->clients || !due)
        return;
    source_enter(&g->watch, "fdinfo", tick->now_ns);
    d->scanned = clients_scan(d->clients, tick->now_ns, d->found) &&
                 drm_use_update(&d->use, d->found, tick->now_ns);
    d->scanned_ns = tick->now_ns;
    if (intel && d->scanned)
        set_client_values(d, s);
}

static void fill_table(const struct drm_source *d, const struct sample *s, struct process_table *t)
{
    t->known = false;
    t->n = t->left_out = 0;
    t->unattributed_bytes = UINT64_MAX;
    if (!d->scanned)
        return;
    drm_use_table(&d->use, d->found, d->proc_root, d->integrated, t);
    t->known = t->known && (t->n || !d->found->hidden);
    if (d->card.driver != DRM_AMDGPU || !sample_has(s, METRIC_MEMORY_USED))
        return;
    uint64_t used = (uint64_t)s->value[METRIC_MEMORY_USED], held = 0;
    for (uint32_t i = 0; i < t->n; i++)
        held += t->process[i].memory_bytes == UINT64_MAX ? 0 : t->process[i].memory_bytes;
    t->unattributed_bytes = used > held ? used - held : 0;
}

/* ---- read ---- */

/* The first look at an active card: everything that does not change as well. */
static enum drm_answer open_gpu(struct source_gpu *g, struct drm_reading *r)
{
    struct drm_source *d = g->at;
    struct drm_identity id;
    d->gpu = drm_open(d->sysfs_root, &d->card);
    enum drm_answer a = d->gpu ? drm_read(d->gpu, DRM_ONCE, r) : DRM_GONE;
    if (a != DRM_READ)
        return a;
    drm_identify(d->gpu, &id);
    d->integrated = id.integrated;
    d->clients = clients_new(d->proc_root, d->card.pci, &id);
    fill_info(g, &id, r);
    return a;
}

static enum source_answer read_drm(struct source_gpu *g, const struct source_tick *tick,
                                   struct sample *s, struct process_table *t)
{
    struct drm_source *d = g->at;
    struct drm_reading r = {0};
    enum drm_pace pace = DRM_FAST;
    source_enter(&g->watch, "runtime_status", tick->now_ns);
    enum drm_power_state power = drm_power_state(d->sysfs_root, &d->card);
    if (power == DRM_ABSENT &&
        (!look_up(d) || (power = drm_power_state(d->sysfs_root, &d->card)) == DRM_ABSENT))
        return answer(g, SOURCE_LOST, "its folder in /sys/class/drm is gone");
    if (power == DRM_SUSPENDED)
        return answer(g, SOURCE_SUSPENDED, "suspended; reading would wake it");

    source_enter(&g->watch, "sysfs", tick->now_ns);
    enum drm_answer a;
    if (!d->gpu) {
        pace = DRM_ONCE;
        a = open_gpu(g, &r);
    } else {
        pace = tick->first || tick->now_ns - d->slow_read_ns >= slow_ns ? DRM_SLOW : DRM_FAST;
        a = drm_read(d->gpu, pace, &r);
    }
    if (a == DRM_DENIED)
        return answer(g, SOURCE_DENIED, "no permission to read its files in /sys");
    if (a == DRM_GONE)
        return answer(g, SOURCE_LOST, "its driver has let go of it");
    if (pace >= DRM_SLOW)
        d->slow_read_ns = tick->now_ns;
    set_values(d, &r, pace, tick->now_ns, s);
    scan_clients(g, tick, s);
    if (tick->processes)
        fill_table(d, s, t);
    tell_trouble(g, d, &r);
    source_leave(&g->watch);
    return SOURCE_READ;
}

/* ---- finding ---- */

static struct drm_source *new_source(const char *sysfs_root, const char *proc_root,
                                     const struct drm_card *card)
{
    struct drm_source *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->card = *card;
    d->sysfs_root = strdup(sysfs_root ? sysfs_root : "");
    d->proc_root = strdup(proc_root ? proc_root : "");
    d->found = calloc(1, sizeof(*d->found));
    if (d->sysfs_root && d->proc_root && d->found)
        return d;
    free(d->sysfs_root);
    free(d->proc_root);
    free(d->found);
    free(d);
    return NULL;
}

bool source_drm_find(const char *sysfs_root, const char *proc_root, struct source_gpu *list,
                     uint32_t *n, struct err *err)
{
    static const enum source_kind kinds[] = {
        [DRM_AMDGPU] = SOURCE_AMDGPU, [DRM_I915] = SOURCE_I915, [DRM_XE] = SOURCE_XE};
    struct drm_card cards[DRM_MAX_CARDS];
    uint32_t n_cards = drm_list(sysfs_root, cards);
    for (uint32_t i = 0; i < n_cards && *n < TELEMETRY_MAX_GPUS; i++) {
        struct source_gpu *g = &list[*n];
        *g = (struct source_gpu){.read = read_drm, .close = close_source};
        g->at = new_source(sysfs_root, proc_root, &cards[i]);
        if (!g->at)
            return err_set(err, ERR_1201, "no memory to read %s", cards[i].pci);
        g->info.source = (uint8_t)kinds[cards[i].driver];
        drm_plain_name(&cards[i], g->info.name);
        snprintf(g->info.pci, sizeof(g->info.pci), "%s", cards[i].pci);
        snprintf(g->info.driver, sizeof(g->info.driver), "%s", drm_driver_name(cards[i].driver));
        (*n)++;
    }
    return true;
}
