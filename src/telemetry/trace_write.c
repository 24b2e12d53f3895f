/* trace_write: samples into records. */
#include <math.h>
#include <string.h>

#include "telemetry/trace.h"
#include "telemetry/trace_scale.h"

struct buffer {
    uint8_t *at; /* TRACE_RECORD_MAX bytes of the state */
    size_t n;
};

/* A table of PROCESSES_MAX processes with full names is the largest record, a quarter of the buffer. */
_Static_assert(PROCESSES_MAX * (PROCESS_NAME_MAX + PROCESS_CONTAINER_MAX + 64) < TRACE_RECORD_MAX, "record fits");

static void add_number(struct buffer *b, uint64_t n)
{
    do {
        uint8_t low = n & 0x7f;
        n >>= 7;
        b->at[b->n++] = (uint8_t)(low | (n ? 0x80 : 0));
    } while (n);
}

static void add_signed(struct buffer *b, int64_t n)
{
    add_number(b, ((uint64_t)n << 1) ^ (uint64_t)(n >> 63));
}

static void add_text(struct buffer *b, const char *text)
{
    size_t n = strlen(text);
    add_number(b, n);
    memcpy(b->at + b->n, text, n);
    b->n += n;
}

static void put(struct str *out, char letter, const struct buffer *b)
{
    uint8_t first[16];
    struct buffer head = {.at = first};
    head.at[head.n++] = (uint8_t)letter;
    add_number(&head, b->n);
    str_add_n(out, (const char *)head.at, head.n);
    str_add_n(out, (const char *)b->at, b->n);
}

static void start(struct trace_state *t, struct str *out)
{
    struct buffer b = {.at = t->record};
    if (t->started)
        return;
    t->started = true;
    str_add_n(out, TRACE_MAGIC, sizeof(TRACE_MAGIC) - 1);
    str_add_char(out, (char)TRACE_VERSION, 1);
    add_number(&b, METRIC_COUNT);
    for (int m = 0; m < METRIC_COUNT; m++)
        add_text(&b, metric_info[m].name);
    put(out, 'M', &b);
}

void trace_add_gpu(struct trace_state *t, const struct gpu_info *i, struct str *out)
{
    struct buffer b = {.at = t->record};
    if (i->index >= TELEMETRY_MAX_GPUS)
        return;
    start(t, out);
    const uint64_t numbers[] = {
        i->index, i->source, i->simulated, i->cc_major, i->cc_minor, i->cores, i->bus_width_bits,
        i->memory_clock_max_mhz, i->sm_clock_max_mhz, (uint64_t)llround(i->bandwidth_gbs * 1000),
        i->pcie_gen_max, i->pcie_width_max, i->power_min_w, i->power_max_w, i->power_default_w,
        i->slowdown_c, i->shutdown_c, i->mig, i->unified_memory,
    };
    for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
        add_number(&b, numbers[k]);
    add_text(&b, i->name);
    add_text(&b, i->uuid);
    add_text(&b, i->pci);
    add_text(&b, i->driver);
    put(out, 'G', &b);
}

/* Time of a record, as the step from the one before. */
static void add_time(struct trace_state *t, uint64_t mono_ns, int64_t wall_ns, struct buffer *b)
{
    uint64_t mono_us = mono_ns / 1000;
    int64_t less = wall_ns / 1000 - (int64_t)mono_us;
    add_signed(b, (int64_t)(mono_us - t->mono_us));
    add_signed(b, less - t->wall_less_mono_us);
    t->mono_us = mono_us;
    t->wall_less_mono_us = less;
}

/* A wild counter is kept as the largest number there is. */
static int64_t scaled_value(const struct sample *s, enum metric m)
{
    double v = s->value[m] * trace_scale(m);
    return v > 9e18 ? INT64_MAX : v < -9e18 ? INT64_MIN : llround(v);
}

void trace_add_sample(struct trace_state *t, const struct sample *s, struct str *out)
{
    struct buffer b = {.at = t->record};
    if (s->gpu >= TELEMETRY_MAX_GPUS)
        return;
    start(t, out);
    uint64_t fresh = 0;
    bool seen = t->gpu[s->gpu].seen;
    for (int m = 0; m < METRIC_COUNT; m++)
        if (sample_has(s, (enum metric)m) && (s->age_ms[m] == 0 || !seen || !(t->gpu[s->gpu].present >> m & 1)))
            fresh |= UINT64_C(1) << m;
    add_number(&b, s->gpu);
    add_time(t, s->mono_ns, s->wall_ns, &b);
    add_number(&b, s->state);
    add_number(&b, (uint64_t)s->simulated | (uint64_t)s->source << 1);
    add_number(&b, s->present);
    add_number(&b, fresh);
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (!(fresh >> m & 1))
            continue;
        int64_t scaled = scaled_value(s, (enum metric)m);
        add_signed(&b, (int64_t)((uint64_t)scaled - (uint64_t)t->gpu[s->gpu].scaled[m]));
        t->gpu[s->gpu].scaled[m] = scaled;
    }
    t->gpu[s->gpu].seen = true;
    t->gpu[s->gpu].present = s->present;
    put(out, 'S', &b);
}

static uint64_t tenths_of_percent(float share)
{
    return share < 0 ? 0 : (uint64_t)llround((double)share * 10) + 1;
}

void trace_add_processes(struct trace_state *t, const struct process_table *p, struct str *out)
{
    struct buffer b = {.at = t->record};
    if (p->gpu >= TELEMETRY_MAX_GPUS)
        return;
    start(t, out);
    add_number(&b, p->gpu);
    add_time(t, p->mono_ns, (int64_t)(p->mono_ns / 1000) * 1000 + t->wall_less_mono_us * 1000, &b);
    add_number(&b, p->known);
    add_number(&b, p->left_out);
    add_number(&b, p->unattributed_bytes + 1); /* 0: unknown */
    add_number(&b, p->n);
    for (uint32_t i = 0; i < p->n && i < PROCESSES_MAX; i++) {
        const struct process *one = &p->process[i];
        add_number(&b, one->pid);
        add_number(&b, one->local_pid);
        add_number(&b, one->uid);
        add_number(&b, one->type);
        add_signed(&b, one->since_s);
        add_number(&b, one->memory_bytes + 1);
        add_number(&b, tenths_of_percent(one->sm));
        add_number(&b, tenths_of_percent(one->memory_bus));
        add_number(&b, tenths_of_percent(one->encoder));
        add_number(&b, tenths_of_percent(one->decoder));
        add_text(&b, one->name);
        add_text(&b, one->container);
    }
    put(out, 'P', &b);
}
