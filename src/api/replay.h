/* replay: a trace played into a sink as if it happened now. */
#ifndef API_REPLAY_H
#define API_REPLAY_H

#include "telemetry/sampler.h"

enum { REPLAY_BYTES_MAX = 1 << 30 };

struct replay;

/* The file is read whole; its GPUs are known when this returns, its samples come on a thread of its own with the time of now. */
bool replay_start(struct replay **out, const char *path, double speed, const struct sampler_sink *sink, struct err *err);
void replay_stop(struct replay *r); /* accepts NULL */

uint32_t replay_count(const struct replay *r);
const struct gpu_info *replay_info(const struct replay *r, uint32_t gpu);
bool replay_ended(struct replay *r);
bool replay_truncated(struct replay *r);

#endif
