/* xid: what the driver's error numbers mean, and which of several is the worst. */
#ifndef DOCTOR_XID_H
#define DOCTOR_XID_H

#include <stdbool.h>
#include <stdint.h>

struct xid {
    uint32_t number;
    bool serious; /* the card needs a reset or more */
    const char *means, *mends;
};

/* Never NULL: what is not listed is "a driver error". */
const struct xid *xid_find(uint32_t number);

struct xid_seen {
    uint32_t count, worst; /* worst: the newest of the serious ones, else the newest */
};
void xid_add(struct xid_seen *seen, uint32_t number);

#endif
