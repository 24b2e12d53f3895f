/* draw_detail: everything that is known of one GPU, in two columns of name and value. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tui/parts.h"

enum { PAIRS_MAX = 48, VALUE_MAX = 200, LABEL_COLUMNS = 13, TWO_COLUMNS = 60 };

struct pairs {
    int n, wide; /* the first `wide` take a whole line */
    struct {
        const char *name;
        char value[VALUE_MAX];
        enum paint paint;
    } pair[PAIRS_MAX];
};

static void pair(struct pairs *p, const char *name, enum paint paint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void pair(struct pairs *p, const char *name, enum paint paint, const char *fmt, ...)
{
    va_list ap;
    if (p->n == PAIRS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(p->pair[p->n].value, VALUE_MAX, fmt, ap);
    va_end(ap);
    p->pair[p->n].name = name;
    p->pair[p->n++].paint = paint;
}

/* "a / b" of a value and its bound, either may be unknown. */
static void value(struct pairs *p, const char *name, const struct gpu_view *g, enum metric m)
{
    char text[METRIC_TEXT_MAX], age[24] = "";
    double v = top_value(g, m);
    if (isnan(v))
        return;
    if (g->sample.age_ms[m] >= 5000)
        snprintf(age, sizeof(age), " (%d s ago)", g->sample.age_ms[m] / 1000);
    pair(p, name, PAINT_PLAIN, "%s%s", metric_text(m, v, text), age);
}

static void identity(struct pairs *p, const struct gpu_view *g)
{
    const struct gpu_info *i = &g->info;
    if (i->uuid[0])
        pair(p, "uuid", PAINT_PLAIN, "%s", i->uuid);
    p->wide = p->n;
    if (i->pci[0])
        pair(p, "pci", PAINT_PLAIN, "%s", i->pci);
    if (i->driver[0])
        pair(p, "driver", PAINT_PLAIN, "%s", i->driver);
    if (i->cc_major)
        pair(p, "compute cap.", PAINT_PLAIN, "%" PRIu32 ".%" PRIu32, i->cc_major, i->cc_minor);
    if (i->cores)
        pair(p, "cores", PAINT_PLAIN, "%" PRIu32, i->cores);
    if (i->bandwidth_gbs > 0)
        pair(p, "bandwidth", PAINT_PLAIN, "%.0f GB/s", i->bandwidth_gbs);
    if (i->mig)
        pair(p, "instances", PAINT_NOTICE, "split (MIG)");
    if (i->unified_memory)
        pair(p, "memory", PAINT_NOTICE, "shared with the host");
}

static void heat(struct pairs *p, const struct gpu_view *g)
{
    char text[METRIC_TEXT_MAX];
    double t = top_value(g, METRIC_TEMPERATURE);
    if (!isnan(t) && g->info.slowdown_c)
        pair(p, "temperature", PAINT_PLAIN, "%.0f C, slows at %" PRIu32 " C", t,
             g->info.slowdown_c);
    else
        value(p, "temperature", g, METRIC_TEMPERATURE);
    value(p, "memory temp.", g, METRIC_MEMORY_TEMPERATURE);
    value(p, "fan", g, METRIC_FAN);
    double w = top_value(g, METRIC_POWER), limit = top_value(g, METRIC_POWER_LIMIT);
    if (!isnan(w) && !isnan(limit))
        pair(p, "power", PAINT_PLAIN, "%.0f of %.0f W", w, limit);
    else
        value(p, "power", g, METRIC_POWER);
    if (g->info.power_max_w)
        pair(p, "limit range", PAINT_PLAIN, "%" PRIu32 " to %" PRIu32 " W", g->info.power_min_w,
             g->info.power_max_w);
    value(p, "energy", g, METRIC_ENERGY);
    double bits = top_value(g, METRIC_THROTTLE);
    if (!isnan(bits) && bits >= 0 && bits < 9e18) {
        throttle_text((uint64_t)bits, text, sizeof(text));
        pair(p, "throttle", (uint64_t)bits & THROTTLE_COSTS ? PAINT_BAD : PAINT_PLAIN, "%s",
             text[0] ? text : "none");
    }
}

static void memory(struct pairs *p, const struct gpu_view *g)
{
    value(p, "memory", g, METRIC_MEMORY_TOTAL);
    value(p, "used", g, METRIC_MEMORY_USED);
    value(p, "driver's", g, METRIC_MEMORY_RESERVED);
    value(p, "free", g, METRIC_MEMORY_FREE);
    if (g->processes.known && g->processes.unattributed_bytes != UINT64_MAX &&
        g->processes.unattributed_bytes) {
        char text[METRIC_TEXT_MAX];
        pair(p, "not told whose", PAINT_PLAIN, "%s",
             metric_text(METRIC_MEMORY_USED, (double)g->processes.unattributed_bytes, text));
    }
}

static void work(struct pairs *p, const struct gpu_view *g)
{
    char link[32];
    value(p, "utilization", g, METRIC_UTILIZATION);
    value(p, "memory bus", g, METRIC_MEMORY_UTILIZATION);
    value(p, "clock", g, METRIC_CLOCK_SM);
    value(p, "memory clock", g, METRIC_CLOCK_MEMORY);
    value(p, "encoder", g, METRIC_ENCODER);
    value(p, "decoder", g, METRIC_DECODER);
    pair(p, "link", gpu_link_below(g) ? PAINT_NOTICE : PAINT_PLAIN, "%s", gpu_link_text(g, link));
    if (g->info.pcie_gen_max)
        pair(p, "largest link", PAINT_PLAIN, "gen%" PRIu32 " x%" PRIu32, g->info.pcie_gen_max,
             g->info.pcie_width_max);
    value(p, "received", g, METRIC_PCIE_RX);
    value(p, "sent", g, METRIC_PCIE_TX);
    value(p, "nvlink in", g, METRIC_NVLINK_RX);
    value(p, "nvlink out", g, METRIC_NVLINK_TX);
    value(p, "pstate", g, METRIC_PSTATE);
}

static void health(struct pairs *p, const struct gpu_view *g)
{
    static const struct {
        enum metric metric;
        const char *name;
    } counters[] = {
        {METRIC_XID_COUNT,       "driver errors"},
        {METRIC_XID,             "last xid"     },
        {METRIC_ECC_UNCORRECTED, "ecc lost"     },
        {METRIC_ECC_CORRECTED,   "ecc mended"   },
        {METRIC_ROWS_REMAPPED,   "rows remapped"},
        {METRIC_ROWS_PENDING,    "rows pending" },
    };
    char text[TOP_SENTENCE_MAX];
    int bad = top_severity(g);
    top_sentence(g, text);
    pair(p, "state",
         bad == 2 ? PAINT_BAD
         : bad    ? PAINT_NOTICE
                  : PAINT_GOOD,
         "%s%s%s", gpu_word(g), text[0] ? ": " : "", text);
    identity(p, g);
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
        if (top_value(g, counters[i].metric) > 0)
            pair(p, counters[i].name, PAINT_BAD, "%.0f", top_value(g, counters[i].metric));
}

int draw_detail(struct screen *out, struct area at, const struct top_model *m,
                const struct top_state *s, uint32_t gpu)
{
    struct pairs p = {.n = 0};
    const struct gpu_view *g = &m->gpu[gpu];
    int per_line = at.w >= TWO_COLUMNS ? 2 : 1, attr = top_is_old(g) ? ATTR_DIM : 0;
    (void)s;
    health(&p, g);
    memory(&p, g);
    work(&p, g);
    heat(&p, g);
    int lines = p.wide + (p.n - p.wide + per_line - 1) / per_line, column = at.w / per_line;
    for (int i = 0; i < p.n; i++) {
        int k = i - p.wide, line = k < 0 ? i : p.wide + k % (lines - p.wide);
        int x = at.x + 1 + (k < 0 ? 0 : k / (lines - p.wide) * column),
            room = k < 0 ? at.w - 2 : column - 2;
        if (line >= at.h)
            continue;
        screen_text(out, x, at.y + line, LABEL_COLUMNS + 1, p.pair[i].name, PAINT_PLAIN, ATTR_DIM);
        screen_text(out, x + LABEL_COLUMNS + 2, at.y + line, room - LABEL_COLUMNS - 2,
                    p.pair[i].value, p.pair[i].paint, i ? attr : 0);
    }
    return lines < at.h ? lines : at.h;
}
