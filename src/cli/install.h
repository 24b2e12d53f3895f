/* install: the libraries that doctor misses, from the system's packages. */
#ifndef CLI_INSTALL_H
#define CLI_INSTALL_H

#include "api/doctor_json.h"
#include "cli/cli.h"

/* Packages of dep.* checks that are not ok, after a yes. What belongs to the driver, and engines,
 * are only named. ERR_1203 where apt-get fails or is not there; ERR_9007, ERR_9008. */
bool install_missing(struct cli *c, const struct check *checks, size_t n, struct err *err);

#endif
