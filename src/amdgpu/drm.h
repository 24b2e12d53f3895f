/* drm: AMD and Intel GPUs as the kernel shows them in /sys, read without waking them; no vendor's
 * library. */
#ifndef AMDGPU_DRM_H
#define AMDGPU_DRM_H

#include "amdgpu/reading.h"

enum { DRM_MAX_CARDS = 16, DRM_TEXT_MAX = 96, DRM_NODES_MAX = 4, DRM_NODE_MAX = 24 };
enum drm_driver { DRM_AMDGPU, DRM_I915, DRM_XE };

/* sysfs_root is what lies above /sys; "" or NULL for this machine's own. */

struct drm_card {
    uint32_t number; /* 0 of card0 */
    enum drm_driver driver;
    uint16_t vendor, device; /* 0 unknown */
    char pci[32];            /* "0000:03:00.0" */
};

/* The cards of the drivers amdgpu, i915 and xe in PCI order, at most DRM_MAX_CARDS. Reads only what
 * the kernel answers from its own memory. */
uint32_t drm_list(const char *sysfs_root, struct drm_card out[DRM_MAX_CARDS]);

enum drm_power_state { DRM_ACTIVE, DRM_SUSPENDED, DRM_ABSENT };

/* Asked before anything else is read: reading wakes a suspended card. */
enum drm_power_state drm_power_state(const char *sysfs_root, const struct drm_card *card);

/* How often a value moves: with every read, about once a second, never. */
enum drm_pace { DRM_FAST, DRM_SLOW, DRM_ONCE };
enum drm_answer { DRM_READ, DRM_GONE, DRM_DENIED };

struct drm_gpu;

/* The card must be active. NULL: no memory. */
struct drm_gpu *drm_open(const char *sysfs_root, const struct drm_card *card);
void drm_close(struct drm_gpu *gpu);

/* Into *out the values of that pace and of faster ones; what cannot be read is not in out->known.
 * DRM_GONE: the card was removed or its driver unloaded; DRM_DENIED: nothing could be opened for
 * lack of permission. */
enum drm_answer drm_read(struct drm_gpu *gpu, enum drm_pace pace, struct drm_reading *out);

/* Valid after the first drm_read at DRM_ONCE. Texts are printable, "" unknown. */
struct drm_identity {
    char name[DRM_TEXT_MAX]; /* the vendor's product name, the table's, or "AMD GPU 1002:744c" */
    char unique_id[DRM_TEXT_MAX]; /* hex digits */
    bool integrated;              /* shares the host's memory */
    uint32_t n_nodes;
    char nodes[DRM_NODES_MAX][DRM_NODE_MAX]; /* its files in /dev/dri: "card0", "renderD128" */
};
void drm_identify(struct drm_gpu *gpu, struct drm_identity *out);

/* "AMD GPU 1002:744c", for a card that was not read yet. */
void drm_plain_name(const struct drm_card *card, char out[DRM_TEXT_MAX]);
const char *drm_driver_name(enum drm_driver driver);

#endif
