/* trace_read: records back into samples; nothing in them is trusted. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "telemetry/trace.h"
#include "telemetry/trace_scale.h"

struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t number(struct cursor *c)
{
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (c->at == c->end)
            break;
        uint8_t byte = *c->at++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return n;
    }
    c->bad = true;
    return 0;
}

static int64_t signed_number(struct cursor *c)
{
    uint64_t n = number(c);
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

static uint64_t below(struct cursor *c, uint64_t most)
{
    uint64_t n = number(c);
    c->bad = c->bad || n > most;
    return c->bad ? 0 : n;
}

/* Made printable again: a trace may come from anywhere. */
static void text(struct cursor *c, char *out, size_t size)
{
    uint64_t n = number(c);
    out[0] = 0;
    if (c->bad || n > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        return;
    }
    str_printable((const char *)c->at, (size_t)n, out, size);
    c->at += n;
}

static bool refuse(const struct trace_reader *r, const uint8_t *where, struct err *err)
{
    err_set(err, ERR_1301, "the trace is damaged %zu bytes before its end", (size_t)(r->end - where));
    return err_fix(err, NULL, "what came before it was read; record again");
}

static void read_metrics(struct trace_reader *r, struct cursor *c)
{
    char name[64];
    r->n_metrics = (uint32_t)below(c, 64);
    for (uint32_t i = 0; i < r->n_metrics && !c->bad; i++) {
        enum metric m;
        text(c, name, sizeof(name));
        r->metric[i] = metric_find(name, &m) ? (int)m : -1;
    }
}

static void read_gpu(struct trace_reader *r, struct cursor *c)
{
    struct gpu_info *i = &r->info;
    *i = (struct gpu_info){.index = (uint16_t)below(c, TELEMETRY_MAX_GPUS - 1)};
    i->source = (uint8_t)below(c, SOURCE_KIND_COUNT - 1);
    i->simulated = below(c, 1);
    uint32_t *numbers[] = {&i->cc_major, &i->cc_minor, &i->cores, &i->bus_width_bits, &i->memory_clock_max_mhz,
                           &i->sm_clock_max_mhz};
    for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
        *numbers[k] = (uint32_t)below(c, UINT32_MAX);
    i->bandwidth_gbs = (double)below(c, UINT32_MAX) / 1000;
    uint32_t *more[] = {&i->pcie_gen_max, &i->pcie_width_max, &i->power_min_w, &i->power_max_w, &i->power_default_w,
                        &i->slowdown_c, &i->shutdown_c};
    for (size_t k = 0; k < sizeof(more) / sizeof(more[0]); k++)
        *more[k] = (uint32_t)below(c, UINT32_MAX);
    i->mig = below(c, 1);
    i->unified_memory = below(c, 1);
    text(c, i->name, sizeof(i->name));
    text(c, i->uuid, sizeof(i->uuid));
    text(c, i->pci, sizeof(i->pci));
    text(c, i->driver, sizeof(i->driver));
}

/* Times are sums of what the stream says: unsigned, so that a wild one only makes a wild time. */
static void read_time(struct trace_reader *r, struct cursor *c, uint64_t *mono_ns, int64_t *wall_ns)
{
    struct trace_state *t = &r->state;
    t->mono_us += (uint64_t)signed_number(c);
    t->wall_less_mono_us = (int64_t)((uint64_t)t->wall_less_mono_us + (uint64_t)signed_number(c));
    *mono_ns = t->mono_us * 1000;
    *wall_ns = (int64_t)(((uint64_t)t->wall_less_mono_us + t->mono_us) * 1000);
}

static void grow_older(struct sample *s, uint64_t before_ns)
{
    uint64_t more_ms = before_ns && s->mono_ns > before_ns ? (s->mono_ns - before_ns + 500000) / 1000000 : 0;
    for (int m = 0; m < METRIC_COUNT; m++) {
        uint64_t age = s->age_ms[m] + (more_ms > SAMPLE_AGE_MAX_MS ? SAMPLE_AGE_MAX_MS : more_ms);
        s->age_ms[m] = (uint16_t)(age > SAMPLE_AGE_MAX_MS ? SAMPLE_AGE_MAX_MS : age);
    }
}

static void read_sample(struct trace_reader *r, struct cursor *c)
{
    uint32_t g = (uint32_t)below(c, TELEMETRY_MAX_GPUS - 1);
    struct sample *s = &r->state.gpu[g].sample;
    uint64_t before_ns = s->mono_ns;
    read_time(r, c, &s->mono_ns, &s->wall_ns);
    s->gpu = (uint16_t)g;
    s->state = (uint8_t)below(c, GPU_STATE_COUNT - 1);
    uint64_t from = below(c, SOURCE_KIND_COUNT * 2 - 1), present = number(c), fresh = number(c);
    s->simulated = from & 1;
    s->source = (uint8_t)(from >> 1);
    s->present = 0;
    grow_older(s, before_ns);
    for (uint32_t i = 0; i < r->n_metrics; i++) {
        int m = r->metric[i];
        if (fresh >> i & 1) {
            int64_t *scaled = &r->state.gpu[g].scaled[m < 0 ? 0 : m];
            int64_t delta = signed_number(c);
            if (m < 0)
                continue;
            *scaled = (int64_t)((uint64_t)*scaled + (uint64_t)delta);
            s->value[m] = (double)*scaled / trace_scale((enum metric)m);
            s->age_ms[m] = 0;
        }
        if (m >= 0 && (present >> i & 1))
            s->present |= UINT64_C(1) << m;
    }
    r->sample = *s;
}

static float share(struct cursor *c)
{
    uint64_t tenths = below(c, 1001);
    return tenths ? (float)((double)(tenths - 1) / 10) : -1;
}

static void read_processes(struct trace_reader *r, struct cursor *c)
{
    struct process_table *p = &r->processes;
    int64_t wall_ns;
    *p = (struct process_table){.gpu = (uint16_t)below(c, TELEMETRY_MAX_GPUS - 1)};
    read_time(r, c, &p->mono_ns, &wall_ns);
    p->known = below(c, 1);
    p->left_out = (uint16_t)below(c, UINT16_MAX);
    p->unattributed_bytes = number(c) - 1;
    p->n = (uint16_t)below(c, PROCESSES_MAX);
    for (uint32_t i = 0; i < p->n && !c->bad; i++) {
        struct process *one = &p->process[i];
        one->pid = (uint32_t)below(c, UINT32_MAX);
        one->local_pid = (uint32_t)below(c, UINT32_MAX);
        one->uid = (uint32_t)below(c, UINT32_MAX);
        one->type = (uint8_t)below(c, PROCESS_COMPUTE | PROCESS_GRAPHICS);
        one->since_s = signed_number(c);
        one->memory_bytes = number(c) - 1;
        one->sm = share(c);
        one->memory_bus = share(c);
        one->encoder = share(c);
        one->decoder = share(c);
        text(c, one->name, sizeof(one->name));
        text(c, one->container, sizeof(one->container));
    }
}

bool trace_open(struct trace_reader *r, const void *data, size_t size, struct err *err)
{
    const size_t magic = sizeof(TRACE_MAGIC) - 1;
    const uint8_t *bytes = data;
    memset(r, 0, sizeof(*r));
    if (size < magic + 1 || memcmp(bytes, TRACE_MAGIC, magic) != 0) {
        err_set(err, ERR_1301, "this is not a trace of GPUs");
        return err_fix(err, "dualgpuopt record FILE", "make one");
    }
    if (bytes[magic] != TRACE_VERSION) {
        err_set(err, ERR_1301, "the trace has version %u, this program reads version %d", bytes[magic], TRACE_VERSION);
        return err_fix(err, NULL, "use the program that recorded it");
    }
    r->at = bytes + magic + 1;
    r->end = bytes + size;
    return true;
}

bool trace_next(struct trace_reader *r, enum trace_record *out, struct err *err)
{
    while (r->at < r->end) {
        struct cursor head = {.at = r->at + 1, .end = r->end};
        uint64_t len = number(&head);
        if (!head.bad && len > TRACE_RECORD_MAX)
            return refuse(r, r->at, err);
        if (head.bad || len > (uint64_t)(r->end - head.at)) {
            r->truncated = true;
            break;
        }
        uint8_t letter = *r->at;
        struct cursor body = {.at = head.at, .end = head.at + len};
        const uint8_t *where = r->at;
        r->at = body.end;
        enum trace_record kind = TRACE_END;
        switch (letter) {
        case 'M': read_metrics(r, &body); break;
        case 'G': read_gpu(r, &body); kind = TRACE_GPU; break;
        case 'S': read_sample(r, &body); kind = TRACE_SAMPLE; break;
        case 'P': read_processes(r, &body); kind = TRACE_PROCESSES; break;
        default: break;
        }
        if (body.bad)
            return refuse(r, where, err);
        if (kind != TRACE_END) {
            *out = kind;
            return true;
        }
    }
    r->at = r->end;
    *out = TRACE_END;
    return true;
}
