/* drm_use: the share of time that clients of a card keep its engines busy, from counters read
 * twice. */
#ifndef TELEMETRY_DRM_USE_H
#define TELEMETRY_DRM_USE_H

#include "amdgpu/clients.h"
#include "telemetry/sample.h"

struct drm_use {
    uint64_t now_ns;                     /* of the newest scan; 0: none yet */
    bool measured;                       /* two scans lie behind `percent` */
    double percent[CLIENT_ENGINE_COUNT]; /* of all clients together, at most 100 */
    struct drm_use_client {
        uint32_t pid;
        uint64_t id;
        double percent[CLIENT_ENGINE_COUNT]; /* -1 until it was seen twice */
        struct {
            bool known;
            uint64_t busy, total; /* the highest seen: counters may step back */
        } engine[CLIENT_ENGINE_COUNT];
    } * client; /* by ascending id */
    uint32_t n;
};

void drm_use_finish(struct drm_use *u);

/* Take what a scan found at now_ns. False without memory: then nothing has changed. */
bool drm_use_update(struct drm_use *u, const struct clients_found *found, uint64_t now_ns);

/* The processes of the scan that *u took last, largest memory first, names and all. unified: the
 * host's memory counts as the card's. */
void drm_use_table(const struct drm_use *u, const struct clients_found *found,
                   const char *proc_root, bool unified, struct process_table *t);

#endif
