/* process_info: who a process is, from /proc: name, user, start, container, and its number in our
 * namespace. */
#ifndef TELEMETRY_PROCESS_INFO_H
#define TELEMETRY_PROCESS_INFO_H

#include "telemetry/sample.h"

/* proc_root is what lies above /proc: "" or NULL is this machine's own /proc, "/host" reads
 * /host/proc. */

/* The number under which proc_root shows the process that a driver calls host_pid, for
 * process_info_read; 0 where it is not visible. In a container /proc numbers processes anew, and
 * the same number there is another process. */
uint32_t process_local_pid(const char *proc_root, uint32_t host_pid);

/* name, uid, since_s, container and local_pid of the process that proc_root shows as pid; the rest
 * of *p stays. False, and *p untouched, where there is none or the number went to another process
 * meanwhile. */
bool process_info_read(const char *proc_root, uint32_t pid, struct process *p);

#endif
