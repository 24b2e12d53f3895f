/* card: what a simulated card is made of: the catalogue's row, and what drivers report beyond it.
 */
#ifndef SIM_CARD_H
#define SIM_CARD_H

#include <stdbool.h>
#include <stdint.h>

struct sim_card {
    const char *name, *arch; /* static */
    bool geforce;            /* consumer: no ECC, no serial, a fan that stops */
    uint32_t cc_major, cc_minor, sms, cores, device_id, subsystem_id;
    uint64_t total_bytes, reserved_bytes, bar1_bytes;
    uint32_t bus_bits, pcie_gen, pcie_lanes;
    double board_w, least_w, most_w, idle_w; /* default limit, its range */
    uint32_t sm_mhz, sm_idle_mhz, mem_mhz, mem_idle_mhz, video_mhz;
    uint32_t slowdown_c, shutdown_c,
        target_c; /* hardware slowdown, power off, the driver's own limit */
    uint32_t nvlinks;
    bool memory_sensor;
};

/* By the catalogue's name with or without its prefixes and blanks: "rtx4090". False: no such card.
 */
bool card_make(const char *name, struct sim_card *out);

#endif
