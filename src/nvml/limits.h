/* limits: sets what NVIDIA's driver lets us set of a card: its power limit. */
#ifndef NVML_LIMITS_H
#define NVML_LIMITS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Ask for a power limit, whole watts, of the card with that UUID; *now_w is what the driver says
 * afterwards. Errors: ERR_1104 the driver wants more rights, ERR_1107 outside of the card's range,
 * ERR_1108 the card has no such setting, ERR_1105 no answer, others as nv_open. */
bool nvml_set_power_limit(const char *uuid, uint32_t watts, uint32_t *now_w, struct err *err);

#endif
