/* fdinfo: what a DRM driver writes about one open file: the client, how long engines were busy,
 * which memory it holds. */
#ifndef AMDGPU_FDINFO_H
#define AMDGPU_FDINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FDINFO_NAME_MAX = 24,
    FDINFO_ENGINES_MAX = 16,
    FDINFO_REGIONS_MAX = 12,
    FDINFO_TEXT_MAX = 8192
};

/* Either busy_ns grows while the engine works, or cycles does, out of total_cycles. */
struct fdinfo_engine {
    char name[FDINFO_NAME_MAX];
    bool has_ns, has_cycles, has_total;
    uint64_t busy_ns, cycles, total_cycles;
    uint32_t capacity; /* how many of them there are; at least 1 */
};

struct fdinfo_region {
    char name[FDINFO_NAME_MAX];
    uint64_t bytes; /* resident, else the older "memory", else allocated in all */
    uint8_t rank;   /* which of them it is: 3, 2, 1 */
};

struct fdinfo {
    char driver[FDINFO_NAME_MAX], pdev[FDINFO_NAME_MAX]; /* "amdgpu", "0000:03:00.0" */
    uint64_t client_id;
    uint32_t n_engines, n_regions;
    struct fdinfo_engine engine[FDINFO_ENGINES_MAX];
    struct fdinfo_region region[FDINFO_REGIONS_MAX];
};

/* False where the text is not of a DRM file of a PCI card (driver, pdev and client id are
 * required). Lines that cannot be understood are left out. */
bool fdinfo_parse(const char *text, size_t len, struct fdinfo *out);

#endif
