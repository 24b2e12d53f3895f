/* load: closed forms of a process's memory and use of a card, over one life and over many. */
#include "sim/load.h"

#include <math.h>

#define PAGE_BYTES ((uint64_t)2 << 20)
#define NS         1e-9

/* While weights are loaded the card is hardly in use; the link is. */
static const double loading_use = 0.04;
/* Bytes per second and full use that inference moves to the card and back. */
static const double serve_rx = 45e6, serve_tx = 28e6;

/* How often it has lived to the end before t, and how long into the present life t is; -1: not
 * alive. */
static int64_t lives(const struct sim_process *p, int64_t t, int64_t *age)
{
    int64_t since = t - p->start_ns, n = 0;
    *age = -1;
    if (since < 0)
        return 0;
    if (p->again_ns > 0) {
        n = since / p->again_ns;
        since -= n * p->again_ns;
    }
    if (since < p->life_ns)
        *age = since;
    else
        n++;
    return n;
}

bool load_alive(const struct sim_process *p, int64_t t_ns)
{
    int64_t age;
    lives(p, t_ns, &age);
    return age >= 0;
}

uint32_t load_pid(const struct sim_process *p, int64_t t_ns)
{
    int64_t age, n = lives(p, t_ns, &age);
    return p->pid + (uint32_t)(n % 1000);
}

static int64_t loading_ns(const struct sim_share *h)
{
    return h->weights_bytes ? h->load_ns : 0;
}

static uint64_t bytes_at(const struct sim_share *h, int64_t age)
{
    double bytes = 0;
    int64_t loading = loading_ns(h), served = age - loading;
    if (h->weights_bytes)
        bytes += (double)h->weights_bytes * fmin(1, (double)age / (double)loading);
    if (served > 0) {
        bytes += (double)h->kv_bytes * fmin(1, (double)served / (double)h->kv_ns);
        bytes += (double)h->saw_bytes * ((double)(served % h->saw_ns) / (double)h->saw_ns);
        bytes += (double)h->leak_bytes * (double)(served / h->leak_ns);
    }
    if (bytes <= 0)
        return 0;
    return bytes > 0x1p50 ? (uint64_t)1 << 50
                          : ((uint64_t)bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

uint64_t load_bytes(const struct sim_process *p, const struct sim_share *h, int64_t t_ns)
{
    int64_t age;
    lives(p, t_ns, &age);
    return age < 0 ? 0 : bytes_at(h, age);
}

uint64_t load_orphaned(const struct sim_process *p, const struct sim_share *h, int64_t t_ns)
{
    int64_t age, n = p->orphan ? lives(p, t_ns, &age) : 0;
    return n > 0 ? bytes_at(h, p->life_ns) : 0;
}

/* Seconds of use in the first `age` of a life. */
static double busy_seconds(const struct sim_share *h, int64_t age)
{
    int64_t loading = loading_ns(h);
    if (age <= loading)
        return loading_use * (double)age * NS;
    double before = loading_use * (double)loading * NS;
    int64_t s = age - loading;
    if (!h->rest_ns)
        return before + h->busy * (double)s * NS;
    int64_t period = h->busy_ns + h->rest_ns, n = s / period, r = s % period;
    int64_t busy = n * h->busy_ns + (r < h->busy_ns ? r : h->busy_ns);
    return before + (h->busy * (double)busy + h->rest * (double)(s - busy)) * NS;
}

static void add(struct load_sum *sum, const struct load_sum *x, double times)
{
    sum->busy_s += times * x->busy_s;
    sum->work_s += times * x->work_s;
    sum->encoder_s += times * x->encoder_s;
    sum->decoder_s += times * x->decoder_s;
    sum->memory_s += times * x->memory_s;
    sum->rx_bytes += times * x->rx_bytes;
    sum->tx_bytes += times * x->tx_bytes;
}

static struct load_sum sum_of_life(const struct sim_share *h, int64_t age)
{
    int64_t loading = loading_ns(h), served = age > loading ? age - loading : 0;
    double use = busy_seconds(h, age),
           loaded = loading ? fmin(1, (double)age / (double)loading) : 0;
    return (struct load_sum){
        .busy_s = use,
        .work_s = use * h->intensity,
        .memory_s = use * 0.62,
        .encoder_s = h->encoder * (double)served * NS,
        .decoder_s = h->decoder * (double)served * NS,
        .rx_bytes = (double)h->weights_bytes * loaded + serve_rx * use,
        .tx_bytes = serve_tx * use,
    };
}

struct load_sum load_of(const struct sim_process *p, const struct sim_share *h, int64_t t_ns)
{
    struct load_sum sum = {0}, one;
    int64_t age, n = lives(p, t_ns, &age);
    if (n > 0) {
        one = sum_of_life(h, p->life_ns);
        add(&sum, &one, (double)n);
    }
    if (age >= 0) {
        one = sum_of_life(h, age);
        add(&sum, &one, 1);
    }
    return sum;
}

struct load_sum load_until(const struct sim_scenario *s, uint32_t gpu, int32_t mig, int64_t t_ns)
{
    struct load_sum sum = {0};
    for (uint32_t i = 0; i < s->n_processes; i++) {
        for (uint32_t k = 0; k < s->process[i].n_shares; k++) {
            const struct sim_share *h = &s->process[i].share[k];
            if (h->gpu != gpu || (mig >= 0 && h->mig != mig))
                continue;
            struct load_sum one = load_of(&s->process[i], h, t_ns);
            add(&sum, &one, 1);
        }
    }
    return sum;
}
