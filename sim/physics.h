/* physics: heat, power, clocks and counters of a card; integrated in steps that depend on simulated
 * time alone. */
#ifndef SIM_PHYSICS_H
#define SIM_PHYSICS_H

#include "sim/load.h"

/* Everything that has a history. Zeroed with t_ns -1 is before the start: physics_start. */
struct physics {
    int64_t t_ns;
    double die_c, sink_c; /* chip, and what it is bolted to */
    double energy_j;
    double power_cap_s, sw_thermal_s, hw_thermal_s; /* time spent so */
};

/* What a driver would say at one moment. Sizes in bytes, clocks in MHz, throughput in KB/s. */
struct reading {
    int64_t t_ns;
    uint64_t total_bytes, reserved_bytes, used_bytes, free_bytes; /* used without reserved */
    uint64_t util, mem_util, encoder, decoder;                    /* percent */
    uint64_t temperature, mem_temperature; /* degrees; the latter 0 without a sensor */
    uint64_t power_mw, limit_mw, energy_mj;
    uint64_t sm_mhz, mem_mhz, video_mhz, fan, fan_rpm, pstate, reasons;
    uint64_t rx_kbs, tx_kbs, rx_bytes, tx_bytes;
    uint64_t link_gen, link_width;
    uint64_t power_cap_ns, sw_thermal_ns, hw_thermal_ns;
};

/* What the world adds to the scenario on one card. */
struct surroundings {
    double busy, work; /* children's use of the card, 0 to 1 */
    uint32_t n_faults; /* those of run time; of them and the scenario's, AMBIENT counts here */
    const struct sim_fault *faults;
};

/* How long a step at t is. */
int64_t physics_step_ns(int64_t t);

void physics_start(const struct sim_gpu *g, struct physics *p);

/* From p->t_ns to t_ns; the same in one go or in many. */
void physics_advance(const struct sim_scenario *s, uint32_t gpu, const struct surroundings *around,
                     int64_t t_ns, struct physics *p);

/* Fills all but memory (total, reserved, used, free) and what faults change. */
void physics_read(const struct sim_scenario *s, uint32_t gpu, const struct surroundings *around,
                  uint64_t seed, const struct physics *p, struct reading *out);

/* -1 to 1, the same for the same words. */
double physics_noise(uint64_t seed, uint32_t gpu, uint32_t what, int64_t bucket);

/* Bits of the throttle reasons. */
enum {
    REASON_IDLE = 0x1,
    REASON_POWER_CAP = 0x4,
    REASON_HW_SLOWDOWN = 0x8,
    REASON_SW_THERMAL = 0x20,
    REASON_HW_THERMAL = 0x40,
};

#endif
