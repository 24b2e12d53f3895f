/* fault: what goes wrong, when and on which card or call, by schedule or by command; and readings
 * set by hand. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdint.h>

#include "base/err.h"

enum { SIM_FAULTS_MAX = 64, SIM_CALL_MAX = 72, SIM_ALL_GPUS = -1 };

/* One row per kind: what it is called, what its value is, and what it does. */
#define SIM_FAULTS(X)                                                                         \
    X(LOST, "lost", "", "the card is gone: every call on it answers 15")                      \
    X(UNKNOWN, "unknown", "", "the same with 999, as some drivers say it")                    \
    X(HANG, "hang", "", "the call does not return until the fault is cleared or over")        \
    X(SLOW, "slow", "ms", "the call takes this long")                                         \
    X(ERROR, "error", "code", "the call answers this code")                                   \
    X(HIDE, "hide", "", "the call answers 13, and a reduced library lacks its symbol")        \
    X(DENIED, "denied", "", "the card may not be opened: 4")                                  \
    X(MISMATCH, "mismatch", "", "driver and library differ: init answers 18")                 \
    X(UNLOADED, "unloaded", "", "no driver: init answers 9")                                  \
    X(XID, "xid", "number", "the driver reports this XID once")                               \
    X(ECC_CORRECTED, "ecc-corrected", "errors", "so many corrected memory errors more")       \
    X(ECC_UNCORRECTED, "ecc-uncorrected", "errors", "so many uncorrected memory errors more") \
    X(REMAPPED, "remapped", "rows", "so many memory rows replaced")                           \
    X(LINK_GEN, "link-gen", "generation", "the PCIe link falls to this generation")           \
    X(LINK_WIDTH, "link-width", "lanes", "the PCIe link falls to so many lanes")              \
    X(SET, "set", "number", "the reading of `field` is this number, however absurd")          \
    X(COUNT, "count", "number", "lists say they have this many entries, whatever was asked")  \
    X(ENDLESS, "endless", "", "texts fill their buffer without an end")                       \
    X(AMBIENT, "ambient", "celsius", "the air is so warm")

enum sim_fault_kind {
    SIM_FAULT_NONE,
#define X(id, name, unit, help) SIM_FAULT_##id,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_KINDS
};

/* Readings that can be set. One row: name in files, member of struct reading. */
#define SIM_FIELDS(X)                                                                         \
    X("total", total_bytes)                                                                   \
    X("used", used_bytes) X("free", free_bytes) X("reserved", reserved_bytes) X("util", util) \
        X("mem-util", mem_util) X("encoder", encoder) X("decoder", decoder)                   \
            X("temperature", temperature) X("power", power_mw) X("limit", limit_mw)           \
                X("energy", energy_mj) X("sm-clock", sm_mhz) X("mem-clock", mem_mhz)          \
                    X("video-clock", video_mhz) X("fan", fan) X("pstate", pstate)             \
                        X("reasons", reasons) X("pcie-rx", rx_kbs) X("pcie-tx", tx_kbs)

enum sim_field {
    SIM_FIELD_NONE,
#define X(name, member) SIM_FIELD_##member,
    SIM_FIELDS(X)
#undef X
        SIM_FIELD_COUNT
};

struct sim_set {
    enum sim_field field;
    uint64_t value;
};

struct sim_fault {
    enum sim_fault_kind kind;
    int32_t gpu;             /* SIM_ALL_GPUS: every card, and calls on none */
    int64_t at_ns, until_ns; /* simulated time */
    uint32_t id;             /* tells run-time faults apart; 0 in files */
    enum sim_field field;    /* of SET */
    uint64_t value;          /* code, number, ns of SLOW */
    char call[SIM_CALL_MAX]; /* NVML's name; "" is every call */
};

/* One word of a fault: "gpu" "1". ERR_1501 without a place. Start from a zeroed fault. */
bool fault_word(struct sim_fault *f, const char *key, const char *value, struct err *err);
bool fault_check(struct sim_fault *f, struct err *err); /* after the last word */

/* "lost gpu=1 for=20s", "slow=20ms call=nvmlDeviceGetFanSpeed", "xid=79 gpu=0", "set=4e9
 * field=temperature". */
bool fault_parse(const char *text, struct sim_fault *out, struct err *err);
const char *fault_name(enum sim_fault_kind kind);

/* A reading's number: sizes with a unit are bytes, "200W" milliwatts, else as it is. */
bool fault_number(const char *text, enum sim_field field, uint64_t *out);
enum sim_field fault_field(const char *name); /* SIM_FIELD_NONE: no such */

#endif
