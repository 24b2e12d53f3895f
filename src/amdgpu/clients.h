/* clients: which processes have a card open, what they hold and how busy they keep it, from /proc.
 */
#ifndef AMDGPU_CLIENTS_H
#define AMDGPU_CLIENTS_H

#include "amdgpu/drm.h"
#include "amdgpu/fdinfo.h"

enum { CLIENTS_MAX = 1024 };
enum client_engine {
    CLIENT_GRAPHICS,
    CLIENT_COMPUTE,
    CLIENT_ENCODE,
    CLIENT_DECODE,
    CLIENT_ENGINE_COUNT
};

/* One open file description of the driver; several processes may hold it, the lowest pid is named.
 */
struct client {
    uint32_t pid; /* as proc_root numbers it */
    uint64_t id;
    uint64_t local_bytes, system_bytes; /* of the card's own memory; of the host's */
    bool knows_memory;
    struct {
        bool known;
        uint64_t busy, total; /* of total cycles, or of nanoseconds where total is 0 */
    } engine[CLIENT_ENGINE_COUNT];
};

struct clients_found {
    uint32_t n;      /* by ascending id */
    uint32_t hidden; /* processes whose files we may not see */
    bool left_out;   /* there were more than CLIENTS_MAX */
    struct client at[CLIENTS_MAX];
};

struct clients;

/* nodes are the card's files in /dev/dri; without any, all of /dev/dri are looked at. NULL: no
 * memory. */
struct clients *clients_new(const char *proc_root, const char *pci,
                            const struct drm_identity *identity);
void clients_free(struct clients *c);

/* Look through /proc: a process's open files again only when their number changed or after a while,
 * the files of those that have the card open every time. False where /proc cannot be read. */
bool clients_scan(struct clients *c, uint64_t now_ns, struct clients_found *out);

#endif
