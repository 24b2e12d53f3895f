/* history: one ring of samples per GPU behind a lock that is held for a copy only. */
#include "history/history.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>


struct ring {
    pthread_mutex_t lock;
    struct sample *at; /* capacity entries; the oldest is overwritten */
    size_t next, n;
    struct process_table processes;
    bool has_processes;
};

struct history {
    uint32_t gpus;
    size_t capacity;
    struct ring ring[TELEMETRY_MAX_GPUS];
};

bool history_new(struct history **out, uint32_t gpus, double hz, double seconds, struct err *err)
{
    if (gpus == 0 || gpus > TELEMETRY_MAX_GPUS || !(hz >= 0.01 && hz <= 50) ||
        !(seconds >= 1 && seconds <= 86400))
        return err_set(err, ERR_1201, "a history of %u GPUs, %g samples per second over %g s is not possible", gpus,
                       hz, seconds);
    struct history *h = calloc(1, sizeof(*h));
    if (!h)
        return err_set(err, ERR_1201, "no memory for the history");
    h->gpus = gpus;
    /* threads wake late now and then and catch up: one eighth more, and both ends of the span */
    h->capacity = (size_t)ceil(hz * seconds * 1.125) + 2;
    for (uint32_t g = 0; g < gpus; g++) {
        pthread_mutex_init(&h->ring[g].lock, NULL);
        h->ring[g].at = calloc(h->capacity, sizeof(struct sample));
        if (!h->ring[g].at) {
            h->gpus = g + 1;
            history_free(h);
            return err_set(err, ERR_1201, "no memory for %zu samples of %u GPUs", h->capacity, gpus);
        }
    }
    *out = h;
    return true;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    for (uint32_t g = 0; g < h->gpus; g++) {
        free(h->ring[g].at);
        pthread_mutex_destroy(&h->ring[g].lock);
    }
    free(h);
}

void history_push(void *history, const struct sample *s)
{
    struct history *h = history;
    if (s->gpu >= h->gpus)
        return;
    struct ring *r = &h->ring[s->gpu];
    pthread_mutex_lock(&r->lock);
    r->at[r->next] = *s;
    r->next = (r->next + 1) % h->capacity;
    r->n += r->n < h->capacity;
    pthread_mutex_unlock(&r->lock);
}

void history_push_processes(void *history, const struct process_table *t)
{
    struct history *h = history;
    if (t->gpu >= h->gpus)
        return;
    struct ring *r = &h->ring[t->gpu];
    pthread_mutex_lock(&r->lock);
    process_table_copy(&r->processes, t);
    r->has_processes = true;
    pthread_mutex_unlock(&r->lock);
}

/* The i-th sample from the oldest. */
static const struct sample *nth(const struct history *h, const struct ring *r, size_t i)
{
    return &r->at[(r->next + h->capacity - r->n + i) % h->capacity];
}

bool history_newest(struct history *h, uint32_t gpu, struct sample *out)
{
    if (gpu >= h->gpus)
        return false;
    struct ring *r = &h->ring[gpu];
    pthread_mutex_lock(&r->lock);
    bool any = r->n > 0;
    if (any)
        *out = *nth(h, r, r->n - 1);
    pthread_mutex_unlock(&r->lock);
    return any;
}

bool history_processes(struct history *h, uint32_t gpu, struct process_table *out)
{
    if (gpu >= h->gpus)
        return false;
    struct ring *r = &h->ring[gpu];
    pthread_mutex_lock(&r->lock);
    bool any = r->has_processes;
    if (any)
        process_table_copy(out, &r->processes);
    pthread_mutex_unlock(&r->lock);
    return any;
}

/* Number of the first sample read at or after from_ns; r->n if there is none. */
static size_t first_since(const struct history *h, const struct ring *r, uint64_t from_ns)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (nth(h, r, mid)->mono_ns < from_ns)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t history_since(struct history *h, uint32_t gpu, uint64_t from_ns, struct sample *out, size_t max)
{
    if (gpu >= h->gpus)
        return 0;
    struct ring *r = &h->ring[gpu];
    pthread_mutex_lock(&r->lock);
    size_t first = first_since(h, r, from_ns), n = r->n - first;
    if (n > max) {
        first += n - max;
        n = max;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = *nth(h, r, first + i);
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t history_bins(struct history *h, uint32_t gpu, enum metric m, uint64_t from_ns, uint64_t until_ns,
                    size_t bins, double *low, double *mean, double *high)
{
    for (size_t b = 0; b < bins; b++)
        low[b] = mean[b] = high[b] = NAN;
    if (gpu >= h->gpus || bins == 0 || until_ns <= from_ns)
        return 0;
    struct ring *r = &h->ring[gpu];
    double span = (double)(until_ns - from_ns);
    size_t counted = 0, in_bin = 0, last = bins;
    pthread_mutex_lock(&r->lock);
    for (size_t i = first_since(h, r, from_ns); i < r->n; i++) {
        const struct sample *s = nth(h, r, i);
        if (s->mono_ns > until_ns)
            break;
        if (!sample_has(s, m))
            continue;
        size_t b = (size_t)((double)(s->mono_ns - from_ns) / span * (double)bins);
        b = b >= bins ? bins - 1 : b;
        double v = s->value[m];
        in_bin = b == last ? in_bin + 1 : 1;
        low[b] = in_bin == 1 ? v : fmin(low[b], v);
        high[b] = in_bin == 1 ? v : fmax(high[b], v);
        mean[b] = in_bin == 1 ? v : mean[b] + (v - mean[b]) / (double)in_bin;
        last = b;
        counted++;
    }
    pthread_mutex_unlock(&r->lock);
    return counted;
}

double history_mean(struct history *h, enum metric m)
{
    double sum = 0;
    uint32_t n = 0;
    struct sample s;
    for (uint32_t g = 0; g < h->gpus; g++) {
        if (!history_newest(h, g, &s) || !sample_has(&s, m))
            continue;
        sum += s.value[m];
        n++;
    }
    return n ? sum / n : NAN;
}
