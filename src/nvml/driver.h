/* driver: the NVIDIA driver's library kept open and shared, and the driver errors (XID) it reports meanwhile. */
#ifndef NVML_DRIVER_H
#define NVML_DRIVER_H

#include "nvml/library.h"

enum { NVML_DRIVER_MAX_CARDS = 16 };

struct nvml_driver;

/* One reference to the caller; the library is shut down and unloaded when the last one is dropped. Errors as nv_open. */
bool nvml_driver_open(struct nvml_driver **out, const char *root, struct err *err);
struct nvml_driver *nvml_driver_hold(struct nvml_driver *d);
void nvml_driver_drop(struct nvml_driver *d); /* accepts NULL */

const struct nv *nvml_driver_calls(const struct nvml_driver *d);

/* From now on count the XIDs of this card (index below NVML_DRIVER_MAX_CARDS); earlier ones are not told. False where
 * the driver has no such events, or while another card is being set up: ask again later. */
bool nvml_driver_watch_errors(struct nvml_driver *d, uint32_t index, nv_device device);

/* Newest XID's number (0: none yet) and how many were seen since it is watched. */
void nvml_driver_errors(struct nvml_driver *d, uint32_t index, uint32_t *newest, uint64_t *count);

/* The watching thread lets go of its reference within a second, on its own. */
void nvml_driver_stop(struct nvml_driver *d);

#endif
