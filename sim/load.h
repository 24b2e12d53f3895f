/* load: what processes hold and do at a simulated time, in closed form, so that every asker gets
 * the same. */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include "sim/scenario.h"

/* Sums from simulated time 0 to t: seconds of use, weighted by power, and bytes over the link. */
struct load_sum {
    double busy_s, work_s, encoder_s, decoder_s, memory_s;
    double rx_bytes, tx_bytes;
};

/* Everything on card `gpu` until t_ns (mig -1: the whole card, else that MIG device alone). */
struct load_sum load_until(const struct sim_scenario *s, uint32_t gpu, int32_t mig, int64_t t_ns);

/* One process on one share of a card. */
struct load_sum load_of(const struct sim_process *p, const struct sim_share *h, int64_t t_ns);

bool load_alive(const struct sim_process *p, int64_t t_ns);
uint32_t load_pid(const struct sim_process *p, int64_t t_ns); /* another one for every life */

/* What the process wants to hold; 0 when it is not there. Whole pages of 2 MiB. */
uint64_t load_bytes(const struct sim_process *p, const struct sim_share *h, int64_t t_ns);
/* What ended lives of an orphan left behind. */
uint64_t load_orphaned(const struct sim_process *p, const struct sim_share *h, int64_t t_ns);

#endif
