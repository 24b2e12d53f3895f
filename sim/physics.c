/* physics: two heat masses, power that follows work and clocks, limits that hold both, counters
 * that add up. */
#include "sim/physics.h"

#include <math.h>
#include <string.h>

#define NS        1e-9
#define SECOND_NS ((int64_t)1000000000)

static const double die_tau_s = 5, sink_tau_s = 75; /* how fast chip and heat sink follow */
static const double die_rise = 12,
                    sink_rise = 38;    /* degrees over the next at the board's full power */
static const double hunger = 1.12;     /* full load wants so much of the board's limit */
static const double clock_power = 2.4; /* dynamic power goes with clock to this */

/* Short steps while a world is young, longer ones later; every length divides the next. */
int64_t physics_step_ns(int64_t t)
{
    return t < 3600 * SECOND_NS ? SECOND_NS / 4 : t < 86400 * SECOND_NS ? SECOND_NS : 5 * SECOND_NS;
}

static double clamp(double x, double least, double most)
{
    return x < least ? least : x > most ? most : x;
}

static bool is_set(const struct sim_gpu *g, enum sim_field field, uint64_t *value)
{
    for (uint32_t i = 0; i < g->n_sets; i++) {
        if (g->set[i].field == field) {
            *value = g->set[i].value;
            return true;
        }
    }
    return false;
}

void physics_start(const struct sim_gpu *g, struct physics *p)
{
    double idle = g->card.idle_w / g->card.board_w;
    *p = (struct physics){.sink_c = g->ambient_c + g->cooling * sink_rise * idle};
    p->die_c = p->sink_c + die_rise * idle;
}

/* Percent; stands still while a consumer card is cool. */
static double fan_at(const struct sim_gpu *g, double die_c)
{
    if (!g->fan)
        return 0;
    if (die_c < 50)
        return g->card.geforce ? 0 : 30;
    return clamp(30 + (die_c - 50) * 1.75, 30, 100);
}

struct draw {
    double watts, clock; /* clock: share of the highest */
    bool capped, sw_thermal, hw_thermal;
};

/* Power and clock for a mean use `work`, as temperature and limit allow. */
static struct draw draw_at(const struct sim_gpu *g, double die_c, double work)
{
    struct draw d = {.clock = 1};
    const struct sim_card *c = &g->card;
    uint64_t fixed;
    double active = (c->board_w * hunger - c->idle_w) * clamp(work, 0, 2);
    if (die_c > c->target_c) {
        d.sw_thermal = active > c->board_w * 0.05;
        d.clock = clamp(1 - (die_c - c->target_c) * 0.05, 0.35, 1);
    }
    if (die_c >= c->slowdown_c) {
        d.hw_thermal = true;
        d.clock = fmin(d.clock, 0.35);
    }
    double wanted = active * pow(d.clock, clock_power), room = fmax(g->limit_w - c->idle_w, 1);
    if (wanted > room) {
        d.capped = true;
        d.clock *= pow(room / wanted, 1 / clock_power);
        wanted = room;
    }
    d.watts = c->idle_w + wanted;
    if (is_set(g, SIM_FIELD_power_mw, &fixed))
        d.watts = (double)fixed / 1000;
    return d;
}

/* Mean share of time in use between two sums, with the children's. */
static double mean(double a, double b, int64_t span_ns, double more)
{
    return span_ns > 0 ? clamp((b - a) / ((double)span_ns * NS), 0, 4) + more : more;
}

static double ambient_of(const struct sim_fault *faults, uint32_t n, uint32_t gpu, int64_t t,
                         double otherwise)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct sim_fault *f = &faults[i];
        bool here = f->gpu == SIM_ALL_GPUS || f->gpu == (int32_t)gpu;
        if (f->kind == SIM_FAULT_AMBIENT && here && t >= f->at_ns && t < f->until_ns)
            otherwise = fmin((double)f->value, 100);
    }
    return otherwise;
}

static double ambient_at(const struct sim_scenario *s, uint32_t gpu,
                         const struct surroundings *around, int64_t t)
{
    double c = ambient_of(s->fault, s->n_faults, gpu, t, s->gpu[gpu].ambient_c);
    return ambient_of(around->faults, around->n_faults, gpu, t, c);
}

/* One step of constant inputs: heat by the exact exponential, the rest by products. */
static void step(const struct sim_scenario *s, uint32_t gpu, const struct surroundings *around,
                 int64_t t1, const struct load_sum *a, const struct load_sum *b, struct physics *p)
{
    const struct sim_gpu *g = &s->gpu[gpu];
    double dt = (double)(t1 - p->t_ns) * NS;
    double busy = mean(a->busy_s, b->busy_s, t1 - p->t_ns, around->busy);
    double work = mean(a->work_s, b->work_s, t1 - p->t_ns, around->work);
    struct draw d = draw_at(g, p->die_c, busy > 1 ? work / busy : work);
    double load = d.watts / g->card.board_w, fan = fan_at(g, p->die_c);
    double rise = sink_rise * g->cooling * (1.3 - 0.5 * fan / 100);
    double sink = ambient_at(s, gpu, around, p->t_ns) + rise * load;
    p->sink_c = sink + (p->sink_c - sink) * exp(-dt / sink_tau_s);
    double die = p->sink_c + die_rise * load;
    p->die_c = die + (p->die_c - die) * exp(-dt / die_tau_s);
    p->energy_j += d.watts * dt;
    p->power_cap_s += d.capped ? dt : 0;
    p->sw_thermal_s += d.sw_thermal ? dt : 0;
    p->hw_thermal_s += d.hw_thermal ? dt : 0;
    p->t_ns = t1;
}

void physics_advance(const struct sim_scenario *s, uint32_t gpu, const struct surroundings *around,
                     int64_t t_ns, struct physics *p)
{
    if (t_ns <= p->t_ns)
        return;
    struct load_sum a = load_until(s, gpu, -1, p->t_ns), b;
    while (p->t_ns < t_ns) {
        int64_t every = physics_step_ns(p->t_ns), t1 = (p->t_ns / every + 1) * every;
        t1 = t1 < t_ns ? t1 : t_ns;
        b = load_until(s, gpu, -1, t1);
        step(s, gpu, around, t1, &a, &b, p);
        a = b;
    }
}

double physics_noise(uint64_t seed, uint32_t gpu, uint32_t what, int64_t bucket)
{
    uint64_t x = seed ^ (uint64_t)bucket * 0x9e3779b97f4a7c15u ^ ((uint64_t)gpu << 40) ^
                 ((uint64_t)what << 56);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (double)(x >> 11) * 0x1p-52 - 1;
}

static uint64_t percent(double share)
{
    return (uint64_t)lround(clamp(share, 0, 1) * 100);
}

static void read_clocks(const struct sim_gpu *g, double busy, const struct draw *d, double noise,
                        struct reading *r)
{
    const struct sim_card *c = &g->card;
    if (busy < 0.01) {
        r->sm_mhz = c->sm_idle_mhz;
        r->mem_mhz = c->mem_idle_mhz;
        r->video_mhz = c->video_mhz < 600 ? c->video_mhz : 600;
        r->pstate = c->geforce ? 8 : 0;
        r->reasons = REASON_IDLE;
        return;
    }
    double top = (double)c->sm_mhz * 0.92 * d->clock + 7 * noise;
    r->sm_mhz = (uint64_t)clamp(floor(top / 15) * 15, c->sm_idle_mhz, c->sm_mhz);
    r->mem_mhz = c->mem_mhz;
    r->video_mhz = (uint64_t)clamp(c->video_mhz * 0.92 * d->clock, 300, c->video_mhz);
    r->pstate = c->geforce ? 2 : 0;
    r->reasons = (d->capped ? REASON_POWER_CAP : 0) | (d->sw_thermal ? REASON_SW_THERMAL : 0) |
                 (d->hw_thermal ? REASON_HW_THERMAL | REASON_HW_SLOWDOWN : 0);
}

static void read_link(const struct sim_gpu *g, const struct load_sum *now,
                      const struct load_sum *before, double dt, double busy, struct reading *r)
{
    double most_kbs = (double)g->link_width * 0.985e6 * pow(2, (double)g->link_gen - 3);
    r->rx_bytes = (uint64_t)now->rx_bytes;
    r->tx_bytes = (uint64_t)now->tx_bytes;
    r->rx_kbs =
        dt > 0 ? (uint64_t)clamp((now->rx_bytes - before->rx_bytes) / dt / 1000, 0, most_kbs) : 0;
    r->tx_kbs =
        dt > 0 ? (uint64_t)clamp((now->tx_bytes - before->tx_bytes) / dt / 1000, 0, most_kbs) : 0;
    r->link_gen = busy < 0.01 && g->card.geforce && r->rx_kbs == 0 ? 1 : g->link_gen;
    r->link_width = g->link_width;
}

void physics_read(const struct sim_scenario *s, uint32_t gpu, const struct surroundings *around,
                  uint64_t seed, const struct physics *p, struct reading *out)
{
    const struct sim_gpu *g = &s->gpu[gpu];
    int64_t t = p->t_ns, from = t > SECOND_NS / 4 ? t - SECOND_NS / 4 : 0,
            bucket = t / (SECOND_NS / 10);
    struct load_sum b = load_until(s, gpu, -1, t), a = load_until(s, gpu, -1, from);
    double busy = mean(a.busy_s, b.busy_s, t - from, around->busy), n = s->noise;
    double work = mean(a.work_s, b.work_s, t - from, around->work);
    struct draw d = draw_at(g, p->die_c, busy > 1 ? work / busy : work);
    struct reading r = {.t_ns = t};
    if (busy >= 0.01) {
        r.util = percent(busy + (busy < 0.97 ? 0.02 * n * physics_noise(seed, gpu, 1, bucket) : 0));
        r.mem_util = percent(mean(a.memory_s, b.memory_s, t - from, around->busy * 0.6));
    }
    r.encoder = percent(mean(a.encoder_s, b.encoder_s, t - from, 0));
    r.decoder = percent(mean(a.decoder_s, b.decoder_s, t - from, 0));
    double watts =
        d.watts * (1 + (d.capped ? 0.004 : 0.012) * n * physics_noise(seed, gpu, 2, bucket));
    r.power_mw = (uint64_t)llround(watts * 1000);
    r.limit_mw = (uint64_t)llround(g->limit_w * 1000);
    r.energy_mj = (uint64_t)(p->energy_j * 1000);
    r.temperature = (uint64_t)lround(clamp(p->die_c, 0, 130));
    r.mem_temperature = g->card.memory_sensor ? r.temperature + 4 : 0;
    r.fan = (uint64_t)lround(fan_at(g, p->die_c));
    r.fan_rpm = r.fan * 32;
    read_clocks(g, busy, &d, n * physics_noise(seed, gpu, 3, bucket), &r);
    read_link(g, &b, &a, (double)(t - from) * NS, busy, &r);
    r.power_cap_ns = (uint64_t)(p->power_cap_s * 1e9);
    r.sw_thermal_ns = (uint64_t)(p->sw_thermal_s * 1e9);
    r.hw_thermal_ns = (uint64_t)(p->hw_thermal_s * 1e9);
    *out = r;
}
